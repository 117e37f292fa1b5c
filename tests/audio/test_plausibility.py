"""What a listener would notice at once is said before hours of work, and plain music gets no remark."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from daw_bridge.audio.decode import decode_to_reference, examine
from daw_bridge.errors import InputError
from tests.audio.odd_files import encoded, song, wav, written
from tests.audio.signals import noise, write_wav


def notes_of(folder: Path, audio: np.ndarray, rate_hz: int = 44_100) -> tuple[str, ...]:
    return examine(write_wav(folder / "a.wav", audio.astype(np.float32), rate_hz)).notes


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        (lambda x: x * 2**15, r"peak is \+8.* gain of -90\.3 dB"),
        (lambda x: np.clip(x * 2**23, -9e5, 9e5), r"gain of -138\.5 dB"),
        (lambda x: x * 1e-7, "near silence: the peak is -14"),
        (lambda x: x * 0, "silence: every sample is zero"),
        (lambda x: x * np.array([[1.0], [0.0]]), "channel 2 is silent"),
        (lambda x: x * np.array([[1e-6], [1.0]]), "channel 1 is silent"),
        (lambda x: np.stack([x[0], -x[0]]), "inverted"),
        (lambda x: np.stack([x[0], -0.9 * x[0]]), "inverted"),
        (lambda x: np.stack([x[0], x[0]]), "mono in a stereo file"),
        (lambda x: np.stack([x[0], x[0] + 2.0**-16 * np.sin(np.arange(x.shape[1]))]), "mono in a stereo file"),
        (lambda x: x * 0.3 + 0.5, "heavy DC"),
        (lambda x: x[:1] * 0.3 - 0.5, "heavy DC"),
    ],
)
def test_each_oddity_is_one_remark(tmp_path: Path, change: object, remark: str) -> None:
    notes = notes_of(tmp_path, change(song()))  # type: ignore[operator]
    assert len(notes) == 1
    assert __import__("re").search(remark, notes[0])


@pytest.mark.parametrize("seed", range(4))
def test_plain_music_gets_no_remark(tmp_path: Path, seed: int) -> None:
    side = noise(44_100, channels=1, seed=seed, level=0.02)[0]
    for audio in (
        song(),
        song()[:1],
        song() * 8.0,
        np.stack([song()[0] + side, song()[0] - side]),
        song()[:, :7],
        noise(1, seed=seed),
        noise(44_100, seed=seed, level=0.002),
    ):
        assert notes_of(tmp_path, audio) == ()


def test_a_gain_brings_a_file_of_integers_to_its_place(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", song() * 2**15, 44_100)
    result = decode_to_reference(source, tmp_path / "out.wav", gain_db=-90.309)
    assert result.peak_db == pytest.approx(20 * np.log10(np.abs(song()).max()), abs=0.01)
    assert result.notes == ("a gain of -90.3 dB was applied to the mix",)


def test_integers_of_24_bits_in_a_float_file_are_refused_with_the_gain_that_mends_them(tmp_path: Path) -> None:
    source = write_wav(tmp_path / "a.wav", np.round(song() * 2**23).astype(np.float32), 44_100)
    with pytest.raises(InputError, match=r"which is no sound .*-138\.5 dB"):
        examine(source)
    assert examine(source, gain_db=-138.474).peak_db < 0


def dts_words(little: bool, bits: int) -> bytes:
    sync = {16: b"\x7f\xfe\x80\x01", 14: b"\x1f\xff\xe8\x00"}[bits]
    frames = [sync + np.random.default_rng(index).bytes(1_020) for index in range(60)]
    data = b"".join(frames)
    return data if not little else np.frombuffer(data, ">i2").astype("<i2").tobytes()


@pytest.mark.parametrize("bits", [14, 16])
@pytest.mark.parametrize("little", [False, True])
def test_a_dts_disc_ripped_as_pcm_is_refused(tmp_path: Path, bits: int, little: bool) -> None:
    (tmp_path / "a.wav").write_bytes(wav(data=dts_words(little, bits)))
    with pytest.raises(InputError, match=r"is no sound but a DTS bit stream.*decode it first"):
        decode_to_reference(tmp_path / "a.wav", tmp_path / "out.wav")
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("swap", [False, True])
def test_an_ac3_disc_ripped_as_pcm_is_refused(tmp_path: Path, swap: bool) -> None:
    stream = encoded("ac3", "ac3")
    bare = stream if not swap else np.frombuffer(stream[: len(stream) // 2 * 2], ">i2").astype("<i2").tobytes()
    first = stream[:768]
    burst = struct.pack("<4H", 0xF872, 0x4E1F, 1, len(first) * 8) + np.frombuffer(first, ">i2").astype("<i2").tobytes()
    for name, data in (("raw.wav", bare), ("spdif.wav", burst.ljust(6144, b"\0") * 20)):
        (tmp_path / name).write_bytes(wav(data=data))
        with pytest.raises(InputError, match=r"is no sound but .* bit stream"):
            examine(tmp_path / name)


def test_noise_is_no_bit_stream(tmp_path: Path) -> None:
    """Full-scale noise holds every word of 16 bits, also those that begin frames."""
    words = np.random.default_rng(1).integers(-32768, 32768, (400_000,), dtype=np.int16)
    (tmp_path / "a.wav").write_bytes(wav(data=words.tobytes()))
    examine(tmp_path / "a.wav")


@pytest.mark.parametrize("sync", [0x0B77, 0x770B])
@pytest.mark.parametrize("period", [441, 22_050])
def test_a_loop_or_a_steady_tone_is_no_bit_stream(tmp_path: Path, sync: int, period: int) -> None:
    """Each round holds a sample with the value of AC-3's sync word, at equal distances."""
    once = (np.random.default_rng(5).standard_normal((2, period)) * 0.1 * 2**15).astype(np.int16)
    once[0, 7] = sync
    loop = np.tile(once, 132_300 // period).astype(np.float32) / 2**15
    path = tmp_path / "loop.wav"
    path.write_bytes(written("WAV", "PCM_16", loop))
    assert examine(path).length_samples == loop.shape[1]
