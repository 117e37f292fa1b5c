"""A run over a catalog, or over a part of it: the songs without a commit, on the engine that was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daw_bridge.catalog.dispatch import Crew, Dispatcher
from daw_bridge.catalog.ledger import RunLedger, latest_failures
from daw_bridge.catalog.local import LocalCrew, WorkerOrder
from daw_bridge.catalog.plan import Plan, PlannedSong, require_plan, shards_of, songs_to_do
from daw_bridge.catalog.store import Store
from daw_bridge.catalog.worker import Outcome
from daw_bridge.errors import UsageError
from daw_bridge.progress import CancelToken

Engine = Literal["local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """`part` I `of` N takes every N-th shard: one part a task of an array. `workers` is processes, each with a model.

    Songs that failed before are left out unless `retry_failed`.
    """

    engine: Engine = "local"
    workers: int = 1
    part: int | None = None
    of: int = 1
    device: str = "auto"
    deadline_s: float = 3600.0
    scratch: Path | None = None
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"workers {self.workers}: give 1 or more")
        if not self.deadline_s > 0:
            raise UsageError(f"deadline_s {self.deadline_s:g}: give the seconds that one song may take")


def run_catalog(
    out: Store,
    options: RunOptions,
    *,
    on_outcome: Callable[[Outcome], None] = lambda _outcome: None,
    cancel: CancelToken | None = None,
    start_crew: Callable[[WorkerOrder, int], Crew] = LocalCrew,
) -> Counter[str]:
    """Do what is left; how many songs ended how. The same call again goes on, after whatever ended this one.

    Raises InputError (no plan), OutputError, CatalogStopped, Cancelled.
    """
    plan = require_plan(out)
    shards = shards_of(plan, options.part, options.of)
    out.require_target()
    ledger = RunLedger(out)

    def note(outcome: Outcome) -> None:
        ledger.add(outcome)
        on_outcome(outcome)

    order = WorkerOrder(plan=plan, out_url=out.url, device=options.device, scratch=options.scratch)
    crew = start_crew(order, options.workers)
    try:
        dispatcher = Dispatcher(crew, note, deadline_s=options.deadline_s)
        return dispatcher.run(_left(out, plan, shards, retry_failed=options.retry_failed), cancel or CancelToken())
    finally:
        crew.close()
        ledger.flush()


def _left(out: Store, plan: Plan, shards: range, *, retry_failed: bool) -> Iterator[PlannedSong]:
    set_aside = {} if retry_failed else latest_failures(out)
    return (song for song in songs_to_do(out, plan, shards) if song.key not in set_aside)
