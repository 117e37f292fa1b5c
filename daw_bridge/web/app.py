"""The application: its routes, and who may use which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from daw_bridge import __version__
from daw_bridge.control.bridge import Bridge
from daw_bridge.control.mixer.commands import MixerCommands
from daw_bridge.control.net.security import is_loopback
from daw_bridge.errors import DawBridgeError, UsageError
from daw_bridge.registry import mixer_names
from daw_bridge.web import tablet, views
from daw_bridge.web.access import WebAccess
from daw_bridge.web.answers import NEVER, failed, in_thread, json_body, on_error
from daw_bridge.web.guard import Guard
from daw_bridge.web.helper import Helper
from daw_bridge.web.library import Library
from daw_bridge.web.socket import Sockets
from daw_bridge.web.songs import SongEndpoints
from daw_bridge.web.uploads import Uploads, upload_of

PAGE = Path(__file__).parent / "page"


class SecretGate:
    """ASGI middleware: `/api` needs the secret; the page itself, which holds nothing, and tickets do not."""

    def __init__(self, app: ASGIApp, access: WebAccess) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
            if len(given) != 1 or not self._access.admits_request(given[0]):
                message = "this page needs its key; open it with the link that daw-bridge printed"
                await failed(401, message, 2)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class WebApp:
    """The page's side of the daemon. Handlers that touch queue or bridge run on the loop, the others in threads."""

    def __init__(self, bridge: Bridge, mixer: MixerCommands, access: WebAccess, *, port: int) -> None:
        self._bridge, self._mixer, self._access, self._port = bridge, mixer, access, port
        self._library = Library(bridge.music)
        self._sound, self._pictures = Helper(niceness=5), Helper(niceness=10)
        self._songs = SongEndpoints(self._library, self._sound, self._pictures)
        self._sockets = Sockets(bridge, access)
        self._uploads = Uploads(self._library.roots[0])

    async def close(self) -> None:
        """Let the pages go and end the helpers."""
        await self._sockets.close()
        self._sound.close()
        self._pictures.close()

    def asgi(self, names: frozenset[str]) -> ASGIApp:
        """The whole application behind its guard."""
        routes = [
            Route("/", self.page),
            Route("/api/state", self.state),
            Route("/api/songs", self.songs),
            Route("/api/models", self.models),
            Route("/api/models/{name}/licence", self.licence, methods=["POST"]),
            Route("/api/tablet", self.tablet),
            Route("/api/uploads/{name}", self.received, methods=["HEAD", "GET"]),
            Route("/api/uploads/{name}", self.upload, methods=["PUT"]),
            *self._songs.routes(),
            Route("/download/{ticket}", self._songs.download),
            WebSocketRoute("/api/socket", self.socket),
        ]
        app = Starlette(
            routes=routes,
            middleware=[Middleware(SecretGate, access=self._access)],
            exception_handlers={DawBridgeError: on_error, 404: on_error, 405: on_error, Exception: on_error},
        )
        app.mount("/page", StaticFiles(directory=PAGE))
        return Guard(app, self._access.policy, names)

    async def page(self, _request: Request) -> Response:
        """The one document. Whoever opens it will soon ask for pictures and sound: the helpers start now."""
        self._songs.warm()
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    async def socket(self, websocket: WebSocket) -> None:
        """The command table."""
        await self._sockets.serve(websocket)

    async def state(self, request: Request) -> Response:
        """All that a page needs to begin: also after a reload, in a second tab, after a restart of the daemon."""
        jobs = self._bridge.store.recent(30)
        progress = self._bridge.runner.last_progress
        binding = self._mixer.binding
        selected = dict(zip(("template", "model", "daw"), self._bridge.selections.all(), strict=True))
        templates = await run_in_threadpool(views.template_views)
        listed = await run_in_threadpool(lambda: [views.job_view(job, self._library) for job in jobs])
        body: dict[str, Any] = {
            "version": __version__,
            "selected": selected,
            "templates": templates,
            "daws": self._bridge.catalog.daws(),
            "mixers": [name for name in mixer_names() if name != "live"],
            "bound": binding.mixer.name if binding else "",
            "jobs": listed,
            "progress": None
            if progress is None
            else {
                "number": progress.job.number,
                "percent": progress.percent,
                "stage": progress.stage,
                "eta_s": progress.eta_s,
                "note": progress.note,
            },
            "local": request.client is not None and is_loopback(request.client.host),
        }
        return JSONResponse(body, headers=NEVER)

    async def songs(self, _request: Request) -> Response:
        """Finished songs, and mixes that lie in the music folders."""
        songs, mixes = await in_thread(self._library.listing)
        body = {
            "songs": [views.song_card(song) for song in songs],
            "mixes": [
                {"id": identity, "name": path.name}
                for path in mixes
                if (identity := self._library.id_of(path)) is not None
            ],
            "folder": self._library.roots[0].name,
        }
        return JSONResponse(body, headers=NEVER)

    async def models(self, _request: Request) -> Response:
        """The models; asks the disk for their weights."""
        songs, _ = await in_thread(self._library.listing)
        return JSONResponse(await in_thread(views.model_views, songs), headers=NEVER)

    async def licence(self, request: Request) -> Response:
        """The person at the page accepts a model's licence, once."""
        data = await json_body(request)
        if data.get("accept") is not True:
            raise UsageError("say accept: true")
        return JSONResponse(await in_thread(views.accept_licence, request.path_params["name"]), headers=NEVER)

    async def tablet(self, request: Request) -> Response:
        """The link for another device, as text and as a QR code; only for a page on this machine."""
        if request.client is None or not is_loopback(request.client.host):
            return failed(403, "the link for other devices is shown on the computer itself", 2)
        host = self._access.policy.bind_host
        return JSONResponse(await in_thread(tablet.link_view, host, self._port, self._access.secret), headers=NEVER)

    async def received(self, request: Request) -> Response:
        """How much of an upload is here already."""
        upload = upload_of(
            request.path_params["name"],
            request.headers.get("x-upload-mark", ""),
            request.headers.get("x-upload-size", ""),
        )
        return JSONResponse({"received": await in_thread(self._uploads.received_bytes, upload)}, headers=NEVER)

    async def upload(self, request: Request) -> Response:
        """The rest of a file, or all of it."""
        headers = request.headers
        total = headers.get("x-upload-size", headers.get("content-length", ""))
        upload = upload_of(request.path_params["name"], headers.get("x-upload-mark", ""), total)
        offset = headers.get("x-upload-offset", "0")
        path = await self._uploads.take(upload, int(offset) if offset.isdigit() else -1, request.stream())
        return JSONResponse({"id": self._library.id_of(path), "name": path.name}, 201, headers=NEVER)
