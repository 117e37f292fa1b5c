"""What plain signal processing can do without any training: centre and side, harmonic and percussive, low-pass.

vocals  what sits in the centre between 200 Hz and 8 kHz and is neither percussive nor below
drums   the percussive part (median filtering along frequency against along time, D. Fitzgerald, DAFx 2010)
bass    the harmonic part below 150 Hz
other   the rest, so that the four sum to the mix
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import istft, stft

FloatArray = NDArray[np.float32]

_WINDOW, _HOP = 4096, 1024


def separate(mix: FloatArray, rate_hz: int = 44_100) -> dict[str, FloatArray]:
    """The four stems (2, samples) of a mix (2, samples), in pieces of 30 s."""
    size = 30 * rate_hz
    pieces = [_separate_piece(mix[:, start : start + size], rate_hz) for start in range(0, mix.shape[1], size)]
    return {name: np.concatenate([piece[name] for piece in pieces], 1) for name in pieces[0]}


def _separate_piece(mix: FloatArray, rate_hz: int) -> dict[str, FloatArray]:
    padded = np.pad(mix, ((0, 0), (0, max(0, _WINDOW - mix.shape[1]))))
    hz, _, spectrum = stft(padded, rate_hz, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    left, right = spectrum
    magnitude = np.abs(left) + np.abs(right)
    harmonic = median_filter(magnitude, (1, 17)) ** 2
    percussive = median_filter(magnitude, (17, 1)) ** 2
    drums = percussive / (harmonic + percussive + 1e-12)
    similarity = 2 * np.abs(left * np.conj(right)) / (np.abs(left) ** 2 + np.abs(right) ** 2 + 1e-12)
    agree = np.maximum(0, np.real(left * np.conj(right))) / (np.abs(left * np.conj(right)) + 1e-12)
    low = (hz < 150)[:, None]
    voice_band = ((hz > 200) & (hz < 8000))[:, None]
    vocals = (1 - drums) * voice_band * (similarity * agree) ** 4 * 0.5
    masks = {"vocals": vocals, "drums": drums, "bass": (1 - drums) * low}
    stems = {}
    for name, mask in masks.items():
        audio = istft(spectrum * mask, rate_hz, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)[1]
        stems[name] = audio[:, : mix.shape[1]].astype(np.float32)
    stems["other"] = mix - stems["vocals"] - stems["drums"] - stems["bass"]
    return stems
