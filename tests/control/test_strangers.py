"""What a web page, another user of the machine and a hostile peer can do to a running daemon: nothing that lasts."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.control.net import peer as peer_module
from daw_bridge.control.net import secret, server
from daw_bridge.control.net.discovery import MAX_CONNECTIONS, Discovery
from daw_bridge.control.net.local_client import DaemonClient
from daw_bridge.control.net.server import Gate
from daw_bridge.control.queue.jobs import JobState, JobStore
from daw_bridge.errors import DawBridgeError
from daw_bridge.osc import MAX_PACKET_BYTES, Message, OscError, encode
from daw_bridge.osc_stream import SlipDeframer, frame
from tests.control.conftest import connected, stats_of
from tests.waiting import ended

Make = Callable[..., Any]


def test_a_page_that_posts_osc_frames_is_cut_off_and_nothing_is_queued(
    make_daemon: Make, make_peer: Make, make_mix: Make
) -> None:
    make_mix()
    daemon = make_daemon()
    body = b"".join(
        frame(encode(Message(address, arguments)), framing)
        for framing in ("slip", "length")
        for address, arguments in (("/dawbridge/template/select", ("neutral",)), ("/dawbridge/separate", ("mix.wav",)))
    )
    page = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=240)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        page.request("POST", "/", body, {"Origin": "https://evil.example", "Content-Type": "text/plain"})
        page.getresponse()
    page.close()
    peer = make_peer(daemon.port)
    assert peer.ask("/dawbridge/jobs").arguments[2] == 0
    stats = stats_of(peer)
    assert stats["streams_malformed"] == 1 and "jobs_queued" not in stats


@pytest.mark.parametrize(
    "first", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00", b"/dawbridge/ping\0", b"\xc0hello\xc0", b"\xff"]
)
def test_a_stream_whose_first_bytes_are_no_frame_is_closed_at_once(
    make_daemon: Make, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(server, "HELLO_S", 10_000.0)  # so that only the bytes can end it
    with socket.create_connection(("127.0.0.1", make_daemon().port), timeout=240) as connection:
        connection.sendall(first)
        assert ended(connection)


@pytest.mark.parametrize("framing", ["slip", "length"])
def test_a_connection_from_this_machine_says_the_secret_before_its_commands_count(
    make_daemon: Make, make_peer: Make, make_mix: Make, framing: Any
) -> None:
    make_mix()
    daemon = make_daemon()
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=240) as stranger:
        for arguments in ((), ("x" * 43,), ("\ud800",)):
            said = ("/dawbridge/hello", arguments) if arguments else ("/dawbridge/separate", ("mix.wav",))
            try:
                stranger.sendall(frame(encode(Message(*said)), framing))
            except (OscError, UnicodeError):
                continue
            assert b"/dawbridge/error" in stranger.recv(1000)
    assert make_peer(daemon.port).ask("/dawbridge/jobs").arguments[2] == 0
    with DaemonClient(port=daemon.port) as own:
        assert own.call("/dawbridge/separate", "mix.wav")[1] == (1,)


def test_the_secret_is_readable_by_its_user_only_and_goes_with_the_daemon(make_daemon: Make) -> None:
    daemon = make_daemon()
    path = secret.secret_folder() / f"{daemon.port}.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(secret.known_secret(daemon.port)) >= 32
    daemon.stop()
    assert not path.exists() and secret.known_secret(daemon.port) == ""


def test_a_folder_that_others_may_enter_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "daw-bridge").mkdir(mode=0o755)
    (tmp_path / "daw-bridge" / "9129.token").write_text("planted by another user")
    assert secret.known_secret(9129) == ""
    with pytest.raises(DawBridgeError, match="open to others"), secret.published_secret(9129):
        pass


def test_silent_connections_make_room_and_end(make_daemon: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = make_daemon()
    silent = [socket.create_connection(("127.0.0.1", daemon.port), timeout=240) for _ in range(server.MAX_CONNECTIONS)]
    with DaemonClient(port=daemon.port) as client:
        assert client.call("/dawbridge/ping")[1][0] == "daw-bridge"
    assert ended(silent[0]), "the oldest silent one made room"
    for connection in silent:
        connection.close()
    monkeypatch.setattr(server, "HELLO_S", 0.01)
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=240) as late:
        assert ended(late)


class Waiting:
    """A bridge that only counts."""

    def __init__(self, bridge: Any) -> None:
        self.policy, self.counters = bridge.policy, bridge.counters
        self.heard: list[Any] = []

    def receive(self, message: Message, client: Any) -> None:
        self.heard.append(client.host)


class From:
    lasting = False

    def __init__(self, host: str, port: int) -> None:
        self.host, self.key = host, f"udp:{host}:{port}"

    def send(self, message: Message) -> None: ...


def test_a_host_with_many_ports_is_one_sender_and_leaves_the_others_their_share() -> None:
    from types import SimpleNamespace

    from daw_bridge.control.net.security import RATE_PER_S, AccessPolicy, Counters

    bridge = Waiting(
        SimpleNamespace(policy=AccessPolicy(bind_host="0.0.0.0", token="t" * 16), counters=Counters())  # noqa: S104
    )
    gate: Any = Gate(bridge, clock=lambda: 0.0)  # type: ignore[arg-type]
    packet = encode(Message("/dawbridge/ping"))
    for turn in range(20_000):
        gate.packet(packet, From("192.0.2.1", 1024 + turn))
        gate.packet(packet, From("127.0.0.1", 1024 + turn % 6))
        gate.packet(packet, From(f"2001:db8::{turn:x}", 9000))
    assert bridge.heard.count("192.0.2.1") <= RATE_PER_S
    assert sum(host.startswith("2001:db8::") for host in bridge.heard) <= RATE_PER_S, "a /64 is one machine's"
    for port in range(50):
        assert gate.packet(packet, From("127.0.0.1", 60_000 + port)), "a quiet program is heard among noisy ones"


def test_a_flood_is_taken_in_by_the_hundred_and_not_by_the_piece() -> None:
    """One datagram a turn of the loop was slower than a flood, and the system dropped what the others sent."""
    heard: list[bytes] = []

    class Counting:
        packets = None

        def packet(self, data: bytes, _client: Any) -> None:
            heard.append(data)

    async def turns_for(count: int) -> int:
        loop = asyncio.get_running_loop()
        transport, _protocol = await loop.create_datagram_endpoint(
            lambda: server._UdpProtocol(None, Counting()),  # type: ignore[arg-type]
            local_addr=("127.0.0.1", 0),
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for number in range(count):
                flood.sendto(b"%d" % number, transport.get_extra_info("sockname"))
        turns = 0
        while len(heard) < count:
            await asyncio.sleep(0)
            turns += 1
        transport.close()
        return turns

    assert asyncio.run(turns_for(200)) < 20
    assert heard == [b"%d" % number for number in range(200)]


def test_a_dripping_sender_costs_what_its_bytes_cost() -> None:
    deframer = SlipDeframer()
    deframer.feed(b"\xc0/" + b"\xdb\xdd" * 60_000)
    pieces = len(deframer._rest)
    for _ in range(50):
        deframer.feed(b"x")
    assert len(deframer._rest) == pieces + 50, "what was held is not copied for each byte"
    assert deframer.feed(b"\xc0") == [b"/" + b"\xdb" * 60_000 + b"x" * 50]
    endless = SlipDeframer()
    with pytest.raises(OscError, match="more than"):
        for _ in range(4):
            endless.feed(b"\xdb" * MAX_PACKET_BYTES)


def test_a_handler_that_raises_is_told_and_ends_nothing(make_daemon: Make, make_peer: Make, music: Path) -> None:
    from daw_bridge.manifest import Manifest, SessionRecord, write_manifest

    record = SessionRecord(
        adapter="reaper", file="s.rpp", files=("s.rpp",), sha256="", template="band", template_sha256="", plan={}
    )
    (music / "song").mkdir()
    write_manifest(music / "song", Manifest(name="s", daw_bridge="0", state="complete", request={}, sessions=(record,)))
    text = (music / "song" / "manifest.json").read_text("utf-8").replace('"plan": {}', '"plan": "x"')
    (music / "song" / "manifest.json").write_text(text, "utf-8")
    peer = make_peer(make_daemon().port)
    assert peer.ask("/dawbridge/session/open", "reaper", "song").address == "/dawbridge/error"
    assert peer.ask("/dawbridge/ping").address == "/dawbridge/reply"


def test_a_queued_mix_that_becomes_a_link_is_not_read(make_daemon: Make, make_mix: Make, tmp_path: Path) -> None:
    secret_mix, mix = tmp_path / "secret.wav", make_mix()
    secret_mix.write_text("steps=1")
    store = JobStore(tmp_path / "queue.sqlite")
    store.add("build", {"path": str(mix)})
    store.close()
    mix.unlink()
    mix.symlink_to(secret_mix)
    daemon = make_daemon()
    with connected(daemon.port) as connection:
        state = b""
        while b"failed" not in state and b"done" not in state:
            connection.sendall(frame(encode(Message("/dawbridge/jobs")), "length"))
            state = connection.recv(4_000)
    assert b"not found in a music folder" in state
    assert not secret_mix.with_suffix(".session").exists() and not mix.with_suffix(".session").exists()


@pytest.mark.parametrize("row", ["not json", "[]", '"x"', "[" * 5_000, "null"])
def test_a_damaged_row_of_the_queue_stops_neither_the_daemon_nor_the_jobs_behind_it(tmp_path: Path, row: str) -> None:
    path = tmp_path / "queue.sqlite"
    JobStore(path).close()
    with sqlite3.connect(path) as database:
        values = "INSERT INTO jobs (command, arguments, state, created_s) VALUES ('build', ?, ?, 0)"
        database.execute(values, (row, "queued"))
        database.execute(values, ("{}", "strange"))
    database.close()
    store = JobStore(path)
    store.recover()
    good = store.add("build", {"path": "/x"})
    assert store.next_queued() == good
    store.recent()
    states = [job.state for job in store.recent()]
    assert states == [JobState.QUEUED, JobState.FAILED, JobState.FAILED]
    store.close()


def test_a_job_without_a_path_fails_and_the_next_one_runs(
    make_daemon: Make, make_peer: Make, make_mix: Make, tmp_path: Path
) -> None:
    make_mix()
    store = JobStore(tmp_path / "queue.sqlite")
    store.add("build", {})
    store.close()
    peer = make_peer(make_daemon().port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.wait(lambda message: message.address == "/dawbridge/state" and message.arguments[1:4:2] == (2, "done"))


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells whose a connection is")
def test_a_connection_of_another_user_is_known_by_its_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, peer = listening.accept()
        with accepted:
            assert peer_module.may_be_ours(accepted, peer)
            assert peer_module.may_be_ours(accepted, ("192.0.2.7", 5))
            monkeypatch.setattr(os, "getuid", lambda: 4242)
            assert not peer_module.may_be_ours(accepted, peer)


def test_oscquery_takes_a_bounded_number_of_connections_and_no_rebound_name(
    unused_pair: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("zeroconf")
    monkeypatch.setattr("daw_bridge.control.net.discovery.REQUEST_TIMEOUT_S", 10_000.0)  # only the bound may end it

    async def ask(head: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", unused_pair + 1)
        writer.write(head)
        said = await reader.read()
        writer.close()
        return said

    async def run() -> None:
        discovery = Discovery("127.0.0.1", unused_pair)
        discovery._announce = _nothing  # type: ignore[method-assign]
        async with discovery:
            assert b"HOST_INFO" not in await ask(b"GET /?HOST_INFO HTTP/1.1\r\nHost: evil.example:1\r\n\r\n")
            assert b"daw-bridge" in await ask(b"GET /?HOST_INFO HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
            held = [await asyncio.open_connection("127.0.0.1", unused_pair + 1) for _ in range(MAX_CONNECTIONS)]
            reader, writer = await asyncio.open_connection("127.0.0.1", unused_pair + 1)
            with pytest.raises(ConnectionError):
                if await asyncio.wait_for(reader.read(), 20) == b"":
                    raise ConnectionError
            for _, each in [*held, (reader, writer)]:
                each.close()

    asyncio.run(run())


async def _nothing() -> None: ...


@pytest.fixture
def unused_pair() -> int:
    """A port whose next one is free."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1]) - 1


