"""A bucket server (moto, in an environment of its own), and a proxy before it with the faults that buckets have."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

MOTO = Path(sys.prefix) / "moto" / "bin" / "python"
HOST = "127.0.0.1"

Answer = tuple[int, str]
"""Status and code of an error that is given instead of the server's answer."""
LOST: Answer = (500, "InternalError")
"""The server does what it is asked, and then its answer is lost."""


@dataclass
class Request:
    """What a fault sees, and may change. `number` counts from 1."""

    number: int
    method: str
    path: str
    headers: dict[str, str]

    @property
    def if_absent(self) -> list[str]:
        """The headers that ask for put-if-absent."""
        return [name for name in self.headers if name.lower() == "if-none-match"]


Fault = Callable[[Request], Answer | None]


@contextmanager
def bucket_server(log: Path) -> Iterator[int]:
    """The port of a running server."""
    with log.open("w") as out:
        process = subprocess.Popen([str(MOTO), "-m", "moto.server", "-H", HOST, "-p", "0"], stdout=out, stderr=out)
        try:
            end = time.monotonic() + 120
            while (found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
            yield int(found[1])
        finally:
            process.kill()
            process.wait()


def put(port: int, path: str, data: bytes = b"") -> None:
    """Make a bucket (`/name`) or an object, whatever its key holds."""
    connection = http.client.HTTPConnection(HOST, port)
    connection.request("PUT", quote(path), body=data, headers={"Authorization": "AWS x:y"})  # strangers replace nothing
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200


def environment(port: int) -> dict[str, str]:
    """What a person sets to reach it."""
    return {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def faulty(port: int, fault: Fault) -> Iterator[int]:
    """The port of a proxy that lets `fault` see every request first."""
    count = 0
    counting = threading.Lock()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            nonlocal count
            with counting:
                count += 1
                number = count
            request = Request(number, self.command, self.path, dict(self.headers.items()))
            body = self.rfile.read(int(request.headers.get("content-length", "0")))
            found = fault(request)
            if found is None or found is LOST:
                inner = http.client.HTTPConnection(HOST, port)
                inner.request(self.command, self.path, body=body, headers=request.headers)
                answer = inner.getresponse()
                status, headers, data = answer.status, dict(answer.getheaders()), answer.read()
                inner.close()
            if found is not None:
                status, code = found
                headers, data = {}, f"<?xml version='1.0'?>\n<Error><Code>{code}</Code></Error>".encode()
            self.reply(status, headers, data)

        def reply(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response(status)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
