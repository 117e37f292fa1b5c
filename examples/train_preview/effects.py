"""What is done to stems in records: channel strips, rooms, bus compression, the mastering limiter, a lossy codec.

Anything that happens after the sum is worked out on the sum and applied to the stems as one gain (or shared among
them), so the stems still sum to the mix.
"""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pedalboard as pb
from numpy.typing import NDArray
from pack import RATE_HZ, FloatArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

_AAC_PRIMING = 1024  # samples of silence before the sound in ffmpeg's encoder
_BLOCK = 64  # samples between two values of the compressor's gain


def chain(group: str, rng: np.random.Generator, rooms: list[Path], *, distorted: bool = False) -> pb.Pedalboard:
    """A channel strip as one might find it on a stem of this group."""
    effects: list[pb.Plugin] = []
    if group != "bass" and rng.random() < 0.7:
        low_hz = {"vocals": (70, 140), "drums": (20, 40), "other": (30, 120)}[group]
        effects.append(pb.HighpassFilter(float(rng.uniform(*low_hz))))
    if distorted:
        effects += [pb.Distortion(float(rng.uniform(12, 32))), pb.LowpassFilter(float(rng.uniform(3500, 6500)))]
    elif rng.random() < {"vocals": 0.25, "drums": 0.2, "bass": 0.4, "other": 0.15}[group]:
        effects.append(pb.Distortion(float(rng.uniform(1, 9))))
    if rng.random() < {"vocals": 0.85, "drums": 0.6, "bass": 0.8, "other": 0.4}[group]:
        effects.append(
            pb.Compressor(
                float(rng.uniform(-32, -14)), float(rng.uniform(2, 6)), float(rng.uniform(1, 25)), rng.uniform(40, 250)
            )
        )
    if group != "bass" and rng.random() < 0.6:
        effects.append(pb.HighShelfFilter(float(rng.uniform(4000, 9000)), float(rng.uniform(-6, 6))))
    if group in ("vocals", "bass") or rng.random() < 0.3:
        effects.append(
            pb.PeakFilter(float(np.exp(rng.uniform(np.log(120), np.log(4000)))), float(rng.uniform(-5, 5)), 0.8)
        )
    if group == "other" and rng.random() < 0.35:
        effects.append(
            pb.Chorus(float(rng.uniform(0.3, 1.5)), float(rng.uniform(0.05, 0.3)), mix=rng.uniform(0.2, 0.5))
        )
    if group in ("vocals", "other") and rng.random() < 0.3:
        effects.append(pb.Delay(float(rng.uniform(0.12, 0.5)), float(rng.uniform(0.1, 0.45)), rng.uniform(0.06, 0.25)))
    wet = {"vocals": 0.75, "drums": 0.5, "bass": 0.05, "other": 0.55}[group]
    if rooms and rng.random() < wet:
        effects.append(pb.Convolution(str(rooms[int(rng.integers(len(rooms)))]), float(rng.uniform(0.04, 0.3))))
    return pb.Pedalboard(effects)


