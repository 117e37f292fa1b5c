"""Run by test_every_step: does one piece of work in a forked child for each line on stdin, killed at its N-th step.

A step is a call that changes names on a disk or makes them last: rename, replace, unlink, rmdir, link, fsync, and each
statement of the ledger's and the queue's databases. The kill comes before the call, so that step N + 1 is the kill
after step N. Everything is imported before the first fork, and the model is a stand-in: hundreds of runs take seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import daw_bridge.workflow.batch as batch_module
import daw_bridge.workflow.ledger as ledger_module
from daw_bridge.audio import decode, guarded, reader
from daw_bridge.control.queue import jobs as jobs_module
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.registry import load_adapter
from daw_bridge.separation.engine.separator import Emit, SampleSource
from daw_bridge.separation.families.family import Loaded, Note
from daw_bridge.separation.families.loader import weights_sha256
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.workflow import BuildOptions, build, rebuild
from daw_bridge.workflow.finished import build_if_needed

FAST = BuildOptions(model="preview", template="neutral", device="cpu")
CALLS = ("rename", "replace", "unlink", "remove", "rmdir", "link", "fsync")


class Shares:
    """A separator that gives each stem a share of the mix, and nothing that takes time."""

    name, sources, sample_rate_hz, channels = "preview", ("drums", "bass", "other", "vocals"), 44_100, 2

    def run(
        self, source: SampleSource, emit: Emit, *, start_samples: int = 0, on_progress: OnProgress, cancel: CancelToken
    ) -> None:
        source.seek(start_samples)
        shares = np.array([0.5, 0.25, 0.125, 0.0625], np.float32)[:, None, None]
        while (block := source.read(2_000)).shape[1]:
            emit(block * shares)
            on_progress(Progress(stage="separate", done=1, total=source.length_samples))


def shares(options: SeparationOptions, _note: Note) -> Loaded:
    return Loaded(separator=Shares(), weights_sha256=weights_sha256(options))


class Steps:
    """Counts the steps of this process and ends it before one of them."""

    def __init__(self, kill_at: int) -> None:
        self._left, self._lock = kill_at, threading.Lock()
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name)))
        for module in (ledger_module, jobs_module):
            module.sqlite3 = _Counted(module.sqlite3, self.step)  # type: ignore[attr-defined]

    def step(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **kwargs: Any) -> Any:
            self.step()
            return call(*args, **kwargs)

        return stepped


class _Counted:
    """The module sqlite3, with connections that count each statement they run."""

    def __init__(self, module: Any, step: Callable[[], None]) -> None:
        self._module, self._step = module, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        connection = self._module.connect(*args, **kwargs)
        connection.set_trace_callback(lambda _statement: self._step())
        return connection


def work(order: dict[str, Any]) -> None:
    mix, folder = Path(order["mix"]), Path(order["folder"])
    options = replace(FAST, output=folder, **order.get("options", {}))
    match order["do"]:
        case "build":
            build(mix, options, load_model=shares)
        case "rebuild":
            rebuild(folder, template="band", daws=("reaper", "ardour"))
        case "batch":
            vars(batch_module)["ModelKeeper"] = lambda: shares
            ledger = ledger_module.Ledger(folder / "ledger.sqlite")
            songs = sorted(mix.glob("*.wav"))
            outcomes = batch_module.run_batch(songs, replace(options, daws=()), ledger)
            failed = [outcome.error for outcome in outcomes if outcome.error]
            if failed:
                raise SystemExit("; ".join(failed))
        case "job":
            store = jobs_module.JobStore(folder / "queue.sqlite")
            if not store.recent():
                store.add("build", {"path": str(mix)})
            store.recover()
            while (job := store.next_queued()) is not None:
                store.start(job)
                build_if_needed(mix, replace(options, output=folder / "song"), load_model=shares)
                store.finish(job, jobs_module.JobState.DONE, str(folder))
            store.close()


def main() -> None:
    torch.set_num_threads(1)
    vars(guarded).update(decode_to_reference=decode.decode_to_reference, probe=reader.probe)  # steps of this process
    for name in ("reaper", "ardour"):
        load_adapter(name)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.environ["DAW_BRIDGE_CACHE"] = order["cache"]
                Steps(int(order.get("kill_at", 0)))
                work(order)
                code = 0
            except BaseException as exc:  # noqa: BLE001  the parent shows it
                print(f"{type(exc).__name__}: {exc}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main()
