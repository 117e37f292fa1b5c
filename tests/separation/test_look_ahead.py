"""Offline the low end is shared out by what comes next: aligned, summing to the mix, and nothing above it touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from daw_bridge.errors import WeightsCorrupt
from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine.separator import ArraySource
from daw_bridge.separation.families.band_split.bundled import WEIGHTS_FOLDER
from daw_bridge.separation.families.band_split.causal import PreviewSeparator, load_look_ahead
from daw_bridge.separation.families.band_split.look_ahead import BINS, FIGURES, FRAME_SAMPLES, LookAhead, LookingAhead
from tests.separation.recipe_modules import module
from tests.separation.small_net import make_net

FloatArray = NDArray[np.float32]

RATE_HZ = 44_100
DRUMS, BASS = 1, 2


def some_layers(hidden: int = 6) -> LookAhead:
    rng = np.random.default_rng(4)
    sizes = {"a": (hidden, FIGURES), "b": (hidden, hidden), "c": (4, hidden)}
    weights = {f"{name}.weight": rng.normal(0, 0.3, size).astype(np.float32) for name, size in sizes.items()}
    weights |= {f"{name}.bias": rng.normal(0, 0.1, size[0]).astype(np.float32) for name, size in sizes.items()}
    return LookAhead(weights)


def looked_ahead(look_ahead: LookAhead, stems: FloatArray, size: int) -> FloatArray:
    blocks: list[FloatArray] = []
    looking = LookingAhead(look_ahead, blocks.append, length_samples=stems.shape[2])
    for start in range(0, stems.shape[2], size):
        looking.feed(stems[:, :, start : start + size])
    return np.concatenate(blocks, 2)


def noise(samples: int) -> FloatArray:
    return np.random.default_rng(2).normal(0, 0.1, (4, 2, samples)).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 1023, 1024, 50_000, 880_640, 880_641])
def test_stems_keep_their_length_and_their_sum(samples: int) -> None:
    stems = noise(samples)
    after = looked_ahead(some_layers(), stems, 176_400)
    assert after.shape == stems.shape
    np.testing.assert_allclose(after.sum(0), stems.sum(0), atol=2e-6)
    assert samples < FRAME_SAMPLES or np.abs(after - stems).max() > 1e-3


@pytest.mark.parametrize("size", [700_000, 1_000_000])
def test_how_the_stems_were_cut_changes_nothing(size: int) -> None:
    stems = noise(1_000_000)
    assert np.array_equal(looked_ahead(some_layers(), stems, 31_337), looked_ahead(some_layers(), stems, size))


def test_blocks_meet_without_a_seam() -> None:
    """What is computed for a block depends on its surroundings alone: half a block later, the song gives the same."""
    stems = noise(1_300_000)
    late = np.pad(stems, ((0, 0), (0, 0), (430 * 1024, 0)))
    shifted = looked_ahead(some_layers(), late, 176_400)[:, :, 430 * 1024 :]
    np.testing.assert_allclose(shifted, looked_ahead(some_layers(), stems, 176_400), atol=2e-6)


def test_only_the_low_end_changes() -> None:
    stems = noise(200_000)
    changes = looked_ahead(some_layers(), stems, 176_400) - stems
    spectrum = np.abs(np.fft.rfft(changes * np.hanning(changes.shape[2]))) ** 2
    hz = np.fft.rfftfreq(changes.shape[2], 1 / RATE_HZ)
    edge_hz = (BINS + 4) * RATE_HZ / FRAME_SAMPLES
    assert spectrum[..., hz > edge_hz].sum() < 1e-5 * spectrum[..., hz <= edge_hz].sum()


def test_a_separator_with_it_resumes_on_the_sample_and_loses_nothing() -> None:
    audio = noise(1_000_003)[0]

    def run(start: int) -> FloatArray:
        blocks: list[FloatArray] = []
        PreviewSeparator(make_net(), look_ahead=some_layers()).run(
            ArraySource(audio), blocks.append, start_samples=start, on_progress=ignore_progress, cancel=CancelToken()
        )
        return np.concatenate(blocks, 2)

    whole = run(0)
    assert whole.shape == (4, 2, audio.shape[1])
    np.testing.assert_allclose(whole.sum(0), audio, atol=3e-6)
    assert np.array_equal(run(900_001), whole[:, :, 900_001:])


def test_kick_and_bass_that_were_left_half_in_each_other_part() -> None:
    """The bundled layers, physically: a held note belongs to the bass, strokes that die away to the drums."""
    look_ahead = load_look_ahead()
    assert look_ahead is not None
    t = np.arange(20 * RATE_HZ) / RATE_HZ
    beat = t % 0.5
    kick = 0.5 * np.exp(-beat / 0.05) * np.sin(2 * np.pi * (50 * beat + 4 * (1 - np.exp(-beat / 0.03))))
    bass = 0.25 * np.sin(2 * np.pi * 55 * t)
    truth = np.zeros((4, 2, t.size), np.float32)
    truth[DRUMS], truth[BASS] = kick, bass
    stems = truth.copy()
    stems[DRUMS] = 0.7 * truth[DRUMS] + 0.3 * truth[BASS]
    stems[BASS] = 0.3 * truth[DRUMS] + 0.7 * truth[BASS]
    after = looked_ahead(look_ahead, stems, 176_400)
    for stem in (DRUMS, BASS):
        before_db, after_db = (10 * np.log10(np.square(x[stem] - truth[stem]).sum()) for x in (stems, after))
        assert after_db < before_db - 1


def test_what_the_recipe_fits_is_what_the_program_runs(tmp_path: Path) -> None:
    """That all is bass is learnt, and the layers come out of the weights file as they went in."""
    recipe, net = module("fit_look_ahead"), make_net()
    rng = np.random.default_rng(3)
    only_bass = np.array([0, 0, 1, 0], np.float32)[:, None, None]
    truths = [rng.normal(0, 0.1, (4, 2, 6 * RATE_HZ)).astype(np.float32) * only_bass for _ in range(3)]
    lessons = [recipe.lesson(net, truth) for truth in truths]
    torch.manual_seed(1)
    layers = recipe.Layers(8, 4)

    def error(given: torch.Tensor, lesson: object) -> float:
        x = lesson.error + given.permute(2, 0, 1).unsqueeze(1) * lesson.mix  # type: ignore[attr-defined]
        return float((x.real.square() + x.imag.square()).sum().detach())

    inputs = [lesson.figures.float() for lesson in lessons]
    before = sum(error(layers(x), lesson) for x, lesson in zip(inputs, lessons, strict=True))
    recipe.fit(layers, lessons, torch.ones(4), steps=60, batch=2, rate=1e-2, seed=1)
    assert sum(error(layers(x), lesson) for x, lesson in zip(inputs, lessons, strict=True)) < 0.7 * before
    module("export").export(net, tmp_path, {}, look_ahead=layers.state_dict())
    found = load_look_ahead(tmp_path / "preview.safetensors")
    assert found is not None
    spectra = (rng.normal(size=(4, 2, 5, BINS + 4)) + 1j * rng.normal(size=(4, 2, 5, BINS + 4))).astype(np.complex64)
    heard = recipe.figures(spectra)
    expected = layers(torch.from_numpy(heard)).detach().permute(2, 0, 1).numpy()
    np.testing.assert_allclose(found.shares(spectra), expected, atol=1e-5)


@pytest.mark.parametrize("damage", ["lost", "narrow"])
def test_layers_that_do_not_fit_are_refused_by_name(damage: str, tmp_path: Path) -> None:
    tensors = load_file(WEIGHTS_FOLDER / "preview.safetensors")
    if damage == "lost":
        del tensors["look_ahead.b.bias"]
    else:
        tensors["look_ahead.a.weight"] = tensors["look_ahead.a.weight"][:, 1:].contiguous()
    save_file(tensors, tmp_path / "own.safetensors", metadata={"config": "{}"})
    with pytest.raises(WeightsCorrupt, match=r"own\.safetensors.*look_ahead"):
        load_look_ahead(tmp_path / "own.safetensors")
