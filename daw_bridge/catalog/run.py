"""A run over a catalog, or over a part of it: the songs without a commit, on the engine that was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, assert_never

from daw_bridge.catalog.dispatch import Crew, Dispatcher
from daw_bridge.catalog.ledger import RunLedger, latest_failures
from daw_bridge.catalog.local import LocalCrew, WorkerOrder
from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import Plan, PlannedSong, require_plan, shards_of, songs_to_do
from daw_bridge.catalog.store import Store
from daw_bridge.errors import UsageError
from daw_bridge.progress import CancelToken

Engine = Literal["local", "ray"]
StartCrew = Callable[[WorkerOrder, int], Crew]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """`part` I `of` N takes every N-th shard: one part a task of an array. `workers` is processes, each with a model.

    Songs that failed before are left out unless `retry_failed`. The last four are of the engine `ray` alone: see
    `daw_bridge.catalog.ray_engine.Cluster`.
    """

    engine: Engine = "local"
    workers: int = 1
    part: int | None = None
    of: int = 1
    device: str = "auto"
    deadline_s: float = 3600.0
    scratch: Path | None = None
    retry_failed: bool = False
    address: str | None = None
    gpus_per_worker: float | None = None
    cpus_per_worker: float = 1.0
    insecure_cluster: bool = False

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"workers {self.workers}: give 1 or more")
        if not self.deadline_s > 0:
            raise UsageError(f"deadline_s {self.deadline_s:g}: give the seconds that one song may take")
        of_ray = (self.address, self.gpus_per_worker, self.cpus_per_worker, self.insecure_cluster)
        if self.engine != "ray" and of_ray != (None, None, 1.0, False):
            raise UsageError("an address, GPUs or CPUs a worker, or an insecure cluster belong to the engine 'ray'")


def run_catalog(
    out: Store,
    options: RunOptions,
    *,
    on_outcome: Callable[[Outcome], None] = lambda _outcome: None,
    cancel: CancelToken | None = None,
    start_crew: StartCrew | None = None,
) -> Counter[str]:
    """Do what is left; how many songs ended how. The same call again goes on, after whatever ended this one.

    `start_crew` stands for the engine. Raises InputError (no plan), OutputError, CatalogStopped, Cancelled, and what an
    engine raises that cannot be used: AdapterMissing, DeviceError, UsageError.
    """
    plan = require_plan(out)
    shards = shards_of(plan, options.part, options.of)
    out.require_target()
    ledger = RunLedger(out)

    def note(outcome: Outcome) -> None:
        ledger.add(outcome)
        on_outcome(outcome)

    order = WorkerOrder(plan=plan, out_url=out.url, device=options.device, scratch=options.scratch)
    crew = (start_crew or _engine(options))(order, options.workers)
    try:
        dispatcher = Dispatcher(crew, note, deadline_s=options.deadline_s)
        return dispatcher.run(_left(out, plan, shards, retry_failed=options.retry_failed), cancel or CancelToken())
    finally:
        crew.close()
        ledger.flush()


def _engine(options: RunOptions) -> StartCrew:
    match options.engine:
        case "local":
            return LocalCrew
        case "ray":
            from daw_bridge.catalog.ray_engine import Cluster, RayCrew

            cluster = Cluster(
                address=options.address,
                gpus_per_actor=options.gpus_per_worker,
                cpus_per_actor=options.cpus_per_worker,
                insecure=options.insecure_cluster,
            )
            return partial(RayCrew, cluster=cluster)
        case _:
            assert_never(options.engine)


def _left(out: Store, plan: Plan, shards: range, *, retry_failed: bool) -> Iterator[PlannedSong]:
    set_aside = {} if retry_failed else latest_failures(out)
    return (song for song in songs_to_do(out, plan, shards) if song.key not in set_aside)
