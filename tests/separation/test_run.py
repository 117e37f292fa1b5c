"""A mix on the disk becomes stems on the disk: aligned, exact, nulling, at any rate, with nothing left behind."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from daw_bridge.audio.provenance import read_provenance
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import Busy, Cancelled, InputError, OutputError, UsageError
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.engine.separator import Emit, FloatArray, SampleSource
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.run import SeparationResult, separate_reference, separation_key
from tests.separation.tiny import noise, tiny_bag, tiny_module, tiny_separator


class HalfSeparator:
    """Gives half of the mix to each of two stems and nothing to a third: what must come out is known exactly."""

    name = "half"
    sources = ("left_half", "right_half", "nothing")
    weights_sha256 = "a" * 64

    def __init__(self, sample_rate_hz: int = 44_100, channels: int = 2, block: int = 7_919) -> None:
        self.sample_rate_hz, self.channels, self._block = sample_rate_hz, channels, block

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        source.seek(start_samples)
        while (block := source.read(self._block)).shape[1]:
            cancel.check()
            emit(np.stack([block * np.float32(0.5), block * np.float32(0.25), np.zeros_like(block)]))
            on_progress(Progress(stage="separate", done=1, total=source.length_samples))


def write_mix(path: Path, samples: FloatArray, rate_hz: int) -> Path:
    with AudioWriter(path, sample_rate_hz=rate_hz, channels=len(samples)) as writer:
        writer.write(samples)
    return path


def separate(tmp_path: Path, samples: FloatArray, rate_hz: int = 44_100, **kwargs: Any) -> SeparationResult:
    options = SeparationOptions(**{key: kwargs.pop(key) for key in list(kwargs) if key in OPTION_NAMES})
    mix = write_mix(tmp_path / "mix.wav", samples, rate_hz)
    return separate_reference(mix, tmp_path / "audio", options, **{"separator": HalfSeparator(), **kwargs})


OPTION_NAMES = set(SeparationOptions.__dataclass_fields__)


def read(path: Path) -> FloatArray:
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(samples.T, dtype=np.float32)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 96_000, 192_000])
def test_stems_null_against_the_mix_at_every_rate(tmp_path: Path, rate_hz: int, channels: int) -> None:
    result = separate(tmp_path, noise(rate_hz // 2 + 13, channels=channels), rate_hz)
    assert result.null_depth_db <= -120.0
    assert [stem.name for stem in result.stems.stems] == [*HalfSeparator.sources, "residual"]
    for stem in result.stems.stems:
        info = soundfile.info(stem.path)
        assert (info.samplerate, info.channels, info.frames) == (rate_hz, channels, rate_hz // 2 + 13)
        assert info.subtype == "FLOAT"
    assert not list((tmp_path / "audio").glob(".work-*"))


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_a_click_comes_back_on_its_sample(tmp_path: Path, rate_hz: int) -> None:
    mix = np.zeros((2, rate_hz), dtype=np.float32)
    mix[:, 12_345] = 0.9
    result = separate(tmp_path, mix, rate_hz)
    stem = read(result.stems.stems[0].path)
    assert int(np.abs(stem).argmax()) % rate_hz == 12_345


@pytest.mark.parametrize("length", [1, 2, 50, 2_205, 132_300])
def test_very_short_mixes_work(tmp_path: Path, length: int) -> None:
    """From a single sample over 0.05 s to 3 s, through a real network."""
    separator = tiny_separator(tiny_bag([tiny_module("htdemucs", samplerate=44_100, segment=0.1)]))
    result = separate(tmp_path, noise(length), separator=separator)
    assert {stem.length_samples for stem in result.stems.stems} == {length}
    assert result.null_depth_db <= -120.0


def test_a_silent_mix_gives_silent_stems_and_says_so(tmp_path: Path) -> None:
    result = separate(tmp_path, np.zeros((2, 10_000), dtype=np.float32))
    assert any("silent" in note for note in result.notes)
    for stem in result.stems.stems:
        assert not read(stem.path).any()


def test_a_mono_mix_is_doubled_for_the_model_and_comes_back_as_the_mean(tmp_path: Path) -> None:
    mix = noise(5_000, channels=1)
    result = separate(tmp_path, mix)
    assert np.abs(read(result.stems.stems[0].path) - mix * 0.5).max() < 1e-7


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("keep", {"left_half": 0.5, "right_half": 0.25, "nothing": 0.0, "residual": 0.25}),
        ("spread", {"left_half": 0.5 + 0.25 / 3, "right_half": 0.25 + 0.25 / 3, "nothing": 0.25 / 3}),
        ("fold:nothing", {"left_half": 0.5, "right_half": 0.25, "nothing": 0.25}),
        ("none", {"left_half": 0.5, "right_half": 0.25, "nothing": 0.0}),
    ],
)
@pytest.mark.parametrize("encoding", ["float32", "pcm24", "flac"])
def test_where_the_residual_goes(tmp_path: Path, mode: str, expected: dict[str, float], encoding: str) -> None:
    mix = noise(20_000)
    result = separate(tmp_path, mix, residual=mode, encoding=encoding)
    for stem, share in zip(result.stems.stems, expected.values(), strict=True):
        assert np.abs(read(stem.path) - mix * np.float32(share)).max() < 3e-7
    assert [stem.name for stem in result.stems.stems] == list(expected)
    assert [stem.role for stem in result.stems.stems if stem.name == "residual"] == ["residual"] * (mode == "keep")
    level_db = 20 * np.log10(0.25 * np.sqrt(np.square(mix).mean()))
    assert result.residual_rms_db == pytest.approx(level_db, abs=0.01)
    if mode == "none":
        assert result.null_depth_db > -60.0
    else:
        assert result.null_depth_db <= -120.0


def test_two_stems_gives_the_stem_and_the_rest_of_the_mix(tmp_path: Path) -> None:
    mix = noise(9_000)
    result = separate(tmp_path, mix, two_stems="left_half")
    assert [stem.name for stem in result.stems.stems] == ["left_half", "no_left_half"]
    assert np.abs(read(result.stems.stems[1].path) - mix * 0.5).max() < 1e-7
    assert result.null_depth_db <= -120.0


def test_only_the_asked_stems_are_written(tmp_path: Path) -> None:
    result = separate(tmp_path, noise(9_000), stems=("right_half",))
    assert [stem.name for stem in result.stems.stems] == ["right_half", "residual"]
    assert sorted(path.name for path in (tmp_path / "audio").iterdir()) == ["residual.wav", "right_half.wav"]


def test_24_bit_refuses_what_it_cannot_hold_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"left_half.*\+2\.0.* dBFS.*float32"):
        separate(tmp_path, noise(9_000) * np.float32(2.52 / np.abs(noise(9_000)).max()), encoding="pcm24")
    assert not list((tmp_path / "audio").glob("*.wav"))


def test_stems_carry_their_provenance(tmp_path: Path) -> None:
    stem = separate(tmp_path, noise(5_000), provenance="daw-bridge 1 model=half").stems.stems[0].path
    assert read_provenance(stem) == "daw-bridge 1 model=half stem=left_half"


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    separator = tiny_separator(tiny_bag([tiny_module("hdemucs")]))
    first = separate(tmp_path, noise(20_000), 8_000, separator=separator)
    before = [stem.path.read_bytes() for stem in first.stems.stems]
    again = separate(tmp_path, noise(20_000), 8_000, separator=separator)
    assert [stem.path.read_bytes() for stem in again.stems.stems] == before


def test_cancel_keeps_the_work_and_the_next_run_goes_on(tmp_path: Path) -> None:
    token = CancelToken()

    def stop_halfway(event: Progress) -> None:
        if event.stage == "separate" and event.done >= event.total // 2:
            token.cancel()

    def tiny() -> Any:
        return tiny_separator(tiny_bag([tiny_module("htdemucs")]))

    mix = noise(60_000)
    with pytest.raises(Cancelled):
        separate(tmp_path, mix, 8_000, separator=tiny(), on_progress=stop_halfway, cancel=token)
    assert not list((tmp_path / "audio").glob("*.wav"))
    resumed = separate(tmp_path, mix, 8_000, separator=tiny())
    assert 2.0 < resumed.resumed_at_s < 7.5
    whole = separate_reference(tmp_path / "mix.wav", tmp_path / "whole", SeparationOptions(), separator=tiny())
    for one, other in zip(resumed.stems.stems, whole.stems.stems, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()


def test_two_runs_of_one_mix_in_one_folder_are_refused(tmp_path: Path) -> None:
    inside: list[Exception] = []

    def run_again(event: Progress) -> None:
        if event.stage == "separate" and not inside:
            try:
                separate(tmp_path, noise(9_000))
            except Busy as exc:
                inside.append(exc)

    separate(tmp_path, noise(9_000), on_progress=run_again)
    assert len(inside) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_broken_samples_are_refused(tmp_path: Path, value: float) -> None:
    mix = noise(9_000)
    mix[1, 777] = value
    with pytest.raises(InputError, match="NaN or infinite"):
        separate(tmp_path, mix)


def test_progress_never_goes_back(tmp_path: Path) -> None:
    events: list[Progress] = []
    separator = tiny_separator(tiny_bag([tiny_module("htdemucs", seed) for seed in range(3)]), shifts=2)
    separate(tmp_path, noise(30_000), 8_000, separator=separator, on_progress=events.append)
    for stage in ("load", "separate", "residual", "verify"):
        done = [event.done for event in events if event.stage == stage]
        assert done == sorted(done), stage
        assert done[-1] == [event.total for event in events if event.stage == stage][-1], stage


KEY_CHANGES: dict[str, Any] = {
    "model": "htdemucs",
    "stems": ("vocals",),
    "two_stems": "vocals",
    "overlap": 0.5,
    "segment_s": 5.0,
    "shifts": 2,
    "residual": "none",
    "encoding": "flac",
    "allow_tf32": True,
}


def test_the_key_covers_every_setting_that_changes_the_files() -> None:
    base = SeparationOptions()
    keys = {separation_key("a", base, "w"), separation_key("b", base, "w"), separation_key("a", base, "v")}
    keys |= {separation_key("a", SeparationOptions(**{name: value}), "w") for name, value in KEY_CHANGES.items()}
    assert len(keys) == 3 + len(KEY_CHANGES)
    for name, value in {"device": "cpu", "batch_segments": 3, "weights": Path("x"), "allow_stems": True}.items():
        assert separation_key("a", SeparationOptions(**{name: value}), "w") in keys, name  # type: ignore[arg-type]


def test_a_fold_into_an_unknown_stem_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean nothing"):
        separate(tmp_path, noise(900), residual="fold:nothink")


def test_a_resampler_that_is_not_installed_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    if importlib.util.find_spec("torchaudio") is not None:
        pytest.skip("torchaudio is installed")
    with pytest.raises(UsageError, match=r"install daw-bridge\[torchaudio\], or let soxr resample"):
        separate(tmp_path, noise(4_800), 48_000, resampler="torchaudio")
    assert not list((tmp_path / "audio").glob("**/*.wav"))


def test_torchaudio_resamples_to_the_model_and_back_on_the_sample(tmp_path: Path) -> None:
    pytest.importorskip("torchaudio", reason="torchaudio is optional and not installed")
    mix = noise(48_013) * 0.1
    mix[:, 12_345] = 0.9
    for folder in ("soxr", "torchaudio"):
        (tmp_path / folder).mkdir()
    soxr = separate(tmp_path / "soxr", mix, 48_000)
    torchaudio = separate(tmp_path / "torchaudio", mix, 48_000, resampler="torchaudio")
    assert torchaudio.null_depth_db < -120
    assert torchaudio.settings["resampler_quality"].startswith("torchaudio sinc_interp_kaiser")
    stems = [read(result.stems.stems[0].path) for result in (soxr, torchaudio)]
    assert stems[0].shape == stems[1].shape == mix.shape
    assert int(np.abs(stems[1]).argmax()) % mix.shape[1] == 12_345
