"""The live host without a sound card: fixed delay, dry signal on overload, no harm from any block or sample."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from daw_bridge.live.host import LiveHost
from daw_bridge.separation.families.band_split.streaming import FloatArray, NetworkState, StreamingModel
from daw_bridge.separation.families.band_split.torch_engine import TorchEngine
from tests.separation.small_net import make_net

CEILING = 10 ** (-0.3 / 20)


class GatedEngine(TorchEngine):
    """The real network behind a gate: shut, it is a machine that is too slow; broken, one that fails."""

    broken = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gate = threading.Event()
        self.gate.set()

    def run(self, spectrum: FloatArray, state: NetworkState) -> tuple[FloatArray, NetworkState]:
        self.gate.wait()
        if self.broken:
            raise ValueError("the card is on fire")
        return super().run(spectrum, state)


def noise(samples: int, level: float = 0.05, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(0, level, (2, samples)).astype(np.float32)


@contextmanager
def running(host: LiveHost) -> Iterator[LiveHost]:
    host.start()
    try:
        yield host
    finally:
        host.stop()


def play(host: LiveHost, audio: FloatArray, size: int, *, patient: bool = True) -> FloatArray:
    """Feed blocks as a sound card would; a patient one waits for the worker between blocks, as real time would."""
    out = []
    for start in range(0, audio.shape[1], size):
        out.append(host.process(audio[:, start : start + size]))
        if patient:
            catch_up(host)
    return np.concatenate(out, 1)


def catch_up(host: LiveHost) -> None:
    """Return when the worker has done all that was played; waiting for it needs a look inside."""
    whole_hops = host._input.end // 512 * 512
    while host._stems.end < whole_hops - 512 and host.failure is None:
        time.sleep(0.0005)


def make_host(block_samples: int, **options: object) -> LiveHost:
    return LiveHost(StreamingModel(TorchEngine(make_net())), block_samples=block_samples, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 64, 256, 500, 1024, 8192])
def test_with_all_faders_up_the_output_is_the_input_a_fixed_delay_later(size: int) -> None:
    audio = noise(3_000 if size == 1 else 30_000)
    with running(make_host(size)) as host:
        out = play(host, audio, size)
    delay = host.latency_samples
    assert delay == 1024 + size + 256
    np.testing.assert_allclose(out[:, delay:], audio[:, : audio.shape[1] - delay], atol=3e-6)
    assert host.statistics.underruns == 0
    assert host.failure is None


def test_a_muted_stem_is_gone_and_a_soloed_one_alone() -> None:
    """Against the model itself, block by block."""
    audio, model = noise(30_000), StreamingModel(TorchEngine(make_net()))
    stems, _ = model.step(audio, model.initial_state())
    with running(make_host(256)) as host:
        host.controls.set("bass", "solo", 1.0)
        out = play(host, audio, 256)
    delay = host.latency_samples
    np.testing.assert_allclose(out[:, delay + 4000 : 25_000], stems[2][:, 4000 : 25_000 - delay], atol=3e-6)


def test_vocals_only_has_two_faders() -> None:
    audio, model = noise(20_000), StreamingModel(TorchEngine(make_net()))
    stems, _ = model.step(audio, model.initial_state())
    with running(make_host(256, vocals_only=True)) as host:
        assert host.sources == ("vocals", "rest")
        host.controls.set("vocals", "mute", 1.0)
        out = play(host, audio, 256)
    delay = host.latency_samples
    rest = (stems.sum(0) - stems[0])[:, 4000 : 18_000 - delay]
    np.testing.assert_allclose(out[:, delay + 4000 : 18_000], rest, atol=3e-6)


def test_split_output_gives_every_stem_its_pair() -> None:
    audio = noise(20_000)
    with running(make_host(256, split=True)) as host:
        out = play(host, audio, 256)
    assert out.shape == (8, 20_000)
    delay = host.latency_samples
    np.testing.assert_allclose(out.reshape(4, 2, -1).sum(0)[:, delay:], audio[:, :-delay], atol=3e-6)


def test_an_overloaded_machine_plays_the_dry_signal_counts_it_and_recovers() -> None:
    engine = GatedEngine(make_net())
    host = LiveHost(StreamingModel(engine), block_samples=512)
    audio = noise(60_000)
    with running(host):
        first = play(host, audio[:, :20_480], 512)
        engine.gate.clear()
        second = play(host, audio[:, 20_480:40_960], 512, patient=False)
        engine.gate.set()
        catch_up(host)
        third = play(host, audio[:, 40_960:], 512)
    out, delay = np.concatenate((first, second, third), 1), host.latency_samples
    np.testing.assert_allclose(out[:, delay:], audio[:, :-delay], atol=3e-6)  # faders up: stems or dry, the same music
    assert host.statistics.underruns > 20
    assert host.failure is None
    before = host.statistics.underruns
    with running(host):
        pass
    assert host.statistics.underruns == before


def test_a_worker_that_dies_leaves_the_dry_signal_and_says_why() -> None:
    engine = GatedEngine(make_net())
    host = LiveHost(StreamingModel(engine), block_samples=256)
    host.start()
    engine.broken = True
    out = play(host, noise(8_192), 256, patient=False)
    while host.failure is None:
        time.sleep(0.001)
    out = np.concatenate((out, play(host, noise(8_192, seed=1), 256, patient=False)), 1)
    host.stop()
    assert isinstance(host.failure, ValueError)
    assert np.abs(out[:, 4_000:]).max() > 0.05


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_bad_samples_never_become_a_burst(bad: float) -> None:
    audio = noise(20_000)
    audio[:, 7_000:7_100] = bad
    with running(make_host(300)) as host:
        out = play(host, audio, 300)
    assert np.isfinite(out).all()
    assert np.abs(out).max() < 0.5


def test_faders_at_the_top_never_pass_the_limiter() -> None:
    with running(make_host(256)) as host:
        for stem in host.sources:
            host.controls.set(stem, "gain_db", 12.0)
        out = play(host, noise(20_000, level=1.0), 256)
    assert np.abs(out).max() <= CEILING + 1e-6
    assert host.statistics.limited_blocks > 0


def test_a_mono_input_reaches_both_sides() -> None:
    audio = noise(10_000)[:1]
    with running(make_host(256)) as host:
        out = play(host, audio, 256)
    np.testing.assert_allclose(out[0], out[1], atol=1e-6)
    np.testing.assert_allclose(out[0, host.latency_samples :], audio[0, : -host.latency_samples], atol=3e-6)
