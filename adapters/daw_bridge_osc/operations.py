"""What a profile can map: the operations of a session, with their arguments in the field's units.

A profile names each of them, as an operation or as unsupported with the reason, so that nobody finds out by silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from daw_bridge.errors import UsageError, did_you_mean

ArgumentKind = Literal["track", "number", "whole", "switch", "text"]
Value = float | int | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation. `track` arguments are names or numbers from 1."""

    name: str
    doc: str
    arguments: Mapping[str, ArgumentKind]


def _operation(name: str, doc: str, **arguments: ArgumentKind) -> Operation:
    return Operation(name=name, doc=doc, arguments=arguments)


_ALL = (
    _operation("track.create", "a new audio track", value="text"),
    _operation("bus.create", "a new bus or return", value="text"),
    _operation("track.select", "select a track", track="track"),
    _operation("track.name", "rename a track", track="track", value="text"),
    _operation("track.gain_db", "fader in dB", track="track", value="number"),
    _operation("track.pan", "balance, -1 left to 1 right", track="track", value="number"),
    _operation("track.mute", "mute", track="track", value="switch"),
    _operation("track.solo", "solo", track="track", value="switch"),
    _operation("track.colour", "colour, 0 to 255 each", track="track", red="whole", green="whole", blue="whole"),
    _operation("master.gain_db", "master fader in dB", value="number"),
    _operation("send.gain_db", "send level in dB; sends count from 1", track="track", send="whole", value="number"),
    _operation(
        "plugin.parameter",
        "a plug-in's parameter in the DAW's own scale; both count from 1",
        track="track",
        plugin="whole",
        parameter="whole",
        value="number",
    ),
    _operation(
        "eq.band",
        "a bell of the DAW's own equalizer; bands count from 1",
        track="track",
        band="whole",
        frequency_hz="number",
        gain_db="number",
        q="number",
    ),
    _operation("marker.add", "a marker", number="whole", value="text", position_s="number"),
    _operation("transport.play", "play"),
    _operation("transport.stop", "stop"),
    _operation("transport.locate", "go to a time", position_s="number"),
    _operation("tempo.set", "tempo in BPM", value="number"),
    _operation("action.run", "an action of the DAW by its id", value="text"),
    _operation("clip.import", "put an audio file on a track", track="track", path="text", position_s="number"),
    _operation("project.save", "save the project"),
)

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _ALL}

DERIVED: dict[str, str] = {"position_samples": "position_s", "position_beats": "position_s"}
"""Placeholders that are computed from an argument: time in samples of the session's rate, in beats of its tempo."""


def check_arguments(name: str, values: Mapping[str, Value]) -> None:
    """UsageError when the operation does not exist, or an argument is missing, unknown or of another type."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise UsageError(f"no operation called {name!r}{did_you_mean(name, OPERATIONS)}")
    for argument in values:
        if argument not in operation.arguments:
            hint = did_you_mean(argument, operation.arguments)
            raise UsageError(f"{name}: no argument {argument!r}{hint}; it takes {', '.join(operation.arguments)}")
    for argument, kind in operation.arguments.items():
        if argument not in values:
            raise UsageError(f"{name}: {argument} is missing; it takes {', '.join(operation.arguments)}")
        _check(name, argument, kind, values[argument])


def _check(name: str, argument: str, kind: ArgumentKind, value: Value) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "track": isinstance(value, (str, int)) and not isinstance(value, bool),
        "number": number,
        "whole": isinstance(value, int) and not isinstance(value, bool),
        "switch": isinstance(value, bool) or value in (0, 1),
        "text": isinstance(value, str),
    }[kind]
    if not fits:
        raise UsageError(f"{name}: {argument} is a {kind}, not {value!r}")
