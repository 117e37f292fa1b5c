"""Stem and bus controls, the bound DAW, the live preview: what the surface moves moves in the DAW, and back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from daw_bridge.control.bridge import Bridge, Handler
from daw_bridge.control.commands import Invocation, StripKind
from daw_bridge.control.mixer.binding import NO_ROUTES, MixerBinding, Outcome, Routes, find_channel
from daw_bridge.control.net.clients import Client
from daw_bridge.errors import DawBridgeError, DawError, UsageError
from daw_bridge.mixer import MixerAddress, MixerChange, MixerChannel, MixerControl, MixerParameter
from daw_bridge.osc import Message, OscValue
from daw_bridge.plan_json import plan_from_json
from daw_bridge.registry import require_mixer
from daw_bridge.takeover import settled_manifest

OpenMixer = Callable[[str, MixerAddress], MixerControl]

LIVE = "live"


def routes_of(folder: Path) -> Routes:
    """Which bus carries which stem, from the plan of the last session in a song folder. Raises InputError."""
    manifest = settled_manifest(folder)
    if manifest is None or not manifest.sessions:
        return NO_ROUTES
    plan = plan_from_json(manifest.sessions[-1].plan, folder)
    labels = {bus.name: (bus.label, bus.name) for bus in (*plan.buses, *plan.returns)}
    stems = {track.name: labels.get(track.output, (track.output,)) for track in plan.tracks}
    return Routes(stems=stems, buses=labels)


class MixerCommands:
    """The handlers of `/session`, `/stem`, `/bus` and `/live`; what runs in this process calls `move` and listens."""

    def __init__(self, bridge: Bridge, open_mixer: OpenMixer, addresses: dict[str, MixerAddress] | None = None) -> None:
        self._bridge, self._open, self._addresses = bridge, open_mixer, addresses or {}
        self._binding: MixerBinding | None = None
        self._names: dict[tuple[StripKind, str], str] = {}
        self.on_bound: list[Callable[[], None]] = []
        """Called when a DAW was bound or let go of."""
        self.on_change: list[Callable[[MixerChange], None]] = []
        """Called with each value that moved, whoever moved it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._binding_lock = asyncio.Lock()
        bridge.snapshots.append(self.snapshot)

    def handlers(self) -> dict[str, Handler]:
        return {
            "session_open": self._session_open,
            "session_close": self._session_close,
            "session_channels": self._channels,
            "strip": self._strip,
            "live_start": self._live_start,
            "live_stop": self._live_stop,
        }

    @property
    def binding(self) -> MixerBinding | None:
        """The bound DAW, if any."""
        return self._binding

    # Binding

    def _session_open(self, call: Invocation, client: Client) -> None:
        folder = call.values.get("folder")
        routes = NO_ROUTES if folder is None else routes_of(self._bridge.music.resolve(str(folder), "folder"))
        daw = str(call.values["daw"])
        self._later(call, client, self._bind(daw, self._addresses.get(daw, MixerAddress()), routes))

    def _live_start(self, call: Invocation, client: Client) -> None:
        source = call.values.get("input")
        path = None if source is None else self._bridge.music.resolve(str(source), "file")
        self._later(call, client, self._bind(LIVE, MixerAddress(song=path), NO_ROUTES))

    async def _bind(self, daw: str, address: MixerAddress, routes: Routes) -> tuple[OscValue, ...]:
        """Let go of the bound DAW, then bind this one: both may want the same feedback port."""
        require_mixer(daw, address)
        loop = asyncio.get_running_loop()
        async with self._binding_lock:
            if await self._release():
                self._tell_bound("", "")
            mixer = await loop.run_in_executor(None, self._open, daw, address)
            self._binding = MixerBinding(mixer, loop, self._changed, routes)
        channels = mixer.channels()
        found = {strip: channel_of(*strip, channels, routes) for strip in routes.strips()}
        self._names = {strip: channel for strip, channel in found.items() if channel is not None}
        self._tell_bound(daw, mixer.name)
        return ("bound", mixer.name, *(channel.name for channel in channels[:100]))

    def _session_close(self, call: Invocation, client: Client) -> None:
        self._later(call, client, self._close_answer())

    def _live_stop(self, call: Invocation, client: Client) -> None:
        if self._binding is None or self._binding.mixer.name != LIVE:
            raise DawError("the live preview is not running")
        self._later(call, client, self._close_answer())

    async def _close_answer(self) -> tuple[OscValue, ...]:
        await self.close()
        self._tell_bound("", "")
        return ("closed",)

    def _tell_bound(self, daw: str, title: str) -> None:
        self._bridge.tell(Message("/dawbridge/session", (daw, title)))
        for listener in self.on_bound:
            listener()

    async def close(self) -> None:
        """Let go of the bound DAW."""
        async with self._binding_lock:
            await self._release()

    async def _release(self) -> bool:
        """Whether there was a DAW to let go of."""
        binding, self._binding, self._names = self._binding, None, {}
        if binding is not None:
            await binding.close()
        return binding is not None

    def _later(self, call: Invocation, client: Client, work: Coroutine[None, None, tuple[OscValue, ...]]) -> None:
        async def answer() -> None:
            try:
                self._bridge.reply(client, call, *await work)
            except DawBridgeError as exc:
                self._bridge.error(client, call.address, call.request_id, exc)

        task = asyncio.get_running_loop().create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _bound(self) -> MixerBinding:
        if self._binding is None:
            raise DawError("no DAW is bound; open one with /dawbridge/session/open ardour (or live/start)")
        return self._binding

    def _channels(self, _call: Invocation, _client: Client) -> tuple[OscValue, ...]:
        return tuple(channel.name for channel in self._bound().mixer.channels()[:200])

    # Strips

    def _strip(self, call: Invocation, client: Client) -> tuple[OscValue, ...] | None:
        strip, binding = call.command.strip, self._bound()
        if strip is None:
            raise UsageError(f"{call.address}: moves nothing")
        parameter, name = strip.parameter, str(call.values["name"])
        channel = find_channel(strip.kind, name, binding.mixer.channels(), binding.routes)
        if len(self._names) < 1000:
            self._names[strip.kind, name] = channel
        if parameter not in call.values:
            known = binding.known.get((channel, parameter))
            if known is None:
                raise DawError(f"{channel}: the DAW has not reported its {parameter} yet")
            return (_as_osc(parameter, known),)
        value = float(call.values[parameter])

        def outcome(error: DawBridgeError | None) -> None:
            if error is None:
                self._bridge.reply(client, call, _as_osc(parameter, value))
            else:
                self._bridge.error(client, call.address, call.request_id, error)

        self.move(MixerChange(channel=channel, parameter=parameter, value=value), outcome)
        return None

    def move(self, wanted: MixerChange, outcome: Outcome = lambda _error: None) -> None:
        """Ask the bound DAW for a value. `outcome` hears once it is confirmed, or why not. Raises DawError."""

        def counted(error: DawBridgeError | None) -> None:
            self._bridge.counters.add("mixer_moves" if error is None else "mixer_errors")
            outcome(error)

        self._bound().set(wanted.channel, wanted.parameter, wanted.value, counted)

    def carries(self, kind: StripKind, name: str, channel: str) -> bool:
        """Whether a channel of the bound DAW is what a surface calls by this name."""
        binding = self._binding
        return binding is not None and channel == channel_of(kind, name, binding.mixer.channels(), binding.routes)

    def _changed(self, change: MixerChange) -> None:
        for message in self._messages(change):
            self._bridge.tell(message)
        for listener in self.on_change:
            listener(change)

    def _messages(self, change: MixerChange) -> list[Message]:
        """The same addresses that set the value, so that surfaces follow; always the bus address of the channel."""
        value = _as_osc(change.parameter, change.value)
        addresses = [f"/dawbridge/bus/{addressable(change.channel)}/{change.parameter}"]
        addresses += [
            f"/dawbridge/{kind}/{addressable(name)}/{change.parameter}"
            for (kind, name), channel in self._names.items()
            if channel == change.channel
        ]
        return [Message(address, (value,)) for address in dict.fromkeys(addresses)]

    def snapshot(self) -> list[Message]:
        """All that is known of the DAW, for a new subscriber."""
        if self._binding is None:
            return []
        found: list[Message] = []
        for (channel, parameter), value in self._binding.known.items():
            found += self._messages(MixerChange(channel=channel, parameter=parameter, value=value))
        return found[:1000]


def channel_of(kind: StripKind, name: str, channels: Sequence[MixerChannel], routes: Routes) -> str | None:
    """As `find_channel`; None when there is none."""
    try:
        return find_channel(kind, name, channels, routes)
    except DawError:
        return None


def addressable(name: str) -> str:
    """`name` without the marks that OSC addresses forbid; `find_channel` takes it for the same."""
    return re.sub(r"[\s#*,/?\[\]{}]+", "_", name)


def _as_osc(parameter: MixerParameter, value: float) -> OscValue:
    return float(value) if parameter == "gain_db" else int(value >= 0.5)
