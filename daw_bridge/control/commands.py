"""The one table of commands. OSC, MIDI, the command line and docs/osc.md all read it; no transport adds its own.

A command is an OSC address with typed arguments. A last text argument that begins with `#` is the command's id: the
replies repeat it, so that a client can tell its answers apart.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.mixer import MIXER_PARAMETERS, MixerParameter
from daw_bridge.osc import OscValue

PREFIX = "/dawbridge/"
MAX_TEXT = 1024
MAX_NAME = 100
MAX_ADDRESS = 1024
IMPULSE = math.inf
"""OSC's type tag `I`: "now", as a button says it."""
MIDI_ON = 127
_NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?", re.ASCII)
PATTERN_MARKS = frozenset("*?[]{}")

Kind = Literal["text", "path", "number", "whole", "switch"]
StripKind = Literal["stem", "bus"]
Value = str | float | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One typed argument; numbers have a range, in the unit of their name."""

    name: str
    kind: Kind
    doc: str
    required: bool = True
    minimum: float = -math.inf
    maximum: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What a row moves in the bound DAW. Its one argument is called like the parameter."""

    kind: StripKind
    parameter: MixerParameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One row of the table. `address` may hold one placeholder, `{name}`; `handler` is a method of the daemon.

    `strip` is there in the rows that move the mixer: those addresses report the value, too.
    """

    address: str
    doc: str
    handler: str
    arguments: tuple[Argument, ...] = ()
    strip: Strip | None = None

    @property
    def segments(self) -> list[str]:
        return self.address.split("/")[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A command with checked values, ready for its handler."""

    command: Command
    address: str
    values: dict[str, Value] = field(default_factory=dict)
    request_id: str = ""
    pressed: bool = False
    released: bool = False
    """A button that says so: surfaces send 1 on press and 0 on release, and each command acts once."""


def _text(name: str, doc: str, *, required: bool = True) -> Argument:
    return Argument(name=name, kind="text", doc=doc, required=required)


_MIX = Argument(name="mix", kind="path", doc="the mix: an audio file inside a music folder")
_SONG = Argument(name="folder", kind="path", doc="a song folder that daw-bridge made")
_TEMPLATE = _text("template", "bus template; the selected one when left out or empty", required=False)
_MODEL = _text("model", "separation model; the selected one when left out or empty", required=False)
_DAW = _text("daw", "DAW to write for, several with commas; the selected one when left out or empty", required=False)
_STEMS = (
    _text("stems", "only these stems, with commas, the rest stays in the residual; all when left out", required=False),
    _text("two_stems", "this stem and everything else, instead of `stems`", required=False),
)
_STRIP_ARGUMENTS: dict[MixerParameter, tuple[str, Argument]] = {
    "gain_db": (
        "Set or ask the level of {} in the bound DAW.",
        Argument(
            name="gain_db",
            kind="number",
            doc="level in dB; asks when left out",
            required=False,
            minimum=-150.0,
            maximum=12.0,
        ),
    ),
    "mute": (
        "Mute or unmute {} in the bound DAW.",
        Argument(name="mute", kind="switch", doc="1 on, 0 off; asks when left out", required=False),
    ),
    "solo": (
        "Solo {} in the bound DAW.",
        Argument(name="solo", kind="switch", doc="1 on, 0 off; asks when left out", required=False),
    ),
}


def _strip(kind: StripKind, title: str) -> tuple[Command, ...]:
    return tuple(
        Command(
            address=f"{PREFIX}{kind}/{{name}}/{parameter}",
            doc=_STRIP_ARGUMENTS[parameter][0].format(title),
            handler="strip",
            arguments=(_STRIP_ARGUMENTS[parameter][1],),
            strip=Strip(kind=kind, parameter=parameter),
        )
        for parameter in MIXER_PARAMETERS
    )


