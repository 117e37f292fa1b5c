"""Bus templates: YAML to a checked `BusTemplate`, and back.

The table of keys is in `daw_bridge.templates.table`; here are the rules that hold between keys: names are unique, sends
go to returns that exist, buses feed buses that exist, and no signal can reach its own detector or input again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from daw_bridge.errors import all_of, did_you_mean
from daw_bridge.model import MIX_BUS, RESERVED_NAMES, Compressor, Limiter, nesting_fault
from daw_bridge.templates.plugin_state import INLINE_CHARACTERS, state_file
from daw_bridge.templates.table import (
    TEMPLATE,
    BusTemplate,
    TemplateBus,
    TemplateMarker,
    TemplateReference,
    effect_key,
)
from daw_bridge.templates.yaml_nodes import YamlNode, parse_yaml, read_yaml

__all__ = [
    "BusTemplate",
    "TemplateBus",
    "TemplateMarker",
    "TemplateReference",
    "doubtful",
    "parse_template",
    "read_template",
    "template_to_yaml",
]


def parse_template(text: str, path: Path | str, *, name: str = "") -> BusTemplate:
    """The template in a YAML text; `path` is its name in messages, `name` the template's name if it has none itself.

    Raises TemplateError with file:line:column.
    """
    return _template(parse_yaml(text, str(path)), name or Path(path).stem)


def read_template(path: Path) -> BusTemplate:
    """The template in a YAML file. Raises TemplateError with file:line:column."""
    return _template(read_yaml(path), path.stem)


def _template(root: YamlNode, name: str) -> BusTemplate:
    template = TEMPLATE.read(root)
    rules = (_check_names, _check_stems, _check_parents, _check_sends, _check_sidechains, _check_limiters)
    all_of(partial(rule, root, template) for rule in rules)
    return template if template.name else replace(template, name=name)


def _strips(template: BusTemplate) -> Iterator[tuple[tuple[str, ...], TemplateBus]]:
    """All buses, returns and the mix bus with their path in the file."""
    for place, strips in (("buses", template.buses), ("returns", template.returns)):
        for strip in strips:
            yield (place, strip.name), strip
    yield ("mix_bus",), template.mix_bus


def _check_names(root: YamlNode, template: BusTemplate) -> None:
    taken = dict.fromkeys(RESERVED_NAMES, "is kept for the session itself")
    for place, strip in _strips(template):
        if place == ("mix_bus",):
            continue
        name = strip.name.casefold()
        if name in taken:
            key_node = next(node for node, key, _ in root.at(place[0]).items() if key == strip.name)
            raise key_node.error(f"the name {strip.name!r} {taken[name]}; give it another one")
        taken[name] = f"is already that of a {'bus' if place[0] == 'buses' else 'return'}"


def _check_stems(root: YamlNode, template: BusTemplate) -> None:
    owners: dict[str, str] = {}
    for bus in template.buses:
        given = bool(bus.stems)
        for index, stem in enumerate(bus.stems or (bus.name,)):
            if stem.casefold() in owners:
                node = root.at("buses", bus.name, "stems", index) if given else root.at("buses", bus.name)
                raise node.error(f"the stem {stem!r} is already on the bus {owners[stem.casefold()]!r}")
            owners[stem.casefold()] = bus.name


def _check_parents(root: YamlNode, template: BusTemplate) -> None:
    for bus in template.buses:
        if bus.parent is not None and bus.parent.casefold() == MIX_BUS:
            node = root.at("buses", bus.name, "parent")
            raise node.error("every bus feeds the mix bus when it has no other 'parent'; leave the key out")
    if fault := nesting_fault({bus.name: bus.parent for bus in template.buses}):
        name, what = fault
        raise root.at("buses", name, "parent").error(what)


def _check_sends(root: YamlNode, template: BusTemplate) -> None:
    returns = [strip.name for strip in template.returns]
    buses = [bus.name for bus in template.buses]
    for bus in template.buses:
        seen: set[str] = set()
        for index, send in enumerate(bus.sends):
            node = root.at("buses", bus.name, "sends", index, "to")
            if send.to in buses:
                raise node.error(f"{send.to!r} is a bus; sends go to returns only, so that no loop can arise")
            if send.to not in returns:
                known = f"; known: {', '.join(returns)}" if returns else "; this template has no returns"
                raise node.error(f"no return called {send.to!r}{did_you_mean(send.to, returns) or known}")
            if send.to in seen:
                raise node.error(f"the bus {bus.name!r} already sends to {send.to!r}")
            seen.add(send.to)


def _check_sidechains(root: YamlNode, template: BusTemplate) -> None:
    buses = [bus.name for bus in template.buses]
    keys: dict[str, list[tuple[str, YamlNode]]] = {}
    for place, strip in _strips(template):
        for index, effect in enumerate(strip.effects):
            if not isinstance(effect, Compressor) or effect.sidechain_bus is None:
                continue
            key = effect.sidechain_bus
            node = root.at(*place, "effects", index, "compressor", "sidechain_bus")
            if place == ("buses", key):
                raise node.error("a bus cannot be its own side-chain; without 'sidechain_bus' it listens to itself")
            if key not in buses:
                hint = did_you_mean(key, buses) or "; a side-chain comes from a bus, not from a return or the mix bus"
                raise node.error(f"no bus called {key!r}{hint}")
            if place[0] == "buses":
                keys.setdefault(strip.name, []).append((key, node))
    _refuse_loops(keys, {bus.name: bus.parent for bus in template.buses if bus.parent is not None})


def _refuse_loops(keys: dict[str, list[tuple[str, YamlNode]]], parents: dict[str, str]) -> None:
    """The signal of a bus must not steer what steers itself: by a side-chain, or by feeding the bus that steers it."""
    steered: dict[str, list[tuple[str, YamlNode | None]]] = {name: [*found] for name, found in keys.items()}
    for inner, outer in parents.items():
        steered.setdefault(outer, []).append((inner, None))
    left = set(steered)
    while done := {name for name in left if not any(key in left for key, _ in steered[name])}:
        left -= done
    if not left:
        return
    way, nodes = [next(name for name in steered if name in left)], list[YamlNode | None]()
    while True:
        key, node = next((key, node) for key, node in steered[way[-1]] if key in left)
        nodes.append(node)
        if key in way:
            break
        way.append(key)
    first = way.index(key)
    asked = [each for each in nodes[first:] if each is not None]
    if asked:  # else it is a circle of parents, which has its own message
        nested = "; a bus is steered by the buses that feed it, too" if len(asked) < len(nodes) - first else ""
        raise asked[-1].error(f"the side-chains run in a circle: {' <- '.join([*way[first:], key])}{nested}")


def _check_limiters(root: YamlNode, template: BusTemplate) -> None:
    for place, strip in _strips(template):
        for index, effect in enumerate(strip.effects):
            if isinstance(effect, Limiter) and effect.threshold_db > effect.ceiling_db:
                node = root.at(*place, "effects", index, effect_key(effect))
                raise node.error(
                    f"the limiter's threshold ({effect.threshold_db:g} dB) is above its ceiling "
                    f"({effect.ceiling_db:g} dB); give both keys, the threshold not above the ceiling"
                )


def doubtful(template: BusTemplate) -> tuple[str, ...]:
    """What is allowed and probably not meant: strips that look the same in the DAW."""
    labels: dict[str, list[str]] = {}
    for place, strip in _strips(template):
        default = "mix bus" if place == ("mix_bus",) else strip.name.replace("_", " ")
        labels.setdefault((strip.label or default).casefold(), []).append(strip.name)
    return tuple(
        f"{' and '.join(repr(name) for name in names)} have the same label; in the DAW they look the same"
        for names in labels.values()
        if len(names) > 1
    )


def template_to_yaml(template: BusTemplate, states: dict[str, str] | None = None) -> str:
    """The template as YAML text that `parse_template` reads back to the same value.

    With `states` long states of plug-ins are left out and put in there, by the file beside the template that has to
    hold each.
    """
    content = TEMPLATE.dump(template)
    if states is not None:
        content = _with_state_files(content, states)
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)


def _with_state_files(content: object, states: dict[str, str]) -> object:
    if isinstance(content, list):
        return [_with_state_files(item, states) for item in content]
    if not isinstance(content, dict):
        return content
    state = content.get("state")
    if isinstance(state, str) and len(state) > INLINE_CHARACTERS:
        file = state_file(state)
        states[file] = state
        return content | {"state": {"file": file}}
    return {key: _with_state_files(value, states) for key, value in content.items()}


class _Dumper(yaml.SafeDumper):
    """Quotes every text that is not plainly a word, so that YAML 1.1 and 1.2 parsers read the same."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    word = text.replace("_", "").replace("-", "")
    plain = word.isascii() and word.isalpha() and text[0].isalpha() and text.lower() not in _NOT_WORDS
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_NOT_WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
_Dumper.add_representer(str, _represent_text)
