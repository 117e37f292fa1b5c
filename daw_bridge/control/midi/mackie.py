"""Mackie Control Universal: eight motor faders, mutes, solos and scribble strips for the buses. Pure; ports elsewhere.

Messages as the Logic Control/Mackie Control documentation and Ardour's `mackie` surface have them: a fader is the
pitch wheel of its channel (14 bits), its touch is note 104 + strip, solo and mute are notes 8 + strip and 16 + strip
with LEDs at the same numbers, texts are sysex 00 00 66 14 12 OFFSET TEXT with two rows of 56 characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from daw_bridge.mixer import MIXER_PARAMETERS, MixerChange, MixerParameter
from daw_bridge.units import interpolate

STRIPS = 8
SOLO, MUTE, TOUCH = 8, 16, 104
BANK_LEFT, BANK_RIGHT, CHANNEL_LEFT, CHANNEL_RIGHT = 46, 47, 48, 49
FADER_TOP = 16383
TEXT_WIDTH = 7
SYSEX_TEXT = (0x00, 0x00, 0x66, 0x14, 0x12)

FADER_LAW = ((-100.0, 0.0), (-60.0, 0.06), (-40.0, 0.16), (-20.0, 0.36), (-10.0, 0.54), (0.0, 0.75), (10.0, 1.0))
"""dB and travel, after the scale printed beside the faders: 0 dB at three quarters, 10 dB at the top."""
TOP_DB = 6.0
"""DAWs end at 6 dB; the rest of the way does nothing."""

MidiData: TypeAlias = "dict[str, Any]"
"""Keyword arguments of a `mido.Message`."""


def fader_to_db(position: int) -> float:
    """Level of a fader position, 0 to 16383."""
    mirrored = tuple((travel, level_db) for level_db, travel in FADER_LAW)
    return min(TOP_DB, interpolate(mirrored, min(1.0, max(0.0, position / FADER_TOP))))


def db_to_fader(level_db: float) -> int:
    """Position of a level; everything below -100 dB is the bottom."""
    return round(FADER_TOP * interpolate(FADER_LAW, min(FADER_LAW[-1][0], max(FADER_LAW[0][0], level_db))))


@dataclass(slots=True)
class MackieSurface:
    """What the surface shows and what its controls mean: strips of the bank, values, touched faders."""

    channels: tuple[str, ...] = ()
    first: int = 0
    values: dict[tuple[str, MixerParameter], float] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)
    _positions: dict[int, int] = field(default_factory=dict)

    def set_channels(self, channels: Sequence[str]) -> list[MidiData]:
        """Take these channels; what to send so that the surface shows them."""
        self.channels = tuple(channels)
        self.first = min(self.first, max(0, len(channels) - 1) // STRIPS * STRIPS)
        return self.redraw()

    def redraw(self) -> list[MidiData]:
        """Everything that the surface shows."""
        messages: list[MidiData] = []
        for strip in range(STRIPS):
            channel = self._channel(strip)
            messages.append(_text(strip, 0, channel or ""))
            for parameter in MIXER_PARAMETERS:
                messages += self._show(strip, channel, parameter)
        return messages

    def changed(self, change: MixerChange) -> list[MidiData]:
        """A value from the DAW; what to send. A fader under a finger is left alone."""
        self.values[change.channel, change.parameter] = change.value
        for strip in range(STRIPS):
            if self._channel(strip) == change.channel:
                return self._show(strip, change.channel, change.parameter)
        return []

    def received(self, message: MidiData) -> tuple[list[MixerChange], list[MidiData]]:
        """A message from the surface: what it asks of the DAW, and what to send back to the surface."""
        kind = message.get("type")
        if kind == "pitchwheel":
            return self._fader(int(message["channel"]), int(message["pitch"]) + 8192), []
        if kind not in ("note_on", "note_off"):
            return [], []
        note, pressed = int(message["note"]), kind == "note_on" and int(message["velocity"]) > 0
        if TOUCH <= note < TOUCH + STRIPS:
            return [], self._touch(note - TOUCH, pressed)
        return self._pressed(note) if pressed else ([], [])

    def _pressed(self, note: int) -> tuple[list[MixerChange], list[MidiData]]:
        steps = {BANK_LEFT: -STRIPS, BANK_RIGHT: STRIPS, CHANNEL_LEFT: -1, CHANNEL_RIGHT: 1}
        if note in steps:
            last = max(0, len(self.channels) - 1)
            self.first = min(max(0, self.first + steps[note]), last)
            return [], self.redraw()
        parameters: tuple[tuple[int, MixerParameter], ...] = ((SOLO, "solo"), (MUTE, "mute"))
        for base, parameter in parameters:
            channel = self._channel(note - base) if base <= note < base + STRIPS else None
            if channel is not None:
                on = self.values.get((channel, parameter), 0.0) < 0.5
                return [MixerChange(channel=channel, parameter=parameter, value=float(on))], []
        return [], []

    def _channel(self, strip: int) -> str | None:
        at = self.first + strip
        return self.channels[at] if at < len(self.channels) else None

    def _fader(self, strip: int, position: int) -> list[MixerChange]:
        channel = self._channel(strip) if strip < STRIPS else None
        if channel is None:
            return []
        self._positions[strip] = position
        return [MixerChange(channel=channel, parameter="gain_db", value=fader_to_db(position))]

    def _touch(self, strip: int, pressed: bool) -> list[MidiData]:
        if pressed:
            self.touched.add(strip)
            return []
        self.touched.discard(strip)
        channel = self._channel(strip)
        return self._show(strip, channel, "gain_db") if channel else []

    def _show(self, strip: int, channel: str | None, parameter: MixerParameter) -> list[MidiData]:
        value = None if channel is None else self.values.get((channel, parameter))
        if parameter != "gain_db":
            note = (SOLO if parameter == "solo" else MUTE) + strip
            return [{"type": "note_on", "channel": 0, "note": note, "velocity": 127 if (value or 0.0) >= 0.5 else 0}]
        shown = [_text(strip, 1, "" if value is None else _level(value))]
        if strip in self.touched:
            return shown
        position = 0 if value is None else db_to_fader(value)
        return [{"type": "pitchwheel", "channel": strip, "pitch": min(FADER_TOP, position) - 8192}, *shown]


def _level(level_db: float) -> str:
    return "-inf" if level_db <= FADER_LAW[0][0] else f"{level_db:+.1f}"


def _text(strip: int, row: int, text: str) -> MidiData:
    """Seven characters of a scribble strip; the display knows ASCII only."""
    plain = "".join(mark if 32 <= ord(mark) < 127 else "?" for mark in text)[: TEXT_WIDTH - 1].ljust(TEXT_WIDTH)
    return {"type": "sysex", "data": (*SYSEX_TEXT, row * 56 + strip * TEXT_WIDTH, *plain.encode("ascii"))}
