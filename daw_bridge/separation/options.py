"""Everything that a user can choose about a separation: its meaning, its default, its limits, and what it influences.

Nothing else in the program says what an option influences: the keys of the cache and of a resumed run, the manifest's
settings and the keeper of loaded models read it here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from daw_bridge.audio.encoding import Encoding, ResamplerName
from daw_bridge.errors import GuardRefused, UsageError, did_you_mean
from daw_bridge.files import safe_name
from daw_bridge.option import Influence, documented, names_in, names_of, number_in, one_of, option, path_of, values

DEFAULT_MODEL = "htdemucs_ft"
DEFAULT_OVERLAP = 0.25
LEAST_OVERLAP = 0.25
MOST_OVERLAP = 0.95

Precision = Literal["fp32", "tf32"]
Device = Literal[
    "auto", "cpu", "mps", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:4", "cuda:5", "cuda:6", "cuda:7"
]  # fmt: skip
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


class Fold(str):
    """`Fold("other")`: the residual goes into that stem. Equal to the text "fold:other", which serves as well."""

    __slots__ = ()

    def __new__(cls, stem: str) -> Fold:
        return super().__new__(cls, f"fold:{stem}")


Residual = (
    Literal[
        "keep", "spread", "none",
        "fold:drums", "fold:bass", "fold:other", "fold:vocals", "fold:guitar", "fold:piano",
    ]
    | Fold
)  # fmt: skip
RESIDUAL_MODES = ("keep", "fold", "spread", "none")


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class SeparationOptions:
    """What is asked of a separation.

    A value that makes no sense raises UsageError at once, one that a rule of the field forbids GuardRefused.
    """

    model: str = option(
        DEFAULT_MODEL,
        "which model separates; see 'daw-bridge models list'",
        influences=Influence.SAMPLES,
        flags=("-m", "--model"),
        late=False,
    )
    weights: Path | None = option(
        None,
        "weights of your own: a file or a folder",
        influences=Influence.LOADING,
        flags=("--weights",),
        metavar="PATH",
        parse=Path,
    )
    checkpoint: Path | None = option(
        None,
        "a checkpoint of the community that is not in the list, with its config",
        influences=Influence.LOADING,
        flags=("--checkpoint",),
        metavar="FILE",
        parse=Path,
    )
    config: Path | None = option(
        None,
        "the YAML that is published beside the checkpoint",
        influences=Influence.LOADING,
        flags=("--config",),
        metavar="YAML",
        parse=Path,
    )
    ensemble: str | None = option(
        None,
        "several models for the same stems: A,B:2 (weighted mean), vocals=A,drums=B, median:A,B, or a preset",
        influences=Influence.SAMPLES,
        flags=("--ensemble",),
        metavar="MODELS",
    )
    chain: tuple[str, ...] = option(
        (),
        "separate stems further, as in drums:drumsep5,vocals:kar_aufr33",
        influences=Influence.SAMPLES,
        flags=("--chain",),
        metavar="STEM:MODEL",
        parse=names_in,
    )
    accept_licence: bool = option(
        False,
        "accept the licences of the models that are asked for, where they are not clear; remembered",
        influences=Influence.NOTHING,
        switches={"--accept-licence": (True, "accept the licence of a model that is not clearly free to use")},
    )
    stems: tuple[str, ...] | None = option(
        None,
        "only these stems; the rest stays in the residual",
        influences=Influence.SAMPLES,
        flags=("--stems",),
        metavar="A,B",
        parse=names_in,
        late=False,
    )
    two_stems: str | None = option(
        None,
        "that stem and everything else (mix minus stem), e.g. vocals",
        influences=Influence.SAMPLES,
        flags=("--two-stems",),
        metavar="STEM",
        late=False,
    )
    overlap: float = option(
        DEFAULT_OVERLAP,
        "share of a segment that the next one repeats; at least 0.25",
        influences=Influence.SAMPLES,
        flags=("--overlap",),
        metavar="SHARE",
        parse=float,
        late=False,
    )
    segment_s: float | None = option(
        None,
        "seconds a segment; by default the model's own. Changes the samples",
        influences=Influence.SAMPLES,
        flags=("--segment",),
        metavar="S",
        parse=float,
        late=False,
    )
    shifts: int = option(
        0,
        "average N runs, each shifted by a fixed step: better, N times slower",
        influences=Influence.SAMPLES,
        flags=("--shifts",),
        metavar="N",
        parse=int,
        same=lambda count: count if count > 1 else 0,
        late=False,
    )
    residual: Residual = option(
        "keep",
        "where the mix minus the stems goes: keep (a stem of its own), fold:STEM, spread or none",
        influences=Influence.FILES,
        flags=("--residual",),
        metavar="WHERE",
        late=False,
    )
    encoding: Encoding = option(
        "float32",
        "how stems are written: float32, pcm24 or flac",
        influences=Influence.FILES,
        flags=("--format",),
        metavar="F",
        late=False,
    )
    device: Device = option(
        "auto",
        "where to compute: auto, cpu, cuda, cuda:N or mps",
        influences=Influence.LOADING,
        flags=("--device",),
        metavar="D",
    )
    resampler: ResamplerName = option(
        "auto",
        "what resamples to the model's rate and back: soxr, torchaudio, or auto (torchaudio on CUDA where installed)",
        influences=Influence.FILES,
        flags=("--resampler",),
        metavar="R",
    )
    batch_segments: int | None = option(
        None,
        "segments at once on a GPU; by default as many as fit three quarters of its memory, 16 at most",
        influences=Influence.LOADING,
        flags=("--batch",),
        metavar="N",
        parse=int,
    )
    allow_stems: bool = option(
        False,
        "separate even what looks like a stem already",
        influences=Influence.INPUT,
        switches={"--allow-stems": (True, "separate even what looks like a stem already")},
        late=False,
    )
    allow_tf32: bool = option(
        False,
        "let a GPU round to TF32, an error of -61 dB: the same as the precision tf32",
        influences=Influence.SAMPLES,
        late=False,
    )
    precision: Precision = option(
        "fp32",
        "fp32, or tf32 on a GPU; fp16 is refused, with the measured reason",
        influences=Influence.NOTHING,  # `allow_tf32` says it to the keys
        flags=("--precision",),
        metavar="P",
    )

    def __post_init__(self) -> None:
        """Validate, once and here. A list of names becomes a tuple, a path that is a text becomes a Path."""
        _set(self, "stems", names_of("stems", self.stems))
        _set(self, "weights", path_of("weights", self.weights))
        _set(self, "chain", names_of("chain", self.chain) or ())
        _check_checkpoint(self)
        _check_names(self)
        _check_overlap(self.overlap)
        if self.segment_s is not None:
            number_in("segment_s", self.segment_s, 0.1, 600, unit=" seconds")
        number_in("shifts", self.shifts, 0, 100, whole=True, unit=" (each one costs a whole run)")
        if self.batch_segments is not None:
            number_in("batch_segments", self.batch_segments, 1, 256, whole=True)
        _check_residual(self.residual)
        one_of("encoding", self.encoding, get_args(Encoding))
        one_of("resampler", self.resampler, get_args(ResamplerName))
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            hint = did_you_mean(str(self.device), ("auto", "cpu", "cuda", "mps"))
            raise UsageError(f"unknown device {self.device!r}{hint}; use auto, cpu, cuda, cuda:N or mps")
        _check_precision(self.precision)
        if self.allow_tf32 or self.precision == "tf32":
            _set(self, "allow_tf32", True)
            _set(self, "precision", "tf32")


def cuda_device(index: int) -> Device:
    """The device of one card."""
    return cast("Device", f"cuda:{index}")


def _check_checkpoint(options: SeparationOptions) -> None:
    """A checkpoint comes with its config, and is then the model."""
    for name in ("checkpoint", "config"):
        _set(options, name, path_of(name, getattr(options, name)))
    if (options.checkpoint is None) != (options.config is None):
        given, other = ("checkpoint", "config") if options.config is None else ("config", "checkpoint")
        raise UsageError(
            f"a {given} is given without a {other}; the two belong together: the checkpoint's file and the YAML that "
            "is published beside it"
        )
    if options.checkpoint is None:
        return
    name = safe_name(options.checkpoint.stem)
    if options.model not in (DEFAULT_MODEL, name) or options.weights is not None or options.ensemble is not None:
        raise UsageError("a checkpoint is the model itself; leave `model`, `weights` and `ensemble` out")
    _set(options, "model", name)


def _set(options: SeparationOptions, name: str, value: object) -> None:
    object.__setattr__(options, name, value)


def _check_names(options: SeparationOptions) -> None:
    for name, value in (("model", options.model), ("two_stems", options.two_stems)):
        if not (isinstance(value, str) and value) and not (name == "two_stems" and value is None):
            raise UsageError(f"`{name}` {value!r} is no name")
    if options.stems is not None and not options.stems:
        raise UsageError("no stems are asked for; name at least one or leave the option out")
    if options.two_stems and options.stems:
        raise UsageError("`two_stems` and a list of stems contradict each other; give one of them")
    if options.two_stems and options.residual != "keep":
        raise UsageError(
            f"`two_stems` {options.two_stems} writes that stem and everything else, so there is no residual to "
            f"place; leave the residual out, or use `stems` {options.two_stems}"
        )


def _check_overlap(overlap: float) -> None:
    """GuardRefused below a quarter: without overlap every seam is an audible step, with little it pumps."""
    number_in("overlap", overlap, 0.0, MOST_OVERLAP)
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


def _check_precision(precision: str) -> None:
    """GuardRefused for half precision, with the measured reason."""
    if precision in ("fp16", "half", "float16", "bf16", "bfloat16"):
        raise GuardRefused(
            f"precision {precision} is refused: it puts an error of about -40 dB into every stem (measured on "
            "htdemucs: -39 to -42 dB; float32 has -124 dB); use fp32, or tf32 on a GPU at -61 dB"
        )
    one_of("precision", precision, get_args(Precision))


def _check_residual(residual: str) -> None:
    kind, colon, stem = residual.partition(":") if isinstance(residual, str) else ("", "", "")
    if kind not in RESIDUAL_MODES or bool(stem) != (kind == "fold") or (colon and kind != "fold"):
        hint = did_you_mean(kind, RESIDUAL_MODES) if kind not in RESIDUAL_MODES else ""
        raise UsageError(f"residual {residual!r} is unknown{hint}; use keep, spread, none or fold:STEM")


def wanted_stems(options: SeparationOptions) -> tuple[str, ...] | None:
    """The stems that a model has to compute; None for all of them."""
    return (options.two_stems,) if options.two_stems else options.stems


def sample_settings(options: SeparationOptions) -> dict[str, Any]:
    """The options that influence the model's samples, as JSON data."""
    stems = wanted_stems(options)
    return {**values(options, Influence.SAMPLES), "stems": sorted(stems) if stems else None}


def file_settings(options: SeparationOptions) -> dict[str, Any]:
    """The options that influence the written files, as JSON data."""
    return {**sample_settings(options), **values(options, Influence.FILES)}


def loading_settings(options: SeparationOptions) -> dict[str, Any]:
    """The options that a loaded model depends on, as JSON data."""
    return {**sample_settings(options), **values(options, Influence.LOADING)}


def request_settings(options: SeparationOptions) -> dict[str, Any]:
    """The options by which two runs are the same run, as JSON data."""
    return values(options, Influence.SAMPLES, Influence.FILES, Influence.INPUT)
