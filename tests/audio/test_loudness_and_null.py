"""The meter against EBU Tech 3341's signals, the null test against known differences."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.audio.loudness import LoudnessMeter, k_weighting, measure
from daw_bridge.audio.null import null_depth_db, null_test
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError
from tests.audio.signals import noise, write_wav

# EBU Tech 3341 (2023), table 1: (level in dBFS, seconds) of a 1 kHz stereo sine, and the integrated loudness.
TECH_3341 = [
    ([(-23.0, 20)], -23.0),
    ([(-33.0, 20)], -33.0),
    ([(-36.0, 10), (-23.0, 60), (-36.0, 10)], -23.0),
    ([(-72.0, 10), (-36.0, 10), (-23.0, 60), (-36.0, 10), (-72.0, 10)], -23.0),
    ([(-26.0, 20), (-20.0, 20.1), (-26.0, 20)], -23.0),
]


def meter(audio: np.ndarray, rate_hz: int, block: int = 65_536) -> LoudnessMeter:
    result = LoudnessMeter(rate_hz, audio.shape[0])
    for start in range(0, audio.shape[1], block):
        result.add(audio[:, start : start + block])
    return result


def tones(parts: list[tuple[float, float]], rate_hz: int, channels: int = 2) -> np.ndarray:
    pieces = []
    for level_db, seconds in parts:
        time_s = np.arange(round(seconds * rate_hz)) / rate_hz
        pieces.append(10 ** (level_db / 20) * np.sin(2 * np.pi * 1_000 * time_s))
    return np.tile(np.concatenate(pieces).astype(np.float32), (channels, 1))


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize(("parts", "expected_lufs"), TECH_3341)
def test_integrated_loudness_is_within_a_tenth(
    rate_hz: int, parts: list[tuple[float, float]], expected_lufs: float
) -> None:
    if rate_hz != 48_000 and len(parts) > 1:
        parts = [(level_db, seconds / 2) for level_db, seconds in parts]
    found = meter(tones(parts, rate_hz), rate_hz).result().integrated_lufs
    assert found == pytest.approx(expected_lufs, abs=0.1)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 192_000])
def test_a_mono_sine_is_3_lu_lower_at_every_rate(rate_hz: int) -> None:
    found = meter(tones([(-23.0, 5)], rate_hz, channels=1), rate_hz).result().integrated_lufs
    assert found == pytest.approx(-26.0, abs=0.1)


# EBU Tech 3341, tests 15 to 19: frequency as a fraction of the rate, phase in degrees, amplitude, true peak.
@pytest.mark.parametrize(
    ("divisor", "phase_deg", "amplitude", "expected_dbtp"),
    [(4, 0.0, 0.5, -6.0), (4, 45.0, 0.5, -6.0), (6, 60.0, 0.5, -6.0), (8, 67.5, 0.5, -6.0), (4, 45.0, 1.41, 3.0)],
)
@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_true_peak_is_within_the_tolerance(
    divisor: int, phase_deg: float, amplitude: float, expected_dbtp: float, rate_hz: int
) -> None:
    index = np.arange(rate_hz // 4)
    fade = np.minimum(1.0, np.minimum(index, index[::-1]) / 200)
    sine = fade * amplitude * np.sin(2 * np.pi * index / divisor + np.radians(phase_deg))
    found = meter(np.tile(sine.astype(np.float32), (2, 1)), rate_hz, 777).result().true_peak_dbtp
    assert -0.4 <= found - expected_dbtp <= 0.2


def test_the_weighting_is_the_standards_at_48_khz() -> None:
    shelf, highpass = k_weighting(48_000)
    expected = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    assert shelf == pytest.approx(expected, abs=1e-6)
    assert highpass == pytest.approx([1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(block=st.integers(1_000, 50_000), rate_hz=st.sampled_from([8_000, 44_100, 48_000]))
def test_blocks_do_not_change_the_result(block: int, rate_hz: int) -> None:
    audio = noise(rate_hz * 2 + 17)
    whole, parts = meter(audio, rate_hz, 1 << 22).result(), meter(audio, rate_hz, block).result()
    assert parts.integrated_lufs == pytest.approx(whole.integrated_lufs, abs=1e-6)
    assert parts.true_peak_dbtp == pytest.approx(whole.true_peak_dbtp, abs=1e-4)
    assert parts.sample_peak_db == whole.sample_peak_db


def test_silence_and_less_than_a_block_have_no_loudness(tmp_path: Path) -> None:
    for length in (1, 2_000, 44_100):
        found = measure(write_wav(tmp_path / "a.wav", np.zeros((2, length), dtype=np.float32), 44_100))
        assert (found.integrated_lufs, found.true_peak_dbtp, found.sample_peak_db) == (-math.inf,) * 3
    assert measure(write_wav(tmp_path / "b.wav", noise(2_000), 44_100)).integrated_lufs == -math.inf


def test_true_peak_is_never_below_the_sample_peak(tmp_path: Path) -> None:
    found = measure(write_wav(tmp_path / "a.wav", noise(44_100), 44_100))
    assert found.true_peak_dbtp >= found.sample_peak_db


def stem(path: Path, audio: np.ndarray, rate_hz: int = 44_100) -> Path:
    with AudioWriter(path, sample_rate_hz=rate_hz, channels=audio.shape[0]) as writer:
        writer.write(audio.astype(np.float32))
    return path


def test_stems_with_their_residual_null_deeper_than_120_db(tmp_path: Path) -> None:
    mix = noise(100_000)
    stems = [noise(100_000, seed=seed) for seed in range(1, 5)]
    residual = (mix.astype(np.float64) - np.sum(stems, axis=0, dtype=np.float64)).astype(np.float32)
    parts = [stem(tmp_path / f"{index}.wav", part) for index, part in enumerate([*stems, residual])]
    depth_db = null_depth_db(stem(tmp_path / "mix.wav", mix), parts)
    assert -200 < depth_db < -120


@pytest.mark.parametrize("position", [0, 65_535, 65_536, 99_999])
def test_one_wrong_sample_anywhere_is_found(tmp_path: Path, position: int) -> None:
    mix = noise(100_000)
    wrong = mix.copy()
    wrong[1, position] += 0.01
    result = null_test(stem(tmp_path / "mix.wav", mix), [stem(tmp_path / "a.wav", wrong)])
    assert result.peak_db == pytest.approx(-40.0, abs=0.01)
    assert result.rms_db == pytest.approx(-40.0 - 10 * math.log10(200_000), abs=0.01)


def test_a_perfect_null_is_minus_infinity(tmp_path: Path) -> None:
    mix = stem(tmp_path / "mix.wav", noise(1_000))
    assert null_test(mix, [mix]).peak_db == -math.inf
    assert null_test(mix, [mix]).rms_db == -math.inf


def test_parts_of_another_shape_cannot_null(tmp_path: Path) -> None:
    mix = stem(tmp_path / "mix.wav", noise(1_000))
    for other, message in (
        (stem(tmp_path / "a.wav", noise(999)), "999 samples, but mix.wav has 1000"),
        (stem(tmp_path / "b.wav", noise(1_000, channels=1)), "1 channels, but mix.wav has 2"),
        (stem(tmp_path / "c.wav", noise(1_000), 48_000), "48000 Hz, but mix.wav has 44100"),
    ):
        with pytest.raises(InputError, match=message):
            null_depth_db(mix, [other])


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_broken_part_is_no_perfect_null(tmp_path: Path, value: float) -> None:
    broken = np.zeros((2, 70_000), dtype=np.float32)
    broken[1, 66_000] = value
    mix, part = stem(tmp_path / "mix.wav", noise(70_000)), stem(tmp_path / "a.wav", broken)
    with pytest.raises(InputError, match=r"a\.wav: sample 66000 .* of channel 2 is"):
        null_depth_db(mix, [mix, part])
    with pytest.raises(InputError, match=r"a\.wav: sample 66000 .* of channel 2 is"):
        measure(part)
