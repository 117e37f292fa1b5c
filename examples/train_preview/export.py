"""Turn a training run into what the package ships: safetensors, the ONNX graph, and preview.json with their hashes.

python examples/train_preview/export.py --run RUN [--weights best.safetensors] [--strength 1.0] [--target FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from daw_bridge.files import sha256_of_file
from daw_bridge.separation.families.band_split.bundled import WEIGHTS_FOLDER
from daw_bridge.separation.families.band_split.causal import LOOK_AHEAD
from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet


class Step(nn.Module):
    """The network with its state as plain inputs and outputs."""

    def __init__(self, net: BandSplitNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, spectrum: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        stems, (h, c) = self.net(spectrum, (h, c))
        return stems, h, c


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--weights", default="best.safetensors")
    parser.add_argument(
        "--strength",
        type=float,
        default=1.0,
        help="how far the masks may leave the even share: 1 as trained, 0 the trivial estimator (a cautious model)",
    )
    parser.add_argument("--target", type=Path, default=WEIGHTS_FOLDER)
    args = parser.parse_args()
    about = json.loads((args.run / "config.json").read_text())
    net = BandSplitNet(BandSplitConfig.from_json(about["net"]))
    net.load_state_dict(load_file(args.run / args.weights))
    for parameter in net.masks.parameters():
        parameter.data *= args.strength
    export(net, args.target, training=about | trained(about, args.run / "curves.csv") | {"strength": args.strength})


def export(
    net: BandSplitNet, target: Path, training: dict[str, object], look_ahead: Mapping[str, Tensor] | None = None
) -> None:
    """Write preview.safetensors, preview.json and, for a causal network, preview.onnx into `target`.

    `look_ahead`: what fit_look_ahead.py found for these very weights; it goes into the same file.
    """
    net.eval()
    config = json.dumps(net.config.to_json())
    target.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.contiguous() for key, value in net.state_dict().items()}
    tensors |= {f"{LOOK_AHEAD}{key}": value.contiguous() for key, value in (look_ahead or {}).items()}
    save_file(tensors, target / "preview.safetensors", metadata={"config": config})
    (target / "preview.safetensors").chmod(0o644)
    names = ["preview.safetensors"]
    if net.config.causal:
        (target / "preview.onnx").write_bytes(
            sharing_tensors_with(target / "preview.safetensors", onnx_graph(net, config))
        )
        names.append("preview.onnx")
    parameters = sum(tensor.numel() for tensor in tensors.values())
    card = {
        "sha256": {name: sha256_of_file(target / name) for name in names},
        "parameters": parameters,
        "training": training,
    }
    (target / "preview.json").write_text(json.dumps(card, indent=1) + "\n")


def onnx_graph(net: BandSplitNet, config: str) -> bytes:
    """The network as an ONNX graph for any number of frames, its configuration in the metadata."""
    h, c = net.initial_state()
    example = torch.randn(1, 3, 4, net.config.bins)
    frames = {1: "frames"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns that shapes are traced; the tests run other frame counts
        torch.onnx.export(
            Step(net),
            (example, h, c),
            buffer,
            input_names=["spectrum", "h", "c"],
            output_names=["stems", "h_after", "c_after"],
            dynamic_axes={"spectrum": frames, "stems": frames},
            opset_version=17,
            dynamo=False,
        )
    graph = onnx.load_from_string(buffer.getvalue())
    entry = graph.metadata_props.add()
    entry.key, entry.value = "config", config
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString())


def sharing_tensors_with(weights: Path, graph: bytes) -> bytes:
    """The graph with every tensor that also stands in `weights` (safetensors) read from there, not held twice."""
    data = weights.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    ranges = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    places = {data[8 + size + start : 8 + size + end]: (8 + size + start, end - start) for start, end in ranges}
    model = onnx.load_from_string(graph)
    for tensor in model.graph.initializer:
        if tensor.raw_data in places:
            offset, length = places[tensor.raw_data]
            onnx.external_data_helper.set_external_data(tensor, weights.name, offset=offset, length=length)
            tensor.ClearField("raw_data")
    return bytes(model.SerializeToString())


def trained(about: dict[str, dict[str, float]], curves: Path) -> dict[str, object]:
    """How far the run had come, from its curves, on top of what the weights it began with had seen."""
    if not curves.exists():  # refit.py: no steps were made
        return dict(about["before"])
    with curves.open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    before = about.get("before", {})
    return {
        "steps": int(last["step"]) + int(before.get("steps", 0)),
        "audio_h": round(float(last["audio_h"]) + before.get("audio_h", 0.0), 3),
        "elapsed_s": float(last["elapsed_s"]) + before.get("elapsed_s", 0.0),
    }


if __name__ == "__main__":
    main()