COMMANDS: tuple[Command, ...] = (
    Command(address=f"{PREFIX}ping", doc="Answer with the version.", handler="ping"),
    Command(
        address=f"{PREFIX}hello",
        doc="Say the token, where the daemon asks for one. Holds for this TCP connection, or for this UDP address.",
        handler="hello",
        arguments=(_text("token", "what `serve --token-file` holds"),),
    ),
    Command(
        address=f"{PREFIX}subscribe",
        doc="Get progress, states, errors and fader moves; and the present state of everything at once.",
        handler="subscribe",
        arguments=(
            Argument(
                name="port",
                kind="whole",
                doc="UDP port on the sender's own host to send to, from 1024 on; the sending port when left out or 0",
                required=False,
                minimum=0,
                maximum=65535,
            ),
        ),
    ),
    Command(address=f"{PREFIX}unsubscribe", doc="Send nothing more to this host.", handler="unsubscribe"),
    Command(
        address=f"{PREFIX}build",
        doc="Queue a whole build: separate the mix, write the session.",
        handler="build",
        arguments=(_MIX, _TEMPLATE, _DAW, _MODEL, *_STEMS),
    ),
    Command(
        address=f"{PREFIX}separate",
        doc="Queue a separation without a session.",
        handler="separate",
        arguments=(_MIX, _MODEL, *_STEMS),
    ),
    Command(
        address=f"{PREFIX}rebuild",
        doc="Queue a new session from stems that are there, with another template or for another DAW.",
        handler="rebuild",
        arguments=(_SONG, _TEMPLATE, _DAW),
    ),
    Command(
        address=f"{PREFIX}cancel",
        doc="Cancel a queued or running job.",
        handler="cancel",
        arguments=(
            Argument(name="job", kind="whole", doc="number of the job; 0: the running one", minimum=0, required=False),
        ),
    ),
    Command(
        address=f"{PREFIX}jobs",
        doc="One `/dawbridge/state` for each of the last jobs, newest first, then a reply with their count.",
        handler="jobs",
        arguments=(
            Argument(name="limit", kind="whole", doc="how many at most; 20", required=False, minimum=1, maximum=200),
        ),
    ),
    Command(address=f"{PREFIX}template/list", doc="Names of the bus templates.", handler="template_list"),
    Command(
        address=f"{PREFIX}template/select",
        doc="Take this template from now on.",
        handler="template_select",
        arguments=(_text("template", "its name"),),
    ),
    Command(address=f"{PREFIX}model/list", doc="Names of the separation models.", handler="model_list"),
    Command(
        address=f"{PREFIX}model/select",
        doc="Take this model from now on.",
        handler="model_select",
        arguments=(_text("model", "its name"),),
    ),
    Command(
        address=f"{PREFIX}daw/select",
        doc="Write for this DAW from now on.",
        handler="daw_select",
        arguments=(_text("daw", "its name, several with commas"),),
    ),
    Command(
        address=f"{PREFIX}session/open",
        doc="Bind the stem and bus controls to a DAW in which the session is open.",
        handler="session_open",
        arguments=(
            _text("daw", "ardour, reaper (over OSC), reaper-live (by reapy), abletonosc, bitwig, or custom"),
            Argument(name="folder", kind="path", doc="the song folder, so that stems find their bus", required=False),
        ),
    ),
    Command(address=f"{PREFIX}session/close", doc="Let go of the bound DAW.", handler="session_close"),
    Command(
        address=f"{PREFIX}session/channels",
        doc="Names of the channels of the bound DAW.",
        handler="session_channels",
    ),
    *_strip("stem", "the bus that carries a stem"),
    *_strip("bus", "a bus, by its name"),
    Command(
        address=f"{PREFIX}live/start",
        doc="Start the live preview and bind the stem controls to it.",
        handler="live_start",
        arguments=(
            Argument(
                name="input",
                kind="path",
                doc="a file to play; the sound card's input when left out",
                required=False,
            ),
        ),
    ),
    Command(address=f"{PREFIX}live/stop", doc="Stop the live preview.", handler="live_stop"),
    Command(
        address=f"{PREFIX}stats",
        doc="Counters of what came in, went out and was dropped, as text.",
        handler="stats",
    ),
)


