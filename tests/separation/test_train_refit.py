"""The last layer fitted in closed form: true masks are found again, and the ridge holds what nothing speaks against."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch

from daw_bridge.separation.families.band_split.config import BandSplitConfig
from daw_bridge.separation.families.band_split.network import BandSplitNet

RECIPE = Path(__file__).resolve().parents[2] / "examples" / "train_preview"
CONFIG = BandSplitConfig(features=6, time_hidden=8, band_hidden=4, mask_hidden=5, layers=1)


@pytest.fixture
def truth() -> BandSplitNet:
    torch.manual_seed(3)
    net = BandSplitNet(CONFIG).eval()
    for layer in net.masks:
        torch.nn.init.normal_(layer.get_parameter("weight"), std=0.2)
        torch.nn.init.normal_(layer.get_parameter("bias"), std=0.1)
    return net


@pytest.mark.parametrize("ridge", [1e-6, 1e6])
def test_masks_that_made_the_stems_are_found_again_unless_the_ridge_forbids(truth: BandSplitNet, ridge: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        refit = importlib.import_module("refit")
    start = BandSplitNet(CONFIG).eval()
    empty = {k: torch.zeros_like(v) if k.startswith("masks.") else v for k, v in truth.state_dict().items()}
    start.load_state_dict(empty)
    normal = refit.Normal(start)
    mix = torch.randn(1, 60, 4, CONFIG.bins)
    with torch.no_grad():
        z, _ = truth.encode(mix)
        targets = truth.estimate(z, mix)
        hidden = truth.before_masks(z)
        ones = torch.ones(*hidden.shape[:2], 1)
        normal.add(torch.cat((hidden, ones), 2), mix[0], targets[0], refit.band_of_bin(truth))
        refit.solve(start, normal, ridge)
        error = (start.estimate(z, mix) - targets).square().mean() / targets.square().mean()
        even = (mix.unsqueeze(2) / 4 - targets).square().mean() / targets.square().mean()
    if ridge < 1:
        assert error < 1e-4 * even
    else:
        assert error > 0.9 * even
