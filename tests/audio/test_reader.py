"""Reading in blocks, and every kind of file that cannot be used."""

from __future__ import annotations

import os
import re
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.audio.lengths import LengthClaim
from daw_bridge.audio.reader import glance, open_audio, probe
from daw_bridge.errors import DamagedInput, InputError
from tests.audio.odd_files import LENGTH, RATE_HZ, odd_files, wav
from tests.audio.signals import encode, noise, write_wav

FORMATS = {
    "a.wav": {"format": "WAV", "subtype": "PCM_16"},
    "f.wav": {"format": "WAV", "subtype": "FLOAT"},
    "a.rf64": {"format": "RF64", "subtype": "PCM_24"},
    "a.w64": {"format": "W64", "subtype": "PCM_16"},
    "a.aiff": {"format": "AIFF", "subtype": "PCM_16"},
    "a.flac": {"format": "FLAC", "subtype": "PCM_16"},
    "a.ogg": {"format": "OGG", "subtype": "VORBIS"},
    "a.mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
}


def read_all(path: Path, size_samples: int = 1 << 16) -> np.ndarray:
    with open_audio(path) as reader:
        return np.concatenate([np.zeros((reader.channels, 0)), *reader.blocks(size_samples)], axis=1)


@pytest.mark.parametrize("name", [*FORMATS, "a.m4a", "l.m4a"])
@pytest.mark.parametrize("size_samples", [513, 10_007])
def test_blocks_of_any_size_give_the_same_samples(tmp_path: Path, name: str, size_samples: int) -> None:
    audio = noise(30_011)
    if name in FORMATS:
        path = write_wav(tmp_path / name, audio, 44_100, **FORMATS[name])
    else:
        path = encode(tmp_path / name, audio, 44_100, "alac" if name[0] == "l" else "aac")
    whole = read_all(path)
    assert whole.shape == audio.shape
    assert np.array_equal(read_all(path, size_samples), whole)


@settings(max_examples=20, deadline=None)
@given(positions=st.lists(st.integers(0, 5_000), min_size=1, max_size=6))
def test_seeking_in_wav_and_flac_lands_on_the_sample(
    tmp_path_factory: pytest.TempPathFactory, positions: list[int]
) -> None:
    audio = noise(5_000)
    folder = tmp_path_factory.mktemp("seek")
    for name in ("f.wav", "a.flac"):
        with open_audio(write_wav(folder / name, audio, 44_100, **FORMATS[name])) as reader:
            for position in positions:
                reader.seek(position)
                assert np.abs(reader.read(100) - audio[:, position : position + 100]).max(initial=0.0) < 2**-14


def test_probe_says_what_a_file_is(tmp_path: Path) -> None:
    info = probe(write_wav(tmp_path / "a.flac", noise(777), 96_000, **FORMATS["a.flac"]))
    assert (info.container, info.codec, info.subtype) == ("FLAC", "flac", "PCM_16")
    assert (info.sample_rate_hz, info.channels, info.length_samples, info.lossy) == (96_000, 2, 777, False)
    assert probe(write_wav(tmp_path / "a.mp3", noise(5_000), 44_100, **FORMATS["a.mp3"])).lossy


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.998])
def test_a_cut_off_file_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    path = write_wav(tmp_path / name, noise(88_200), 44_100, **FORMATS[name])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    if name == "a.mp3" and kept > 0.99:  # bytes of the last frame only: most of it is padding
        assert "the last frame lacks" in probe(path).notes[0]
        return
    with pytest.raises(DamagedInput, match=r"(cut off|damaged).* at 0:0.*accept_damaged"):
        read_all(path)


