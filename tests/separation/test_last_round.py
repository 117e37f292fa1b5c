"""The last batches of a song, when there are fewer than workers: they share all threads, also after a resume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from daw_bridge.separation.engine import runners
from daw_bridge.separation.engine.lanes import Lane, LaneState
from daw_bridge.separation.engine.memory import Rung
from tests.separation.tiny import noise, run, tiny_bag, tiny_module, tiny_separator

STRIDE = 3000
"""Of the tiny htdemucs at an overlap of 0.25, in samples."""


@pytest.mark.parametrize(
    ("workers", "segments", "threads"),
    [
        (1, 3, [1, 1, 1]),
        (2, 4, [1, 1, 1, 1]),
        (2, 5, [1, 1, 1, 1, 2]),
        (2, 1, [2]),
        (4, 6, [1, 1, 1, 1, 2, 2]),
        (4, 3, [1, 1, 1]),
        (8, 9, [1, 1, 1, 1, 1, 1, 1, 1, 8]),
    ],
)
def test_an_unfilled_last_round_takes_all_threads(
    workers: int, segments: int, threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One segment beside nothing gets every thread, two get a half each; a full round stays one thread a worker."""
    seen: list[int] = []
    original = runners._CpuEngine._forward

    def forward(self: Any, network: int, windows: Any) -> Tensor:
        seen.append(torch.get_num_threads())
        return original(self, network, windows)

    monkeypatch.setattr(runners._CpuEngine, "_forward", forward)
    separator = tiny_separator(tiny_bag([tiny_module("htdemucs")]), rungs=(Rung(device="cpu", workers=workers),))
    before = torch.get_num_threads()
    run(separator, noise(segments * STRIDE - 10))
    assert sorted(seen) == threads
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("segments", [5, 6])
def test_a_resumed_run_shares_as_the_whole_run_did(segments: int) -> None:
    """Three workers: the odd segments at the end are odd from wherever a run begins, and the samples identical."""
    separator = tiny_separator(tiny_bag([tiny_module("htdemucs")]), rungs=(Rung(device="cpu", workers=3),))
    mix = noise(segments * STRIDE)
    whole = run(separator, mix)
    for start in range(1, segments * STRIDE, 2_500):
        assert np.array_equal(run(separator, mix, start), whole[..., start:])


@settings(deadline=None, derandomize=True)
@given(
    length=st.integers(1, 500),
    segment=st.integers(1, 90),
    overlap=st.sampled_from([0.0, 0.25, 0.5, 0.8]),
    batch=st.integers(1, 5),
    begun=st.integers(0, 9),
)
def test_batches_are_counted_as_they_are_made(
    length: int, segment: int, overlap: float, batch: int, begun: int
) -> None:
    """At every point of a run, whatever the lengths."""
    lane = Lane(segment_samples=segment, stride_samples=max(1, int((1 - overlap) * segment)), members=())
    start = min(begun * lane.stride_samples, length - 1)
    state = LaneState.at(lane, length, start, batch, (1, 1), torch.device("cpu"))
    left = []
    while not state.done:
        left.append(state.batches_from(state.next_segment, batch))
        state.next_group(batch)
    assert left == list(range(len(left), 0, -1))
    assert state.batches_from(state.next_segment, batch) == 0
