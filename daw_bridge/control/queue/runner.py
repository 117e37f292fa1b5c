"""Runs the queue, one job at a time (one process owns the GPU), each in a worker process of its own.

The command line is the interface: the job runs `daw-bridge build MIX --json --progress jsonl`, progress comes as JSON
lines on its standard error and the result as JSON on its standard output. A crash, an out-of-memory kill or a hang of a
job leaves the daemon as it was.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from daw_bridge.control.queue.jobs import Job, JobState, JobStore
from daw_bridge.errors import Busy, Cancelled, DawBridgeError
from daw_bridge.progress import percent_of_build

_log = logging.getLogger(__name__)

MAX_LINE_BYTES = 65_536
MAX_RESULT_BYTES = 1_048_576
BUSY_RETRIES = 3
BUSY_WAIT_S = 2.0
STOP_GRACE_S = 3.0

ArgvBuilder = Callable[[Job], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """How far a job is as a whole. `percent` never goes back; `eta_s` is -1 while unknown."""

    job: Job
    percent: float
    stage: str
    eta_s: float
    note: str


@dataclass(slots=True)
class _Meter:
    """Stage progress to percent of the whole job."""

    started_s: float = field(default_factory=time.monotonic)
    percent: float = 0.0

    def update(self, stage: str, done: float, total: float) -> tuple[float, float]:
        """Percent of the whole and the seconds that are left, -1 while unknown."""
        now = percent_of_build(stage, done, total)
        if now is not None:
            self.percent = max(self.percent, min(99.9, now))
        elapsed_s = time.monotonic() - self.started_s
        eta_s = elapsed_s * (100.0 - self.percent) / self.percent if self.percent > 1.0 and elapsed_s > 1.0 else -1.0
        return self.percent, eta_s


@dataclass(slots=True)
class _Output:
    """What a worker said: the tail of its messages and its result, both bounded."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    result: bytearray = field(default_factory=bytearray)


def cli_argv(job: Job) -> list[str]:
    """The command line of a job. Values come checked from the command table; paths are absolute."""
    argv = [sys.executable, "-m", "daw_bridge", job.command]
    flags = {
        "template": "--template",
        "daw": "--daw",
        "model": "--model",
        "stems": "--stems",
        "two_stems": "--two-stems",
    }
    for name, flag in flags.items():
        value = job.arguments.get(name)
        if value:
            argv += [f"{flag}={value}"]
    if job.command != "rebuild":
        argv.append("--if-needed")  # a daemon that died between a song's last step and its row asks for it again
    return [*argv, "--json", "--progress", "jsonl", "--", job.arguments["path"]]


