"""BSRNN among the families: one network for all stems, or one a stem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.errors import ModelError
from daw_bridge.separation.families.bsrnn.models import MODELS
from daw_bridge.separation.families.family import Loaded, Note, loaded_on_rungs, say_what_does_nothing
from daw_bridge.separation.families.store import checked_sha256, combined_sha256, weights_path
from daw_bridge.separation.model_info import ModelInfo, check_stems
from daw_bridge.separation.options import SeparationOptions, wanted_stems

if TYPE_CHECKING:
    from daw_bridge.separation.families.download import Download


class BsrnnFamily:
    """See `Family`."""

    models = MODELS
    heavy_import = "torch"

    def present(self, info: ModelInfo, home: Path | None = None) -> bool:
        try:
            weights_path(info, home=home)
        except ModelError:
            return False
        return True

    def fetch(self, info: ModelInfo, download: Download) -> None:
        from daw_bridge.separation.families.bsrnn.fetch import fetch_archive

        fetch_archive(info, download)

    def sha256(self, info: ModelInfo, options: SeparationOptions) -> str:
        from daw_bridge.separation.families.bsrnn.checkpoint import weight_files

        files = weight_files(weights_path(info, options.weights), wanted_stems(options))
        return combined_sha256([checked_sha256(path) for path in files])

    def load(self, info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
        from daw_bridge.separation.families.bsrnn.separator import load_bsrnn_separator

        say_what_does_nothing(info, options, note, ("overlap", "segment_s", "shifts"))
        stems = wanted_stems(options)
        check_stems(stems or (), info.name, info.stems)
        sha256 = self.sha256(info, options)
        separator = load_bsrnn_separator(
            info.name,
            weights_path(info, options.weights),
            options.device,
            stems=stems,
            batch_chunks=options.batch_segments,
            allow_tf32=options.allow_tf32,
            note=note,
        )
        check_stems(stems or (), separator.name, separator.sources)
        return loaded_on_rungs(separator, sha256, options)
