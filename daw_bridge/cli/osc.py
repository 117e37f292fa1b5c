"""`daw-bridge osc`: profiles of DAWs, checked; operations tried as a dry run or for real."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from daw_bridge.errors import UsageError

HOW = {
    "report": "confirmed by the DAW's report",
    "answer": "confirmed by asking",
    "known": "sent; the DAW had reported this value before",
    "none": "sent, unconfirmed",
}
"""How an operation ended, in words."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from daw_bridge.cli import osc_apply
    from daw_bridge.cli.main import add_output_options

    parser = subparsers.add_parser("osc", help="drive a DAW over OSC by a profile; check profiles")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="profiles that come with daw-bridge, and what each can do")
    listing.set_defaults(func=run_list)
    show = actions.add_parser("show", help="print a profile, to copy and change")
    show.add_argument("profile", help="its name")
    show.set_defaults(func=run_show)
    check = actions.add_parser("check", help="check a profile of your own; errors name line and column")
    check.add_argument("file", type=Path, help="the YAML file")
    check.set_defaults(func=run_check)
    dry = actions.add_parser("dry-run", help="print exactly what would be sent, and send nothing")
    send = actions.add_parser("send", help="carry out one operation and wait for the DAW's confirmation")
    for action, function in ((dry, run_dry), (send, run_send)):
        action.add_argument("profile", help="name of a profile, or a .yaml file")
        action.add_argument("operation", help="such as track.gain_db")
        action.add_argument("values", nargs="*", metavar="NAME=VALUE", help="such as track=1 value=-6")
        action.add_argument("--rate", type=int, default=0, metavar="HZ", help="sample rate, for times in samples")
        action.add_argument("--tempo", type=float, default=120.0, metavar="BPM", help="tempo, for times in beats")
        action.set_defaults(func=function)
    send.add_argument("--host", help="where the DAW runs (default: the profile's)")
    send.add_argument("--port", type=int, help="its port (default: the profile's)")
    send.add_argument("--reply-port", type=int, help="port for its feedback (default: the profile's)")
    for action in (listing, show, check, dry, send):
        add_output_options(action, default=argparse.SUPPRESS)
    osc_apply.register(actions)


def _adapter(module: str) -> Any:
    """A module of the OSC adapter; the core names adapters only as text."""
    return importlib.import_module(f"daw_bridge_osc.{module}")


def load_profile(name: str, *, is_file: bool = False) -> Any:
    """A shipped profile by its name, or a file. Raises TemplateError."""
    is_file = is_file or name.endswith((".yaml", ".yml")) or "/" in name
    return _adapter("profile_file").load_profile(name, Path(name) if is_file else None)


def run_list(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say

    found = []
    for name in _adapter("profile_file").shipped_profiles():
        profile = load_profile(name)
        found.append(
            {"name": name, "title": profile.title, "can": list(profile.operations), "cannot": dict(profile.unsupported)}
        )
        say(args, f"{name:<12} {profile.title}: {len(profile.operations)} operations")
        for operation, reason in profile.unsupported.items():
            say(args, f"{'':<12} not {operation}: {reason}")
    answer(args, found)


def run_show(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer

    text = _adapter("profile_file").profile_text(args.profile)
    if not args.json:
        print(text, end="")
    answer(args, {"profile": args.profile, "text": text})


def run_check(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say

    profile = _adapter("profile_file").load_profile("", args.file)
    say(args, f"{args.file}: good; {profile.title} can do {', '.join(profile.operations)}")
    answer(args, {"name": profile.name, "operations": list(profile.operations)})


def run_dry(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say

    compose = _adapter("compose")
    request = compose.Request(operation=args.operation, values=parse_values(args.values))
    clock = compose.Clock(sample_rate_hz=args.rate, tempo_bpm=args.tempo)
    messages = [str(message) for message in compose.dry_run(load_profile(args.profile), [request], clock)]
    for message in messages:
        say(args, message)
    answer(args, messages)


def run_send(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.mixer import MixerAddress

    clock = _adapter("compose").Clock(sample_rate_hz=args.rate, tempo_bpm=args.tempo)
    address = MixerAddress(host=args.host, port=args.port, reply_port=args.reply_port)
    profile, values = load_profile(args.profile), parse_values(args.values)
    _adapter("compose").mapping_of(profile, args.operation)
    daw = _adapter("client").OscDaw(profile, address, clock=clock)
    try:
        outcome = daw.do(args.operation, **values)
    finally:
        daw.close()
    say(args, f"{HOW[outcome.by]} in {outcome.elapsed_ms:.0f} ms")
    answer(args, {"by": outcome.by, "elapsed_ms": outcome.elapsed_ms, "tries": outcome.tries})


def parse_values(texts: Iterable[str]) -> dict[str, float | int | bool | str]:
    """`name=value` pairs; numbers become numbers, on/off and true/false switches, the rest text. Raises UsageError."""
    found: dict[str, float | int | bool | str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"{text}: write arguments as name=value, such as track=1 value=-6")
        found[name] = parse_value(value)
    return found


def parse_value(text: str) -> float | int | bool | str:
    """One value: a number, a switch (on, off, true, false), else the text itself."""
    if text in ("on", "off", "true", "false"):
        return text in ("on", "true")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
