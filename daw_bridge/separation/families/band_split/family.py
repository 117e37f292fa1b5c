"""The bundled network and one's own of the same kind: a causal one streams, a bidirectional one runs in segments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.errors import DeviceError, WeightsMissing
from daw_bridge.separation.families.band_split.models import MODELS
from daw_bridge.separation.families.family import Loaded, Note, loaded_on_rungs, say_what_does_nothing
from daw_bridge.separation.families.store import checked_sha256
from daw_bridge.separation.model_info import ModelInfo, check_stems
from daw_bridge.separation.options import SeparationOptions, wanted_stems

if TYPE_CHECKING:
    from daw_bridge.separation.families.band_split.network import BandSplitNet
    from daw_bridge.separation.families.download import Download

BUNDLED = Path(__file__).parent / "weights_data" / "preview.safetensors"


class BandSplitFamily:
    """See `Family`."""

    models = MODELS
    heavy_import = "torch"

    def present(self, info: ModelInfo, home: Path | None = None) -> bool:
        del info, home  # they come with the program
        return True

    def fetch(self, info: ModelInfo, download: Download) -> None:
        del info, download

    def sha256(self, info: ModelInfo, options: SeparationOptions) -> str:
        del info
        path = options.weights or BUNDLED
        if not path.is_file():
            raise WeightsMissing(f"{path}: no such file; `weights` takes the .safetensors file of a band-split network")
        return checked_sha256(path)

    def load(self, info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
        from daw_bridge.separation.families.band_split.causal import PreviewSeparator, load_look_ahead, load_net

        net = load_net(options.weights)
        check_stems(wanted_stems(options) or (), info.name, net.config.sources)
        sha256 = self.sha256(info, options)
        if not net.config.causal:
            return _bidirectional(net, sha256, info, options, note)
        if options.device not in ("auto", "cpu"):
            raise DeviceError(f"`device` {options.device}: {info.name} computes on the CPU only; leave `device` out")
        idle = ("overlap", "segment_s", "shifts", "batch_segments", "allow_tf32")
        say_what_does_nothing(info, options, note, idle)
        separator = PreviewSeparator(net, look_ahead=load_look_ahead(options.weights))
        return Loaded(separator=separator, weights_sha256=sha256)


def _bidirectional(net: BandSplitNet, sha256: str, info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
    from daw_bridge.separation.engine.devices import choose_rungs
    from daw_bridge.separation.families.band_split.bidirectional import BidirectionalSeparator, need_of

    say_what_does_nothing(info, options, note, ("shifts",))
    rungs = choose_rungs(need_of(net, options.segment_s), options.device, options.batch_segments, note)
    separator = BidirectionalSeparator(
        net,
        rungs,
        overlap=options.overlap,
        segment_s=options.segment_s,
        allow_tf32=options.allow_tf32,
        note=note,
    )
    return loaded_on_rungs(separator, sha256, options, segment_s=(separator.segment_s,))
