"""Stem files against ffprobe, stempeg and the format's own rules."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError, OutputError
from daw_bridge.model import Clip, SessionPlan, Track
from daw_bridge.testing import check_adapter
from daw_bridge.testing.plans import example_plan
from daw_bridge_nistem.adapter import ADAPTER, ALAC_ADAPTER
from daw_bridge_nistem.boxes import boxes

RATE_HZ = 44_100
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe and ffmpeg")


def read_stem_box(path: Path) -> dict[str, object] | None:
    """The JSON of a stem file, None where there is none."""
    data = path.read_bytes()
    for moov in boxes(data):
        if moov.kind != b"moov":
            continue
        for udta in boxes(data, moov.body, moov.end):
            if udta.kind == b"udta":
                for stem in boxes(data, udta.body, udta.end):
                    if stem.kind == b"stem":
                        return dict(json.loads(data[stem.body : stem.end].rstrip(b"\0")))
    return None


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_adapter(ADAPTER, tmp_path)


def plan_of(tmp_path: Path, extra: tuple[str, ...] = ("residual",)) -> SessionPlan:
    """Noise stems of 1.3 s and their sum as the reference."""
    rng = np.random.default_rng(5)
    plan = example_plan(tmp_path, neutral=True)
    size, tracks, total = 57_333, [], np.zeros((2, 57_333), np.float32)
    for name in ("drums", "bass", "vocals", "other", *extra):
        audio = (0.05 * rng.standard_normal((2, size))).astype(np.float32)
        total += audio
        tracks.append(Track(name=name, output=plan.buses[0].name, clips=(_clip(tmp_path / f"{name}.wav", audio),)))
    assert plan.reference is not None
    reference = replace(plan.reference, clips=(_clip(tmp_path / "mix.wav", total),))
    return replace(plan, tracks=tuple(tracks), reference=reference, length_samples=size)


def _clip(path: Path, audio: np.ndarray) -> Clip:
    with AudioWriter(path, sample_rate_hz=RATE_HZ, channels=2) as writer:
        writer.write(audio)
    return Clip(path=path, name=path.stem, sample_rate_hz=RATE_HZ, channels=2, length_samples=audio.shape[1])


@needs_ffmpeg
def test_five_streams_from_0_of_which_the_first_is_the_default(tmp_path: Path) -> None:
    report = ADAPTER.write(plan_of(tmp_path), tmp_path, "Song")
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(report.session_path)]
    streams = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"]
    assert [each["codec_name"] for each in streams] == ["aac"] * 5
    assert [each["disposition"]["default"] for each in streams] == [1, 0, 0, 0, 0]
    assert all(float(each["start_time"]) == 0.0 and each["channels"] == 2 for each in streams)


def test_seven_stems_become_four_with_names_and_colours(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, extra=("guitar", "piano", "residual"))
    report = ADAPTER.write(plan, tmp_path, "Song")
    box = read_stem_box(report.session_path)
    assert box is not None
    stems = box["stems"]
    assert isinstance(stems, list) and len(stems) == 4
    assert all(each["name"] and each["color"].startswith("#") and len(each["color"]) == 7 for each in stems)
    assert {limit.where for limit in report.limits} >= {"guitar", "piano", "residual"}


def decoded(path: Path, stream: int) -> np.ndarray:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", f"0:{stream}", "-f", "f32le", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, 2).T


@needs_ffmpeg
def test_lossless_stems_are_whole_and_add_up_to_the_mix(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    report = ALAC_ADAPTER.write(plan, tmp_path, "Song")
    mix, *stems = (decoded(report.session_path, number) for number in range(5))
    assert mix.shape[1] == plan.length_samples
    rest = np.abs(mix.astype(np.float64) - np.sum(stems, axis=0, dtype=np.float64)).max()
    assert 20 * np.log10(rest) <= -120.0


@needs_ffmpeg
def test_stems_lie_on_the_samples_of_the_mix(tmp_path: Path) -> None:
    stempeg = pytest.importorskip("stempeg")
    plan = plan_of(tmp_path)
    path = ADAPTER.write(plan, tmp_path, "Song").session_path
    audio, rate = stempeg.read_stems(str(path))
    assert rate == RATE_HZ and audio.shape[0] == 5
    ours = audio[0].mean(axis=1)
    from daw_bridge.audio.reader import open_audio

    with open_audio(tmp_path / "mix.wav") as reader:
        truth = reader.read(plan.length_samples).mean(axis=0)
    size = min(len(ours), len(truth))
    spectrum = np.fft.rfft(ours[:size]) * np.conj(np.fft.rfft(truth[:size]))
    assert int(np.argmax(np.fft.irfft(spectrum))) == 0


def test_a_session_without_the_mix_or_at_an_odd_rate_is_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    with pytest.raises(InputError, match="reference"):
        ADAPTER.write(replace(plan, reference=None), tmp_path, "none")
    with pytest.raises(InputError, match="11127"):
        ADAPTER.write(replace(plan, sample_rate_hz=11_127), tmp_path, "odd")
    assert not list(tmp_path.glob("*.stem.mp4*"))


def test_an_existing_file_stays(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    path = ADAPTER.write(plan, tmp_path, "Song").session_path
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        ADAPTER.write(plan, tmp_path, "Song")
    assert path.read_bytes() == before
