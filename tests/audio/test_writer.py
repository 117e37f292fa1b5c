"""Files out: the same samples, the same bytes, whole or not at all."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.audio.encoding import Encoding
from daw_bridge.audio.provenance import read_provenance
from daw_bridge.audio.reader import probe
from daw_bridge.audio.writer import AudioWriter, to_24_bit
from daw_bridge.errors import OutputError
from tests.audio.signals import noise

ENCODINGS: tuple[Encoding, ...] = ("float32", "pcm24", "flac")


def write(
    path: Path, audio: np.ndarray, encoding: Encoding = "float32", block: int = 1000, **options: Any
) -> AudioWriter:
    with AudioWriter(path, sample_rate_hz=44_100, channels=audio.shape[0], encoding=encoding, **options) as writer:
        for start in range(0, audio.shape[1], block):
            writer.write(audio[:, start : start + block])
    return writer


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float64", always_2d=True)[0].T


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, 2_500),
    channels=st.integers(1, 3),
    block=st.integers(1, 1_111),
    encoding=st.sampled_from(ENCODINGS),
    rf64=st.booleans(),
)
def test_samples_come_back_for_every_length_block_and_encoding(
    tmp_path_factory: pytest.TempPathFactory, length: int, channels: int, block: int, encoding: Encoding, rf64: bool
) -> None:
    if encoding == "flac" and length == 0:
        return
    path = tmp_path_factory.mktemp("w") / "a.audio"
    audio = noise(length, channels=channels)
    write(path, audio, encoding, block, rf64_above_bytes=0 if rf64 else 2**32 - 1)
    assert soundfile.info(path).frames == length
    error = 0.0 if encoding == "float32" else 2**-24
    assert np.abs(read(path) - audio).max(initial=0.0) <= error
    assert length == 0 or probe(path).notes == ()


def test_float32_keeps_what_is_over_full_scale(tmp_path: Path) -> None:
    audio = noise(1_000, level=20.0)
    writer = write(tmp_path / "a.wav", audio)
    assert np.array_equal(read(tmp_path / "a.wav"), audio)
    assert writer.clipped_samples == 0
    assert writer.length_samples == 1_000


@pytest.mark.parametrize("encoding", ["pcm24", "flac"])
def test_integers_count_what_they_clip(tmp_path: Path, encoding: Encoding) -> None:
    audio = np.zeros((2, 1_000), dtype=np.float32)
    audio[0, 3:6] = 1.5
    audio[1, 999] = -7.0
    audio[1, 5] = -1.0
    writer = write(tmp_path / "a.wav", audio, encoding, block=7)
    assert writer.clipped_samples == 4
    assert read(tmp_path / "a.wav").max() == 1.0 - 2.0**-23
    assert read(tmp_path / "a.wav").min() == -1.0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_same_input_gives_the_same_bytes_whatever_the_blocks(tmp_path: Path, encoding: Encoding) -> None:
    audio = noise(30_000)
    write(tmp_path / "a", audio, encoding, block=65_536, provenance="daw-bridge 0.1.0 vocals")
    write(tmp_path / "b", audio, encoding, block=65_536, provenance="daw-bridge 0.1.0 vocals")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    if encoding != "flac":
        write(tmp_path / "c", audio, encoding, block=333, provenance="daw-bridge 0.1.0 vocals")
        assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_the_header_of_a_float_wav_byte_by_byte(tmp_path: Path) -> None:
    audio = np.array([[0.5, -0.25]], dtype=np.float32)
    write(tmp_path / "a.wav", audio, provenance="vocals")
    data = (tmp_path / "a.wav").read_bytes()
    assert data[:12] == b"RIFF" + struct.pack("<I", len(data) - 8) + b"WAVE"
    assert data[12:48] == b"JUNK" + struct.pack("<I", 28) + bytes(28)
    history = b"A=PCM,F=44100,W=32,M=mono,T=vocals\r\n"
    assert len(history) % 2 == 0
    bext_bytes = 602 + len(history)
    assert data[48:56] == b"bext" + struct.pack("<I", bext_bytes)
    body = data[56 : 56 + bext_bytes]
    assert body[:256].rstrip(b"\0") == b"vocals"
    assert body[256:288].rstrip(b"\0") == b"daw-bridge"
    assert body[320:338] == bytes(18)  # no date, no time of day
    assert struct.unpack("<QH", body[338:348]) == (0, 1)  # TimeReference, version
    assert body[602:] == history
    rest = data[56 + bext_bytes :]
    fmt = struct.pack("<HHIIHHH", 3, 1, 44_100, 44_100 * 4, 4, 32, 0)
    assert rest[:26] == b"fmt " + struct.pack("<I", 18) + fmt
    assert rest[26:38] == b"fact" + struct.pack("<II", 4, 2)
    assert rest[38:] == b"data" + struct.pack("<I", 8) + audio.astype("<f4").tobytes()


def test_a_file_over_the_limit_becomes_rf64(tmp_path: Path) -> None:
    audio = noise(10_000)
    write(tmp_path / "big.wav", audio, rf64_above_bytes=50_000, provenance="big")
    data = (tmp_path / "big.wav").read_bytes()
    assert data[:12] == b"RF64\xff\xff\xff\xffWAVE"
    assert data[12:48] == b"ds64" + struct.pack("<IQQQI", 28, len(data) - 8, 80_000, 10_000, 0)
    assert probe(tmp_path / "big.wav").container == "RF64"
    assert np.array_equal(read(tmp_path / "big.wav"), audio)
    assert read_provenance(tmp_path / "big.wav") == "big"
    write(tmp_path / "small.wav", audio[:, :1_000], rf64_above_bytes=50_000)
    assert probe(tmp_path / "small.wav").container == "WAV"


def test_the_header_is_true_past_4_gib(tmp_path: Path) -> None:
    """A sparse file stands in for the samples: only what the header says about them matters."""
    path = tmp_path / "huge.wav"
    frames = 600_000_000  # 4.8 GB
    with AudioWriter(path, sample_rate_hz=44_100, channels=2) as writer:
        writer.write(noise(10))
        assert writer._handle is not None
        writer._handle.seek((frames - 20) * 8, 1)
        cast("Any", writer._encoder)._data_bytes = frames * 8 - 80
        writer.write(noise(10))
    try:
        assert soundfile.info(path).frames == frames
        assert probe(path).notes == ()
    finally:
        path.unlink()


PROVENANCE = st.text(max_size=700).map(
    lambda text: " ".join("".join(c if c.isprintable() else " " for c in text).split())
)


@settings(max_examples=60, deadline=None)
@given(text=PROVENANCE, encoding=st.sampled_from(ENCODINGS))
def test_provenance_comes_back_word_for_word(
    tmp_path_factory: pytest.TempPathFactory, text: str, encoding: Encoding
) -> None:
    path = tmp_path_factory.mktemp("p") / "a"
    write(path, noise(100), encoding, provenance=text)
    assert read_provenance(path) == (text if text or encoding != "flac" else None)


def test_other_peoples_files_have_no_provenance(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(100).T, 44_100)
    soundfile.write(tmp_path / "a.flac", noise(100).T, 44_100)
    (tmp_path / "text.wav").write_text("RIFF????WAVE and nothing else")
    (tmp_path / "short.wav").write_bytes(b"RIFF")
    write(tmp_path / "ours.wav", noise(100), provenance="ours")
    ours = (tmp_path / "ours.wav").read_bytes()
    (tmp_path / "theirs.wav").write_bytes(ours.replace(b"daw-bridge", b"other-tool"))
    for name in ("a.wav", "a.flac", "text.wav", "short.wav", "theirs.wav", "missing.wav", "."):
        assert read_provenance(tmp_path / name) is None
    assert read_provenance(tmp_path / "ours.wav") == "ours"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_error_in_the_middle_leaves_nothing_and_keeps_the_old_file(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), AudioWriter(path, sample_rate_hz=44_100, channels=2, encoding=encoding) as writer:
        writer.write(noise(5_000))
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class FullDisk:
    """A file on a disk that takes `room_bytes` and no more: a stand-in for the operating system."""

    def __init__(self, handle: object, room_bytes: int) -> None:
        self._handle, self._room_bytes = handle, room_bytes

    def write(self, data: bytes) -> int:
        self._room_bytes -= len(data)
        if self._room_bytes < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._handle.write(data)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self._handle, name)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("room_bytes", [10, 5_000, 100_000])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: Encoding, room_bytes: int
) -> None:
    real_open = Path.open

    def opened(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        handle = real_open(path, mode, *rest, **options)  # type: ignore[call-overload]
        return FullDisk(handle, room_bytes) if "w" in mode else handle

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(OutputError, match=r"a\.wav: the disk is full; free some space"):
        write(tmp_path / "a.wav", noise(200_000), encoding)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "no" / "a.wav", noise(100))
    with pytest.raises(OutputError, match="unknown encoding 'mp3'"):
        write(tmp_path / "a.wav", noise(100), cast("Any", "mp3"))


def test_flac_says_what_it_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="FLAC cannot hold 9 channels"):
        write(tmp_path / "a.flac", noise(100, channels=9), "flac")
    assert list(tmp_path.iterdir()) == []


def test_a_block_of_another_shape_is_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected \\(1, n\\)"):
        write(tmp_path / "a.wav", noise(100, channels=2)[None])
    with (
        pytest.raises(ValueError, match="expected \\(2, n\\)"),
        AudioWriter(tmp_path / "a.wav", sample_rate_hz=44_100, channels=2) as writer,
    ):
        writer.write(noise(100, channels=1))


def test_rounding_to_24_bit_is_to_the_nearest() -> None:
    steps = np.array([[0.4, 0.6, -0.4, -0.6, 2**23 - 1, -(2**23)]], dtype=np.float64) / 2**23
    integers, clipped = to_24_bit(steps.astype(np.float32))
    assert integers.tolist() == [[0, 1, 0, -1, 2**23 - 1, -(2**23)]]
    assert clipped == 0
