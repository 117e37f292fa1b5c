"""The separator: streamed equals whole, resumed equals uncut, level, memory, cancellation, and running out of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.errors import Cancelled, DeviceError, ModelError, UsageError
from daw_bridge.progress import CancelToken, Progress, ignore_progress
from daw_bridge.separation.engine.memory import Rung, ladder
from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.separation.families.bsrnn.chunks import Chunking, Fader, OverlapAdd
from daw_bridge.separation.families.bsrnn.network import Bsrnn
from daw_bridge.separation.families.bsrnn.separator import BsrnnSeparator, load_bsrnn_separator
from tests.separation.tiny_bsrnn import (
    PLAIN,
    RATE_HZ,
    STEMS,
    CountingSource,
    make_mix,
    make_network,
    save_network,
    transparent_network,
)

SHORT = Fader(segment_s=0.1, overlap=0.1)
STEP, FADE = 880, 80


def make_separator(network: Bsrnn | None = None, *, batch: int = 1, **options: Any) -> BsrnnSeparator:
    rungs = ladder(Rung(device="cpu", batch_segments=batch, workers=batch), cpu_workers=batch)
    return BsrnnSeparator("tiny", [network or make_network()], rungs, **{"chunking": SHORT, **options})


def run(separator: BsrnnSeparator, mix: np.ndarray, start: int = 0) -> np.ndarray:
    blocks: list[np.ndarray] = []
    source = CountingSource(mix)
    separator.run(source, blocks.append, start_samples=start, on_progress=ignore_progress, cancel=CancelToken())
    return np.concatenate(blocks, axis=2)


def published_fader(network: Bsrnn, mix: np.ndarray) -> np.ndarray:
    """The published loop over a whole mix in memory: chunks of STEP + FADE (the first STEP) with linear fades."""
    length = mix.shape[1]
    out = np.zeros((4, 2, length), dtype=np.float32)
    start, end, index = 0, min(STEP, length), 0
    while index == 0 or start < length - FADE:
        with torch.inference_mode():
            part = network(torch.from_numpy(mix[:, start:end])[None])[0].numpy()
        if index:
            part[..., :FADE] *= np.linspace(0, 1, FADE, dtype=np.float32)
        if end < length:
            part[..., -FADE:] *= np.linspace(1, 0, FADE, dtype=np.float32)
        out[..., start:end] += part
        index += 1
        start, end = index * STEP - FADE, min((index + 1) * STEP, length)
    return out


@settings(deadline=None, max_examples=12)
@given(length=st.integers(1, 4 * STEP + 50) | st.sampled_from([STEP, STEP + 1, 2 * STEP, 2 * STEP - FADE]))
def test_streamed_chunks_equal_the_published_loop(length: int) -> None:
    mix, network = make_mix(length), make_network()
    streamed = run(make_separator(network, normalise=False), mix)
    assert np.abs(streamed - published_fader(network, mix)).max() <= 1e-6


@pytest.mark.parametrize("chunking", [SHORT, OverlapAdd(segment_s=0.1, hop_s=0.04)], ids=["fader", "ola"])
@pytest.mark.parametrize("batch", [1, 3])
def test_a_resumed_run_gives_the_identical_samples(chunking: Chunking, batch: int) -> None:
    mix = make_mix(5_000)
    separator = make_separator(batch=batch, chunking=chunking)
    whole = run(separator, mix)
    for start in (1, STEP - FADE, STEP - 1, STEP, 2_345, 4_999):
        assert np.array_equal(run(separator, mix, start), whole[..., start:]), start


@pytest.mark.parametrize("chunking", [SHORT, OverlapAdd(segment_s=0.1, hop_s=0.05)], ids=["fader", "ola"])
def test_a_transparent_network_gives_the_mix_back_across_all_joints(chunking: Chunking) -> None:
    mix = make_mix(6_001)
    stems = run(make_separator(transparent_network(), chunking=chunking), mix)
    assert np.abs(stems - mix).max() < 1e-5


def test_a_resumed_run_computes_in_the_batches_of_the_first() -> None:
    separator = make_separator(batch=3)
    separator.repeat(Rung(device="cuda", batch_segments=8))
    assert separator.rung.batch_segments == 3, "another device: its batches mean nothing here"
    separator.repeat(Rung(device="cpu", batch_segments=2))
    assert separator.rung.batch_segments == 2


def test_nothing_is_left_to_do_at_the_end_of_the_mix() -> None:
    blocks: list[np.ndarray] = []
    source = CountingSource(make_mix(500))
    make_separator().run(source, blocks.append, start_samples=500, on_progress=ignore_progress, cancel=CancelToken())
    assert not blocks


def test_a_batch_changes_speed_and_not_samples() -> None:
    mix = make_mix(7_000)
    assert np.abs(run(make_separator(batch=4), mix) - run(make_separator(), mix)).max() < 1e-6


def test_a_quiet_mix_is_separated_as_the_loud_one() -> None:
    mix = make_mix(3_000)
    loud, quiet = run(make_separator(), mix), run(make_separator(), mix * np.float32(2**-14))
    assert np.array_equal(quiet, loud * np.float32(2**-14))


def test_silence_gives_silence_and_no_nan() -> None:
    stems = run(make_separator(), np.zeros((2, 5_000), dtype=np.float32), start=100)
    assert stems.shape == (4, 2, 4_900) and not stems.any()


def test_no_more_than_a_batch_of_chunks_is_held() -> None:
    source = CountingSource(make_mix(20 * STEP))
    sizes: list[int] = []
    separator = make_separator(PLAIN_NETWORK)
    separator._peak = lambda *_args: 1.0  # type: ignore[method-assign]  # its own pass reads in blocks of its own
    separator.run(source, lambda b: sizes.append(b.shape[2]), on_progress=ignore_progress, cancel=CancelToken())
    assert max(sizes) <= STEP + FADE and source.largest_read <= STEP + FADE and sum(sizes) == 20 * STEP


PLAIN_NETWORK = make_network(PLAIN)


def test_progress_never_goes_back_and_ends_at_the_end() -> None:
    events: list[Progress] = []
    source = CountingSource(make_mix(3_000))
    make_separator().run(source, lambda _b: None, start_samples=900, on_progress=events.append, cancel=CancelToken())
    done = [event.done for event in events]
    assert done == sorted(done) and done[0] >= 900 and done[-1] == events[-1].total == 3_000
    assert len(set(done)) > 8, "a chunk takes minutes on a CPU: there must be progress within it"


def test_cancellation_is_heard_within_a_chunk() -> None:
    token = CancelToken()
    blocks: list[FloatArray] = []

    def on_progress(event: Progress) -> None:
        if event.done > 0:
            token.cancel()

    with pytest.raises(Cancelled):
        make_separator().run(CountingSource(make_mix(800)), blocks.append, on_progress=on_progress, cancel=token)
    assert not blocks


class Greedy(torch.nn.Module):
    """A network that runs out of memory as long as `short()`."""

    def __init__(self, network: Bsrnn, short: Callable[[], bool]) -> None:
        super().__init__()
        self.network, self.config, self._short = network, network.config, short

    def forward(self, mix: torch.Tensor, *rest: Any) -> torch.Tensor:
        if self._short():
            raise torch.OutOfMemoryError("out of memory")
        return torch.as_tensor(self.network(mix, *rest))


def test_out_of_memory_halves_the_workers_says_so_and_changes_nothing() -> None:
    mix = make_mix(9_000)
    notes: list[str] = []
    greedy: Any = Greedy(make_network(), lambda: len(notes) < 2)
    stems = run(make_separator(greedy, batch=4, note=notes.append), mix)
    assert np.array_equal(stems, run(make_separator(), mix))
    assert len(notes) == 2 and all("out of memory" in note for note in notes)
    hopeless: Any = Greedy(make_network(), lambda: True)
    with pytest.raises(DeviceError, match="out of memory"):
        run(make_separator(hopeless, batch=2), mix)


def test_single_stem_files_make_one_model_of_which_only_the_wanted_run(tmp_path: Path) -> None:
    from dataclasses import replace

    networks = {stem: make_network(replace(PLAIN, targets=(stem,)), seed) for seed, stem in enumerate(STEMS)}
    for stem, network in networks.items():
        save_network(tmp_path / f"{stem}.safetensors", network)
    mix = make_mix(1_500)
    everything = load_bsrnn_separator("bsrnn", tmp_path, chunking=SHORT)
    assert everything.sources == STEMS and everything.sample_rate_hz == RATE_HZ and everything.channels == 2
    (tmp_path / "vocals.safetensors").write_bytes(b"not even looked at")
    some = load_bsrnn_separator("bsrnn", tmp_path, stems=("drums", "bass"), chunking=SHORT)
    assert some.sources == ("bass", "drums")
    assert np.array_equal(run(some, mix), run(everything, mix)[1:3])


def test_wanted_stems_of_a_joint_model_are_the_same_as_among_all(tmp_path: Path) -> None:
    path = save_network(tmp_path / "separator.safetensors", make_network())
    mix = make_mix(1_500)
    some = load_bsrnn_separator("bsrnn-simo", path, stems=("other",), chunking=SHORT)
    assert np.array_equal(run(some, mix), run(load_bsrnn_separator("x", path, chunking=SHORT), mix)[3:])
    with pytest.raises(ModelError, match="no weights for guitar"):
        load_bsrnn_separator("bsrnn-simo", path, stems=("guitar",))


def test_networks_that_are_not_one_model_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_network(tmp_path / f"{name}.safetensors", make_network(PLAIN))
    with pytest.raises(ModelError, match="same stem twice"):
        load_bsrnn_separator("bsrnn", tmp_path)


def test_chunks_that_cannot_be_joined_are_refused() -> None:
    with pytest.raises(UsageError):
        Fader(overlap=0.0)
    with pytest.raises(UsageError):
        OverlapAdd(segment_s=1.0, hop_s=2.0)
    with pytest.raises(UsageError):
        Fader(segment_s=0.0001).spans(1_000, RATE_HZ)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_a_gpu_that_is_not_there_is_an_error_and_not_a_slow_run(tmp_path: Path) -> None:
    path = save_network(tmp_path / "separator.safetensors", make_network())
    for device in ("cuda", "abacus"):
        with pytest.raises(DeviceError, match=f"no device '{device}'"):
            load_bsrnn_separator("bsrnn-simo", path, device)


@pytest.mark.gpu
def test_the_gpu_gives_the_samples_of_the_cpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    path = save_network(tmp_path / "separator.safetensors", make_network())
    mix = make_mix(9_000)
    ours = run(load_bsrnn_separator("x", path, "cuda", chunking=SHORT), mix)
    assert np.abs(ours - run(load_bsrnn_separator("x", path, chunking=SHORT), mix)).max() < 1e-4
