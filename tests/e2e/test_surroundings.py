"""What people do around a run: move, rename and delete things, close what we print to, record on into the mix."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.errors import InputError
from daw_bridge.files import sha256_of_file
from daw_bridge.progress import Progress
from daw_bridge.song import open_song
from daw_bridge.workflow import BuildOptions, RenderOptions, build, rebuild, render
from tests.conftest import ROOT
from tests.e2e.conftest import MakeMix

FAST = BuildOptions(model="preview", template="neutral", daws=("reaper",), use_cache=False)


def test_a_song_goes_on_when_it_was_moved_and_its_original_deleted(make_mix: MakeMix, tmp_path: Path) -> None:
    made = build(make_mix(seconds=0.3), FAST)
    moved = made.folder.rename(tmp_path / "Moved Ünï.session")
    assert rebuild(moved, template="karaoke").folder == moved
    assert render(moved).render.path.is_file()
    shutil.rmtree(moved / "original")
    assert rebuild(moved, template="neutral").folder == moved
    drums = next((moved / "audio").glob("*drums.wav"))
    drums.rename(drums.with_suffix(".old"))
    with pytest.raises(
        InputError, match=r"drums\.wav: missing from the song folder, which has .*drums\.old; put it back"
    ):
        rebuild(moved, template="band")


def test_a_stem_that_was_converted_to_flac_stands_for_itself_where_it_fits(make_mix: MakeMix) -> None:
    folder = build(make_mix(seconds=0.3), FAST).folder
    drums = next((folder / "audio").glob("*drums.wav"))
    sound, rate_hz = soundfile.read(drums, dtype="float32")
    drums.unlink()
    flac = drums.with_suffix(".flac")
    soundfile.write(flac, sound[:-1], rate_hz, subtype="PCM_24")
    with pytest.raises(InputError, match=rf"drums\.flac: stands for .*drums\.wav, and has {len(sound) - 1} samples"):
        rebuild(folder, template="karaoke")
    soundfile.write(flac, sound, rate_hz, subtype="PCM_24")
    assert rebuild(folder, template="karaoke").folder == folder
    assert flac in [stem.path for stem in open_song(folder).stem_set().stems]
    rendered, _rate_hz = soundfile.read(render(folder, RenderOptions(template="neutral")).render.path, dtype="float32")
    reference, _rate_hz = soundfile.read(next((folder / "audio").glob("*reference.wav")), dtype="float32")
    assert np.abs(rendered - reference).max() < 2**-22  # 24 bits round half a step away


def test_a_mix_that_is_recorded_on_is_one_clear_line_and_done_later(make_mix: MakeMix) -> None:
    """Each step of the run finds some bytes more at the end of the file."""
    mix = make_mix(seconds=0.3)

    def record_on(_event: Progress) -> None:
        with mix.open("ab") as handle:
            handle.write(bytes(400))

    with pytest.raises(InputError, match=r"changed while it was being (read|copied); run again when nothing writes"):
        build(mix, FAST, on_progress=record_on)
    made = build(mix, FAST)
    original = made.manifest.original
    assert original is not None
    assert sha256_of_file(made.folder / original.file) == original.sha256 == sha256_of_file(mix)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "| head -0"])
def test_nobody_has_to_listen(closed: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}", "HOME": "/proc/nope"}
    command = f'set -o pipefail; "{sys.executable}" -m daw_bridge templates list {closed}'
    ended = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stderr.count("Traceback")) == (0, 0), ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are always Unicode")
def test_a_song_keeps_its_name_where_python_is_told_that_names_are_ascii(make_mix: MakeMix) -> None:
    """The process that decodes files read the name in another encoding than the one that gave it."""
    mix = make_mix(seconds=0.1)
    mix = mix.rename(mix.with_name("Grüße 🎸.wav"))
    run = subprocess.run(
        [sys.executable, "-m", "daw_bridge", "probe", mix.name],
        cwd=mix.parent,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
