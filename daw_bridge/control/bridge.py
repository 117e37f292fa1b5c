"""The daemon without its sockets: takes messages from any transport, answers them, tells the subscribers.

Everything runs on one loop and nothing here waits; jobs run in worker processes, the DAW has its own thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daw_bridge import __version__
from daw_bridge.control.commands import Invocation, parse
from daw_bridge.control.net.clients import Client, Subscribers
from daw_bridge.control.net.security import ERRORS_PER_S, AccessPolicy, Counters, MusicFolders, RateLimiter
from daw_bridge.control.queue.jobs import Job, JobState, JobStore
from daw_bridge.control.queue.runner import ArgvBuilder, JobProgress, JobRunner, cli_argv
from daw_bridge.control.queue.selection import CHOICES, Catalog, Choice, Selection, Selections
from daw_bridge.errors import DawBridgeError, InputError, UsageError
from daw_bridge.osc import Message, OscValue
from daw_bridge.units import clock

SAME_PRESS_S = 10.0
"""For so long every further "cancel what runs" of one host is taken for the same button, held or let go of."""
LONGEST_HOLD_S = 600.0
"""For so long a button may be held: its release may come as the same message as its press."""
LOWEST_PORT = 1024

_log = logging.getLogger(__name__)

Handler = Callable[[Invocation, Client], "tuple[OscValue, ...] | None"]
"""Returns what the reply says, or None when it answers later itself. Raises DawBridgeError."""

PROGRESS_STEP = 0.1
"""Percent that must have passed before the surfaces hear of progress again."""


@dataclass(slots=True)
class _ProgressGate:
    """Lets progress through when it moved or the stage changed."""

    job: int = 0
    percent: float = -1.0
    stage: str = ""

    def passes(self, event: JobProgress) -> bool:
        moved = event.percent - self.percent >= PROGRESS_STEP
        if event.job.number == self.job and event.stage == self.stage and not moved and not event.note:
            return False
        self.job, self.percent, self.stage = event.job.number, event.percent, event.stage
        return True


class Bridge:
    """Dispatch, replies, subscriptions, jobs and selections. Other parts add their handlers with `extend`."""

    def __init__(
        self,
        *,
        store: JobStore,
        music: MusicFolders,
        policy: AccessPolicy,
        catalog: Catalog,
        selection: Selection | None = None,
        argv_of: ArgvBuilder = cli_argv,
    ) -> None:
        self.store, self.music, self.policy, self.catalog = store, music, policy, catalog
        self.selections = Selections(store, catalog, selection or Selection())
        self.counters, self.subscribers = Counters(), Subscribers()
        self.runner = JobRunner(
            store,
            on_state=self._job_state,
            on_progress=self._job_progress,
            argv_of=argv_of,
            check=self._check_path,
        )
        self.reply_client: Callable[[Client, int], Client] = lambda client, _port: client
        self.snapshots: list[Callable[[], list[Message]]] = []
        self._errors, self._gate = RateLimiter(ERRORS_PER_S, ERRORS_PER_S), _ProgressGate()
        self.clock: Callable[[], float] = time.monotonic
        self._cancelled_s: dict[str, float] = {}
        self._held: set[str] = set()
        self._trusted: dict[str, None] = {}
        self._connected: set[str] = set()
        self._handlers: dict[str, Handler] = {
            "ping": lambda _call, _client: ("daw-bridge", __version__),
            "hello": self._hello,
            "subscribe": self._subscribe,
            "unsubscribe": lambda _call, client: (self.subscribers.remove_host(client.host),),
            "build": self._add_job,
            "separate": self._add_job,
            "rebuild": self._add_job,
            "cancel": self._cancel,
            "jobs": self._jobs,
            "template_list": lambda _call, _client: tuple(self.catalog.templates()),
            "template_select": lambda call, _client: self._select("template", call),
            "model_list": lambda _call, _client: tuple(self.catalog.models()),
            "model_select": lambda call, _client: self._select("model", call),
            "daw_select": lambda call, _client: self._select("daw", call),
            "stats": lambda _call, _client: (self.counters.text(),),
        }

    def extend(self, handlers: Mapping[str, Handler]) -> None:
        """Add the handlers of another part."""
        self._handlers.update(handlers)

    @property
    def handler_names(self) -> frozenset[str]:
        return frozenset(self._handlers)

    # Messages in, answers out

    def receive(self, message: Message, client: Client) -> None:
        """Carry out one message. Never raises; whatever is wrong becomes an `/dawbridge/error`."""
        self.counters.add("messages_in")
        try:
            call = parse(message.address, message.arguments)
        except DawBridgeError as exc:
            self.counters.add("messages_refused")
            self.error(client, message.address, _request_id(message), exc)
            return
        if call.released:
            self.counters.add("buttons_released")
            if call.command.handler == "cancel":
                self._held.discard(client.host)
            return
        name = call.command.handler
        if name not in ("hello", "ping") and self.is_stranger(client):
            self.counters.add("messages_without_token")
            wrong = UsageError("say the token first: /dawbridge/hello TOKEN")
            self.error(client, call.address, call.request_id, wrong)
            return
        self.subscribers.renew(client.host)
        try:
            answer = self._handlers[name](call, client)
        except DawBridgeError as exc:
            self.error(client, call.address, call.request_id, exc)
            return
        except Exception as exc:  # noqa: BLE001  one command's surprise must not end the daemon; it is logged and told
            _log.exception("%s failed", call.address)
            self.counters.add("handlers_failed")
            surprise = DawBridgeError(f"unexpected {type(exc).__name__}; the daemon's log has it, please report this")
            self.error(client, call.address, call.request_id, surprise)
            return
        if answer is not None:
            self.reply(client, call, *answer)

    def reply(self, client: Client, call: Invocation, *values: OscValue) -> None:
        """`/dawbridge/reply ID COMMAND VALUES...` to the sender and the UDP subscribers of its host."""
        self._answer(client, Message("/dawbridge/reply", (call.request_id, call.address, *values)))

    def error(self, client: Client, address: str, request_id: str, problem: DawBridgeError) -> None:
        """`/dawbridge/error ID COMMAND MESSAGE CODE`, at a bounded rate for each host."""
        if not self._errors.allows(client.host):
            self.counters.add("errors_not_sent")
            return
        values = (request_id, address[:200], str(problem)[:1000], problem.exit_code)
        self._answer(client, Message("/dawbridge/error", values))

    def _answer(self, client: Client, message: Message) -> None:
        client.send(message)
        if client.lasting:
            return  # a connection has its answer; only UDP clients may listen on another port than they send from
        for other in self.subscribers.of_host(client.host):
            if other.key != client.key and not other.lasting:
                other.send(message)

    def tell(self, message: Message) -> None:
        """To all subscribers."""
        self.subscribers.broadcast(message)

    # Who is there

    def arrived(self, client: Client) -> None:
        """A connection began that has to say the daemon's secret before its commands count, from this machine too."""
        if self.policy.local_secret:
            self._connected.add(client.key)

    def is_stranger(self, client: Client) -> bool:
        """Whether this peer has not yet said what it has to say."""
        asked = self.policy.needs_token(client.host) or client.key in self._connected
        return asked and not self._is_trusted(client)

    def _is_trusted(self, client: Client) -> bool:
        return client.key in self._trusted or (not client.lasting and client.host in self._trusted)

    def _hello(self, call: Invocation, client: Client) -> tuple[OscValue, ...]:
        asked = self.policy.needs_token(client.host) or client.key in self._connected
        if asked and not self.policy.token_matches(str(call.values["token"]), client.host):
            self.counters.add("wrong_tokens")
            raise UsageError("wrong token")
        if len(self._trusted) > 1000:
            self._trusted.pop(next(iter(self._trusted)))
        self._trusted[client.key if client.lasting else client.host] = None
        return ("daw-bridge", __version__)

    def gone(self, client: Client) -> None:
        """A connection ended."""
        self.subscribers.remove(client)
        self._trusted.pop(client.key, None)
        self._connected.discard(client.key)

    def _subscribe(self, call: Invocation, client: Client) -> tuple[OscValue, ...]:
        port = int(call.values.get("port", 0))
        if 0 < port < LOWEST_PORT:
            raise UsageError(f"port {port} belongs to the system; give one from {LOWEST_PORT} on, or 0 for your own")
        target = self.reply_client(client, port)
        self.subscribers.add(target)
        messages = [_state_message(job) for job in reversed(self.store.recent(10)) if not job.state.final]
        messages += self._surface_messages()
        for snapshot in self.snapshots:
            messages += snapshot()
        for message in messages:
            target.send(message)
        return ("subscribed", len(self.subscribers))

    # Jobs

    def _add_job(self, call: Invocation, _client: Client) -> tuple[OscValue, ...]:
        name = call.command.handler
        kind: Literal["file", "folder"] = "folder" if name == "rebuild" else "file"
        path = self.music.resolve(str(call.values["folder" if name == "rebuild" else "mix"]), kind)
        arguments = {"path": str(path)}
        takes = [argument.name for argument in call.command.arguments]
        for choice in CHOICES:
            if choice in takes:
                chosen = self.catalog.checked(choice, str(call.values.get(choice, self.selections[choice])))
                arguments |= {choice: chosen} if chosen else {}
        if call.values.get("stems") and call.values.get("two_stems"):
            raise UsageError("stems and two_stems contradict each other; give one of them")
        arguments |= {key: str(call.values[key]) for key in ("stems", "two_stems") if key in call.values}
        asked = self._asked_already(name, arguments, call.request_id)
        if asked is not None:  # a button that sends the same on press and on release
            return (asked.number,)
        job = self.store.add(name, arguments, call.request_id)
        self._job_state(job)
        self.runner.wake()
        return (job.number,)

    def _asked_already(self, command: str, arguments: Mapping[str, str], request_id: str) -> Job | None:
        """The job that was asked for by just this message, while it waits or runs; another id is another wish."""
        wanted = (command, arguments, request_id)
        same = (job for job in self.store.recent(200) if (job.command, job.arguments, job.request_id) == wanted)
        return next((job for job in same if not job.state.final), None)

    def _check_path(self, job: Job) -> None:
        """InputError when what was queued has become a link, or has left the music folders, while it waited."""
        path = job.arguments["path"]
        kind: Literal["file", "folder"] = "folder" if job.command == "rebuild" else "file"
        if str(self.music.resolve(path, kind)) != path:
            raise InputError(f"{path}: leads elsewhere now; add it again")

    def _cancel(self, call: Invocation, client: Client) -> tuple[OscValue, ...]:
        number = int(call.values.get("job", 0))
        if not number:
            self._refuse_release(call, client)
        job = self.runner.cancel(number)
        if job is None:
            raise UsageError(f"job {number} is not waiting or running" if number else "no job is running")
        if not number:
            now = self.clock()
            self._cancelled_s = {host: at for host, at in self._cancelled_s.items() if now - at < LONGEST_HOLD_S}
            self._cancelled_s[client.host] = now
            self._held.add(client.host)
        return (job.number, "cancelling")

    def _refuse_release(self, call: Invocation, client: Client) -> None:
        """UsageError where "cancel what runs" may be the end of the press that cancelled a job.

        Many surfaces send the same message on press and on release, and the next song runs by then. So the first one
        behind a press counts as its release, however long the button was held. A button that says 1 and 0 is not in
        doubt, nor is a program that names its request.
        """
        since_s = self.clock() - self._cancelled_s.get(client.host, -LONGEST_HOLD_S)
        is_held = client.host in self._held and since_s < LONGEST_HOLD_S
        if since_s < SAME_PRESS_S:
            self._held.discard(client.host)
            raise UsageError(
                f"cancelled a job less than {SAME_PRESS_S:g} s ago; a button that is let go of cancels no second one, "
                "give the number of the job"
            )
        self._held.discard(client.host)
        if is_held and not call.pressed and not call.request_id:
            raise UsageError(
                f"taken for letting go of the button that cancelled a job {since_s:.0f} s ago; send it again, "
                "or with the number of the job"
            )

    def _jobs(self, call: Invocation, client: Client) -> tuple[OscValue, ...]:
        jobs = self.store.recent(int(call.values.get("limit", 20)))
        for job in jobs:
            self._answer(client, _state_message(job))
        return (len(jobs),)

    def _job_state(self, job: Job) -> None:
        self.counters.add(f"jobs_{job.state.value}")
        if job.state is JobState.DONE:
            self.tell(_progress_message(job, 100.0, "done", 0.0, ""))
        self.tell(_state_message(job))
        for message in self._surface_messages(job):
            self.tell(message)

    def _job_progress(self, event: JobProgress) -> None:
        if self._gate.passes(event):
            self.tell(_progress_message(event.job, event.percent, event.stage, event.eta_s, event.note))
            for message in self._surface_messages(event.job):
                self.tell(message)

    def _surface_messages(self, job: Job | None = None) -> list[Message]:
        """One value an address, as simple surfaces want it."""
        last = self.runner.last_progress
        current = job or self.runner.running
        percent, eta = 0.0, ""
        if current is not None and current.state is JobState.DONE:
            percent = 100.0
        elif last is not None:
            percent, eta = last.percent, f"{clock(last.eta_s)} left" if last.eta_s >= 0 else ""
        status = "idle" if current is None else f"job {current.number} {current.state.value}"
        if last is not None and current is not None and not current.state.final:
            status = f"job {current.number}: {last.stage}"
        return [
            Message("/dawbridge/surface/percent", (percent,), "f"),
            Message("/dawbridge/surface/status", (status,)),
            Message("/dawbridge/surface/eta", (eta,)),
            Message("/dawbridge/surface/selected", self.selections.all()),
        ]

    def _select(self, choice: Choice, call: Invocation) -> tuple[OscValue, ...]:
        self.selections.select(choice, str(call.values[choice]))
        for message in self._surface_messages():
            self.tell(message)
        return self.selections.all()


def _request_id(message: Message) -> str:
    last = message.arguments[-1] if message.arguments else None
    return last[1:101] if isinstance(last, str) and last.startswith("#") else ""


def _state_message(job: Job) -> Message:
    name = Path(job.arguments.get("path", "")).name
    values = (job.request_id, job.number, job.command, job.state.value, job.percent, job.detail, name)
    return Message("/dawbridge/state", values, "sissfss")


def _progress_message(job: Job, percent: float, stage: str, eta_s: float, note: str) -> Message:
    return Message("/dawbridge/progress", (job.request_id, job.number, percent, stage, eta_s, note), "sifsfs")
