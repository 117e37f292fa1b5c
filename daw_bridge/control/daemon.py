"""`daw-bridge serve`: puts the parts together, runs until a signal, leaves running jobs in the queue."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from daw_bridge.control import DEFAULT_PORT
from daw_bridge.control.bridge import Bridge
from daw_bridge.control.mixer.commands import MixerCommands
from daw_bridge.control.net.secret import published_secret
from daw_bridge.control.net.security import AccessPolicy, MusicFolders
from daw_bridge.control.net.server import OscServer
from daw_bridge.control.queue.jobs import JobStore
from daw_bridge.control.queue.runner import ArgvBuilder, cli_argv
from daw_bridge.control.queue.selection import Catalog, Selection
from daw_bridge.mixer import MixerAddress
from daw_bridge.registry import open_mixer

Part = Callable[[Bridge, MixerCommands], AbstractAsyncContextManager[None]]
"""Another way to speak to the daemon (the web page): entered on its loop when the sockets listen, left at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What `serve` takes. `port` 0 is a free port. `midi_port` names a port of mido, `midi_map` its mapping file."""

    music: Sequence[Path]
    queue: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    policy: AccessPolicy = field(default_factory=AccessPolicy)
    selection: Selection = field(default_factory=Selection)
    mixers: dict[str, MixerAddress] = field(default_factory=dict)
    midi_ports: Sequence[str] = ()
    midi_map: Path | None = None
    mackie_ports: Sequence[str] = ()
    discovery: bool = False
    argv_of: ArgvBuilder = cli_argv
    parts: Sequence[Part] = ()


def default_queue() -> Path:
    """Where the queue lives unless a place is given."""
    from daw_bridge.paths import user_config_dir

    return user_config_dir() / "jobs.sqlite"


def default_catalog() -> Catalog:
    """The names that this installation knows."""

    def templates() -> list[str]:
        from daw_bridge.templates.store import list_templates

        return [template.name for template in list_templates()]

    def models() -> list[str]:
        from daw_bridge.separation.catalog import CATALOG

        return list(CATALOG)

    def daws() -> list[str]:
        from daw_bridge.registry import adapter_names

        return adapter_names()

    return Catalog(templates=templates, models=models, daws=daws)


async def serve(
    options: ServeOptions,
    *,
    on_ready: Callable[[int], None] = lambda _port: None,
    stop: asyncio.Event | None = None,
    catalog: Catalog | None = None,
) -> None:
    """Serve until `stop` is set or SIGINT/SIGTERM comes. `on_ready` gets the port once the sockets listen."""
    stop = stop or asyncio.Event()
    store = JobStore(options.queue)
    try:
        store.recover()
        store.prune()
        bridge = Bridge(
            store=store,
            music=MusicFolders.of(options.music),
            policy=options.policy,
            catalog=catalog or default_catalog(),
            selection=options.selection,
            argv_of=options.argv_of,
        )
        mixer = MixerCommands(bridge, open_mixer, options.mixers)
        bridge.extend(mixer.handlers())
        server = OscServer(bridge, options.host, options.port)
        await server.start()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(server.stop)
            options.policy.local_secret = stack.enter_context(published_secret(server.port))
            stack.push_async_callback(mixer.close)
            _start_midi(options, bridge, mixer, stack)
            for part in options.parts:
                await stack.enter_async_context(part(bridge, mixer))
            if options.discovery:
                from daw_bridge.control.net.discovery import Discovery

                await stack.enter_async_context(Discovery(options.host, server.port, options.policy))
            jobs = asyncio.create_task(bridge.runner.run())
            stack.push_async_callback(_cancel, jobs)
            _on_signals(stop)
            on_ready(server.port)
            await _until(stop, jobs)
    finally:
        store.close()


def _start_midi(options: ServeOptions, bridge: Bridge, mixer: MixerCommands, stack: contextlib.AsyncExitStack) -> None:
    if not options.midi_ports and not options.mackie_ports:
        return
    from daw_bridge.control.midi.ports import start_mackie, start_mapped

    loop = asyncio.get_running_loop()
    for port in options.midi_ports:
        stack.callback(start_mapped(port, options.midi_map, bridge, mixer, loop))
    for port in options.mackie_ports:
        stack.callback(start_mackie(port, bridge, mixer, loop))


async def _until(stop: asyncio.Event, jobs: asyncio.Task[None]) -> None:
    """Wait for the stop; a queue that broke (its disk is full) ends the daemon with its own error."""
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, jobs}, return_when=asyncio.FIRST_COMPLETED)
        if jobs.done():
            jobs.result()
    finally:
        waiting.cancel()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _on_signals(stop: asyncio.Event) -> None:
    """SIGINT and SIGTERM end the daemon in order, SIGINT not where it is ignored, as in a script's background job.

    Not available on Windows loops, where Ctrl-C raises.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            continue
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
