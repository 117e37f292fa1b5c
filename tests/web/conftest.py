"""A small finished song, a daemon with its page in a thread, a client that says what it likes, and a browser."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, RejectConnection, Request, TextMessage

from daw_bridge.control.daemon import ServeOptions, default_catalog, serve
from daw_bridge.control.net.security import AccessPolicy
from daw_bridge.control.queue.runner import cli_argv
from daw_bridge.web.part import WebOptions, web_part
from tests.waiting import PATIENCE_S
from tests.web.song_folder import make_song

ROOT = Path(__file__).resolve().parents[2]
CHEAP_JOB = ROOT / "tests" / "control" / "cheap_job.py"


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or fills the cache and the configuration of the person who runs it."""
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "config"))


class WebDaemon:
    """`serve` with its page on a loop of its own in a thread."""

    def __init__(self, options: ServeOptions, web: WebOptions) -> None:
        self.url = ""
        self.error: BaseException | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        options = replace(options, parts=[web_part(web, on_ready=self._on_page)])
        self._thread = threading.Thread(target=self._main, args=(options,))
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "the daemon did not start"
        error: BaseException | None = self.error
        if error is not None:
            self._thread.join()
            raise error

    def _main(self, options: ServeOptions) -> None:
        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            ready = self._ready.set
            await serve(options, on_ready=lambda _: ready(), stop=self._stop, catalog=default_catalog())

        try:
            asyncio.run(run())
        except BaseException as exc:  # noqa: BLE001  # handed to the test
            self.error = exc
            self._ready.set()

    def _on_page(self, url: str) -> None:
        self.url = url

    @property
    def port(self) -> int:
        return int(self.url.partition("/#")[0].rpartition(":")[2])

    @property
    def secret(self) -> str:
        return self.url.partition("#token=")[2]

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """Requests to a page's server, with whatever headers a test likes."""

    def __init__(self, daemon: WebDaemon) -> None:
        self.daemon = daemon
        self.host = f"127.0.0.1:{daemon.port}"

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        *,
        secret: str | None = None,
        **headers: str | None,
    ) -> Answer:
        """Headers by name with `_` for `-`; None leaves one out that is sent otherwise."""
        token = self.daemon.secret if secret is None else secret
        wanted: dict[str, str | None] = {"Host": self.host, "Authorization": f"Bearer {token}"}
        if method not in ("GET", "HEAD"):
            wanted["Origin"] = f"http://{self.host}"
        wanted |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=PATIENCE_S)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            for name, value in wanted.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(self, path: str, data: object) -> Answer:
        return self.ask(path, "POST", json.dumps(data).encode())

    def socket(self, *, origin: str | None = None, hello: bool = True) -> Socket:
        opened = Socket(self.daemon.port, self.host, f"http://{self.host}" if origin is None else origin)
        if hello:
            opened.say("/dawbridge/hello", self.daemon.secret)
            opened.wait("/dawbridge/reply")
        return opened


