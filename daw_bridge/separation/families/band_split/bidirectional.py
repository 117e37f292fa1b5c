"""The bidirectional sibling of the preview network: whole songs, segment by segment, never live.

It hears what comes after a frame as well as what came before, so it cannot stream; the overlap-add engine cuts the
song for it, as for Demucs. The network is `BandSplitNet` with `causal=False`, trained by the same recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from daw_bridge.progress import CancelToken, OnProgress
from daw_bridge.separation.engine.lanes import Lane, Member, stride_of
from daw_bridge.separation.engine.memory import GIB, Ladder, Need, OnRungs, Rung
from daw_bridge.separation.engine.overlap_add import NormalisedMix
from daw_bridge.separation.engine.runners import run_lanes
from daw_bridge.separation.engine.separator import Emit, SampleSource
from daw_bridge.separation.engine.speed import strict_fp32
from daw_bridge.separation.families.band_split.network import BandSplitNet
from daw_bridge.separation.families.band_split.stft import analyse, synthesise
from daw_bridge.separation.families.band_split.windows import asymmetric_windows

SEGMENT_S = 8.0
MEMORY_GB_PER_SECOND = 0.05
"""Peak of the activations for a second of sound, measured on the CPU with the default sizes and rounded up."""


class SegmentNet(nn.Module):
    """Waveforms in, stems out: (batch, 2, samples) -> (batch, sources, 2, samples)."""

    def __init__(self, net: BandSplitNet) -> None:
        super().__init__()
        self.net = net
        config = net.config
        analysis, synthesis = asymmetric_windows(config.window_samples, config.hop_samples)
        self.register_buffer("analysis", torch.from_numpy(analysis), persistent=False)
        self.register_buffer("synthesis", torch.from_numpy(synthesis), persistent=False)

    def forward(self, mix: Tensor) -> Tensor:
        window, hop = self.net.config.window_samples, self.net.config.hop_samples
        padded = nn.functional.pad(mix, (window - hop, 2 * hop))  # the first frame ends one hop into the mix
        spectra, _ = self.net(analyse(padded, self.get_buffer("analysis"), hop))
        return synthesise(spectra, self.get_buffer("synthesis"), window)[..., : mix.shape[-1]]


class BidirectionalSeparator(OnRungs):
    """A band-split network that looks ahead, as a `Separator`: exact length, stems that sum to the mix."""

    name = "preview-bidirectional"
    channels = 2

    def __init__(
        self,
        net: BandSplitNet,
        rungs: Sequence[Rung],
        *,
        overlap: float = 0.25,
        segment_s: float | None = None,
        allow_tf32: bool = False,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        super().__init__(rungs)
        self.sources = net.config.sources
        self.sample_rate_hz = net.config.sample_rate_hz
        self.segment_s = segment_s or SEGMENT_S
        segment = int(self.segment_s * self.sample_rate_hz)
        every = tuple(range(len(self.sources)))
        member = Member(network=0, stems=every, shares=(1.0,) * len(every), input_samples=lambda chunk: chunk)
        self._lane = Lane(segment_samples=segment, stride_samples=stride_of(segment, overlap), members=(member,))
        self._module = SegmentNet(net.eval())
        self._allow_tf32, self._note = allow_tf32, note

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        """See `Separator.run`."""
        with strict_fp32(allow_tf32=self._allow_tf32):
            run_lanes(
                [self._lane],
                NormalisedMix(source=source, channels=self.channels),
                [self._module],
                Ladder(self.rungs, self._note),
                stems=len(self.sources),
                start_samples=start_samples,
                emit=lambda block: emit(block.numpy()),
                on_progress=on_progress,
                cancel=cancel,
            )


def need_of(net: BandSplitNet, segment_s: float | None) -> Need:
    """What a run takes: the weights once, and the activations of each segment."""
    weights = sum(4 * parameter.numel() for parameter in net.parameters())
    return Need(weights_gb=weights / GIB, per_segment_gb=MEMORY_GB_PER_SECOND * (segment_s or SEGMENT_S))
