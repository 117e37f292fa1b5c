"""The page as a part of the daemon: uvicorn on the daemon's own loop, ended with it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn

from daw_bridge.control.bridge import Bridge
from daw_bridge.control.daemon import Part
from daw_bridge.control.mixer.commands import MixerCommands
from daw_bridge.errors import Busy, OutputError
from daw_bridge.web.access import WebAccess
from daw_bridge.web.app import WebApp
from daw_bridge.web.guard import own_names
from daw_bridge.web.tablet import page_url

MAX_REQUESTS = 256
GRACE_S = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class WebOptions:
    """`port` 0 is a free one. `names` are further host names under which the page may be asked for."""

    host: str = "127.0.0.1"
    port: int = 0
    names: Sequence[str] = ()


def web_part(options: WebOptions, on_ready: Callable[[str], None] = lambda _url: None) -> Part:
    """The part for `ServeOptions.parts`; `on_ready` gets the link of this machine's own page, key and all."""

    @asynccontextmanager
    async def part(bridge: Bridge, mixer: MixerCommands) -> AsyncIterator[None]:
        access = WebAccess.of(bridge.policy, options.host)
        listener = _listen(options.host, options.port)
        port = int(listener.getsockname()[1])
        app = WebApp(bridge, mixer, access, port=port)
        config = uvicorn.Config(
            app.asgi(own_names(options.names)),
            http="h11",
            ws="wsproto",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws_max_size=65_536,
            limit_concurrency=MAX_REQUESTS,
            timeout_graceful_shutdown=GRACE_S,
        )
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # the daemon has its own
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started and not running.done():
                await asyncio.sleep(0.01)
            if running.done():
                running.result()
            shown = "127.0.0.1" if options.host in ("0.0.0.0", "::", "localhost") else options.host  # noqa: S104
            on_ready(page_url(shown, port, access.secret))
            yield
        finally:
            await app.close()
            server.should_exit = True
            await asyncio.gather(running, return_exceptions=True)
            listener.close()

    return part


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Busy, OutputError."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(128)
        except OSError:
            listener.close()
            raise
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise Busy(
                f"port {port} of {host} is taken; is the page open already? Else give another `web_port`"
            ) from exc
        raise OutputError(f"{host}:{port}: the page cannot listen there ({exc.strerror or exc})") from exc
    return listener
