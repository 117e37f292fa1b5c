"""Mixture consistency: what the stems leave of the mix, and where it goes.

The residual is the mix minus the sum of the stems as they are written (rounded to 24 bits where the file is), so that
the written files null against the mix. Wisdom et al., "Differentiable consistency constraints for improved deep speech
enhancement" (2019), is "spread".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.model import StemRole
from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.units import linear_to_db

RESIDUAL = "residual"
COMPLEMENT_PREFIX = "no_"


class Consistency:
    """Turns the model's stems, block by block, into what is written. `mode` as in SeparationOptions.residual.

    With `complement`, the one stem's complement (mix minus stem) is written instead of a residual. `rest` is what a
    kept residual is called where it is a stem in its own right: the instrumental of a model that gives vocals only.
    """

    def __init__(
        self, mode: str, stems: Sequence[str], *, bits: int | None, complement: bool = False, rest: str = ""
    ) -> None:
        self._mode, self._fold = ("complement", None) if complement else _parse(mode, stems)
        self._bits = bits
        self._energy, self._count = 0.0, 0
        self.model_stems = len(stems)
        names = list(stems)
        if self._mode == "complement":
            names.append(COMPLEMENT_PREFIX + stems[0])
        elif self._mode == "keep":
            names.append(rest or RESIDUAL)
        self.names = tuple(names)
        self.peaks = [0.0] * len(names)

    def role(self, name: str) -> StemRole:
        return "residual" if self._mode == "keep" and name == RESIDUAL else "stem"

    def apply(self, mix: FloatArray, stems: FloatArray) -> list[FloatArray]:
        """What to write for one block: mix (channels, n), stems (sources, channels, n) -> one array per name."""
        written = [self._rounded(stem) for stem in stems]
        left = mix - np.sum(written, axis=0, dtype=np.float64)
        self._energy += float(np.vdot(left, left))
        self._count += left.size
        rest = left.astype(np.float32)
        if self._mode in ("keep", "complement"):
            written.append(self._rounded(rest))
        elif self._fold is not None:
            folded = mix - np.sum([stem for index, stem in enumerate(written) if index != self._fold], axis=0)
            written[self._fold] = self._rounded(np.asarray(folded, dtype=np.float32).reshape(mix.shape))
        elif self._mode == "spread":
            written = self._spread(mix, stems, rest)
        for index, stem in enumerate(written):
            if stem.size:
                self.peaks[index] = max(self.peaks[index], float(np.abs(stem).max()))
        return written

    def _spread(self, mix: FloatArray, stems: FloatArray, rest: FloatArray) -> list[FloatArray]:
        """An equal part of the rest on every stem; the last one takes what rounding leaves."""
        written = [self._rounded(stem + rest / np.float32(len(stems))) for stem in stems[:-1]]
        last = mix - np.sum([np.zeros_like(mix), *written], axis=0, dtype=np.float64)
        return [*written, self._rounded(last.astype(np.float32))]

    def _rounded(self, samples: FloatArray) -> FloatArray:
        if self._bits is None:
            return samples
        scale = np.float32(1 << (self._bits - 1))
        return np.asarray(np.rint(samples * scale) / scale, dtype=np.float32)

    @property
    def residual_rms_db(self) -> float:
        """Level of what the model's stems left of the mix, dBFS; -inf when nothing."""
        return linear_to_db(math.sqrt(self._energy / self._count)) if self._count else -math.inf


def _parse(mode: str, stems: Sequence[str]) -> tuple[str, int | None]:
    kind, _, stem = mode.partition(":")
    if kind != "fold":
        return kind, None
    if stem in stems:
        return kind, list(stems).index(stem)
    hint = did_you_mean(stem, stems)
    raise UsageError(f"`residual` {mode}: there is no stem {stem!r}{hint}; fold into one of {', '.join(stems)}")
