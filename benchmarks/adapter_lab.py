"""Measuring sessions: test signals laid out in time, plans made by hand, and what a render should look like.

Several cases share one export: each case is a bus with its own second of the song, so one render measures them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from daw_bridge.model import BandKind, Bus, Clip, Effect, EqBand, Equalizer, Gain, SessionPlan, Track

Audio = NDArray[np.float32]


def write_clip(path: Path, audio: Audio, sample_rate_hz: int) -> Clip:
    """Write (channels, samples) as float32 WAV and say what it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, sample_rate_hz, subtype="FLOAT")
    channels, length = audio.shape
    return Clip(path=path, name=path.stem, sample_rate_hz=sample_rate_hz, channels=channels, length_samples=length)


def read_audio(path: Path) -> Audio:
    """A whole file as float32 (channels, samples)."""
    audio, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(audio.T)


def noise(channels: int, length_samples: int, seed: int) -> Audio:
    """White noise around -20 dBFS with a full-scale-ish impulse on a sample that belongs to the seed."""
    audio = np.random.default_rng(seed).standard_normal((channels, length_samples)).astype(np.float32) * 0.05
    audio[:, (1000 + 997 * seed) % length_samples] += 0.5
    return audio


def peak_db(audio: NDArray[np.floating]) -> float:
    """Highest absolute value in dBFS; -400 for silence."""
    return float(20.0 * np.log10(max(float(np.abs(audio).max(initial=0.0)), 1e-20)))


def null_db(rendered: Audio, wanted: Audio) -> float:
    """Peak of the difference in dBFS; a mono `wanted` is expected on both sides. Lengths must agree."""
    both = np.repeat(wanted, 2, axis=0) if wanted.shape[0] == 1 else wanted
    assert rendered.shape == both.shape, f"rendered {rendered.shape}, wanted {both.shape}"
    return peak_db(rendered.astype(np.float64) - both)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One bus under test: its inserts, and the signal that goes through it."""

    name: str
    effects: tuple[Effect, ...]
    signal: Audio


def case_plan(folder: Path, cases: Sequence[Case], sample_rate_hz: int) -> tuple[SessionPlan, list[slice]]:
    """A plan with one stereo track and bus per case, one after the other in time, and each case's part of the song."""
    starts = np.cumsum([0, *(case.signal.shape[-1] for case in cases)])
    length = int(starts[-1])
    tracks, buses, parts = [], [], []
    for case, start in zip(cases, starts, strict=False):
        part = slice(int(start), int(start) + case.signal.shape[-1])
        audio = np.zeros((2, length), np.float32)
        audio[:, part] = case.signal
        clip = write_clip(folder / "audio" / f"{case.name}.wav", audio, sample_rate_hz)
        tracks.append(Track(name=f"{case.name} stem", output=case.name, clips=(clip,)))
        buses.append(Bus(name=case.name, label=case.name, effects=case.effects))
        parts.append(part)
    plan = SessionPlan(
        name="lab",
        sample_rate_hz=sample_rate_hz,
        length_samples=length,
        tracks=tuple(tracks),
        buses=tuple(buses),
        mix_bus=Bus(name="mix", label="Mix"),
    )
    return plan, parts


def impulse(length_samples: int, at_sample: int = 64, level: float = 0.5) -> Audio:
    """(1, samples) of silence with one sample of `level`."""
    audio = np.zeros((1, length_samples), np.float32)
    audio[0, at_sample] = level
    return audio


