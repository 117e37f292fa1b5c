"""The training recipe from a clean checkout: loss falls, a second start carries on, mixes are repeatable."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from daw_bridge.errors import WeightsCorrupt
from daw_bridge.separation.families.band_split.causal import load_net
from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet
from daw_bridge.separation.families.band_split.onnx_engine import OnnxEngine
from tests.separation.recipe_modules import RECIPE, module

ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 44_100


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """What prepare.py would leave: two "songs" whose stems are easy to tell apart by frequency."""
    folder = tmp_path / "cache"
    folder.mkdir()
    t = np.arange(6 * RATE_HZ) / RATE_HZ
    rng = np.random.default_rng(0)
    clips = []
    for song in ("first", "second", "synthetic-0000"):
        shift = rng.uniform(0.9, 1.1)
        stems = {
            "vocals": np.sin(2 * np.pi * 900 * shift * t) * (1 + np.sin(4 * t)),
            "drums": rng.normal(size=t.size) * (t % 0.5 < 0.05),
            "bass": np.sin(2 * np.pi * 60 * shift * t),
            "other": np.sign(np.sin(2 * np.pi * 3000 * shift * t)),
        }
        for group, wave in stems.items():
            name = f"{song}--{group}.npy"
            np.save(folder / name, np.tile(8000 * wave / np.abs(wave).max(), (2, 1)).astype(np.int16))
            clips.append(
                {"file": name, "song": song, "group": group, "part": group, "samples": t.size, "active": list(range(8))}
            )
    (folder / "clips.json").write_text(json.dumps(clips))
    return folder


def recipe(*arguments: str | Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def curve(run: Path) -> list[dict[str, str]]:
    with (run / "curves.csv").open() as file:
        return list(csv.DictReader(file))


def test_loss_falls_in_a_short_run_and_the_next_start_carries_on(cache: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    net = json.dumps({"features": 8, "time_hidden": 12, "band_hidden": 6, "mask_hidden": 12, "layers": 1})
    common = (RECIPE / "train.py", "--cache", cache, "--run", run, "--net", net, "--seconds", "0.3", "--batch", "2",
              "--peak-rate", "2e-2", "--report-steps", "10", "--pieces", "2", "--device", "cpu")  # fmt: skip
    recipe(*common, "--steps", "60")
    rows = curve(run)
    assert float(rows[-1]["error_db"]) < float(rows[0]["error_db"]) - 1.0
    assert (run / "best.safetensors").exists()
    assert json.loads((run / "config.json").read_text())["net"]["layers"] == 1
    recipe(*common, "--steps", "70")
    assert [int(row["step"]) for row in curve(run)] == [10, 20, 30, 40, 50, 60, 70]


def test_mixes_are_repeatable_finite_and_never_over_full_scale(cache: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(RECIPE)!r})\n"
        "import numpy as np, pathlib\n"
        "from mixing import Clips, Mixer, MixingOptions\n"
        f"clips = Clips(pathlib.Path({str(cache)!r}))\n"
        "one, two = (Mixer(clips, MixingOptions(seconds=0.5), 3) for _ in range(2))\n"
        "for _ in range(25):\n"
        "    a, b = one.draw(), two.draw()\n"
        "    assert np.array_equal(a, b) and a.dtype == np.float32 and a.shape == (4, 2, 22050)\n"
        "    assert np.isfinite(a).all() and np.abs(a.sum(0)).max() < 1.001\n"
    )
    recipe("-c", program)


@pytest.fixture
def mixer(cache: Path) -> Any:
    mixing = module("mixing")
    return mixing.Mixer(mixing.Clips(cache), mixing.MixingOptions(seconds=1.0), 3)


def rms_db(x: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + 1e-20))


def test_a_driven_part_is_as_loud_and_richer(mixer: Any) -> None:
    sine = np.tile(0.3 * np.sin(2 * np.pi * 100 * np.arange(RATE_HZ) / RATE_HZ), (2, 1)).astype(np.float32)
    overtones_db = []
    for _ in range(10):
        driven = mixer._driven(sine)
        assert abs(rms_db(driven) - rms_db(sine)) < 0.1
        spectrum = np.abs(np.fft.rfft(driven[0]))
        overtones_db.append(20 * np.log10(spectrum[300] / spectrum[100]))
    assert max(overtones_db) > -20


def test_a_thin_bass_has_lost_its_low_end(mixer: Any) -> None:
    saw = np.tile(2 * (np.arange(RATE_HZ) * 50 / RATE_HZ % 1) - 1, (2, 1)).astype(np.float32) * np.float32(0.2)
    low = [np.abs(np.fft.rfft(x[0]))[50] for x in (saw, *(mixer._thin(saw) for _ in range(5)))]
    assert max(low[1:]) < low[0] / 2


def test_ducking_follows_the_kick_and_leaves_vocals_and_drums_alone(mixer: Any) -> None:
    t = np.arange(RATE_HZ) / RATE_HZ
    kick = np.where(t % 0.5 < 0.1, np.sin(2 * np.pi * 60 * t), 0)
    stems = np.stack([np.tile(x, (2, 1)) for x in (np.ones(RATE_HZ), kick, np.ones(RATE_HZ), np.ones(RATE_HZ))])
    ducked = mixer._duck(stems.astype(np.float32))
    assert np.array_equal(ducked[:2], stems[:2].astype(np.float32))
    for part in ducked[2:]:
        assert part.max() <= 1.0 and part.min() >= 0.04
        assert part[0, 2_205] < part[0, 20_000] - 0.1, "softer under the kick than long after it"


@pytest.mark.parametrize(
    "sizes",
    [
        {"layers": 4, "mask_detail": True},
        {"time_hidden": 20, "band_hidden": 9, "mask_hidden": 17},
        {"features": 16, "mask_detail": True},
        {"features": 16, "time_hidden": 16, "mask_hidden": 15, "layers": 3},
    ],
)
def test_a_grown_network_begins_as_the_same_function_and_can_learn(sizes: dict[str, Any]) -> None:
    torch.manual_seed(5)
    net = BandSplitNet(BandSplitConfig(features=8, time_hidden=12, band_hidden=6, mask_hidden=12, layers=2))
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    large = module("growth").grown(net, replace(net.config, **sizes))
    spectrum = torch.randn(2, 7, 4, net.config.bins)
    stems, (hidden, _) = large(spectrum)
    torch.testing.assert_close(stems, net(spectrum)[0], rtol=1e-4, atol=1e-5)
    assert hidden.shape[0] == large.config.layers
    (stems - torch.randn_like(stems)).square().mean().backward()
    for block in large.blocks:
        assert (block.time_out.weight.grad != 0).all() and (block.band_out.weight.grad != 0).all()
    assert all((layer.weight.grad != 0).any((0, 2)).all() for layer in (*large.masks, *large.detail))


@pytest.mark.parametrize("sizes", [{"features": 12}, {"layers": 1}, {"mask_hidden": 11}, {"hop_samples": 256}])
def test_what_is_not_larger_is_refused(sizes: dict[str, Any]) -> None:
    net = BandSplitNet(BandSplitConfig(features=8, time_hidden=12, band_hidden=6, mask_hidden=12, layers=2))
    with pytest.raises(ValueError, match="is not a larger"):
        module("growth").grown(net, replace(net.config, **sizes))


def test_the_graph_reads_its_tensors_from_the_weights_beside_it(tmp_path: Path) -> None:
    torch.manual_seed(6)
    config = BandSplitConfig(features=8, time_hidden=12, band_hidden=6, mask_hidden=12, layers=1, mask_detail=True)
    net = BandSplitNet(config)
    for layer in (*net.masks, *net.detail):
        torch.nn.init.normal_(layer.get_parameter("weight"), std=0.2)
    module("export").export(net, tmp_path, {})
    graph, weights = (tmp_path / f"preview.{kind}" for kind in ("onnx", "safetensors"))
    assert graph.stat().st_size < weights.stat().st_size / 4
    engine = OnnxEngine(graph)
    spectrum = torch.randn(1, 5, 4, config.bins)
    stems, _ = engine.run(spectrum[0].numpy(), engine.initial_state())
    np.testing.assert_allclose(stems, net(spectrum)[0][0].detach().numpy(), atol=1e-5)
    weights.unlink()
    with pytest.raises(WeightsCorrupt, match=r"preview\.onnx.*beside it"):
        OnnxEngine(graph)


@pytest.mark.parametrize(("rows", "columns"), [(6, 20), (20, 6)])
def test_a_step_of_muon_is_as_large_in_every_direction(rows: int, columns: int) -> None:
    torch.manual_seed(7)
    weight = torch.nn.Parameter(torch.zeros(3, rows, columns))
    weight.grad = torch.randn(3, rows, 1) * torch.randn(3, 1, columns) * 10 + torch.randn(3, rows, columns)
    (optimizer, _) = module("muon").optimizers(torch.nn.ParameterDict({"w": weight, "b": torch.zeros(2)}),
                                               rate=0.01, weight_decay=0.0)  # fmt: skip
    optimizer.step()
    sizes = torch.linalg.svdvals(weight.detach()) / (0.01 * 0.2 * max(rows, columns) ** 0.5)
    assert sizes.min() > 0.6 and sizes.max() < 1.3, sizes
    assert (weight * weight.grad).sum((1, 2)).max() < 0, "against the gradient"


@pytest.mark.sweep
def test_exported_weights_are_a_beginning_at_full_strength(cache: Path, tmp_path: Path) -> None:
    """The shipped model can be improved by whoever has an hour of a machine: `--start-from` what `export.py` wrote."""
    net = json.dumps({"features": 8, "time_hidden": 12, "band_hidden": 6, "mask_hidden": 12, "layers": 1})
    common = (RECIPE / "train.py", "--cache", cache, "--seconds", "0.3", "--batch", "2", "--report-steps", "5",
              "--device", "cpu")  # fmt: skip
    recipe(*common, "--run", tmp_path / "first", "--net", net, "--steps", "10")
    shipped = tmp_path / "shipped"
    recipe(RECIPE / "export.py", "--run", tmp_path / "first", "--strength", "0.5", "--target", shipped)
    recipe(*common, "--run", tmp_path / "second", "--start-from", shipped, "--steps", "5", "--peak-rate", "0")
    recipe(RECIPE / "export.py", "--run", tmp_path / "second", "--target", tmp_path / "again")
    first, second = (load_file(folder / "preview.safetensors") for folder in (shipped, tmp_path / "again"))
    for key, tensor in first.items():
        expected = tensor / 0.5 if key.startswith("masks.") else tensor
        np.testing.assert_allclose(second[key].numpy(), expected.numpy(), atol=1e-6, err_msg=key)
    training = json.loads((tmp_path / "again" / "preview.json").read_text())["training"]
    assert (training["steps"], training["strength"]) == (15, 1.0)


@pytest.mark.sweep
def test_a_bidirectional_network_comes_from_the_same_recipe(cache: Path, tmp_path: Path) -> None:
    """Trained, scored on a held-out song, exported (without a graph for live use) and loaded by the program."""
    net = {"features": 8, "time_hidden": 12, "band_hidden": 6, "mask_hidden": 12, "layers": 1, "causal": False}
    held_out = tmp_path / "audio" / "francium"
    held_out.mkdir(parents=True)
    for name in ("vocals", "drums"):
        wave = np.random.default_rng(1).normal(0, 0.1, (RATE_HZ, 2)).astype(np.float32)
        soundfile.write(held_out / f"{name}.ogg", wave, RATE_HZ)
    recipe(RECIPE / "train.py", "--cache", cache, "--run", tmp_path / "run", "--audio", tmp_path / "audio",
           "--net", json.dumps(net), "--seconds", "0.3", "--batch", "2", "--steps", "4", "--device", "cpu")  # fmt: skip
    assert (tmp_path / "run" / "held_out.csv").exists()
    recipe(RECIPE / "export.py", "--run", tmp_path / "run", "--target", tmp_path / "out")
    assert not (tmp_path / "out" / "preview.onnx").exists()
    assert not load_net(tmp_path / "out" / "preview.safetensors").config.causal
