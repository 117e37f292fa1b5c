"""The quick layers give what the layers of the demucs package give, whatever their sizes, norms and inputs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from demucs.hdemucs import HDecLayer, HDemucs, HEncLayer
from demucs.htdemucs import HTDemucs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from daw_bridge.separation.families.demucs import cpu_layers
from tests.separation.tiny import TINY, tiny_module

TOLERANCE = 3e-6
"""Of the loudest value: float32 has 24 bits, and a layer sums some hundred products."""

PROPERTY = settings(max_examples=25, deadline=None, derandomize=True)
SIZES: dict[str, Any] = {
    "batch": st.integers(1, 3),
    "rows": st.integers(1, 9),
    "frames": st.integers(1, 40),
    "block": st.sampled_from([1, 200, 1 << 19]),
}


def encoder_layer(inputs: int, outputs: int, **settings: Any) -> Any:
    return HEncLayer(inputs, outputs, norm=False, dconv_kw={"compress": 4, "depth": 3}, **settings)


def decoder_layer(inputs: int, outputs: int, **settings: Any) -> Any:
    return HDecLayer(inputs, outputs, norm=False, dconv_kw={"compress": 4, "depth": 3}, **settings)


@pytest.fixture(autouse=True)
def _no_gradients() -> Any:
    with torch.inference_mode():
        yield


def loud(module: Any, seed: int) -> Any:
    """Norms and branches whose parameters all matter: the published ones are trained away from 1 and 0."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.GroupNorm):
            nn.init.normal_(part.weight, 1.0, 0.4)
            nn.init.normal_(part.bias, 0.0, 0.4)
        if type(part).__name__ == "LayerScale":
            nn.init.normal_(part.scale, 0.0, 0.7)
    return module.eval().requires_grad_(requires_grad=False)


def close(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    peak = float(theirs.abs().max())
    assert peak > 1e-3, "a silent layer would prove nothing"
    assert float((ours - theirs).abs().max()) <= TOLERANCE * max(1.0, peak)


@PROPERTY
@given(
    **SIZES,
    is_freq=st.booleans(),
    seed=st.integers(0, 9),
)
def test_encoders(batch: int, rows: int, frames: int, block: int, *, is_freq: bool, seed: int) -> None:
    """Both branches, cut into blocks of every kind."""
    layer = loud(encoder_layer(3, 8, freq=is_freq), seed)
    x = torch.randn(batch, 3, 4 * rows + 4, frames) if is_freq else torch.randn(batch, 3, frames + 4 * rows)
    before = x.clone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_layers, "_BLOCK_VALUES", block)
        close(cpu_layers.Encoder(layer)(x), layer(before))
    assert torch.equal(x, before)


@PROPERTY
@given(
    **SIZES,
    is_last=st.booleans(),
    seed=st.integers(0, 9),
)
def test_spectral_decoders(batch: int, rows: int, frames: int, block: int, *, is_last: bool, seed: int) -> None:
    """The seams between blocks of a transposed convolution, with and without its GELU."""
    layer = loud(decoder_layer(8, 6, last=is_last), seed)
    x, skip = torch.randn(2, batch, 8, rows, frames).unbind()
    kept = x.clone(), skip.clone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_layers, "_BLOCK_VALUES", block)
        close(cpu_layers.SpectralDecoder(layer)(x, skip, frames)[0], layer(*kept, frames)[0])
    assert torch.equal(x, kept[0])
    assert torch.equal(skip, kept[1])


