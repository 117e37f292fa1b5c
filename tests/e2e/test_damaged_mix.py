"""A damaged or cut-off mix through the real command: refused with a way on, and the way on works."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.main import main
from daw_bridge.manifest import read_manifest
from tests.audio.odd_files import mp3, pcm, song, wav


def run(*arguments: object) -> int:
    return main([*map(str, arguments), "--progress", "none"])


def test_a_cut_off_mix_is_built_when_the_damage_is_accepted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mix = tmp_path / "mix.wav"
    mix.write_bytes(wav(len(pcm()), data=pcm()[: 4 * 30_000]))
    assert run("build", mix, "-m", "preview", "-t", "neutral") == 3
    error = capsys.readouterr().err
    assert "cut off at 0:00.680" in error
    assert "--accept-damaged" in error
    assert [path.name for path in tmp_path.iterdir()] == ["mix.wav"]
    assert run("build", mix, "-m", "preview", "-t", "neutral", "--accept-damaged") == 0
    assert "Note:    cut off: the header announces 1.000 s" in capsys.readouterr().out
    manifest = read_manifest(tmp_path / "mix.session")
    assert manifest is not None
    assert manifest.reference is not None
    assert (manifest.reference.claimed_samples, manifest.reference.length_samples) == (44_100, 30_000)
    assert manifest.request["accept_damaged"] is True


def test_holes_stand_in_the_manifest(tmp_path: Path) -> None:
    mix, data = tmp_path / "mix.mp3", mp3()
    middle = len(data) // 2
    mix.write_bytes(data[:middle] + bytes(2_000) + data[middle + 2_000 :])
    assert run("build", mix, "-m", "preview", "-t", "neutral", "--accept-damaged") == 0
    manifest = read_manifest(tmp_path / "mix.session")
    assert manifest is not None
    assert manifest.reference is not None
    ((start, length),) = manifest.reference.holes
    reference = soundfile.read(tmp_path / "mix.session" / manifest.reference.file)[0]
    assert np.abs(reference[start + 1 : start + length - 1]).max() == 0.0
    assert 1_152 <= length <= 6 * 1_152


def test_a_gain_stands_in_the_manifest_and_the_original_stays(tmp_path: Path) -> None:
    mix = tmp_path / "loud.wav"
    soundfile.write(mix, song().T * 2**15, 44_100, subtype="FLOAT")
    assert run("build", mix, "-m", "preview", "-t", "neutral", "--gain", "-90.309") == 0
    manifest = read_manifest(tmp_path / "loud.session")
    assert manifest is not None
    assert manifest.original is not None
    assert (tmp_path / "loud.session" / manifest.original.file).read_bytes() == mix.read_bytes()
    assert manifest.request["gain_db"] == -90.309


def test_probe_tells_what_is_claimed_there_and_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    good.write_bytes(wav(0xFFFFFFFF))
    bad.write_bytes(wav(len(pcm()), data=pcm()[:9_000]))
    assert run("probe", good, bad, "--json") == 3
    said = capsys.readouterr()
    first, second = json.loads(said.out)
    assert (first["claimed_samples"], first["behind_samples"], first["decoded_samples"]) == (None, 44_100, 44_100)
    assert "does not state the length" in first["notes"][0]
    assert "cut off at 0:00.051" in second["error"]
    assert said.err.count("\n") == 1
    assert run("probe", good) == 0
    assert "decoded:  44100 samples (1.000 s)" in capsys.readouterr().out
