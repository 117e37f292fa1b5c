"""ONNX Runtime (extra `live`) running the causal network: it starts in a tenth of the time that torch takes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from daw_bridge.errors import WeightsCorrupt
from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.streaming import FloatArray, NetworkState


class OnnxEngine:
    """The same network as a graph for ONNX Runtime, on one core: much less work around each small operation."""

    name = "onnx"

    def __init__(self, graph: Path) -> None:
        self._session = one_core_session(graph)
        metadata = self._session.get_modelmeta().custom_metadata_map
        try:
            self._config = BandSplitConfig.from_json(json.loads(metadata["config"]))
        except (KeyError, ValueError, TypeError) as exc:
            raise WeightsCorrupt(f"{graph}: its metadata do not describe a band-split network ({exc!r})") from exc
        self._state_shape = tuple(self._session.get_inputs()[1].shape)

    @property
    def config(self) -> BandSplitConfig:
        return self._config

    def initial_state(self) -> NetworkState:
        return np.zeros(self._state_shape, np.float32), np.zeros(self._state_shape, np.float32)

    def run(self, spectrum: FloatArray, state: NetworkState) -> tuple[FloatArray, NetworkState]:
        feeds = {"spectrum": spectrum[None], "h": state[0], "c": state[1]}
        estimates, h, c = self._session.run(None, feeds)
        return estimates[0], (h, c)


def one_core_session(graph: Path) -> Any:
    """ONNX Runtime on a graph. Raises WeightsCorrupt, ImportError without the runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # the runtime raises a class of its own for every kind of failure
        reason = str(exc).splitlines()[0][:120] if str(exc) else type(exc).__name__
        advice = "; keep the file that holds its numbers beside it, under its name" if "External data" in reason else ""
        raise WeightsCorrupt(f"{graph}: ONNX Runtime cannot load it ({reason}){advice}") from exc


def onnx_runtime_is_here() -> bool:
    """Whether ONNX Runtime (extra `live`) is installed."""
    return importlib.util.find_spec("onnxruntime") is not None