class Socket:
    """A WebSocket client of the command table."""

    def __init__(self, port: int, host: str, origin: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self._wire = WSConnection(ConnectionType.CLIENT)
        headers = [(b"Origin", origin.encode())] if origin else []
        request = Request(host=host, target="/api/socket", extra_headers=headers)
        self._socket.sendall(self._wire.send(request))
        self.closed: int | None = None
        self._heard: list[dict[str, Any]] = []
        self._text = ""
        self.accepted = False
        while not self.accepted and self.closed is None:
            self._read()

    def say(self, address: str, *arguments: object, id: str = "") -> None:
        self.send(json.dumps({"id": id, "address": address, "arguments": list(arguments)}))

    def send(self, text: str | bytes) -> None:
        event = TextMessage(data=text) if isinstance(text, str) else BytesMessage(data=text)
        self._socket.sendall(self._wire.send(event))

    def wait(self, address: str, fits: Callable[[list[Any]], bool] = lambda _: True) -> list[Any]:
        """The arguments of the next message with that address which fits."""
        while True:
            while self._heard:
                message = self._heard.pop(0)
                if message["address"] == address and fits(message["arguments"]):
                    return list(message["arguments"])
            assert self.closed is None, f"closed ({self.closed}) while waiting for {address}"
            self._read()

    def wait_closed(self) -> int:
        while self.closed is None:
            self._read()
        return self.closed

    def _read(self) -> None:
        try:
            data = self._socket.recv(65_536)
        except ConnectionError:
            data = b""
        self._wire.receive_data(data or None)
        for event in self._wire.events():
            if isinstance(event, AcceptConnection):
                self.accepted = True
            elif isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    self._heard.append(json.loads(self._text))
                    self._text = ""
            elif isinstance(event, RejectConnection):
                self.closed = event.status_code
            elif isinstance(event, CloseConnection):
                self.closed = int(event.code)
        if not data and self.closed is None:
            self.closed = 0
        if self.closed is not None:
            self._socket.close()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
def make_web(music: Path, tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """A daemon with its page. `real` jobs are the program's own, others are `cheap_job.py`."""
    running: list[WebDaemon] = []

    def make(*, real: bool = False, policy: AccessPolicy | None = None, **web: Any) -> Web:
        options = ServeOptions(
            music=[music],
            queue=tmp_path / "queue.sqlite",
            port=0,
            policy=policy or AccessPolicy(),
            argv_of=cli_argv if real else lambda job: [sys.executable, str(CHEAP_JOB), job.arguments["path"]],
        )
        running.append(WebDaemon(options, WebOptions(port=0, **web)))
        return Web(running[-1])

    yield make
    for daemon in running:
        daemon.stop()


@pytest.fixture(scope="module")
def steady_web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One daemon for a module's tests that change nothing, with one song."""
    place = tmp_path_factory.mktemp("steady")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAW_BRIDGE_CACHE", str(place / "cache"))
        patch.setenv("DAW_BRIDGE_CONFIG", str(place / "config"))
        make_song(place / "music" / "Demo.session")
        options = ServeOptions(music=[place / "music"], queue=place / "queue.sqlite", port=0)
        daemon = WebDaemon(options, WebOptions(port=0))
        yield Web(daemon)
        daemon.stop()


@pytest.fixture
def web(make_web: Callable[..., Web]) -> Web:
    return make_web()


@pytest.fixture
def song(music: Path) -> Path:
    return make_song(music / "Demo.session")


expect.set_options(timeout=60_000)  # a busy machine is no failure
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")  # the former draws no windows
ARTIFACTS = Path(os.environ.get("DAW_BRIDGE_ARTIFACTS", "")) if os.environ.get("DAW_BRIDGE_ARTIFACTS") else None
"""Where screenshots are kept, if anywhere."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, driven by Playwright; the test skips visibly without it.

    For a module, not the session: Playwright's loop runs as long as it lives, and no other test could have one.
    """
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium-headless-shell)")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    arguments += ["--autoplay-policy=no-user-gesture-required", "--host-resolver-rules=MAP evil.example 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Tab:
    """A page in a context of its own, and what its console complained about."""

    def __init__(self, browser: Browser, **context: Any) -> None:
        self.complaints: list[str] = []
        self._context = browser.new_context(**context)
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self._context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def open(self, url: str) -> Page:
        self.page.goto(url)
        self.page.wait_for_function("() => document.body.dataset.ready")
        return self.page

    def close(self) -> None:
        self._context.close()


@pytest.fixture
def make_tab(browser: Browser) -> Iterator[Callable[..., Tab]]:
    tabs: list[Tab] = []

    def make(**context: Any) -> Tab:
        tabs.append(Tab(browser, **context))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.close()


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where the run's artifacts go."""
    if ARTIFACTS is not None:
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=False)
