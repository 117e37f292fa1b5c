"""Workers as actors of a Ray cluster, one loaded model each. Ray only hands out songs; the truth stays in storage.

The extra `ray` (Linux) brings it; only this module imports it. A cluster that takes commands from anybody who reaches
its ports is refused: without token mode, one HTTP request runs a shell command on it (CVE-2023-48022).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from daw_bridge.catalog.dispatch import Event
from daw_bridge.catalog.local import WorkerOrder
from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import PlannedSong
from daw_bridge.errors import AdapterMissing, DawBridgeError, DeviceError, UsageError
from daw_bridge.separation.engine.memory import SONGS_IN_FLIGHT

if TYPE_CHECKING:
    from daw_bridge.catalog.worker import SongWorker

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before Ray reads it: nothing is reported to anybody
os.environ.setdefault("RAY_task_events_report_interval_ms", "0")  # nor is a record kept of every call: it grows
try:
    import ray
    from ray.exceptions import OutOfMemoryError, RayActorError, RayError
except ImportError as exc:  # one line for a person; the extra is named
    raise AdapterMissing("the engine 'ray' needs the extra `ray` (Linux): pip install 'daw-bridge[ray]'") from exc

TESTED = (2, 60)
"""The version of the extra. Older ones know no tokens."""
_PATIENCE_S = 120.0
"""How long a song waits for the verdict whether its worker died alone or with its machine."""
_ASK_AGAIN_S = 0.5
_ASK_HEAD_S = 5.0
_HEAD_SILENT_S = 30.0
"""How long the head may not answer before the run ends. After 60 s Ray ends this process, in its own words."""
_OPEN_METHOD = "/ray.rpc.NodeInfoGcsService/CheckAlive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Where the actors run, and what each takes. No `address`: the cluster of RAY_ADDRESS, else one on this machine.

    `gpus_per_actor` below 1 shares a card (its memory is not divided); None takes a whole one where there is any.
    """

    address: str | None = None
    gpus_per_actor: float | None = None
    cpus_per_actor: float = 1.0
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.gpus_per_actor is not None and not self.gpus_per_actor >= 0:
            raise UsageError(f"gpus_per_actor {self.gpus_per_actor:g}: give 0 or more")
        if not self.cpus_per_actor > 0:
            raise UsageError(f"cpus_per_actor {self.cpus_per_actor:g}: give more than 0")


Row = list[Any]
"""Plain values, which Ray sends for a fraction of what an object costs the driver."""
_SONG = tuple(each.name for each in fields(PlannedSong))
_OUTCOME = tuple(each.name for each in fields(Outcome) if each.name != "song")


def _row(of: object, names: tuple[str, ...]) -> Row:
    return [getattr(of, name) for name in names]


def _named(names: tuple[str, ...], row: Row) -> dict[str, Any]:
    return dict(zip(names, row, strict=True))


class SongActor:
    """The process on a node."""

    def __init__(self, order: WorkerOrder) -> None:
        self._order = order
        self._worker: SongWorker | None = None

    def begin(self) -> tuple[str, int, str]:
        """The node, how many songs there is room for, and why there is none."""
        from daw_bridge.catalog.worker import SongWorker  # the driver itself separates nothing

        node = str(ray.get_runtime_context().get_node_id())
        order = self._order
        try:
            self._worker = self._worker or SongWorker(
                order.plan, order.out_url, device=order.device, scratch=order.scratch
            )
        except DawBridgeError as exc:
            return node, 0, f"{ray.util.get_node_ip_address()}: {exc}"
        return node, self._worker.room, ""

    def process(self, song: Row) -> Row:
        if self._worker is None:
            raise RuntimeError("begin() comes first")
        return _row(self._worker.process(PlannedSong(**_named(_SONG, song))), _OUTCOME)


@dataclass(slots=True)
class _Member:
    """One actor as the driver sees it. `beginning` is the answer that it is up, while that is awaited."""

    actor: Any
    beginning: Any = None
    node: str = ""
    lost_at_s: float | None = None
    lost_to: str = ""
    down_since_s: float = 0.0
    ask_at_s: float | None = None

    def begin(self) -> None:
        self.beginning, self.ask_at_s = self.actor.begin.remote(), None


