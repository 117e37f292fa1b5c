"""Block by block equals all at once; the past stays; silence, NaN and absurd input do no harm."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from daw_bridge.separation.families.band_split.streaming import StreamingModel
from daw_bridge.separation.families.band_split.torch_engine import TorchEngine
from tests.separation.small_net import make_net

FloatArray = NDArray[np.float32]


@pytest.fixture(scope="module")
def model() -> StreamingModel:
    return StreamingModel(TorchEngine(make_net()))


def noise(samples: int, *, seed: int = 1, level: float = 0.1) -> FloatArray:
    return np.random.default_rng(seed).normal(0, level, (2, samples)).astype(np.float32)


def stream(model: StreamingModel, audio: FloatArray, *sizes: int) -> FloatArray:
    """Stems of `audio`, fed in blocks of the given sizes in turn, then flushed with silence."""
    padded = np.concatenate((audio, np.zeros((2, model.latency_samples), np.float32)), 1)
    state, out, start, turn = model.initial_state(), [], 0, 0
    while start < padded.shape[1]:
        size = sizes[turn % len(sizes)]
        stems, state = model.step(padded[:, start : start + size], state)
        out.append(stems)
        start, turn = start + size, turn + 1
    return np.concatenate(out, 2)[:, :, : audio.shape[1]]


@pytest.mark.parametrize("size", [1, 7, 64, 511, 512, 513, 1029, 2048, 4099, 8192])
def test_any_block_size_gives_the_same_stems(model: StreamingModel, size: int) -> None:
    audio = noise(6_000 if size < 64 else 20_000)
    whole = stream(model, audio, audio.shape[1])
    assert whole.shape == (4, 2, audio.shape[1])
    np.testing.assert_allclose(stream(model, audio, size), whole, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 8192), min_size=1, max_size=6))
def test_block_sizes_may_change_all_the_time(sizes: list[int]) -> None:
    model, audio = StreamingModel(TorchEngine(make_net())), noise(9_000)
    padded = [max(40, size) for size in sizes]
    np.testing.assert_allclose(stream(model, audio, *padded), stream(model, audio, 99_999), atol=1e-5)


def test_stems_sum_to_the_input_from_its_first_sample(model: StreamingModel) -> None:
    audio = noise(12_345)
    np.testing.assert_allclose(stream(model, audio, 512).sum(0), audio, atol=2e-6)


def test_latency_is_two_hops(model: StreamingModel) -> None:
    """A sample's stems are out when `latency_samples`, itself included, have come in: 23.2 ms."""
    assert model.latency_samples == 1024
    state, given, returned = model.initial_state(), 0, 0
    for _ in range(50):
        stems, state = model.step(noise(100), state)
        given, returned = given + 100, returned + stems.shape[2]
        assert given - returned <= model.latency_samples
    stems, state = model.step(noise(512 * 10 - given % 512), state)
    assert given + 512 * 10 - given % 512 - returned - stems.shape[2] == 512


def test_the_future_never_changes_the_past(model: StreamingModel) -> None:
    audio = noise(16_000)
    changed = audio.copy()
    changed[:, 9_000:] = noise(7_000, seed=9, level=1.0)
    before, after = stream(model, audio, 4_000), stream(model, changed, 4_000)
    unchanged = 9_000 - model.latency_samples
    assert np.array_equal(before[:, :, :unchanged], after[:, :, :unchanged])
    assert not np.allclose(before[:, :, 9_000:], after[:, :, 9_000:])


def test_an_old_state_can_be_gone_back_to(model: StreamingModel) -> None:
    _, state = model.step(noise(5_000), model.initial_state())
    first, _ = model.step(noise(3_000, seed=2), state)
    model.step(noise(3_000, seed=3), state)
    again, _ = model.step(noise(3_000, seed=2), state)
    assert np.array_equal(first, again)


def test_silence_stays_exact_silence_and_costs_no_more_than_sound(model: StreamingModel) -> None:
    """Denormal numbers would make it ten times slower."""
    _, state = model.step(noise(44_100), model.initial_state())
    fade = noise(44_100) * np.logspace(0, -45, 44_100, dtype=np.float32)
    _, state = model.step(fade, state)
    model.step(noise(44_100), model.initial_state())
    times = {}
    for name, block in (("sound", noise(44_100)), ("silence", np.zeros((2, 44_100), np.float32))):
        best = 1e9
        for _ in range(4):
            began = time.process_time()
            stems, after = model.step(block, state)
            best = min(best, time.process_time() - began)
        times[name] = best
    assert not np.any(stems[:, :, 4096:])
    denormal = np.abs(np.concatenate([x.ravel() for x in after.network]))
    assert not np.any((denormal > 0) & (denormal < 1.2e-38))
    assert times["silence"] < 3 * times["sound"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_bad_samples_are_replaced_counted_and_soon_forgotten(model: StreamingModel, bad: float) -> None:
    audio = noise(30_000)
    broken = audio.copy()
    broken[0, 5_000:5_010] = bad
    state = model.initial_state()
    out, state = model.step(broken, state)
    assert np.isfinite(out).all()
    assert np.abs(out.sum(0)).max() < 10
    assert state.repaired_samples == 10
    out, _ = model.step(audio, state)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("shape", [(1, 100), (3, 100), (100,)])
def test_a_block_that_is_not_stereo_is_refused(model: StreamingModel, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        model.step(np.zeros(shape, np.float32), model.initial_state())


def test_an_empty_block_gives_nothing(model: StreamingModel) -> None:
    stems, _ = model.step(np.zeros((2, 0), np.float32), model.initial_state())
    assert stems.shape == (4, 2, 0)


def test_a_network_that_looks_ahead_cannot_stream() -> None:
    with pytest.raises(ValueError, match="causal"):
        StreamingModel(TorchEngine(make_net(causal=False)))
