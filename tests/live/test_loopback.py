"""The measurement of a card's round trip: to the sample, through a poor cable, and never a guess."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.errors import DeviceError
from daw_bridge.live.loopback import CHIRPS, agreed_samples, chirp, delays_samples

RATE_HZ = 44_100
STARTS = [RATE_HZ // 2 * (1 + index) for index in range(CHIRPS)]


def heard(delay_samples: int, *, gain_linear: float = 0.3, noise: float = 1e-3) -> np.ndarray:
    sent = chirp(RATE_HZ)
    recorded = np.random.default_rng(0).normal(0, noise, RATE_HZ // 2 * (CHIRPS + 2)).astype(np.float32)
    for start in STARTS:
        at = start + delay_samples
        recorded[at : at + sent.size] += gain_linear * sent[: max(0, recorded.size - at)]
    return recorded


@settings(max_examples=15, deadline=None)
@given(delay=st.integers(0, 15_000), gain=st.floats(0.02, 4.0), flipped=st.booleans())
def test_any_delay_is_found_to_the_sample_whatever_level_and_polarity(delay: int, gain: float, flipped: bool) -> None:
    recorded = heard(delay, gain_linear=-gain if flipped else gain)
    assert agreed_samples(delays_samples(recorded, chirp(RATE_HZ), STARTS)) == delay


def test_a_card_that_filters_moves_the_measurement_by_its_own_delay_only() -> None:
    from scipy.signal import butter, sosfilt  # not above: collecting this file would take a second longer

    band = butter(2, (20, 18_000), "bandpass", fs=RATE_HZ, output="sos")
    recorded = sosfilt(band, heard(300)).astype(np.float32)
    assert abs(agreed_samples(delays_samples(recorded, chirp(RATE_HZ), STARTS)) - 300) <= 2


@pytest.mark.parametrize("recorded", [np.zeros(200_000, np.float32), heard(0, gain_linear=0.0, noise=0.1)])
def test_silence_and_noise_are_not_taken_for_a_chirp(recorded: np.ndarray) -> None:
    with pytest.raises(DeviceError, match="0 of 6 chirps came back; connect the output to the input"):
        agreed_samples(delays_samples(recorded, chirp(RATE_HZ), STARTS))


def test_a_card_that_loses_sound_is_not_averaged_away() -> None:
    with pytest.raises(DeviceError, match="after 100 to 900 samples"):
        agreed_samples([100, 500, 900, 300, 700, 200])
