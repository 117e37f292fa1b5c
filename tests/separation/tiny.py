"""Small networks of every Demucs family with random weights, and mixes in memory: the real code, in milliseconds."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from demucs.apply import BagOfModels, apply_model
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs

from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.engine.separator import ArraySource, FloatArray
from daw_bridge.separation.families.demucs.bag import Bag
from daw_bridge.separation.families.demucs.networks import Network
from daw_bridge.separation.families.demucs.separator import DemucsSeparator, Plan

SOURCES = ["drums", "bass", "other", "vocals"]
RATE_HZ = 8000

TINY: dict[str, tuple[type, dict[str, Any]]] = {
    "htdemucs": (
        HTDemucs,
        {
            "channels": 8,
            "bottom_channels": 16,
            "dconv_mode": 3,
            "depth": 3,
            "nfft": 512,
            "t_layers": 3,
            "t_heads": 2,
            "t_hidden_scale": 1.0,
            "segment": Fraction(1, 2),
        },
    ),
    "htdemucs_no_bottleneck": (
        HTDemucs,
        {"channels": 8, "dconv_mode": 3, "depth": 3, "nfft": 512, "t_layers": 2, "t_heads": 2, "segment": 0.5},
    ),
    "hdemucs": (HDemucs, {"channels": 8, "depth": 4, "nfft": 256, "dconv_lstm": 3, "dconv_attn": 3, "segment": 0.7}),
    "hdemucs_amplitude": (HDemucs, {"channels": 8, "depth": 4, "nfft": 256, "cac": False, "segment": 0.7}),
    "demucs": (Demucs, {"channels": 8, "depth": 3, "segment": 0.6}),
}
"""Kind -> class and arguments. The same structure as the published models, a few channels wide."""


def tiny_module(kind: str, seed: int = 0, *, sources: Sequence[str] = SOURCES, **changes: Any) -> torch.nn.Module:
    """A random network whose outputs are about as loud as its input."""
    torch.manual_seed(seed)
    klass, kwargs = TINY[kind]
    module = klass(list(sources), **{"samplerate": RATE_HZ, **kwargs, **changes})
    # DConv branches start at 1e-3: raise them, or an error inside them would not be seen.
    for name, parameter in module.named_parameters():
        if name.endswith(".scale"):
            parameter.data.fill_(0.3)
    return module.eval()


def twin(module: torch.nn.Module) -> torch.nn.Module:
    """The same network once more, over the same tensors: what is built into one is not in the other.

    What is compared has the same weights then; `test_a_run_writes_into_no_weights` holds that nobody changes them.
    """
    made = copy.copy(module)
    for name in ("_parameters", "_buffers"):
        made.__dict__[name] = dict(module.__dict__[name])
    children = module.__dict__["_modules"].items()
    made.__dict__["_modules"] = {name: None if child is None else twin(child) for name, child in children}
    return made


def tiny_bag(
    modules: Sequence[torch.nn.Module],
    bag_weights: Sequence[Sequence[float]] | None = None,
    segment_s: float | None = None,
) -> Bag:
    """Our bag over copies of the modules."""
    shares = bag_weights or [[1.0] * len(SOURCES) for _ in modules]
    return Bag(
        networks=tuple(Network.of(twin(module)) for module in modules),
        sources=tuple(SOURCES),
        bag_weights=tuple(tuple(row) for row in shares),
        segment_s=segment_s,
        sha256="0" * 64,
    )


def tiny_separator(
    bag: Bag, *, rungs: Sequence[Rung] = (Rung(device="cpu", workers=2),), **plan: Any
) -> DemucsSeparator:
    return DemucsSeparator("tiny", bag, Plan(**plan), rungs, print)


def noise(length: int, *, channels: int = 2, seed: int = 0) -> FloatArray:
    samples = np.random.default_rng(seed).standard_normal((channels, length)).astype(np.float32)
    return np.asarray(samples * np.float32(0.2), dtype=np.float32)


def run(separator: Any, mix: FloatArray, start_samples: int = 0) -> FloatArray:
    """All stems from `start_samples` on, shape (sources, channels, samples)."""
    blocks: list[FloatArray] = []
    separator.run(
        ArraySource(mix),
        blocks.append,
        start_samples=start_samples,
        on_progress=ignore_progress,
        cancel=CancelToken(),
    )
    return np.concatenate(blocks, axis=-1)


def by_demucs(
    modules: Sequence[torch.nn.Module],
    mix: FloatArray,
    bag_weights: Sequence[Sequence[float]] | None = None,
    bag_segment_s: float | None = None,
    **settings: Any,
) -> FloatArray:
    """What the demucs package gives: normalised as its Separator does, through apply_model."""
    wave = torch.from_numpy(mix)
    mono = wave.mean(0)
    mean, deviation = mono.mean(), mono.std() + 1e-8
    model: Any = twin(modules[0])
    if len(modules) > 1 or bag_weights is not None or bag_segment_s is not None:
        shares = None if bag_weights is None else [list(row) for row in bag_weights]
        members: list[Any] = [twin(module) for module in modules]
        model = BagOfModels(members, shares, bag_segment_s)
    with torch.no_grad():
        stems = apply_model(model, ((wave - mean) / deviation)[None], **{"shifts": 0, "overlap": 0.25, **settings})[0]
    return np.asarray((stems * deviation + mean).numpy(), dtype=np.float32)
