"""No sound is lost without a word: every odd file against what FFmpeg decodes of it."""

from __future__ import annotations

import io
import re
import struct
from functools import cache
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
import soundfile
from av.container import InputContainer
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.audio.decode import DecodedAudio, decode_to_reference
from daw_bridge.audio.lengths import is_placeholder
from daw_bridge.audio.mpeg_crc import MusicCrc
from daw_bridge.audio.reader import probe
from daw_bridge.errors import DamagedInput, InputError
from tests.audio import odd_files
from tests.audio.odd_files import LENGTH, RATE_HZ, chunk, fmt, mp3, ogg, pcm, riff, song, wav
from tests.generated_docs import check_section, section

WAY_ON = "accept_damaged"
_NO_SOUND = ("index (moov)", "no decoder here knows", "is DSD", "not an audio file", "is no sound")


@cache
def cases() -> dict[str, bytes]:
    return odd_files.odd_files()


def ffmpeg_samples(data: bytes) -> int | None:
    """What FFmpeg's decoder gives of a file, however damaged; None where it cannot open it."""
    count = 0
    try:
        with av.open(io.BytesIO(data), metadata_errors="replace") as container:
            stream = container.streams.audio[0]
            packets = cast("InputContainer", container).demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    if packet is None:
                        return count
                    count += sum(frame.samples for frame in packet.decode())
                except av.FFmpegError:
                    continue
    except (av.FFmpegError, IndexError):
        return None


def decoded(data: bytes, folder: Path, *, accept_damaged: bool = False) -> tuple[DecodedAudio, np.ndarray]:
    source, target = folder / "in.audio", folder / "out.wav"
    source.write_bytes(data)
    result = decode_to_reference(source, target, accept_damaged=accept_damaged)
    return result, soundfile.read(target, dtype="float32", always_2d=True)[0].T


def outcome(data: bytes, folder: Path) -> tuple[str, int | None, str]:
    """("whole", samples, remarks) or ("refused", None, the reason)."""
    try:
        result, _sound = decoded(data, folder)
    except InputError as exc:
        return "refused", None, str(exc).removeprefix(f"{folder / 'in.audio'}: ")
    return "whole", result.length_samples, "; ".join(result.notes)


def test_no_odd_file_is_short_without_a_word(tmp_path: Path) -> None:
    """And the table of docs/audio.md says what becomes of each (generated)."""
    rows = []
    for name, data in cases().items():
        by_ffmpeg = ffmpeg_samples(data)
        kind, samples, said = outcome(data, tmp_path)
        if kind == "refused":
            without = any(word in said for word in _NO_SOUND)  # nothing can be taken from these
            place = " at " in said or "channel" in said
            assert (WAY_ON in said and place) or without, f"{name}: {said}"
        else:
            assert samples is not None
            assert samples >= (by_ffmpeg or 0) or said, f"{name}: {samples} of {by_ffmpeg}"
        theirs = "not opened" if by_ffmpeg is None else f"{by_ffmpeg:,}"
        ours = "refused" if samples is None else f"{samples:,}"
        rows.append(f"| {name} | {theirs} | {ours} | {said.partition('; copy or download')[0].replace('|', ' ')} |")
    table = ["| one second of sound as | FFmpeg decodes | daw-bridge | and says |", "|---|---|---|---|", *rows]
    check_section("audio.md", "odd files", "\n".join(table))


EXACT = [
    name  # from the table, which the test above keeps: the files are made where they are used, not by every worker
    for name in re.findall(r"^\| (.+?) \|", section("audio.md", "odd files"), re.MULTILINE)
    if name.split(",")[0] in ("wav", "rf64", "w64", "aiff", "aifc", "au", "caf", "flac")
    and not any(
        word in name for word in ("missing", "ADPCM", "MP3", "AC-3", "ALAC", "cut", "changed", "unknown coding")
    )
]


@pytest.mark.parametrize("name", EXACT)
def test_what_is_whole_comes_back_sample_by_sample(tmp_path: Path, name: str) -> None:
    result, sound = decoded(cases()[name], tmp_path)
    assert result.length_samples == LENGTH
    assert np.array_equal(sound, song())


