"""Songs and grooves that people wrote or played, from the MIDI files of the training pack."""

from __future__ import annotations

import io
import itertools
import zipfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import mido
import numpy as np
from instruments import Note
from pack import HELD_OUT_SONGS

SONGS = Path("freedoom+freedoom/midi/freedoom_midi.zip")
GROOVES = Path("zharry29+drums-with-llm/midi/groove_drummers1-8.zip")
_BASS_PROGRAMS = range(32, 40)
_EFFECT_PROGRAMS = range(119, 128)  # gunshots, applause and so on
_PERCUSSION = 9


@dataclass(slots=True)
class Part:
    """What one channel plays."""

    program: int
    notes: list[Note] = field(default_factory=list)

    @property
    def middle_key(self) -> float:
        return float(np.median([note.key for note in self.notes]))

    @property
    def is_bass(self) -> bool:
        return self.program in _BASS_PROGRAMS

    def overlap(self) -> float:
        """Share of the notes that begin while another still sounds: 0 for a melody, near 1 for chords."""
        notes = sorted(self.notes, key=lambda note: note.start_s)
        pairs = itertools.pairwise(notes)
        return sum(b.start_s < a.start_s + 0.7 * a.length_s for a, b in pairs) / max(1, len(notes) - 1)


def song_names(pack: Path) -> list[str]:
    """Files of all songs that training may play."""
    held = {f"d_{name}.mid" for name in HELD_OUT_SONGS}
    return [name for name in _names(pack / SONGS) if Path(name).name not in held]


def groove_names(pack: Path) -> list[str]:
    return [name for name in _names(pack / GROOVES) if "_beat_" in name]


def _names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as file:
        return sorted(name for name in file.namelist() if name.endswith(".mid"))


@cache
def read_song(archive: Path, name: str) -> tuple[dict[int, Part], float]:
    """(parts by channel, length in seconds) of one file of an archive."""
    with zipfile.ZipFile(archive) as file:
        midi = mido.MidiFile(file=io.BytesIO(file.read(name)))
    parts: dict[int, Part] = {}
    sounding: dict[tuple[int, int], tuple[float, float]] = {}
    programs: dict[int, int] = {}
    now_s = 0.0
    for message in midi:
        now_s += message.time
        if message.type == "program_change":
            programs[message.channel] = message.program
        elif message.type in ("note_on", "note_off"):
            place = message.channel, message.note
            if place in sounding:
                start_s, velocity = sounding.pop(place)
                part = parts.setdefault(message.channel, Part(programs.get(message.channel, 0)))
                part.notes.append(Note(start_s, max(0.03, now_s - start_s), message.note, velocity))
            if message.type == "note_on" and message.velocity:
                sounding[place] = now_s, message.velocity / 127
    return parts, now_s


def drums_of(parts: dict[int, Part]) -> list[Note]:
    return parts[_PERCUSSION].notes if _PERCUSSION in parts else []


def pitched(parts: dict[int, Part]) -> list[Part]:
    """All but percussion and noises."""
    return [part for channel, part in parts.items() if channel != _PERCUSSION and part.program not in _EFFECT_PROGRAMS]


def excerpt(notes: list[Note], start_s: float, length_s: float, *, speed: float = 1.0) -> list[Note]:
    """The notes that begin within a stretch, moved to its beginning and played at `speed`."""
    out = []
    for note in notes:
        at = (note.start_s - start_s) / speed
        if 0 <= at < length_s:
            out.append(Note(at, note.length_s / speed, note.key, note.velocity))
    return out


def humanised(notes: list[Note], rng: np.random.Generator, *, spread_s: float) -> list[Note]:
    """As a person plays: a little early or late, never twice equally hard."""
    return [
        Note(max(0.0, n.start_s + float(rng.normal(0, spread_s))), n.length_s, n.key,
             float(np.clip(n.velocity * rng.uniform(0.85, 1.12), 0.05, 1)))
        for n in notes
    ]  # fmt: skip


def drifted(notes: list[Note], drift: float, period_s: float) -> list[Note]:
    """The tempo breathes: time bends by at most `drift` of itself, slowly; equal for all parts of a song."""

    def bent(time_s: float) -> float:
        return time_s + drift * period_s / (2 * np.pi) * float(np.sin(2 * np.pi * time_s / period_s))

    return [Note(bent(n.start_s), n.length_s, n.key, n.velocity) for n in notes]
