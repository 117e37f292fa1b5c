"""Everything that a user can choose about a separation; the only home of the defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "htdemucs_ft"
DEFAULT_OVERLAP = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparationOptions:
    """`stems` None keeps all; `two_stems` gives that stem and its complement (mix minus stem).

    `residual` is "keep" (a stem of its own), "spread", "none" or "fold:STEM". `encoding` is "float32", "pcm24" or
    "flac". `batch_segments` and `device` change speed and memory only, never samples beyond 1e-5. `precision` is
    "fp32": half precision is refused with the reason, and only `allow_tf32` lets a GPU round to TF32.
    """

    model: str = DEFAULT_MODEL
    weights: Path | None = None
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    overlap: float = DEFAULT_OVERLAP
    segment_s: float | None = None
    shifts: int = 0
    residual: str = "keep"
    encoding: str = "float32"
    device: str = "auto"
    batch_segments: int | None = None
    allow_stems: bool = False
    allow_tf32: bool = False
    precision: str = "fp32"


def wanted_stems(options: SeparationOptions) -> tuple[str, ...] | None:
    """The stems that a model has to compute; None for all of them."""
    return (options.two_stems,) if options.two_stems else options.stems
