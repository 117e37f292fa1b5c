"""Any source becomes a reference that starts on the sample, or one clear line says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.audio.decode import DecodedAudio, decode_to_reference
from daw_bridge.audio.reader import open_audio, probe
from daw_bridge.errors import Cancelled, InputError, OutputError
from daw_bridge.progress import CancelToken, Progress
from tests.audio.signals import RATES_HZ, encode, impulses, noise, peak_positions, write_wav


def decoded(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0].T


ENCODERS = [
    ("a.mp3", "libmp3lame"),
    ("a.m4a", "aac"),
    ("a.mka", "aac"),
    ("a.mp4", "libmp3lame"),
    ("a.flac", "flac"),
    ("l.m4a", "alac"),
    ("a.mov", "pcm_s24le"),
    ("a.webm", "libopus"),
    ("a.opus", "libopus"),
]
ENCODER_RATES_HZ = {"libmp3lame": (22_050, 44_100, 48_000), "libopus": (48_000,)}


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz"),
    [
        (name, codec, rate_hz)
        for name, codec in ENCODERS
        for rate_hz in ENCODER_RATES_HZ.get(codec, (44_100, 48_000, 96_000))
    ],
)
def test_an_impulse_track_comes_back_on_the_sample(tmp_path: Path, name: str, codec: str, rate_hz: int) -> None:
    length = rate_hz * 2 + 123
    positions = [1000, rate_hz, length - 50]
    source = encode(tmp_path / name, impulses(length, positions), rate_hz, codec, bit_rate=256_000)
    result = decode_to_reference(source, tmp_path / "out.wav")
    assert peak_positions(decoded(tmp_path / "out.wav"), positions) == [0, 0, 0]
    # MP3 in MP4 and AAC in Matroska state their end in milliseconds or not at all: never short, under a frame long.
    longest_padding = {"a.mp4": rate_hz // 1000, "a.mka": 1024}.get(name, 0)
    assert 0 <= result.length_samples - length <= longest_padding
    assert result.info.lossy == (codec in ("libmp3lame", "aac", "libopus"))


@pytest.mark.parametrize(
    ("container", "subtype", "error"),
    [
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-23),
        ("WAV", "FLOAT", 0.0),
        ("WAV", "DOUBLE", 0.0),
        ("RF64", "FLOAT", 0.0),
        ("W64", "FLOAT", 0.0),
        ("AIFF", "PCM_24", 2**-23),
        ("FLAC", "PCM_24", 2**-23),
    ],
)
def test_lossless_files_come_back_as_they_are(tmp_path: Path, container: str, subtype: str, error: float) -> None:
    audio = noise(10_007)
    source = write_wav(tmp_path / "in.audio", audio, 44_100, format=container, subtype=subtype)
    result = decode_to_reference(source, tmp_path / "out.wav")
    assert (result.length_samples, result.channels, result.sample_rate_hz) == (10_007, 2, 44_100)
    assert not result.info.lossy
    assert np.abs(decoded(tmp_path / "out.wav") - audio).max() <= error


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_every_rate_is_kept(tmp_path: Path, rate_hz: int) -> None:
    source = write_wav(tmp_path / "in.wav", noise(999, channels=1), rate_hz)
    result = decode_to_reference(source, tmp_path / "out.wav")
    assert (result.sample_rate_hz, result.channels, result.length_samples) == (rate_hz, 1, 999)
    assert probe(tmp_path / "out.wav").sample_rate_hz == rate_hz


@pytest.mark.parametrize("rate_hz", [4_000, 7_999, 192_001, 384_000])
def test_rates_outside_the_range_are_refused(tmp_path: Path, rate_hz: int) -> None:
    source = write_wav(tmp_path / "in.wav", noise(999), rate_hz)
    with pytest.raises(InputError, match=f"{rate_hz} Hz is outside 8000 to 192000 Hz"):
        decode_to_reference(source, tmp_path / "out.wav")
    assert list(tmp_path.iterdir()) == [source]


def test_the_content_key_follows_the_samples_and_not_the_file(tmp_path: Path) -> None:
    audio = np.round(noise(5_000) * 2**15).astype(np.float32) / 2**15

    def key(name: str, samples: np.ndarray, rate_hz: int = 44_100, **options: str) -> str:
        source = write_wav(tmp_path / name, samples, rate_hz, **options)
        return decode_to_reference(source, tmp_path / "out.wav").audio_sha256

    first = key("a.wav", audio, subtype="PCM_16")
    assert key("b.flac", audio, format="FLAC", subtype="PCM_16") == first
    assert key("c.wav", audio, rate_hz=48_000) != first
    assert key("d.wav", audio.reshape(1, -1)) != first
    other = audio.copy()
    other[0, 4_999] += 2**-15
    assert key("e.wav", other) != first


@pytest.mark.parametrize("count", range(3, 9))
@pytest.mark.parametrize("container", ["WAV", "FLAC"])
def test_a_downmix_weights_centre_and_surrounds_by_minus_3_db(tmp_path: Path, count: int, container: str) -> None:
    audio = noise(3_000, channels=count)
    names = {3: "L R C", 4: "L R Ls Rs", 5: "L R C Ls Rs", 6: "L R C LFE Ls Rs"}
    names |= {7: "L R C LFE Cs Ls Rs", 8: "L R C LFE Ls Rs Ls Rs"}
    left, right = np.zeros(3_000), np.zeros(3_000)
    for channel, name in zip(audio.astype(np.float64), names[count].split(), strict=True):
        weight_left = {"L": 1.0, "C": 0.5**0.5, "Ls": 0.5**0.5, "Cs": 0.5}.get(name, 0.0)
        weight_right = {"R": 1.0, "C": 0.5**0.5, "Rs": 0.5**0.5, "Cs": 0.5}.get(name, 0.0)
        left, right = left + weight_left * channel, right + weight_right * channel
    subtype = "FLOAT" if container == "WAV" else "PCM_24"
    source = write_wav(tmp_path / "in.audio", audio, 48_000, format=container, subtype=subtype)
    result = decode_to_reference(source, tmp_path / "out.wav", channels="downmix")
    assert result.channels == 2
    assert "BS.775" in result.notes[-1]
    assert np.abs(decoded(tmp_path / "out.wav") - (left, right)).max() < 1e-6


def test_a_downmix_of_many_channels_is_their_average(tmp_path: Path) -> None:
    audio = noise(500, channels=12)
    source = write_wav(tmp_path / "in.wav", audio, 48_000)
    result = decode_to_reference(source, tmp_path / "out.wav", channels="downmix")
    assert "plain average" in result.notes[-1]
    assert np.abs(decoded(tmp_path / "out.wav") - audio.mean(axis=0)).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("a.ogg", "vorbis"), ("a.opus", "opus"), ("a.flac", "flac")]
)
def test_surround_channels_stand_in_wave_order_whatever_the_codec(tmp_path: Path, name: str, codec: str) -> None:
    time_s = np.arange(48_000) / 48_000
    tones = [300, 500, 700, 60, 1100, 1300]
    audio = np.stack([0.4 * np.sin(2 * np.pi * hz * time_s) for hz in tones]).astype(np.float32)
    if codec in ("vorbis", "opus"):  # libsndfile writes what it is given: hand it Vorbis order FL FC FR BL BR LFE
        vorbis = audio[[0, 2, 1, 4, 5, 3]]
        source = write_wav(tmp_path / name, vorbis, 48_000, format="OGG", subtype=codec.upper())
    else:
        source = encode(tmp_path / name, audio, 48_000, codec, bit_rate=600_000)
    with open_audio(source) as reader:
        sound = np.concatenate(list(reader.blocks()), axis=1)
    spectrum = np.abs(np.fft.rfft(sound[:, :48_000], axis=1))
    assert spectrum.argmax(axis=1).tolist() == tones


def test_a_pair_of_channels_is_taken_as_it_is(tmp_path: Path) -> None:
    audio = noise(500, channels=6)
    source = write_wav(tmp_path / "in.wav", audio, 48_000)
    decode_to_reference(source, tmp_path / "out.wav", channels=(5, 2))
    assert np.array_equal(decoded(tmp_path / "out.wav"), audio[[4, 1]])


def test_more_than_two_channels_need_a_choice(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "in.wav", noise(500, channels=6), 48_000)
    with pytest.raises(InputError, match=r"has 6 channels; choose `channels` 1,2 .* or `downmix`"):
        decode_to_reference(source, tmp_path / "out.wav")
    with pytest.raises(InputError, match="`channels` 1,7: it has channels 1 to 6"):
        decode_to_reference(source, tmp_path / "out.wav", channels=(1, 7))
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -3e38])
@pytest.mark.parametrize("sample", [0, 70_000, 99_999])
def test_nan_and_infinity_are_refused_with_their_place(tmp_path: Path, value: float, sample: int) -> None:
    audio = noise(100_000)
    audio[1, sample] = value
    source = write_wav(tmp_path / "in.wav", audio, 44_100)
    kind = "NaN" if np.isnan(value) else "infinite" if np.isinf(value) else "-3.0e[+]38, which is no sound"
    with pytest.raises(InputError, match=rf"sample {sample} \({sample / 44_100:.3f} s\) of channel 2 is {kind}"):
        decode_to_reference(source, tmp_path / "out.wav")
    assert list(tmp_path.iterdir()) == [source]


def test_silence_works_and_is_said(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "in.wav", np.zeros((2, 3_000), dtype=np.float32), 44_100)
    result = decode_to_reference(source, tmp_path / "out.wav")
    assert result.silent
    assert result.peak_db == -np.inf


def test_what_is_over_full_scale_stays(tmp_path: Path) -> None:
    audio = noise(3_000, level=3.0)
    source = write_wav(tmp_path / "in.wav", audio, 44_100)
    result = decode_to_reference(source, tmp_path / "out.wav")
    assert np.array_equal(decoded(tmp_path / "out.wav"), audio)
    assert result.peak_db == pytest.approx(20 * np.log10(np.abs(audio).max()))
    assert not result.silent


def test_progress_reaches_the_end_and_never_goes_back(tmp_path: Path) -> None:
    source = encode(tmp_path / "in.m4a", noise(300_000), 44_100, "aac")
    events: list[Progress] = []
    result = decode_to_reference(source, tmp_path / "out.wav", on_progress=events.append)
    assert [event.done for event in events] == sorted(event.done for event in events)
    assert events[-1].done == result.length_samples
    assert all(event.total >= event.done for event in events)
    assert events[0].total == pytest.approx(300_000, rel=0.01)


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "in.wav", noise(300_000), 44_100)
    cancel = CancelToken()
    with pytest.raises(Cancelled):
        decode_to_reference(source, tmp_path / "out.wav", on_progress=lambda _event: cancel.cancel(), cancel=cancel)
    assert list(tmp_path.iterdir()) == [source]


def test_an_old_target_survives_a_failed_decode(tmp_path: Path) -> None:
    target = tmp_path / "out.wav"
    target.write_bytes(b"old")
    with pytest.raises(InputError):
        decode_to_reference(tmp_path / "missing.wav", target)
    assert target.read_bytes() == b"old"


def test_a_missing_output_folder_is_an_output_error(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "in.wav", noise(3_000), 44_100)
    with pytest.raises(OutputError):
        decode_to_reference(source, tmp_path / "no" / "out.wav")


def test_the_result_is_frozen(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "in.wav", noise(3_000), 44_100)
    result = decode_to_reference(source, tmp_path / "out.wav")
    assert isinstance(result, DecodedAudio)
    with pytest.raises(AttributeError):
        result.silent = True  # type: ignore[misc]
