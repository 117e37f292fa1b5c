"""Files that somebody joined byte by byte (`cat a b > c`): all of them are heard, one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daw_bridge.audio.reader import open_audio
from daw_bridge.errors import DamagedInput, InputError
from tests.audio.odd_containers import COVER, CUT, container_files, halves
from tests.audio.odd_files import LENGTH, RATE_HZ, encoded, song
from tests.audio.test_lengths import WAY_ON, decoded

LOSSLESS = {
    "alac": ("ipod", "alac"),
    "wavpack": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
    "ogg": ("ogg", "flac"),
    "mka": ("matroska", "flac"),
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "au": ("AU", "PCM_16"),
}


@pytest.mark.parametrize(
    "pair",
    [*((name, name) for name in LOSSLESS), ("wav", "flac"), ("flac", "wav"), ("aiff", "caf"), ("tta", "alac")],
    ids="+".join,
)
def test_what_is_joined_comes_back_sample_by_sample(tmp_path: Path, pair: tuple[str, str]) -> None:
    first, second = halves(*LOSSLESS[pair[0]])[0], halves(*LOSSLESS[pair[1]])[1]
    alone = [decoded(data, tmp_path)[1] for data in (first, second)]
    result, sound = decoded(first + second, tmp_path)
    assert result.length_samples == LENGTH
    assert np.array_equal(sound, np.concatenate(alone, axis=1))


@pytest.mark.parametrize("name", ["m4a, two joined", "m4a and mp3 joined"])
def test_no_encoder_delay_stays_between_joined_files(tmp_path: Path, name: str) -> None:
    result, sound = decoded(container_files()[name], tmp_path)
    assert result.length_samples == LENGTH
    for start in (2_000, CUT - 5_000, CUT + 1_500, LENGTH - 6_000):
        assert np.corrcoef(sound[0, start : start + 4_000], song()[0, start : start + 4_000])[0, 1] > 0.97


def test_three_files_are_three(tmp_path: Path) -> None:
    for container, codec in (("ipod", "alac"), ("tta", "tta"), ("AIFF", "PCM_16")):
        first, second = halves(container, codec)
        result, sound = decoded(first + second + first, tmp_path)
        assert result.length_samples == LENGTH + CUT
        assert np.array_equal(sound[:, LENGTH:], sound[:, :CUT])


def test_a_second_file_of_another_rate_and_shape_is_heard_at_the_first_ones(tmp_path: Path) -> None:
    mono = encoded("ipod", "alac", audio=song(48_000, 48_000)[:1], rate_hz=48_000)
    result, sound = decoded(halves("ipod", "alac")[0] + mono, tmp_path)
    assert (result.sample_rate_hz, result.channels, result.length_samples) == (RATE_HZ, 2, CUT + LENGTH)
    assert np.array_equal(sound[0, CUT + 500 :], sound[1, CUT + 500 :])
    assert "part 2 is of 48000 Hz; converted to 44100 Hz" in result.notes


def test_a_second_file_that_is_cut_off_is_refused_and_can_be_left_out(tmp_path: Path) -> None:
    data = container_files()["m4a, the second one cut"]
    with pytest.raises(DamagedInput, match=f"at 0:00.453, another file begins there.*{WAY_ON}"):
        decoded(data, tmp_path)
    result, sound = decoded(data, tmp_path, accept_damaged=True)
    assert np.array_equal(sound, song()[:, :CUT])
    assert "it is left out" in result.notes[0]


def test_what_is_behind_a_file_and_no_sound_is_left_out(tmp_path: Path) -> None:
    """A picture, and the head of a file without any sound in it."""
    first = halves("ipod", "alac")[0]
    for behind, said in ((COVER * 2, "are no MP4; left out"), (b"\0\0\0\x20ftypisom" + bytes(3_000), "another file")):
        try:
            result, _sound = decoded(first + behind, tmp_path)
        except InputError as exc:
            assert WAY_ON in str(exc)
            continue
        assert result.length_samples == CUT
        assert said in " ".join(result.notes)


def test_holes_of_a_second_file_are_counted_from_the_beginning(tmp_path: Path) -> None:
    first, second = halves("ipod", "aac")
    at = second.index(b"mdat") + 4 + 6_000
    path = tmp_path / "a.m4a"
    path.write_bytes(first + second[:at] + bytes(900) + second[at + 900 :])
    with open_audio(path, accept_damaged=True) as reader:
        length = sum(block.shape[1] for block in reader.blocks())
        assert length == LENGTH
        assert all(hole.start_samples > CUT for hole in reader.holes)


def test_a_reader_of_joined_files_closes_them(tmp_path: Path) -> None:
    path = tmp_path / "a"
    before = len(list(Path("/proc/self/fd").glob("*")))
    for name in ("m4a, two joined", "tta, two joined", "aiff, two joined"):
        path.write_bytes(container_files()[name])
        with open_audio(path) as reader:
            reader.read(LENGTH)
    assert len(list(Path("/proc/self/fd").glob("*"))) == before
