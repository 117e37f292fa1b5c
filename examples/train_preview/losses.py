"""What training makes small."""

from __future__ import annotations

import torch
from torch import Tensor

_FLOOR = 1e-3  # -30 dB of the mix: keeps the slope finite where a stem is silent and found silent


def separation_loss(estimates: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, mean error in dB below the mix) of stems' spectra (batch, frames, sources, 4, bins).

    Two parts, both relative to the mix so that loud and soft mixes count alike: the root of the error's energy (what
    SDR measures), and the absolute error of real and imaginary parts (the band-split paper's). Both on the spectra that
    the network works on: with their overlap, energy there is energy in the waveform (Parseval), and the way back to the
    waveform, its gradient included, is a third of a step's time.

    A decibel scale instead of the root (tried first) fails: stems that are silent pull so hard that the network
    settles on leaving everything in one stem.
    """
    mix = targets.sum(2, keepdim=True)
    error = estimates - targets
    energy = error.square().mean((1, 3, 4)) / (mix.square().mean((1, 3, 4)) + 1e-6)
    absolute = error.abs().mean((1, 3, 4)) / (mix.abs().mean((1, 3, 4)) + 1e-3)
    loss = (torch.sqrt(energy + _FLOOR) + absolute).mean()
    return loss, 10 * torch.log10(energy + _FLOOR).mean().detach()
