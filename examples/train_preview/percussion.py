"""Electronic percussion that no sampler has: recorded grooves played on kits that are drawn anew every time.

    python examples/train_preview/percussion.py --pack ../shared/audio/pack --cache CACHE --count 240

Membranes with falling pitch, noise through resonances, struck metal by frequency modulation, and layers of these. Every
clip is decided by its number alone; the mixer picks up what is there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import midi_songs
import numpy as np
from changes import resonant, roomy, wide
from instruments import Note, add
from mixing import PERCUSSION
from pack import RATE_HZ, FloatArray
from prepare import describe, store

LENGTH_S = 30.0
_LOW, _HIGH = (35, 36), (42, 44, 46, 49, 51, 52, 53, 55, 57, 59)  # General MIDI: bass drums; hats and cymbals


def clip(pack: Path, number: int, length_s: float = LENGTH_S) -> FloatArray:
    """(2, samples), peak 0.7."""
    rng = np.random.default_rng((23, number))
    names = midi_songs.groove_names(pack)
    parts, song_s = midi_songs.read_song(pack / midi_songs.GROOVES, names[int(rng.integers(len(names)))])
    speed = float(rng.uniform(0.8, 1.25))
    start_s = float(rng.uniform(0, max(0.1, song_s - length_s * speed)))
    notes = midi_songs.excerpt(midi_songs.drums_of(parts), start_s, length_s, speed=speed)
    out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
    for key in sorted({note.key for note in notes}):
        out += _voice(key, [note for note in notes if note.key == key], out.shape[1], rng)
    for change, chance in ((resonant, 0.3), (roomy, 0.4), (wide, 0.3)):
        if rng.random() < chance:
            out = change(out, rng)
    if rng.random() < 0.4:
        out = np.tanh(out * np.float32(rng.uniform(1, 6)))
    return (out * np.float32(0.7 / max(1e-6, float(np.abs(out).max())))).astype(np.float32)


def _voice(key: int, notes: list[Note], samples: int, rng: np.random.Generator) -> FloatArray:
    """All strokes of one piece of the kit, in its place between the loudspeakers."""
    stroke = _stroke(key, rng)
    pan = 0.0 if key in _LOW else float(rng.uniform(-0.8, 0.8))
    places = np.array([[1 - max(0.0, pan)], [1 + min(0.0, pan)]], np.float32)
    out = np.zeros((2, samples), np.float32)
    for note in notes:
        sound = stroke * np.float32(note.velocity ** float(rng.uniform(0.9, 1.3)))
        add(out, note.start_s, places * sound)
    return wide(out, rng) if key not in _LOW and rng.random() < 0.2 and out.any() else out


def _stroke(key: int, rng: np.random.Generator) -> FloatArray:
    """(samples,) of one stroke, peak near 1."""
    if key in _LOW:
        sound = _membrane(rng, float(rng.uniform(32, 90)), drop=float(rng.uniform(2, 7)))
    elif key in _HIGH:
        sound = _noise(rng, float(rng.uniform(2500, 11_000))) if rng.random() < 0.7 else _metal(rng, 2.5)
    else:
        kinds = rng.permutation(3)[: int(rng.choice([1, 2, 2]))]
        drawn = [_middle(int(kind), rng) for kind in kinds]
        sound = np.zeros(max(x.size for x in drawn), np.float32)
        for x in drawn:
            sound[: x.size] += x * np.float32(rng.uniform(0.3, 1))
    if rng.random() < 0.4:
        sound = np.tanh(sound * np.float32(rng.uniform(1, 8)))
    return (sound / max(1e-6, float(np.abs(sound).max()))).astype(np.float32)


def _middle(kind: int, rng: np.random.Generator) -> FloatArray:
    if kind == 0:
        return _membrane(rng, float(np.exp(rng.uniform(np.log(80), np.log(700)))), drop=float(rng.uniform(1, 2.5)))
    if kind == 1:
        return _noise(rng, float(np.exp(rng.uniform(np.log(200), np.log(5000)))))
    return _metal(rng, 0.6)


def _envelope(rng: np.random.Generator, shortest_s: float, longest_s: float) -> FloatArray:
    """A stroke of a few milliseconds and its decay, now and then shut like a gate."""
    decay_s = float(np.exp(rng.uniform(np.log(shortest_s), np.log(longest_s))))
    t = np.arange(int(min(1.5, 5 * decay_s) * RATE_HZ)) / RATE_HZ
    shape = np.exp(-t / decay_s) if rng.random() < 0.8 else (t < 2 * decay_s) * 1.0
    ends = np.minimum(1, t / rng.uniform(0.0005, 0.004)) * np.clip((t[-1] - t) / 0.004, 0, 1)
    return np.asarray(shape * ends, np.float32)


def _membrane(rng: np.random.Generator, hz: float, *, drop: float) -> FloatArray:
    """A few partials that begin `drop` times as high and fall within some hundredths of a second."""
    envelope = _envelope(rng, 0.04, 0.5)
    t = np.arange(envelope.size) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(hz * (1 + (drop - 1) * np.exp(-t / rng.uniform(0.005, 0.08)))) / RATE_HZ
    partials = rng.choice([1.0, 1.59, 2.14, 2.3, 2.65, 3.2], int(rng.integers(0, 3)), replace=False)
    sound = np.sin(phase)
    for partial in partials:
        sound += rng.uniform(0.1, 0.7) * np.sin(partial * phase) * np.exp(-t / rng.uniform(0.02, 0.2))
    return np.asarray(sound * envelope, np.float32)


def _noise(rng: np.random.Generator, hz: float) -> FloatArray:
    """Noise around a frequency, a hiss or nearly a note."""
    envelope = _envelope(rng, 0.01, 0.35)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(envelope.size, 1 / RATE_HZ), 10.0) / hz)
    shape = np.exp(-0.5 * (octaves / rng.uniform(0.08, 1.5)) ** 2)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(envelope.size)) * shape, envelope.size)
    return np.asarray(noise / max(1e-6, np.abs(noise).max()) * envelope, np.float32)


def _metal(rng: np.random.Generator, height: float) -> FloatArray:
    """Frequency modulation at a crooked ratio: bells, cowbells, plates."""
    envelope = _envelope(rng, 0.03, 0.4)
    t = np.arange(envelope.size) / RATE_HZ
    hz, ratio = height * np.exp(rng.uniform(np.log(250), np.log(2500))), rng.uniform(0.3, 5)
    index = rng.uniform(0.5, 8) * np.exp(-t / rng.uniform(0.02, 0.3))
    return np.asarray(np.sin(2 * np.pi * hz * t + index * np.sin(2 * np.pi * hz * ratio * t)) * envelope, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--count", type=int, default=240)
    args = parser.parse_args()
    for number in range(args.count):
        song = f"{PERCUSSION}{number:04d}"
        about = args.cache / f"{song}.clips.json"
        if about.exists():
            continue
        target = args.cache / f"{song}--drums.npy"
        store(target, clip(args.pack, number))
        about.with_suffix(".part").write_text(json.dumps([describe(target, song=song, group="drums", part="drums")]))
        about.with_suffix(".part").rename(about)


if __name__ == "__main__":
    main()