def test_a_known_connection_keeps_its_place(make_daemon: Make) -> None:
    daemon = make_daemon()
    with connected(daemon.port) as known:
        silent = [
            socket.create_connection(("127.0.0.1", daemon.port), timeout=240) for _ in range(server.MAX_CONNECTIONS + 5)
        ]
        known.sendall(frame(encode(Message("/dawbridge/ping")), "length"))
        assert b"/dawbridge/reply" in known.recv(200)
        for connection in silent:
            connection.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be another user")
def test_a_datagram_of_another_user_of_the_machine_is_not_obeyed(
    make_daemon: Make, make_peer: Make, make_mix: Make
) -> None:
    """A surface has no place for a secret; the system knows whose it is."""
    make_mix()
    daemon = make_daemon()
    packet = encode(Message("/dawbridge/separate", ("mix.wav", "#1")))
    code = (
        "import socket, sys\n"
        "sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "sender.sendto(bytes.fromhex(sys.argv[2]), ('127.0.0.1', int(sys.argv[1])))\n"
        "sys.stdin.read()\n"
    )
    command = ["/usr/bin/env", "python3", "-c", code, str(daemon.port), packet.hex()]
    peer = make_peer(daemon.port)
    with subprocess.Popen(command, user=65534, stdin=subprocess.PIPE, cwd="/") as other:
        while "packets_from_strangers" not in stats_of(peer):
            assert other.poll() is None
        other.communicate(b"")
    assert peer.ask("/dawbridge/jobs").arguments[2] == 0


def test_whose_a_datagram_is_the_system_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        port = sender.getsockname()[1]
        assert peer_module.UdpOwners().may_be_ours("127.0.0.1", port)
        assert peer_module.UdpOwners().may_be_ours("192.0.2.7", port)
        monkeypatch.setattr(peer_module, "_owners_of_udp", lambda _port: {4242})
        assert not peer_module.UdpOwners().may_be_ours("127.0.0.1", port)
