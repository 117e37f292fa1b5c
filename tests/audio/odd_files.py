"""Files as they come from pipes, dead recorders, radio rips, bad cables and wrong programs: one second of sound each.

Made in code, as bytes, so that no test needs an encoder on the machine. The names say what is odd about each.
"""

from __future__ import annotations

import struct
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

RATE_HZ = 44_100
LENGTH = RATE_HZ


@cache
def song(rate_hz: int = RATE_HZ, length: int = LENGTH) -> np.ndarray:
    """Two channels with sound from the first to the last sample, exact in 16 bits; shape (2, length)."""
    time_s = np.arange(length) / rate_hz
    noise = np.random.default_rng(7).standard_normal((2, length)) * 0.02
    tone = [0.3 * np.sin(2 * np.pi * hz * time_s) * (1 + 0.5 * np.sin(2 * np.pi * 3 * time_s)) for hz in (220, 331)]
    return (np.round((np.stack(tone) + noise) * 2**15) / 2**15).astype(np.float32)


def pcm() -> bytes:
    return (song().T * 2**15).astype("<i2").tobytes()


# --- WAV by hand


def fmt(*, channels: int = 2, bits: int = 16, tag: int = 1) -> bytes:
    frame = channels * bits // 8
    return struct.pack("<HHIIHH", tag, channels, RATE_HZ, RATE_HZ * frame, frame, bits)


def chunk(name: bytes, body: bytes, *, size: int | None = None, pad: bool = True) -> bytes:
    odd = b"\0" if pad and len(body) % 2 else b""
    return name + struct.pack("<I", len(body) if size is None else size) + body + odd


def riff(body: bytes, size: int | None = None) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4 if size is None else size) + b"WAVE" + body


def wav(data_size: int | None = None, riff_size: int | None = None, *, behind: bytes = b"", data: bytes = b"") -> bytes:
    return riff(chunk(b"fmt ", fmt()) + chunk(b"data", data or pcm(), size=data_size) + behind, riff_size)


# --- through libraries


def written(container: str, subtype: str, audio: np.ndarray | None = None, rate_hz: int = RATE_HZ) -> bytes:
    """A file by libsndfile, in small writes (its Vorbis encoder overruns the stack on long ones)."""
    audio = song() if audio is None else audio
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        with soundfile.SoundFile(path, "w", rate_hz, len(audio), format=container, subtype=subtype) as sound:
            for start in range(0, audio.shape[1], 4096):
                sound.write(audio[:, start : start + 4096].T)
        return path.read_bytes()


