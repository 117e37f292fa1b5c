"""The DAW that the stem and bus controls reach: one thread talks to it, so that a slow DAW never stops the daemon.

Only the newest value of each control waits for its turn. A flood of fader moves therefore costs the DAW no more than it
can follow, and nothing piles up.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from daw_bridge.control.commands import StripKind
from daw_bridge.errors import DawBridgeError, DawError, did_you_mean
from daw_bridge.mixer import MixerChange, MixerChannel, MixerControl, MixerParameter

_log = logging.getLogger(__name__)

MAX_KNOWN_VALUES = 4096
POLL_S = 0.1
"""How often the DAW is looked at, where it does not report by itself."""
SAME_VALUE = 0.1
"""dB within which a value that was set is taken for the one that the DAW reported; 0 and 1 are farther apart."""
PROVES_VALUE = 0.005
"""dB within which a report proves that the DAW took a value. Rounder reports are judged by the mixer itself."""

Key = tuple[str, MixerParameter]
Outcome = Callable[[DawBridgeError | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """Which buses a session has: stem -> labels of its bus, bus name -> labels, the best first."""

    stems: Mapping[str, tuple[str, ...]]
    buses: Mapping[str, tuple[str, ...]]

    def strips(self) -> Iterator[tuple[StripKind, str]]:
        """All that it knows, as surfaces call it."""
        for stem in self.stems:
            yield "stem", stem
        for bus in self.buses:
            yield "bus", bus


NO_ROUTES = Routes(stems={}, buses={})


def _plain(name: str) -> str:
    """For comparing: case, spaces and marks do not count."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()


def find_channel(kind: StripKind, name: str, channels: Sequence[MixerChannel], routes: Routes = NO_ROUTES) -> str:
    """The channel of the DAW that carries a stem or is a bus: a bus before a track, exact names before `NAME bus`.

    Raises DawError with the nearest name when there is none.
    """
    table = routes.stems if kind == "stem" else routes.buses
    wanted = [_plain(candidate) for candidate in (*table.get(name, ()), name)]
    ranked: list[tuple[bool, int, str]] = []
    for channel in channels:
        have = _plain(channel.name)
        for form_rank, form in enumerate(("{}", "{} bus", "bus {}")):
            for wish_rank, wish in enumerate(wanted):
                if have == form.format(wish):
                    ranked.append((channel.kind != "bus", 3 * wish_rank + form_rank, channel.name))
    if ranked:
        return min(ranked, key=lambda entry: entry[:2])[2]
    names = [channel.name for channel in channels]
    raise DawError(f"the DAW has no {kind} called {name!r}{did_you_mean(name, names)}; it has: {', '.join(names[:20])}")


class MixerBinding:
    """A connected mixer with its thread; all methods are called on the loop."""

    def __init__(
        self,
        mixer: MixerControl,
        loop: asyncio.AbstractEventLoop,
        on_change: Callable[[MixerChange], None],
        routes: Routes = NO_ROUTES,
    ) -> None:
        self.mixer, self.routes = mixer, routes
        self.known: dict[Key, float] = {}
        self._loop, self._on_change = loop, on_change
        self._waiting: dict[Key, float] = {}
        self._asked: dict[Key, tuple[float, Outcome]] = {}
        self._condition = threading.Condition()
        self._closing = False
        mixer.on_change(self._from_daw)
        self._thread = threading.Thread(target=self._work, name="mixer", daemon=True)
        self._thread.start()

    def set(self, channel: str, parameter: MixerParameter, value: float, outcome: Outcome) -> None:
        """Ask for a value. `outcome` is called on the loop once the DAW confirmed it, or with the error."""
        key = (channel, parameter)
        replaced = self._asked.get(key)
        self._asked[key] = (value, outcome)
        with self._condition:
            self._waiting.pop(key, None)
            self._waiting[key] = value
            self._condition.notify()
        if replaced is not None:
            replaced[1](None)

    async def close(self) -> None:
        """Stop the thread and let go of the DAW. Who still waits for a value hears that it will not come."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, 20.0)
        asked, self._asked = self._asked, {}
        for _, outcome in asked.values():
            outcome(DawError("the DAW was let go of before it confirmed the value"))

    def _work(self) -> None:
        next_poll_s = 0.0
        while True:
            with self._condition:
                if not self._waiting and not self._closing:
                    self._condition.wait(max(0.0, next_poll_s - time.monotonic()))
                if self._closing:
                    break
                key = next(iter(self._waiting), None)
                value = self._waiting.pop(key) if key is not None else 0.0
            if key is not None:
                self._to_loop(self._ended, key, value, self._guarded(partial(self.mixer.set, *key, value)))
            if time.monotonic() >= next_poll_s:
                error = self._guarded(self.mixer.poll)
                if error is not None:
                    _log.debug("looking at %s: %s", self.mixer.name, error)
                next_poll_s = time.monotonic() + POLL_S
        self.mixer.close()

    def _guarded(self, call: Callable[[], None]) -> DawBridgeError | None:
        """The error of a call. This thread must live, whatever a DAW answers: nobody would start it again."""
        try:
            call()
        except DawBridgeError as exc:
            return exc
        except Exception as exc:  # noqa: BLE001  # the end of the thread, as `main` is that of the command line
            return DawError(f"{self.mixer.name}: unexpected {type(exc).__name__}: {exc}")
        return None

    def _from_daw(self, change: MixerChange) -> None:
        self._to_loop(self._note, change)

    def _ended(self, key: Key, value: float, error: DawBridgeError | None) -> None:
        """The mixer is done with a value; unless a report was faster, or another value was asked for meanwhile."""
        asked = self._asked.get(key)
        if asked is None or asked[0] != value:
            return
        del self._asked[key]
        known = self.known.get(key)
        if error is None and (known is None or abs(known - value) > SAME_VALUE):
            # Not every DAW reports what was set from outside: the others hear of it here.
            self._note(MixerChange(channel=key[0], parameter=key[1], value=value))
        asked[1](error)

    def _note(self, change: MixerChange) -> None:
        key = (change.channel, change.parameter)
        if key in self.known or len(self.known) < MAX_KNOWN_VALUES:
            self.known[key] = change.value
        self._on_change(change)
        asked = self._asked.get(key)
        if asked is not None and abs(asked[0] - change.value) <= PROVES_VALUE:
            # The DAW's own report is the proof: no need to wait until the mixer's thread has seen it too.
            del self._asked[key]
            asked[1](None)

    def _to_loop(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            pass  # the loop has ended: the daemon is stopping
