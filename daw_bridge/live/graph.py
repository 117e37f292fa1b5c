"""A causal graph of one's own, live: an ONNX file that says how long its blocks are, how late it is and what it gives.

What it says stands in its own metadata, or in a YAML of the same name beside it (`model.onnx`, `model.yaml`):

    sample_rate_hz: 44100
    block_samples: 128        # what one call takes
    latency_samples: 256      # from an input sample to its stems, the block itself included
    stems: [drums, bass, other, vocals]

The first input takes a stereo block (1, 2, block), the first output gives (1, stems, 2, block). Every further input is
a state: it begins as zeros, and the further outputs, in their order, are its next value.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daw_bridge.errors import UsageError, WeightsCorrupt, WeightsMissing
from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.separation.families.band_split.onnx_engine import one_core_session
from daw_bridge.templates.yaml_nodes import YamlNode, parse_yaml, read_yaml

_KEYS = ("sample_rate_hz", "block_samples", "latency_samples", "stems")
_LARGEST_BLOCK = 1 << 16
_CEILING = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphConfig:
    """What a graph says about itself."""

    sample_rate_hz: int
    hop_samples: int
    latency_samples: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphState:
    """The graph's own states, and the samples that do not fill a block yet. Never changed in place."""

    states: tuple[FloatArray, ...]
    waiting: FloatArray
    made_samples: int = 0
    repaired_samples: int = 0


class OnnxGraph:
    """The graph as a model that is fed block by block, like `StreamingModel`: aligned stems, only later."""

    def __init__(self, path: Path) -> None:
        """Raises WeightsMissing, WeightsCorrupt, UsageError, TemplateError."""
        if not path.is_file():
            raise WeightsMissing(f"{path}: no such file; `onnx` takes a causal graph")
        self._session = _session(path)
        self.config = _described(path, self._session)
        inputs = self._session.get_inputs()
        outputs = self._session.get_outputs()
        if len(inputs) != len(outputs):
            raise WeightsCorrupt(f"{path}: {len(inputs)} inputs and {len(outputs)} outputs; each state needs both")
        self._names = [each.name for each in inputs]
        self._shapes = [tuple(each.shape) for each in inputs]
        for each in (*inputs, *outputs):
            if not all(isinstance(size, int) and size > 0 for size in each.shape) or each.type != "tensor(float)":
                raise WeightsCorrupt(f"{path}: {each.name} has no fixed shape of float32 ({each.type} {each.shape})")
        block, stems = self.config.hop_samples, len(self.config.sources)
        wanted = ((1, 2, block), (1, stems, 2, block))
        found = (self._shapes[0], tuple(outputs[0].shape))
        if found != wanted:
            raise WeightsCorrupt(f"{path}: takes {found[0]} and gives {found[1]}; it says {wanted[0]} and {wanted[1]}")

    @property
    def sources(self) -> tuple[str, ...]:
        return self.config.sources

    @property
    def latency_samples(self) -> int:
        return self.config.latency_samples

    def initial_state(self) -> GraphState:
        return GraphState(
            states=tuple(np.zeros(shape, np.float32) for shape in self._shapes[1:]),
            waiting=np.zeros((2, 0), np.float32),
        )

    def step(self, block: FloatArray, state: GraphState) -> tuple[FloatArray, GraphState]:
        """Stems (sources, 2, m) that `block` (2, n) completes, and the state after it."""
        good = np.abs(block) <= _CEILING
        clean = np.where(good, block, np.float32(0)).astype(np.float32)
        samples = np.concatenate((state.waiting, clean), axis=1)
        size, states, parts = self.config.hop_samples, state.states, []
        for first in range(0, samples.shape[1] - size + 1, size):
            feeds = dict(zip(self._names, (samples[None, :, first : first + size], *states), strict=True))
            made, *next_states = self._session.run(None, feeds)
            parts.append(np.asarray(made[0], np.float32))
            states = tuple(np.asarray(each, np.float32) for each in next_states)
        out = np.concatenate([np.zeros((len(self.sources), 2, 0), np.float32), *parts], axis=2)
        late = self.latency_samples - size
        early = min(max(0, late - state.made_samples), out.shape[2])  # what came before the first input sample's stems
        return out[:, :, early:], GraphState(
            states=states,
            waiting=samples[:, len(parts) * size :].copy(),
            made_samples=state.made_samples + out.shape[2],
            repaired_samples=state.repaired_samples + int(np.count_nonzero(~good)),
        )


def _session(path: Path) -> Any:
    try:
        return one_core_session(path)
    except ImportError as exc:
        raise UsageError("`onnx` needs ONNX Runtime; install it with: pip install 'daw-bridge[live]'") from exc


def _described(path: Path, session: Any) -> GraphConfig:
    beside = path.with_suffix(".yaml")
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    if beside.is_file():
        root = read_yaml(beside)
    elif all(key in metadata for key in _KEYS):
        root = parse_yaml("".join(f"{key}: {metadata[key]}\n" for key in _KEYS), str(path))
    else:
        raise UsageError(
            f"{path}: does not say how it is to be run; put {', '.join(_KEYS)} into {beside.name} beside it"
        )
    values = {key: value for _, key, value in root.items()}
    missing = [key for key in _KEYS if key not in values]
    if missing:
        raise root.error(f"{', '.join(missing)}: missing")
    block = _whole(values["block_samples"], 1, _LARGEST_BLOCK)
    return GraphConfig(
        sample_rate_hz=_whole(values["sample_rate_hz"], 8_000, 192_000),
        hop_samples=block,
        latency_samples=_whole(values["latency_samples"], block, 10 * _LARGEST_BLOCK),
        sources=_names(values["stems"]),
    )


def _whole(node: YamlNode, low: int, high: int) -> int:
    value = node.whole()
    if not low <= value <= high:
        raise node.error(f"{value} is out of range; use {low} to {high}")
    return value


def _names(node: YamlNode) -> tuple[str, ...]:
    names = tuple(each.text() for each in node.elements())
    if not names or len(set(names)) != len(names):
        raise node.error("give distinct names of stems")
    return names
