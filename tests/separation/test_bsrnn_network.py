"""The network: equal to the published program's outputs, the published sizes, and what a mask means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.families.bsrnn.checkpoint import load_network
from daw_bridge.separation.families.bsrnn.chunks import Chunking, Fader, OverlapAdd
from daw_bridge.separation.families.bsrnn.network import Bsrnn, BsrnnConfig
from daw_bridge.separation.families.bsrnn.separator import BsrnnSeparator
from tests.separation.tiny_bsrnn import SIMO, CountingSource, make_mix, make_network, transparent_network

TOLERANCE = 1e-6
BANDS_HZ = {
    "vocals": ((10, 100), (12, 250), (8, 500), (8, 1000), (2, 2000)),
    "bass": ((10, 50), (5, 100), (6, 500), (4, 1000), (4, 2000)),
    "drums": ((20, 50), (10, 100), (8, 250), (8, 500), (8, 1000)),
    "joint": ((20, 50), (10, 100), (8, 250), (8, 500), (8, 1000), (2, 2000)),
}


def widths(bands_hz: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    """The published bands in bins of a transform of 2048 at 44.1 kHz; the last one takes the rest."""
    bins = [int(width_hz * 1025 / 22_050) for count, width_hz in bands_hz for _ in range(count)]
    return (*bins, 1025 - sum(bins))


@pytest.fixture
def oracles(shared_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Checkpoints and outputs of the published program (random weights)."""
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path))
    folder = shared_dir / "oracle" / "bsrnn"
    if not folder.is_dir():
        pytest.skip("no BSRNN oracles in the shared folder")
    return folder


@pytest.mark.shared
@pytest.mark.parametrize("variant", ["bsrnn", "bsrnn-opt", "simo-bsrnn-opt"])
def test_output_equals_that_of_the_published_program(oracles: Path, variant: str) -> None:
    network = load_network(oracles / variant / "checkpoint.ckpt")
    mix = torch.from_numpy(np.load(oracles / variant / "input.npy"))
    with torch.inference_mode():
        stems = network(mix[None])[0].numpy()
    assert np.abs(stems - np.load(oracles / variant / "output.npy")).max() < TOLERANCE


@pytest.mark.shared
def test_quiet_input_shows_that_every_epsilon_is_in_its_place(oracles: Path) -> None:
    network = load_network(oracles / "bsrnn-opt" / "checkpoint.ckpt")
    mix = torch.from_numpy(np.load(oracles / "bsrnn-opt" / "input.npy") * np.float32(1e-4))
    expected = np.load(oracles / "bsrnn-opt" / "output_quiet_1e-4.npy")
    with torch.inference_mode():
        error = network(mix[None])[0].numpy() - expected
    assert np.abs(error).max() < 1e-5 * np.sqrt(np.mean(expected**2))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("chunking", "file"),
    [
        (Fader(segment_s=0.2, overlap=0.1), "output_fader_seg0.2.npy"),
        (OverlapAdd(segment_s=0.2, hop_s=0.1), "output_ola_seg0.2_hop0.1.npy"),
    ],
    ids=["fader", "ola"],
)
def test_chunks_are_cut_and_joined_as_the_published_program_does(oracles: Path, chunking: Chunking, file: str) -> None:
    network = load_network(oracles / "bsrnn" / "checkpoint.ckpt")
    separator = BsrnnSeparator("bsrnn", [network], [Rung(device="cpu")], chunking=chunking, normalise=False)
    blocks: list[np.ndarray] = []
    source = CountingSource(np.load(oracles / "bsrnn" / "input.npy"))
    separator.run(source, blocks.append, on_progress=ignore_progress, cancel=CancelToken())
    expected = np.load(oracles / "bsrnn" / file)
    assert np.abs(np.concatenate(blocks, axis=2) - expected).max() < TOLERANCE


SMALL = {"features": 64, "blocks": 8}
LARGE = {"features": 128, "blocks": 12}
ATTENTIVE = {**LARGE, "attention_heads": 2, "attention_features": 16}
OPT = {**ATTENTIVE, "tac_features": 384, "tac_prelu": True}
PUBLISHED = {
    "bsrnn-vocals": (SMALL, "vocals", 8.02, 686),
    "bsrnn-bass": (SMALL, "bass", 7.11, 554),
    "bsrnn-drums": (SMALL, "drums", 9.18, 854),
    "bsrnn-large-vocals": (LARGE, "vocals", 36.42, 782),
    "bsrnn-large-drums": (LARGE, "drums", 41.02, 950),
    "bsrnn-opt-notac-bass": (ATTENTIVE, "bass", 33.52, 1070),
    "bsrnn-opt-vocals": (OPT, "vocals", 40.78, 1310),
    "bsrnn-opt-drums": (OPT, "drums", 45.49, 1478),
    "simo-bsrnn": ({**SMALL, "maskers": 3, "last_is_rest": True}, "joint", 20.86, 1790),
    "simo-bsrnn-opt": ({**OPT, "maskers": 4}, "joint", 108.73, 2870),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_have_the_published_sizes(name: str) -> None:
    bands, millions, entries = PUBLISHED[name][1:]
    shape: dict[str, Any] = PUBLISHED[name][0]
    features = shape["features"]
    config = BsrnnConfig(
        targets=("any",),
        band_widths=widths(BANDS_HZ[bands]),
        hidden=2 * features,
        mask_features=4 * features,
        **shape,
    )
    with torch.device("meta"):
        network = Bsrnn(config)
    # Upstream's PReLU of the channel exchange is one number stored three times, its two windows are entries too.
    shared = 2 * config.blocks if config.tac_features else 0
    count = sum(parameter.numel() for parameter in network.parameters()) - shared
    assert round(count / 1e6, 2) == millions
    assert len(network.state_dict()) + 2 == entries


def test_a_mask_of_one_gives_the_mix_back_on_the_sample() -> None:
    mix = np.zeros((2, 3_000), dtype=np.float32)
    mix[:, [0, 999, 2_999]] = [[1.0, -0.5, 0.25], [0.5, 1.0, -1.0]]
    with torch.inference_mode():
        stems = transparent_network()(torch.from_numpy(mix)[None])[0].numpy()
    assert np.abs(stems - mix).max() < 1e-5


def test_the_last_stem_is_what_the_others_leave_of_the_mix() -> None:
    network = make_network(replace(SIMO, maskers=3, last_is_rest=True))
    mix = torch.from_numpy(make_mix(2_000))[None]
    with torch.inference_mode():
        stems = network(mix)
        rest = network(mix, wanted=[3])
    scale = stems.abs().max()
    assert (stems.sum(1) - mix).abs().max() < 1e-5 * scale
    assert torch.equal(stems[:, 3:], rest)


def test_wanted_stems_are_the_same_as_among_all() -> None:
    network, mix = make_network(), torch.from_numpy(make_mix(2_000))[None]
    with torch.inference_mode():
        assert torch.equal(network(mix, wanted=[1, 3]), network(mix)[:, [1, 3]])


@pytest.mark.parametrize("length", [1, 15, 33, 1_000])
def test_any_length_comes_back_at_that_length(length: int) -> None:
    with torch.inference_mode():
        stems = make_network()(torch.from_numpy(make_mix(length))[None])
    assert stems.shape == (1, 4, 2, length) and stems.isfinite().all()


def test_silence_stays_silence() -> None:
    with torch.inference_mode():
        assert not make_network()(torch.zeros(1, 2, 2_000)).any()