class JobRunner:
    """Takes jobs from the store until it is stopped. Callbacks run on the loop and must not block.

    `check` raises a DawBridgeError for a job that may not be started any more.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        on_state: Callable[[Job], None],
        on_progress: Callable[[JobProgress], None],
        argv_of: ArgvBuilder = cli_argv,
        check: Callable[[Job], None] = lambda _job: None,
    ) -> None:
        self._store, self._argv_of, self._check = store, argv_of, check
        self._on_state, self._on_progress = on_state, on_progress
        self._wake = asyncio.Event()
        self._current: tuple[Job, asyncio.subprocess.Process] | None = None
        self._cancelled: set[int] = set()
        self._busy: dict[int, int] = {}
        self.last_progress: JobProgress | None = None

    @property
    def running(self) -> Job | None:
        """The job that runs now."""
        return self._current[0] if self._current else None

    def wake(self) -> None:
        """A job was added."""
        self._wake.set()

    def cancel(self, number: int) -> Job | None:
        """Cancel the job of that number, 0 for the running one; None when there is no such job that could be."""
        if number == 0 and self._current:
            number = self._current[0].number
        job = self._store.get(number)
        if job is None or job.state.final:
            return None
        if self._current and self._current[0].number == number:
            self._cancelled.add(number)
            self._order(self._current[1], b"cancel\n")
            return job
        return self._finish(job, JobState.CANCELLED, "cancelled before it began")

    async def run(self) -> None:
        """Work through the queue, for ever. When cancelled, the running job stays in the queue for the next start."""
        while True:
            self._wake.clear()
            job = self._store.next_queued()
            if job is None:
                await self._wake.wait()
                continue
            await self._run_job(job)

    async def _run_job(self, job: Job) -> None:
        job = self._store.start(job)
        self._on_state(job)
        output = _Output()
        try:
            self._check(job)
            argv = [sys.executable, "-m", "daw_bridge.control.queue.worker", *self._argv_of(job)]
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as exc:
            self._finish(job, JobState.FAILED, f"the worker cannot be started ({exc})")
            return
        except (DawBridgeError, KeyError, ValueError) as exc:
            said = exc if isinstance(exc, DawBridgeError) else f"the job's row is damaged ({exc}); add it again"
            self._finish(job, JobState.FAILED, str(said))
            return
        self._current = (job, process)
        try:
            await asyncio.gather(self._read_messages(process, job, output), _read_result(process, output))
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            self._store.requeue(job)
            raise
        finally:
            self._current, self.last_progress = None, None
        await self._conclude(job, code, output)

    async def _conclude(self, job: Job, code: int, output: _Output) -> None:
        asked = job.number in self._cancelled
        self._cancelled.discard(job.number)
        if code == 0:
            self._finish(job, JobState.DONE, _session_path(bytes(output.result)))
        elif asked or code == Cancelled.exit_code:
            self._finish(job, JobState.CANCELLED, "cancelled; add it again to continue")
        elif code == Busy.exit_code and self._busy.get(job.number, 0) < BUSY_RETRIES:
            self._busy[job.number] = self._busy.get(job.number, 0) + 1
            self._on_state(self._store.requeue(job))
            await asyncio.sleep(BUSY_WAIT_S)
        else:
            self._finish(job, JobState.FAILED, _reason(code, output))

    def _finish(self, job: Job, state: JobState, detail: str) -> Job:
        self._busy.pop(job.number, None)
        ended = self._store.finish(job, state, detail)
        self._on_state(ended)
        return ended

    @staticmethod
    def _order(process: asyncio.subprocess.Process, line: bytes) -> None:
        if process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(line)

    async def _read_messages(self, process: asyncio.subprocess.Process, job: Job, output: _Output) -> None:
        meter, pending, stored = _Meter(), bytearray(), 0.0
        stream = process.stderr
        while stream is not None and (chunk := await stream.read(MAX_LINE_BYTES)):
            pending += chunk
            *lines, rest = pending.split(b"\n")
            pending = bytearray(rest[-MAX_LINE_BYTES:])
            for line in lines:
                event = _event(bytes(line))
                if event is None:
                    output.tail.append(line.decode("utf-8", "replace").strip()[:500])
                    continue
                percent, eta_s = meter.update(event["stage"], event["done"], event["total"])
                self.last_progress = JobProgress(
                    job=job, percent=percent, stage=event["stage"], eta_s=eta_s, note=event["note"]
                )
                self._on_progress(self.last_progress)
            if time.monotonic() - stored > 1.0:
                stored = time.monotonic()
                self._store.note_percent(job.number, meter.percent)


async def _read_result(process: asyncio.subprocess.Process, output: _Output) -> None:
    while process.stdout is not None and (chunk := await process.stdout.read(65_536)):
        if len(output.result) < MAX_RESULT_BYTES:
            output.result += chunk


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close the worker's pipe, which ends its command; then make sure."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _event(line: bytes) -> dict[str, Any] | None:
    """A progress line as a checked dict, None for anything else."""
    if not line.startswith(b"{"):
        return None
    try:
        data = json.loads(line)
        return {
            "stage": str(data["stage"])[:40],
            "done": float(data["done"]),
            "total": float(data["total"]),
            "note": str(data.get("note", ""))[:200],
        }
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _session_path(result: bytes) -> str:
    """The path that a person wants: the session when there is one, else the song folder."""
    try:
        data = json.loads(result)
        sessions = data.get("sessions") or {}
        return "; ".join(str(path) for path in sessions.values()) or str(data.get("folder", ""))
    except (ValueError, AttributeError):
        return ""


def _reason(code: int, output: _Output) -> str:
    """One line on why a job failed."""
    said = [line.removeprefix("daw-bridge: ") for line in output.tail if line.startswith("daw-bridge: ")]
    last = said[-1] if said else next((line for line in reversed(output.tail) if line), "")
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        hint = "out of memory?" if number == 9 else "crashed"
        return f"the worker was killed by signal {number} ({hint})" + (f"; last message: {last}" if last else "")
    return last or f"the worker ended with code {code} and said nothing"
