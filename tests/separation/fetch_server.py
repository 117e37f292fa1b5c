"""A web server on this machine that hands out weights, well or badly."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from daw_bridge.separation.families.bsrnn.fetch import ZENODO
from daw_bridge.separation.families.demucs.fetch import HUB
from daw_bridge.separation.families.demucs.models import LEGACY

DATA = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Serves `files` with ranges; `cut_bytes` breaks each answer off after so many; `behave` replaces an answer."""

    daemon_threads = True
    files: dict[str, bytes]
    headers: dict[str, str]
    asked: list[str]
    cut_bytes: int | None
    behave: Callable[[Handler], None] | None
    over: threading.Event


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        if self.server.behave is not None:
            with contextlib.suppress(OSError):
                self.server.behave(self)
            return
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        asked_range = self.headers.get("Range", "")
        self.server.asked.append(f"{self.command} {self.path} {asked_range}".strip())
        body = self.server.files.get(self.path)
        begin = int(asked_range.removeprefix("bytes=").removesuffix("-") or 0) if asked_range else 0
        if body is not None and begin >= len(body) > 0:
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(404 if body is None else 206 if asked_range else 200)
        rest = (body or b"")[begin:]
        self.send_header("Content-Length", str(len(rest)))
        if body is not None:
            if asked_range:
                self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", "1" * 40)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if send and body:
            self.wfile.write(rest[: self.server.cut_bytes])
            if self.server.cut_bytes is not None:
                self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    opened = Server(("127.0.0.1", 0), Handler)
    opened.files, opened.headers, opened.asked = {}, {}, []
    opened.cut_bytes, opened.behave, opened.over = None, None, threading.Event()
    thread = threading.Thread(target=opened.serve_forever, daemon=True)
    thread.start()
    yield opened
    opened.over.set()
    opened.shutdown()
    thread.join()
    opened.server_close()


def mirrors(server: Server, *, hub: bool = True) -> dict[str, str]:
    base = f"http://127.0.0.1:{server.server_address[1]}"
    return {HUB: base if hub else "http://127.0.0.1:9", LEGACY: f"{base}/legacy", ZENODO: f"{base}/record"}


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.over.is_set():
        handler.wfile.write(DATA)


def drip(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(DATA)))
    handler.end_headers()
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b"x")


def silence(handler: Handler) -> None:
    handler.server.over.wait()
