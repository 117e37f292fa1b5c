"""A daemon in a thread, a daemon in a process, and a peer that speaks OSC to either."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daw_bridge.control.daemon import ServeOptions, serve
from daw_bridge.control.net.secret import known_secret
from daw_bridge.control.net.security import AccessPolicy
from daw_bridge.control.queue.selection import Catalog
from daw_bridge.mixer import MixerAddress
from daw_bridge.osc import Message, OscValue, decode, encode
from daw_bridge.osc_stream import frame
from tests.waiting import PATIENCE_S

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CATALOG = Catalog(
    templates=lambda: ["band", "neutral"], models=lambda: ["preview", "htdemucs_ft"], daws=lambda: ["reaper", "ardour"]
)


class Peer:
    """A control surface: one UDP socket that sends and receives."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        self.socket.bind(("127.0.0.1", 0))
        self.address = ("127.0.0.1", port)

    def send(self, address: str, *arguments: OscValue) -> None:
        self.socket.sendto(encode(Message(address, arguments)), self.address)

    def messages(self, timeout_s: float) -> Iterator[Message]:
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65_536)
            except TimeoutError:
                return
            yield from decode(data)

    def wait(self, fits: Callable[[Message], bool], timeout_s: float = PATIENCE_S) -> Message:
        for message in self.messages(timeout_s):
            if fits(message):
                return message
        raise AssertionError(f"no such message within {timeout_s} s")

    def ask(self, address: str, *arguments: OscValue, timeout_s: float = PATIENCE_S) -> Message:
        """The reply or the error to one command."""
        marker = f"t{time.monotonic_ns()}"
        self.send(address, *arguments, f"#{marker}")
        answers = ("/dawbridge/reply", "/dawbridge/error")
        return self.wait(lambda each: each.address in answers and each.arguments[0] == marker, timeout_s)

    def ask_until_answered(self, address: str, *arguments: OscValue) -> Message:
        """As `ask`, sent again and again: the daemon drops what comes while this host's allowance is used up."""
        while True:
            try:
                return self.ask(address, *arguments, timeout_s=0.5)
            except AssertionError:
                continue

    def close(self) -> None:
        self.socket.close()


def connected(port: int) -> socket.socket:
    """A TCP connection that has said the daemon's secret."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    connection.sendall(frame(encode(Message("/dawbridge/hello", (known_secret(port),))), "length"))
    assert b"/dawbridge/reply" in connection.recv(200)
    return connection


def stats_of(peer: Peer) -> dict[str, int]:
    """The daemon's counters."""
    text = str(peer.ask_until_answered("/dawbridge/stats").arguments[2])
    return {name: int(count) for name, _, count in (pair.partition("=") for pair in text.split())}


def rss_bytes() -> int:
    """Memory of this process, in which a DaemonThread runs."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class DaemonThread:
    """`serve` on a loop of its own in a thread."""

    def __init__(self, options: ServeOptions) -> None:
        self.port = 0
        self.error: BaseException | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
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
            await serve(options, on_ready=self._on_ready, stop=self._stop, catalog=CATALOG)

        try:
            asyncio.run(run())
        except BaseException as exc:  # noqa: BLE001  # handed to the test
            self.error = exc
            self._ready.set()

    def _on_ready(self, port: int) -> None:
        self.port = port
        self._ready.set()

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        assert self._loop is not None and self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class DaemonProcess:
    """`run_daemon.py` as a process of its own, to be killed."""

    def __init__(self, music: Path, queue: Path, port: int = 0) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}"}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "run_daemon.py"), str(music), str(queue), str(port)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the daemon did not start"
        self.port = int(line)

    def kill(self) -> None:
        """As the out-of-memory killer does it."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


@pytest.fixture
def make_mix(music: Path) -> Callable[..., Path]:
    def make(name: str = "mix.wav", **orders: object) -> Path:
        path = music / name
        path.write_text(" ".join(f"{key}={value}" for key, value in orders.items()), "utf-8")
        return path

    return make


@pytest.fixture
def make_daemon(music: Path, tmp_path: Path) -> Iterator[Callable[..., DaemonThread]]:
    running: list[DaemonThread] = []

    def make(
        *,
        policy: AccessPolicy | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        mixers: dict[str, MixerAddress] | None = None,
        queue: str = "queue.sqlite",
        **more: object,
    ) -> DaemonThread:
        options = ServeOptions(
            music=[music],
            queue=tmp_path / queue,
            host=host,
            port=port,
            policy=policy or AccessPolicy(),
            mixers=mixers or {},
            argv_of=lambda job: [sys.executable, str(HERE / "cheap_job.py"), job.arguments["path"]],
            **more,  # type: ignore[arg-type]
        )
        daemon = DaemonThread(options)
        running.append(daemon)
        return daemon

    yield make
    for daemon in running:
        daemon.stop()


@pytest.fixture
def make_process(music: Path, tmp_path: Path) -> Iterator[Callable[..., DaemonProcess]]:
    running: list[DaemonProcess] = []

    def make(port: int = 0) -> DaemonProcess:
        running.append(DaemonProcess(music, tmp_path / "queue.sqlite", port))
        return running[-1]

    yield make
    for daemon in running:
        daemon.close()


@pytest.fixture
def make_peer() -> Iterator[Callable[[int], Peer]]:
    peers: list[Peer] = []

    def make(port: int) -> Peer:
        peers.append(Peer(port))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def liblo() -> None:
    """Skip visibly where Debian's liblo-tools are not installed."""
    if not shutil.which("oscsend") or not shutil.which("oscdump"):
        pytest.skip("liblo-tools (oscsend, oscdump) are not installed")
