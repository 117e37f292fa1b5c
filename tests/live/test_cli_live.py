"""The `live` command: its mistakes are one line each, its keys move the right faders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.live import press
from daw_bridge.cli.main import main
from daw_bridge.errors import InputError
from daw_bridge.live.devices import open_song
from daw_bridge.live.host import LiveHost
from daw_bridge.separation.families.band_split.streaming import StreamingModel
from daw_bridge.separation.families.band_split.torch_engine import TorchEngine
from tests.audio.signals import encode, noise
from tests.conftest import ROOT
from tests.separation.small_net import make_net


def test_a_block_out_of_range_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sounddevice", exc_type=cast("Any", (ImportError, OSError)))
    assert main(["live", "--block", "9000"]) == 2
    assert capsys.readouterr().err == "daw-bridge: --block 9000: give 1 to 8192 samples\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gain", "vocals"], "STEM=DB"),
        (["--mute", "vocal"], "did you mean vocals"),
        (["--mute", "nope"], "there are: vocals, drums, bass, other"),
        (["--seconds", "-1"], "--seconds -1: give a time above 0"),
        (["--seconds", "nan"], "--seconds nan: give a time above 0"),
        (["--gain", "bass=nan"], "no gain"),
    ],
)
def test_wrong_faders_are_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["live", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_unknown_device_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sounddevice", exc_type=cast("Any", (ImportError, OSError)))
    assert main(["live", "--output", "no such card"]) == 8
    assert "--list-devices" in capsys.readouterr().err


def test_keys_mute_solo_and_move_the_fader_of_their_column() -> None:
    host = LiveHost(StreamingModel(TorchEngine(make_net())), block_samples=128)
    for key in "1wdd\x1bcX":
        press(host, key)
    controls = host.controls
    assert controls.value("vocals", "mute")
    assert controls.value("drums", "solo")
    assert controls.value("bass", "gain_db") == pytest.approx(1.0)  # two up, one down
    press(host, "1")
    assert not controls.value("vocals", "mute")


def test_a_song_is_read_as_stereo_at_the_models_rate(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "mono.wav", np.zeros(4_800, np.float32), 48_000)
    assert open_song(tmp_path / "mono.wav", 44_100).shape == (2, 4_410)
    soundfile.write(tmp_path / "six.wav", np.zeros((100, 6), np.float32), 44_100)
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "nan.wav", np.full((100, 2), np.nan, np.float32), 44_100, subtype="FLOAT")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2), np.float32), 44_100)
    for name, why in (
        ("six.wav", "has 6 channels"),
        ("text.wav", "not an audio file"),
        ("missing.wav", "there is no such file"),
        ("nan.wav", "NaN"),
        ("none.wav", "no samples"),
    ):
        with pytest.raises(InputError, match=f"{name}: .*{why}"):
            open_song(tmp_path / name, 44_100)


def test_a_song_may_be_anything_that_build_reads(tmp_path: Path) -> None:
    audio = noise(44_100)
    played = open_song(encode(tmp_path / "a.m4a", audio, 44_100, "alac"), 44_100)
    assert np.abs(played - audio).max() < 2**-15


def test_with_onnx_runtime_nothing_of_torch_or_scipy_is_loaded() -> None:
    pytest.importorskip("onnxruntime", reason="no onnxruntime (extra live)")
    code = (
        "import sys; import daw_bridge.live.devices, daw_bridge.live.loopback, daw_bridge.live.remote\n"
        "from daw_bridge import load_streaming_model; load_streaming_model()\n"
        "sys.exit(', '.join({'torch', 'scipy'} & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
