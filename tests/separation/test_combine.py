"""Several estimates into one: against independent transforms, whatever the length and wherever a run begins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from daw_bridge.separation.combine import Way, combined
from daw_bridge.separation.engine.separator import FloatArray


def estimates(samples: int, count: int = 3) -> FloatArray:
    random = np.random.default_rng(samples)
    return random.normal(0.0, 0.2, (count, 2, samples)).astype(np.float32)


def joined(parts: FloatArray, way: Way, weights: tuple[float, ...] = (1.0,) * 3, start: int = 0) -> FloatArray:
    def read(first: int, last: int) -> FloatArray:
        assert 0 <= first <= last <= parts.shape[2]
        return parts[:, :, first:last]

    blocks = list(combined(read, parts.shape[2], way, weights[: len(parts)], start))
    return np.concatenate([np.zeros((2, 0), np.float32), *blocks], axis=1)


def by_torch(parts: FloatArray, *, largest: bool) -> FloatArray:
    """The same definition with torch's transform, the whole sound at once."""
    window = torch.hann_window(2048, dtype=torch.float64).float()
    samples = parts.shape[2]
    spectra = torch.stft(
        torch.from_numpy(parts).reshape(-1, samples),
        2048,
        1024,
        window=window,
        pad_mode="constant",
        return_complex=True,
    )
    spectra = spectra.view(parts.shape[0], 2, *spectra.shape[1:])
    size = spectra.abs()
    chosen = torch.gather(spectra, 0, (size.argmax(0) if largest else size.argmin(0))[None])[0]
    frames = torch.fft.irfft(chosen, n=2048, dim=1) * window[:, None]
    total, weight = torch.zeros(2, 2048 + 1024 * frames.shape[2]), torch.zeros(2048 + 1024 * frames.shape[2])
    for frame in range(frames.shape[2]):
        total[:, frame * 1024 : frame * 1024 + 2048] += frames[:, :, frame]
        weight[frame * 1024 : frame * 1024 + 2048] += window**2
    return (total / weight.clamp(min=1e-30))[:, 1024 : 1024 + samples].numpy()


LENGTHS = (1, 1000, 1024, 2048, 5000, 300_001)


@pytest.mark.parametrize("way", ["min", "max"])
@pytest.mark.parametrize("samples", LENGTHS)
def test_bins_are_chosen_as_an_independent_transform_chooses_them(way: Way, samples: int) -> None:
    parts = estimates(samples)
    out = joined(parts, way)
    assert out.shape == (2, samples)
    expected = by_torch(parts, largest=way == "max")
    same = samples if samples % 1024 < 900 else samples - samples % 1024 + 900
    scale = np.maximum(1.0, np.abs(expected))
    assert (np.abs(out - expected) / scale)[:, :same].max() <= 2e-6
    assert np.abs(out[:, same:]).max(initial=0.0) < 32.0 * np.abs(parts).max()


def test_the_end_does_not_click_where_the_last_window_has_fallen_to_nothing() -> None:
    parts = estimates(5 * 1024 + 1020)
    assert np.abs(joined(parts, "max")[:, -40:]).max() <= np.abs(parts).max()


@pytest.mark.parametrize("way", ["min", "max", "mean", "median"])
def test_where_a_run_begins_changes_no_sample(way: Way) -> None:
    parts = estimates(290_000, 2)
    whole = joined(parts, way)
    for start in (1, 262_143, 263_168, 289_999, 290_000):
        assert np.array_equal(joined(parts, way, start=start), whole[:, start:]), start


@pytest.mark.parametrize("way", ["min", "max", "mean", "median"])
def test_equal_estimates_come_back_as_they_are(way: Way) -> None:
    parts = np.repeat(estimates(50_000, 1), 3, axis=0)
    assert np.abs(joined(parts, way) - parts[0])[:, :-1024].max() < 1e-6


def test_weights_are_shares() -> None:
    parts = estimates(10_000)
    expected = (2 * parts[0] + 0 * parts[1] + 6 * parts[2]) / 8
    assert np.abs(joined(parts, "mean", (2.0, 0.0, 6.0)) - expected).max() < 1e-7


def test_the_median_is_taken_sample_by_sample() -> None:
    parts = estimates(10_000)
    assert np.array_equal(joined(parts, "median"), np.median(parts, axis=0).astype(np.float32))
