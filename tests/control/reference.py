"""docs/osc.md, TouchOSC's sheet and the Open Stage Control session, all made from the command table."""

from __future__ import annotations

import json
from typing import Any

from daw_bridge.control import DEFAULT_PORT
from daw_bridge.control.commands import COMMANDS, Argument, Command

_TYPES = {"text": "string", "path": "string", "number": "float", "whole": "int", "switch": "int or T/F"}
_TAGS = {"text": "s", "path": "s", "number": "f", "whole": "i", "switch": "i"}
SURFACE_BUSES = ("vocals", "drums", "bass", "other")

MESSAGES = (
    ("/dawbridge/reply", "ID, command, values...", "The command was carried out; what it gave."),
    (
        "/dawbridge/error",
        "ID, command, message, code",
        "It was not; one line on why and what to do, and the exit code that the command line has for it.",
    ),
    (
        "/dawbridge/progress",
        "ID, job, percent, stage, seconds left, note",
        "A running job; -1 seconds are unknown, percent never goes back.",
    ),
    (
        "/dawbridge/state",
        "ID, job, command, state, percent, detail, file name",
        "A job was queued, began, or ended (done, failed, cancelled). Detail: the session's path, or the reason.",
    ),
    ("/dawbridge/session", "DAW, its name", "The bound DAW; empty when it was let go."),
    ("/dawbridge/bus/NAME/{gain_db,mute,solo}", "value", "A bus of the bound DAW moved, whoever moved it."),
    ("/dawbridge/stem/NAME/{gain_db,mute,solo}", "value", "The same for the bus that carries a stem."),
    ("/dawbridge/surface/percent", "0 to 100", "Progress as one value, for a bar."),
    ("/dawbridge/surface/status", "text", "What is going on, for a label."),
    ("/dawbridge/surface/eta", "text", "Time left, for a label."),
    ("/dawbridge/surface/selected", "template, model, DAW", "What the next build takes."),
)


def command_reference() -> str:
    """The tables of docs/osc.md as Markdown."""
    lines = ["### Commands", "", "| address | arguments | what it does |", "|---|---|---|"]
    for command in COMMANDS:
        arguments = "<br>".join(_argument(argument) for argument in command.arguments) or "none"
        lines.append(f"| `{_shown(command)}` | {arguments} | {_cell(command.doc)} |")
    lines += ["", "### Messages from the daemon", "", "| address | arguments | meaning |", "|---|---|---|"]
    lines += [f"| `{address}` | {arguments} | {meaning} |" for address, arguments, meaning in MESSAGES]
    return "\n".join(lines)


def _shown(command: Command) -> str:
    return command.address.replace("{name}", "NAME")


def _argument(argument: Argument) -> str:
    limits = [value for value in (argument.minimum, argument.maximum) if abs(value) != float("inf")]
    shown = f", {limits[0]:g} to {limits[1]:g}" if len(limits) == 2 else f", from {limits[0]:g}" if limits else ""
    optional = "" if argument.required else ", optional"
    return _cell(f"`{argument.name}` {_TYPES[argument.kind]}{shown}{optional}: {argument.doc}")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def touchosc_sheet() -> str:
    """Addresses and ranges to type into TouchOSC's editor, one control a line, tab-separated."""
    lines = [
        "# TouchOSC: what to type into the editor, one control a line.",
        f"# Connections > OSC: UDP, host = this computer, send port {DEFAULT_PORT}, receive port 9130.",
        "# Send /dawbridge/subscribe 9130 once (a button) and everything below follows the DAW.",
        "# control\taddress\targument\trange\treceives feedback",
        f"button\t/dawbridge/subscribe\ti\t9130\t{_yes(False)}",
    ]
    for bus in SURFACE_BUSES:
        lines.append(f"fader\t/dawbridge/stem/{bus}/gain_db\tf\t-60 to 6\t{_yes(True)}")
        lines += [f"button\t/dawbridge/stem/{bus}/{switch}\ti\t0 to 1\t{_yes(True)}" for switch in ("mute", "solo")]
    lines += [
        f"button\t/dawbridge/build\ts\tname of a mix in the music folder\t{_yes(False)}",
        f"button\t/dawbridge/cancel\ti\t0\t{_yes(False)}",
        f"fader\t/dawbridge/surface/percent\tf\t0 to 100\t{_yes(True)}",
        f"label\t/dawbridge/surface/status\ts\t\t{_yes(True)}",
        f"label\t/dawbridge/surface/eta\ts\t\t{_yes(True)}",
    ]
    return "\n".join(lines) + "\n"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def open_stage_control_session() -> str:
    """A session file of Open Stage Control 1.x: four strips, a build button, progress."""
    widgets: list[dict[str, Any]] = []
    for number, bus in enumerate(SURFACE_BUSES):
        left = 10 + number * 110
        base = f"/dawbridge/stem/{bus}"
        fader = {"range": {"min": -60, "max": 6}, "default": 0, "design": "default", "typeTags": "f"}
        widgets += [
            _widget("text", f"label_{bus}", left, 10, 100, 30, address=f"/label/{bus}", default=bus, bypass=True),
            _widget("fader", f"gain_{bus}", left, 45, 100, 300, address=f"{base}/gain_db", **fader),
            _button(f"mute_{bus}", left, 350, 100, f"{base}/mute", "toggle", label="mute"),
            _button(f"solo_{bus}", left, 395, 100, f"{base}/solo", "toggle", label="solo"),
        ]
    widgets += [
        _widget("text", "label_mix", 460, 10, 200, 30, address="/label/mix", default="build this mix:", bypass=True),
        _widget("input", "mix", 460, 45, 200, 40, address="/dawbridge/build", typeTags="s"),
        # 0 is the job that runs; `off` is never sent, but must be another value.
        _button("cancel", 460, 90, 200, "/dawbridge/cancel", "tap", label="cancel", on=0, off=-1),
        _widget(
            "fader", "percent", 460, 135, 200, 40, address="/dawbridge/surface/percent",
            range={"min": 0, "max": 100}, horizontal=True, interaction=False, bypass=True,
        ),
        _widget("text", "status", 460, 180, 200, 40, address="/dawbridge/surface/status", bypass=True),
        _widget("text", "eta", 460, 225, 200, 40, address="/dawbridge/surface/eta", bypass=True),
        *(
            _button(f"open_{daw}", 460, top, 200, "/dawbridge/session/open", "tap", label=f"bind {title}", on=daw)
            for daw, title, top in (("ardour", "Ardour", 270), ("reaper-live", "REAPER", 315))
        ),
    ]  # fmt: skip
    root = {
        "type": "root",
        "id": "root",
        "widgets": widgets,
        "onCreate": "send('/dawbridge/subscribe', {type: 'i', value: 0})",
    }
    session = {"createdWith": "Open Stage Control", "version": "1.26.0", "type": "session", "content": root}
    return json.dumps(session, indent=2) + "\n"


def _widget(kind: str, name: str, left: int, top: int, width: int, height: int, **more: Any) -> dict[str, Any]:
    place = {"left": left, "top": top, "width": width, "height": height}
    return {"type": kind, "id": name, **place, "preArgs": "", "target": "", **more}


def _button(name: str, left: int, top: int, width: int, address: str, mode: str, **more: Any) -> dict[str, Any]:
    values = {"on": 1, "off": 0, "typeTags": _tags_of(address)} | more
    return _widget("button", name, left, top, width, 40, address=address, mode=mode, **values)


def _tags_of(address: str) -> str:
    from daw_bridge.control.commands import find_command

    command, _ = find_command(address)
    return _TAGS[command.arguments[0].kind] if command.arguments else ""