class Pipe:
    """What cannot be gone back in: headers written to it stay as they were before the length was known."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def encoded(
    container: str,
    codec: str,
    *,
    audio: np.ndarray | None = None,
    rate_hz: int = RATE_HZ,
    pipe: bool = False,
    bit_rate: int = 192_000,
    quality: int | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """A file by FFmpeg; `quality` makes the bit rate variable."""
    audio = song() if audio is None else audio
    if pipe:
        target = Pipe()
        _encode(target, container, codec, audio, rate_hz, bit_rate, quality, options or {})
        return bytes(target.data)
    with tempfile.TemporaryDirectory() as folder:  # some containers open themselves again
        path = Path(folder) / "a"
        _encode(str(path), container, codec, audio, rate_hz, bit_rate, quality, options or {})
        return path.read_bytes()


def _encode(
    target: Any,
    container: str,
    codec: str,
    audio: np.ndarray,
    rate_hz: int,
    bit_rate: int,
    quality: int | None,
    options: dict[str, str],
) -> None:
    layout = {1: "mono", 2: "stereo"}[len(audio)]
    with av.open(target, "w", format=container, options=options) as output:
        stream: Any = output.add_stream(codec, rate=rate_hz, layout=layout)
        if quality is None:
            stream.bit_rate = bit_rate
        else:
            stream.codec_context.options = {"global_quality": str(quality * 118)}
            stream.codec_context.flags |= av.codec.context.Flags.qscale
        wanted = stream.codec_context.format.name if stream.codec_context.format else "fltp"
        resampler = av.AudioResampler(format=wanted, layout=layout, rate=rate_hz)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        fifo = av.AudioFifo()
        for converted in resampler.resample(frame):
            fifo.write(converted)
        while (part := fifo.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))


@cache
def mp3(
    half: int = 0, *, xing: bool = True, channels: int = 2, rate_hz: int = RATE_HZ, quality: int | None = None
) -> bytes:
    """The song, or its first or second half, as MP3."""
    whole = song(rate_hz, rate_hz)
    part = {0: whole, 1: whole[:, : rate_hz // 2], 2: whole[:, rate_hz // 2 :]}[half][:channels]
    options = {"id3v2_version": "0"} | ({} if xing else {"write_xing": "0"})
    return encoded("mp3", "libmp3lame", audio=part, rate_hz=rate_hz, quality=quality, options=options)


def with_xing(data: bytes, *, frames: int | None = None, times: int = 1, more: int = 0) -> bytes:
    """The MP3 with another count of frames in its header."""
    changed = bytearray(data)
    at = max(data.find(b"Xing"), data.find(b"Info")) + 8
    (held,) = struct.unpack(">I", data[at : at + 4])
    changed[at : at + 4] = struct.pack(">I", held * times + more if frames is None else frames)
    return bytes(changed)


def vbri(data: bytes, frames: int) -> bytes:
    head = b"\xff\xfb\x90\x00" + b"\0" * 32 + b"VBRI"
    return (head + struct.pack(">HHHIIHHHH", 1, 1105, 75, len(data) + 417, frames, 0, 1, 2, 1)).ljust(417, b"\0") + data


@cache
def flac() -> bytes:
    return written("FLAC", "PCM_16")


def with_total(data: bytes, total: int) -> bytes:
    """The FLAC with another count of samples in STREAMINFO (RFC 9639, 8.2)."""
    packed = int.from_bytes(data[18:26], "big") >> 36 << 36 | total
    return data[:18] + packed.to_bytes(8, "big") + data[26:]


@cache
def ogg(half: int = 0, subtype: str = "VORBIS") -> bytes:
    rate_hz = 48_000 if subtype == "OPUS" else RATE_HZ
    whole = song(rate_hz, rate_hz)
    part = {0: whole, 1: whole[:, : rate_hz // 2], 2: whole[:, rate_hz // 2 :]}[half]
    return written("OGG", subtype, part, rate_hz)


def overwritten(data: bytes, share: float, fill: bytes, count: int) -> bytes:
    at = int(len(data) * share)
    return data[:at] + fill * count + data[at + count :]


@cache
def odd_files() -> dict[str, bytes]:
    """Every case, by name."""
    from tests.audio.odd_containers import container_files

    return {
        **_wav_files(),
        **_coded_wav_files(),
        **_other_pcm_files(),
        **_mpeg_files(),
        **_flac_files(),
        **_ogg_files(),
        **_other_files(),
        **container_files(),
        **_foreign_files(),
    }


def _wav_files() -> dict[str, bytes]:
    data, head = pcm(), chunk(b"fmt ", fmt())
    sizes = {f"wav, size {size:#x}": wav(size, size) for size in (0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)}
    g729 = bytes.fromhex("0100000000001000800000aa00389b71")
    left = (np.round(song().T * 2**23).astype("<i4") << 8).astype("<i4").tobytes()
    extensible = struct.pack("<HHIIHHHHI", 0xFFFE, 2, RATE_HZ, RATE_HZ * 8, 8, 32, 22, 24, 3) + g729
    return sizes | {
        "wav, size 0, recorder died": wav(0, 36),
        "wav, all sizes 0": wav(0, 0),
        "wav, RIFF size 8 short": wav(riff_size=len(data) + 28),
        "wav, odd chunk without its pad byte": riff(
            head + chunk(b"LIST", b"INFOISFT\x07\0\0\0Tascam\0", pad=False) + chunk(b"data", data)
        ),
        "wav, chunk announced too short": riff(
            head + b"LIST" + struct.pack("<I", 20) + b"INFO" + b"\0" * 30 + chunk(b"data", data)
        ),
        "wav, format behind the data": riff(chunk(b"data", data) + head),
        "wav, two data chunks": riff(head + chunk(b"data", data[: 4 * 20_000]) + chunk(b"data", data[4 * 20_000 :])),
        "wav, two joined": wav(data=data[: 4 * 20_000]) + wav(data=data[4 * 20_000 :]),
        "wav, two joined, chunks between": wav(data=data[: 4 * 20_000], behind=chunk(b"LIST", b"INFO"))
        + wav(data=data[4 * 20_000 :]),
        "wav, last byte missing": wav()[:-1],
        "wav, last frame missing": wav(len(data), data=data[:-4]),
        "wav, a third missing": wav(len(data), data=data[: len(data) * 2 // 3]),
        "wav, garbage behind": wav(behind=bytes(range(256)) * 16),
        "wav, size of a third, recorder died": wav(data_size=4 * LENGTH // 3 // 4 * 4, riff_size=4 * LENGTH // 3),
        "wav, chunks behind": wav(behind=chunk(b"LIST", b"INFO") + chunk(b"id3 ", b"ID3x")),
        "wav, an ID3 tag in front": b"ID3\x03\0\0\0\0\0\x0a" + b"\0" * 10 + wav(),
        "wav, 24 bits in 32": riff(chunk(b"fmt ", extensible) + chunk(b"data", left)),
        "wav, IMA ADPCM, size unknown": _size_unknown(encoded("wav", "adpcm_ima_wav")),
        "wav, MP3 inside": encoded("wav", "libmp3lame"),
        "wav, MP3 inside, size unknown": _size_unknown(encoded("wav", "libmp3lame")),
        "wav, AC-3 inside": encoded("wav", "ac3"),
        "wav, written to a pipe": encoded("wav", "pcm_s16le", pipe=True),
        "rf64, written to a pipe": encoded("wav", "pcm_s16le", pipe=True, options={"rf64": "always"}),
        "w64, written to a pipe": encoded("w64", "pcm_s16le", pipe=True),
    }


def _coded_wav_files() -> dict[str, bytes]:
    """Other codings, masks and scales in WAVE, as recorders and editors write them."""
    data, head = pcm(), chunk(b"fmt ", fmt())
    mono = (np.round(song()[0, :-1] * 2**23).astype("<i4")[:, None].view("u1")[:, :3]).tobytes()
    mono_head = chunk(b"fmt ", fmt(channels=1, bits=24))
    pcm_id = bytes.fromhex("0100000000001000800000aa00389b71")

    def masked(mask: int) -> bytes:
        form = struct.pack("<HHIIHHHHI", 0xFFFE, 2, RATE_HZ, RATE_HZ * 4, 4, 16, 22, 16, mask) + pcm_id
        return riff(chunk(b"fmt ", form) + chunk(b"data", data))

    return {
        "wav, 400 kB of zeros in front": riff(head + chunk(b"LIST", bytes(393_164)) + chunk(b"data", data)),
        "wav, channel mask 0": masked(0),
        "wav, channel mask of six": masked(0x3F),
        "mono wav of 24 bits, odd, without a pad byte": riff(mono_head + chunk(b"data", mono, pad=False)),
        "mono wav of 24 bits, odd, pad byte not 0": riff(
            mono_head + chunk(b"data", mono, pad=False) + b"\x51" + chunk(b"LIST", b"INFO")
        ),
        "8-bit wav": written("WAV", "PCM_U8"),
        "A-law wav": written("WAV", "ALAW"),
        "mu-law wav": written("WAV", "ULAW"),
        "GSM wav": written("WAV", "GSM610", song(8_000, 8_000)[:1], 8_000),
        "MS ADPCM wav": encoded("wav", "adpcm_ms"),
        "float wav at the scale of 16 bits": written("WAV", "FLOAT", song() * 32_768),
        "float wav above full scale": written("WAV", "FLOAT", song() * 4),
        "float wav with a NaN": written("WAV", "FLOAT", np.where(np.arange(LENGTH) == 30_000, np.nan, song())),
        "DTS in wav": wav(data=(b"\xfe\x7f\x01\x80" + bytes(range(256)) * 8)[:2_012] * 80),
    }


def _foreign_files() -> dict[str, bytes]:
    """What lies among songs under their names."""
    return {
        "web page named .mp3": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20,
        "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
        "MIDI file": b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0",
        "CD track (.cda)": b"RIFF" + struct.pack("<I", 36) + b"CDDAfmt \x18\0\0\0" + bytes(24),
        "macOS ._ file": bytes.fromhex("00051607000200004d6163204f5320582020202020202020") + bytes(300),
        "REAPER peaks": b"RPKN" + np.random.default_rng(4).bytes(500),
    }


def _size_unknown(data: bytes) -> bytes:
    at = data.index(b"data") + 4
    return data[:at] + b"\xff" * 4 + data[at + 4 :]


def _other_pcm_files() -> dict[str, bytes]:
    caf, au, aiff = written("CAF", "PCM_16"), written("AU", "PCM_16"), written("AIFF", "PCM_16")
    at, frames = caf.index(b"data", 40) + 4, aiff.index(b"COMM") + 10
    ssnd = aiff.index(b"SSND") + 4
    return {
        "aiff, written to a pipe": encoded("aiff", "pcm_s16be", pipe=True),
        "aiff, all counts 0": aiff[:frames] + bytes(4) + aiff[frames + 4 : ssnd] + bytes(4) + aiff[ssnd + 4 :],
        "aiff, a third missing": aiff[: len(aiff) * 2 // 3],
        "aifc, little-endian": encoded("aiff", "pcm_s16le"),
        "au, size unknown": au[:8] + b"\xff" * 4 + au[12:],
        "au, written to a pipe": encoded("au", "pcm_s16be", pipe=True),
        "caf, size unknown": caf[:at] + b"\xff" * 8 + caf[at + 8 :],
        "caf, ALAC inside": encoded("caf", "alac"),
        "caf, written to a pipe": encoded("caf", "pcm_s16be", pipe=True),
    }


def _mpeg_files() -> dict[str, bytes]:
    whole, first = mp3(), mp3(1)
    held = struct.unpack(">I", whole[(at := max(whole.find(b"Xing"), whole.find(b"Info")) + 8) : at + 4])[0]
    bare = mp3(xing=False)
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 32, 0, 0xA0000000) + bytes(40)
    return {
        "mp3": whole,
        "mp3, variable": mp3(quality=2),
        "mp3, variable, no Xing header": mp3(xing=False, quality=2),
        "mp3, constant, no Xing header": bare,
        "mp3, written to a pipe": encoded("mp3", "libmp3lame", pipe=True, quality=2),
        "mp3, VBRI header": vbri(bare, 40),
        "mp3, two joined": first + mp3(2),
        "mp3, two joined, the second without a header": first + mp3(2, xing=False),
        "mp3, mono joined to stereo": first + mp3(2, channels=1),
        "mp3, 48 kHz joined to 44.1 kHz": first + mp3(2, rate_hz=48_000),
        "mp3, Xing counts 5 frames": with_xing(whole, frames=5),
        "mp3, Xing counts 0 frames": with_xing(whole, frames=0),
        "mp3, Xing counts itself": with_xing(whole, more=1),
        "mp3, Xing counts three times": with_xing(whole, times=3),
        "mp3, zeros in front": bytes(3_000) + whole,
        "mp3, many zeros in front": bytes(40_000) + whole,
        "mp3, ID3 tag of a wrong size": b"ID3\x03\0\0\0\0\0\x0a" + bytes(5_000) + whole,
        "mp3, APE tag in front": ape + whole,
        "mp3, tags behind": whole + b"LYRICSBEGIN" + b"x" * 300 + b"LYRICS200" + b"TAG" + bytes(125),
        "mp3, last byte missing": whole[:-1],
        "mp3, last frame and a half missing": whole[:-900],
        "mp3, half missing": whole[: len(whole) // 2],
        "mp3, a hole of zeros": overwritten(whole, 0.5, b"\0", 300),
        "mp3, three frames of zeros": overwritten(whole, 0.5, b"\0", 3 * 627),
        "mp3, bytes lost": whole[: len(whole) // 2] + whole[len(whole) // 2 + 100 :],
        "mp3, last frame damaged": overwritten(whole, 1 - 300 / len(whole), b"\xff", 200),
        "mp3, MPEG-2": encoded("mp3", "libmp3lame", audio=song(22_050, 22_050)[:1], rate_hz=22_050, bit_rate=64_000),
        "mp3, frames counted twice": with_xing(whole, frames=held * 2),
        "mp2": encoded("mp2", "mp2"),
        "mp3 in mp4": encoded("mp4", "libmp3lame"),
        "mp3 in avi": encoded("avi", "libmp3lame"),
    }


def _flac_files() -> dict[str, bytes]:
    data = flac()
    rotten = bytearray(data)
    rotten[len(data) // 2] ^= 0xFF
    rotten[len(data) // 2 + 1] ^= 0xFF
    other_md5 = bytearray(data)
    other_md5[26] ^= 0xFF
    return {
        "flac": data,
        "flac, ID3 tags on both sides": b"ID3\x03\0\0\0\0\x10\0" + bytes(2048) + data + b"TAG" + bytes(125),
        "flac, count too small": with_total(data, LENGTH // 3),
        "flac, count too large": with_total(data, LENGTH * 2),
        "flac, count 0": with_total(data, 0),
        "flac, cut in the middle": data[: len(data) * 7 // 10],
        "flac, last 10 bytes missing": data[:-10],
        "flac, two bytes changed": bytes(rotten),
        "flac, wrong MD5": bytes(other_md5),
        "flac, written to a pipe": encoded("flac", "flac", pipe=True),
        "flac, two joined": written("FLAC", "PCM_16", song()[:, :20_000])
        + written("FLAC", "PCM_16", song()[:, 20_000:]),
        "flac in ogg": encoded("ogg", "flac"),
    }


def _ogg_files() -> dict[str, bytes]:
    whole = ogg()
    last = whole.rindex(b"OggS")
    pages = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    middle = pages[len(pages) // 2]
    after = pages[len(pages) // 2 + 1]
    return {
        "ogg": whole,
        "ogg, two in a chain": ogg(1) + ogg(2),
        "opus, two in a chain": ogg(1, "OPUS") + ogg(2, "OPUS"),
        "ogg, garbage behind": whole + bytes(3_000),
        "ogg, no end mark": whole[:last],
        "ogg, cut in a page": whole[: last + 60],
        "ogg, a page lost": whole[:middle] + whole[after:],
        "ogg, a page damaged": overwritten(whole, (middle + 60) / len(whole), b"\x55", 40),
        "opus": ogg(0, "OPUS"),
    }


def _other_files() -> dict[str, bytes]:
    return {
        "m4a": encoded("ipod", "aac"),
        "m4a, ALAC": encoded("ipod", "alac"),
        "m4a, fragmented": encoded("mp4", "aac", options={"movflags": "frag_keyframe+empty_moov"}),
        "m4a, half missing": encoded("ipod", "aac", options={"movflags": "faststart"})[:12_000],
        "aac, raw": encoded("adts", "aac"),
        "wma": encoded("asf", "wmav2"),
        "ac3": encoded("ac3", "ac3"),
        "ac3 in a transport stream": encoded("mpegts", "ac3"),
        "wav, 64-bit integers": encoded("wav", "pcm_s64le"),
        "wav, an unknown coding": riff(chunk(b"fmt ", fmt(tag=0x1234)) + chunk(b"data", pcm())),
        "dsf": b"DSD "
        + struct.pack("<QQQ", 28, 4096 + 92, 0)
        + b"fmt "
        + struct.pack("<QIIIIIIQII", 52, 1, 0, 2, 2, 2_822_400, 1, 32_768, 4096, 0)
        + b"data"
        + struct.pack("<Q", 12 + 8192)
        + b"\x69" * 8192,
        "wavpack": encoded("wv", "wavpack"),
        "wavpack, cut in its first block": encoded("wv", "wavpack")[:5_000],
        "tta": encoded("tta", "tta"),
        "mka with FLAC": encoded("matroska", "flac"),
        "webm with Opus": encoded("webm", "libopus", rate_hz=48_000, audio=song(48_000, 48_000)),
    }
