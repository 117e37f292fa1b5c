"""What training makes small."""

from __future__ import annotations

import torch
from torch import Tensor

_FLOOR = 1e-3  # -30 dB of the mix: below it an error no longer counts


def separation_loss(estimates: Tensor, targets: Tensor, *, l1_weight: float = 0.3) -> tuple[Tensor, Tensor]:
    """(loss, mean error in dB below the mix) of stems' spectra (batch, frames, sources, 4, bins).

    Two parts. The error's energy on a decibel scale, relative to the mix so that silent stems count too and never blow
    up (the thresholded SNR of Wisdom et al., "What's All the Fuss About Free Universal Sound Separation Data?", 2021).
    And the absolute error of real and imaginary parts of the band-split paper, relative to the mix. Both on the
    spectra that the network works on: with their overlap, energy there is energy in the waveform (Parseval), and the
    way back to the waveform, its gradient included, is a third of a step's time.
    """
    mix = targets.sum(2, keepdim=True)
    error = estimates - targets
    mix_power = mix.square().mean((1, 3, 4)) + 1e-6
    error_db = 10 * torch.log10(error.square().mean((1, 3, 4)) / mix_power + _FLOOR)
    absolute = error.abs().mean((1, 3, 4)) / (mix.abs().mean((1, 3, 4)) + 1e-3)
    loss = (error_db / 10 + l1_weight * absolute).mean()
    return loss, error_db.mean().detach()
