"""Odd files of a second kind: covers, iTunes' tags, edit lists, stems, and files that somebody joined byte by byte."""

from __future__ import annotations

import struct
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.audio.odd_files import LENGTH, RATE_HZ, chunk, encoded, flac, fmt, mp3, ogg, pcm, song, wav, written

CUT = 20_000
"""Where the song is cut in two for joined files."""
COVER = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40 + b"\xff\xd9"


@cache
def halves(container: str, codec: str, **options: str) -> tuple[bytes, bytes]:
    """The song in two files, by FFmpeg, or by libsndfile where the codec is one of its subtypes."""
    parts = song()[:, :CUT], song()[:, CUT:]
    if codec.isupper():
        return written(container, codec, parts[0]), written(container, codec, parts[1])
    return tuple(encoded(container, codec, audio=part, options=options) for part in parts)  # type: ignore[return-value]


def joined(container: str, codec: str, **options: str) -> bytes:
    return b"".join(halves(container, codec, **options))


@cache
def container_files() -> dict[str, bytes]:
    """Every case, by name."""
    m4a, untold = encoded("ipod", "aac"), encoded("mp4", "aac", options={"use_editlist": "0"})
    frames = {"movflags": "frag_keyframe+empty_moov"}
    return {
        "mp3, free bit rate": free_format(
            encoded("mp3", "libmp3lame", bit_rate=320_000, options={"id3v2_version": "0", "write_xing": "0"})
        ),
        "mp3, a cover in front": id3v2(COVER) + mp3(),
        "flac, a cover in front": with_picture(flac()),
        "m4a, a cover": with_tag(m4a, box(b"covr", box(b"data", struct.pack(">II", 13, 0) + COVER))),
        "m4a, iTunSMPB": with_tag(untold, itunes_tag(1024, 956, 44_100)),
        "m4a, iTunSMPB and an edit list": with_tag(m4a, itunes_tag(1024, 956, 44_100)),
        "m4a, an empty edit in front": with_empty_edit(m4a, 500),
        "m4a, ALAC, an empty edit in front": with_empty_edit(encoded("ipod", "alac"), 500),
        "NI Stems (.stem.mp4)": stems(),
        "m4a, two joined": joined("ipod", "aac"),
        "m4a, ALAC, two joined": joined("ipod", "alac"),
        "m4a, fragmented, two joined": joined("mp4", "aac", **frames),
        "m4a, the second one cut": joined("ipod", "alac")[:-2_000],
        "m4a, 5 kB behind it": m4a + bytes(range(1, 256)) * 20,
        "aiff, two joined": joined("AIFF", "PCM_16"),
        "au, two joined": joined("AU", "PCM_16"),
        "caf, two joined": joined("CAF", "PCM_16"),
        "wav and flac joined": halves("WAV", "PCM_16")[0] + halves("FLAC", "PCM_16")[1],
        "flac and wav joined": halves("FLAC", "PCM_16")[0] + halves("WAV", "PCM_16")[1],
        "m4a and mp3 joined": halves("ipod", "aac")[0] + halves("mp3", "libmp3lame", id3v2_version="0")[1],
        "wav, two of a pipe joined": wav(0xFFFFFFFF, 0xFFFFFFFF, data=pcm_half(0))
        + wav(0xFFFFFFFF, 0xFFFFFFFF, data=pcm_half(1)),
        "wma, two joined": joined("asf", "wmav2"),
        "wavpack, two joined": joined("wv", "wavpack"),
        "tta, two joined": joined("tta", "tta"),
        "flv, two joined": joined("flv", "aac"),
        "flac in ogg, two in a chain": joined("ogg", "flac"),
        "aac, raw, two joined": joined("adts", "aac"),
        "mka, two joined": joined("matroska", "flac"),
        "ogg and opus joined": ogg(1) + ogg(2, "OPUS"),
        "ogg, 48 kHz behind 44.1 kHz": ogg(1) + written("OGG", "VORBIS", song(48_000, 48_000)[:, :24_000], 48_000),
        "opus, made of 24 kHz": written("OGG", "OPUS", song(24_000, 24_000), 24_000),
        "aiff, odd chunk without its pad byte": with_name(written("AIFF", "PCM_16")),
        "rf64, ds64 too small": rf64(LENGTH // 3 * 4),
        "bw64": rf64(LENGTH * 4).replace(b"RF64", b"BW64"),
        "avi, cut off": encoded("avi", "libmp3lame")[:15_000],
        "webm, cut off": encoded("webm", "libopus", rate_hz=48_000, audio=song(48_000, 48_000))[:15_000],
    }


def rf64(data_bytes: int) -> bytes:
    """RF64 whose 64-bit size of the data is this (EBU Tech 3306)."""
    long = chunk(b"ds64", struct.pack("<QQQI", 0, data_bytes, LENGTH, 0))
    return b"RF64\xff\xff\xff\xffWAVE" + long + chunk(b"fmt ", fmt()) + chunk(b"data", pcm(), size=0xFFFFFFFF)


def with_name(aiff: bytes) -> bytes:
    """The AIFF with a chunk of five bytes in front, as programs write it that forget the pad byte."""
    return aiff[:12] + b"NAME" + struct.pack(">I", 5) + b"a bus" + aiff[12:]


def pcm_half(number: int) -> bytes:
    part = song()[:, :CUT] if number == 0 else song()[:, CUT:]
    return (part.T * 2**15).astype("<i2").tobytes()


def free_format(data: bytes) -> bytes:
    """A plain MP3 of 320 kbit/s at 44.1 kHz without its bit rate (ISO/IEC 11172-3, 2.4.2.3)."""
    out, at = bytearray(data), 0
    while at + 4 <= len(out):
        padded = out[at + 2] >> 1 & 1
        out[at + 2] &= 0x0F
        at += 144 * 320_000 // RATE_HZ + padded
    return bytes(out)


def id3v2(picture: bytes) -> bytes:
    body = b"\0image/jpeg\0\3\0" + picture
    frame = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame


def with_picture(data: bytes) -> bytes:
    """The FLAC with a PICTURE block behind STREAMINFO (RFC 9639, 8.8)."""
    picture = struct.pack(">II", 3, 10) + b"image/jpeg" + bytes(20) + struct.pack(">I", len(COVER)) + COVER
    return data[:42] + b"\6" + len(picture).to_bytes(3, "big") + picture + data[42:]


# --- MP4 by hand


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def grown(data: bytes, path: tuple[bytes, ...], more: bytes) -> bytes:
    """The MP4 with `more` at the end of the box at `path`; the index is last in these files, so that nothing moves."""
    out, start, end = bytearray(data), 0, 0
    for name in path:
        at = start
        while data[at + 4 : at + 8] != name:
            at += struct.unpack(">I", data[at : at + 4])[0]
        (size,) = struct.unpack(">I", data[at : at + 4])
        out[at : at + 4] = struct.pack(">I", size + len(more))
        start, end = at + 8 + (4 if name == b"meta" else 0), at + size
    return bytes(out[:end]) + more + bytes(out[end:])


def with_tag(data: bytes, item: bytes) -> bytes:
    return grown(data, (b"moov", b"udta", b"meta", b"ilst"), item)


def itunes_tag(priming: int, padding: int, length: int) -> bytes:
    text = f" 00000000 {priming:08X} {padding:08X} {length:016X} 00000000 00000000"
    mean, name = box(b"mean", bytes(4) + b"com.apple.iTunes"), box(b"name", bytes(4) + b"iTunSMPB")
    return box(b"----", mean + name + box(b"data", struct.pack(">II", 1, 0) + text.encode()))


def with_empty_edit(data: bytes, wait_ms: int) -> bytes:
    """Players wait before the sound: an edit without media in front of the others (ISO/IEC 14496-12, 8.6.6)."""
    entry = struct.pack(">IiI", wait_ms, -1, 1 << 16)
    if b"elst" not in data:
        whole = struct.pack(">IiI", 1000, 0, 1 << 16)
        return grown(data, (b"moov", b"trak"), box(b"edts", box(b"elst", struct.pack(">II", 0, 2) + entry + whole)))
    out = bytearray(grown(data, (b"moov", b"trak", b"edts", b"elst"), entry))
    at = out.index(b"elst") + 8
    (count,) = struct.unpack(">I", out[at : at + 4])
    out[at : at + 4 + 12 * (count + 1)] = struct.pack(">I", count + 1) + entry + out[at + 4 : at + 4 + 12 * count]
    return bytes(out)


def stems() -> bytes:
    """Five streams of ALAC, as NI Stems have them: the mix, then its four stems."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.stem.mp4"
        with av.open(str(path), "w", format="mp4") as output:
            streams: list[Any] = [output.add_stream("alac", rate=RATE_HZ, layout="stereo") for _ in range(5)]
            for number, stream in enumerate(streams):
                sound = (song() * 2.0 ** (15 - number)).astype(np.int16)
                for start in range(0, sound.shape[1], 4096):
                    frame = av.AudioFrame.from_ndarray(
                        np.ascontiguousarray(sound[:, start : start + 4096]), format="s16p", layout="stereo"
                    )
                    frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
                    output.mux(stream.encode(frame))
                output.mux(stream.encode(None))
        return path.read_bytes()
