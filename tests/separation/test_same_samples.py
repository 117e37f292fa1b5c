"""Same input, same output: the samples do not hang on cores, threads, free memory, a batch size, or a resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from daw_bridge.separation.engine.devices import choose_rungs
from daw_bridge.separation.engine.memory import Need, Rung, cpu_rung, ladder
from daw_bridge.separation.families.band_split.bidirectional import BidirectionalSeparator
from daw_bridge.separation.families.bsrnn.chunks import Fader
from daw_bridge.separation.families.bsrnn.separator import BsrnnSeparator
from daw_bridge.separation.families.community.config import parse_config
from daw_bridge.separation.families.community.separator import Chunks, CommunitySeparator
from tests.separation.small_net import make_net
from tests.separation.tiny import RATE_HZ, noise, run, tiny_bag, tiny_module, tiny_separator
from tests.separation.tiny_bsrnn import make_network
from tests.separation.tiny_community import FAMILIES, config_text, network_of

STRIDE = 3000
"""Of the tiny htdemucs at an overlap of 0.25, in samples."""

Make = Callable[[Sequence[Rung]], Any]


def demucs(kind: str) -> Make:
    # Two networks, and wide: torch would share the sums of one operation among its threads.
    bag = tiny_bag([tiny_module(kind, channels=16), tiny_module(kind, seed=1, channels=16)])
    return lambda rungs: tiny_separator(bag, rungs=rungs)


def community(kind: str) -> Make:
    family, config = FAMILIES[kind], parse_config(config_text(kind, ("vocals", "other")), "tiny.yaml")
    network = network_of(kind, config).eval()
    family.make_ready(network)
    chunks = Chunks(chunk_samples=family.fitting_chunk(family.read(config), 8820), overlaps=2)
    return lambda rungs: CommunitySeparator("tiny", network, ("vocals", "other"), chunks, rungs)


def bsrnn() -> Make:
    return lambda rungs: BsrnnSeparator("tiny", [make_network()], rungs, chunking=Fader(segment_s=0.5, overlap=0.1))


def bidirectional() -> Make:
    net = make_net(causal=False)
    return lambda rungs: BidirectionalSeparator(net, rungs, segment_s=0.2)


MAKERS: dict[str, tuple[Callable[[], Make], int]] = {
    "htdemucs": (lambda: demucs("htdemucs"), 3 * STRIDE),
    "hdemucs": (lambda: demucs("hdemucs"), 2 * RATE_HZ),
    **{kind: (partial(community, kind), 22_000) for kind in FAMILIES},
    "bsrnn": (bsrnn, 22_000),
    "bidirectional": (bidirectional, 22_000),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_samples_are_those_of_any_other_machine_with_such_a_processor(name: str) -> None:
    """Each family on 1 to 8 cores, with plenty of memory and with next to none, whatever torch's threads are."""
    maker, length = MAKERS[name]
    make, mix, need = maker(), noise(length), Need(weights_gb=0.5, per_segment_gb=0.5)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run(make([Rung(device="cpu")]), mix)
        assert np.abs(one).max() > 1e-4
        for cores, free_gb, threads in ((2, 64.0, 2), (8, 2.0, 4), (8, 0.8, 1)):
            torch.set_num_threads(threads)
            first = cpu_rung(need, free_gb, cores)
            same = run(make(ladder(first, cpu_workers=first.workers)), mix)
            assert np.array_equal(same, one), (cores, free_gb, threads)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_a_batch_is_for_gpus_and_changes_no_sample_on_the_cpu() -> None:
    need = Need(weights_gb=0.0, per_segment_gb=0.001)
    assert choose_rungs(need, "cpu", 4, print) == choose_rungs(need, "cpu", None, print)
    assert {rung.batch_segments for rung in choose_rungs(need, "cpu", 4, print)} == {1}


def test_memory_that_runs_out_midway_changes_no_sample() -> None:
    """Fewer workers compute the same."""
    mix, bag = noise(6 * STRIDE), tiny_bag([tiny_module("htdemucs")])
    whole = run(tiny_separator(bag, rungs=(Rung(device="cpu", workers=1),)), mix)
    separator = tiny_separator(bag, rungs=ladder(Rung(device="cpu", workers=4), cpu_workers=4))
    network = separator._modules[0]
    calls: list[int] = []

    class Greedy(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(len(x))
            if len(calls) == 3:
                raise MemoryError
            y: torch.Tensor = network(x)
            return y

    separator._modules[0] = Greedy()
    assert np.array_equal(run(separator, mix), whole)


@pytest.mark.parametrize("segments", [5, 6])
def test_a_resumed_run_gives_the_samples_of_a_whole_one_whatever_its_workers(segments: int) -> None:
    bag = tiny_bag([tiny_module("htdemucs")])
    mix = noise(segments * STRIDE)
    whole = run(tiny_separator(bag, rungs=(Rung(device="cpu", workers=3),)), mix)
    for start in range(1, segments * STRIDE, 2_500):
        resumed = run(tiny_separator(bag, rungs=(Rung(device="cpu", workers=2),)), mix, start)
        assert np.array_equal(resumed, whole[..., start:])
