"""Plans with real files for the tests of the render."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from daw_bridge.model import SessionPlan, Stem, StemRole, StemSet
from daw_bridge.plan import make_plan
from daw_bridge.templates.bus_template import parse_template
from daw_bridge_render.render import render_plan

FloatArray = NDArray[np.float64]


def noise(length: int, channels: int = 2, *, seed: int = 0, level: float = 0.1) -> FloatArray:
    """Shape (channels, length)."""
    return np.random.default_rng(seed).standard_normal((channels, length)) * level


def impulse(length: int, at: int, channels: int = 2) -> FloatArray:
    """One sample of 1 at `at` in every channel."""
    signal = np.zeros((channels, length))
    signal[:, at] = 1.0
    return signal


def sine(length: int, frequency_hz: float, level_db: float, *, rate: int = 44_100) -> FloatArray:
    """Shape (2, length), peak at `level_db`."""
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency_hz * np.arange(length) / rate)
    return np.stack([wave, wave])


def write_wav(path: Path, signal: FloatArray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal.T.astype(np.float32), rate, subtype="FLOAT")


def stem_set(folder: Path, signals: Mapping[str, FloatArray], *, rate: int = 44_100) -> StemSet:
    """The signals as stems; the reference is their sum in float32. A stem called residual is one."""

    def stem(name: str, signal: FloatArray, role: StemRole) -> Stem:
        path = folder / "audio" / f"{name}.wav"
        write_wav(path, signal, rate)
        channels, length = signal.shape
        return Stem(name=name, path=path, sample_rate_hz=rate, channels=channels, length_samples=length, role=role)

    mix = np.sum([signal.astype(np.float32) for signal in signals.values()], axis=0, dtype=np.float64)
    return StemSet(
        stems=tuple(
            stem(name, signal, "residual" if name == "residual" else "stem") for name, signal in signals.items()
        ),
        reference=stem("reference", np.asarray(mix), "reference"),
    )


def plan_of(folder: Path, template: str, signals: Mapping[str, FloatArray], *, rate: int = 44_100) -> SessionPlan:
    """The session that a template's YAML text makes of these stems."""
    return make_plan(stem_set(folder, signals, rate=rate), parse_template(template, "test.yaml"), name="song")


def rendered(plan: SessionPlan, folder: Path, *, bus: str | None = None, reference: bool = False) -> FloatArray:
    """What the plan sounds like, shape (channels, n)."""
    target = folder / f"rendered-{len(list(folder.glob('rendered-*')))}.wav"
    render_plan(plan, target, bus=bus, reference=reference)
    samples, rate = soundfile.read(target, dtype="float64", always_2d=True)
    assert rate == plan.sample_rate_hz
    return np.asarray(samples.T)


def peak_db(signal: FloatArray) -> float:
    """Largest sample in dBFS."""
    return float(20 * np.log10(max(np.abs(signal).max(), 1e-12)))
