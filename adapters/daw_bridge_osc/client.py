"""One DAW, driven through its profile: tracks by name, values confirmed by the DAW's own reports, failures explicit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from daw_bridge.errors import DawError, DawUnreachable, did_you_mean
from daw_bridge.mixer import MixerAddress, MixerChannel
from daw_bridge.osc import Message, OscValue
from daw_bridge_osc.compose import Clock, Place, Request, bank_messages, environment, mapping_of
from daw_bridge_osc.link import Link
from daw_bridge_osc.operations import Value
from daw_bridge_osc.profile import Confirm, Profile
from daw_bridge_osc.reports import Report, ReportReader
from daw_bridge_osc.roster import Roster

By = Literal["report", "answer", "known", "none"]
MAX_TOLD = 20_000
SETTLE_S = 0.15
"""Names have come in when nothing came for so long."""
ASK_AFTER_S = 0.06
"""Ask after this silence; DAWs report a change within about 20 ms."""


class Heard(NamedTuple):
    """A message as it came, with what it means."""

    message: Message
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an operation ended. `by` none: the DAW reports nothing for it, so it is only known to have been sent.

    `by` known: the DAW had reported this value before and says nothing now, as it does when nothing changes.
    """

    by: By
    elapsed_ms: float
    tries: int


class OscDaw:
    """A connected DAW. `do` is called from one thread; `listener` from the reading thread."""

    def __init__(
        self,
        profile: Profile,
        address: MixerAddress | None = None,
        *,
        clock: Clock | None = None,
        listener: Callable[[Report], None] | None = None,
    ) -> None:
        self.profile, self.clock = profile, clock or Clock()
        self.last_error = ""
        self._listener = listener
        self._heard = threading.Condition()
        self._inbox: list[Heard] = []
        self._inbox_open = False
        self._roster_lock = threading.Lock()
        self._reader, self._roster = ReportReader(profile), Roster(profile)
        self._stale = self._lost = False
        self._told: dict[tuple[str, int, OscValue, OscValue], OscValue] = {}
        self._shown_bank = 1
        self._anything_heard = False
        self._link = Link(profile.transport, address or MixerAddress(), self._receive)
        try:
            self._connect()
        except BaseException:
            self._link.close()
            raise

    # Connecting and tracks

    def _connect(self) -> None:
        """Say hello and learn the tracks, forgetting whatever was heard of an earlier run of the DAW."""
        self._anything_heard = False
        self._told.clear()
        with self._roster_lock:
            self._roster = Roster(self.profile)
        for _ in range(self.profile.transport.retries + 1):
            self._link.send([template.fill({}) for template in self.profile.hello])
            self.refresh()
            if self._anything_heard or not self.profile.hello:
                self._lost = False
                return
        raise DawUnreachable(
            f"{self.profile.title} does not answer at {self._link.where}; "
            "is it running with OSC on, and do the ports fit?"
        )

    def refresh(self) -> None:
        """Ask anew which tracks there are. Raises DawUnreachable when a list is asked for and none comes."""
        self._stale = False
        tracks = self.profile.tracks
        if tracks.list is not None:
            self._ask_list()
        elif tracks.bank is not None:
            self._page_through()
        elif tracks.names is not None:
            self._settle()
        watched = [template.fill({"track": place.number}) for place in self._places() for template in tracks.watch]
        if watched:
            self._link.send(watched)

    def refresh_if_changed(self) -> None:
        """`refresh`, when the DAW told that tracks came or went since the last time."""
        if self._stale:
            self.refresh()

    def _places(self) -> list[Place]:
        with self._roster_lock:
            return self._roster.places()

    def _ask_list(self) -> None:
        listing = self.profile.tracks.list
        assert listing is not None  # noqa: S101  # the caller looked
        for _ in range(self.profile.transport.retries + 1):
            fresh = Roster(self.profile)
            with self._collecting():
                self._link.send([listing.ask.fill({})])
                for heard in self._incoming(2 * self.profile.transport.timeout_ms / 1000.0):
                    if fresh.take_answer(heard.message):
                        with self._roster_lock:
                            self._roster = fresh
                        if fresh.sample_rate_hz:
                            self.clock = Clock(sample_rate_hz=fresh.sample_rate_hz, tempo_bpm=self.clock.tempo_bpm)
                        return
            if self._link.refused:
                break
        raise DawUnreachable(
            f"{self.profile.title} does not list its tracks at {self._link.where}; is it running with OSC on?"
        )

    def _page_through(self) -> None:
        """Look through all banks and come back to the first."""
        bank = self.profile.tracks.bank
        assert bank is not None  # noqa: S101  # the caller looked
        self._link.send([bank.previous.fill({})] * bank.pages)
        self._settle()
        with self._roster_lock:
            self._roster = Roster(self.profile)
        self._shown_bank = 1
        self._link.send([template.fill({}) for template in self.profile.hello])
        self._settle()
        while self._shown_bank < bank.pages:
            with self._roster_lock:
                if self._roster.count_in(self._shown_bank) < bank.size:
                    break
            self._scroll_to(self._shown_bank + 1)
        self._scroll_to(1)

    def _scroll_to(self, bank: int) -> None:
        """Show a bank, one page at a time: what is reported in between belongs to the pages in between."""
        while bank and bank != self._shown_bank:
            step = self._shown_bank + (1 if bank > self._shown_bank else -1)
            messages = bank_messages(self.profile, self._shown_bank, Place(number=0, bank=step))
            self._shown_bank = step
            with self._roster_lock:
                self._roster.bank = step
            self._link.send(messages)
            self._settle()

    def _settle(self) -> None:
        """Wait until nothing new comes."""
        with self._collecting():
            deadline = time.monotonic() + 2 * self.profile.transport.timeout_ms / 1000.0
            while time.monotonic() < deadline:
                if not any(True for _ in self._incoming(SETTLE_S)):
                    return

    @property
    def channels(self) -> tuple[MixerChannel, ...]:
        """The tracks that are known, in the DAW's order; `refresh_if_changed` asks for more."""
        with self._roster_lock:
            return self._roster.channels()

    def track_at(self, number: int, bank: int) -> str | None:
        """The name of the track with that number on the wire in a bank (0 where there are none)."""
        with self._roster_lock:
            return self._roster.name_at(number, bank)

    def _place(self, track: Value) -> Place:
        self.refresh_if_changed()
        with self._roster_lock:
            place = self._roster.find(track)
            if place is None:
                names = [channel.name for channel in self._roster.channels()]
                hint = did_you_mean(str(track), names)
                raise DawError(f"{self.profile.title} has no track {track!r}{hint}; it has: {', '.join(names[:20])}")
        return place

    # Doing

    def do(self, operation: str, **values: Value) -> Outcome:
        """Carry out one operation and wait for its confirmation.

        Raises DawError when the DAW cannot do it or reports something else, DawUnreachable when it stays silent.
        """
        request = Request(operation=operation, values=values)
        mapping = mapping_of(self.profile, operation)
        if self._lost:
            self._connect()  # the DAW may have been started anew: it forgot us, and may have other tracks
        place = self._place(values["track"]) if "track" in values else None
        env = environment(self.profile, request, place, self.clock)
        messages = mapping.messages(env)
        if place is not None:
            self._scroll_to(place.bank)
        started_s = time.monotonic()
        self.last_error = ""
        if mapping.confirm is None:
            self._link.send(messages, pause_ms=mapping.pause_ms)
            return Outcome(by="none", elapsed_ms=1000.0 * (time.monotonic() - started_s), tries=1)
        got: OscValue = None
        for attempt in range(1, self.profile.transport.retries + 2):
            is_known = self._has_told(operation, mapping.confirm, env, place)
            with self._collecting():
                self._link.send(messages, pause_ms=mapping.pause_ms)
                by, found = self._confirmed(operation, mapping.confirm, env, is_known=is_known)
            if by is not None:
                return Outcome(by=by, elapsed_ms=1000.0 * (time.monotonic() - started_s), tries=attempt)
            got = found if found is not None else got
        tries = self.profile.transport.retries + 1
        if self.last_error:
            raise DawError(f"{request}: {self.profile.title} says: {self.last_error}")
        if got is not None:
            raise DawError(f"{request}: {self.profile.title} reports {got!r} instead, after {tries} tries")
        self._lost = True
        raise DawUnreachable(f"{request}: no confirmation from {self.profile.title} after {tries} tries")

    def _confirmed(
        self, operation: str, confirm: Confirm, env: dict[str, Value], *, is_known: bool
    ) -> tuple[By | None, OscValue]:
        """Wait for the report; when none comes ask, and wait for the answer."""
        timeout_s = self.profile.transport.timeout_ms / 1000.0
        # A value that is as it was changes nothing, and nothing is reported: do not wait long for it.
        patience_s = timeout_s if confirm.ask is None and not is_known else min(timeout_s, ASK_AFTER_S)
        fits, got = self._wait_for(operation, env, confirm.tolerance, patience_s)
        if fits:
            return "report", got
        if confirm.ask is not None:
            self._link.send([confirm.ask.fill(env)])
            tolerance = confirm.tolerance if confirm.ask_tolerance is None else confirm.ask_tolerance
            wanted = env.get("value")
            if isinstance(wanted, (int, float)):
                tolerance += abs(wanted) * confirm.ask_tolerance_percent / 100.0
            is_answer = confirm.answer is not None
            fits, answered = self._wait_for(operation, env, tolerance, timeout_s, is_answer=is_answer)
            if fits:
                return "answer", answered
            got = answered if answered is not None else got
        elif is_known and got is None:
            return "known", got
        return None, got

    def _has_told(self, operation: str, confirm: Confirm, env: dict[str, Value], place: Place | None) -> bool:
        """Whether the last report of this value was the wanted one already."""
        bank = place.bank if place is not None else 0
        told = self._told.get((operation, bank, env.get("track"), env.get("send")))
        return told is not None and _same(told, env.get("value"), confirm.tolerance)

    def _remember(self, report: Report) -> None:
        if report.is_answer or report.value is None:
            return
        key = (report.about, report.bank if report.track is not None else 0, report.track, report.send)
        if key in self._told or len(self._told) < MAX_TOLD:
            self._told[key] = report.value

    def _wait_for(
        self, operation: str, env: dict[str, Value], tolerance: float, timeout_s: float, *, is_answer: bool = False
    ) -> tuple[bool, OscValue]:
        got: OscValue = None
        for heard in self._incoming(timeout_s):
            for report in heard.reports:
                if (report.about, report.is_answer) != (operation, is_answer):
                    continue
                if report.track not in (None, env.get("track")) or report.send not in (None, env.get("send")):
                    continue
                got = report.value
                if _same(got, env.get("value"), tolerance):
                    return True, got
        return False, got

    # Listening

    def _receive(self, messages: list[Message]) -> None:
        for message in messages:
            self._anything_heard = True
            if message.address == self.profile.errors:
                self.last_error = " ".join(str(value) for value in message.arguments)[:300]
            if message.address == self.profile.tracks.changed and not message.arguments:
                self._stale = True
            with self._roster_lock:
                reports = self._reader.read(message, self._roster.shown_bank)
                for report in reports:
                    self._roster.take_report(report)
            for report in reports:
                self._remember(report)
            with self._heard:
                if self._inbox_open:
                    self._inbox.append(Heard(message, reports))
                    self._heard.notify()
            if self._listener is not None:
                for report in reports:
                    self._listener(report)

    def _collecting(self) -> _Collecting:
        return _Collecting(self)

    def open_inbox(self, is_open: bool) -> None:
        """Keep what comes in for the one who waits, and forget what came before."""
        with self._heard:
            self._inbox_open = is_open
            self._inbox.clear()

    def _incoming(self, timeout_s: float) -> _Incoming:
        return _Incoming(self._heard, self._inbox, timeout_s)

    def close(self) -> None:
        """Say goodbye and let go."""
        try:
            self._link.send([template.fill({}) for template in self.profile.goodbye])
        except DawUnreachable:
            pass
        self._link.close()


class _Collecting:
    def __init__(self, daw: OscDaw) -> None:
        self._daw = daw

    def __enter__(self) -> None:
        self._daw.open_inbox(True)

    def __exit__(self, *_reason: object) -> None:
        self._daw.open_inbox(False)


class _Incoming:
    """Messages as they come, until `timeout_s` have passed since the beginning."""

    def __init__(self, heard: threading.Condition, inbox: list[Heard], timeout_s: float) -> None:
        self._heard, self._inbox, self._deadline = heard, inbox, time.monotonic() + timeout_s

    def __iter__(self) -> _Incoming:
        return self

    def __next__(self) -> Heard:
        with self._heard:
            while not self._inbox:
                left_s = self._deadline - time.monotonic()
                if left_s <= 0 or not self._heard.wait(left_s):
                    raise StopIteration
            return self._inbox.pop(0)


def _same(got: OscValue, wanted: Value | None, tolerance: float) -> bool:
    if isinstance(got, (bool, int, float)) and isinstance(wanted, (bool, int, float)):
        # Numbers travel as 32-bit floats or rounded to whole ones.
        return abs(float(got) - float(wanted)) <= tolerance + 1e-6 * max(1.0, abs(float(wanted)))
    return got == wanted
