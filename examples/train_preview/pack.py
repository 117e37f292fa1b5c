"""The training pack: what is in it, what of it is kept from training, and its phrases as clips for the mixer.

`index.json` of the pack says what each file is, and under which licence. Nothing of it is committed or shipped: it
is read from the folder that `prepare.py --pack` names. Whatever HELD_OUT lists makes the second validation set.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 44_100
FloatArray = NDArray[np.float32]

HELD_OUT_SONGS = ("mdn", "e3m4", "map12")  # a recorded band, a rock and a piano arrangement; their MIDI is kept too
HELD_OUT_VOICES = ("nitech_jp_song070_f001_004", "vocadito_1", "choir_01")
PHRASE_KINDS = (
    "groove",
    "loop",
    "phrase",
    "song",
    "phrases",
    "rendered",
    "choir",
    "speech",
    "rendered-song",
    "song-stem",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackFile:
    """One file of the pack; `song` is empty where it belongs to none."""

    path: Path
    role: str
    kind: str
    song: str
    notes: tuple[tuple[float, float, int | str, float], ...]  # start s, length s, MIDI key or piece, velocity 0..1

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(".ogg").removesuffix(".reel").removesuffix(".kit")

    @property
    def held_out(self) -> bool:
        return self.song in HELD_OUT_SONGS or self.name in HELD_OUT_VOICES


def read_index(pack: Path) -> list[PackFile]:
    """All files of the pack, in the order of its index."""
    return [_file(pack, entry) for entry in json.loads((pack / "index.json").read_text())["entries"]]


def _file(pack: Path, entry: dict[str, object]) -> PackFile:
    path = pack / str(entry["path"])
    song = ""
    if entry["kind"] == "rendered-song":
        song = path.stem.rsplit("_", 1)[0]
    elif entry["kind"] in ("song-stem", "song-backing"):
        song = "mdn" if path.stem.startswith("multi-track") else path.parent.name
    notes = []
    for note in entry.get("notes", ()):  # type: ignore[attr-defined]
        velocity = note[3] if len(note) > 3 and isinstance(note[3], int | float) else 1.0
        notes.append((float(note[0]), float(note[1]), note[2], float(velocity)))
    return PackFile(path=path, role=str(entry["role"]), kind=str(entry["kind"]), song=song, notes=tuple(notes))


def decode(path: Path) -> FloatArray:
    """(2, samples) at 44.1 kHz; one channel becomes two equal ones."""
    x, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate_hz == RATE_HZ, f"{path} is at {rate_hz} Hz"
    return np.ascontiguousarray(np.broadcast_to(x.T, (2, x.shape[0])) if x.shape[1] == 1 else x.T)


def phrases(pack: Path) -> list[PackFile]:
    """What may be mixed as it is: grooves, loops, sung and played phrases, stems of songs."""
    found = []
    for file in read_index(pack):
        if file.kind in PHRASE_KINDS and file.role in ("vocals", "drums", "bass", "other") and not file.held_out:
            found.append(file)
    return found
