"""What the control daemon holds: messages a second, clients, memory after an hour's traffic, latency to a real Ardour.

python -m benchmarks.control_load            # prints the table of docs/benchmarks-control.md
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import platform
import socket
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from daw_bridge.control.bridge import Bridge
from daw_bridge.control.mixer.commands import MixerCommands
from daw_bridge.control.net import server
from daw_bridge.control.net.security import AccessPolicy, MusicFolders, RateLimiter
from daw_bridge.control.queue.jobs import JobStore
from daw_bridge.control.queue.selection import Catalog
from daw_bridge.osc import Message, decode, encode
from daw_bridge.osc_stream import LengthDeframer, frame
from daw_bridge.registry import open_mixer

ANSWERS = ("/dawbridge/reply", "/dawbridge/error")
HOUR_OF_TRAFFIC = 360_000
"""100 messages a second: two hands on faders, without a pause, for an hour."""


def _daemon(folder: str, ready: Connection) -> None:
    """A daemon without rate limits, so that the figure is the program's and not the limit's."""
    server.TOTAL_PER_S = 1e9

    async def run() -> None:
        store = JobStore(Path(folder) / "queue.sqlite")
        names = Catalog(templates=list, models=list, daws=list)
        bridge = Bridge(store=store, music=MusicFolders((Path(folder),)), policy=AccessPolicy(), catalog=names)
        bridge.extend(MixerCommands(bridge, open_mixer).handlers())
        osc = server.OscServer(bridge, "127.0.0.1", 0, RateLimiter(1e9, 1e9))
        await osc.start()
        ready.send(osc.port)
        await asyncio.Event().wait()

    asyncio.run(run())


def _rss_mb(process_id: int) -> float:
    for line in Path(f"/proc/{process_id}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def _percentiles(times_s: list[float]) -> str:
    ordered = sorted(times_s)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"p50 {1000 * p50:.2f} ms, p99 {1000 * p99:.2f} ms"


class Surface:
    """A UDP client that waits for replies."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(5)
        self.asked = 0

    def ask(self, address: str, *arguments: float | str) -> Message:
        self.asked += 1
        self.socket.send(encode(Message(address, (*arguments, f"#{self.asked}"))))
        while True:
            for message in decode(self.socket.recv(65_536)):
                if message.address in ANSWERS and message.arguments[0] == str(self.asked):
                    return message

    def latency(self, count: int, address: str = "/dawbridge/ping") -> list[float]:
        times = []
        for _ in range(count):
            started = time.perf_counter()
            self.ask(address)
            times.append(time.perf_counter() - started)
        return times


