"""The engine gives what demucs.apply.apply_model(shifts=0) gives: every family, bag, length, segment and overlap."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daw_bridge.separation.engine.memory import Rung
from tests.separation.tiny import RATE_HZ, SOURCES, TINY, by_demucs, noise, run, tiny_bag, tiny_module, tiny_separator

TOLERANCE = 1e-5
MODULES = {kind: tiny_module(kind, seed) for seed, kind in enumerate(TINY)}
PROPERTY = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(theirs).max() > 1e-3, "a silent result would prove nothing"
    assert np.abs(ours - theirs).max() <= TOLERANCE


@PROPERTY
@given(
    kind=st.sampled_from(sorted(TINY)),
    length=st.integers(2, 2 * RATE_HZ),
    overlap=st.sampled_from([0.1, 0.25, 0.33, 0.5, 0.7, 0.8]),
    segment_s=st.sampled_from([None, 0.2, 0.31, 0.4999]),
)
def test_every_family_equals_apply_model(kind: str, length: int, overlap: float, segment_s: float | None) -> None:
    """Odd lengths, segments and overlaps, one network."""
    mix = noise(length, seed=length)
    theirs = by_demucs([MODULES[kind]], mix, overlap=overlap, segment=segment_s)
    ours = run(tiny_separator(tiny_bag([MODULES[kind]]), overlap=overlap, segment_s=segment_s), mix)
    close(ours, theirs)


@pytest.mark.parametrize("length", [1, 2, 7, 37, 399, 400, 3999, 4000, 4001, 12_345])
@pytest.mark.parametrize("kind", sorted(TINY))
def test_lengths_around_the_edges(kind: str, length: int) -> None:
    """A single sample, one sample around a segment and a stride."""
    mix = noise(length)
    ours = run(tiny_separator(tiny_bag([MODULES[kind]])), mix)
    assert ours.shape == (4, 2, length)
    if length > 1:  # demucs itself divides by zero at one sample
        assert np.abs(ours - by_demucs([MODULES[kind]], mix)).max() <= TOLERANCE


BAGS: dict[str, dict[str, Any]] = {
    "equal shares": {},
    "one network per stem": {"bag_weights": np.eye(4).tolist()},
    "mdx shares": {"bag_weights": [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 1], [1, 0, 1, 1]]},
    "a segment for all": {"segment_s": 0.45},
}


@pytest.mark.parametrize("name", BAGS)
def test_bags_equal_apply_model(name: str) -> None:
    """Bags of mixed families, whose segments differ unless the bag says otherwise."""
    bag = BAGS[name]
    modules = [tiny_module(kind, 10 + seed) for seed, kind in enumerate(["htdemucs", "hdemucs", "demucs", "hdemucs"])]
    mix = noise(9_347)
    weights, segment = bag.get("bag_weights"), bag.get("segment_s")
    theirs = by_demucs(modules, mix, bag_weights=weights or [[1.0] * 4] * 4, bag_segment_s=segment)
    close(run(tiny_separator(tiny_bag(modules, weights, segment)), mix), theirs)


@pytest.mark.parametrize("kind", sorted(TINY))
@pytest.mark.parametrize("stems", [("vocals",), ("drums", "other")])
def test_asked_stems_equal_the_same_stems_of_a_full_run(kind: str, stems: tuple[str, ...]) -> None:
    """Cutting a network down to some stems leaves their samples alone."""
    mix = noise(7_001)
    whole = tiny_separator(tiny_bag([MODULES[kind]]))
    some = tiny_separator(tiny_bag([MODULES[kind]]), stems=stems)
    assert some.sources == stems
    rows = [whole.sources.index(stem) for stem in stems]
    assert np.abs(run(some, mix) - run(whole, mix)[rows]).max() <= 1e-6


def test_members_without_a_share_in_the_asked_stem_do_not_run() -> None:
    """Of four networks with one stem each, asking for one stem runs one."""
    bag = tiny_bag([tiny_module("htdemucs", seed) for seed in range(4)], np.eye(4).tolist())
    ran: list[int] = []
    for index, network in enumerate(bag.networks):
        network.module.register_forward_hook(lambda *_, index=index: ran.append(index))
    run(tiny_separator(bag, stems=("vocals",)), noise(9_000))
    assert set(ran) == {3}


def test_shifts_equal_apply_model_with_the_same_shifts(monkeypatch: pytest.MonkeyPatch) -> None:
    """demucs' own shift trick, with its random offsets replaced by ours."""
    modules = [MODULES["htdemucs"]]
    mix = noise(9_876)
    largest = int(0.5 * RATE_HZ)
    offsets = iter([largest - largest * shift // 3 for shift in range(3)])
    monkeypatch.setattr(random, "randint", lambda _low, _high: next(offsets))
    close(run(tiny_separator(tiny_bag(modules), shifts=3), mix), by_demucs(modules, mix, shifts=3))


def test_shifts_are_the_same_every_time() -> None:
    mix = noise(5_000)
    first = run(tiny_separator(tiny_bag([MODULES["demucs"]]), shifts=4), mix)
    assert np.array_equal(first, run(tiny_separator(tiny_bag([MODULES["demucs"]]), shifts=4), mix))


def test_one_shift_is_no_shift() -> None:
    mix = noise(5_000)
    plain = run(tiny_separator(tiny_bag([MODULES["demucs"]])), mix)
    assert np.array_equal(plain, run(tiny_separator(tiny_bag([MODULES["demucs"]]), shifts=1), mix))


@PROPERTY
@given(
    kind=st.sampled_from(sorted(TINY)),
    length=st.integers(2, 3 * RATE_HZ // 2),
    start=st.integers(0, 3 * RATE_HZ // 2),
    overlap=st.sampled_from([0.25, 0.5, 0.75]),
    shifts=st.sampled_from([0, 2]),
)
def test_a_run_that_begins_anywhere_gives_the_identical_samples(
    kind: str, length: int, start: int, overlap: float, shifts: int
) -> None:
    """Resuming at any sample, not only between segments."""
    mix = noise(length, seed=length)
    bag = [MODULES[kind]]
    whole = run(tiny_separator(tiny_bag(bag), overlap=overlap, shifts=shifts), mix)
    start = min(start, length - 1)
    rest = run(tiny_separator(tiny_bag(bag), overlap=overlap, shifts=shifts), mix, start)
    assert np.array_equal(rest, whole[..., start:])


PUBLISHED: dict[str, tuple[type, dict[str, Any], int]] = {
    "htdemucs": (
        HTDemucs,
        {"bottom_channels": 512, "dconv_mode": 3, "dconv_comp": 8, "t_dropout": 0.02, "segment": Fraction(3, 2)},
        60_001,
    ),
    "mdx_extra": (HDemucs, {}, 30_001),
}
"""The published architectures (htdemucs with 1.5 s segments instead of 7.8) and a length of mix that takes seconds."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_architectures_equal_apply_model(name: str) -> None:
    """Full size, random weights."""
    klass, kwargs, length = PUBLISHED[name]
    torch.manual_seed(1)
    module = klass(SOURCES, **kwargs).eval()
    mix = noise(length)
    close(run(tiny_separator(tiny_bag([module]), rungs=[Rung(device="cpu")]), mix), by_demucs([module], mix))


@pytest.mark.parametrize("kind", sorted(TINY))
def test_a_run_writes_into_no_weights(kind: str) -> None:
    """Both sides of every comparison here have the same tensors."""
    before = {name: tensor.clone() for name, tensor in MODULES[kind].state_dict().items()}
    run(tiny_separator(tiny_bag([MODULES[kind]])), noise(9_000))
    fresh = tiny_module(kind, list(TINY).index(kind)).state_dict()
    for name, tensor in MODULES[kind].state_dict().items():
        assert torch.equal(tensor, before[name]) and torch.equal(tensor, fresh[name]), name
