"""The short-time Fourier transform of the band-split network, with the windows of `windows`."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FloatArray = NDArray[np.float32]


def analyse(padded: Tensor, analysis: Tensor, hop_samples: int) -> Tensor:
    """Spectra of mid and side, shape (batch, frames, 4, bins): mid re, mid im, side re, side im.

    `padded`: (batch, 2, samples), left and right; frame t is samples [t * hop, t * hop + window).
    """
    frames = padded.unfold(-1, analysis.shape[0], hop_samples) * analysis
    left, right = frames[:, 0], frames[:, 1]
    middle_side = torch.stack(((left + right) * 0.5, (left - right) * 0.5), 2)
    spectrum = torch.fft.rfft(middle_side)
    return torch.stack((spectrum.real, spectrum.imag), 3).flatten(2, 3)


def synthesise(spectrum: Tensor, synthesis: Tensor, window_samples: int) -> Tensor:
    """Left and right of each stem from (batch, frames, sources, 4, bins) to (batch, sources, 2, (frames - 1) * hop).

    The first sample that comes out is the first that two frames share: hop samples before the end of the first frame.
    """
    batch, frame_count, sources = spectrum.shape[:3]
    pairs = spectrum.reshape(batch, frame_count, sources, 2, 2, -1)
    frames = torch.fft.irfft(torch.complex(pairs[:, :, :, :, 0], pairs[:, :, :, :, 1]), n=window_samples)
    tails = frames[..., -synthesis.shape[0] :] * synthesis
    hop = synthesis.shape[0] // 2
    middle_side = tails[:, 1:, ..., :hop] + tails[:, :-1, ..., hop:]
    middle, side = middle_side[..., 0, :], middle_side[..., 1, :]
    stereo = torch.stack((middle + side, middle - side), 3)  # (batch, frames - 1, sources, 2, hop)
    return stereo.permute(0, 2, 3, 1, 4).reshape(batch, sources, 2, (frame_count - 1) * hop)