def at_level(x: FloatArray, level_db: float) -> FloatArray:
    """`x` with the RMS of its sounding parts at a level in dBFS; silence stays silence."""
    power = uniform_filter1d(np.square(x, dtype=np.float64).mean(0), RATE_HZ // 5)[:: RATE_HZ // 10]
    loud = power[power > power.max() * 1e-3]
    if not loud.size or loud.max() < 1e-10:
        return x
    return x * np.float32(10 ** (level_db / 20) / np.sqrt(loud.mean()))


def widened(x: FloatArray, rng: np.random.Generator, *, pan: float, width: float) -> FloatArray:
    """Somewhere in the stereo field: panned with equal power, one side some milliseconds late for width."""
    angle = (pan + 1) * np.pi / 4
    left, right = x * np.float32(np.sqrt(2))
    out = np.stack((left * np.float32(np.cos(angle)), right * np.float32(np.sin(angle))))
    if width > 0:
        late = int(rng.uniform(0.006, 0.022) * RATE_HZ)
        side = np.zeros_like(out[0])
        side[late:] = (x[0, :-late] + x[1, :-late]) * np.float32(0.5 * width)
        out += np.stack((side, -side))
    return out


def compressor_gain(
    mix: FloatArray, *, threshold_db: float, ratio: float, attack_s: float, release_s: float
) -> FloatArray:
    """The gain of a bus compressor for every sample of a mix."""
    blocks = -(-mix.shape[1] // _BLOCK)
    peaks = np.zeros(blocks * _BLOCK, np.float32)
    peaks[: mix.shape[1]] = np.abs(mix).max(0)
    level_db = 20 * np.log10(np.maximum(peaks.reshape(-1, _BLOCK).max(1), 1e-6))
    wanted_db = np.minimum(0.0, (threshold_db - level_db) * (1 - 1 / ratio))
    block_s = _BLOCK / RATE_HZ
    down, up = np.exp(-block_s / attack_s), np.exp(-block_s / release_s)
    gain_db, now = np.empty(blocks), 0.0
    for index, wanted in enumerate(wanted_db):
        keep = down if wanted < now else up
        now = keep * now + (1 - keep) * float(wanted)
        gain_db[index] = now
    at = np.arange(mix.shape[1]) / _BLOCK
    return np.asarray(10 ** (np.interp(at, np.arange(blocks), gain_db) / 20), np.float32)


def limiter_gain(mix: FloatArray, ceiling: float) -> FloatArray:
    """A look-ahead limiter's gain for every sample: the mix times it never passes the ceiling."""
    reach = RATE_HZ // 400
    needed = np.minimum(1.0, ceiling / np.maximum(np.abs(mix).max(0), 1e-9))
    held = minimum_filter1d(needed, 2 * reach + 1)
    return np.asarray(np.minimum(uniform_filter1d(held, 2 * reach + 1), needed), np.float32)


def mastered(stems: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(groups, 2, samples) through bus compression and a limiter; every stem gets the same gain."""
    peak = float(np.abs(stems.sum(0)).max())
    if peak < 1e-6:
        return stems
    if rng.random() < 0.6:
        gain = compressor_gain(
            stems.sum(0) / np.float32(peak),
            threshold_db=float(rng.uniform(-16, -5)),
            ratio=float(rng.uniform(1.5, 4)),
            attack_s=float(rng.uniform(0.003, 0.03)),
            release_s=float(rng.uniform(0.06, 0.3)),
        )
        stems = stems * gain
    peak = float(np.abs(stems.sum(0)).max())
    drive_db = float(rng.choice([0, 0, 2, 4, 7]))
    stems = stems * np.float32(10 ** (drive_db / 20) / peak)
    ceiling = float(10 ** (rng.uniform(-3, -0.1) / 20))
    return stems * limiter_gain(stems.sum(0), ceiling)


def coded(stems: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The mix through MP3 or AAC and back; stems share the codec's error by how loud each one is."""
    mix = stems.sum(0)
    if rng.random() < 0.6:
        lossy = pb.MP3Compressor(vbr_quality=float(rng.uniform(1, 7)))(mix, RATE_HZ)
    else:
        lossy = aac(mix, 1000 * int(rng.choice([96, 128, 192, 256])))
    power = uniform_filter1d(np.square(stems).mean(1), 2048, axis=-1) + np.float32(1e-12)
    share: NDArray[np.float32] = (power / power.sum(0))[:, None].astype(np.float32)
    return stems + share * (lossy - mix)


def aac(mix: FloatArray, bits_per_s: int) -> FloatArray:
    """(2, samples) through an AAC encoder and decoder, in place: the encoder's priming is cut off."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=RATE_HZ)
        stream.layout, stream.bit_rate = "stereo", bits_per_s
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mix), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        blocks = [block.to_ndarray() for block in container.decode(audio=0)]
    decoded = np.concatenate(blocks, 1)[:, _AAC_PRIMING : _AAC_PRIMING + mix.shape[1]]
    return np.pad(decoded, ((0, 0), (0, mix.shape[1] - decoded.shape[1]))).astype(np.float32)
