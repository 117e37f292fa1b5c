"""Random damage to files of every format: whatever happens, only our own errors come out, and nothing is left."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from daw_bridge.audio.decode import decode_to_reference
from daw_bridge.audio.loudness import measure
from daw_bridge.audio.provenance import read_provenance
from daw_bridge.audio.reader import probe
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError
from tests.audio.signals import encode, noise, write_wav

SOUNDFILE = {
    "a.wav": ("WAV", "PCM_16"),
    "f.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "MS_ADPCM"),
    "a.rf64": ("RF64", "PCM_24"),
    "a.w64": ("W64", "PCM_16"),
    "a.aiff": ("AIFF", "PCM_16"),
    "a.flac": ("FLAC", "PCM_24"),
    "a.ogg": ("OGG", "VORBIS"),
    "a.opus": ("OGG", "OPUS"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
    "a.caf": ("CAF", "PCM_16"),
}
FFMPEG = {
    "a.m4a": "aac",
    "l.m4a": "alac",
    "a.mov": "pcm_s24le",
    "a.mkv": "aac",
    "a.webm": "libopus",
    "a.aac": "aac",
    "a.mp4": "libmp3lame",
    "a.ts": "aac",
    "a.avi": "pcm_s16le",
}
CASES_PER_FORMAT = 8


def sample_file(folder: Path, name: str) -> Path:
    audio = noise(20_000)
    if name == "ours.wav":
        with AudioWriter(folder / name, sample_rate_hz=48_000, channels=2, provenance="stem vocals") as writer:
            writer.write(audio)
        return folder / name
    if name in SOUNDFILE:
        container, subtype = SOUNDFILE[name]
        return write_wav(folder / name, audio, 48_000, format=container, subtype=subtype)
    return encode(folder / name, audio, 48_000, FFMPEG[name], bit_rate=128_000)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, overwritten, zeroed, with bytes missing or added; half of the time near the start, where headers are."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        reach = len(broken) if chance.random() < 0.5 else min(len(broken), 200)
        at = chance.randrange(max(1, reach))
        size = chance.choice((1, 2, 4, 8, 100, 1000))
        kind = chance.randrange(6)
        if kind == 0:
            del broken[at:]
        elif kind == 1:
            broken[at : at + size] = chance.randbytes(min(size, len(broken) - at))
        elif kind == 2:
            broken[at : at + size] = bytes(min(size, len(broken) - at))
        elif kind == 3:
            broken[at : at + size] = b"\xff" * min(size, len(broken) - at)
        elif kind == 4:
            del broken[at : at + size]
        else:
            broken[at:at] = chance.randbytes(size)
    return bytes(broken)


@pytest.mark.parametrize("name", [*SOUNDFILE, *FFMPEG, "ours.wav"])
def test_damage_gives_a_result_or_one_line(tmp_path: Path, name: str) -> None:
    data = sample_file(tmp_path, name).read_bytes()
    for case in range(CASES_PER_FORMAT):
        path = tmp_path / f"{case}-{name}"
        path.write_bytes(damaged(data, random.Random(f"{name} {case}")))
        before = set(tmp_path.iterdir())
        read_provenance(path)
        for action in (probe, measure, lambda source: decode_to_reference(source, tmp_path / "out.wav")):
            try:
                action(path)
            except InputError as exc:
                assert "\n" not in str(exc)
                assert set(tmp_path.iterdir()) == before
        (tmp_path / "out.wav").unlink(missing_ok=True)


def test_a_broken_file_prints_nothing_of_the_decoders(tmp_path: Path) -> None:
    """The decoders are C libraries that like to talk on stderr; a user sees our one line only.

    (The exception is an MP3 that is whole but scrambled inside: mpg123 reports its resyncs and cannot be told not to.)
    """
    for name in ("a.flac", "a.m4a", "a.ts", "a.ogg"):
        data = sample_file(tmp_path, name).read_bytes()
        for case in range(6):
            (tmp_path / f"{case}-{name}").write_bytes(damaged(data, random.Random(f"{name} {case}")))
    data = sample_file(tmp_path, "a.mp3").read_bytes()
    for kept in (0.3, 0.9, 0.985, 0.995):
        (tmp_path / f"{kept}.mp3").write_bytes(data[: int(len(data) * kept)])
    code = """if True:
        import sys
        from pathlib import Path
        from daw_bridge.audio.loudness import measure
        from daw_bridge.errors import InputError
        for path in sorted(Path(sys.argv[1]).iterdir()):
            try:
                measure(path)
            except InputError:
                pass
    """
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == ""
