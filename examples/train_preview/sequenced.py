"""Electronic songs that people made with the sequencer LMMS: rendered once per stem, from the demos that it comes with.

    python examples/train_preview/sequenced.py --cache CACHE --variants 240        # needs: apt install lmms

Only songs under a permissive licence (Artistic 2.0, BSD-2-Clause; Debian's copyright file of lmms-common says which).
LMMS and the single sounds that it plays are GPL-2+; only sound that it made is used, never the songs' files.
A song is rendered with all instruments but one stem's muted, so effects and automation stay as their author had them.
`--variants` adds passages with other sounds (`reorchestrate.py`), at other speeds and in other keys.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import tempfile
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import soundfile
from effects import at_level
from mixing import SEQUENCED
from pack import RATE_HZ, FloatArray
from prepare import GROUPS, describe, store
from reorchestrate import Sounds, group_of, players, reorchestrated

LMMS = Path("/usr/share/lmms")
SONGS = (
    "demos/CapDan/CapDan-ReggaeTry.mmpz",
    "demos/CapDan/CapDan-ReggaetonTry.mmpz",
    "demos/CapDan/CapDan-ZeroSumGame-OriginalByZakarra.mmpz",
    "demos/EsoXLB-CPU.mmpz",
    "demos/Impulslogik-Zen.mmpz",
    "demos/Momo64-esp.mmpz",
    "demos/Oglsdl-Dr8v2.mmpz",
    "demos/Oglsdl-PpTrip.mmpz",
    "demos/Saber-FinalStep.mmpz",
    "demos/Settel-InnerRecreation.mmpz",
    "demos/Socceroos-Progress.mmpz",
    "demos/TameAnderson-MakeMe.mmpz",
    "demos/Thomasso-AxeFromThe80s.mmpz",
    "shorties/Crunk(Demo).mmp",
    "shorties/Greshz-CoolSnip.mmpz",
    "shorties/Surrender-Main.mmpz",
)


def read(project: Path) -> ET.Element:
    """The XML of an .mmp, or of an .mmpz (four bytes of length, then zlib)."""
    data = project.read_bytes()
    return ET.fromstring(zlib.decompress(data[4:]) if project.suffix == ".mmpz" else data)  # noqa: S314  Debian's files


def stems_of(song: ET.Element) -> dict[str, FloatArray]:
    """The stems that sound, (2, samples) each; the loudest peaks at 0.7."""
    rendered = {group: render(copy.deepcopy(song), group) for group in GROUPS}
    made = {group: stem for group, stem in rendered.items() if stem is not None and np.abs(stem).max() > 1e-3}
    peak = max((float(np.abs(stem).max()) for stem in made.values()), default=1.0)
    return {group: stem * np.float32(0.7 / peak) for group, stem in made.items()}


def render(song: ET.Element, group: str) -> FloatArray | None:
    """One stem, (2, samples); None where nobody plays it. The song's other players are muted for good."""
    playing = 0
    for track in players(song):
        if group_of(track) != group:
            track.set("muted", "1")
        else:
            playing += 1
    if not playing:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "song.mmp"), Path(folder, "song.wav")
        ET.ElementTree(song).write(source, encoding="utf-8", xml_declaration=True)
        command = [
            "lmms",
            "--allowroot",
            "render",
            str(source),
            "-f",
            "wav",
            "-a",
            "-s",
            str(RATE_HZ),
            "-o",
            str(target),
        ]
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        audio, rate_hz = soundfile.read(target, dtype="float32", always_2d=True)
    assert rate_hz == RATE_HZ
    return np.asarray(audio.T)


def keep(cache: Path, song: str, stems: dict[str, FloatArray]) -> None:
    clips = []
    for group, stem in stems.items():
        target = cache / f"{song}--{group}.npy"
        store(target, stem)
        clips.append(describe(target, song=song, group=group, part=group))
    about = cache / f"{song}.clips.json"
    about.with_suffix(".part").write_text(json.dumps(clips))
    about.with_suffix(".part").rename(about)
    print(song, {group: f"{stem.shape[1] / RATE_HZ:.0f} s" for group, stem in stems.items()}, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--lmms", type=Path, default=LMMS, help="folder with LMMS's projects, presets and samples")
    parser.add_argument("--variants", type=int, default=0)
    args = parser.parse_args()
    songs = {name: read(args.lmms / "projects" / name) for name in SONGS}
    for name, song in songs.items():
        title = f"sequenced-{Path(name).stem}"
        if not (args.cache / f"{title}.clips.json").exists():
            keep(args.cache, title, stems_of(song))
    sounds = Sounds.found(list(songs.values()), args.lmms)
    for number in range(args.variants):
        title = f"{SEQUENCED}{number:04d}"
        if not (args.cache / f"{title}.clips.json").exists():
            rng = np.random.default_rng((29, number))
            try:
                stems = stems_of(reorchestrated(songs, sounds, rng))
            except subprocess.CalledProcessError as exc:  # now and then LMMS crashes on what was drawn
                print(f"{title}: left out, LMMS ended with {exc.returncode}", flush=True)
                continue
            keep(args.cache, title, {group: at_level(x, rng.normal(-20.5, 3)) for group, x in stems.items()})


if __name__ == "__main__":
    main()
