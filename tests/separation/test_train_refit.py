"""The last layer fitted in closed form: true masks are found again, and the ridge holds what nothing speaks against."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet
from tests.separation.recipe_modules import module

CONFIG = BandSplitConfig(features=6, time_hidden=8, band_hidden=4, mask_hidden=5, layers=1)


@pytest.fixture
def truth() -> BandSplitNet:
    torch.manual_seed(3)
    net = BandSplitNet(CONFIG).eval()
    for layer in net.masks:
        torch.nn.init.normal_(layer.get_parameter("weight"), std=0.2)
        torch.nn.init.normal_(layer.get_parameter("bias"), std=0.1)
    return net


@pytest.fixture
def refit() -> ModuleType:
    return module("refit")


@pytest.mark.parametrize("ridge", [1e-6, 1e6])
def test_masks_that_made_the_stems_are_found_again_unless_the_ridge_forbids(
    refit: ModuleType, truth: BandSplitNet, ridge: float
) -> None:
    start = BandSplitNet(CONFIG).eval()
    empty = {k: torch.zeros_like(v) if k.startswith("masks.") else v for k, v in truth.state_dict().items()}
    start.load_state_dict(empty)
    normal = refit.Normal(start)
    mix = torch.randn(1, 60, 4, CONFIG.bins)
    with torch.no_grad():
        z, _ = truth.encode(mix)
        targets = truth.estimate(z, mix)
        hidden = truth.before_masks(z, mix)
        ones = torch.ones(*hidden.shape[:2], 1)
        weights = torch.tensor([1.0, 2.0, 0.5, 1.0])
        normal.add(torch.cat((hidden, ones), 2), mix[0], targets[0], refit.band_of_bin(truth), weights)
        refit.solve(start, normal, ridge)
        error = (start.estimate(z, mix) - targets).square().mean() / targets.square().mean()
        even = (mix.unsqueeze(2) / 4 - targets).square().mean() / targets.square().mean()
    if ridge < 1:
        assert error < 1e-4 * even
    else:
        assert error > 0.9 * even


def test_strengths_hold_single_stems_nearer_to_the_even_share(refit: ModuleType, truth: BandSplitNet) -> None:
    """The masks still sum to one: what one stem gives up, the others share."""
    before = refit.mask_weights(truth).clone()
    with torch.no_grad():
        refit.solve(truth, refit.Normal(truth), 1.0, keep=1.0, strengths=[1.0, 1.0, 1.0, 0.0])
        after = refit.mask_weights(truth)
    expected = before * torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None, None, None, None]
    torch.testing.assert_close(after, expected - expected.mean(0, keepdim=True), atol=1e-5, rtol=1e-4)


def test_a_second_run_with_another_seed_adds_to_the_first_and_can_be_shipped(
    refit: ModuleType, truth: BandSplitNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = module("export")
    cache, run, shipped = tmp_path / "cache", tmp_path / "run", tmp_path / "shipped"
    cache.mkdir()
    clips = []
    for group in ("vocals", "drums", "bass", "other"):
        noise = np.random.default_rng(len(group)).integers(-9000, 9000, (2, 44_100)).astype(np.int16)
        np.save(cache / f"{group}.npy", noise)
        clips.append({"file": f"{group}.npy", "song": "one", "group": group, "part": group, "active": [0, 1]})
    (cache / "clips.json").write_text(json.dumps(clips))
    training = {"steps": 3, "audio_h": 0.1, "elapsed_s": 5.0, "strength": 1.0, "net": CONFIG.to_json()}
    export.export(truth, shipped, training)
    common = ["refit.py", "--cache", str(cache), "--run", str(run), "--weights", str(shipped), "--seconds", "0.8"]
    totals = []
    for seed in ("1", "2"):
        monkeypatch.setattr(sys, "argv", [*common, "--mixes", "1", "--seed", seed])
        refit.main()
        totals.append(float(load_file(run / "normal.safetensors")["square"].sum()))
    assert totals[1] > totals[0] > 0
    monkeypatch.setattr(
        sys,
        "argv",
        ["export.py", "--run", str(run), "--weights", "refit.safetensors", "--target", str(tmp_path / "out")],
    )
    export.main()
    about = json.loads((tmp_path / "out" / "preview.json").read_text())["training"]
    assert about["steps"] == 3 and [refit["seed"] for refit in about["refits"]] == [1, 2]
