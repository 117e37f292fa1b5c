"""A family of community models: what RoFormer, SCNet and MDX23C have in common as families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from daw_bridge.errors import DeviceError, ModelError, UsageError, WeightsMissing
from daw_bridge.files import sha256_of_file
from daw_bridge.separation.families.community.settings import LEAST_OVERLAPS, Settings
from daw_bridge.separation.families.family import Loaded, Note, loaded_on_rungs
from daw_bridge.separation.families.store import checked_sha256, combined_sha256, weights_path
from daw_bridge.separation.model_info import ModelInfo, check_stems
from daw_bridge.separation.options import DEFAULT_OVERLAP, SeparationOptions, wanted_stems

if TYPE_CHECKING:
    from torch import nn

    from daw_bridge.separation.families.community.checkpoint import State
    from daw_bridge.separation.families.community.config import Config
    from daw_bridge.separation.families.download import Download


def _complement(info: ModelInfo, stems: tuple[str, ...] | None) -> str:
    """What the mix less the model's one stem is called, when that is what is separated."""
    return info.complement if len(info.stems) == 1 and (stems is None or stems == info.stems) else ""


class CommunityFamily:
    """See `Family`. A subclass gives the rows, how each is run, and how its network is read and built."""

    models: tuple[ModelInfo, ...] = ()
    settings: ClassVar[Mapping[str, Settings[Any]]] = {}
    heavy_import = "torch"
    broken_on: ClassVar[Mapping[str, str]] = {}
    """Device -> why the network must not run there."""

    def read(self, config: Config) -> Settings[Any]:
        """How to run the network of a YAML config. Raises TemplateError, ModelError."""
        raise NotImplementedError

    def build(self, settings: Settings[Any], state: State) -> nn.Module:
        """The network, on the device that torch has as its default. `state` tells what a config leaves open."""
        raise NotImplementedError

    def make_ready(self, network: nn.Module) -> None:
        """Change a network with its weights into the form that computes."""

    def activations_gb(self, settings: Settings[Any], stems: int) -> float:
        """Peak of one chunk's activations."""
        raise NotImplementedError

    def fitting_chunk(self, settings: Settings[Any], samples: int) -> int:
        """The nearest chunk length that the network can take."""
        del settings
        return samples

    def present(self, info: ModelInfo, home: Path | None = None) -> bool:
        try:
            return self._checkpoint(info, None, home=home).is_file()
        except ModelError:
            return False

    def fetch(self, info: ModelInfo, download: Download) -> None:
        if info.own_checkpoint:
            raise WeightsMissing(
                f"{info.own_checkpoint}: no such file; the model {info.name} was added with it, "
                f"add it again with 'daw-bridge models add {info.name}'"
            )
        from daw_bridge.separation.families.download import fetch_files

        fetch_files(info, download)

    def sha256(self, info: ModelInfo, options: SeparationOptions) -> str:
        path = self._checkpoint(info, options.weights)
        if not path.is_file():
            raise WeightsMissing(f"{path}: no such file; give the checkpoint of {info.name}")
        digest = checked_sha256(path)
        if not options.checkpoint and not options.weights and info.own_sha256 and digest != info.own_sha256:
            raise WeightsMissing(
                f"{path}: is another file than the one that the model {info.name} was added with (sha256 "
                f"{digest[:8]}..., it was {info.own_sha256[:8]}...); add it again with 'daw-bridge models add'"
            )
        if not info.own_config:
            return digest
        return combined_sha256([digest, sha256_of_file(Path(info.own_config))])

    def load(self, info: ModelInfo, options: SeparationOptions, note: Note) -> Loaded:
        from daw_bridge.separation.engine.devices import choose_rungs
        from daw_bridge.separation.engine.memory import GIB, Need
        from daw_bridge.separation.families.community.separator import CommunitySeparator

        settings = self.settings_of(info)
        stems = wanted_stems(options)
        check_stems(stems or (), info.name, settings.stems)
        kept = [index for index, name in enumerate(settings.stems) if stems is None or name in stems]
        chunks = self._chunks(settings, options, note)
        path = self._checkpoint(info, options.weights)
        digest = self.sha256(info, options)
        file_sha256 = "" if info.own_config else digest
        need = Need(
            weights_gb=path.stat().st_size / GIB,
            per_segment_gb=self.activations_gb(settings, len(kept)) * chunks.chunk_samples / settings.chunk_samples,
        )
        rungs = choose_rungs(need, self._device(options.device, note), options.batch_segments, note)
        network = self.network(settings, path, kept, sha256=file_sha256)
        if info.own_config:
            note(f"{path.name}: sha256 {checked_sha256(path)}")
        separator = CommunitySeparator(
            info.name,
            network,
            [settings.stems[index] for index in kept],
            chunks,
            rungs,
            sample_rate_hz=settings.sample_rate_hz,
            channels=settings.channels,
            allow_tf32=options.allow_tf32,
            note=note,
        )
        segment_s = chunks.chunk_samples / settings.sample_rate_hz
        loaded = loaded_on_rungs(
            separator, digest, options, segment_s=(segment_s,), complement=_complement(info, stems)
        )
        passes = chunks.overlaps * chunks.shifts / settings.overlaps
        return loaded if info.cpu_s_per_s is None else replace(loaded, cpu_s_per_s=passes * info.cpu_s_per_s)

    def settings_of(self, info: ModelInfo) -> Settings[Any]:
        """How a model of the catalog, or of the user's own, is run."""
        from daw_bridge.separation.families.community.config import read_config

        return self.read(read_config(Path(info.own_config))) if info.own_config else self.settings[info.name]

    def network(self, settings: Settings[Any], path: Path, kept: list[int], *, sha256: str = "") -> nn.Module:
        """The network of a checkpoint with only the wanted heads, ready to compute.

        Raises WeightsMissing, WeightsCorrupt, ModelError.
        """
        import torch

        from daw_bridge.separation.families.community.checkpoint import load_into, read_state

        state, _ = read_state(path, sha256=sha256)
        with torch.device("meta"):  # nothing is allocated for sizes that only a config claims
            network = self.build(settings, state)
        load_into(network, state, path)
        if len(kept) < len(settings.stems):
            network.keep_stems(kept)  # type: ignore[operator]
        self.make_ready(network)
        return network

    def _checkpoint(self, info: ModelInfo, given: Path | None, *, home: Path | None = None) -> Path:
        if given is not None:
            return given
        if info.own_checkpoint:
            return Path(info.own_checkpoint)
        return weights_path(info, home=home) / info.files[0].name

    def _chunks(self, settings: Settings[Any], options: SeparationOptions, note: Note) -> Any:
        from daw_bridge.separation.families.community.separator import Chunks, overlaps_for

        overlaps = settings.overlaps
        if options.overlap != DEFAULT_OVERLAP:
            overlaps = overlaps_for(options.overlap)
            note(f"overlap {options.overlap:g}: {overlaps} chunks hear each sample (its own: {settings.overlaps})")
        elif overlaps < LEAST_OVERLAPS:
            overlaps = LEAST_OVERLAPS
            note("the config lets chunks only touch, which clicks at every seam; two chunks hear each sample instead")
        chunk = settings.chunk_samples
        if options.segment_s is not None:
            chunk = self.fitting_chunk(settings, round(options.segment_s * settings.sample_rate_hz))
            note(
                f"segment {options.segment_s:g} s: chunks of {chunk / settings.sample_rate_hz:.2f} s "
                f"(the model was made for {settings.segment_s:.2f} s)"
            )
        if chunk // overlaps < 1 or chunk < 2 * self.least_chunk(settings):
            raise UsageError(f"chunks of {chunk} samples are too short for this network; ask for longer segments")
        if options.shifts > 1:
            note(f"shifts {options.shifts}: that many grids of chunks, evenly between each other, are averaged")
        return Chunks(
            chunk_samples=chunk, overlaps=overlaps, shifts=max(1, options.shifts), normalise=settings.normalise
        )

    def least_chunk(self, settings: Settings[Any]) -> int:
        """Half of the shortest chunk: the network's FFT."""
        return int(settings.network.fft_samples)

    def _device(self, device: str, note: Note) -> str:
        """The device that was asked for; refused, or for "auto" avoided, where the network computes wrongly."""
        if device in self.broken_on:
            raise DeviceError(f"device {device} is refused: {self.broken_on[device]}; use cpu or a CUDA device")
        if device == "auto" and "mps" in self.broken_on:
            import torch

            if torch.backends.mps.is_available() and not torch.cuda.is_available():
                note(f"computing on the CPU: on mps, {self.broken_on['mps']}")
                return "cpu"
        return device
