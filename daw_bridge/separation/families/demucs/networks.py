"""The Demucs networks made ready for inference: only the stems that are asked for, nothing computed twice.

The networks themselves come from the `demucs` package. Three changes leave the samples as they are (within rounding,
1.3e-7 measured on htdemucs) and save work: output channels of stems nobody asked for are cut off the last layers, the
positional embeddings of the transformer are computed once per shape, and replicas share their weights so that several
threads can run one network (`MultiWrap.forward` of demucs writes to itself while it runs).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs, MultiWrap
from demucs.htdemucs import HTDemucs
from demucs.transformer import CrossTransformerEncoder, create_2d_sin_embedding, create_sin_embedding
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from daw_bridge.errors import ModelError
from daw_bridge.separation.families.demucs.checkpoint import is_quantised
from daw_bridge.separation.families.demucs.cpu_layers import quicken
from daw_bridge.separation.families.demucs.quantised import restore

FAMILIES: dict[str, type[nn.Module]] = {
    "demucs.demucs.Demucs": Demucs,
    "demucs.hdemucs.HDemucs": HDemucs,
    "demucs.htdemucs.HTDemucs": HTDemucs,
}
"""The only classes that a checkpoint may name."""


class CachedTransformer(nn.Module):
    """demucs' `CrossTransformerEncoder.forward` with its positional embeddings kept from call to call."""

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.original = original
        self._embeddings: dict[tuple[object, ...], tuple[Tensor, Tensor]] = {}

    def _positions(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of the spectral branch (1, frames*frequencies, C) and of the time branch (1, samples, C)."""
        key = (*x.shape[1:], *xt.shape[1:], x.device)
        found = self._embeddings.get(key)
        if found is None:
            _, channels, frequencies, frames = x.shape
            period = self.original.max_period
            plane = create_2d_sin_embedding(channels, frequencies, frames, x.device, period)  # type: ignore[no-untyped-call]
            spectral = plane.permute(0, 3, 2, 1).reshape(1, frames * frequencies, channels)
            line = create_sin_embedding(xt.shape[-1], channels, device=x.device, max_period=period)
            found = spectral, line.permute(1, 0, 2)
            # Segments come in one or two shapes; anything else would be a leak.
            if len(self._embeddings) >= 4:
                self._embeddings.clear()
            self._embeddings[key] = found
        return found

    def forward(self, x: Tensor, xt: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches, x (batch, C, frequencies, frames) and xt (batch, C, samples), after all layers."""
        inner = self.original
        batch, channels, frequencies, frames = x.shape
        spectral, line = self._positions(x, xt)
        x = x.permute(0, 3, 2, 1).reshape(batch, frames * frequencies, channels)
        x = inner.norm_in(x) + inner.weight_pos_embed * spectral
        xt = inner.norm_in_t(xt.permute(0, 2, 1)) + inner.weight_pos_embed * line
        for index in range(inner.num_layers):
            if index % 2 == inner.classic_parity:
                x = inner.layers[index](x)
                xt = inner.layers_t[index](xt)
            else:
                x, xt = inner.layers[index](x, xt), inner.layers_t[index](xt, x)
        x = x.reshape(batch, frames, frequencies, channels).permute(0, 3, 2, 1)
        return x, xt.permute(0, 2, 1)


_LEAST_NUMBERS = 1000
_OVER = 1 << 23
_LONGEST_SEGMENT_S, _CHANNELS, _RATES_HZ = 600, (1, 2), (8_000, 192_000)
"""What a network of any checkpoint may say of itself; the published ones take 44 seconds at most, in stereo."""

_DRAWS = ("uniform_", "normal_")
"""Tensor methods behind those functions of torch.nn.init that do not ask a `TorchFunctionMode` themselves."""


class _Uninitialised(TorchFunctionMode):
    """Modules are built without random weights, which take seconds to draw: a checkpoint replaces them at once.

    (The `meta` device would import torch's whole compiler for one of the operations in demucs' constructors.) A network
    that asks for far more numbers than its checkpoint holds is given up: a file of 200 bytes can ask for any size.
    """

    def __init__(self, most_numbers: int) -> None:
        super().__init__()
        self._left = most_numbers

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init" or getattr(func, "__name__", "") in _DRAWS:
            return args[0] if args else (kwargs or {})["tensor"]
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor):  # an empty one takes no memory before it is written to
            self._left -= _LEAST_NUMBERS + made.numel()
            if self._left < 0:
                raise ValueError("it is far larger than its numbers")
        return made


@dataclass(slots=True)
class Network:
    """One Demucs network and the facts about it that the engine needs. `segment_s` is exact where it is a fraction."""

    module: nn.Module
    sources: tuple[str, ...]
    sample_rate_hz: int
    channels: int
    segment_s: float | Fraction

    @classmethod
    def of(cls, module: Any) -> Network:
        """From a module of the demucs package."""
        return cls(
            module.eval(),
            tuple(str(source) for source in module.sources),
            int(module.samplerate),
            int(module.audio_channels),
            module.segment,
        )

    @property
    def size_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.module.parameters())

    @property
    def is_transformer(self) -> bool:
        return isinstance(self.module, HTDemucs)

    def set_segment(self, segment_s: float) -> None:
        """A bag's own segment length, where the network allows it (demucs.apply.BagOfModels)."""
        if not (self.is_transformer and segment_s > self.segment_s):
            self.segment_s = segment_s
            setattr(self.module, "segment", segment_s)  # noqa: B010  (typed as a module's submodule otherwise)

    def segment_samples(self, wanted_s: float | None) -> int:
        """Length of a segment; ModelError when a transformer is asked for more than it was trained on."""
        if wanted_s is not None and self.is_transformer and wanted_s > self.segment_s:
            raise ModelError(
                f"a segment of {wanted_s:g} s is longer than this transformer was trained on; "
                f"use at most {float(self.segment_s):g}"
            )
        return int(self.sample_rate_hz * (self.segment_s if wanted_s is None else wanted_s))

    def input_samples(self, chunk_samples: int, wanted_s: float | None) -> int:
        """The input length that the network takes for a chunk, as `demucs.apply.apply_model` picks it."""
        if isinstance(self.module, HTDemucs) and wanted_s is not None:
            return int(wanted_s * self.sample_rate_hz)
        if isinstance(self.module, (HTDemucs, Demucs)):
            return int(self.module.valid_length(chunk_samples))
        return chunk_samples


