"""The published rule for chunks, against the published formula written down plainly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.engine.separator import ArraySource, FloatArray
from daw_bridge.separation.families.community.separator import Chunks, CommunitySeparator

CHUNK = 1000


class Warp(nn.Module):
    """A network whose output depends on where a sample lies in its chunk, so that every cut is heard."""

    def forward(self, mix: Tensor) -> Tensor:
        place = torch.linspace(-1.0, 1.0, mix.shape[-1])
        first = torch.tanh(3 * mix) * (1 + 0.5 * place) + 0.1 * place
        return torch.stack([first, mix.flip(-1) * place**2], dim=1)


def demix(mix: Tensor, network: nn.Module, chunk: int, overlaps: int) -> Tensor:
    """The reference's formula with one chunk a batch."""
    fade, step = chunk // 10, chunk // overlaps
    border, length = chunk - step, mix.shape[-1]
    padded = mix
    if length > 2 * border > 0:
        padded = nn.functional.pad(mix[None], (border, border), mode="reflect")[0]
    window = torch.ones(chunk)
    window[-fade:] *= torch.linspace(1, 0, fade)
    window[:fade] *= torch.linspace(0, 1, fade)
    total = padded.shape[-1]
    result, counter = torch.zeros(2, 2, total), torch.zeros(2, 2, total)
    for start in range(0, total, step):
        part = padded[:, start : start + chunk]
        size = part.shape[-1]
        mode = "reflect" if size > chunk // 2 else "constant"
        part = nn.functional.pad(part[None], (0, chunk - size), mode=mode)
        weight = window.clone()
        if start == 0:
            weight[:fade] = 1
        elif start + step >= total:
            weight[-fade:] = 1
        result[..., start : start + size] += network(part)[0][..., :size] * weight[:size]
        counter[..., start : start + size] += weight[:size]
    stems = torch.nan_to_num(result / counter, nan=0.0)
    return stems[..., border:-border] if padded is not mix else stems


def separator(
    overlaps: int, *, batch: int = 1, workers: int = 1, chunk: int = CHUNK, **options: bool | int
) -> CommunitySeparator:
    chunks = Chunks(chunk_samples=chunk, overlaps=overlaps, **options)  # type: ignore[arg-type]
    rungs = [Rung(device="cpu", batch_segments=batch, workers=workers)]
    return CommunitySeparator("warp", Warp(), ("one", "two"), chunks, rungs)


def run(model: CommunitySeparator, mix: FloatArray, start: int = 0) -> FloatArray:
    blocks: list[FloatArray] = []
    model.run(ArraySource(mix), blocks.append, start_samples=start, on_progress=ignore_progress, cancel=CancelToken())
    return np.concatenate(blocks, axis=-1)


def noise(samples: int) -> FloatArray:
    return np.random.default_rng(samples).normal(0.0, 0.3, (2, samples)).astype(np.float32)


LENGTHS = (1, 37, 499, 500, 501, 999, 1000, 1001, 1499, 1751, 2000, 2001, 3333, 5000, 7919)


@pytest.mark.parametrize("overlaps", [2, 4, 8])
@pytest.mark.parametrize("chunk", [1000, 997])
def test_chunks_are_those_of_the_formula_to_the_last_bit(overlaps: int, chunk: int) -> None:
    for samples in LENGTHS:
        mix = noise(samples)
        stems = run(separator(overlaps, chunk=chunk), mix)
        expected = demix(torch.from_numpy(mix), Warp(), chunk, overlaps).numpy()
        assert stems.shape == expected.shape == (2, 2, samples)
        assert np.array_equal(stems, expected), (samples, np.abs(stems - expected).max())


def test_a_batch_changes_nothing_but_the_last_digits() -> None:
    for samples in LENGTHS:
        mix = noise(samples)
        one = run(separator(4), mix)
        assert np.abs(run(separator(4, batch=4), mix) - one).max() <= 1e-6
        assert np.array_equal(run(separator(4, workers=2), mix), one)


@pytest.mark.parametrize("start", [1, 250, 999, 2500, 4999])
def test_a_resumed_run_gives_the_identical_samples(start: int) -> None:
    mix = noise(5000)
    whole = run(separator(4), mix)
    assert np.array_equal(run(separator(4), mix, start), whole[..., start:])


def test_normalising_is_undone_on_every_stem() -> None:
    mix = noise(3000) * np.float32(0.01) + np.float32(0.2)
    mono = mix.mean(axis=0, dtype=np.float64)
    scaled = ((mix - mono.mean()) / mono.std()).astype(np.float32)
    expected = run(separator(2), scaled) * mono.std() + mono.mean()
    assert np.abs(run(separator(2, normalise=True), mix) - expected).max() < 1e-6


def test_shifts_average_grids_that_lie_between_each_other() -> None:
    mix = noise(6000)
    one, two = run(separator(2), mix), run(separator(2, shifts=2), mix)
    assert one.shape == two.shape
    assert 0.0 < np.abs(one - two).max() < 1.5
    assert np.array_equal(run(separator(2, shifts=2), mix, 3001), two[..., 3001:])