@dataclass(slots=True)
class _Head:
    """The cluster's head, which is asked now and then whether it lives: Ray itself waits."""

    address: str
    asked_at_s: float = 0.0
    silent_since_s: float | None = None

    def require(self) -> None:
        """Raises DeviceError when it has not answered for too long."""
        now = time.monotonic()
        if now - self.asked_at_s < _ASK_HEAD_S:
            return
        self.asked_at_s = now
        if _answer_of(self.address) not in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
            self.silent_since_s = None
            return
        self.silent_since_s = self.silent_since_s or now
        if now - self.silent_since_s >= _HEAD_SILENT_S:
            raise DeviceError(
                f"the head of the Ray cluster {self.address} is gone; what is done is kept: start a cluster, and the "
                "same command does the rest"
            )


class RayCrew:
    """A crew of actors. One that dies is started again by Ray, on another node if need be."""

    def __init__(self, order: WorkerOrder, size: int, *, cluster: Cluster) -> None:
        """Raises AdapterMissing (version), UsageError (an open cluster), DeviceError (unreachable, no such GPU)."""
        _require_version()
        self._connect(cluster)
        try:
            gpus = _gpus_each(cluster)
        except DeviceError:
            self.close()
            raise
        device = "cuda" if gpus and order.device == "auto" else order.device  # never silently on the CPU
        kind = ray.remote(SongActor).options(
            num_cpus=cluster.cpus_per_actor,
            num_gpus=gpus,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=SONGS_IN_FLIGHT,
            scheduling_strategy="SPREAD",
        )
        actors = [kind.remote(replace(order, device=device)) for _ in range(size)]
        self._members = [_Member(actor, down_since_s=time.monotonic()) for actor in actors]
        for each in self._members:
            each.begin()
        self._songs: dict[Any, tuple[int, PlannedSong]] = {}

    @property
    def size(self) -> int:
        return len(self._members)

    def give(self, worker: int, song: PlannedSong) -> None:
        self._songs[self._members[worker].actor.process.remote(_row(song, _SONG))] = worker, song

    def wait(self, timeout_s: float) -> Sequence[Event]:
        self._head.require()
        now = time.monotonic()
        for member in self._members:
            if member.ask_at_s is not None and now >= member.ask_at_s:
                member.begin()
        beginning = {each.beginning: number for number, each in enumerate(self._members) if each.beginning is not None}
        awaited = [*self._songs, *beginning]
        doubt = any(each.lost_at_s is not None or each.ask_at_s is not None for each in self._members)
        timeout_s = min(timeout_s, _ASK_AGAIN_S) if doubt else timeout_s
        if not awaited:
            time.sleep(timeout_s)
            return self._verdicts()
        ready, _ = ray.wait(awaited, num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = ray.wait(awaited, num_returns=len(awaited), timeout=0)
        found = []
        for ref in ready:
            if (given := self._songs.pop(ref, None)) is not None:
                found += self._ended(*given, ref)
            elif ref in beginning and self._members[beginning[ref]].beginning is ref:
                found += self._began(beginning[ref], ref)
        return found + (self._verdicts() if doubt else [])

    def restart(self, worker: int) -> None:
        self._forget(worker)
        member = self._members[worker]
        member.lost_at_s = None
        with suppress(RayError):
            ray.kill(member.actor, no_restart=False)
        member.down_since_s = time.monotonic()
        member.begin()

    def close(self) -> None:
        ray.shutdown()  # ends the actors of this driver

    def _connect(self, cluster: Cluster) -> None:
        try:
            context = ray.init(
                address=cluster.address, log_to_driver=False, logging_level="error", configure_logging=False
            )
        except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as exc:
            where = cluster.address or os.environ.get("RAY_ADDRESS") or "on this machine"
            raise DeviceError(f"the Ray cluster {where} cannot be used: {_first_line(exc)}") from exc
        vars(ray._private.worker)["_worker_logs_enabled"] = False  # it prints what nodes say to the answer's stdout
        self._head = _Head(str(context.address_info["gcs_address"]), asked_at_s=time.monotonic())
        if not cluster.insecure and _answer_of(self._head.address) not in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            ray.shutdown()
            raise UsageError(
                f"the Ray cluster {self._head.address} takes commands from anybody who reaches it; start it with "
                "RAY_AUTH_MODE=token, or insist on an insecure cluster"
            )

    def _ended(self, worker: int, song: PlannedSong, ref: Any) -> list[Event]:
        member = self._members[worker]
        try:
            return [Event(worker, "ended", outcome=Outcome(song=song, **_named(_OUTCOME, ray.get(ref))))]
        except RayError as exc:
            self._forget(worker)
            member.down_since_s = time.monotonic()
            member.begin()
            if getattr(exc, "preempted", False):
                return [Event(worker, "node_gone")]
            member.lost_at_s, member.lost_to = time.monotonic(), _death(exc)
            return []

    def _began(self, worker: int, ref: Any) -> list[Event]:
        member = self._members[worker]
        member.beginning = None
        try:
            member_node, room, why = ray.get(ref)
        except RayError as exc:  # not up again yet, or it died on the way: one cannot be told from the other
            now = time.monotonic()
            member.ask_at_s = now + _ASK_AGAIN_S
            if now - member.down_since_s < _PATIENCE_S:
                return []
            member.down_since_s = now
            return [Event(worker, "unable", reason=f"it does not come up: {_first_line(exc)}")]
        # Up again before its node was found dead: it died alone, or was moved.
        events = [self._verdict(worker)] if member.lost_at_s is not None else []
        member.node = member_node
        if why:
            self.restart(worker)
            return [*events, Event(worker, "unable", reason=why)]
        return [*events, Event(worker, "ready", room=room)]

    def _verdicts(self) -> list[Event]:
        now = time.monotonic()
        dead = _dead_nodes()
        return [
            self._verdict(worker, dead)
            for worker, each in enumerate(self._members)
            if each.lost_at_s is not None and (each.node in dead or now - each.lost_at_s > _PATIENCE_S)
        ]

    def _verdict(self, worker: int, dead: set[str] | None = None) -> Event:
        member = self._members[worker]
        member.lost_at_s = None
        if member.node in (_dead_nodes() if dead is None else dead):
            return Event(worker, "node_gone")
        return Event(worker, "gone", reason=member.lost_to)

    def _forget(self, worker: int) -> None:
        """What a worker that is gone was doing is no longer awaited."""
        self._songs = {ref: given for ref, given in self._songs.items() if given[0] != worker}


def _require_version() -> None:
    found = tuple(int(part) for part in ray.__version__.split(".")[:2])
    if found != TESTED:
        raise AdapterMissing(
            f"Ray {ray.__version__} is installed, catalogs need {TESTED[0]}.{TESTED[1]}: pip install 'daw-bridge[ray]'"
        )


def _gpus_each(cluster: Cluster) -> float:
    there = float(ray.cluster_resources().get("GPU", 0.0))
    if cluster.gpus_per_actor is None:
        return 1.0 if there else 0.0
    if cluster.gpus_per_actor > there:
        raise DeviceError(
            f"{cluster.gpus_per_actor:g} GPUs a worker are asked for and the Ray cluster has {there:g}; add nodes with "
            "GPUs, or ask for 0 to compute on the CPUs"
        )
    return cluster.gpus_per_actor


def _death(exc: RayError) -> str:
    """Why a worker was lost with its songs, as far as the error knows."""
    if isinstance(exc, OutOfMemoryError):
        return "its worker was ended, since its node had no memory left; give more, or fewer workers a node"
    if isinstance(exc, RayActorError):
        return "its worker process died (a fault in a decoder, or memory)"
    return f"its worker was lost: {_first_line(exc)}"


def _dead_nodes() -> set[str]:
    return {str(node["NodeID"]) for node in ray.nodes() if not node["Alive"]}


def _answer_of(gcs_address: str) -> str:
    """How the head answers a caller without a token: asked, not believed."""
    import grpc

    with grpc.insecure_channel(gcs_address) as channel:
        try:
            channel.unary_unary(_OPEN_METHOD)(b"", timeout=10.0)
        except grpc.RpcError as exc:
            return str(exc.code().name)
    return "OK"


def _first_line(exc: BaseException) -> str:
    text = str(exc).strip() or type(exc).__name__
    return text.splitlines()[0][:300]
