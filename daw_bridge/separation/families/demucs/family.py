"""Demucs among the families: a bag of networks from its files, on whatever device there is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.errors import ModelError
from daw_bridge.separation.families.demucs.bag import find_weights, known_sha256, load_bag, read_bag
from daw_bridge.separation.families.demucs.models import MODELS
from daw_bridge.separation.families.family import Loaded, Note, loaded_on_rungs
from daw_bridge.separation.families.imports import import_heavy
from daw_bridge.separation.families.store import combined_sha256
from daw_bridge.separation.model_info import ModelInfo, check_stems
from daw_bridge.separation.options import SeparationOptions, wanted_stems

if TYPE_CHECKING:
    from daw_bridge.separation.families.download import Download


class DemucsFamily:
    """See `Family`."""

    models = MODELS
    heavy_import = "daw_bridge.separation.families.demucs.separator"

    def present(self, info: ModelInfo, home: Path | None = None) -> bool:
        try:
            find_weights(info, home=home)
        except ModelError:
            return False
        return True

    def fetch(self, info: ModelInfo, download: Download) -> None:
        from daw_bridge.separation.families.demucs.fetch import fetch_bag

        fetch_bag(info, download)

    def sha256(self, info: ModelInfo, options: SeparationOptions) -> str:
        found = find_weights(info, options.weights)
        return combined_sha256([known_sha256(member) for member in found.members])

    def load(self, info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
        found = find_weights(info, options.weights)
        stored = read_bag(found)  # needs no torch, which is still being imported by a thread where this is a first song
        import_heavy(self.heavy_import)
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
        return loaded_on_rungs(separator, bag.sha256, options, segment_s=seconds)
