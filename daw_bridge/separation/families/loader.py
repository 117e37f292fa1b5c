"""Options -> a loaded `Separator`, whatever the family. The only place that knows all of them."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from daw_bridge.errors import DeviceError, WeightsMissing
from daw_bridge.progress import OnProgress, ignore_progress
from daw_bridge.separation.catalog import model_info
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.engine.separator import Separator
from daw_bridge.separation.families.demucs.bag import (
    bsrnn_path,
    find_weights,
    known_sha256,
    load_bag,
    read_bag,
    weights_present,
)
from daw_bridge.separation.families.store import checked_sha256, combined_sha256
from daw_bridge.separation.model_info import ModelInfo, check_stems
from daw_bridge.separation.options import SeparationOptions, wanted_stems

Note = Callable[[str], None]

_TURN_S = 2e-4
_importing = threading.Lock()
"""One import at a time: each changes settings of the interpreter and puts back what it found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A separator and the sha256 of its weights.

    `rung` is how it computes, where that can vary; `repeat` makes it compute as an earlier run did, so that a resumed
    run gives the identical samples. `turn` is held while it computes, where several songs share it.
    """

    separator: Separator
    weights_sha256: str
    rung: Rung | None = None
    repeat: Callable[[Rung], None] | None = None
    segment_s: tuple[float, ...] = ()
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)


def load(options: SeparationOptions, note: Note) -> Loaded:
    """The model of the options in memory; `note` hears what a person should know, a line at a time.

    Raises ModelError, WeightsMissing, WeightsCorrupt, DeviceError, UsageError.
    """
    info = model_info(options.model)
    if options.weights is None:
        _have(info)
    if info.family == "demucs":
        return _load_demucs(info, options, note)
    if info.family == "bsrnn":
        return _load_bsrnn(info, options, note)
    return _load_band_split(info, options, note)


def _have(info: ModelInfo, on_progress: OnProgress = ignore_progress) -> None:
    """Fetch the weights that are not on this machine. A run that has them is spared the import of what downloads."""
    if not weights_present(info):
        from daw_bridge.separation.families.download import fetch

        fetch(info, on_progress=on_progress)


def _say_what_does_nothing(info: ModelInfo, options: SeparationOptions, note: Note, names: tuple[str, ...]) -> None:
    """An option of these that was given and changes nothing is said, never just swallowed."""
    usual = SeparationOptions()
    idle = [name for name in names if getattr(options, name) != getattr(usual, name)]
    if idle:
        flags = {"segment_s": "--segment", "batch_segments": "--batch", "allow_tf32": "--precision tf32"}
        given = ", ".join(flags.get(name, f"--{name}") for name in idle)
        note(f"{given}: changes nothing with {info.name}, which has its own fixed way of working")


def weights_sha256(options: SeparationOptions, on_progress: OnProgress = ignore_progress) -> str:
    """The sha256 that `load` would report, without building a network: for asking the cache.

    Fetches the weights when they are not on this machine. Raises ModelError, WeightsMissing, WeightsCorrupt.
    """
    info = model_info(options.model)
    if options.weights is None:
        _have(info, on_progress)
    if info.family == "demucs":
        found = find_weights(info, options.weights)
        return combined_sha256([known_sha256(member) for member in found.members])
    return _sha256_of_bsrnn(info, options) if info.family == "bsrnn" else _sha256_of_preview(options)


def import_ahead(info: ModelInfo) -> None:
    """Begin in a thread what takes most of the time before a first segment, while others read, hash and decode."""
    if "torch" not in sys.modules:
        threading.Thread(target=_import_networks, args=(info,), name="import-networks").start()


def _import_networks(info: ModelInfo) -> None:
    with _importing, _no_garbage_collection(), _short_turns():
        importlib.import_module(
            "daw_bridge.separation.families.demucs.separator" if info.family == "demucs" else "torch"
        )


@contextmanager
def _short_turns() -> Iterator[None]:
    """Threads take turns often: else whoever reads audio meanwhile waits 5 ms for the interpreter after every block."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual_s)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """For a large import: a tenth of the time of `import torch` goes into looking for cycles that are not there."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load_demucs(info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
    found = find_weights(info, options.weights)
    stored = read_bag(found)  # needs no torch, which is still being imported by a thread where this is the first song
    _import_networks(info)
    from daw_bridge.separation.engine.devices import choose_rungs
    from daw_bridge.separation.families.demucs.separator import DemucsSeparator, Plan, need_of

    stems = wanted_stems(options)
    bag = load_bag(found, info.name, stems, stored=stored)
    check_stems(stems or (), info.name, bag.sources)
    plan = Plan(
        stems=stems,
        overlap=options.overlap,
        segment_s=options.segment_s,
        shifts=options.shifts,
        allow_tf32=options.allow_tf32,
    )
    ratio = (options.segment_s or info.segment_s) / info.segment_s
    need = need_of(bag, info.memory_gb_per_segment, ratio)
    rungs = choose_rungs(need, options.device, options.batch_segments, note)
    separator = DemucsSeparator(info.name, bag, plan, rungs, note)
    seconds = tuple(sorted({samples / separator.sample_rate_hz for samples in separator.segment_samples}))
    return Loaded(
        separator=separator,
        weights_sha256=bag.sha256,
        rung=rungs[0],
        repeat=separator.repeat if options.batch_segments is None else None,
        segment_s=seconds,
    )


