"""An open Ardour session, driven over OSC: strips, plug-in values, markers, transport. Every value is read back.

Switch it on in Ardour: Edit > Preferences > Control Surfaces > Open Sound Control (OSC). OSC cannot import audio,
create strips or insert plug-ins; the session file does that (`daw-bridge build --daw ardour`).

Ardour ignores what it does not know without a word, so a change counts only when Ardour reports the new value:
`DawError` otherwise. Strips are addressed by name; their numbers change when the user reorders the mixer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from daw_bridge.errors import DawError, DawUnreachable, did_you_mean
from daw_bridge.units import linear_to_db
from tests.ardour.osc_link import Argument, Message, OscLink

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 3819
_ALL_STRIPS = 31
_FEEDBACK = 1 + 2 + 16384  # buttons, values, answers under /reply
_KINDS: dict[str, Literal["track", "bus"]] = {"AT": "track", "MT": "track", "B": "bus", "MB": "bus"}


def _query_tolerance_db(gain_db: float) -> float:
    """A queried level comes from a fast logarithm: -4.0 dB reads -4.07, -60.0 dB reads -60.19."""
    return 0.1 + 0.0035 * abs(gain_db)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStrip:
    """One strip as Ardour lists it; `number` is only good until the mixer changes."""

    number: int
    name: str
    kind: Literal["track", "bus"]
    inputs: int
    outputs: int
    mute: bool
    solo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlugin:
    number: int
    name: str
    active: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveParameter:
    """One control of a plug-in, in the plug-in's own units."""

    number: int
    name: str
    minimum: float
    maximum: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSend:
    to: str
    number: int
    gain_db: float
    enabled: bool


