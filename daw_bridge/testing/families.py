"""`check_family` tries a family of networks against its Protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from daw_bridge.errors import WeightsMissing
from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine.separator import ArraySource, FloatArray, Separator
from daw_bridge.separation.families.family import Family
from daw_bridge.separation.options import SeparationOptions

_SECONDS = 1.7


def check_family(family: Family, weights: Mapping[str, Path] | None = None) -> None:
    """Try a family against its Protocol; AssertionError with what is wrong.

    `weights` has the weights of models by name (small random ones serve): those models are also loaded, and a second
    of noise is separated several times. Without it only what needs no weights is tried.
    """
    _expect(bool(family.models), "a family has at least one model")
    names = [info.name for info in family.models]
    _expect(len(set(names)) == len(names), f"two models have one name: {names}")
    _expect(len({info.family for info in family.models}) == 1, "all models name one family")
    nowhere = Path(__file__).parent / "no-such-weights"
    for info in family.models:
        _expect(len(set(info.stems)) == len(info.stems) > 0, f"{info.name}: stems are named once each")
        _expect(family.present(info, nowhere) or not info.bundled, f"{info.name}: what is bundled is present")
        options = SeparationOptions(model=info.name, weights=nowhere)
        _expect_missing(f"{info.name}: sha256()", nowhere, partial(family.sha256, info, options))
        _expect_missing(f"{info.name}: load()", nowhere, partial(family.load, info, options, _ignore))
    for name, path in (weights or {}).items():
        _check_model(family, name, SeparationOptions(model=name, weights=path, device="cpu"))


def _expect_missing(what: str, path: Path, call: Callable[[], object]) -> None:
    try:
        call()
    except WeightsMissing as exc:
        _expect(str(path) in str(exc), f"{what}: names the path where nothing is")
    else:
        raise AssertionError(f"{what}: takes weights that are not there")


def _ignore(_note: str) -> None:
    """Nobody hears it."""


def _check_model(family: Family, name: str, options: SeparationOptions) -> None:
    info = next(info for info in family.models if info.name == name)
    loaded = family.load(info, options, _ignore)
    separator = loaded.separator
    digest = family.sha256(info, options)
    _expect(len(digest) == 64 and digest == loaded.weights_sha256, f"{name}: sha256() is what load() reports")
    _expect(set(separator.sources) <= set(info.stems), f"{name}: gives {separator.sources}, its row has {info.stems}")
    length = int(_SECONDS * separator.sample_rate_hz) | 1
    noise = np.random.default_rng(1).standard_normal((separator.channels, length)) * 0.1
    mix: FloatArray = noise.astype(np.float32)
    whole = _run(separator, mix)
    shape = (len(separator.sources), separator.channels, length)
    _expect(whole.shape == shape, f"{name}: stems have shape {whole.shape}, {shape} is the mix's")
    _expect(bool(np.isfinite(whole).all()), f"{name}: its stems are finite")
    _expect(bool(np.array_equal(whole, _run(separator, mix))), f"{name}: the same input gives the same output")
    for start in (1, length // 2, length):
        rest = _run(separator, mix, start)
        _expect(
            bool(np.array_equal(rest, whole[..., start:])), f"{name}: resumed at {start} it gives the identical samples"
        )
    stem = separator.sources[-1]
    one = family.load(info, replace(options, stems=(stem,)), _ignore).separator
    _expect(stem in one.sources, f"{name}: gives the stem that is asked for")
    alone = _run(one, mix)[one.sources.index(stem)]
    nearly = np.allclose(alone, whole[separator.sources.index(stem)], atol=1e-5)
    _expect(bool(nearly), f"{name}: {stem} is the same stem when only it is asked for")


def _run(separator: Separator, mix: FloatArray, start_samples: int = 0) -> FloatArray:
    blocks: list[FloatArray] = []
    separator.run(
        ArraySource(mix),
        lambda block: blocks.append(block.copy()),
        start_samples=start_samples,
        on_progress=ignore_progress,
        cancel=CancelToken(),
    )
    empty: FloatArray = np.zeros((len(separator.sources), separator.channels, 0), np.float32)
    return np.concatenate([empty, *blocks], axis=-1)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