def find_command(address: str) -> tuple[Command, dict[str, Value]]:
    """The command of an address and the value of its placeholder. Raises UsageError."""
    if len(address) > MAX_ADDRESS:
        raise UsageError(f"{address[:MAX_NAME]}...: no such command")
    if not PATTERN_MARKS.isdisjoint(address):
        raise UsageError(f"{address}: address patterns are not taken; send one message for each address")
    segments = address.split("/")[1:]
    for command in COMMANDS:
        expected = command.segments
        if len(expected) != len(segments):
            continue
        if all(want in ("{name}", have) for want, have in zip(expected, segments, strict=True)):
            names = [have for want, have in zip(expected, segments, strict=True) if want == "{name}"]
            if any(not 0 < len(name) <= MAX_NAME for name in names):
                raise UsageError(f"{address[:MAX_NAME]}: a name has 1 to {MAX_NAME} characters")
            return command, dict(zip(("name",), names, strict=False))
    hint = did_you_mean(address, [command.address for command in COMMANDS])
    raise UsageError(f"{address[:MAX_NAME]}: no such command{hint}")


def parse(address: str, arguments: tuple[OscValue, ...]) -> Invocation:
    """The command that a message asks for, its values checked. Raises UsageError."""
    command, values = find_command(address)
    given = list(arguments)
    request_id = ""
    if given and isinstance(given[-1], str) and given[-1].startswith("#"):
        request_id = str(given.pop())[1 : MAX_NAME + 1]
    is_button = bool(given) and _is_button(command, given)
    pressed = is_button and bool(given.pop())
    if len(given) > len(command.arguments):
        raise UsageError(f"{address}: {len(given)} arguments; it takes {len(command.arguments)}")
    for position, argument in enumerate(command.arguments):
        if position >= len(given) or given[position] == "":
            if argument.required:
                raise UsageError(f"{address}: {argument.name} is missing ({argument.doc})")
            continue
        values[argument.name] = check(argument, given[position], address)
    return Invocation(
        command=command,
        address=address,
        values=values,
        request_id=request_id,
        pressed=pressed,
        released=is_button and not pressed,
    )


def _is_button(command: Command, given: list[OscValue]) -> bool:
    """Whether the last argument is a button's 1 or 0 and not one of the command's own.

    Where the command takes a number, 1.0 and 0.0 as floats are a button: numbers of jobs and ports come as integers.
    """
    last, place = given[-1], len(given) - 1
    if isinstance(last, str) or last not in (0, 1, IMPULSE):
        return False
    if place >= len(command.arguments) or command.arguments[place].kind in ("text", "path"):
        return place > 0 or not command.arguments or not command.arguments[0].required
    return command.handler in ("cancel", "subscribe", "jobs") and isinstance(last, float)


def check(argument: Argument, value: OscValue, where: str) -> Value:
    """`value` as the argument's type; UsageError when it is of another type or out of range."""
    wrong = UsageError(f"{where}: {argument.name} is a {argument.kind}, not {_shown(value)} ({argument.doc})")
    value = _meant(argument, value)
    if argument.kind in ("text", "path"):
        if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
            raise wrong
        return value
    if isinstance(value, bool):
        if argument.kind != "switch":
            raise wrong
        return value
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise wrong
    if argument.kind == "switch":
        if not 0 <= value <= 1:
            raise wrong
        return value >= 0.5
    if not argument.minimum <= value <= argument.maximum:
        allowed = f"{argument.minimum:g} or more"
        if math.isfinite(argument.maximum):
            allowed = f"{argument.minimum:g} to {argument.maximum:g}"
        raise UsageError(f"{where}: {argument.name} {value:g} is out of range ({allowed})")
    if argument.kind == "whole":
        if value != int(value):
            raise wrong
        return int(value)
    return float(value)


def _meant(argument: Argument, value: OscValue) -> OscValue:
    """Numbers as some surfaces send them: everything as text, and MIDI's 127 for "on"."""
    if argument.kind in ("text", "path"):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    return True if argument.kind == "switch" and value == MIDI_ON else value


def _shown(value: OscValue) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
