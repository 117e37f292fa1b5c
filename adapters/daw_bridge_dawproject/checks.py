"""What the official schema does not catch: dangling references, wrong targets, ranges, colours, missing audio."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from xml.etree import ElementTree as ET

from daw_bridge_dawproject.container import is_safe

_POSITIVE = ("duration",)
_TIMES = ("time", "playStart", "fadeInTime", "fadeOutTime")


def problems(project: ET.Element, audio_files: Collection[str]) -> list[str]:
    """Every fault of a project in words; empty when it is sound. `audio_files` are the container's other files."""
    ids: dict[str, str] = {}
    found = []
    for element in project.iter():
        id_ = element.get("id")
        if id_ is not None:
            if id_ in ids:
                found.append(f"the id {id_} is given twice")
            ids[id_] = element.tag
    for element in project.iter():
        found += _references(element, ids)
        found += _values(element)
        found += _file(element, audio_files)
    return [*found, *_masters(project)]


def _references(element: ET.Element, ids: dict[str, str]) -> list[str]:
    found = []
    for name, wanted in (("destination", "Channel"), ("track", "Track")):
        target = element.get(name)
        if target is None:
            continue
        if target not in ids:
            found.append(f"{element.tag}: {name} points at {target}, which does not exist")
        elif ids[target] != wanted:
            found.append(f"{element.tag}: {name} points at {target}, a {ids[target]} and no {wanted}")
    return found


def _values(element: ET.Element) -> list[str]:
    found = []
    colour = element.get("color")
    if colour is not None and not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        found.append(f"{element.tag}: {colour!r} is no colour")
    numbers = {}
    for name in ("value", "min", "max", *_POSITIVE, *_TIMES):
        text = element.get(name)
        if text is None or text in ("true", "false"):
            continue
        try:
            numbers[name] = float(text)
        except ValueError:
            found.append(f"{element.tag}: {name} {text!r} is no number")
    found += [f"{element.tag}: {name} is not finite" for name, value in numbers.items() if not math.isfinite(value)]
    found += [f"{element.tag}: {name} is below 0" for name in _TIMES if numbers.get(name, 0.0) < 0.0]
    found += [f"{element.tag}: {name} is not above 0" for name in _POSITIVE if numbers.get(name, 1.0) <= 0.0]
    if {"value", "min", "max"} <= numbers.keys() and not numbers["min"] <= numbers["value"] <= numbers["max"]:
        found.append(f"{element.tag}: {numbers['value']} is outside {numbers['min']}..{numbers['max']}")
    return found


def _file(element: ET.Element, audio_files: Collection[str]) -> list[str]:
    if element.tag != "File" or element.get("external") == "true":
        return []
    path = element.get("path", "")
    if not is_safe(path):
        return [f"the file path {path!r} leaves the container"]
    return [] if path in audio_files else [f"the file {path!r} is not in the container"]


def _masters(project: ET.Element) -> list[str]:
    """Exactly one channel feeds nothing, and no channel feeds itself in a circle."""
    channels = {channel.get("id", ""): channel.get("destination") for channel in project.iter("Channel")}
    ends = [id_ for id_, destination in channels.items() if destination is None]
    found = [] if len(ends) == 1 else [f"{len(ends)} channels have no destination; only the master may"]
    for start in channels:
        at: str | None = start
        for _ in range(len(channels) + 1):
            at = channels.get(at) if at is not None else None
        if at is not None:
            found.append(f"the channel {start} feeds itself")
    return found
