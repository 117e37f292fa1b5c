"""The field's rules, checked before a run: overlap, precision, and never separating a stem again."""

from __future__ import annotations

import re
from pathlib import Path

from daw_bridge.audio.provenance import read_provenance
from daw_bridge.errors import GuardRefused, UsageError, did_you_mean
from daw_bridge.separation.disk.residual import RESIDUAL_MODES
from daw_bridge.separation.disk.write_stems import checked_encoding
from daw_bridge.separation.options import SeparationOptions

LEAST_OVERLAP = 0.25
MOST_OVERLAP = 0.95

_BLOCK_SAMPLES = 1 << 18

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

STEM_TAG = re.compile(r"\bstem=")
"""What `write_stems` adds to the provenance line of every stem."""


def check_overlap(overlap: float) -> None:
    """GuardRefused below a quarter: without overlap every seam is an audible step, with little it pumps."""
    if not 0.0 <= overlap <= MOST_OVERLAP:
        raise UsageError(f"an overlap of {overlap:g} is out of range; use {LEAST_OVERLAP:g} to {MOST_OVERLAP:g}")
    if overlap == 0.0:
        raise GuardRefused(
            "overlap 0 is refused: segments that only touch leave a click or a jump in level at every seam; "
            f"use {LEAST_OVERLAP:g} or more"
        )
    if overlap < LEAST_OVERLAP:
        raise GuardRefused(
            f"an overlap of {overlap:g} is refused: below {LEAST_OVERLAP:g} the cross-fades are too short to hide "
            "where two segments disagree, and the stems pump at the seams; use 0.25 (the default) or more"
        )


def check_precision(precision: str) -> None:
    """GuardRefused for half precision, with the measured reason."""
    if precision in ("fp16", "half", "float16", "bf16", "bfloat16"):
        raise GuardRefused(
            f"precision {precision} is refused: it puts an error of about -40 dB into every stem (measured on "
            "htdemucs: -39 to -42 dB; float32 has -124 dB); use fp32, or tf32 on a GPU at -61 dB"
        )
    if precision != "fp32":
        raise UsageError(f"unknown precision {precision!r}; use fp32 or tf32")


def check_options(options: SeparationOptions) -> None:
    """All rules that need no audio and no model."""
    if not DEVICE.fullmatch(options.device):
        raise UsageError(f"device {options.device!r} is unknown; use auto, cpu, cuda, cuda:N or mps")
    check_precision(options.precision)
    check_overlap(options.overlap)
    if options.segment_s is not None and not 0.1 <= options.segment_s <= 600:
        raise UsageError(f"a segment of {options.segment_s:g} s is out of range; use 0.1 to 600 seconds")
    if not 0 <= options.shifts <= 100:
        raise UsageError(f"{options.shifts} shifts are out of range; use 0 to 100 (each one costs a whole run)")
    if options.batch_segments is not None and not 1 <= options.batch_segments <= 256:
        raise UsageError(f"a batch of {options.batch_segments} segments is out of range; use 1 to 256")
    checked_encoding(options.encoding)
    kind = options.residual.partition(":")[0]
    if kind not in RESIDUAL_MODES:
        hint = did_you_mean(kind, RESIDUAL_MODES)
        raise UsageError(f"residual {options.residual!r} is unknown{hint}; use keep, spread, none or fold:STEM")
    if options.two_stems and options.stems:
        raise UsageError("two-stems and a list of stems contradict each other; give one of them")
    if options.two_stems and options.residual != "keep":
        raise UsageError(
            f"--two-stems {options.two_stems} writes that stem and everything else, so there is no residual to "
            f"place; leave --residual out, or use --stems {options.two_stems}"
        )
    if options.stems is not None and not options.stems:
        raise UsageError("no stems are asked for; name at least one or leave the option out")


def refuse_provenance(path: Path, *, allow: bool) -> None:
    """GuardRefused when the file says that it came out of a separation, unless `allow`."""
    line = None if allow else read_provenance(path)
    if line and STEM_TAG.search(line):
        raise GuardRefused(
            f"{path}: this is a stem that daw-bridge made ({line[:120]}); separating it again only adds errors. "
            "Give the mix, or insist with --allow-stems"
        )


def refuse_stem_sound(reference: Path, *, name: Path | None = None, allow: bool) -> None:
    """GuardRefused when the recording itself sounds like one part of a mix, unless `allow`; see `stem_likeness`.

    `name` is the file that the user gave, for the message, where `reference` is its decoded copy.
    """
    if allow:
        return
    from daw_bridge.audio.reader import open_audio
    from daw_bridge.separation.stem_likeness import LEAST_DURATION_S, measure

    with open_audio(reference) as reader:
        if (reader.length_samples or 0) < LEAST_DURATION_S * reader.sample_rate_hz:
            return
        reason = measure(reader.blocks(_BLOCK_SAMPLES), reader.sample_rate_hz).reason
    if reason:
        raise GuardRefused(
            f"{name or reference}: sounds like a stem, not a mix: {reason}. Separating a stem again only adds errors; "
            "give the mix, or insist with --allow-stems"
        )
