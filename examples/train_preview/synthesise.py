"""Arrangements that nobody wrote: bass, drums, chords and a sung line, each stem rendered on its own.

Instruments come from a General MIDI soundfont (FluidR3 GM, MIT licence) and from the small electronic voices below;
the singer is espeak-ng, words pitched to a melody. Far from real music, but of a variety that five songs lack.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

RATE_HZ = 44_100
FloatArray = NDArray[np.float32]
Note = tuple[float, float, int, float]  # start s, length s, MIDI key, velocity 0..1

PROGRESSIONS = (
    (0, 5, 3, 4),
    (0, 3, 4, 4),
    (5, 3, 0, 4),
    (0, 4, 5, 3),
    (1, 4, 0, 0),
    (0, 0, 5, 4),
    (5, 4, 3, 4),
    (0, 2, 3, 4),
)
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10))
CHORD_PROGRAMS = (*range(0, 8), *range(16, 21), *range(24, 31), *range(48, 52), *range(61, 64), *range(80, 104))
LEAD_PROGRAMS = (*range(8, 15), *range(40, 43), *range(56, 61), *range(64, 80), *range(80, 88), 104, 106, 108)
DRUM_KITS = (0, 0, 8, 16, 24, 25, 25, 32, 40)
VOICES = ("en+f1", "en+f2", "en+f3", "en+f4", "en+f5", "en+m1", "en+m3", "en+m5", "en+m7", "en+anika", "en+belinda",
          "en+linda", "en+steph", "en-us", "fr+f2", "de+f3", "es+f4", "it+f1", "pt+m2", "sv+f5")  # fmt: skip
WORDS = ("love", "you", "all night", "away", "oh", "baby", "light", "fire", "free", "home", "rain", "feel", "I know",
         "time", "never", "again", "la", "hey", "dream", "run", "ooh", "yeah", "falling", "alone", "moon")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Song:
    """Key, speed and chords of one arrangement."""

    beats_per_minute: float
    root: int
    scale: tuple[int, ...]
    chords: tuple[int, ...]
    length_s: float

    @property
    def beat_s(self) -> float:
        return 60.0 / self.beats_per_minute

    def key(self, degree: int, octave: int) -> int:
        return self.root + 12 * (octave + degree // 7) + self.scale[degree % 7]

    def bars(self) -> list[tuple[float, int]]:
        count = int(self.length_s / (4 * self.beat_s))
        return [(bar * 4 * self.beat_s, self.chords[bar % len(self.chords)]) for bar in range(count)]


def draw_song(rng: np.random.Generator, length_s: float) -> Song:
    scale = SCALES[int(rng.integers(len(SCALES)))]
    chords = PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))]
    return Song(float(rng.uniform(72, 172)), int(rng.integers(12)), scale, chords, length_s)


def synthesise_song(
    rng: np.random.Generator, length_s: float, soundfont: Path, singer: Singer
) -> dict[str, FloatArray]:
    """The four stems of one arrangement, each (2, samples)."""
    song = draw_song(rng, length_s)
    electronic = rng.random() < 0.5
    stems = {
        "drums": electronic_drums(rng, song) if electronic else gm_drums(rng, song, soundfont),
        "bass": electronic_bass(rng, song) if rng.random() < 0.5 else gm_bass(rng, song, soundfont),
        "other": gm_other(rng, song, soundfont),
        "vocals": singer.sing(rng, song),
    }
    return {name: (0.5 * x / max(1e-6, float(np.abs(x).max()))).astype(np.float32) for name, x in stems.items()}


def play(soundfont: Path, notes: list[Note], length_s: float, *, program: int, drums: bool = False) -> FloatArray:
    """Notes through one General MIDI program, (2, samples)."""
    synth, font = _load(soundfont)
    synth.sounds_off(0)  # nothing of the stem before
    synth.program_select(0, font, 128 if drums else 0, program, drums)
    events = sorted(
        [(start, 1, key, velocity) for start, _, key, velocity in notes]
        + [(start + length, 0, key, 0.0) for start, length, key, _ in notes]
    )
    total, done, blocks = int(length_s * RATE_HZ), 0, []
    for time_s, on, key, velocity in events:
        position = min(total, int(time_s * RATE_HZ))
        if position > done:
            blocks.append(_render(synth, position - done))
            done = position
        if on:
            synth.noteon(0, key, max(1, int(127 * velocity)))
        else:
            synth.noteoff(0, key)
    if total > done:
        blocks.append(_render(synth, total - done))
    return np.ascontiguousarray(np.concatenate(blocks).T)


@cache
def _load(soundfont: Path):  # type: ignore[no-untyped-def]
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=RATE_HZ)
    return synth, synth.sfload(str(soundfont), gain=-6.0)


def _render(synth, count: int) -> FloatArray:  # type: ignore[no-untyped-def]
    return np.frombuffer(bytes(synth.generate(count)), dtype=np.float32).reshape(-1, 2)


def gm_drums(rng: np.random.Generator, song: Song, soundfont: Path) -> FloatArray:
    notes: list[Note] = []
    for time_s, key, velocity in beat(rng, song):
        notes.append(
            (time_s, 0.1, {"kick": 36, "snare": 38, "clap": 39, "hat": 42, "open": 46, "crash": 49}[key], velocity)
        )
    kit = int(rng.choice(DRUM_KITS))
    return play(soundfont, notes, song.length_s, program=kit, drums=True)


def beat(rng: np.random.Generator, song: Song) -> list[tuple[float, str, float]]:
    """A drum pattern of sixteenths with small changes from bar to bar: (time s, piece, velocity)."""
    kick = rng.random(16) < np.where(np.arange(16) % 4 == 0, rng.choice([0.5, 0.95]), 0.12)
    kick[0] = True
    snare = np.zeros(16, bool)
    snare[[4, 12]] = True
    snare |= rng.random(16) < 0.05
    hat = rng.random(16) < np.where(np.arange(16) % 2 == 0, 0.9, rng.choice([0.1, 0.8]))
    back = str(rng.choice(["snare", "clap"]))
    hits: list[tuple[float, str, float]] = []
    for bar, (start_s, _) in enumerate(song.bars()):
        if rng.random() < 0.08:
            continue
        for step in range(16):
            time_s = start_s + step * song.beat_s / 4 + abs(float(rng.normal(0, 0.003)))
            accent = 0.9 if step % 4 == 0 else 0.65
            if kick[step]:
                hits.append((time_s, "kick", accent))
            if snare[step] or (bar % 4 == 3 and step > 11 and rng.random() < 0.4):
                hits.append((time_s, back, accent))
            if hat[step]:
                hits.append((time_s, "open" if rng.random() < 0.06 else "hat", accent * float(rng.uniform(0.5, 1))))
        if bar % 8 == 0:
            hits.append((start_s, "crash", 0.8))
    return hits


def bass_notes(rng: np.random.Generator, song: Song) -> list[Note]:
    pattern = [(int(step), float(rng.choice([0.9, 1.8, 0.5]))) for step in range(8) if step == 0 or rng.random() < 0.5]
    octave = int(rng.choice([2, 2, 3]))
    notes: list[Note] = []
    for start_s, degree in song.bars():
        for step, length in pattern:
            shift = int(rng.choice([0, 0, 0, 4, 7]))
            notes.append(
                (start_s + step * song.beat_s / 2, length * song.beat_s / 2, song.key(degree + shift, octave), 0.8)
            )
    return notes


def gm_bass(rng: np.random.Generator, song: Song, soundfont: Path) -> FloatArray:
    return play(soundfont, bass_notes(rng, song), song.length_s, program=int(rng.integers(32, 40)))


def gm_other(rng: np.random.Generator, song: Song, soundfont: Path) -> FloatArray:
    chords: list[Note] = []
    rhythm = [step for step in range(8) if step == 0 or rng.random() < rng.choice([0.1, 0.6])]
    arpeggio = rng.random() < 0.35
    for start_s, degree in song.bars():
        triad = [song.key(degree + third, 4) for third in (0, 2, 4, 6)[: int(rng.choice([3, 4]))]]
        for index, step in enumerate(rhythm):
            keys = [triad[index % len(triad)]] if arpeggio else triad
            length = (4 * song.beat_s / len(rhythm)) * float(rng.uniform(0.5, 1.1))
            chords += [(start_s + step * song.beat_s / 2, length, key, 0.6) for key in keys]
    x = play(soundfont, chords, song.length_s, program=int(rng.choice(CHORD_PROGRAMS)))
    if rng.random() < 0.7:
        lead = melody(rng, song, octave=5, density=0.5)
        y = play(soundfont, lead, song.length_s, program=int(rng.choice(LEAD_PROGRAMS)))
        left, right = float(rng.uniform(0.2, 1)), float(rng.uniform(0.2, 1))
        x = x + y * np.array([[left], [right]], np.float32)
    return x


def melody(rng: np.random.Generator, song: Song, *, octave: int, density: float) -> list[Note]:
    notes: list[Note] = []
    degree = int(rng.integers(7))
    for start_s, _ in song.bars():
        if rng.random() < 0.2:
            continue
        step = 0
        while step < 8:
            length = int(rng.choice([1, 1, 2, 3]))
            if rng.random() < density:
                degree = int(np.clip(degree + rng.integers(-2, 3), -3, 9))
                notes.append(
                    (start_s + step * song.beat_s / 2, length * song.beat_s / 2, song.key(degree, octave), 0.8)
                )
            step += length
    return notes


def electronic_bass(rng: np.random.Generator, song: Song) -> FloatArray:
    """Saw, square or sine through a low-pass that closes with every note; in the middle of the stereo field."""
    kind, brightness_hz = str(rng.choice(["saw", "square", "sine"])), float(rng.uniform(200, 2500))
    detune, out = float(rng.uniform(0, 0.004)), np.zeros(int(song.length_s * RATE_HZ) + RATE_HZ * 4)
    for start_s, length_s, key, velocity in bass_notes(rng, song):
        t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
        hz = 440.0 * 2.0 ** ((key - 69) / 12)
        phase = np.stack([hz * t, hz * (1 + detune) * t])
        wave = np.sin(2 * np.pi * phase)
        if kind == "saw":
            wave = 2 * (phase % 1) - 1
        elif kind == "square":
            wave = np.sign(wave)
        envelope = np.minimum(1, t / 0.004) * np.minimum(1, np.maximum(0, length_s - t) / 0.02) * np.exp(-t * 1.5)
        start = int(start_s * RATE_HZ)
        out[start : start + t.size] += velocity * wave.mean(0) * envelope
    if kind != "sine":
        out = sosfilt(butter(2, brightness_hz, fs=RATE_HZ, output="sos"), out)
    out = out[: int(song.length_s * RATE_HZ)]
    return np.tile(np.tanh(out * float(rng.uniform(0.5, 3))), (2, 1)).astype(np.float32)


def electronic_drums(rng: np.random.Generator, song: Song) -> FloatArray:
    """Drum-machine pieces: a sine that falls in pitch, filtered noise for the rest; drawn anew for every song."""
    t = np.arange(int(0.5 * RATE_HZ)) / RATE_HZ
    low_hz, drop_hz, drop, decay = rng.uniform(40, 62), rng.uniform(80, 400), rng.uniform(15, 70), rng.uniform(5, 18)
    sweep = 2 * np.pi * (low_hz * t + drop_hz / drop * (1 - np.exp(-drop * t)))
    noise = rng.normal(size=(6, t.size))
    pieces = {
        "kick": np.tanh(rng.uniform(1, 3) * np.sin(sweep) * np.exp(-decay * t)),
        "snare": (0.5 * np.sin(2 * np.pi * rng.uniform(150, 250) * t) * np.exp(-25 * t)
                  + 0.5 * _band(noise[0], rng.uniform(500, 1500), 9000) * np.exp(-rng.uniform(10, 25) * t)),
        "clap": _band(noise[1], 800, 5000) * np.exp(-rng.uniform(12, 30) * t) * (1 + (t < 0.03) * np.sin(600 * t)),
        "hat": 0.5 * _band(noise[2], rng.uniform(5000, 9000), 18000) * np.exp(-rng.uniform(40, 90) * t),
        "open": 0.5 * _band(noise[3], rng.uniform(5000, 8000), 18000) * np.exp(-rng.uniform(8, 15) * t),
        "crash": 0.4 * _band(noise[4], 3000, 17000) * np.exp(-4 * t),
    }  # fmt: skip
    place = {name: rng.uniform(0.6, 1, 2) if name in ("hat", "open", "crash") else np.ones(2) for name in pieces}
    out = np.zeros((2, int(song.length_s * RATE_HZ) + RATE_HZ))
    for time_s, name, velocity in beat(rng, song):
        start = int(time_s * RATE_HZ)
        count = min(t.size, out.shape[1] - start)
        out[:, start : start + count] += velocity * place[name][:, None] * pieces[name][:count]
    return out[:, : int(song.length_s * RATE_HZ)].astype(np.float32)


def _band(x: NDArray[np.float64], low_hz: float, high_hz: float) -> NDArray[np.float64]:
    return np.asarray(sosfilt(butter(2, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos"), x))


class Singer:
    """A bank of words spoken once, then pitched to melodies; two takes a little apart make it wide."""

    def __init__(self) -> None:
        if shutil.which("espeak-ng") is None:
            raise SystemExit("synthesise.py: espeak-ng is not installed; install it, or run with --synthetic-songs 0")
        self._bank: dict[str, list[tuple[FloatArray, float]]] = {}

    def words(self, voice: str) -> list[tuple[FloatArray, float]]:
        if voice not in self._bank:
            spoken = [_speak(voice, word) for word in WORDS]
            self._bank[voice] = [(x, _pitch_hz(x)) for x in spoken if x.size > 2000]
        return self._bank[voice]

    def sing(self, rng: np.random.Generator, song: Song) -> FloatArray:
        words = self.words(str(rng.choice(VOICES)))
        out = np.zeros((2, int(song.length_s * RATE_HZ) + 4 * RATE_HZ), np.float32)
        takes = int(rng.choice([1, 1, 2]))
        for start_s, length_s, key, velocity in melody(rng, song, octave=int(rng.choice([3, 4])), density=0.7):
            x, pitch_hz = words[int(rng.integers(len(words)))]
            wanted_hz = 440.0 * 2.0 ** ((key - 69) / 12)
            ratio = float(np.clip(wanted_hz / pitch_hz, 0.6, 1.9))
            for take in range(takes):
                y = soxr.resample(x, RATE_HZ * ratio * (1 + 0.004 * take), RATE_HZ)[: int((length_s + 0.3) * RATE_HZ)]
                y[-400:] *= np.linspace(1, 0, y[-400:].size, dtype=np.float32)
                start = int((start_s + 0.015 * take) * RATE_HZ)
                sides = ((1.0, 1.0), (1.0, 0.3), (0.3, 1.0))[take + (takes > 1)]
                for channel in range(2):
                    out[channel, start : start + y.size] += velocity * sides[channel] * y
        return out[:, : int(song.length_s * RATE_HZ)]


def _speak(voice: str, word: str) -> FloatArray:
    command = ["espeak-ng", "-v", voice, "-s", "120", "--stdout", word]
    wave = subprocess.run(command, check=True, capture_output=True).stdout
    x, rate_hz = soundfile.read(io.BytesIO(wave), dtype="float32")
    return np.asarray(soxr.resample(x, rate_hz, RATE_HZ), np.float32)


def _pitch_hz(x: FloatArray) -> float:
    """Fundamental of the loudest tenth of a second by autocorrelation, within 70 to 400 Hz."""
    size = RATE_HZ // 10
    energy = np.cumsum(np.square(x, dtype=np.float64))
    loudest = int(np.argmax(energy[size:] - energy[:-size])) if x.size > size else 0
    piece = x[loudest : loudest + size]
    spectrum = np.abs(np.fft.rfft(piece, 4 * size)) ** 2
    correlation = np.fft.irfft(spectrum)
    low, high = RATE_HZ // 400, RATE_HZ // 70
    return RATE_HZ / (low + int(np.argmax(correlation[low:high])))
