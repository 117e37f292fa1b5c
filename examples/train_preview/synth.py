"""A plain synthesiser: detuned saws, squares or sines through a low-pass, as bass, pad, pluck or lead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from instruments import Note, add
from pack import RATE_HZ, FloatArray
from scipy.signal import butter, sosfilt


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One sound; `decay_s` is how quickly a held note fades, `spread` how wide its voices stand."""

    wave: str
    voices: int
    detune: float
    attack_s: float
    decay_s: float
    low_hz: float
    high_hz: float
    sweep_hz: float
    spread: float
    drive: float


def draw_patch(rng: np.random.Generator, *, bass: bool) -> Patch:
    low_hz = float(np.exp(rng.uniform(np.log(120), np.log(700)))) if bass else float(rng.uniform(500, 2500))
    return Patch(
        wave=str(rng.choice(["saw", "square", "sine", "saw"])),
        voices=int(rng.choice([1, 2])) if bass else int(rng.choice([1, 2, 3, 5])),
        detune=float(rng.uniform(0.0005, 0.008)),
        attack_s=0.004 if bass else float(rng.choice([0.003, 0.01, 0.15])),
        decay_s=float(rng.choice([0.25, 0.8, 6.0])),
        low_hz=low_hz,
        high_hz=low_hz * float(rng.uniform(1.5, 6)),
        sweep_hz=float(rng.uniform(0.03, 0.5)),
        spread=0.0 if bass else float(rng.uniform(0, 1)),
        drive=float(rng.uniform(0.5, 4)),
    )


def render(patch: Patch, notes: list[Note], length_s: float) -> FloatArray:
    """(2, samples)."""
    out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
    for note in notes:
        add(out, note.start_s, _tone(patch, note))
    peak = max(1e-6, float(np.abs(out).max()))
    if patch.wave != "sine":
        out = _swept(patch, out)
    return np.tanh(out * np.float32(patch.drive / peak)).astype(np.float32)


def _tone(patch: Patch, note: Note) -> FloatArray:
    t = np.arange(int((note.length_s + 0.05) * RATE_HZ), dtype=np.float32) / np.float32(RATE_HZ)
    hz = 440.0 * 2.0 ** ((note.key - 69) / 12)
    sound = np.zeros((2, t.size), np.float32)
    for voice in range(patch.voices):
        place = (voice / max(1, patch.voices - 1)) * 2 - 1 if patch.voices > 1 else 0.0
        phase = (t * np.float32(hz * (1 + patch.detune * place)) + np.float32(0.37 * voice)) % 1
        if patch.wave == "saw":
            wave = 2 * phase - 1
        elif patch.wave == "square":
            wave = np.where(phase < 0.5, np.float32(0.7), np.float32(-0.7))
        else:
            wave = np.sin(2 * np.pi * phase)
        sound += wave * np.array([[1 - 0.5 * patch.spread * place], [1 + 0.5 * patch.spread * place]], np.float32)
    envelope = np.minimum(1, t / patch.attack_s) * np.exp(-t / patch.decay_s)
    envelope *= np.clip((note.length_s + 0.05 - t) / 0.05, 0, 1)
    return (sound * envelope * np.float32(note.velocity / patch.voices)).astype(np.float32)


def _swept(patch: Patch, x: FloatArray) -> FloatArray:
    """A low-pass that opens and closes slowly: two fixed ones, faded into each other."""
    low, high = (
        sosfilt(butter(2, min(hz, 16_000), fs=RATE_HZ, output="sos"), x) for hz in (patch.low_hz, patch.high_hz)
    )
    blend = 0.5 - 0.5 * np.cos(2 * np.pi * patch.sweep_hz * np.arange(x.shape[1]) / RATE_HZ)
    return (low + blend * (high - low)).astype(np.float32)