def build_network(family: str, args: Sequence[Any], kwargs: dict[str, Any], state: dict[str, Any]) -> Network:
    """The network of a checkpoint, in evaluation mode, on the CPU; ModelError when the parts do not fit together."""
    network_class = FAMILIES.get(family)
    if network_class is None:
        raise ModelError(f"the checkpoint names the network {family!r}; daw-bridge knows {', '.join(FAMILIES)}")
    known = inspect.signature(network_class).parameters
    fitting = {key: value for key, value in kwargs.items() if key in known}
    try:
        with _Uninitialised(_most_numbers(state)):
            module = network_class(*args, **{**fitting, "rescale": 0}).float()
        if is_quantised(state):
            state = {**dict(module.named_buffers()), **restore(state, list(module.named_parameters()))}
        kinds = {key: tensor.dtype for key, tensor in module.state_dict().items()}
        tensors = {key: tensor.to(kinds[key]) if key in kinds else tensor for key, tensor in state.items()}
        if isinstance(module, Demucs):  # its own load_state_dict renames old keys, and knows no `assign`
            module.load_state_dict(tensors)
        else:
            module.load_state_dict(tensors, assign=True)  # in place of the empty ones: nothing is copied twice
        _require_usual(module)
    except (RuntimeError, TypeError, AssertionError, KeyError, ValueError, ArithmeticError, AttributeError) as exc:
        why = (str(exc).splitlines() or [type(exc).__name__])[0]
        raise ModelError(f"the checkpoint does not fit its network {family}: {why}") from exc
    return Network.of(module)


def _most_numbers(state: Any) -> int:
    """How many numbers a network of this state may be made of: quantised ones take one bit each at least."""

    def size_bytes(value: Any) -> int:
        if isinstance(value, Tensor):
            return value.numel() * value.element_size()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        return sum(map(size_bytes, inner))

    return _OVER + (32 if is_quantised(state) else 4) * size_bytes(state)


def _require_usual(module: Any) -> None:
    """ValueError for a network whose windows would be beyond all memory."""
    least_hz, most_hz = _RATES_HZ
    if not (
        module.audio_channels in _CHANNELS
        and least_hz <= module.samplerate <= most_hz
        and 0 < module.segment <= _LONGEST_SEGMENT_S
    ):
        raise ValueError("its rate, its channels or its segment are beyond those of any network")


def keep_sources(network: Network, kept: Sequence[int]) -> None:
    """Cut the network down to these of its sources: no output channel is computed that nobody asked for."""
    if list(kept) != list(range(len(network.sources))):
        outputs = _output_layers(network.module)
        if outputs is None:
            network.module = _Select(network.module, kept)
        else:
            for layer in outputs:
                _cut_layer(layer, len(network.sources), kept)
            setattr(network.module, "sources", [network.sources[index] for index in kept])  # noqa: B010
        network.sources = tuple(network.sources[index] for index in kept)


def _output_layers(module: Any) -> list[Any] | None:
    """The layers that give a network's outputs; None where its sources depend on one another."""
    if isinstance(module, Demucs):
        return [module.decoder[-1][-1]]
    # Wiener filtering (models with cac=False and wiener_iters >= 0) weighs the sources against each other.
    if not module.cac and module.wiener_iters >= 0:
        return None
    last = module.decoder[-1]
    outputs = [layer.conv_tr for layer in (last.layers if isinstance(last, MultiWrap) else [last])]
    if getattr(module, "hybrid", True):
        outputs.append(module.tdecoder[-1].conv_tr)
    return outputs


def _cut_layer(layer: Any, sources: int, kept: Sequence[int]) -> None:
    """Keep only the output channels of the kept sources in a transposed convolution."""
    each = layer.out_channels // sources
    index = torch.cat([torch.arange(source * each, (source + 1) * each) for source in kept])
    layer.weight = nn.Parameter(layer.weight.detach()[:, index].clone(), requires_grad=False)
    layer.bias = nn.Parameter(layer.bias.detach()[index].clone(), requires_grad=False)
    layer.out_channels = len(index)


class _Select(nn.Module):
    """Some of a network's sources, for networks that cannot be cut down."""

    def __init__(self, network: nn.Module, kept: Sequence[int]) -> None:
        super().__init__()
        self.network, self._kept = network, list(kept)

    def forward(self, mix: Tensor) -> Tensor:
        outputs: Tensor = self.network(mix)
        return outputs[:, self._kept]


def prepare(network: Network) -> None:
    """Cache the network's constants; ModelError for variants whose inference is random."""
    transformer = getattr(network.module, "crosstransformer", None)
    if isinstance(transformer, CrossTransformerEncoder):
        if any(getattr(layer, "auto_sparsity", False) for layer in [*transformer.layers, *transformer.layers_t]):
            raise ModelError("this network draws random sparse attention; its output could not be reproduced")
        if transformer.emb == "sin":
            setattr(network.module, "crosstransformer", CachedTransformer(transformer))  # noqa: B010
    if isinstance(network.module, (HTDemucs, HDemucs)):
        quicken(network.module)
    network.module.requires_grad_(requires_grad=False)
