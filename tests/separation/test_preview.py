"""The bundled model as a separator: whole songs, exact lengths, resumed runs, checked weights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from daw_bridge.errors import Cancelled, WeightsCorrupt, WeightsMissing
from daw_bridge.progress import CancelToken, Progress, ignore_progress
from daw_bridge.separation.engine.separator import ArraySource, Separator
from daw_bridge.separation.families.band_split import bundled
from daw_bridge.separation.families.band_split.bundled import WEIGHTS_FOLDER, load_streaming_model
from daw_bridge.separation.families.band_split.causal import PreviewSeparator, load_look_ahead, load_net
from tests.separation.small_net import make_net

FloatArray = NDArray[np.float32]


def noise(samples: int, level: float = 0.1) -> FloatArray:
    return np.random.default_rng(1).normal(0, level, (2, samples)).astype(np.float32)


def run(separator: Separator, audio: FloatArray, start: int = 0) -> FloatArray:
    blocks: list[FloatArray] = []
    separator.run(
        ArraySource(audio), blocks.append, start_samples=start, on_progress=ignore_progress, cancel=CancelToken()
    )
    return np.concatenate(blocks, 2) if blocks else np.zeros((4, 2, 0), np.float32)


@pytest.mark.parametrize("samples", [0, 1, 511, 512, 1025, 44_100, 4 * 44_100, 4 * 44_100 + 1, 400_003])
def test_stems_have_the_length_of_the_mix_and_sum_to_it(samples: int) -> None:
    audio = noise(samples)
    stems = run(PreviewSeparator(make_net()), audio)
    assert stems.shape == (4, 2, samples)
    np.testing.assert_allclose(stems.sum(0), audio, atol=2e-6)


@pytest.mark.parametrize("start", [1, 100_000, 4 * 44_100, 399_999])
def test_a_resumed_run_gives_the_samples_of_an_uncut_run(start: int) -> None:
    audio, separator = noise(400_000), PreviewSeparator(make_net())
    assert np.array_equal(run(separator, audio, start), run(separator, audio)[:, :, start:])


def test_progress_only_goes_forward_and_ends_at_the_end() -> None:
    seen: list[Progress] = []
    separator = PreviewSeparator(make_net(), threads=1)
    separator.run(ArraySource(noise(500_000)), lambda _: None, on_progress=seen.append, cancel=CancelToken())
    assert [event.done for event in seen] == sorted(event.done for event in seen)
    assert seen[-1].done == seen[-1].total == 500_000


def test_a_cancelled_run_stops_between_blocks() -> None:
    token = CancelToken()
    emitted: list[FloatArray] = []
    with pytest.raises(Cancelled):
        PreviewSeparator(make_net()).run(
            ArraySource(noise(900_000)), emitted.append, on_progress=lambda _: token.cancel(), cancel=token
        )
    assert len(emitted) == 1


def test_the_thread_count_is_given_back_afterwards() -> None:
    before = torch.get_num_threads()
    run(PreviewSeparator(make_net(), threads=before + 1), noise(5_000))
    assert torch.get_num_threads() == before


def test_the_bundled_model_is_small_and_says_what_it_is() -> None:
    total = sum(file.stat().st_size for file in WEIGHTS_FOLDER.iterdir())
    separator = PreviewSeparator(load_net())
    assert total < 12e6
    assert separator.name == "preview"
    assert separator.sources == ("vocals", "drums", "bass", "other")
    assert (separator.sample_rate_hz, separator.channels) == (44_100, 2)


def test_the_bundled_model_takes_a_click_through_on_its_sample() -> None:
    click = np.zeros((2, 30_000), np.float32)
    click[:, 12_345] = 0.5
    stems = run(PreviewSeparator(load_net()), click)
    assert int(np.abs(stems.sum(0)).sum(0).argmax()) == 12_345
    loudest = np.abs(stems).sum((1, 2)).argmax()
    assert abs(int(np.abs(stems[loudest]).sum(0).argmax()) - 12_345) <= 1


def test_silence_in_gives_exact_silence_out() -> None:
    assert not np.any(run(PreviewSeparator(load_net()), np.zeros((2, 100_000), np.float32)))


def test_both_engines_give_the_same_stems() -> None:
    pytest.importorskip("onnxruntime")
    audio, results = noise(30_000), []
    for engine in ("torch", "onnx"):
        model = load_streaming_model(engine=engine)
        state, out = model.initial_state(), []
        for start in range(0, 30_000, 700):
            stems, state = model.step(audio[:, start : start + 700], state)
            out.append(stems)
        results.append(np.concatenate(out, 2))
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)


def test_missing_and_broken_weights_say_which_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"nowhere\.safetensors"):
        load_net(tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(WeightsCorrupt, match=r"text\.safetensors"):
        load_net(tmp_path / "text.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors", metadata={"config": json.dumps({})})
    with pytest.raises(WeightsCorrupt, match=r"other\.safetensors"):
        load_net(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (load_net, "preview.safetensors"),
        (load_streaming_model, "preview.safetensors"),
        (load_streaming_model, "preview.onnx"),
    ],
)
def test_bundled_weights_that_changed_are_refused(
    load: Callable[[], object], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in WEIGHTS_FOLDER.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / name).open("r+b") as handle:
        handle.seek(-1, 2)
        handle.write(b"\x7f")
    monkeypatch.setattr(bundled, "WEIGHTS_FOLDER", tmp_path)
    with pytest.raises(WeightsCorrupt, match="sha256"):
        load()
    (tmp_path / "preview.json").unlink()
    with pytest.raises(WeightsMissing, match="install"):
        load()


@pytest.mark.shared
def test_a_real_song_is_separated_faster_than_five_times_real_time(shared_dir: Path) -> None:
    info = soundfile.info(shared_dir / "audio" / "sodium" / "drums.ogg")
    audio, _ = soundfile.read(shared_dir / "audio" / "sodium" / "drums.ogg", 20 * info.samplerate, dtype="float32")
    separator = PreviewSeparator(load_net(), look_ahead=load_look_ahead())
    run(separator, noise(44_100))
    began = time.process_time()  # one thread's computing, whatever else the machine does
    run(separator, np.ascontiguousarray(audio.T))
    assert time.process_time() - began < 20 / 5


@pytest.mark.shared
def test_it_separates_better_than_dividing_the_mix(shared_dir: Path) -> None:
    """Half a minute of two songs, one of them held out of training: mean SDR over the stems that sound."""
    separator, gains = PreviewSeparator(load_net(), look_ahead=load_look_ahead()), []
    for song in ("francium", "sodium"):
        stems = np.zeros((4, 2, 30 * 44_100), np.float32)
        for index, name in enumerate(separator.sources):
            audio, _ = soundfile.read(
                shared_dir / "audio" / song / f"{name}.ogg", 30 * 44_100, start=100 * 44_100, dtype="float32"
            )
            stems[index] = audio.T
        mix = stems.sum(0)
        found = run(separator, mix)
        for truth, estimate in zip(stems, found, strict=True):
            if np.sqrt(np.mean(truth**2)) > 1e-3:
                error, trivial = np.sum((truth - estimate) ** 2), np.sum((truth - mix / 4) ** 2)
                gains.append(float(10 * np.log10(trivial / error)))
    assert len(gains) >= 5
    assert np.mean(gains) > 0.5, gains
