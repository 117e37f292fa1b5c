"""A causal graph of one's own: aligned, whatever the blocks, and refused where it is not what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daw_bridge.errors import DawBridgeError, UsageError, WeightsCorrupt, WeightsMissing
from daw_bridge.live.graph import OnnxGraph
from daw_bridge.live.host import LiveHost
from daw_bridge.separation.engine.separator import FloatArray

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

BLOCK = 64
SHARES = (0.25, 0.75)


def write_graph(path: Path, *, block: int = BLOCK, count: int = 2, describe: bool = True, **said: Any) -> Path:
    """Stems that are shares of the mix, one block late: the block before is the graph's state."""
    from onnx import TensorProto, helper

    shares = helper.make_tensor("shares", TensorProto.FLOAT, (1, count, 1, 1), SHARES[:count])
    axes = helper.make_tensor("axes", TensorProto.INT64, (1,), [1])
    nodes = [
        helper.make_node("Unsqueeze", ["before", "axes"], ["wide"]),
        helper.make_node("Mul", ["wide", "shares"], ["stems"]),
        helper.make_node("Identity", ["mix"], ["after"]),
    ]
    sound = helper.make_tensor_value_info("mix", TensorProto.FLOAT, (1, 2, block))
    before = helper.make_tensor_value_info("before", TensorProto.FLOAT, (1, 2, block))
    out = helper.make_tensor_value_info("stems", TensorProto.FLOAT, (1, count, 2, block))
    after = helper.make_tensor_value_info("after", TensorProto.FLOAT, (1, 2, block))
    graph = helper.make_graph(nodes, "toy", [sound, before], [out, after], [shares, axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    facts = {"sample_rate_hz": 44_100, "block_samples": BLOCK, "latency_samples": 2 * BLOCK, "stems": "[one, two]"}
    if describe:
        helper.set_model_props(model, {key: str(value) for key, value in {**facts, **said}.items()})
    onnx.save(model, path)
    return path


def run(model: OnnxGraph, mix: FloatArray, sizes: tuple[int, ...]) -> FloatArray:
    state, position = model.initial_state(), 0
    parts: list[FloatArray] = []
    while position < mix.shape[1]:
        size = sizes[len(parts) % len(sizes)]
        stems, state = model.step(mix[:, position : position + size], state)
        parts.append(stems)
        position += size
    return np.concatenate(parts, axis=2)


@pytest.mark.parametrize("sizes", [(BLOCK,), (1, 7, 200), (1000,), (33,)])
def test_stems_are_aligned_with_the_mix_from_its_first_sample_on(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    mix = np.random.default_rng(0).normal(0, 0.1, (2, 2000)).astype(np.float32)
    stems = run(OnnxGraph(write_graph(tmp_path / "a.onnx")), mix, sizes)
    count = stems.shape[2]
    assert count >= 2000 - 2 * BLOCK
    for share, stem in zip(SHARES, stems, strict=True):
        assert np.abs(stem - np.float32(share) * mix[:, :count]).max() < 1e-7


def test_the_description_may_lie_beside_the_graph(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "a.onnx", describe=False)
    with pytest.raises(UsageError, match=r"put .*block_samples.* into a\.yaml"):
        OnnxGraph(path)
    path.with_suffix(".yaml").write_text(
        "sample_rate_hz: 48000\nblock_samples: 64\nlatency_samples: 128\nstems: [x, y]\n"
    )
    model = OnnxGraph(path)
    assert (model.sources, model.config.sample_rate_hz, model.latency_samples) == (("x", "y"), 48_000, 128)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"block_samples": 128, "latency_samples": 256}, r"takes \(1, 2, 64\)"),
        ({"stems": "[one, two, three]"}, r"it says .*\(1, 3, 2, 64\)"),
        ({"latency_samples": 10}, "out of range"),
        ({"stems": "[one, one]"}, "distinct"),
        ({"sample_rate_hz": "fast"}, "whole number"),
    ],
)
def test_a_graph_that_is_not_what_it_says_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    with pytest.raises(DawBridgeError, match=message):
        OnnxGraph(write_graph(tmp_path / "a.onnx", **said))


def test_what_is_no_graph_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="no such file"):
        OnnxGraph(tmp_path / "none.onnx")
    (tmp_path / "b.onnx").write_bytes(b"not a graph")
    with pytest.raises(WeightsCorrupt, match="cannot load"):
        OnnxGraph(tmp_path / "b.onnx")


def test_samples_that_are_no_numbers_are_replaced_and_counted(tmp_path: Path) -> None:
    model = OnnxGraph(write_graph(tmp_path / "a.onnx"))
    mix = np.full((2, BLOCK), np.nan, np.float32)
    _, state = model.step(mix, model.initial_state())
    stems, state = model.step(mix, state)
    assert np.isfinite(stems).all()
    assert state.repaired_samples == 4 * BLOCK


def test_the_host_takes_a_graph_of_ones_own(tmp_path: Path) -> None:
    host = LiveHost(OnnxGraph(write_graph(tmp_path / "a.onnx")), block_samples=BLOCK)
    assert host.sources == ("one", "two")
    assert host.latency_samples >= 2 * BLOCK