class LiveArdour:
    """A connection to an open session; also a context manager."""

    def __init__(self, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, *, timeout_s: float = 2.0) -> None:
        """Connect. Raises DawUnreachable when no Ardour answers, AdapterMissing without the `osc` extra."""
        self._link = OscLink(host, port)
        self._timeout_s = timeout_s
        self.sample_rate_hz = 0
        try:
            self._link.send("/set_surface", 0, _ALL_STRIPS, _FEEDBACK, 0, 0, 0, 0, 0, 0)
            self.strips()
        except DawUnreachable:
            self._link.close()
            raise DawUnreachable(
                f"no Ardour answers at {self._link.name}; open the session and switch on "
                "Preferences > Control Surfaces > Open Sound Control (OSC)"
            ) from None

    def __enter__(self) -> LiveArdour:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the feedback and close the socket."""
        try:
            self._link.send("/set_surface", 0, 0, 0, 0, 0, 0, 0, 0, 0)
        except DawUnreachable:
            pass
        self._link.close()

    # --- what is there ---------------------------------------------------------------------------------------------

    def strips(self) -> tuple[LiveStrip, ...]:
        """All tracks and buses in mixer order, without the master."""
        self._link.forget()
        self._link.send("/strip/list")
        found: list[LiveStrip] = []
        while True:
            reply = self._link.wait_for(lambda message: message.address == "/reply", self._timeout_s)
            if reply is None:
                raise DawUnreachable(f"Ardour at {self._link.name} does not list its strips")
            if reply.arguments[0] == "end_route_list":
                self.sample_rate_hz = int(reply.arguments[1])
                return tuple(found)
            kind, name, inputs, outputs, mute, solo, number = reply.arguments[:7]
            if str(kind) in _KINDS:
                strip = LiveStrip(
                    number=int(number),
                    name=str(name),
                    kind=_KINDS[str(kind)],
                    inputs=int(inputs),
                    outputs=int(outputs),
                    mute=bool(mute),
                    solo=bool(solo),
                )
                found.append(strip)

    def strip(self, name: str) -> LiveStrip:
        """The strip of that name; DawError otherwise."""
        found = self.strips()
        for strip in found:
            if strip.name == name:
                return strip
        raise DawError(f"Ardour has no strip called {name!r}{did_you_mean(name, [strip.name for strip in found])}")

    def plugins(self, strip: str) -> tuple[LivePlugin, ...]:
        """The inserts of a strip in order."""
        number = self.strip(strip).number
        reply = self._ask("/strip/plugin/list", number)
        rows = [reply.arguments[at : at + 3] for at in range(1, len(reply.arguments) - 2, 3)]
        return tuple(LivePlugin(number=int(n), name=str(name), active=bool(on)) for n, name, on in rows)

    def parameters(self, strip: str, plugin: int) -> tuple[LiveParameter, ...]:
        """The controls of the strip's insert `plugin` (from 1)."""
        number = self.strip(strip).number
        self._link.forget()
        self._link.send("/strip/plugin/descriptor", number, plugin)
        found: list[LiveParameter] = []
        while True:
            reply = self._link.wait_for(
                lambda message: message.address.startswith("/strip/plugin/descriptor"), self._timeout_s
            )
            if reply is None:
                raise DawError(f"{strip}: Ardour shows no insert {plugin}; it has {len(self.plugins(strip))}")
            if reply.address.endswith("_end"):
                return tuple(found)
            head = reply.arguments
            # strip, insert, number, name, flags, type, low, high, format, count of named points, the points, value
            found.append(
                LiveParameter(
                    number=int(head[2]),
                    name=str(head[3]),
                    minimum=float(head[6]),
                    maximum=float(head[7]),
                    value=float(head[-1]),
                )
            )

    def sends(self, strip: str) -> tuple[LiveSend, ...]:
        """The aux sends of a strip; levels come from Ardour's fader law and are good to 0.1 dB."""
        reply = self._ask("/strip/sends", self.strip(strip).number)
        rows = [reply.arguments[at : at + 5] for at in range(1, len(reply.arguments) - 4, 5)]
        return tuple(
            LiveSend(to=str(name), number=int(number), gain_db=fader_to_db(float(fader)), enabled=bool(on))
            for _, name, number, fader, on in rows
        )

    # --- changes; each returns what Ardour reports -----------------------------------------------------------------

    def gain_db(self, strip: str) -> float:
        """What Ardour says of the fader when it is asked."""
        return float(self._ask("/strip/gain", self.strip(strip).number).arguments[-1])

    def set_gain(self, strip: str, gain_db: float) -> float:
        """Set a strip's fader in dB (up to +6)."""
        return self._set("/strip/gain", strip, float(gain_db), _query_tolerance_db(gain_db))

    def set_master_gain(self, gain_db: float) -> float:
        """Set the master's fader in dB."""
        self._link.send("/master/gain", float(gain_db))
        return self._until(
            lambda: float(self._ask("/master/gain").arguments[-1]),
            gain_db,
            _query_tolerance_db(gain_db),
            "the master's gain",
        )

    def set_pan(self, strip: str, pan: float) -> float:
        """Set a strip's balance, -1 left to 1 right. Ardour's OSC counts the other way round, from 1 to 0."""
        if not -1.0 <= pan <= 1.0:
            raise DawError(f"{strip}: a pan of {pan:g} is outside -1..1")
        return 1.0 - 2.0 * self._set("/strip/pan_stereo_position", strip, (1.0 - pan) / 2.0, 0.005)

    def set_mute(self, strip: str, on: bool) -> bool:
        return bool(self._set("/strip/mute", strip, int(on), 0.0))

    def set_solo(self, strip: str, on: bool) -> bool:
        return bool(self._set("/strip/solo", strip, int(on), 0.0))

    def rename(self, strip: str, name: str) -> str:
        """Rename a strip; the name that Ardour gave it, which differs when the wanted one is taken."""
        number = self.strip(strip).number
        self._link.send("/strip/name", number, name)
        end = time.monotonic() + self._timeout_s
        while time.monotonic() < end:
            now = next(found.name for found in self.strips() if found.number == number)
            if now == name or (now != strip and now.startswith(name)):
                return now
        raise DawError(f"{strip}: Ardour did not take the name {name!r}")

    def set_parameter(self, strip: str, plugin: int, parameter: str, value: float) -> float:
        """Set a control of insert `plugin` (from 1) by its name, in the plug-in's units; the value that it has now."""
        found = {control.name: control for control in self.parameters(strip, plugin)}
        if parameter not in found:
            raise DawError(f"{strip}: insert {plugin} has no {parameter!r}{did_you_mean(parameter, found)}")
        control = found[parameter]
        if not control.minimum <= value <= control.maximum:
            raise DawError(
                f"{strip}: {parameter} {value:g} is outside {control.minimum:g}..{control.maximum:g} of its plug-in"
            )
        number = self.strip(strip).number
        self._link.send("/strip/plugin/parameter", number, plugin, control.number, float(value))

        def now() -> float:
            return next(c.value for c in self.parameters(strip, plugin) if c.number == control.number)

        tolerance = 1e-4 * max(abs(value), control.maximum - control.minimum)
        return self._until(now, value, tolerance, f"{strip}: {parameter}")

    def set_plugin_active(self, strip: str, plugin: int, on: bool) -> bool:
        """Switch insert `plugin` (from 1) on or off."""
        self._link.send(f"/strip/plugin/{'activate' if on else 'deactivate'}", self.strip(strip).number, plugin)

        def now() -> float:
            return float(next((found.active for found in self.plugins(strip) if found.number == plugin), not on))

        return bool(self._until(now, float(on), 0.0, f"{strip}: insert {plugin}"))

    def set_send_gain(self, strip: str, to: str, gain_db: float) -> float:
        """Set the level in dB of the send to the strip called `to`."""
        send = next((send for send in self.sends(strip) if send.to == to), None)
        if send is None:
            raise DawError(f"{strip}: has no send to {to!r}")
        self._link.send("/strip/send/gain", self.strip(strip).number, send.number, float(gain_db))

        def now() -> float:
            return next(found.gain_db for found in self.sends(strip) if found.number == send.number)

        return self._until(now, gain_db, _query_tolerance_db(gain_db), f"{strip}: send to {to}")

    # --- transport and markers -------------------------------------------------------------------------------------

    def position(self) -> int:
        """The playhead in samples."""
        return int(self._ask("/transport_frame").arguments[-1])

    def locate(self, position_samples: int) -> int:
        """Move the playhead, stopped."""

        def go() -> None:
            self._link.send("/locate", int(position_samples), 0)

        return round(self._until(lambda: float(self.position()), position_samples, 0.0, "the playhead", go))

    def play(self) -> None:
        """Roll; returns once the transport does."""
        self._until(self._speed, 1.0, 0.0, "the transport", lambda: self._link.send("/transport_play"))

    def stop(self) -> None:
        """Stop; returns once the transport has."""
        self._until(self._speed, 0.0, 0.0, "the transport", lambda: self._link.send("/transport_stop"))

    def add_marker(self, name: str, position_samples: int) -> int:
        """Put a marker; it counts as there once Ardour jumps to it by name. Moves the playhead.

        Where Ardour put it: it may be some samples off, as Ardour takes what is audible at that moment.
        """
        self.locate(position_samples)
        # The playhead reports its place a moment before Ardour adds markers there.
        time.sleep(0.3)
        self._link.send("/add_marker", name)
        time.sleep(0.1)
        self.locate(position_samples + self.sample_rate_hz)
        return self.jump(name, position_samples)

    def jump(self, name: str, position_samples: int) -> int:
        """Move the playhead to a marker; DawError when it does not arrive within 10 ms of `position_samples`."""
        self._link.send("/marker", name)
        near = 0.01 * self.sample_rate_hz
        return round(self._until(lambda: float(self.position()), position_samples, near, f"the marker {name!r}"))

    def save(self) -> None:
        """Ask Ardour to save the session; it does not answer, so look at the file's time if it matters."""
        self._link.send("/save_state")

    # --- inside ----------------------------------------------------------------------------------------------------

    def _speed(self) -> float:
        return float(self._ask("/transport_speed").arguments[-1])

    def _ask(self, address: str, *arguments: Argument) -> Message:
        """Send a question; the answer comes under the same address."""
        self._link.forget()
        self._link.send(address, *arguments)
        reply = self._link.wait_for(lambda message: message.address == address, self._timeout_s)
        if reply is None or not reply.arguments:
            raise DawError(f"Ardour at {self._link.name} does not answer {address}; is the session still open?")
        return reply

    def _set(self, address: str, strip: str, value: Argument, tolerance: float) -> float:
        """Set one value of a strip and wait until Ardour pushes it, or says it when asked."""
        number = self.strip(strip).number
        self._link.forget()
        self._link.send(address, number, value)
        wanted = float(value)

        def pushed(message: Message) -> bool:
            is_ours = message.address == address and len(message.arguments) == 2 and message.arguments[0] == number
            return is_ours and math.isclose(float(message.arguments[1]), wanted, abs_tol=max(tolerance, 1e-4))

        push = self._link.wait_for(pushed, min(0.3, self._timeout_s))
        if push is not None:
            return float(push.arguments[1])
        # No push when the value was the same before.
        return self._until(
            lambda: float(self._ask(address, number).arguments[-1]), wanted, tolerance, f"{strip}: {address}"
        )

    def _until(
        self,
        read: Callable[[], float],
        wanted: float,
        tolerance: float,
        what: str,
        send: Callable[[], None] | None = None,
    ) -> float:
        """Read until the value is there; DawError when it is not within the time-out.

        `send` is for the transport, which ignores requests while it still moves: it is sent again until it took.
        """
        end = time.monotonic() + self._timeout_s
        next_send = 0.0
        while True:
            if send is not None and time.monotonic() >= next_send:
                send()
                next_send = time.monotonic() + 0.4
                time.sleep(0.02)
            now = read()
            if abs(now - wanted) <= tolerance + 1e-6:
                return now
            if time.monotonic() > end:
                raise DawError(f"{what} should be {wanted:g} and Ardour reports {now:g}")
            time.sleep(0.02)


def fader_to_db(position: float) -> float:
    """Level of Ardour's fader position 0..1 (`position_to_gain` in its dB.h: ((6 log2 g + 192) / 198)^8)."""
    if position <= 0.0:
        return -math.inf
    return linear_to_db(math.pow(2.0, (198.0 * math.pow(position, 1.0 / 8.0) - 192.0) / 6.0))
