"""MIDI ports of the daemon: mapped commands, Mackie Control surfaces, and learning which control was moved.

A port is a name that mido knows (`daw-bridge midi ports`), or `tcp:HOST:PORT` for mido's socket ports, which need no
MIDI system; those are opened on loopback only.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daw_bridge.control.bridge import Bridge
from daw_bridge.control.midi.mackie import MackieSurface, MidiData
from daw_bridge.control.midi.map import MidiInput, MidiMap, parse_map, read_map
from daw_bridge.control.midi.socket import SocketPort
from daw_bridge.control.mixer.commands import MixerCommands
from daw_bridge.control.net.security import RateLimiter, is_loopback
from daw_bridge.errors import AdapterMissing, DawBridgeError, DawUnreachable, UsageError
from daw_bridge.osc import Message

_log = logging.getLogger(__name__)

POLL_S = 0.003
DEFAULT_MAP = """\
mappings:
  - {on: note, number: 36, send: /dawbridge/stem/vocals/mute, mode: toggle}
  - {on: note, number: 37, send: /dawbridge/stem/drums/mute, mode: toggle}
  - {on: note, number: 38, send: /dawbridge/stem/bass/mute, mode: toggle}
  - {on: note, number: 39, send: /dawbridge/stem/other/mute, mode: toggle}
  - {on: note, number: 43, send: /dawbridge/cancel}
"""


def port_names() -> list[str]:
    """Inputs that this system offers. Raises AdapterMissing without the extra `midi`."""
    mido = _mido()
    try:
        return [str(name) for name in mido.get_input_names()]
    except (ImportError, OSError, RuntimeError, SystemError) as exc:
        raise AdapterMissing(f"no MIDI system here ({exc}); use tcp:127.0.0.1:PORT, or install ALSA or JACK") from exc


def open_port(name: str, *, output: bool = False) -> Any:
    """The port of that name, for input or for both ways. Raises UsageError, DawUnreachable, AdapterMissing."""
    if name.startswith("tcp:"):
        return _open_socket_port(name)
    mido = _mido()
    try:
        return mido.open_ioport(name) if output else mido.open_input(name)
    except ImportError as exc:
        raise AdapterMissing(f"MIDI ports need {exc.name}; install it with: pip install 'daw-bridge[midi]'") from exc
    except (OSError, RuntimeError, SystemError) as exc:
        raise DawUnreachable(f"MIDI port {name!r} cannot be opened ({exc}); see daw-bridge midi ports") from exc


def _open_socket_port(name: str) -> Any:
    _, _, place = name.partition(":")
    host, _, port = place.rpartition(":")
    if not is_loopback(host) or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{name}: write it as tcp:127.0.0.1:PORT; MIDI sockets stay on this machine")
    _mido()
    try:
        return SocketPort(host, int(port))
    except OSError as exc:
        raise DawUnreachable(f"{name}: cannot listen there ({exc.strerror or exc})") from exc


def _mido() -> Any:
    try:
        return importlib.import_module("mido")
    except ImportError as exc:
        raise AdapterMissing("MIDI needs mido; install it with: pip install 'daw-bridge[midi]'") from exc


def as_input(message: Any) -> MidiInput | None:
    """A mido message as mappings see it, None for others."""
    kind, channel = message.type, getattr(message, "channel", -1) + 1
    if kind in ("note_on", "note_off"):
        return MidiInput("note", message.note, channel, message.velocity if kind == "note_on" else 0)
    if kind == "control_change":
        return MidiInput("control", message.control, channel, message.value)
    if kind == "program_change":
        return MidiInput("program", message.program, channel, 127)
    return None


class PortReader:
    """Reads a port in a thread and hands each message to `on_message`, until it is stopped."""

    def __init__(self, port: Any, on_message: Callable[[Any], None]) -> None:
        self._port, self._on_message, self._limiter = port, on_message, RateLimiter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="midi", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(POLL_S):
            try:
                for message in self._port.iter_pending():
                    if self._limiter.allows("midi"):
                        self._on_message(message)
            except (OSError, ValueError) as exc:
                # A socket client that broke off; the port itself stays open for the next one.
                _log.debug("MIDI: %s", exc)
                time.sleep(0.1)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(2.0)
        self._port.close()


class _MidiClient:
    """The sender of mapped commands: this machine's own. Answers have nowhere to go."""

    host, lasting = "localhost", True

    def __init__(self, key: str) -> None:
        self.key = key

    def send(self, message: Message) -> None:
        """Nothing: a pad has no display."""


def start_mapped(
    name: str, map_path: Path | None, bridge: Bridge, mixer: MixerCommands, loop: asyncio.AbstractEventLoop
) -> Callable[[], None]:
    """Take commands from a port by a mapping file (default: the shipped one); the returned call stops it."""
    mapping = MidiMap(parse_map(DEFAULT_MAP, "default map") if map_path is None else read_map(map_path))
    client = _MidiClient(f"midi:{name}")
    mixer.on_change.append(lambda change: mapping.follow(change, mixer.carries))

    def deliver(event: MidiInput) -> None:
        for command in mapping.translate(event):
            bridge.receive(command, client)

    def on_message(message: Any) -> None:
        event = as_input(message)
        if event is not None:
            loop.call_soon_threadsafe(deliver, event)

    return PortReader(open_port(name), on_message).stop


def start_mackie(
    name: str, bridge: Bridge, mixer: MixerCommands, loop: asyncio.AbstractEventLoop
) -> Callable[[], None]:
    """Run a Mackie Control on a port; the returned call stops it."""
    port, surface = open_port(name, output=True), MackieSurface()
    message_type = _mido().Message

    def show(messages: list[MidiData]) -> None:
        for data in messages:
            try:
                port.send(message_type(**data))
            except (OSError, ValueError, AttributeError) as exc:
                bridge.counters.add("midi_not_sent")
                _log.debug("MIDI: %s", exc)

    mixer.on_bound.append(lambda: show(surface.set_channels(_bus_names(mixer))))
    mixer.on_change.append(lambda change: show(surface.changed(change)))

    def deliver(data: MidiData) -> None:
        moves, messages = surface.received(data)
        show(messages)
        for move in moves:
            try:
                mixer.move(move)
            except DawBridgeError as exc:
                _log.debug("Mackie: %s", exc)

    def on_message(message: Any) -> None:
        loop.call_soon_threadsafe(deliver, message.dict())

    reader = PortReader(port, on_message)
    loop.call_soon(lambda: show(surface.set_channels(_bus_names(mixer))))
    return reader.stop


def _bus_names(mixer: MixerCommands) -> list[str]:
    """The buses of the bound DAW, or all its channels where it does not say which are buses."""
    if mixer.binding is None:
        return []
    channels = mixer.binding.mixer.channels()
    buses = [channel.name for channel in channels if channel.kind == "bus"]
    return buses or [channel.name for channel in channels if channel.kind != "master"]


def wait_for_control(port: Any, timeout_s: float) -> MidiInput | None:
    """The next key, controller or program on a port; None when nothing came in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for message in port.iter_pending():
            event = as_input(message)
            if event is not None and event.value > 0:
                return event
        time.sleep(POLL_S)
    return None
