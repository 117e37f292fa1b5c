"""`preview` as the package holds it, checked by sha256, and the model fed block by block, if possible without torch."""

from __future__ import annotations

import json
from pathlib import Path

from daw_bridge.errors import WeightsCorrupt, WeightsMissing
from daw_bridge.files import sha256_of_file
from daw_bridge.separation.families.band_split.onnx_engine import OnnxEngine, onnx_runtime_is_here
from daw_bridge.separation.families.band_split.streaming import StreamingModel

WEIGHTS_FOLDER = Path(__file__).parent / "weights_data"


def load_streaming_model(weights_path: Path | None = None, *, engine: str = "auto") -> StreamingModel:
    """The model to be fed block by block.

    `engine` is "onnx" (ONNX Runtime, several times quicker for one frame, an extra), "torch", or "auto": the first of
    the two that can be had. One's own weights run on torch. Raises WeightsMissing, WeightsCorrupt, ModelError for a
    bidirectional network.
    """
    if engine == "onnx" or (engine == "auto" and weights_path is None and onnx_runtime_is_here()):
        if weights_path is not None:
            return StreamingModel(OnnxEngine(weights_path.with_suffix(".onnx")))
        bundled_file("preview.safetensors")  # the graph reads most of its numbers there
        return StreamingModel(OnnxEngine(bundled_file("preview.onnx")))
    from daw_bridge.separation.families.band_split.causal import load_causal
    from daw_bridge.separation.families.band_split.torch_engine import TorchEngine

    return StreamingModel(TorchEngine(load_causal(weights_path)))


def bundled_file(name: str) -> Path:
    """A bundled file, which must be the one that the package was made with. Raises WeightsMissing, WeightsCorrupt."""
    path = WEIGHTS_FOLDER / name
    again = "install daw-bridge again"
    try:
        about = json.loads((WEIGHTS_FOLDER / "preview.json").read_text(encoding="utf-8"))
        expected = about["sha256"][name]
    except (OSError, ValueError, KeyError) as exc:
        raise WeightsMissing(f"{WEIGHTS_FOLDER}: the bundled weights have no description; {again}") from exc
    if not path.is_file():
        raise WeightsMissing(f"{path}: the bundled weights are missing; {again}")
    if sha256_of_file(path) != expected:
        raise WeightsCorrupt(f"{path}: does not match its sha256; {again}")
    return path
