"""Where batches are computed: worker threads on the CPU, or a GPU with copies that overlap the computation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from queue import SimpleQueue

import torch
from torch import Tensor, nn

from daw_bridge.errors import DeviceError
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.engine.lanes import Lane
from daw_bridge.separation.engine.memory import Ladder, Rung
from daw_bridge.separation.engine.overlap_add import NormalisedMix, OutOfMemory, OverlapAdd, Pending
from daw_bridge.separation.engine.speed import kept_memory, one_thread, plain_attention

_SIGNS_OF_FULL_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "alloc_failed",
    "nnpack spatialconvolution_updateoutput failed",
)
"""The CPU's allocator in two wordings, the CUDA runtime, cuDNN, cuBLAS and cuFFT (..._ALLOC_FAILED), and NNPACK, which
says no more but fails for nothing else where it has run before."""


_BATCHES_BETWEEN_TRIMS = 32
"""Memory that came apart is returned so often: seldom enough to cost nothing, often enough not to grow with length."""


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether an error means that memory ran out, on whatever device."""
    if isinstance(exc, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(exc).lower()
    return isinstance(exc, RuntimeError) and any(sign in text for sign in _SIGNS_OF_FULL_MEMORY)


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Every way to say that memory ran out, as OutOfMemory."""
    try:
        yield
    except (RuntimeError, MemoryError) as exc:
        if is_out_of_memory(exc):
            raise OutOfMemory from exc
        raise


class _CpuPending:
    def __init__(self, future: Future[Tensor]) -> None:
        self._future = future

    def result(self) -> Tensor:
        with _memory_errors():
            return self._future.result()


class _CpuEngine:
    """Worker threads, each with its own replica of the networks (over shared weights) and one segment at a time."""

    device = torch.device("cpu")

    def __init__(self, networks: Sequence[nn.Module], rung: Rung) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(one_thread())
        self._pool = ThreadPoolExecutor(rung.workers, thread_name_prefix="separate")
        self._free: SimpleQueue[list[nn.Module]] = SimpleQueue()
        for worker in range(rung.workers):
            self._free.put(list(networks) if worker == 0 else [replica(network) for network in networks])
        self.in_flight = rung.workers + 1

    def submit(self, network: int, windows: Sequence[Tensor]) -> Pending:
        return _CpuPending(self._pool.submit(self._forward, network, windows))

    def _forward(self, network: int, windows: Sequence[Tensor]) -> Tensor:
        modules = self._free.get()
        try:
            with torch.inference_mode():
                return torch.cat([modules[network](window[None]) for window in windows])
        finally:
            self._free.put(modules)

    def collecting(self) -> AbstractContextManager[object]:
        return nullcontext()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._stack.close()


class _GpuPending:
    """An output on the device. On CUDA the collecting stream waits for it, not the host."""

    def __init__(self, output: Tensor, done: torch.cuda.Event | None, collecting: torch.cuda.Stream | None) -> None:
        self._output, self._done, self._collecting = output, done, collecting

    def result(self) -> Tensor:
        if self._collecting is not None and self._done is not None:
            self._collecting.wait_event(self._done)
            self._output.record_stream(self._collecting)
        return self._output


class _GpuEngine:
    """One device: the next batch is launched before the last one is awaited; input copies are pinned and async.

    On CUDA results are added up and fetched on a stream of their own, so that the card computes meanwhile.
    """

    in_flight = 2

    def __init__(self, networks: Sequence[nn.Module], rung: Rung) -> None:
        self.device = torch.device(rung.device)
        self._cuda = self.device.type == "cuda"
        self._collecting = torch.cuda.Stream(self.device) if self._cuda else None  # type: ignore[no-untyped-call]
        with _memory_errors():
            self._networks = [network.to(self.device) for network in networks]

    def submit(self, network: int, windows: Sequence[Tensor]) -> Pending:
        batch = torch.stack(list(windows))
        with _memory_errors(), torch.inference_mode():
            moved = (batch.pin_memory() if self._cuda else batch).to(self.device, non_blocking=self._cuda)
            output: Tensor = self._networks[network](moved)
        done = None
        if self._cuda:
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(torch.cuda.current_stream(self.device))
        return _GpuPending(output, done, self._collecting)

    def collecting(self) -> AbstractContextManager[object]:
        return nullcontext() if self._collecting is None else torch.cuda.stream(self._collecting)

    def close(self) -> None:
        for network in self._networks:
            network.to("cpu")
        if self._cuda:
            torch.cuda.empty_cache()


class LadderRunner:
    """The engine's `Runner`: computes on the ladder's rung, and on the next one when memory runs out."""

    def __init__(self, networks: Sequence[nn.Module], ladder: Ladder) -> None:
        self._networks = networks
        self._ladder = ladder
        self._engine = self._start()

    def _start(self) -> _CpuEngine | _GpuEngine:
        while True:
            try:
                rung = self._ladder.rung
                return _CpuEngine(self._networks, rung) if rung.device == "cpu" else _GpuEngine(self._networks, rung)
            except OutOfMemory:
                for network in self._networks:
                    network.to("cpu")
                self._ladder.step_down()

    @property
    def batch_segments(self) -> int:
        return self._ladder.rung.batch_segments

    @property
    def in_flight(self) -> int:
        return self._engine.in_flight

    @property
    def device(self) -> torch.device:
        return self._engine.device

    def submit(self, network: int, windows: Sequence[Tensor]) -> Pending:
        return self._engine.submit(network, windows)

    def collecting(self) -> AbstractContextManager[object]:
        return self._engine.collecting()

    def step_down(self) -> None:
        before = self._ladder.rung
        rung = self._ladder.step_down()
        if before.device == rung.device != "cpu":
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            return
        self._engine.close()
        self._engine = self._start()

    def close(self) -> None:
        self._engine.close()


def run_lanes(
    lanes: Sequence[Lane],
    mix: NormalisedMix,
    networks: Sequence[nn.Module],
    ladder: Ladder,
    *,
    stems: int,
    start_samples: int,
    emit: Callable[[Tensor], None],
    on_progress: OnProgress,
    cancel: CancelToken,
) -> None:
    """Run the engine from `start_samples` to the end of the mix, on the ladder's rung and on lower ones if it must.

    `emit` gets CPU tensors (stems, channels, n). Raises Cancelled, DeviceError when memory runs out for good.
    """
    total = mix.source.length_samples
    reached, batches = start_samples, 0
    if start_samples >= total:
        return

    def tick(position: int) -> None:
        nonlocal reached, batches
        reached, batches = max(reached, position), batches + 1
        if batches % _BATCHES_BETWEEN_TRIMS == 0:
            give_back()
        on_progress(Progress(stage="separate", done=reached, total=total))

    with ExitStack() as scope:
        scope.enter_context(plain_attention())
        give_back = scope.enter_context(kept_memory())
        runner = LadderRunner(networks, ladder)
        scope.callback(runner.close)
        try:
            engine = OverlapAdd(lanes, mix, runner, stems=stems, channels=mix.channels, start_samples=start_samples)
            engine.run(emit, tick, cancel)
        except (RuntimeError, MemoryError) as exc:
            if is_out_of_memory(exc):
                raise DeviceError(f"out of memory while adding up the segments ({exc})") from exc
            raise


def replica(module: nn.Module, made: dict[int, nn.Module] | None = None) -> nn.Module:
    """A second module over the same weights, for another thread: every module once more, no tensor."""
    made = {} if made is None else made
    twin = made.get(id(module))
    if twin is None:
        twin = made[id(module)] = copy.copy(module)
        children = {name: None if child is None else replica(child, made) for name, child in module._modules.items()}
        twin.__dict__["_modules"] = children
    return twin
