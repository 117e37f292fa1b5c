"""A size that was right when the recorder last wrote it: the song goes on behind it. Other things are no song."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.audio.decode import decode_to_reference
from tests.audio.odd_files import LENGTH, RATE_HZ, pcm, song, wav, written

CLAIMED = 10_000


def decode(data: bytes, folder: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    source, target = folder / "in.wav", folder / "out.wav"
    source.write_bytes(data)
    notes = decode_to_reference(source, target).notes
    return soundfile.read(target, dtype="float32", always_2d=True)[0].T, notes


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_song_goes_on_behind_a_stale_size(tmp_path: Path, container: str, subtype: str) -> None:
    whole = bytearray(written(container, subtype))
    size = CLAIMED * 2 * {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    if container == "WAV":
        at = whole.index(b"data") + 4
        whole[at : at + 4] = struct.pack("<I", size)
    elif container == "AIFF":
        at, comm = whole.index(b"SSND") + 4, whole.index(b"COMM") + 10
        whole[at : at + 4] = struct.pack(">I", size + 8)
        whole[comm : comm + 4] = struct.pack(">I", CLAIMED)
    else:
        whole[8:12] = struct.pack(">I", size)
    sound, notes = decode(bytes(whole), tmp_path)
    assert np.array_equal(sound, song())
    assert "announces 0.227 s" in notes[0] and "1.000 s" in notes[0]


@pytest.mark.parametrize(
    ("name", "behind"),
    [
        ("a picture", np.random.default_rng(1).bytes(100_000)),
        ("text", json.dumps([{"take": number, "place": number * 37 % 101} for number in range(3_000)]).encode()),
        ("zeros of a recorder that reserves its file", bytes(100_000)),
    ],
)
def test_what_is_no_sound_is_left_out_and_said(tmp_path: Path, name: str, behind: bytes) -> None:
    del name
    sound, notes = decode(wav(len(pcm()), behind=behind), tmp_path)
    assert np.array_equal(sound, song())
    assert "left out" in notes[0] and "accept_damaged" in notes[0]


def test_many_joined_files_are_read_with_one_short_remark(tmp_path: Path) -> None:
    part = wav(data=pcm()[: 4 * 100])
    sound, notes = decode(part * 150, tmp_path)
    assert sound.shape == (2, 150 * 100)
    assert notes[0].startswith("150 WAV files in one") and len(notes[0]) < 120


def test_a_claim_that_chunks_behind_it_prove_is_believed(tmp_path: Path) -> None:
    """Programs keep sound of their own, as peaks or takes, in chunks behind the samples."""
    chunk = b"elm1" + struct.pack("<I", LENGTH * 4) + pcm()
    sound, notes = decode(wav(behind=chunk), tmp_path)
    assert sound.shape == (2, LENGTH) and not notes


def test_a_stale_size_is_found_at_any_level(tmp_path: Path) -> None:
    quiet = (song() * 2**15 / 300).astype("<i2").T.tobytes()  # peaks of a few steps of 16 bits: mostly rounding
    sound, _notes = decode(wav(CLAIMED * 4, data=quiet), tmp_path)
    assert sound.shape == (2, RATE_HZ)