@PROPERTY
@given(
    batch=SIZES["batch"],
    samples=st.integers(1, 200),
    block=SIZES["block"],
    cut=st.integers(0, 3),
)
def test_time_decoders(batch: int, samples: int, block: int, cut: int) -> None:
    """Lengths that were padded in the encoder are cut again."""
    layer = loud(decoder_layer(8, 6, freq=False), samples)
    x, skip = torch.randn(2, batch, 8, samples).unbind()
    kept = x.clone(), skip.clone()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu_layers, "_BLOCK_VALUES", block)
        close(cpu_layers.TimeDecoder(layer)(x, skip, 4 * samples - cut)[0], layer(*kept, 4 * samples - cut)[0])


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_a_folded_norm_keeps_its_digits(offset: float) -> None:
    """Means far from zero, and rows that are nearly constant: against float64, as near as the original."""
    layer = loud(encoder_layer(3, 16), 4)
    x = 0.01 * torch.randn(1, 3, 32, 50) + offset
    x[:, :, :8] = offset
    exact = copy.deepcopy(layer).double()(x.double())
    theirs = float((layer(x) - exact).abs().max())
    ours = float((cpu_layers.Encoder(layer)(x) - exact).abs().max())
    assert ours <= max(4 * theirs, 1e-6)


def test_winograd_equals_the_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against float64: small beside what separation does to a sound, and bit-equal from run to run."""
    if not torch.backends.nnpack.is_available():
        pytest.skip("this build of PyTorch has no NNPACK for this processor")
    conv = nn.Conv2d(24, 48, 3, 1, 1).requires_grad_(requires_grad=False)
    x = torch.randn(1, 24, 37, 53)
    exact = copy.deepcopy(conv).double()(x.double())
    quick = cpu_layers.WinogradConv2d(conv)
    error = (quick(x) - exact).pow(2).mean() / exact.pow(2).mean()
    assert error < 10 ** (-110 / 10)
    assert torch.equal(quick(x), quick(x))
    for scratch in (1, 500_000, 1_000_000):  # in blocks of 6 rows and more: the seams are not heard either
        monkeypatch.setattr(cpu_layers, "_SCRATCH_BYTES", scratch)
        assert (quick(x) - exact).pow(2).mean() / exact.pow(2).mean() < 10 ** (-110 / 10)
        assert float((quick(x) - exact).abs().max()) < 1e-4


def test_without_nnpack_the_convolution_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """On processors that NNPACK does not know."""
    monkeypatch.setattr(torch.backends.nnpack, "is_available", lambda: False)
    module: Any = tiny_module("htdemucs")
    mix = torch.randn(1, 2, 4000) * 0.2
    theirs = module(mix)
    cpu_layers.quicken(module)
    assert not any(isinstance(part, cpu_layers.WinogradConv2d) for part in module.modules())
    close(module(mix), theirs)


@pytest.mark.parametrize("kind", sorted(kind for kind, (klass, _) in TINY.items() if klass in (HTDemucs, HDemucs)))
def test_whole_networks(kind: str) -> None:
    """All layers without norms are replaced; those with an LSTM or attention stay, and the sum is the same."""
    module: Any = loud(tiny_module(kind), 7)
    mix = torch.randn(2, 2, 4000) * 0.2
    theirs = module(mix)
    cpu_layers.quicken(module)
    quick = [part for part in module.modules() if isinstance(part, (cpu_layers.Encoder, cpu_layers.SpectralDecoder))]
    assert len(quick) >= 4
    ours = module(mix)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= 1e-5 * max(1.0, float(theirs.abs().max()))


def test_other_devices_get_the_original() -> None:
    """A device that computes nothing stands for a GPU: only the original layer can run there."""
    encoder = cpu_layers.Encoder(loud(encoder_layer(3, 8), 0)).to("meta")
    assert encoder(torch.empty(1, 3, 16, 5, device="meta")).shape == (1, 8, 4, 5)
    original = loud(decoder_layer(8, 6), 0)
    original.rewrite = cpu_layers.WinogradConv2d(original.rewrite)
    decoder = cpu_layers.SpectralDecoder(original).to("meta")
    x = torch.empty(1, 8, 4, 5, device="meta")
    assert decoder(x, x, 5)[0].shape == (1, 6, 16, 5)
    time = cpu_layers.TimeDecoder(loud(decoder_layer(8, 6, freq=False), 0)).to("meta")
    x = torch.empty(1, 8, 20, device="meta")
    assert time(x, x, 78)[0].shape == (1, 6, 78)
