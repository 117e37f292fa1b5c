"""What training makes small."""

from __future__ import annotations

import torch
from torch import Tensor

_FLOOR = 1e-3  # -30 dB: keeps the slope finite where a stem is silent and found silent
_SHARE = 0.03  # of the mix's energy, added to a stem's own: a soft stem counts, a nearly silent one does not explode
_AUDIBLE = 1e-4  # of the mix's energy: a stem below is silent, and its error is measured against the mix alone
_ABSOLUTE = 0.3  # an absolute error is least at the likeliest stem, a squared one at the mean: unsure masks stay small
WEIGHTS = {"vocals": 1.3, "drums": 0.8, "bass": 1.2, "other": 1.0}  # people mute vocals and want bass


def separation_loss(estimates: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(loss, mean error in dB below the mix) of stems' spectra (batch, frames, sources, 4, bins); `weights` per source.

    Two parts: the root of the error's energy relative to the stem (what SDR measures), and the absolute error of real
    and imaginary parts relative to the mix (the band-split paper's). Both on the spectra that the network works on:
    with their overlap, energy there is energy in the waveform (Parseval), and the way back to the waveform, its
    gradient included, is a third of a step's time.

    A decibel scale instead of the root (tried first) fails: stems that are silent pull so hard that the network
    settles on leaving everything in one stem. Energy relative to the mix alone (tried second) forgets soft vocals and
    basses, whose SDR counts as much as a loud stem's.
    """
    mix = targets.sum(2, keepdim=True)
    error = estimates - targets
    error_energy = error.square().mean((1, 3, 4))
    mix_energy = mix.square().mean((1, 3, 4)) + 1e-6
    reference = reference_energy(targets.square().mean((1, 3, 4)), mix_energy)
    absolute = error.abs().mean((1, 3, 4)) / (mix.abs().mean((1, 3, 4)) + 1e-3)
    loss = ((torch.sqrt(error_energy / reference + _FLOOR) + _ABSOLUTE * absolute) * weights).mean()
    return loss, 10 * torch.log10(error_energy / mix_energy + _FLOOR).mean().detach()


def reference_energy(stems: Tensor, mix: Tensor) -> Tensor:
    """What the energy of a stem's error is measured against, from the energies of stems and mix."""
    return torch.where(stems > _AUDIBLE * mix, stems + _SHARE * mix, mix)
