"""The second validation set: songs of the pack that training never plays, each with a voice that it never hears.

    python examples/train_preview/validation.py --pack ../shared/audio/pack --target FOLDER [--audio ../shared/audio]

One folder per song with the stems as FLAC. The pack's songs have no singers, so the voices are not in their keys; what
counts is that stems and mix are known exactly. With --audio, the minute of the held-out song in which its bass plays
most comes too: enough for a check during training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
from effects import at_level
from instruments import add
from pack import HELD_OUT_SONGS, RATE_HZ, FloatArray, decode, read_index
from scores import read_stems

SINGERS = {"mdn": "nitech_jp_song070_f001_004", "e3m4": "choir_01", "map12": "vocadito_1"}
GROUPS = ("vocals", "drums", "bass", "other")
_ENTRY_S = 3.0  # the band plays alone at first


def song(pack: Path, name: str) -> dict[str, FloatArray]:
    """The four stems of a held-out song, (2, samples) each; they peak at -1 dBFS together."""
    files = read_index(pack)
    parts = [(file.role, decode(file.path)) for file in files if file.song == name]
    size = max(x.shape[1] for _, x in parts)
    stems = {group: np.zeros((2, size), np.float32) for group in GROUPS}
    for role, x in parts:
        stems[role][:, : x.shape[1]] += x
    for group in ("drums", "bass", "other"):
        stems[group] = at_level(stems[group], -20.0)
    voice = next(decode(file.path) for file in files if file.name == SINGERS[name])
    add(stems["vocals"], _ENTRY_S, at_level(voice, -19.0))
    peak = float(np.abs(np.sum(list(stems.values()), 0)).max())
    return {group: x * np.float32(0.89 / peak) for group, x in stems.items()}


def excerpt(folder: Path, seconds: float = 60.0) -> dict[str, FloatArray]:
    """The stretch of a song in which its bass is strongest."""
    stems = read_stems(folder, GROUPS)
    size = int(seconds * RATE_HZ)
    energy = np.cumsum(np.square(stems[2], dtype=np.float64).sum(0))
    start = int(np.argmax(energy[size:] - energy[:-size]))
    return {group: stem[:, start : start + size] for group, stem in zip(GROUPS, stems, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--held-out", default="francium")
    args = parser.parse_args()
    songs = {name: song(args.pack, name) for name in HELD_OUT_SONGS}
    if args.audio is not None:
        songs[f"{args.held_out}-excerpt"] = excerpt(args.audio / args.held_out)
    for name, stems in songs.items():
        (args.target / name).mkdir(parents=True, exist_ok=True)
        for group, x in stems.items():
            soundfile.write(args.target / name / f"{group}.flac", x.T, RATE_HZ, subtype="PCM_24")


if __name__ == "__main__":
    main()
