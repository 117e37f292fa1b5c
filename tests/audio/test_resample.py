"""Another rate and back: clicks stay on the sample, lengths are exact, blocks do not matter."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.audio.resample import Resampler, resample_length
from daw_bridge.audio.resample_torchaudio import PiecewiseResampler, TorchaudioResampler, choose
from daw_bridge.errors import UsageError
from tests.audio.signals import RATES_HZ, noise


def resample(
    audio: np.ndarray, rate_in_hz: int, rate_out_hz: int, block: int = 4096, target: int | None = None
) -> np.ndarray:
    resampler = Resampler(rate_in_hz, rate_out_hz, audio.shape[0], target_length_samples=target)
    parts = [resampler.process(audio[:, at : at + block]) for at in range(0, audio.shape[1], block)]
    parts.append(resampler.finish())
    result = np.concatenate(parts, axis=1)
    assert result.shape[1] == resampler.target_length_samples
    return result


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("model_hz", [44_100, 48_000])
def test_a_click_stays_on_the_sample_there_and_back(rate_hz: int, model_hz: int) -> None:
    click = rate_hz // 2 + 3
    audio = np.zeros((1, rate_hz), dtype=np.float32)
    audio[0, click] = 1.0
    there = resample(audio, rate_hz, model_hz)
    assert abs(int(np.abs(there[0]).argmax()) - click * model_hz / rate_hz) <= 0.5
    back = resample(there, model_hz, rate_hz, target=rate_hz)
    assert back.shape == audio.shape
    assert int(np.abs(back[0]).argmax()) == click


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_tone_comes_back_after_the_round_trip(rate_hz: int) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    tone = (0.5 * np.sin(2 * np.pi * 1_000 * time_s) * np.hanning(rate_hz))[None].astype(np.float32)
    back = resample(resample(tone, rate_hz, 44_100), 44_100, rate_hz, target=rate_hz)
    assert np.abs(back - tone).max() < 1e-6  # -120 dBFS


@settings(max_examples=80, deadline=None)
@given(
    length=st.integers(0, 5_000),
    rate_in_hz=st.sampled_from(RATES_HZ) | st.integers(8_000, 192_000),
    rate_out_hz=st.sampled_from(RATES_HZ),
    block=st.integers(1, 1_777),
)
def test_lengths_are_exact_there_and_back(length: int, rate_in_hz: int, rate_out_hz: int, block: int) -> None:
    audio = noise(length, channels=2)
    there = resample(audio, rate_in_hz, rate_out_hz, max(block, length // 40))
    assert there.shape == (2, resample_length(length, rate_in_hz, rate_out_hz))
    assert abs(there.shape[1] - length * rate_out_hz / rate_in_hz) <= 0.5
    back = resample(there, rate_out_hz, rate_in_hz, max(block, there.shape[1] // 40), target=length)
    assert back.shape == audio.shape
    assert there.dtype == back.dtype == np.float32


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), [(48_000, 44_100), (44_100, 96_000), (192_000, 8_000)])
@pytest.mark.parametrize("block", [1, 513, 10_007])
def test_blocks_give_what_the_whole_gives(rate_in_hz: int, rate_out_hz: int, block: int) -> None:
    audio = noise(3_000 if block == 1 else 30_000)
    whole = resample(audio, rate_in_hz, rate_out_hz, 1 << 20)
    assert np.abs(resample(audio, rate_in_hz, rate_out_hz, block) - whole).max() < 1e-6


def test_the_same_rate_passes_through_untouched() -> None:
    audio = noise(1_001)
    assert np.array_equal(resample(audio, 44_100, 44_100, 100), audio)


def test_over_full_scale_is_not_clipped() -> None:
    audio = np.full((1, 20_000), 4.0, dtype=np.float32)
    assert resample(audio, 48_000, 44_100)[0, 9_000] == pytest.approx(4.0, abs=1e-5)


def test_a_block_of_another_shape_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="expected \\(2, n\\)"):
        Resampler(48_000, 44_100, 2).process(noise(10, channels=1))


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), [(48_000, 44_100), (44_100, 48_000), (96_000, 44_100)])
@pytest.mark.parametrize("block", [777, 100_003])
def test_pieces_through_a_whole_signal_resampler_equal_the_whole(rate_in_hz: int, rate_out_hz: int, block: int) -> None:
    from scipy.signal import resample_poly  # not above: collecting this file would take a second longer

    common = math.gcd(rate_in_hz, rate_out_hz)
    up, down = rate_out_hz // common, rate_in_hz // common

    def transform(piece: np.ndarray) -> np.ndarray:
        return resample_poly(piece.astype(np.float64), up, down, axis=1).astype(np.float32)

    audio = noise(300_007)
    pieces = PiecewiseResampler(rate_in_hz, rate_out_hz, 2, transform, 10 * max(up, down) // up + 1)
    parts = [pieces.process(audio[:, at : at + block]) for at in range(0, audio.shape[1], block)]
    joined = np.concatenate([*parts, pieces.finish()], axis=1)
    assert joined.shape[1] == resample_length(300_007, rate_in_hz, rate_out_hz)
    whole = transform(audio)[:, : joined.shape[1]]
    assert np.abs(joined - whole).max() < 1e-6


def test_without_torchaudio_the_error_says_what_to_install() -> None:
    if importlib.util.find_spec("torchaudio") is not None:
        pytest.skip("torchaudio is installed")
    with pytest.raises(UsageError, match=r"install daw-bridge\[torchaudio\], or let soxr resample"):
        TorchaudioResampler(48_000, 44_100, 2)
    with pytest.raises(UsageError, match="let soxr resample"):
        choose("torchaudio", "cpu")
    assert choose("auto", "cuda:0").name == "soxr"


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), [(48_000, 44_100), (44_100, 48_000), (96_000, 44_100)])
@pytest.mark.parametrize("frequency_hz", [1_000, 10_000, 18_000])
def test_torchaudio_gives_a_sine_back_as_it_is(rate_in_hz: int, rate_out_hz: int, frequency_hz: int) -> None:
    pytest.importorskip("torchaudio", reason="torchaudio is optional and not installed")

    def sine(rate_hz: int) -> np.ndarray:
        times_s = np.arange(4 * rate_hz) / rate_hz
        return 0.5 * np.sin(2 * np.pi * frequency_hz * times_s)[None]

    resampler = choose("torchaudio", "cpu").make(rate_in_hz, rate_out_hz, 1)
    audio = sine(rate_in_hz).astype(np.float32)
    parts = [resampler.process(audio[:, start : start + 7_777]) for start in range(0, audio.shape[1], 7_777)]
    made, wanted = np.concatenate([*parts, resampler.finish()], axis=1), sine(rate_out_hz)
    assert made.shape == wanted.shape
    error = np.abs(made - wanted)[:, 3_000:-3_000].max()
    assert 20 * np.log10(error / 0.5) < -130


def test_auto_is_torchaudio_on_cuda_only_and_equal_rates_pass_through() -> None:
    assert choose("auto", "cpu").make is Resampler
    assert choose("soxr", "cuda:0").settings["resampler_quality"] == "soxr VHQ"
    pytest.importorskip("torchaudio", reason="torchaudio is optional and not installed")
    assert choose("auto", "cuda:0").name == "torchaudio"
    same = choose("torchaudio", "cpu").make(44_100, 44_100, 2)
    assert isinstance(same, Resampler)


def test_importing_the_resampler_loads_no_torch() -> None:
    code = """if True:
        import sys, daw_bridge.audio.resample, daw_bridge.audio.resample_torchaudio, daw_bridge.audio.decode
        print("torch" in sys.modules, "av" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
