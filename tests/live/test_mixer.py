"""Faders move without clicks, the low end only moves house, nothing passes the limiter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.errors import UsageError
from daw_bridge.live.mixer import Controls, GainRamp, Limiter, LowEnd
from daw_bridge.live.ring import Ring

STEMS = ("vocals", "drums", "bass", "other")
RATE_HZ = 44_100


def noise(*shape: int, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, shape).astype(np.float32)


def test_mute_solo_and_gain_combine() -> None:
    controls = Controls(STEMS)
    controls.set("bass", "gain_db", -6.0)
    controls.set("drums", "mute", 1.0)
    np.testing.assert_allclose(controls.gains_linear, [1, 0, 0.5012, 1], atol=1e-4)
    controls.set("bass", "solo", 1.0)
    np.testing.assert_allclose(controls.gains_linear, [0, 0, 0.5012, 0], atol=1e-4)
    controls.set("bass", "solo", 0.0)
    controls.set("other", "gain_db", -200)
    assert controls.gains_linear[3] == 0
    controls.set("other", "gain_db", 99)
    assert controls.value("other", "gain_db") == 12.0


@pytest.mark.parametrize(("stem", "gain_db"), [("vocal", 0.0), ("vocals", float("nan"))])
def test_a_wrong_stem_or_gain_is_one_clear_error(stem: str, gain_db: float) -> None:
    with pytest.raises(UsageError, match="live: "):
        Controls(STEMS).set(stem, "gain_db", gain_db)


@pytest.mark.parametrize("size", [1, 37, 128, 1024, 8192])
def test_gain_changes_are_ramps_whatever_the_block_size(size: int) -> None:
    """A constant that is muted must fall in small even steps: no zipper noise."""
    ramp, target = GainRamp(4, RATE_HZ), np.zeros(4, np.float32)
    ramp.apply(np.ones((4, 2, 64), np.float32), np.ones(4, np.float32))
    out = np.concatenate([ramp.apply(np.ones((4, 2, size), np.float32), target) for _ in range(2000 // size + 1)], 2)
    assert np.abs(np.diff(out[0, 0])).max() < 1.2e-3
    assert out[0, 0, -1] == 0


@pytest.mark.parametrize("size", [1, 100, 513])
def test_the_low_end_moves_to_the_bass_and_nothing_is_lost(size: int) -> None:
    stems, filter_ = noise(4, 2, 4000), LowEnd(STEMS, RATE_HZ)
    out = np.concatenate([filter_.apply(stems[:, :, i : i + size]) for i in range(0, 4000, size)], 2)
    np.testing.assert_allclose(out.sum(0), stems.sum(0), atol=1e-6)
    hum = np.tile(np.sin(2 * np.pi * 40 * np.arange(44_100) / RATE_HZ).astype(np.float32), (4, 2, 1)) * 0.1
    moved = LowEnd(STEMS, RATE_HZ).apply(hum)[:, 0, 20_000:]
    assert np.abs(moved[2]).max() > 0.25
    assert np.abs(moved[0]).max() < 0.06


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from([0.0, 0.5, 1.0, 30.0, 1e30, float("nan"), float("inf"), -float("inf")]), min_size=1, max_size=12
    ),
    st.integers(1, 700),
)
def test_nothing_passes_the_limiter(levels: list[float], size: int) -> None:
    limiter = Limiter(RATE_HZ, ceiling_db=-0.3)
    for level in levels:
        with np.errstate(all="ignore"):
            block = noise(2, size) * np.float32(level)
        out = limiter.apply(block)
        assert np.isfinite(out).all()
        assert np.abs(out).max(initial=0) <= 10 ** (-0.3 / 20) + 1e-6


def test_the_limiter_leaves_quiet_sound_alone_to_the_bit() -> None:
    limiter, block = Limiter(RATE_HZ), noise(2, 512)
    assert np.array_equal(limiter.apply(block), block)


def test_a_ring_gives_back_what_is_there_and_nothing_else() -> None:
    ring, audio = Ring(2, 100), noise(2, 250)
    for start in range(0, 250, 30):
        ring.write(audio[:, start : start + 30])
    assert ring.end == 250
    assert np.array_equal(ring.read(160, 90), audio[:, 160:])  # type: ignore[arg-type]
    assert ring.read(149, 10) is None
    assert ring.read(245, 6) is None
    ring.write(audio[:, :10], at=400)
    assert ring.read(245, 5) is None
    assert np.array_equal(ring.read(400, 10), audio[:, :10])  # type: ignore[arg-type]
    assert not np.any(Ring(2, 100).read(-50, 40))