def square_steps(levels_db: Iterable[float], step_samples: int, period_samples: int = 48) -> Audio:
    """A square wave whose level changes in steps; its absolute value is constant, so a detector sees each level."""
    steps = []
    wave = np.where(np.arange(step_samples) % period_samples < period_samples // 2, 1.0, -1.0)
    for level_db in levels_db:
        steps.append(wave * 10.0 ** (level_db / 20.0))
    return np.concatenate(steps).astype(np.float32)[None, :]


def step_levels_db(audio: Audio, count: int) -> list[float]:
    """The settled level (last quarter) of each of `count` equal steps of one channel."""
    size = audio.shape[-1] // count
    return [peak_db(audio[0, (n + 1) * size - size // 4 : (n + 1) * size]) for n in range(count)]


def response_db(ir: Audio, frequencies_hz: NDArray[np.float64], sample_rate_hz: int) -> NDArray[np.float64]:
    """Magnitude response of one channel's impulse response, by direct sums at the wanted frequencies."""
    time = np.arange(ir.shape[-1]) / sample_rate_hz
    spectrum = np.exp(-2j * np.pi * np.outer(frequencies_hz, time)) @ ir[0].astype(np.float64)
    return np.asarray(20.0 * np.log10(np.maximum(np.abs(spectrum), 1e-12)))


def cookbook_db(
    bands: Iterable[EqBand], frequencies_hz: NDArray[np.float64], sample_rate_hz: int
) -> NDArray[np.float64]:
    """Magnitude in dB of `cookbook_response`."""
    response = cookbook_response(bands, frequencies_hz, sample_rate_hz)
    return np.asarray(20.0 * np.log10(np.maximum(np.abs(response), 1e-12)))


def cookbook_response(
    bands: Iterable[EqBand], frequencies_hz: NDArray[np.float64], sample_rate_hz: int
) -> NDArray[np.complex128]:
    """What the bands should do: Robert Bristow-Johnson, "Audio EQ Cookbook", evaluated on the unit circle."""
    total = np.ones(len(frequencies_hz), np.complex128)
    z = np.exp(-2j * np.pi * frequencies_hz / sample_rate_hz)
    for band in bands:
        if band.enabled:
            b, a = _cookbook(band, sample_rate_hz)
            total *= np.polyval(b[::-1], z) / np.polyval(a[::-1], z)
    return total


def linear_only(plan: SessionPlan) -> SessionPlan:
    """The plan with dynamics, reverbs and delays bypassed (not removed): what is left has a transfer function."""

    def quiet(bus: Bus) -> Bus:
        effects = (e if isinstance(e, Equalizer | Gain) else replace(e, enabled=False) for e in bus.effects)
        return replace(bus, effects=tuple(effects))

    return replace(
        plan,
        buses=tuple(quiet(bus) for bus in plan.buses),
        returns=tuple(quiet(bus) for bus in plan.returns),
        mix_bus=quiet(plan.mix_bus),
    )


def path_db(plan: SessionPlan, track: Track, frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Magnitude in dB, (2, frequencies), from a track to the master by theory: EQs, gains, pans, sends, returns."""

    def strip(bus: Bus) -> NDArray[np.complex128]:
        response = np.ones(len(frequencies_hz), np.complex128)
        for effect in bus.effects:
            if effect.enabled and isinstance(effect, Equalizer):
                response *= cookbook_response(effect.bands, frequencies_hz, plan.sample_rate_hz)
            elif effect.enabled and isinstance(effect, Gain):
                response *= 10.0 ** (effect.gain_db / 20.0)
        return response

    def fader(gain_db: float, pan: float, mute: bool) -> NDArray[np.float64]:
        sides = np.array([[min(1.0, 1.0 - pan)], [min(1.0, 1.0 + pan)]])
        return sides * (0.0 if mute else 10.0 ** (gain_db / 20.0))

    total = np.zeros((2, len(frequencies_hz)), np.complex128)
    source = plan.bus(track.output)
    before_fader = strip(source) * fader(track.gain_db, track.pan, track.mute)
    after_fader = before_fader * fader(source.gain_db, source.pan, source.mute)
    total += after_fader
    for send in source.sends:
        to = plan.bus(send.to)
        tap = before_fader if send.pre_fader else after_fader
        total += tap * 10.0 ** (send.gain_db / 20.0) * strip(to) * fader(to.gain_db, to.pan, to.mute)
    total *= strip(plan.mix_bus) * fader(plan.mix_bus.gain_db, plan.mix_bus.pan, plan.mix_bus.mute)
    return np.asarray(20.0 * np.log10(np.maximum(np.abs(total), 1e-12)))


def _cookbook(band: EqBand, sample_rate_hz: int) -> tuple[list[float], list[float]]:
    w0 = 2.0 * np.pi * band.frequency_hz / sample_rate_hz
    cos, alpha = float(np.cos(w0)), float(np.sin(w0)) / (2.0 * band.q)
    gain = 10.0 ** (band.gain_db / 40.0)
    root = 2.0 * gain**0.5 * alpha
    match band.kind:
        case BandKind.BELL:
            return [1 + alpha * gain, -2 * cos, 1 - alpha * gain], [1 + alpha / gain, -2 * cos, 1 - alpha / gain]
        case BandKind.HIGHPASS:
            return [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2], [1 + alpha, -2 * cos, 1 - alpha]
        case BandKind.LOWPASS:
            return [(1 - cos) / 2, 1 - cos, (1 - cos) / 2], [1 + alpha, -2 * cos, 1 - alpha]
        case BandKind.NOTCH:
            return [1, -2 * cos, 1], [1 + alpha, -2 * cos, 1 - alpha]
    sign = 1.0 if band.kind is BandKind.LOWSHELF else -1.0
    up, down = gain + 1, gain - 1
    b = [gain * (up - sign * down * cos + root), sign * 2 * gain * (down - sign * up * cos)]
    a = [up + sign * down * cos + root, -sign * 2 * (down + sign * up * cos)]
    return [*b, gain * (up - sign * down * cos - root)], [*a, up + sign * down * cos - root]


def compressor_db(level_db: float, threshold_db: float, ratio: float, knee_db: float) -> float:
    """Static curve with a quadratic knee (Giannoulis, Massberg, Reiss: "Digital Dynamic Range Compressor Design")."""
    over = level_db - threshold_db
    if 2.0 * abs(over) < knee_db:
        return level_db + (1.0 / ratio - 1.0) * (over + knee_db / 2.0) ** 2 / (2.0 * knee_db)
    return level_db if over < 0.0 else threshold_db + over / ratio
