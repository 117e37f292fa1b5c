"""Things that go wrong in the middle of a whole build: one clear line, nothing half done, and the next run finishes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from daw_bridge.cache import StemCache
from daw_bridge.errors import OutputError, WeightsCorrupt
from daw_bridge.files import sha256_of_file
from daw_bridge.manifest import read_manifest
from daw_bridge.progress import Progress
from daw_bridge.workflow import BuildOptions, build
from tests.conftest import ROOT
from tests.e2e.conftest import MakeMix
from tests.separation.test_weights import package

FAST = BuildOptions(model="preview", template="neutral", use_cache=False)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    command = [mount, "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def filling(disk: Path, stage: str) -> Callable[[Progress], None]:
    """Another program takes all the space that is left once the build has come to that stage."""

    def listen(event: Progress) -> None:
        hog = disk / "hog"
        if event.stage == stage and not hog.exists():
            with contextlib.suppress(OSError), hog.open("wb", buffering=0) as handle:
                while handle.write(bytes(1 << 16)):
                    pass

    return listen


@pytest.mark.parametrize("stage", ["decode", "load", "separate", "residual", "build"])
def test_a_disk_that_fills_up_in_the_middle_loses_nothing(
    make_mix: MakeMix, disk: Path, tmp_path: Path, stage: str
) -> None:
    mix = make_mix(seconds=6.0)
    whole = build(mix, replace(FAST, output=tmp_path / "whole"))
    song = disk / "song"
    with pytest.raises(OutputError, match=r"(the disk is full|0 B are free); free some space") as caught:
        build(mix, replace(FAST, output=song), on_progress=filling(disk, stage))
    assert "\n" not in str(caught.value)
    assert not list(song.rglob("*.part")), "no temporary file stays on a full disk"
    manifest = read_manifest(song) if song.exists() else None
    assert manifest is None or manifest.state == "building"
    for path in song.rglob("*.wav"):
        name = path.name.replace("song", "whole")
        (same,) = [other for other in whole.folder.rglob("*.wav") if other.name == name]
        assert path.read_bytes() == same.read_bytes(), f"{path.name} is there in part"
    (disk / "hog").unlink()
    again = build(mix, replace(FAST, output=song))
    assert again.manifest.state == "complete"
    for stem in whole.manifest.stems:
        assert (again.folder / stem.file).read_bytes() == (whole.folder / stem.file).read_bytes(), stem.name
    assert not [path for path in song.rglob("*") if path.name.startswith(".work") or path.suffix == ".part"]


def test_weights_that_are_replaced_while_a_build_runs_are_refused_and_never_cached(
    make_mix: MakeMix, tmp_path: Path
) -> None:
    """Their stems would stand in manifest and cache under the weights that the run began with."""
    weights = tmp_path / "htdemucs.th"
    torch.save(package("htdemucs", 1), weights)
    first = sha256_of_file(weights)
    mix = make_mix(seconds=2.0, rate_hz=8_000)
    options = BuildOptions(
        model="htdemucs", weights=weights, device="cpu", template="neutral", output=tmp_path / "song", use_cache=True
    )

    def swap(event: Progress) -> None:
        if event.stage == "decode" and sha256_of_file(weights) == first:
            torch.save(package("htdemucs", 2), weights)

    with pytest.raises(WeightsCorrupt, match=rf"were replaced while this run went on .*{first[:8]}"):
        build(mix, options, on_progress=swap)
    assert StemCache().entries() == []
    made = build(mix, replace(options, force=True))
    assert made.manifest.separation is not None
    assert made.manifest.separation.weights_sha256 == sha256_of_file(weights) != first
    assert len(StemCache().entries()) == 1


def test_a_song_keeps_its_name_in_the_c_locale(tmp_path: Path) -> None:
    """LC_ALL=C and no UTF-8 mode: Python would take the name's bytes for no text, and leave them out of our files'."""
    name = "Grüße 🎸.wav"
    sf.write(tmp_path / name, np.full((100, 2), 0.5), 44_100)
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT}/adapters"}
    environment.pop("PYTHONIOENCODING", None)
    command = [sys.executable, "-m", "daw_bridge", "probe", "--json", "--progress", "none", name]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.decode("utf-8"))[0]["file"] == name