@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_a_cut_off_m4a_is_refused(tmp_path: Path, codec: str) -> None:
    path = encode(tmp_path / "a.m4a", noise(88_200), 44_100, codec)
    whole = path.read_bytes()
    index = whole.rindex(b"moov")
    for kept, why in ((index + 20, "its index (moov) is missing"), (index // 3, "holds 3"), (300, "holds 0.")):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match=re.escape(f"a.m4a: cut off, {why}")):
            read_all(path)


def test_an_mp4_with_its_index_first_is_cut_off_where_its_data_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream("aac", rate=44_100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(noise(44_100), format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        output.mux([*stream.encode(frame), *stream.encode(None)])
    whole = path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(InputError, match="cut off"):
        read_all(path)
    path.write_bytes(whole[: whole.index(b"moov") + 50])
    with pytest.raises(InputError, match=r"cut off, its index \(moov\) is missing"):
        read_all(path)


def test_a_photo_in_an_mp4_container_is_not_called_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "photo.heic"
    boxes = ((b"ftyp", b"heic\0\0\0\0mif1"), (b"meta", bytes(100)), (b"mdat", bytes(500)))
    path.write_bytes(b"".join((len(body) + 8).to_bytes(4, "big") + name + body for name, body in boxes))
    with pytest.raises(InputError, match="not an audio file"):
        open_audio(path)


def test_a_link_that_points_nowhere_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to("gone/b.wav")
    with pytest.raises(InputError, match=r"a\.wav: is a link to gone/b\.wav, where nothing is"):
        open_audio(tmp_path / "a.wav")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a"])
def test_a_name_that_is_no_text_opens(tmp_path: Path, name: str) -> None:
    made = (
        encode(tmp_path / name, noise(3000), 44_100, "aac")
        if name.endswith("m4a")
        else write_wav(tmp_path / name, noise(3000), 44_100, **FORMATS[name])
    )
    assert read_all(made.rename(tmp_path / f"bad\udcff{name}")).shape == (2, 3000)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a", "a.aac", "a.ac3", "a.ts", "a.ogg"])
def test_text_with_an_audio_name_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("These are my notes on the second verse.\n" * 300)
    with pytest.raises(InputError, match="not an audio file that can be read; known are WAV"):
        open_audio(path)


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    write_wav(tmp_path / "song.mp3", noise(44_100), 44_100, **FORMATS["a.mp3"])
    path = tmp_path / "list.m4a"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nsong.mp3\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match="not an audio file"):
        open_audio(path)


def test_missing_folder_empty_and_device_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.touch()
    os.mkfifo(tmp_path / "pipe.wav")
    for path, message in (
        (tmp_path / "no.wav", "there is no such file"),
        (tmp_path, "is a folder"),
        (empty, "the file is empty"),
        (tmp_path / "pipe.wav", "not a regular file"),
        (Path("a\0b.wav"), "cannot be read|no such file"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            open_audio(path)


def test_a_raw_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(4000))
    with pytest.raises(InputError, match="not an audio file"):
        open_audio(path)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("a.ogg", "a.mp3")])
def test_a_file_without_samples_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, np.zeros((0, 2)), 44_100, **FORMATS[name])
    with pytest.raises(InputError, match=r"no samples|not an audio file|the file is empty"):
        read_all(path)


def test_a_video_without_sound_is_refused_and_with_two_sounds_says_so(tmp_path: Path) -> None:
    def video(name: str, sounds: int, late_samples: int = 0) -> Path:
        with av.open(str(tmp_path / name), "w") as output:
            picture = output.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
            streams = [output.add_stream("aac", rate=48_000, layout="stereo") for _ in range(sounds)]
            for index in range(5):
                frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8))
                frame.pts = index
                output.mux(picture.encode(frame))
            for stream in streams:
                for index in range(9):
                    sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
                    sound.sample_rate, sound.pts = 48_000, index * 1024 + late_samples
                    sound.time_base = Fraction(1, 48_000)
                    output.mux(stream.encode(sound))
            output.mux(picture.encode(None))
            for stream in streams:
                output.mux(stream.encode(None))
        return tmp_path / name

    with pytest.raises(InputError, match="no sound in this file"):
        open_audio(video("mute.mp4", 0))
    assert probe(video("one.mp4", 1)).notes == ()
    assert probe(video("two.mp4", 2)).notes == ("2 audio streams; the first one is used",)
    late = probe(video("late.mp4", 1, late_samples=48_000 + 1024))  # the encoder's priming comes 1024 samples before
    assert late.notes[0] == "the sound starts 1.000 s after the picture"
    assert "encoder delay" in late.notes[1]  # the edit list that the muxer writes for it leaves out nothing


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m4a, two joined", "2 MP4 files in one: 0.453 s + 0.546 s"),
        ("m4a, fragmented", "does not state its encoder delay"),
    ],
)
def test_what_an_mp4_leaves_open_is_said(tmp_path: Path, name: str, said: str) -> None:
    path, plain = tmp_path / "a.m4a", tmp_path / "b.m4a"
    path.write_bytes(odd_files()[name])
    plain.write_bytes(odd_files()["m4a"])
    assert said in " ".join(probe(path).notes)
    assert probe(plain).notes == ()


def test_a_glance_at_an_mp4_reads_its_index_alone(tmp_path: Path) -> None:
    """3.2 ms a file by FFmpeg, 0.1 ms by the index: in a library of 100,000 that is minutes."""
    whole = odd_files()["m4a"]
    start = whole.index(b"mdat") + 4
    path = tmp_path / "a.m4a"
    path.write_bytes(whole[:start] + bytes(whole.index(b"moov") - 4 - start) + whole[whole.index(b"moov") - 4 :])
    assert glance(path).estimated_samples == pytest.approx(LENGTH, abs=3 * 1024)
    with pytest.raises(InputError):
        probe(path)


