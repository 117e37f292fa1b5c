"""Fill the training cache: every part of the shared songs decoded once, and synthesised arrangements.

    python examples/train_preview/prepare.py --audio ../shared/audio --cache CACHE [--synthetic-songs 120]

Writes 16-bit arrays of shape (2, samples) at 44.1 kHz and `clips.json`, which says what each one is and where it
sounds. Runs again without redoing what is there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import av
import numpy as np
import pack
import soundfile
from synthesise import RATE_HZ, FloatArray, Singer, synthesise_song

SONGS = ("sodium", "francium", "caesium", "potassium", "rubidium")
GROUPS = ("vocals", "drums", "bass", "other")
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="folder with one folder of true stems per song")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--held-out", default="francium", help="the song that training must never see")
    parser.add_argument("--synthetic-songs", type=int, default=120)
    parser.add_argument("--pack", type=Path, help="folder of the training pack: its phrases become clips too")
    parser.add_argument("--soundfont", type=Path, default=SOUNDFONT)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    clips = []
    for song in SONGS:
        if song != args.held_out:
            clips += store_song(args.audio / song, args.cache)
    if args.pack is not None:
        clips += store_phrases(args.pack, args.cache)
    clips += store_synthetic(args.cache, args.synthetic_songs, args.soundfont)
    (args.cache / "clips.json").write_text(json.dumps(clips))
    print(f"{len(clips)} clips in {args.cache}")


def store_song(folder: Path, cache: Path) -> list[dict[str, object]]:
    """The single parts of a song where they are published, its four groups where they are not."""
    if (folder / "parts.json").exists():
        about = json.loads((folder / "parts.json").read_text())
        files = list((folder / "parts").iterdir())
        entries = [
            (stem["group"], stem["stem"], _part_file(files, stem["stem"]), about["gain"]) for stem in about["stems"]
        ]
    else:
        entries = [(file.stem, file.stem, file, 1.0) for file in sorted(folder.glob("*.ogg"))]
    clips = []
    for group, part, file, gain in entries:
        target = cache / f"{folder.name}--{part.replace('/', '_')}.npy"
        if not target.exists():
            decode = _decode_m4a if file.suffix == ".m4a" else _decode_ogg
            store(target, decode(file) * gain)
        clips.append(describe(target, song=folder.name, group=group, part=part))
    return clips


def store_phrases(folder: Path, cache: Path) -> list[dict[str, object]]:
    """Every phrase of the pack that training may see; a song of the pack keeps its stems together."""
    clips = []
    for file in pack.phrases(folder):
        song = f"pack-{file.song or file.name}"
        target = cache / f"{song}--{file.role}--{file.name}.npy"
        if not target.exists():
            store(target, pack.decode(file.path))
        clips.append(describe(target, song=song, group=file.role, part=file.name))
    return clips


def store_synthetic(cache: Path, count: int, soundfont: Path) -> list[dict[str, object]]:
    clips = []
    singer = Singer() if count else None
    for index in range(count):
        song = f"synthetic-{index:04d}"
        targets = {group: cache / f"{song}--{group}.npy" for group in GROUPS}
        if singer is not None and not all(target.exists() for target in targets.values()):
            stems = synthesise_song(np.random.default_rng(index), 30.0, soundfont, singer)
            for group, target in targets.items():
                store(target, stems[group])
        clips += [describe(target, song=song, group=group, part=group) for group, target in targets.items()]
    return clips


def describe(target: Path, *, song: str, group: str, part: str) -> dict[str, object]:
    """What a clip is, its length, and the half seconds in which it sounds (louder than -50 dB under its peak)."""
    x = np.load(target, mmap_mode="r")
    half = RATE_HZ // 2
    blocks = x[:, : x.shape[1] // half * half].reshape(2, -1, half)
    level = np.array([np.abs(blocks[:, index, ::8]).max() for index in range(blocks.shape[1])], np.float64)
    active = np.nonzero(level > max(100.0, level.max() * 0.02))[0].tolist()
    return {"file": target.name, "song": song, "group": group, "part": part, "samples": x.shape[1], "active": active}


def store(target: Path, x: FloatArray) -> None:
    partial = target.with_suffix(".part.npy")
    np.save(partial, np.round(np.clip(x, -1, 1) * 32767).astype(np.int16))
    partial.rename(target)


def _part_file(files: list[Path], part: str) -> Path:
    """The file whose name ends with `_Stem_<part>`, the copy that is not `_mobile` first."""
    for ending in (f"_Stem_{part}.m4a", f"_Stem_{part}_mobile.m4a"):
        for file in files:
            if file.name.endswith(ending):
                return file
    raise SystemExit(f"prepare.py: no file for the part {part!r}")


def _decode_ogg(file: Path) -> FloatArray:
    x, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
    assert rate_hz == RATE_HZ, f"{file} is at {rate_hz} Hz"
    return np.asarray(x.T)


def _decode_m4a(file: Path) -> FloatArray:
    blocks = []
    with av.open(str(file)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        for frame in container.decode(audio=0):
            blocks += [block.to_ndarray() for block in resampler.resample(frame)]
        blocks += [block.to_ndarray() for block in resampler.resample(None)]
    return np.concatenate(blocks, axis=1)


if __name__ == "__main__":
    main()
