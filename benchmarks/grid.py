"""Tempo grids against truth: songs with true stems, the same separated, and loops.

    python -m benchmarks.grid --true-stems SONGS [--separated] [--synthetic] [--broken]

SONGS holds a folder a song with `drums.ogg`, `bass.ogg`, ...; their tempo stands in TEMPOS, bar 1 is the start of the
file. `--separated` runs the preview model on the sum of the stems and listens to what comes out. Exit status 1 when a
bar of issue 18 is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from benchmarks import grid_loops
from daw_bridge.analysis.features import Features, features
from daw_bridge.analysis.grid import Grid, find_grid, listen

TEMPOS = {"sodium": 140.0, "potassium": 90.0, "rubidium": 132.0, "caesium": 130.0, "francium": 128.0}
BLOCK = 1 << 18
Audio = np.ndarray


def blocks(audio: Audio) -> Iterator[Audio]:
    return (audio[begin : begin + BLOCK] for begin in range(0, len(audio), BLOCK))


def mono(path: Path) -> tuple[Audio, int]:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return audio.mean(axis=1), rate


def song(folder: Path) -> tuple[dict[str, Audio], int]:
    """The true stems of a song, as long as the longest, mono."""
    found = {path.stem: mono(path) for path in sorted(folder.glob("*.ogg"))}
    size = max(len(audio) for audio, _ in found.values())
    rate = next(iter(found.values()))[1]
    return {name: np.pad(audio, (0, size - len(audio))) for name, (audio, _) in found.items()}, rate


def hear(stems: Mapping[str, Audio], mix: Audio, rate: int, model: str = "") -> Grid | None:
    parts: dict[str, Features] = {
        name: features(blocks(audio), rate, bands=name in ("drums", "bass")) for name, audio in stems.items()
    }
    heard = listen(parts, features(blocks(mix), rate), model=model)
    return find_grid(heard) if heard is not None else None


def separated(stems: Mapping[str, Audio], rate: int) -> dict[str, Audio]:
    """What the preview model makes of their sum."""
    from daw_bridge.build_options import BuildOptions
    from daw_bridge.workflow import separate

    with TemporaryDirectory() as folder:
        mix = Path(folder) / "mix.wav"
        soundfile.write(mix, sum(stems.values()), rate, subtype="FLOAT")
        options = BuildOptions(model="preview", output=Path(folder) / "out", use_cache=False, grid="off")
        result = separate(mix, options)
        return {stem.name: mono(result.folder / stem.file)[0] for stem in result.manifest.stems if stem.role == "stem"}


def score_song(name: str, stems: Mapping[str, Audio], mix: Audio, rate: int, model: str) -> tuple[bool, bool]:
    """Whether everything is right, and whether it is wrong with confidence."""
    started = time.process_time()
    grid = hear(stems, mix, rate, model)
    used_s = time.process_time() - started
    if grid is None:
        print(f"{name:10} nothing")
        return False, False
    bpm = TEMPOS[name]
    truth = np.arange(0.0, len(mix) / rate, 60.0 / bpm)
    beat_f = grid_loops.f_measure(truth, grid.beats_s)
    bar_f = grid_loops.f_measure(truth[::4], grid.downbeats_s)
    offset_ms = 1e3 * float(np.median([time_s - truth[np.abs(truth - time_s).argmin()] for time_s in grid.beats_s]))
    right = abs(grid.bpm - bpm) <= 0.01 and beat_f >= 0.99 and bar_f >= 0.95 and abs(offset_ms) <= 10.0
    print(
        f"{name:10} {grid.bpm:9.4f} BPM (true {bpm:g})  beats {beat_f:.3f}  downbeats {bar_f:.3f}  "
        f"{offset_ms:+5.1f} ms  sure {grid.sure}/{grid.downbeat_sure}  {used_s:.1f} CPU s"
    )
    wrong = (grid.sure and beat_f < 0.9) or (grid.downbeat_sure and bar_f < 0.9)
    return right, wrong


def run_songs(folder: Path, *, separate_first: bool) -> bool:
    rows = []
    for name in TEMPOS:
        if (folder / name).is_dir():
            stems, rate = song(folder / name)
            mix = np.sum(list(stems.values()), axis=0)
            model = "preview" if separate_first else ""
            rows.append(score_song(name, separated(stems, rate) if separate_first else stems, mix, rate, model))
    right, wrong = sum(row[0] for row in rows), sum(row[1] for row in rows)
    print(f"right {right} of {len(rows)}, wrong with confidence {wrong}")
    return bool(rows) and right >= len(rows) - separate_first and not wrong


def run_loops() -> bool:
    good = True
    for kind in ("drums", "mix"):
        rows = [grid_loops.score(case, kind, hear) for case in grid_loops.CHOSEN]
        amlt = float(np.mean([row.amlt for row in rows]))
        p95 = [row.p95_ms for row in rows if row.p95_ms is not None]
        called = sum(row.called_constant and row.moves for row in rows)
        print(
            f"{kind:5} {len(rows)} loops: AMLt {amlt:.3f}, F {np.mean([row.f for row in rows]):.3f}, "
            f"moving ones called constant {called}, p95 where F > .9: median {np.median(p95):.1f} ms, "
            f"above 10 ms {sum(np.array(p95) > 10)} of {len(p95)}, "
            f"sure {sum(row.sure for row in rows)}, of these wrong {sum(row.wrong for row in rows)}"
        )
        good &= amlt >= 0.9 and not called and float(np.median(p95)) <= 10.0
    return good


def run_broken() -> bool:
    """Broken beats, hard on purpose: no share has to be right, none may be wrong and called sure."""
    wrong = 0
    for kind in ("drums", "mix"):
        rows = [(case, grid_loops.score(case, kind, hear)) for case in grid_loops.BROKEN_CASES]
        for case, row in rows:
            if row.wrong or row.wrong_bars:
                what = "beats" if row.wrong else "bars"
                print(
                    f"  {kind}: {case.pattern} at {case.bpm:g}, {case.kind}: {what} wrong and sure, AMLt {row.amlt:.2f}"
                )
        mistakes = sum(row.wrong for _, row in rows), sum(row.wrong_bars for _, row in rows)
        print(
            f"{kind:5} {len(rows)} broken beats: AMLt {np.mean([row.amlt for _, row in rows]):.3f}, "
            f"sure {sum(row.sure for _, row in rows)}, of these wrong {mistakes[0]}, bars wrong and sure {mistakes[1]}"
        )
        wrong += sum(mistakes)
    return not wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--true-stems", type=Path, nargs="?", const=Path("../shared/audio"), metavar="SONGS")
    parser.add_argument("--separated", type=Path, nargs="?", const=Path("../shared/audio"), metavar="SONGS")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--broken", action="store_true")
    args = parser.parse_args()
    good = True
    if args.true_stems:
        good &= run_songs(args.true_stems, separate_first=False)
    if args.separated:
        good &= run_songs(args.separated, separate_first=True)
    if args.synthetic:
        good &= run_loops()
    if args.broken:
        good &= run_broken()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
