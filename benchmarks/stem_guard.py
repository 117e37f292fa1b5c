"""What the guard by sound refuses: pieces from a sound font, and songs with true stems where a folder of them is given.

    python -m benchmarks.stem_guard [--sound-font FluidR3_GM.sf2] [--songs FOLDER]

`--songs` holds one folder per song with a file per stem (drums.ogg, ...). Exit status 1 when a piece that may be whole
music, a mix, or a mix less one stem is refused: that would be worse than missing any stem.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.random import Generator

from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.separation.stem_likeness import measure

RATE_HZ = 44_100
SECONDS = 100
SOUND_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SCALE = (0, 2, 4, 5, 7, 9, 11)
DRUMS = -1
Note = tuple[float, float, int, int]
"""Begin and length in seconds, MIDI key, velocity."""
Line = Callable[[Generator], Iterator[Note]]


def chords(rng: Generator, beat_s: float) -> Iterator[tuple[float, list[int]]]:
    """A chord of a random progression on every fourth beat."""
    for bar in range(int(SECONDS / (4 * beat_s))):
        root = int(rng.choice((0, 3, 4, 5, 1)))
        yield bar * 4 * beat_s, [SCALE[(root + step) % 7] + 12 * ((root + step) // 7) for step in (0, 2, 4)]


def broken(base: int, beat_s: float, velocity: int, rests: float = 0.0) -> Line:
    def line(rng: Generator) -> Iterator[Note]:
        for begin_s, chord in chords(rng, beat_s):
            if rng.random() < rests:
                continue
            yield begin_s, 4 * beat_s, base - 12 + chord[0], velocity
            for step in range(8):
                key = base + chord[int(rng.integers(3))] + 12 * int(rng.integers(2))
                yield begin_s + step * beat_s / 2, beat_s, key, int(velocity * rng.uniform(0.6, 1))

    return line


def held(base: int, beat_s: float, velocity: int) -> Line:
    def line(rng: Generator) -> Iterator[Note]:
        for begin_s, chord in chords(rng, beat_s):
            yield from ((begin_s, 3.9 * beat_s, base + step, velocity) for step in chord)

    return line


def sung(base: int, beat_s: float, velocity: int, rests: float = 0.4) -> Line:
    def line(rng: Generator) -> Iterator[Note]:
        begin_s, step = 0.0, 0
        while begin_s < SECONDS:
            for _ in range(int(rng.integers(3, 7))):
                step = int(np.clip(step + rng.integers(-3, 4), -5, 9))
                length_s = beat_s * float(rng.choice((0.5, 1, 1, 2)))
                yield begin_s, 0.9 * length_s, base + SCALE[step % 7] + 12 * (step // 7), velocity
                begin_s += length_s
            begin_s += beat_s * int(rng.integers(2, 9)) * (rng.random() < rests)

    return line


def bass(base: int, beat_s: float) -> Line:
    def line(rng: Generator) -> Iterator[Note]:
        for begin_s, chord in chords(rng, beat_s):
            yield from ((begin_s + step * beat_s / 2, beat_s * 0.45, base + chord[0], 90) for step in range(8))

    return line


def beat(beat_s: float, *, hat: bool = True) -> Line:
    def line(rng: Generator) -> Iterator[Note]:
        for step in range(int(SECONDS / beat_s) - 4):
            yield step * beat_s, 0.1, 38 if step % 2 else 36, 110
            if hat:
                yield from ((step * beat_s + half * beat_s / 2, 0.1, 42, 80) for half in range(2))
            if step % 16 == 14:
                yield from ((step * beat_s + q * beat_s / 4, 0.1, int(rng.choice((45, 47, 50))), 100) for q in range(8))

    return line


MUSIC: dict[str, list[tuple[int, Line]]] = {
    "piano": [(0, broken(60, 0.6, 80))],
    "low piano": [(0, broken(43, 0.8, 60))],
    "piano with rests": [(0, broken(60, 1.0, 50, 0.3))],
    "nylon guitar": [(24, broken(52, 0.5, 80))],
    "jazz guitar": [(26, broken(52, 0.6, 70))],
    "guitar and voice": [(24, broken(52, 0.5, 60)), (53, sung(64, 0.5, 100))],
    "piano and voice": [(0, held(55, 0.8, 60)), (53, sung(64, 0.6, 100))],
    "piano with rests and voice": [(0, broken(60, 0.8, 50, 0.4)), (53, sung(64, 0.6, 100, 0.7))],
    "harp": [(46, broken(64, 0.5, 80))],
    "music box": [(10, sung(84, 0.5, 80))],
    "flute": [(73, sung(72, 0.5, 90))],
    "cello": [(42, sung(43, 0.7, 90, 0.2))],
    "double bass, bowed": [(43, sung(33, 0.7, 90, 0.2))],
    "organ": [(19, held(36, 0.9, 70))],
    "electric piano": [(4, broken(40, 0.9, 50))],
    "dark pad": [(89, held(33, 1.5, 70))],
    "choir": [(52, held(55, 1.0, 80))],
    "strings": [(48, held(48, 0.9, 70))],
    "piano and bass": [(0, held(55, 0.6, 60)), (32, bass(33, 0.6))],
    "drums and bass": [(33, bass(33, 0.5)), (DRUMS, beat(0.5))],
    "drums and quiet pad": [(89, held(48, 1.5, 25)), (DRUMS, beat(0.5))],
    "jazz trio": [(0, held(55, 0.5, 60)), (32, bass(33, 0.5)), (DRUMS, beat(0.5))],
}
STEMS: dict[str, list[tuple[int, Line]]] = {
    "fingered bass": [(33, bass(33, 0.5))],
    "picked bass": [(34, bass(33, 0.5))],
    "fretless bass": [(35, sung(33, 0.5, 90, 0.2))],
    "slapped bass": [(36, bass(33, 0.5))],
    "upright bass": [(32, bass(33, 0.5))],
    "synthesiser bass": [(38, bass(30, 0.5))],
    "drums": [(DRUMS, beat(0.5))],
    "busy drums": [(DRUMS, beat(0.25))],
    "drums without hat": [(DRUMS, beat(0.6, hat=False))],
}


def render(lines: list[tuple[int, Line]], sound_font: Path) -> FloatArray:
    """Shape (2, samples)."""
    import tinysoundfont

    synth = tinysoundfont.Synth(samplerate=RATE_HZ, gain=-6)
    font = synth.sfload(str(sound_font))
    events: list[tuple[float, int, int, int, int]] = []
    for place, (program, line) in enumerate(lines):
        channel = 9 if program == DRUMS else place
        synth.program_select(channel, font, 128 if program == DRUMS else 0, max(0, program), program == DRUMS)
        for begin_s, length_s, key, velocity in line(np.random.default_rng(place + 1)):
            events += [(begin_s, 1, channel, key, velocity), (begin_s + length_s, 0, channel, key, 0)]
    out, position = [], 0
    for time_s, begins, channel, key, velocity in sorted(events):
        count = int(time_s * RATE_HZ) - position
        if count > 0:
            out.append(np.frombuffer(bytes(synth.generate(count)), dtype=np.float32).reshape(-1, 2))
            position += count
        if begins:
            synth.noteon(channel, key, velocity)
        else:
            synth.noteoff(channel, key)
    return np.ascontiguousarray(np.concatenate(out).T)


def recordings(sound_font: Path, songs: Path | None) -> Iterator[tuple[str, bool, FloatArray]]:
    """Name, whether it may be whole music, samples."""
    if sound_font.is_file():
        for kind, pieces in ((True, MUSIC), (False, STEMS)):
            for name, lines in pieces.items():
                yield name, kind, render(lines, sound_font)
    for folder in sorted(path for path in songs.iterdir() if path.is_dir()) if songs else ():
        parts = {path.stem: soundfile.read(path, dtype="float32")[0].T for path in sorted(folder.glob("*.ogg"))}
        length = min(part.shape[1] for part in parts.values())
        mix = np.sum([part[:, :length] for part in parts.values()], axis=0)
        yield f"{folder.name}, mix", True, mix
        for name, part in parts.items():
            yield f"{folder.name} without {name}", True, mix - part[:, :length]
            yield f"{folder.name}, {name}", False, part


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sound-font", type=Path, default=SOUND_FONT)
    parser.add_argument("--songs", type=Path)
    args = parser.parse_args()
    counts = {True: [0, 0], False: [0, 0]}
    for name, may_be_whole, samples in recordings(args.sound_font, args.songs):
        reason = measure([samples], RATE_HZ).reason
        counts[may_be_whole][0] += bool(reason)
        counts[may_be_whole][1] += 1
        print(f"{'music' if may_be_whole else 'stem':<5} {name:<28} {reason or 'passes'}", flush=True)
    print(f"refused: {counts[True][0]} of {counts[True][1]} music, {counts[False][0]} of {counts[False][1]} stems")
    return 1 if counts[True][0] else 0


if __name__ == "__main__":
    sys.exit(main())
