"""The options of a build on the command line: flags, help and meaning come from the fields of `BuildOptions`."""

from __future__ import annotations

import argparse
import re
from typing import Any

from daw_bridge.build_options import BuildOptions
from daw_bridge.option import options_of

_WORDS = (
    *("allow", "bind", "block", "daw", "discovery", "downmix", "into", "jobs", "ledger", "mix", "music", "onnx"),
    *("plot", "port", "split", "token_file", "web_port"),
)
"""What messages of the core name besides the fields of `BuildOptions`."""
_FLAGS = {word: f"--{word.replace('_', '-')}" for word in _WORDS} | {
    each.name: each.flag for each in options_of(BuildOptions)
}


def add_options(parser: argparse.ArgumentParser, *groups: str) -> None:
    """Add the options of these groups (`session`, `folder`, `separation`, `input`)."""
    titled = {group: parser.add_argument_group(group) for group in groups}
    for each in options_of(BuildOptions):
        if each.group not in titled:
            continue
        place: Any = titled[each.group]
        if each.flags and each.switches:
            place = place.add_mutually_exclusive_group()
        if each.flags:
            kind = each.parse if each.parse in (int, float) else str
            metavar = each.metavar or each.name.upper()
            place.add_argument(*each.flags, dest=each.name, type=kind, metavar=metavar, help=each.about)
        for flag, (value, about) in each.switches.items():
            place.add_argument(flag, dest=each.name, action="store_const", const=value, help=about)


def options_from(args: argparse.Namespace, **fixed: Any) -> BuildOptions:
    """The options of a command line; what was not given keeps its default. `fixed` is not asked of the user."""
    given = dict(fixed)
    for each in options_of(BuildOptions):
        value = getattr(args, each.name, None)
        if value is None or each.name in fixed:
            continue
        as_text = isinstance(value, str) and all(value != switched for switched, _ in each.switches.values())
        given[each.name] = each.parse(value) if as_text else value
    return BuildOptions(**given)


def in_flags(text: str) -> str:
    """A message with the options that it names between backticks as the command line calls them."""
    return re.sub(r"`(\w+)`", lambda match: _FLAGS.get(match[1], match[0]), text)
