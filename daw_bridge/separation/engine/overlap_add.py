"""The streaming overlap-add engine: segments in, stems out, in order, in constant memory, resumable anywhere.

It computes what `demucs.apply.apply_model(split=True)` of demucs 4.1 computes: segments of L samples every
`stride = int((1 - overlap) * L)` samples, a triangular weight on each, and their weighted mean. What differs is that
nothing is held longer than the segments that still overlap it, that several segments are computed at once, and that a
run may begin at any sample: it recomputes the few segments that reach over it, adds them in the same order as an
uncut run, and so gives the identical samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from daw_bridge.progress import CancelToken
from daw_bridge.separation.engine.lanes import Lane, LaneState, Member
from daw_bridge.separation.engine.separator import SampleSource


class OutOfMemory(Exception):
    """What a `Runner` raises (from submit or result) when a batch does not fit; the engine asks it to step down."""


class Pending(Protocol):
    """A batch under way."""

    def result(self) -> Tensor:
        """Shape (batch, stems of the member, channels, samples), on the runner's device; raises OutOfMemory."""
        ...


class Runner(Protocol):
    """Computes batches of segments somewhere; may shrink when memory runs out."""

    @property
    def batch_segments(self) -> int: ...

    @property
    def in_flight(self) -> int:
        """How many batches are worth having under way at once."""
        ...

    @property
    def device(self) -> torch.device:
        """Where results lie."""
        ...

    def submit(self, network: int, windows: Sequence[Tensor]) -> Pending:
        """Start one network on windows of equal shape (channels, samples)."""
        ...

    def collecting(self) -> AbstractContextManager[object]:
        """The scope in which results are added up, beside what is being computed."""
        ...

    def step_down(self) -> None:
        """Use less memory from now on; DeviceError when there is nothing left to give up."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedMix:
    """Windows of `(mix - mean) / deviation`, zero outside the mix, from a source that can seek."""

    source: SampleSource
    channels: int
    mean: float = 0.0
    deviation: float = 1.0

    def window(self, start: int, end: int) -> Tensor:
        """Samples [start, end) of the mix, shape (channels, end - start)."""
        first, last = max(0, start), min(self.source.length_samples, end)
        if last <= first:
            return torch.zeros(self.channels, end - start)
        self.source.seek(first)
        block = self.source.read(last - first)
        samples = torch.from_numpy(block if block.flags.writeable else block.copy())  # torch warns of what it may write
        if samples.shape[-1] != last - first:
            raise EOFError(f"the mix ended {last - first - samples.shape[-1]} samples early")
        samples = (samples - self.mean) / self.deviation
        return torch.nn.functional.pad(samples, (first - start, end - last))

    def mirrored(self, positions: Tensor) -> Tensor:
        """The samples at these positions, shape (channels, n), where the mix mirrors itself at both of its ends."""
        length = self.source.length_samples
        period = max(1, 2 * (length - 1))
        folded = positions.remainder(period)
        folded = torch.minimum(folded, period - folded)
        first = int(folded.min())
        return self.window(first, int(folded.max()) + 1)[:, folded - first]


@dataclass(slots=True, kw_only=True)
class _Job:
    """One network on one batch of segments; `closes` is the lane position that is final once this job is added."""

    lane: int
    member: int
    segments: tuple[int, ...]
    closes: int | None = None


class OverlapAdd:
    """One run of the engine. `emit` gets CPU tensors of shape (stems, channels, n), contiguous and in order."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        mix: NormalisedMix,
        runner: Runner,
        *,
        stems: int,
        channels: int,
        start_samples: int = 0,
    ) -> None:
        self._mix, self._runner = mix, runner
        self._length = mix.source.length_samples
        self._position = start_samples
        shape, batch = (stems, channels), runner.batch_segments
        with runner.collecting():
            self._states = [
                LaneState.at(lane, self._length, start_samples, batch, shape, runner.device) for lane in lanes
            ]
        self._waiting: deque[_Job] = deque()

    def run(self, emit: Callable[[Tensor], None], tick: Callable[[int], None], cancel: CancelToken) -> None:
        """Compute and emit everything from the start to the end; `tick` hears the mix position reached, in samples."""
        flying: deque[tuple[_Job, Pending]] = deque()
        while True:
            cancel.check()
            try:
                self._fill(flying)
                outputs = flying[0][1].result() if flying else None
                full = False
            except OutOfMemory:
                full = True  # backing off waits for the end of this block: the traceback still holds the tensors
            if full:
                self._back_off(flying)
                continue
            if outputs is None:
                break
            job, _ = flying.popleft()
            with self._runner.collecting():
                self._commit(job, outputs)
                self._emit_ready(emit)
            tick(self._reached())

    def _fill(self, flying: deque[tuple[_Job, Pending]]) -> None:
        while len(flying) < self._runner.in_flight:
            if not self._waiting and not self._plan_group():
                return
            job = self._waiting[0]
            state = self._states[job.lane]
            member = state.lane.members[job.member]
            windows = [self._window(state, member, segment) for segment in job.segments]
            flying.append((job, self._runner.submit(member.network, windows)))
            self._waiting.popleft()

    def _plan_group(self) -> bool:
        """Queue the jobs of the next batch, on the lane that lags behind; False when all is planned."""
        open_lanes = [index for index, state in enumerate(self._states) if not state.done]
        if not open_lanes:
            return False

        def mix_position(index: int) -> int:
            state = self._states[index]
            return state.offset(state.next_segment) - state.lane.lead_samples

        lane = min(open_lanes, key=mix_position)
        state = self._states[lane]
        group = state.next_group(self._runner.batch_segments)
        last = len(state.lane.members) - 1
        closes = min(state.offset(state.next_segment), state.length)
        self._waiting.extend(
            _Job(lane=lane, member=member, segments=group, closes=closes if member == last else None)
            for member in range(last + 1)
        )
        return True

    def _window(self, state: LaneState, member: Member, segment: int) -> Tensor:
        """The network's input: the chunk with the mix around it where the network wants more, zeros outside."""
        offset = state.offset(segment)
        count = min(state.lane.segment_samples, state.length - offset)
        if state.lane.fade_samples is not None:
            return self._mirrored_window(state, offset, count)
        wanted = member.input_samples(count)
        start = offset - (wanted - count) // 2 - state.lane.lead_samples
        return self._mix.window(start, start + wanted)

    def _mirrored_window(self, state: LaneState, offset: int, count: int) -> Tensor:
        """The whole segment by the community's rule (see `Lane`)."""
        lane = state.lane
        positions = torch.arange(offset, offset + lane.segment_samples)
        if count > lane.segment_samples // 2:
            end = 2 * (state.length - 1)
            return self._mix.mirrored(torch.minimum(positions, end - positions) - lane.lead_samples)
        window = self._mix.mirrored(positions[:count] - lane.lead_samples)
        return torch.nn.functional.pad(window, (0, lane.segment_samples - count))

    def _commit(self, job: _Job, outputs: Tensor) -> None:
        state = self._states[job.lane]
        member = state.lane.members[job.member]
        for segment, output in zip(job.segments, outputs, strict=True):
            state.add(member, segment, output, is_first=job.member == 0)
        if job.closes is not None:
            state.close(job.closes)

    def _back_off(self, flying: deque[tuple[_Job, Pending]]) -> None:
        """Out of memory: shrink, and do again what was under way, in smaller batches. What is finished stays."""
        again = [job for job, _ in flying]
        flying.clear()
        with self._runner.collecting():  # on a GPU, the stream that the sums are still being made on
            for state in self._states:
                state.move(torch.device("cpu"))
        self._runner.step_down()
        batch = self._runner.batch_segments
        self._waiting = deque(part for job in [*again, *self._waiting] for part in _split(job, batch))
        with self._runner.collecting():
            for state in self._states:
                state.move(self._runner.device)

    def _emit_ready(self, emit: Callable[[Tensor], None]) -> None:
        count = min(state.available for state in self._states)
        if count == 0:
            return
        total = self._states[0].take(count)
        for state in self._states[1:]:
            total = total + state.take(count)
        self._position += count
        emit(total.cpu())

    def _reached(self) -> int:
        """The mix position that is emitted, plus the share of the work that is done on what comes next."""
        if not self._waiting or self._waiting[0].member == 0:
            return self._position
        job = self._waiting[0]
        lane = self._states[job.lane].lane
        span = len(job.segments) * lane.stride_samples
        return min(self._length, self._position + span * job.member // len(lane.members))


def _split(job: _Job, batch: int) -> list[_Job]:
    """The job in parts of at most `batch` segments; only the last part closes the group."""
    pieces = [job.segments[index : index + batch] for index in range(0, len(job.segments), batch)]
    return [
        _Job(
            lane=job.lane,
            member=job.member,
            segments=piece,
            closes=job.closes if index == len(pieces) - 1 else None,
        )
        for index, piece in enumerate(pieces)
    ]
