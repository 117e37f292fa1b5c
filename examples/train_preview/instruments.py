"""Multisampled instruments and drum kits of the training pack, played from lists of notes.

A note takes the recording nearest in pitch and, of those, nearest in velocity; recordings equally near take turns
(round robin). Pitch changes by resampling, which moves the colour of the sound as a sampler does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import soxr
from pack import RATE_HZ, FloatArray, PackFile, decode

_KEYS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_WIDEST_SHIFT = 9  # semitones: farther from a recording an instrument no longer sounds like itself


@dataclass(frozen=True, slots=True)
class Note:
    """Times in seconds; `key` is a MIDI number, also for drums (General MIDI pieces)."""

    start_s: float
    length_s: float
    key: int
    velocity: float


class Instrument:
    """A reel of single notes; `cents` is how far it is out of tune in this arrangement."""

    def __init__(self, file: PackFile, *, cents: float = 0.0) -> None:
        audio = decode(file.path)
        self.name, self.cents = file.name, cents
        self.samples: list[tuple[int, float, FloatArray]] = []
        for start_s, length_s, label, velocity in file.notes:
            key = key_of(label)
            if key is not None:
                start = int(start_s * RATE_HZ)
                self.samples.append((key, velocity, audio[:, start : start + int(length_s * RATE_HZ)]))
        self._turn: dict[int, int] = defaultdict(int)
        self._shifted: dict[tuple[int, int], FloatArray] = {}

    def __bool__(self) -> bool:
        return len(self.samples) >= 4

    def render(self, notes: list[Note], length_s: float) -> FloatArray:
        """(2, samples)."""
        out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
        for note in notes:
            sound = self._sound(note)
            if sound is not None:
                add(out, note.start_s, released(sound, note.length_s) * np.float32(0.15 + 0.85 * note.velocity**1.5))
        return out

    def _sound(self, note: Note) -> FloatArray | None:
        distances = [abs(key - note.key) + 0.01 * abs(velocity - note.velocity) for key, velocity, _ in self.samples]
        near = np.flatnonzero(np.asarray(distances) < min(distances) + 0.002)
        index = int(near[self._turn[note.key] % near.size])
        self._turn[note.key] += 1
        shift = note.key - self.samples[index][0]
        if abs(shift) > _WIDEST_SHIFT:
            return None
        if (index, shift) not in self._shifted:
            ratio = 2.0 ** ((shift + self.cents / 100) / 12)
            sample = self.samples[index][2]
            self._shifted[index, shift] = soxr.resample(sample.T, RATE_HZ * ratio, RATE_HZ, quality="LQ").T
        return self._shifted[index, shift]


def key_of(label: int | str) -> int | None:
    """The MIDI key of a note label: a number, or a name that ends in a note with its octave (`harp_a2`)."""
    if isinstance(label, int):
        return label
    found = re.search(r"_([a-g])(is|s|b)?(\d)$", label)
    if found is None:
        return None
    accidental = {None: 0, "is": 1, "s": 1, "b": -1}[found[2]]
    return 12 * (int(found[3]) + 1) + _KEYS[found[1]] + accidental


def released(sound: FloatArray, length_s: float) -> FloatArray:
    """The sound let go after `length_s`, dying away within a tenth of a second."""
    keep, fade = int(length_s * RATE_HZ), RATE_HZ // 10
    if sound.shape[1] <= keep + fade:
        return sound
    sound = sound[:, : keep + fade].copy()
    sound[:, keep:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
    return sound


def add(out: FloatArray, start_s: float, sound: FloatArray) -> None:
    """Mix `sound` into `out` at a time; what falls outside is cut."""
    start = int(start_s * RATE_HZ)
    if start < 0:
        sound, start = sound[:, -start:], 0
    piece = sound[:, : max(0, out.shape[1] - start)]
    out[:, start : start + piece.shape[1]] += piece


_PIECES = {  # General MIDI (and Roland's neighbours of it) to what kits call their pieces, best first
    "kick": (("kick", "bd_", "drum_heavy_kick", "bass", "CajonFlamenco", "stomp", "rl1"), (35, 36)),
    "snare": (("snare", "sn_", "drum_snare", "elec_snare", "tenor", "sl1", "HighConga", "handclap"), (38, 40)),
    "side": (("side", "rim", "Claves", "perc_snap", "sl5", "snap"), (37,)),
    "clap": (("clap", "HandClap", "handclap", "snare", "sl3"), (39,)),
    "hhc": (("hhc", "hat_", "drum_cymbal_closed", "EggShaker", "treble", "sl4", "fingerclap"), (42, 44, 22)),
    "hho": (("hho", "drum_cymbal_open", "Maracas", "hhc", "treble", "sl2", "pinkysnap"), (46, 26)),
    "toml": (("toml", "drum_tom_lo", "LowConga", "tabla_ghe", "chestthump", "rl2"), (41, 43, 58)),
    "tomm": (("tomm", "toml", "drum_tom_mid", "Conga", "tabla_re", "chestside", "rl3"), (45, 47)),
    "tomh": (("tomh", "drum_tom_hi", "Bongos", "tabla_na", "cheek", "sr1"), (48, 50)),
    "crash": (("crash1", "drum_splash", "hho", "Tambourine", "treble", "head"), (49, 52, 55, 57)),
    "ride": (("ride", "drum_cymbal_soft", "ride_", "hhc", "Tambourine", "treble", "heel"), (51, 53, 59)),
    "other": (("bell", "drum_cowbell", "perc_", "Castanets", "Darbuka", "side", "sr2"), ()),
}


class Kit:
    """A drum kit; where it has many sounds for one piece, this arrangement keeps to one of them."""

    def __init__(self, file: PackFile, rng: np.random.Generator, *, base: Kit | None = None) -> None:
        audio = decode(file.path)
        self.name = file.name
        reel: dict[str, list[tuple[float, FloatArray]]] = defaultdict(list)
        for start_s, length_s, label, velocity in file.notes:
            start = int(start_s * RATE_HZ)
            reel[str(label)].append((velocity, audio[:, start : start + int(length_s * RATE_HZ)]))
        self.pieces: dict[str, list[tuple[float, FloatArray]]] = {}
        for piece, (names, _) in _PIECES.items():
            for name in names:
                fitting = [label for label in reel if label == name or (name.endswith("_") and label.startswith(name))]
                fitting = fitting or [label for label in reel if label.startswith(name) and "_" in label]
                if fitting:
                    self.pieces[piece] = reel[fitting[int(rng.integers(len(fitting)))]]
                    break
            else:
                if base is not None and piece in base.pieces:
                    self.pieces[piece] = base.pieces[piece]
        self._turn: dict[str, int] = defaultdict(int)
        self._ratio = 2.0 ** (float(rng.normal(0, 1.0)) / 12)
        self._tuned: dict[int, FloatArray] = {}

    def render(self, notes: list[Note], length_s: float) -> FloatArray:
        """(2, samples); a closed hi-hat stops the open one."""
        out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
        closed_s = np.asarray(sorted(note.start_s for note in notes if piece_of(note.key) == "hhc"))
        for note in notes:
            piece = piece_of(note.key)
            if piece in self.pieces:
                sound = self._sound(piece, note.velocity)
                if piece == "hho" and closed_s.size:
                    after = closed_s[closed_s > note.start_s + 0.03]
                    sound = released(sound, float(after[0]) - note.start_s) if after.size else sound
                add(out, note.start_s, sound)
        return out

    def _sound(self, piece: str, velocity: float) -> FloatArray:
        layers = self.pieces[piece]
        wanted = velocity if len({v for v, _ in layers}) > 1 else 1.0
        distances = np.asarray([abs(v - wanted) for v, _ in layers])
        near = np.flatnonzero(distances < distances.min() + 0.02)
        index = int(near[self._turn[piece] % near.size])
        self._turn[piece] += 1
        sound = layers[index][1]
        key = id(sound)
        if key not in self._tuned:
            self._tuned[key] = soxr.resample(sound.T, RATE_HZ * self._ratio, RATE_HZ, quality="LQ").T
        gain = 0.3 + 0.7 * velocity if wanted == velocity else velocity
        return self._tuned[key] * np.float32(gain)


def piece_of(key: int) -> str:
    """The kit piece that a General MIDI percussion key means."""
    for piece, (_, keys) in _PIECES.items():
        if key in keys:
            return piece
    return "other"