def _load_bsrnn(info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
    from daw_bridge.separation.families.bsrnn.separator import load_bsrnn_separator

    _say_what_does_nothing(info, options, note, ("overlap", "segment_s", "shifts"))
    stems = wanted_stems(options)
    check_stems(stems or (), info.name, info.stems)
    sha256 = _sha256_of_bsrnn(info, options)
    separator = load_bsrnn_separator(
        info.name,
        bsrnn_path(info, options.weights),
        options.device,
        stems=stems,
        batch_chunks=options.batch_segments,
        allow_tf32=options.allow_tf32,
        note=note,
    )
    check_stems(stems or (), separator.name, separator.sources)
    return Loaded(
        separator=separator,
        weights_sha256=sha256,
        rung=separator.rung,
        repeat=separator.repeat if options.batch_segments is None else None,
    )


def _sha256_of_bsrnn(info: ModelInfo, options: SeparationOptions) -> str:
    from daw_bridge.separation.families.bsrnn.checkpoint import weight_files

    files = weight_files(bsrnn_path(info, options.weights), wanted_stems(options))
    return combined_sha256([checked_sha256(path) for path in files])


def _load_band_split(info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
    """The bundled causal network, or one's own of the same kind; a bidirectional one runs in segments, like Demucs."""
    from daw_bridge.separation.families.band_split.causal import PreviewSeparator, load_net

    net = load_net(options.weights)
    check_stems(wanted_stems(options) or (), info.name, net.config.sources)
    sha256 = _sha256_of_preview(options)
    if not net.config.causal:
        from daw_bridge.separation.engine.devices import choose_rungs
        from daw_bridge.separation.families.band_split.bidirectional import BidirectionalSeparator, need_of

        _say_what_does_nothing(info, options, note, ("shifts",))
        rungs = choose_rungs(need_of(net, options.segment_s), options.device, options.batch_segments, note)
        separator = BidirectionalSeparator(
            net,
            rungs,
            overlap=options.overlap,
            segment_s=options.segment_s,
            allow_tf32=options.allow_tf32,
            note=note,
        )
        return Loaded(
            separator=separator,
            weights_sha256=sha256,
            rung=separator.rung,
            repeat=separator.repeat if options.batch_segments is None else None,
            segment_s=(separator.segment_s,),
        )
    if options.device not in ("auto", "cpu"):
        raise DeviceError(f"--device {options.device}: {info.name} computes on the CPU only; leave --device out")
    idle = ("overlap", "segment_s", "shifts", "batch_segments", "allow_tf32")
    _say_what_does_nothing(info, options, note, idle)
    return Loaded(separator=PreviewSeparator(net), weights_sha256=sha256)


def _sha256_of_preview(options: SeparationOptions) -> str:
    path = options.weights or Path(__file__).parent / "band_split" / "weights_data" / "preview.safetensors"
    if not path.is_file():
        raise WeightsMissing(f"{path}: no such file; --weights takes the .safetensors file of a band-split network")
    return checked_sha256(path)
