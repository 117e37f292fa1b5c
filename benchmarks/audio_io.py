"""How many times faster than real time audio is read, decoded, resampled, measured and written; and peak memory.

Run: `python -m benchmarks.audio_io [--minutes 4] [--repeats 5]`. One thread; the median and the best of the repeats.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np

from daw_bridge.audio.decode import decode_to_reference
from daw_bridge.audio.encoding import Encoding
from daw_bridge.audio.loudness import measure
from daw_bridge.audio.null import null_depth_db
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.resample import Resampler
from daw_bridge.audio.writer import SUFFIXES, AudioWriter

RATE_HZ = 44_100
BLOCK_SAMPLES = 1 << 16


def music_like(count_samples: int, seed: int) -> np.ndarray:
    """Brown noise in stereo: falling spectrum like music, so that codecs work as hard as on music."""
    steps = np.random.default_rng(seed).standard_normal((2, count_samples)).astype(np.float32)
    steps = np.cumsum(steps, axis=1) * 0.002
    return (steps - np.linspace(0, 1, count_samples, dtype=np.float32) * steps[:, -1:]).astype(np.float32)


def write(path: Path, duration_s: float, encoding: Encoding = "float32") -> Path:
    block = 0.3 * np.tanh(music_like(BLOCK_SAMPLES, 0))
    with AudioWriter(path, sample_rate_hz=RATE_HZ, channels=2, encoding=encoding) as writer:
        while writer.length_samples < duration_s * RATE_HZ:
            writer.write(block)
    return path


def encode(path: Path, source: Path, codec: str) -> Path:
    import av

    with av.open(str(source)) as given, av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=RATE_HZ, layout="stereo")
        stream.bit_rate = 256_000
        for frame in given.decode(audio=0):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def read_through(path: Path) -> None:
    with open_audio(path) as reader:
        for _ in reader.blocks(BLOCK_SAMPLES):
            pass


def resample_through(path: Path, rate_out_hz: int) -> None:
    with open_audio(path) as reader:
        resampler = Resampler(reader.sample_rate_hz, rate_out_hz, reader.channels)
        for block in reader.blocks(BLOCK_SAMPLES):
            resampler.process(block)
        resampler.finish()


def report(name: str, audio_s: float, repeats: int, action: Callable[[], object]) -> None:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    print(f"| {name} | {audio_s / median(times):.0f} | {audio_s / min(times):.0f} |", flush=True)


def peak_memory_mb(minutes: float) -> float:
    """Peak resident memory of a process that decodes and measures a file of that length."""
    with tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder) / "in.wav", minutes * 60)
        command = [sys.executable, "-m", "benchmarks.audio_io", "--memory-of", str(source)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def memory_of(source: Path) -> None:
    decode_to_reference(source, source.with_name("out.wav"))
    measure(source)
    null_depth_db(source, [source])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        memory_of(args.memory_of)
        return
    audio_s = args.minutes * 60
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wav = write(folder / "a.wav", audio_s)
        files = {
            "WAV float32": wav,
            "FLAC 24": write(folder / "a.flac", audio_s, "flac"),
            "MP3": encode(folder / "a.mp3", wav, "libmp3lame"),
            "M4A (AAC)": encode(folder / "a.m4a", wav, "aac"),
            "M4A (ALAC)": encode(folder / "l.m4a", wav, "alac"),
        }
        print("| step | x real time, median | best |\n|---|---|---|")
        for kind, path in files.items():
            report(f"read {kind}", audio_s, args.repeats, partial(read_through, path))
        for kind, path in files.items():
            report(
                f"decode {kind} to the reference",
                audio_s,
                args.repeats,
                partial(decode_to_reference, path, folder / "out.wav"),
            )
        for rate_hz in (48_000, 96_000):
            report(f"resample to {rate_hz} Hz", audio_s, args.repeats, partial(resample_through, wav, rate_hz))
        report("loudness and true peak", audio_s, args.repeats, lambda: measure(wav))
        report("null test of 5 files", audio_s, args.repeats, lambda: null_depth_db(wav, [wav] * 5))
        for encoding, suffix in SUFFIXES.items():
            out = folder / f"w{suffix}"
            report(f"write {encoding}", audio_s, args.repeats, partial(write, out, audio_s, cast("Encoding", encoding)))
    for minutes in (1, 60):
        print(f"peak memory, decode + loudness + null, {minutes} min: {peak_memory_mb(minutes):.0f} MB", flush=True)


if __name__ == "__main__":
    main()
