"""Sung lines of recorded voices: held vowels on a melody, sung phrases moved in pitch and time, spoken words sung.

Pitch and time move by Rubber Band (in pedalboard) with the formants kept, so a voice stays the same person. Vowels get
glides and vibrato by a pitch curve.
"""

from __future__ import annotations

import numpy as np
import pedalboard as pb
from instruments import Note, add, released
from numpy.typing import NDArray
from pack import RATE_HZ, FloatArray, PackFile, decode
from synthesise import VOICES, Singer

_CONTROL = 1024  # samples between two values of a pitch curve: Rubber Band hears no faster ones
_FULL_CURVE_S = 0.25  # shorter notes do without vibrato


class Voices:
    """All that sings in the pack, decoded once; and a speaker."""

    def __init__(self, files: list[PackFile], speaker: Singer | None) -> None:
        sung = [file for file in files if file.role == "vocals" and not file.held_out]
        self.vowels = {f.name: _vowels(f) for f in sung if f.kind == "multisample"}
        self.phrases = {f.name: decode(f.path).mean(0) for f in sung if f.kind in ("song", "phrases", "rendered")}
        self.choirs = {f.name: decode(f.path) for f in sung if f.kind == "choir"}
        self.talk = {f.name: decode(f.path).mean(0) for f in sung if f.kind == "speech"}
        self.speaker = speaker

    def line(self, melody: list[Note], length_s: float, rng: np.random.Generator) -> FloatArray:
        """A lead vocal of (2, samples), of one of four kinds, now and then doubled or in harmony."""
        kind = str(rng.choice(["phrases", "vowels", "words", "talk"], p=[0.45, 0.2, 0.3, 0.05]))
        if kind == "words" and self.speaker is not None and melody:
            lead = self._sing_words(melody, length_s, rng)
        elif kind == "vowels" and melody:
            lead = self._sing_vowels(melody, length_s, rng)
        elif kind == "talk":
            lead = self._place(self.talk, length_s, rng)
        else:
            lead = self._place(self.phrases, length_s, rng)
        return self._doubled(lead, rng)

    def choir(self, length_s: float, rng: np.random.Generator) -> FloatArray:
        """A choir behind the lead."""
        out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
        source = self.choirs[str(rng.choice(sorted(self.choirs)))]
        at_s = float(rng.uniform(0, length_s / 2))
        add(out, at_s, moved(source, semitones=float(rng.integers(-4, 5)), speed=float(rng.uniform(0.85, 1.15))))
        return out

    def _place(self, bank: dict[str, FloatArray], length_s: float, rng: np.random.Generator) -> FloatArray:
        """Pieces of one singer's recording with pauses between, all at one shift."""
        source = bank[str(rng.choice(sorted(bank)))]
        semitones, speed = float(rng.integers(-4, 6)), float(rng.uniform(0.82, 1.2))
        out, at_s = np.zeros((2, int(length_s * RATE_HZ)), np.float32), float(rng.uniform(0, 3))
        while at_s < length_s - 1:
            piece_s = float(rng.uniform(4, 12))
            start = int(rng.integers(max(1, source.size - int(piece_s * RATE_HZ))))
            piece = faded(source[start : start + int(piece_s * RATE_HZ)])
            sound = moved(np.stack((piece, piece)), semitones=semitones, speed=speed)
            add(out, at_s, sound)
            at_s += sound.shape[1] / RATE_HZ + float(rng.choice([0.1, 0.5, 1.5, 4.0]))
        return out

    def _sing_vowels(self, melody: list[Note], length_s: float, rng: np.random.Generator) -> FloatArray:
        bank = self.vowels[str(rng.choice(sorted(self.vowels)))]
        octave = 12 * round((np.median([k for k, _ in bank]) - np.median([n.key for n in melody])) / 12)
        out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
        vibrato, before = float(rng.uniform(0, 0.5)), 0.0
        for note in melody:
            key = note.key + octave
            nearest = min(abs(k - key) for k, _ in bank)
            choice = [(k, x) for k, x in bank if abs(k - key) == nearest]
            own, sample = choice[int(rng.integers(len(choice)))]
            wanted = int(min(note.length_s + 0.1, 6.0) * RATE_HZ)
            speed = max(0.4, min(1.5, sample.size / wanted))
            piece = sample[: min(sample.size, int(wanted * speed) + RATE_HZ // 10)]
            curve = pitch_curve(piece.size, key - own, glide=before, vibrato=vibrato, speed=speed)
            sound = moved(np.stack((piece, piece)), semitones=curve, speed=speed)
            add(out, note.start_s, released(sound, note.length_s) * np.float32(note.velocity))
            before = float(np.clip(-(key - own) * 0.1 + rng.normal(0, 0.4), -2, 2))
        return out

    def _sing_words(self, melody: list[Note], length_s: float, rng: np.random.Generator) -> FloatArray:
        assert self.speaker is not None
        words = self.speaker.words(str(rng.choice(VOICES)))
        out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
        spoken_key = 69 + 12 * np.log2(np.median([hz for _, hz in words]) / 440)
        octave = 12 * round((spoken_key + 3 - np.median([n.key for n in melody])) / 12)
        vibrato = float(rng.uniform(0, 0.4))
        for note in melody:
            word, hz = words[int(rng.integers(len(words)))]
            shift = float(np.clip(note.key + octave - (69 + 12 * np.log2(hz / 440)), -12, 14))
            speed = float(np.clip(word.size / (note.length_s * RATE_HZ), 0.45, 1.4))
            curve = pitch_curve(word.size, shift, glide=float(rng.normal(0, 0.5)), vibrato=vibrato, speed=speed)
            sound = moved(np.stack((word, word)), semitones=curve, speed=speed)
            add(out, note.start_s, sound * np.float32(note.velocity))
        return out

    @staticmethod
    def _doubled(lead: FloatArray, rng: np.random.Generator) -> FloatArray:
        """The lead in the middle; beside it sometimes a second take or a voice some scale steps away."""
        if rng.random() < 0.6:
            return lead
        out = lead.copy()
        shifts = [float(rng.choice([0.12, -0.15, 0.2])), float(rng.choice([3.0, 4.0, -5.0, 7.0, -12.0, -0.12]))]
        for side, semitones in zip((0.25, 0.75), shifts, strict=True):
            take = moved(lead, semitones=semitones, speed=1.0)[:, : lead.shape[1]]
            level = float(rng.uniform(0.25, 0.7))
            add(
                out,
                float(rng.uniform(0.008, 0.03)),
                take * np.array([[1 - side], [side]], np.float32) * np.float32(level),
            )
        return out


def moved(x: FloatArray, *, semitones: float | NDArray[np.float64], speed: float) -> FloatArray:
    """Higher or lower and quicker or slower, formants kept; `semitones` is a number or a curve as long as `x`."""
    stretch: float | NDArray[np.float64] = speed if np.isscalar(semitones) else np.full(x.shape[1], speed)
    mono = bool(np.array_equal(x[0], x[1]))
    source = np.ascontiguousarray(x[:1] if mono else x)
    y = pb.time_stretch(source, RATE_HZ, stretch, semitones, high_quality=False, transient_mode="smooth")
    return np.ascontiguousarray(np.broadcast_to(y, (2, y.shape[1])) if mono else y, np.float32)


def pitch_curve(samples: int, shift: float, *, glide: float, vibrato: float, speed: float) -> NDArray[np.float64]:
    """Semitones for every sample of the source: glides in within 80 ms, then vibrato of 5.5 Hz sets in."""
    t = np.repeat(np.arange(0, samples, _CONTROL), _CONTROL)[:samples] / RATE_HZ / speed
    slide = glide * np.exp(-t / 0.04)
    swing = vibrato * np.clip((t - _FULL_CURVE_S) / 0.3, 0, 1) * np.sin(2 * np.pi * 5.5 * t)
    return np.asarray(shift + slide + swing)


def faded(x: FloatArray) -> FloatArray:
    """Without a click at either end."""
    out, ramp = x.copy(), np.linspace(0, 1, 1200, dtype=np.float32)
    if out.size > 2 * ramp.size:
        out[: ramp.size] *= ramp
        out[-ramp.size :] *= ramp[::-1]
    return out


def _vowels(file: PackFile) -> list[tuple[int, FloatArray]]:
    audio = decode(file.path).mean(0)
    cut = [(key, audio[int(start * RATE_HZ) : int((start + length) * RATE_HZ)]) for start, length, key, _ in file.notes]
    return [(int(key), x) for key, x in cut if isinstance(key, int)]
