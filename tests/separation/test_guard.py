"""The field's rules: each one refuses what it should, says why, and lets everything else pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import DeviceError, GuardRefused, UsageError
from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.separation.guard import refuse_provenance, refuse_stem_sound
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.stem_likeness import measure

RATE_HZ = 8_000


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"overlap": 0.0}, "overlap 0 is refused: .* every seam"),
        ({"overlap": 0.1}, r"0\.1 is refused: below 0\.25"),
        ({"overlap": 0.2499}, "refused"),
        ({"precision": "fp16"}, "fp16 is refused: .* -40 dB"),
        ({"precision": "bf16"}, "bf16 is refused"),
    ],
)
def test_rules_refuse_with_the_reason(options: dict[str, object], match: str) -> None:
    with pytest.raises(GuardRefused, match=match):
        SeparationOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"overlap": -0.1}, "out of range"),
        ({"overlap": 0.99}, "out of range"),
        ({"overlap": float("nan")}, "out of range"),
        ({"precision": "fp8"}, "unknown precision"),
        ({"shifts": -1}, "shifts"),
        ({"segment_s": 0.0}, "segment"),
        ({"batch_segments": 0}, "batch"),
        ({"encoding": "mp3"}, "unknown encoding"),
        ({"device": "gpu"}, "unknown device 'gpu'.*use auto, cpu, cuda"),
        ({"residual": "kepp"}, "did you mean keep"),
        ({"two_stems": "vocals", "stems": ("drums",)}, "contradict"),
        ({"stems": ()}, "no stems"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(options: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        SeparationOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.9])
def test_good_overlaps_pass(overlap: float) -> None:
    assert SeparationOptions(overlap=overlap).overlap == overlap


def write(path: Path, samples: FloatArray, provenance: str = "") -> Path:
    with AudioWriter(path, sample_rate_hz=RATE_HZ, channels=len(samples), provenance=provenance) as writer:
        writer.write(samples)
    return path


@pytest.mark.parametrize("allow", [False, True])
def test_our_own_stems_are_known_by_their_tag(tmp_path: Path, allow: bool) -> None:
    stem = write(tmp_path / "renamed.wav", np.zeros((1, 100), dtype=np.float32), "daw-bridge 1 model=x stem=vocals")
    mix = write(tmp_path / "mix.wav", np.zeros((1, 100), dtype=np.float32), "daw-bridge 1 reference")
    refuse_provenance(mix, allow=allow)
    if allow:
        refuse_provenance(stem, allow=True)
    else:
        with pytest.raises(GuardRefused, match=r"stem=vocals.*`allow_stems`"):
            refuse_provenance(stem, allow=False)


def bursts(
    seconds: float, period_s: float, length_s: float, *, floor_db: float = -90.0, lowest_hz: float = 0.0
) -> FloatArray:
    """Noise that is there for `length_s` of every `period_s` and `floor_db` below in between."""
    rng = np.random.default_rng(1)
    count = int(seconds * RATE_HZ)
    noise = rng.standard_normal(count)
    if lowest_hz:
        spectrum = np.fft.rfft(noise)
        spectrum[np.fft.rfftfreq(count, 1 / RATE_HZ) < lowest_hz] *= 1e-3
        noise = np.fft.irfft(spectrum, count)
    times = np.arange(count) / RATE_HZ
    gain = np.where(times % period_s < length_s, 1.0, 10 ** (floor_db / 20))
    return np.asarray(0.1 * noise * gain, dtype=np.float32)[None]


def test_a_part_that_falls_silent_again_and_again_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "drums.wav", bursts(60, 4.0, 2.0))
    with pytest.raises(GuardRefused, match=r"falls silent in 1\d pauses, 4\d% of the time.*`allow_stems`"):
        refuse_stem_sound(path, allow=False)
    refuse_stem_sound(path, allow=True)


def test_a_voice_with_bleed_in_its_pauses_is_refused(tmp_path: Path) -> None:
    """What a network leaves in the pauses of a voice is not silent, but the voice has no bass."""
    path = write(tmp_path / "vocals.wav", bursts(60, 5.0, 3.0, floor_db=-45.0, lowest_hz=150.0))
    with pytest.raises(GuardRefused, match="nothing below 100 Hz"):
        refuse_stem_sound(path, allow=False)


MUSIC_RATE_HZ = 22_050
MUSIC_S = 60


def notes(
    pitches_hz: Sequence[float], every_s: float, decay_per_s: float, partials: Sequence[float], *, rest_every: int = 0
) -> FloatArray:
    """Struck strings: one pitch after another, each with its partials dying away; every `rest_every`th is left out."""
    times = np.arange(int(MUSIC_S * MUSIC_RATE_HZ)) / MUSIC_RATE_HZ
    out = np.zeros(len(times))
    for number in range(int(MUSIC_S / every_s)):
        if rest_every and number % rest_every == 0:
            continue
        begin = round(number * every_s * MUSIC_RATE_HZ)
        local = times[: int(2.5 * MUSIC_RATE_HZ)][: len(times) - begin]
        pitch_hz = pitches_hz[number % len(pitches_hz)]
        for partial, height in enumerate(partials, start=1):
            ring = np.exp(-decay_per_s * local * (1 + 0.3 * partial)) * np.sin(2 * np.pi * pitch_hz * partial * local)
            out[begin : begin + len(local)] += height * ring
    return np.asarray(0.1 * out, dtype=np.float32)[None]


def beats(every_s: float = 0.25) -> FloatArray:
    """Drums: a falling kick, a snare of noise, a hat of high noise on every beat, and a quiet wash behind them."""
    rng = np.random.default_rng(3)
    count = int(MUSIC_S * MUSIC_RATE_HZ)
    out = 0.002 * rng.standard_normal(count)
    local = np.arange(int(0.2 * MUSIC_RATE_HZ)) / MUSIC_RATE_HZ
    kick = np.sin(2 * np.pi * (50 * local + 3 * (1 - np.exp(-30 * local)))) * np.exp(-18 * local)
    for number in range(int(MUSIC_S / every_s) - 1):
        begin = round(number * every_s * MUSIC_RATE_HZ)
        noise = rng.standard_normal(len(local))
        hat = np.diff(noise, prepend=0.0) * np.exp(-60 * local) * 0.15
        drum = kick if number % 4 == 0 else 0.4 * noise * np.exp(-25 * local) if number % 4 == 2 else 0.0
        out[begin : begin + len(local)] += hat + drum
    return np.asarray(0.3 * out, dtype=np.float32)[None]


BASS_HZ = (55.0, 55.0, 73.4, 65.4, 82.4)
PIANO_HZ = (220.0, 261.6, 329.6, 440.0, 349.2, 261.6)


@cache
def bass() -> FloatArray:
    return notes(BASS_HZ, 0.5, 2.0, (1.0, 0.3, 0.1, 0.02))


@cache
def piano() -> FloatArray:
    return notes(PIANO_HZ, 0.4, 1.0, (1.0, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.08))


def test_a_bass_alone_is_refused_and_with_a_piano_it_is_not() -> None:
    assert "hardly anything above 2 kHz" in measure([bass()], MUSIC_RATE_HZ).reason
    assert measure([bass() + 0.1 * piano()], MUSIC_RATE_HZ).reason == ""


def test_drums_alone_are_refused_and_with_anything_that_rings_they_are_not() -> None:
    reason = measure([beats()], MUSIC_RATE_HZ).reason
    assert "not one lasting tone" in reason
    assert measure([beats() + 0.1 * piano()], MUSIC_RATE_HZ).reason == ""


@pytest.mark.parametrize("rest_every", [0, 2, 3])
def test_one_instrument_may_be_all_there_is(rest_every: int) -> None:
    """A piano, also one that pauses, and one that falls silent between its notes."""
    assert measure([piano()], MUSIC_RATE_HZ).reason == ""
    sparse = notes(PIANO_HZ, 2.0, 1.0, (1.0, 0.6, 0.4, 0.3, 0.2, 0.1), rest_every=rest_every)
    assert measure([sparse], MUSIC_RATE_HZ).reason == ""


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("noise", bursts(60, 1.0, 1.0)),
        ("quiet passages", bursts(60, 8.0, 5.0, floor_db=-35.0)),
        ("one long silence before a hidden track", bursts(60, 60.0, 25.0)),
        ("two silences", bursts(60, 30.0, 15.0)),
        ("clicks", bursts(60, 1.0, 0.01)),
        ("too short to tell", bursts(40, 4.0, 2.0)),
        ("silence", np.zeros((1, 60 * RATE_HZ), dtype=np.float32)),
        ("a single sample", np.ones((1, 1), dtype=np.float32)),
        ("a loud start and silence", bursts(60, 600.0, 0.05)),
    ],
)
def test_everything_else_passes(name: str, samples: FloatArray) -> None:
    assert measure([samples], RATE_HZ).reason == "", name


def test_block_sizes_do_not_matter() -> None:
    samples = bursts(60, 4.0, 2.0)
    blocks = [samples[:, start : start + 1_237] for start in range(0, samples.shape[1], 1_237)]
    assert measure(blocks, RATE_HZ) == measure([samples], RATE_HZ)


@pytest.mark.shared
@pytest.mark.parametrize("song", ["potassium", "caesium"])
def test_true_songs_pass_and_their_vocals_do_not(shared_dir: Path, song: str) -> None:
    folder = shared_dir / "audio" / song
    parts = {
        path.stem: soundfile.read(path, start=60 * 44_100, frames=90 * 44_100, dtype="float32")[0].T
        for path in folder.glob("*.ogg")
    }
    length = min(part.shape[1] for part in parts.values())
    mix = np.sum([part[:, :length] for part in parts.values()], axis=0)
    assert measure([mix], 44_100).reason == ""
    assert measure([mix - parts["vocals"][:, :length]], 44_100).reason == ""
    assert measure([parts["vocals"]], 44_100).reason != ""
    assert measure([parts["drums"]], 44_100).reason != ""


def test_a_gpu_without_room_is_refused_before_the_run() -> None:
    from daw_bridge.separation.engine.memory import Need, check_headroom

    need = Need(weights_gb=0.6, per_segment_gb=0.9)
    check_headroom(need, 6.0, "cuda", batch_segments=4)
    with pytest.raises(DeviceError, match=r"cuda: 8 segment.* need 8\.4 GB .* 6\.0 GB are free.*`device` cpu"):
        check_headroom(need, 6.0, "cuda", batch_segments=8)
