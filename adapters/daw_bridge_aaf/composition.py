"""The AAF file itself, by pyaaf2 (AAF Object Specification 1.1, Edit Protocol): essence, mobs, gains, pans, markers.

Ids and dates come from what is written, so that the same plan gives the same file.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import aaf2
from aaf2.auid import AUID
from aaf2.mobid import MobID

from daw_bridge.model import Clip, Marker, SessionPlan
from daw_bridge_aaf.pcm import SAMPLE_BYTES, channel_bytes
from daw_bridge_aaf.strips import MonoTrack, Piece

_NO_DATE = datetime(1980, 1, 1)  # AAF dates have no zone
_TIMECODE_FPS = 25
_FIRST_SLOT = 2
_FINEST = 1_000_000
"""The largest denominator of a gain: numerator and denominator are 32-bit, and a gain may be up to +66 dB."""
_GAIN = ("9d2ea894-0968-11d3-8a38-0050040ef7d2", "Mono Audio Gain")
_GAIN_LEVEL = ("e4962321-2267-11d3-8a4c-0050040ef7d2", "Amplitude multiplier")
_PAN = ("9d2ea893-0968-11d3-8a38-0050040ef7d2", "Mono Audio Pan")
_PAN_VALUE = ("e4962322-2267-11d3-8a4c-0050040ef7d2", "Pan value")


def write_composition(
    target: Path, plan: SessionPlan, tracks: Sequence[MonoTrack], *, lowered_linear: float, seed: bytes
) -> None:
    """Write the file with all audio inside, multiplied by `lowered_linear`, which the clip gains undo."""
    with aaf2.open(str(target), "w") as file:
        _Composition(file, plan, lowered_linear, seed).write(tracks)


def plain(text: str) -> str:
    """A name as AAF holds it: no control characters (a NUL would end it), and what is no text as a question mark."""
    printable = "".join(" " if ord(mark) < 32 else mark for mark in text)
    return printable.encode("utf-16-le", "replace").decode("utf-16-le")


def _channel_name(piece: Piece) -> str:
    """`bass` of a mono file, `bass.L` and `bass.R` of a stereo one, `bass.1`, `bass.2`, ... of more channels."""
    channels = piece.clip.channels
    if channels == 1:
        return piece.clip.name
    return f"{piece.clip.name}.{'LR'[piece.channel] if channels == 2 else 1 + piece.channel}"


class _Composition:
    def __init__(self, file: Any, plan: SessionPlan, lowered_linear: float, seed: bytes) -> None:
        self._file, self._plan, self._lowered, self._seed = file, plan, lowered_linear, seed
        self._masters: dict[tuple[Path, int], Any] = {}
        self._effects: dict[str, Any] = {}
        self._rate = plan.sample_rate_hz
        self._end = max(
            [plan.length_samples, *(c.position_samples + self._length(c) for t in plan.tracks for c in t.clips)]
        )

    def write(self, tracks: Sequence[MonoTrack]) -> None:
        self._identify()
        mob = self._mob(self._file.create.CompositionMob(plain(self._plan.name)), "composition")
        mob.usage = "Usage_TopLevel"
        self._timecode(mob)
        for number, track in enumerate(tracks, 1):
            slot = mob.create_timeline_slot(edit_rate=self._rate, slot_id=_FIRST_SLOT + number - 1)
            slot.name = plain(track.name)
            slot["PhysicalTrackNumber"].value = number
            slot.segment = self._effect(_PAN, _PAN_VALUE, Fraction(1 + track.pan, 2), self._sequence(track))
        if self._plan.markers and tracks:
            self._markers(mob, _FIRST_SLOT + len(tracks))

    def _identify(self) -> None:
        """Who wrote it, without a date and without a random id."""
        (mark,) = self._file.header["IdentificationList"].value
        mark["ProductName"].value = mark["CompanyName"].value = "daw-bridge"
        mark["Date"].value = self._file.header["LastModified"].value = _NO_DATE
        mark["GenerationAUID"].value = self._uuid("generation")

    def _uuid(self, what: str) -> uuid.UUID:
        return uuid.uuid5(uuid.UUID(bytes=self._seed[:16]), what)

    def _mob(self, mob: Any, what: str) -> Any:
        mob_id = MobID(bytes_le=bytearray(MobID.new().bytes_le))
        mob_id.material = AUID(str(self._uuid(what)))
        mob.mob_id = mob_id
        mob["CreationTime"].value = mob["LastModified"].value = _NO_DATE
        self._file.content.mobs.append(mob)
        return mob

    def _timecode(self, mob: Any) -> None:
        slot = mob.create_timeline_slot(edit_rate=_TIMECODE_FPS, slot_id=1)
        slot.name = "TC1"
        timecode = self._file.create.Timecode(fps=_TIMECODE_FPS, drop=False)
        timecode.start = 0
        timecode.length = -(-self._end * _TIMECODE_FPS // self._rate)
        slot.segment = timecode

    def _length(self, clip: Clip) -> int:
        """The length of a clip at the rate of the session."""
        return round(clip.length_samples * self._rate / clip.sample_rate_hz)

    def _sequence(self, track: MonoTrack) -> Any:
        """Clips with silence between them."""
        sequence, at = self._file.create.Sequence(media_kind="sound"), 0
        for piece in track.pieces:
            gap = piece.clip.position_samples - at
            if gap > 0:
                sequence.components.append(self._file.create.Filler(media_kind="sound", length=gap))
            length = self._length(piece.clip)
            source = self._master(piece).create_source_clip(1, length=length, media_kind="sound")
            gain = Fraction(piece.gain_linear / self._lowered).limit_denominator(_FINEST)
            sequence.components.append(self._effect(_GAIN, _GAIN_LEVEL, gain, source))
            at = piece.clip.position_samples + length
        if not track.pieces:
            at = self._end
            sequence.components.append(self._file.create.Filler(media_kind="sound", length=at))
        sequence.length = at
        return sequence

    def _effect(self, effect: tuple[str, str], parameter: tuple[str, str], value: Fraction, inside: Any) -> Any:
        """`inside` behind a gain or a pan."""
        definition = self._definition(effect, parameter)  # before `create`, which makes one thing at a time
        group = self._file.create.OperationGroup(definition, length=inside.length)
        group.media_kind = "sound"
        group.segments.append(inside)
        kind = self._file.dictionary.lookup_parameterdef(parameter[1])
        group.parameters.append(self._file.create.ConstantValue(kind, value))
        return group

    def _definition(self, effect: tuple[str, str], parameter: tuple[str, str]) -> Any:
        id_, name = effect
        if name not in self._effects:
            dictionary, create = self._file.dictionary, self._file.create
            definition = create.OperationDef(AUID(id_), name)
            definition.media_kind = "sound"
            definition["NumberInputs"].value = 1
            definition["IsTimeWarp"].value = False
            definition["OperationCategory"].value = "OperationCategory_Effect"
            dictionary.register_def(definition)
            rational = dictionary.lookup_typedef("Rational")
            value = create.ParameterDef(AUID(parameter[0]), parameter[1], "", rational)
            dictionary.register_def(value)
            definition.parameters.append(value)
            self._effects[name] = definition
        return self._effects[name]

    def _master(self, piece: Piece) -> Any:
        """The mob of one channel of a file, made once: two sides of a mono file share it."""
        key = (piece.clip.path, piece.channel)
        if key not in self._masters:
            name, number = plain(_channel_name(piece)), len(self._masters)
            source = self._essence(piece, name, number)
            master = self._mob(self._file.create.MasterMob(name), f"master {number}")
            slot = master.create_timeline_slot(edit_rate=piece.clip.sample_rate_hz, slot_id=1)
            slot.name = name
            slot["PhysicalTrackNumber"].value = 1
            slot.segment = source.create_source_clip(1, length=piece.clip.length_samples, media_kind="sound")
            self._masters[key] = master
        return self._masters[key]

    def _essence(self, piece: Piece, name: str, number: int) -> Any:
        clip = piece.clip
        source = self._mob(self._file.create.SourceMob(f"{name}.PHYS"), f"source {number}")
        data, slot = source.create_essence(clip.sample_rate_hz, "sound")
        source.descriptor = self._file.create.PCMDescriptor()
        values: Mapping[str, int] = {
            "Channels": 1,
            "BlockAlign": SAMPLE_BYTES,
            "SampleRate": clip.sample_rate_hz,
            "AudioSamplingRate": clip.sample_rate_hz,
            "AverageBPS": clip.sample_rate_hz * SAMPLE_BYTES,
            "QuantizationBits": 8 * SAMPLE_BYTES,
        }
        for key, value in values.items():
            source.descriptor[key].value = value
        source.descriptor.length = slot.segment.length = clip.length_samples
        stream = data.open("w")
        for block in channel_bytes(clip, piece.channel, self._lowered):
            stream.write(block)
        return source

    def _markers(self, mob: Any, slot_id: int) -> None:
        """One row of events that describes the first track."""
        slot = self._file.create.EventMobSlot()
        slot.slot_id, slot.edit_rate = slot_id, self._rate
        slot["SlotName"].value = "Markers"
        slot["PhysicalTrackNumber"].value = 1
        events = self._file.create.Sequence(media_kind="DescriptiveMetadata")
        for marker in sorted(self._plan.markers, key=lambda marker: marker.position_samples):
            events.components.append(self._marker(marker))
        slot.segment = events
        mob.slots.append(slot)

    def _marker(self, marker: Marker) -> Any:
        event = self._file.create.DescriptiveMarker()
        event["Position"].value = marker.position_samples
        event["Length"].value = max(1, marker.length_samples)
        event["Comment"].value = plain(marker.name)
        event["DescribedSlots"].value = {_FIRST_SLOT}
        if marker.colour is not None:
            shades = {"red": marker.colour.red, "green": marker.colour.green, "blue": marker.colour.blue}
            event["CommentMarkerColor"].value = {name: 257 * shade for name, shade in shades.items()}
        return event
