"""What is known of a song's music, as plain data: the manifest keeps it, plans take tempo and regions from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from daw_bridge.tempo_map import TempoEvent, tempo_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A stretch of the song with a name, on bars."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A tempo that was not taken, and how likely it is."""

    bpm: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardNote:
    """`key` is MIDI's, 60 the middle C; `velocity` 1 to 127 says how sure the note is."""

    start_s: float
    length_s: float
    key: int
    velocity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StemNotes:
    """A draft of what a stem plays."""

    stem: str
    notes: tuple[HeardNote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SongMusic:
    """`tempo_events` is empty where nothing was sure enough; `remarks` are sentences for people, `key` a phrase.

    `asked` is what the tempo was asked to be, so that another wish is heard anew. `click_file` is relative to the song
    folder.
    """

    asked: str
    tempo_bpm: float = 120.0
    time_signature: tuple[int, int] = (4, 4)
    tempo_events: tuple[TempoEvent, ...] = ()
    confidence: float = 0.0
    downbeat_confidence: float = 0.0
    alternatives: tuple[Guess, ...] = ()
    sections: tuple[Region, ...] = ()
    key: str = ""
    key_confidence: float = 0.0
    remarks: tuple[str, ...] = ()
    click_file: str = ""
    notes: tuple[StemNotes, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def music_from_json(data: Mapping[str, Any]) -> SongMusic:
    """What `SongMusic.to_json` gave. Raises TypeError, KeyError or ValueError for what it did not give."""
    events = tuple(
        TempoEvent(
            bar=int(each["bar"]), tempo_bpm=float(each["tempo_bpm"]), time_signature=_metre(each["time_signature"])
        )
        for each in data["tempo_events"]
    )
    if events and (fault := tempo_fault(events)):
        raise ValueError(fault)
    return SongMusic(
        asked=str(data["asked"]),
        tempo_bpm=float(data["tempo_bpm"]),
        time_signature=_metre(data["time_signature"]),
        tempo_events=events,
        confidence=float(data["confidence"]),
        downbeat_confidence=float(data["downbeat_confidence"]),
        alternatives=tuple(Guess(**each) for each in data["alternatives"]),
        sections=tuple(Region(**each) for each in data["sections"]),
        key=str(data["key"]),
        key_confidence=float(data["key_confidence"]),
        remarks=tuple(str(each) for each in data["remarks"]),
        click_file=str(data["click_file"]),
        notes=tuple(_stem_notes(each) for each in data.get("notes", ())),
    )


def _stem_notes(data: Mapping[str, Any]) -> StemNotes:
    return StemNotes(stem=str(data["stem"]), notes=tuple(HeardNote(**each) for each in data["notes"]))


def _metre(value: Any) -> tuple[int, int]:
    beats, unit = value
    return int(beats), int(unit)