@pytest.mark.parametrize(
    ("name", "reach_samples"),
    [
        ("mp3, Xing counts 5 frames", 0),
        ("mp3, Xing counts 0 frames", 0),
        ("mp3, Xing counts itself", 0),
        ("mp3, Xing counts three times", 0),
        ("mp3, two joined", 0),
        ("mp3, last byte missing", 0),
        ("mp3, ID3 tag of a wrong size", 0),
        ("mp3, tags behind", 0),
        ("mp3, many zeros in front", 0),
        ("mp3, 48 kHz joined to 44.1 kHz", 0),
        ("mp3, variable, no Xing header", 1105),
        ("mp3, written to a pipe", 1105),
        ("ogg, two in a chain", 0),
    ],
)
def test_lossy_files_lie_on_the_sample_from_the_first_to_the_last(
    tmp_path: Path, name: str, reach_samples: int
) -> None:
    """The end is compared with the song's own end: a join, a wrong count or a tag moves nothing."""
    result, sound = decoded(cases()[name], tmp_path)
    assert result.length_samples >= LENGTH
    for start in (2_000, LENGTH // 2 - 3_000, LENGTH // 2 + 3_000, LENGTH - 5_000):
        near = sound[0, start + reach_samples : start + reach_samples + 4_000]
        correlation = np.corrcoef(near, song()[0, start : start + 4_000])[0, 1]
        assert correlation > 0.97, f"at {start}"


def test_mono_joined_to_stereo_is_heard_on_both_sides(tmp_path: Path) -> None:
    result, sound = decoded(cases()["mp3, mono joined to stereo"], tmp_path)
    assert (result.channels, result.length_samples) == (2, LENGTH)
    assert np.array_equal(sound[0, LENGTH // 2 + 100 :], sound[1, LENGTH // 2 + 100 :])
    assert np.abs(sound[:, LENGTH // 2 + 100 :]).max() > 0.1


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("wav, a third missing", "0:00.666"),
        ("aiff, a third missing", "0:00.666"),
        ("flac, cut in the middle", "0:00."),
        ("flac, two bytes changed", "0:00."),
        ("mp3, half missing", "0:00."),
        ("mp3, three frames of zeros", "0:00."),
        ("mp3, bytes lost", "0:00."),
        ("ogg, cut in a page", "0:00."),
        ("ogg, a page lost", "0:00."),
        ("ogg, a page damaged", "0:00."),
    ],
)
def test_what_is_cut_off_or_damaged_is_refused_with_its_place_and_a_way_on(
    tmp_path: Path, name: str, place: str
) -> None:
    with pytest.raises(DamagedInput, match=f"at {place}.*{WAY_ON}"):
        decoded(cases()[name], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["in.audio"]
    accepted, _sound = decoded(cases()[name], tmp_path, accept_damaged=True)
    assert 0 < accepted.length_samples <= LENGTH
    assert any("cut off" in note or "damaged" in note for note in accepted.notes)


@pytest.mark.parametrize("name", ["mp3, three frames of zeros", "mp3, bytes lost", "flac, two bytes changed"])
def test_an_accepted_hole_is_silent_and_moves_nothing_behind_it(tmp_path: Path, name: str) -> None:
    result, sound = decoded(cases()[name], tmp_path, accept_damaged=True)
    assert result.length_samples == LENGTH
    assert len(result.holes) == 1
    hole = result.holes[0]
    middle = slice(hole.start_samples + 1, hole.start_samples + hole.length_samples - 1)
    assert np.abs(sound[:, middle]).max() == 0.0
    late = slice(LENGTH - 9_000, LENGTH - 4_000)
    assert np.corrcoef(sound[0, late], song()[0, late])[0, 1] > 0.97


@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
def test_samples_that_are_no_numbers_become_silence_when_damage_is_accepted(tmp_path: Path, value: float) -> None:
    audio = song().copy()
    audio[1, 30_000:30_003] = value
    result, sound = decoded(odd_files.written("WAV", "FLOAT", audio), tmp_path, accept_damaged=True)
    audio[1, 30_000:30_003] = 0.0
    assert np.array_equal(sound, audio)
    assert [(hole.start_samples, hole.length_samples) for hole in result.holes] == [(30_000, 3)]


@pytest.mark.parametrize("name", ["flac, wrong MD5", "mp3, a hole of zeros", "mp3, last frame damaged"])
def test_a_checksum_that_does_not_match_is_said(tmp_path: Path, name: str) -> None:
    try:
        result, _sound = decoded(cases()[name], tmp_path)
    except DamagedInput:
        return  # the hole hit a frame's header
    assert "does not match" in " ".join(result.notes)


def test_the_claim_and_what_lies_behind_it_are_told(tmp_path: Path) -> None:
    for name, claimed, behind in (
        ("wav, size 0x80000000", None, LENGTH),
        ("flac, count too small", LENGTH // 3, LENGTH),
        ("mp3", LENGTH, LENGTH),
        ("wav, garbage behind", LENGTH, LENGTH + 1024),
    ):
        (tmp_path / "a").write_bytes(cases()[name])
        claim = probe(tmp_path / "a").claim
        assert (claim.claimed_samples, claim.behind_samples) == (claimed, behind), name


@pytest.mark.parametrize("extra", [b"", chunk(b"LIST", b"INFOICMT\4\0\0\0abc\0")])
def test_a_wav_whose_size_ran_over_4_gib_is_seen_whole(tmp_path: Path, extra: bytes) -> None:
    """6.8 hours in a sparse file; the 32-bit size says four seconds."""
    path, seconds = tmp_path / "long.wav", 24_351
    size = seconds * RATE_HZ * 4
    head = riff(chunk(b"fmt ", fmt()) + b"data" + struct.pack("<I", size % 2**32), size % 2**32 + 36)
    with path.open("wb") as handle:
        handle.write(head)
        handle.truncate(len(head) + size)
        handle.seek(0, 2)
        handle.write(extra)
    info = probe(path)
    path.unlink()
    assert info.length_samples == seconds * RATE_HZ
    assert "ran over 32 bits" in info.notes[0]


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFDB, 0x7FFFFFFF, 0x80000000, 0xFFFFFF00, 0xFFFFFFFF, 2**63 - 1])
def test_sizes_that_mean_not_known_are_placeholders(size: int) -> None:
    assert is_placeholder(size)


@pytest.mark.parametrize("behind", [b"", chunk(b"LIST", b"INFO")])
@pytest.mark.parametrize(("last", "samples"), [(b"\x12", LENGTH), (b"\0", LENGTH - 1)])
def test_a_size_one_byte_short_takes_the_last_frame_or_says_that_it_is_padding(
    tmp_path: Path, behind: bytes, last: bytes, samples: int
) -> None:
    data = wav(data_size=LENGTH * 4 - 1, data=pcm()[:-1] + last, behind=behind)
    _kind, there, said = outcome(data, tmp_path)
    assert there == samples
    assert bool(said) == (last == b"\0"), said


@settings(max_examples=120)
@given(
    data_size=st.one_of(
        st.sampled_from([0, 1, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 176_399, 176_401, 176_404]),
        st.integers(0, 2**32 - 1),
        st.integers(0, 400_000),
    ),
    riff_size=st.integers(0, 2**32 - 1),
    kept=st.integers(0, LENGTH * 4),
    behind=st.sampled_from([b"", b"\0", chunk(b"LIST", b"INFO"), bytes(900), b"RIFF\xff\xff\xff\xffdata"]),
    in_front=st.sampled_from([b"", chunk(b"JUNK", bytes(27)), chunk(b"bext", bytes(603), pad=False)]),
)
def test_no_wav_header_makes_a_file_short_without_a_word(
    tmp_path_factory: pytest.TempPathFactory, data_size: int, riff_size: int, kept: int, behind: bytes, in_front: bytes
) -> None:
    body = chunk(b"fmt ", fmt()) + in_front + b"data" + struct.pack("<I", data_size) + pcm()[:kept] + behind
    data = riff(body, riff_size)
    folder = tmp_path_factory.mktemp("wav")
    _kind, samples, said = outcome(data, folder)
    assert said or (samples or 0) >= (ffmpeg_samples(data) or 0)
    assert said or samples == kept // 4


@settings(max_examples=60)
@given(
    base=st.sampled_from(["mp3", "mp3, variable, no Xing header", "mp3, two joined", "ogg", "flac", "opus"]),
    share=st.floats(0.02, 0.99),
    action=st.sampled_from(["cut", "zero", "insert", "drop", "append"]),
    count=st.integers(1, 3_000),
)
def test_no_damage_makes_a_file_short_without_a_word(
    tmp_path_factory: pytest.TempPathFactory, base: str, share: float, action: str, count: int
) -> None:
    data = cases()[base]
    at = int(len(data) * share)
    junk = np.random.default_rng(count).bytes(count)
    damaged = {
        "cut": data[:at],
        "zero": data[:at] + bytes(count) + data[at + count :],
        "insert": data[:at] + junk + data[at:],
        "drop": data[:at] + data[at + count :],
        "append": data + junk,
    }[action]
    kind, samples, said = outcome(damaged, tmp_path_factory.mktemp("damage"))
    assert kind == "refused" or said or (samples or 0) >= (ffmpeg_samples(damaged) or 0)


def test_lames_checksum_is_that_of_a_plain_crc_whatever_the_pieces() -> None:
    data = np.random.default_rng(3).bytes(200_000)
    plain = 0
    for byte in data:
        plain ^= byte
        for _ in range(8):
            plain = plain >> 1 ^ 0xA001 if plain & 1 else plain >> 1
    for step in (626, 99_991, 200_000):
        crc = MusicCrc()
        for start in range(0, len(data), step):
            crc.update(data[start : start + step])
        assert crc.value == plain


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\xff\xff\xff\xffWAVE" + b"JUNK\0\0\0\0" * 100_000,
        b"ID3\x03\0\0\0\0\0\0" * 100_000,
        b"\0\0\0\x08free" * 200_000,
        b"FORM\0\0\0\0AIFF" + b"NAME\0\0\0\0" * 100_000,
        b"caff\0\1\0\0" + b"free" + bytes(8) + (b"free" + bytes(8)) * 100_000,
    ],
    ids=["wav", "id3", "mp4", "aiff", "caf"],
)
def test_a_file_of_empty_chunks_is_refused_and_not_walked_for_hours(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError):
        probe(tmp_path / "a")


def test_a_radio_recording_that_begins_at_any_count_is_read(tmp_path: Path) -> None:
    """The granules of a stream that was on for an hour already; every page's checksum is made anew."""
    data, out = ogg(), bytearray()
    hour = 3600 * RATE_HZ
    starts = [at for at in range(len(data)) if data[at : at + 4] == b"OggS"]
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        page = bytearray(data[start:end])
        (granule,) = struct.unpack("<Q", page[6:14])
        if 0 < granule < 2**63:
            page[6:14] = struct.pack("<Q", granule + hour)
        page[22:26] = bytes(4)
        crc = 0
        for byte in page:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
        page[22:26] = struct.pack("<I", crc)
        out += page
    result, _sound = decoded(bytes(out), tmp_path)
    assert abs(result.length_samples - LENGTH) < 2_048


def test_mp3s_of_one_file_need_no_gap(tmp_path: Path) -> None:
    """Each file's encoder delay and padding is taken out, so that an album in one file plays on."""
    result, _sound = decoded(mp3(1) + mp3(2), tmp_path)
    assert result.length_samples == LENGTH
    assert "2 MPEG files in one: 0.500 s + 0.500 s" in " ".join(result.notes)


def test_a_plain_file_gets_no_remark(tmp_path: Path) -> None:
    for data in (wav(), mp3(), odd_files.flac(), ogg(), cases()["wav, chunks behind"]):
        result, _sound = decoded(data, tmp_path)
        assert result.notes == ()


@pytest.mark.parametrize("rate_hz", [2**31, 2**32 - 1])
@pytest.mark.parametrize("container", ["WAV", "W64", "AU"])
def test_a_rate_that_nothing_has_is_a_damaged_header(tmp_path: Path, container: str, rate_hz: int) -> None:
    order = ">I" if container == "AU" else "<I"
    data = odd_files.written(container, "PCM_16")
    at = data.index(struct.pack(order, RATE_HZ))
    kind, _samples, said = outcome(data[:at] + struct.pack(order, rate_hz) + data[at + 4 :], tmp_path)
    assert (kind, said) == ("refused", f"{rate_hz} Hz stands in its header, which is damaged; export it again")