def throughput(port: int) -> str:
    """Round trips over one TCP connection, pipelined: every message is answered."""
    count = 50_000
    packet = frame(encode(Message("/dawbridge/ping")), "length")
    with socket.create_connection(("127.0.0.1", port)) as connection:
        deframer, answered = LengthDeframer(), 0
        started = time.perf_counter()
        for _ in range(count // 100):
            connection.sendall(packet * 100)
            target = answered + 100
            while answered < target:
                answered += len(deframer.feed(connection.recv(262_144)))
        return f"{count / (time.perf_counter() - started):,.0f} messages/s, each parsed, carried out and answered (TCP)"


def clients(port: int) -> str:
    """64 subscribed TCP clients, while one more measures."""
    held = []
    for _ in range(63):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(frame(encode(Message("/dawbridge/subscribe")), "length"))
        held.append(connection)
    latency = _percentiles(Surface(port).latency(2000))
    for connection in held:
        connection.close()
    return f"63 subscribed TCP clients; ping by one more: {latency}"


def hour_of_traffic(port: int, process_id: int) -> str:
    """Fader moves with errors ("no DAW is bound"), subscriptions and stats: the memory before and after."""
    surface = Surface(port)
    surface.latency(1000)
    before = _rss_mb(process_id)
    packets = [
        encode(Message("/dawbridge/stem/vocals/gain_db", (-6.0,))),
        encode(Message("/dawbridge/bus/drums/mute", (1,))),
        encode(Message("/dawbridge/jobs", (5,))),
        encode(Message("/dawbridge/subscribe", (9,))),
    ]
    started = time.perf_counter()
    for sent in range(HOUR_OF_TRAFFIC):
        surface.socket.send(packets[sent % 4])
        if sent % 200 == 199:
            surface.ask("/dawbridge/ping")
    elapsed_s = time.perf_counter() - started
    after = _rss_mb(process_id)
    counters = dict(pair.split("=") for pair in str(surface.ask("/dawbridge/stats").arguments[2]).split())
    done = int(counters["messages_in"])
    return (
        f"{HOUR_OF_TRAFFIC:,} messages sent, {done:,} carried out, in {elapsed_s:.0f} s ({done / elapsed_s:,.0f}/s); "
        f"memory {before:.1f} MB before, {after:.1f} MB after"
    )


def ardour_latency() -> str:
    """oscsend's way to Ardour and back: command in, Ardour's own report of the value, reply out."""
    from benchmarks.ardour_osc import ardour_with_osc
    from daw_bridge_ardour.program import find_ardour
    from tests.ardour.plans import song_plan

    ardour = find_ardour()
    if ardour is None:
        return "not measured: Ardour is not installed"
    with tempfile.TemporaryDirectory() as name:
        plan, _ = song_plan(Path(name), rate=48_000, channels=2, seconds=1.0)
        with ardour_with_osc(ardour, plan, Path(name)):
            return _with_daemon(_to_ardour)


def _to_ardour(port: int, _process_id: int) -> str:
    """Rounds of both ways in turn, so that what else the machine does meets both alike."""
    surface = Surface(port)
    surface.socket.settimeout(20)
    surface.ask("/dawbridge/session/open", "ardour")
    through: list[float] = []
    alone: list[float] = []
    with _ArdourAlone("Drums") as direct:
        for step in range(1000):
            level_db = -60.0 + 0.05 * step
            started = time.perf_counter()
            reply = surface.ask("/dawbridge/stem/bass/gain_db", level_db)
            assert reply.address == "/dawbridge/reply", reply
            through.append(time.perf_counter() - started)
            alone.append(direct.move(level_db))
    return (
        f"1,000 fader moves, each until Ardour's own report of it is back: {_percentiles(through)}; "
        f"a bare socket to Ardour, in turn with them: {_percentiles(alone)}"
    )


class _ArdourAlone:
    """A socket that speaks to Ardour without anything of ours in between: what the machine and Ardour need."""

    def __init__(self, strip: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        self.socket.connect(("127.0.0.1", 3819))
        self._send("/set_surface", 0, 31, 16403, 0, 0, 0, 0, 0, 0)
        self._send("/strip/list")
        while True:
            message = self._next()
            if message.address == "/reply" and len(message.arguments) > 6 and message.arguments[1] == strip:
                self.number = message.arguments[6]
            if message.address == "/reply" and message.arguments[0] == "end_route_list":
                return

    def __enter__(self) -> _ArdourAlone:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._send("/set_surface", 0, 0, 0, 0, 0, 0, 0, 0, 0)
        self.socket.close()

    def _send(self, address: str, *arguments: float | str) -> None:
        self.socket.send(encode(Message(address, arguments)))

    def _next(self) -> Message:
        return decode(self.socket.recv(65_536))[0]

    def move(self, level_db: float) -> float:
        """Seconds from sending the level to Ardour's report of it; sent again where none came in 0.2 s."""
        started = time.perf_counter()
        self.socket.settimeout(0.2)
        for _ in range(20):
            self.socket.send(encode(Message("/strip/gain", (self.number, level_db), "if")))
            try:
                while not self._is_report(self._next(), level_db):
                    pass
            except TimeoutError:
                continue
            return time.perf_counter() - started
        raise AssertionError(f"Ardour reports nothing for {level_db} dB")

    def _is_report(self, message: Message, level_db: float) -> bool:
        if message.address != "/strip/gain" or message.arguments[0] != self.number:
            return False
        reported_db = message.arguments[1]
        return isinstance(reported_db, float) and abs(reported_db - level_db) < 0.01


def _with_daemon(measure: Callable[[int, int], str]) -> str:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        process = context.Process(target=_daemon, args=(folder, theirs))
        process.start()
        try:
            return measure(int(ours.recv()), int(process.pid or 0))
        finally:
            process.kill()
            process.join()


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("latency   ", _with_daemon(lambda port, _: f"ping over UDP: {_percentiles(Surface(port).latency(5000))}"))
    print("throughput", _with_daemon(lambda port, _: throughput(port)))
    print("clients   ", _with_daemon(lambda port, _: clients(port)))
    print("memory    ", _with_daemon(hour_of_traffic))
    print("to a DAW  ", ardour_latency())


if __name__ == "__main__":
    main()
