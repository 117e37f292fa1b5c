"""The bidirectional sibling of the preview model: whole songs in segments, exact, resumable, never live."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from daw_bridge.errors import ModelError
from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.engine.separator import ArraySource, FloatArray
from daw_bridge.separation.families.band_split.bidirectional import BidirectionalSeparator, SegmentNet
from daw_bridge.separation.families.band_split.bundled import load_streaming_model
from daw_bridge.separation.families.band_split.causal import load_causal
from daw_bridge.separation.families.band_split.network import BandSplitNet
from daw_bridge.separation.families.band_split.streaming import StreamingModel
from daw_bridge.separation.families.band_split.torch_engine import TorchEngine
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.run import separate_reference
from tests.separation.small_net import make_net
from tests.separation.tiny import noise

CPU = Rung(device="cpu")


def save(net: BandSplitNet, path: Path) -> Path:
    tensors = {key: value.contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, path, metadata={"config": json.dumps(net.config.to_json())})
    return path


def run(separator: BidirectionalSeparator, audio: FloatArray, start: int = 0) -> FloatArray:
    blocks: list[FloatArray] = []
    separator.run(
        ArraySource(audio), blocks.append, start_samples=start, on_progress=ignore_progress, cancel=CancelToken()
    )
    return np.concatenate(blocks, 2)


@pytest.mark.parametrize("samples", [1, 511, 512, 30_001, 100_000])
def test_stems_have_the_length_of_the_mix_and_sum_to_it(samples: int) -> None:
    audio = noise(samples)
    stems = run(BidirectionalSeparator(make_net(causal=False), [CPU], segment_s=0.5), audio)
    assert stems.shape == (4, 2, samples)
    np.testing.assert_allclose(stems.sum(0), audio, atol=3e-6)


def test_a_song_of_one_segment_is_one_pass_of_the_network() -> None:
    """The engine's cuts and weights leave no trace where there is nothing to cut."""
    audio, net = noise(20_000), make_net(causal=False)
    with torch.inference_mode():
        whole = SegmentNet(net)(torch.from_numpy(audio)[None])[0].numpy()
    np.testing.assert_allclose(run(BidirectionalSeparator(net, [CPU]), audio), whole, atol=1e-6)


def test_it_hears_what_is_still_to_come() -> None:
    before, after = noise(20_000), noise(20_000)
    after[:, 15_000:] = 0.0
    separator = BidirectionalSeparator(make_net(causal=False), [CPU])
    assert np.abs(run(separator, before)[..., :8_000] - run(separator, after)[..., :8_000]).max() > 1e-4


def test_the_same_code_with_a_causal_network_is_the_streaming_model() -> None:
    """One network, two ways to run it: whole passes and blocks agree within 1e-5."""
    audio, net = noise(40_000), make_net()
    model = StreamingModel(TorchEngine(net))
    streamed, _ = model.step(np.pad(audio, ((0, 0), (0, model.latency_samples))), model.initial_state())
    np.testing.assert_allclose(
        run(BidirectionalSeparator(net, [CPU]), audio), streamed[..., : audio.shape[1]], atol=1e-5
    )


@pytest.mark.parametrize("start", [1, 22_050, 70_001])
def test_a_resumed_run_gives_the_samples_of_an_uncut_run(start: int) -> None:
    audio = noise(90_000)
    separator = BidirectionalSeparator(make_net(causal=False), [CPU], segment_s=0.5)
    assert np.array_equal(run(separator, audio, start), run(separator, audio)[:, :, start:])


def test_ones_own_bidirectional_weights_separate_a_file(tmp_path: Path) -> None:
    weights = save(make_net(causal=False), tmp_path / "mine.safetensors")
    soundfile.write(tmp_path / "mix.wav", noise(60_000).T, 44_100, subtype="FLOAT")
    options = SeparationOptions(model="preview", weights=weights, segment_s=0.7)
    result = separate_reference(tmp_path / "mix.wav", tmp_path / "stems", options)
    assert result.model == "preview-bidirectional"
    assert result.null_depth_db < -120
    assert result.settings["segments_s"] == [0.7]
    assert "CPU" in result.settings["computed_on"]


def test_a_bidirectional_network_is_refused_where_sound_is_live(tmp_path: Path) -> None:
    weights = save(make_net(causal=False), tmp_path / "mine.safetensors")
    for load in (load_causal, load_streaming_model):
        with pytest.raises(ModelError, match=r"mine\.safetensors: a bidirectional network cannot run live"):
            load(weights)
