"""BSRNN as a `Separator`: the published chunks, streamed in constant memory, resumable at any sample.

A variant is one network that gives all stems (SIMO) or one network per stem; either way only what is asked for is
computed. The mix is brought to a peak of 1 first, as the published program does, because the network's norms hear the
level of very quiet music; unlike there, the stems are brought back to the level of the mix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from daw_bridge.errors import ModelError
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.engine.devices import choose_rungs
from daw_bridge.separation.engine.memory import GIB, Ladder, Need, OnRungs, Rung
from daw_bridge.separation.engine.runners import is_out_of_memory
from daw_bridge.separation.engine.separator import Emit, SampleSource
from daw_bridge.separation.engine.speed import kept_memory, one_thread, strict_fp32
from daw_bridge.separation.families.bsrnn.checkpoint import load_network, weight_files
from daw_bridge.separation.families.bsrnn.chunks import Chunking, Fader, Span
from daw_bridge.separation.families.bsrnn.network import Bsrnn

Note = Callable[[str], None]

_READ_SAMPLES = 1 << 18


def load_bsrnn_separator(
    name: str,
    weights: Path,
    device: str = "cpu",
    *,
    stems: Sequence[str] | None = None,
    chunking: Chunking | None = None,
    batch_chunks: int | None = None,
    allow_tf32: bool = False,
    note: Note = lambda _text: None,
) -> BsrnnSeparator:
    """A BSRNN model from a file or a folder of `.ckpt` or `.safetensors` files.

    A folder holds one network for all stems, or one file per stem (`vocals.ckpt`, `bass.ckpt`, ...), of which only
    those of `stems` are loaded. `device` is "cpu", "cuda", "cuda:N" or "auto"; on a GPU several chunks are computed
    at once (the LSTMs of one leave most of it idle). `note` hears what a person should know.
    Raises WeightsMissing, WeightsCorrupt, ModelError, DeviceError.
    """
    networks = [load_network(path) for path in weight_files(weights, stems)]
    return BsrnnSeparator(
        name,
        networks,
        choose_rungs(_need(networks), device, batch_chunks, note),
        stems=stems,
        chunking=chunking or Fader(),
        allow_tf32=allow_tf32,
        note=note,
    )


def _need(networks: Sequence[Bsrnn]) -> Need:
    """Peak memory of one 12 s chunk: the widest tensors of a block (LSTM gates, channel exchange) for both channels."""
    weights = sum(4 * parameter.numel() for network in networks for parameter in network.parameters())
    frames = 12 * 44_100 // 512
    widest = max(
        network.config.channels
        * len(network.config.band_widths)
        * frames
        * 4
        * (12 * network.config.hidden + 4 * network.config.tac_features + 8 * network.config.features)
        for network in networks
    )
    return Need(weights_gb=weights / GIB, per_segment_gb=widest / GIB)


class BsrnnSeparator(OnRungs):
    """One or several networks as one model. `sources` are the stems that are asked for, in the published order."""

    def __init__(
        self,
        name: str,
        networks: Sequence[Bsrnn],
        rungs: Sequence[Rung],
        *,
        stems: Sequence[str] | None = None,
        chunking: Chunking | None = None,
        normalise: bool = True,
        allow_tf32: bool = False,
        note: Note = lambda _text: None,
    ) -> None:
        super().__init__(rungs)
        self.name = name
        self._networks = list(networks)
        self._chunking = chunking or Fader()
        self._normalise, self._allow_tf32, self._note = normalise, allow_tf32, note
        facts = {(network.config.sample_rate_hz, network.config.channels) for network in networks}
        targets = [target for network in networks for target in network.config.targets]
        if len(facts) != 1 or len(set(targets)) != len(targets):
            raise ModelError(f"{name}: its networks differ in rate or give the same stem twice ({', '.join(targets)})")
        self.sample_rate_hz, self.channels = facts.pop()
        wanted = [target for target in targets if stems is None or target in stems]
        if stems is not None and len(wanted) < len(set(stems)):
            unknown = ", ".join(sorted(set(stems) - set(targets)))
            raise ModelError(f"{name}: no weights for {unknown}; these give {', '.join(targets)}")
        self.sources = tuple(wanted)

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        """See `Separator.run`; the samples do not depend on `start_samples`."""
        length = source.length_samples
        if start_samples >= length:
            return
        with ExitStack() as scope:
            scope.enter_context(torch.inference_mode())
            scope.enter_context(strict_fp32(allow_tf32=self._allow_tf32))
            scope.enter_context(kept_memory())
            peak = self._peak(source, cancel) if self._normalise else 1.0
            if peak == 0.0:
                self._emit_silence(emit, length - start_samples)
                return
            computer = _Computer(self._networks, self.sources, Ladder(self.rungs, self._note))
            scope.callback(computer.close)
            run = _Run(source, peak, self._chunking.spans(length, self.sample_rate_hz), on_progress, cancel)
            for block in run.blocks(computer, start_samples):
                emit(block.numpy())
                cancel.check()

    def _peak(self, source: SampleSource, cancel: CancelToken) -> float:
        peak = 0.0
        source.seek(0)
        while (block := source.read(_READ_SAMPLES)).shape[1]:
            cancel.check()
            peak = max(peak, float(np.abs(block).max()))
        return peak

    def _emit_silence(self, emit: Emit, count: int) -> None:
        for begin in range(0, count, _READ_SAMPLES):
            size = min(_READ_SAMPLES, count - begin)
            emit(np.zeros((len(self.sources), self.channels, size), dtype=np.float32))


class _Computer:
    """The networks on a device; climbs down the ladder when memory runs out."""

    def __init__(self, networks: Sequence[Bsrnn], sources: Sequence[str], rungs: Ladder) -> None:
        self._networks = [network for network in networks if set(network.config.targets) & set(sources)]
        self._wanted = [
            [index for index, target in enumerate(network.config.targets) if target in sources]
            for network in self._networks
        ]
        self._ladder = rungs
        self.group = self._at_once
        self._place()

    @property
    def _at_once(self) -> int:
        """How many chunks are computed beside each other: a batch on a GPU, each alone on the CPU (see `Rung`)."""
        rung = self._ladder.rung
        return rung.workers if rung.device == "cpu" else rung.batch_segments

    def _place(self) -> None:
        while True:
            try:
                for network in self._networks:
                    network.to(self._ladder.rung.device)
                return
            except RuntimeError as exc:
                if not is_out_of_memory(exc):
                    raise
                self._step_down()

    def _step_down(self) -> None:
        self._ladder.step_down()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def stems(self, chunks: Sequence[Tensor], on_share: Callable[[float], None]) -> list[Tensor]:
        """For chunks (channels, samples) of one length, the wanted stems (stems, channels, samples) of each."""
        done: list[Tensor] = []
        while len(done) < len(chunks):
            batch = chunks[len(done) : len(done) + self._at_once]
            on_chunks = partial(_in_group, on_share, len(done), len(batch), len(chunks))
            try:
                done.extend(self._forward(batch, on_chunks))
            except (RuntimeError, MemoryError) as exc:
                if not is_out_of_memory(exc):
                    raise
                self._step_down()
                self._place()
        return done

    def _forward(self, chunks: Sequence[Tensor], on_share: Callable[[float], None]) -> list[Tensor]:
        if self._ladder.rung.device != "cpu":
            return list(self._outputs(torch.stack(list(chunks)), on_share))
        shares = [0.0] * len(chunks)

        def alone(index: int) -> Tensor:
            def show(share: float) -> None:
                shares[index] = share
                on_share(sum(shares) / len(shares))

            return self._outputs(chunks[index][None], show)[0]

        with one_thread(), ThreadPoolExecutor(len(chunks), thread_name_prefix="separate") as pool:
            return list(pool.map(alone, range(len(chunks))))

    def _outputs(self, batch: Tensor, on_share: Callable[[float], None]) -> Tensor:
        """Shape (batch, stems, channels, samples)."""
        outputs = []
        with torch.inference_mode():
            batch = batch.to(self._ladder.rung.device)
            for index, (network, wanted) in enumerate(zip(self._networks, self._wanted, strict=True)):
                on_step = partial(_in_network, on_share, index, len(self._networks))
                outputs.append(network(batch, on_step, wanted))
            return torch.cat(outputs, dim=1).cpu()

    def close(self) -> None:
        for network in self._networks:
            network.to("cpu")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _in_group(on_share: Callable[[float], None], before: int, size: int, total: int, share: float) -> None:
    """Pass on how far a batch is as how far its group of chunks is."""
    on_share((before + share * size) / total)


def _in_network(on_share: Callable[[float], None], index: int, networks: int, done: int, total: int) -> None:
    """Pass on how far one network is as how far all of them are."""
    on_share((index + done / total) / networks)


class _Run:
    """One pass over a mix: chunks in, weighted sums out as soon as they are final."""

    def __init__(
        self,
        source: SampleSource,
        peak: float,
        spans: Sequence[Span],
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        self._source, self._peak, self._spans = source, peak, spans
        self._on_progress, self._cancel = on_progress, cancel
        self._length = source.length_samples
        self._shown = 0

    def blocks(self, computer: _Computer, start: int) -> Iterator[Tensor]:
        """Stems of [start, length) in blocks (stems, channels, n)."""
        first = next(index for index, span in enumerate(self._spans) if span.end > start)
        self._shown = start
        sums: Tensor | None = None
        base = self._spans[first].start
        for group in self._groups(computer.group):
            if group[-1] < first:
                continue
            begun = max(start, self._spans[group[0]].start)
            ends = min(self._length, self._spans[group[-1]].end)
            chunks = [self._chunk(self._spans[index]) for index in group]
            outputs = computer.stems(chunks, partial(self._show_share, begun, ends))
            for index, output in zip(group, outputs, strict=True):
                if index < first:
                    continue
                span = self._spans[index]
                sums = _add(sums, span.weigh(output), span.start - base)
                final = self._spans[index + 1].start if index + 1 < len(self._spans) else self._length
                ready, sums = sums[..., : final - base], sums[..., final - base :]
                skip = min(max(0, start - base), ready.shape[-1])
                base = final
                if ready.shape[-1] > skip:
                    yield self._peak * ready[..., skip:].contiguous()
        self._show(self._length)

    def _groups(self, size: int) -> Iterator[list[int]]:
        """Chunks that are computed together: neighbours of one length, always the same ones wherever a run begins."""
        group: list[int] = []
        for index, span in enumerate(self._spans):
            if group and (len(group) == size or span.length != self._spans[group[0]].length):
                yield group
                group = []
            group.append(index)
        if group:
            yield group

    def _chunk(self, span: Span) -> Tensor:
        first, last = max(0, span.start), min(self._length, span.end)
        self._source.seek(first)
        samples = torch.from_numpy(np.ascontiguousarray(self._source.read(max(0, last - first))))
        if samples.shape[1] != max(0, last - first):
            raise EOFError(f"the mix ended {last - first - samples.shape[1]} samples early")
        return torch.nn.functional.pad(samples / self._peak, (first - span.start, span.end - last))

    def _show_share(self, begun: int, ends: int, share: float) -> None:
        self._show(begun + share * (ends - begun))

    def _show(self, position: float) -> None:
        self._cancel.check()
        self._shown = max(self._shown, min(self._length, int(position)))
        self._on_progress(Progress(stage="separate", done=self._shown, total=self._length))


def _add(sums: Tensor | None, part: Tensor, offset: int) -> Tensor:
    """`sums` with `part` added `offset` samples after its beginning, as long as needed."""
    if sums is None:
        return torch.nn.functional.pad(part, (offset, 0))
    missing = offset + part.shape[-1] - sums.shape[-1]
    sums = torch.nn.functional.pad(sums, (0, max(0, missing)))
    sums[..., offset : offset + part.shape[-1]] += part
    return sums