def test_an_opus_file_without_samples_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    whole = odd_files()["opus"]
    pages = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    path.write_bytes(whole[: pages[2]])  # head and tags
    with pytest.raises(InputError, match="no samples"):
        probe(path)


def test_files_written_to_a_pipe_state_no_length_and_are_read_to_their_end(tmp_path: Path) -> None:
    audio = noise(10_000)
    wav = write_wav(tmp_path / "a.wav", audio, 44_100)
    data = bytearray(wav.read_bytes())
    data[4:8] = b"\xff" * 4
    at = data.find(b"data")
    data[at + 4 : at + 8] = b"\xff" * 4
    wav.write_bytes(data)
    assert read_all(wav).shape == (2, 10_000)
    flac = write_wav(tmp_path / "a.flac", audio, 44_100, **FORMATS["a.flac"])
    data = bytearray(flac.read_bytes())
    data[21] &= 0xF0  # the 36 bits of total samples in STREAMINFO (RFC 9639, 8.2): 0 is unknown
    data[22:26] = bytes(4)
    flac.write_bytes(data)
    assert read_all(flac).shape == (2, 10_000)
    assert probe(flac).claim == LengthClaim(claimed_samples=None, behind_samples=10_000)


def test_an_mp3_without_a_header_has_no_length_and_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w", options={"write_xing": "0"}) as output:
        stream = output.add_stream("libmp3lame", rate=44_100, layout="stereo")
        for index in range(100):
            frame = av.AudioFrame.from_ndarray(noise(1152, seed=index), "fltp", "stereo")
            frame.sample_rate, frame.pts = 44_100, index * 1152
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert probe(path).length_samples is None
    assert "no Xing/Info header" in probe(path).notes[0]
    assert read_all(path).shape[1] >= 100 * 1152


def test_raw_aac_says_that_its_delay_is_unknown(tmp_path: Path) -> None:
    assert "encoder delay" in probe(encode(tmp_path / "a.aac", noise(9_000), 44_100, "aac")).notes[0]


def test_the_length_in_itunes_tag_is_kept_to(tmp_path: Path) -> None:
    """Apple's encoders state the exact length in iTunSMPB and leave the last packet and the edit list round."""
    path = encode(tmp_path / "a.m4a", noise(30_011), 44_100, "aac")
    with open_audio(path) as reader:
        whole = reader.read(1 << 20)
    tagged = tmp_path / "tagged.m4a"
    with av.open(str(path)) as given, av.open(str(tagged), "w", options={"movflags": "use_metadata_tags"}) as output:
        output.metadata["iTunSMPB"] = f" 00000000 00000400 00000000 {29_500:016X} 00000000"
        stream = output.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    assert np.array_equal(read_all(tagged), whole[:, :29_500])


def test_names_with_marks_of_every_kind_open(tmp_path: Path) -> None:
    for name in (
        "a b.wav",
        "it's.wav",
        'say "hi".wav',
        "#1;2.wav",
        "🎵.wav",
        "two\nlines.wav",
        "concat:a|b.wav",
        "%d.wav",
    ):
        path = write_wav(tmp_path / name, noise(100), 44_100)
        assert read_all(path).shape == (2, 100)
        path = encode(tmp_path / "x.m4a", noise(3000), 44_100, "aac").rename(tmp_path / f"{name}.m4a")
        assert read_all(path).shape == (2, 3000)


def test_a_reader_closes_its_file(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", noise(100), 44_100)
    before = len(list(Path("/proc/self/fd").glob("*")))
    for _ in range(5):
        with open_audio(path) as reader:
            reader.read(10)
    assert len(list(Path("/proc/self/fd").glob("*"))) == before


@pytest.mark.parametrize(
    "name",
    ["wav", "wav, size of a third, recorder died", "wav, 24 bits in 32", "mp3", "flac", "m4a", "m4a, fragmented"],
)
def test_a_glance_tells_what_a_probe_tells(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    path.write_bytes({**odd_files(), "wav": wav()}[name])
    glanced, probed = glance(path), probe(path)
    assert (glanced.sample_rate_hz, glanced.channels) == (probed.sample_rate_hz, probed.channels)
    seen = glanced.length_samples or glanced.estimated_samples or 0
    assert abs(seen - (probed.length_samples or probed.estimated_samples or 0)) <= 0.1 * RATE_HZ


@pytest.mark.parametrize("name", ["wav, a third missing", "wav, MP3 inside", "wav, IMA ADPCM, size unknown"])
def test_a_glance_at_what_is_not_in_order_says_what_a_probe_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(odd_files()[name])
    said = []
    for look in (glance, probe):
        try:
            said.append((look(path).sample_rate_hz, ""))
        except InputError as exc:
            said.append((0, str(exc)))
    assert said[0] == said[1]
