"""Strangers, floods and garbage: the daemon answers or drops with a counter, and goes on."""

from __future__ import annotations

import os
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.cli.main import main
from daw_bridge.control.clients import LEASE_S, MAX_SUBSCRIBERS, Subscribers
from daw_bridge.control.commands import COMMANDS, parse
from daw_bridge.control.security import (
    BURST,
    RATE_PER_S,
    AccessPolicy,
    MusicFolders,
    RateLimiter,
    parse_networks,
)
from daw_bridge.control.server import MAX_CONNECTIONS
from daw_bridge.errors import InputError, UsageError
from daw_bridge.osc import Message, encode, encode_bundle, unix_s_to_time_tag
from daw_bridge.osc_stream import frame

Make = Callable[..., Any]
ANYWHERE = "0.0.0.0"  # noqa: S104  # what the tests are about
TOKEN = "correct-horse-battery"  # noqa: S105  # of the test


def _stats(peer: Any) -> dict[str, int]:
    text = str(peer.ask("/dawbridge/stats").arguments[2])
    return {name: int(count) for name, _, count in (pair.partition("=") for pair in text.split())}


def _rss_bytes() -> int:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# Who


@pytest.mark.parametrize("host", [ANYWHERE, "192.168.1.5", "::"])
def test_a_network_address_needs_allow_or_a_token(host: str) -> None:
    with pytest.raises(UsageError, match=r"--allow 192\.168\.1\.0/24 or --token-file"):
        AccessPolicy(bind_host=host)
    AccessPolicy(bind_host=host, networks=parse_networks(["10.0.0.0/8"]))
    AccessPolicy(bind_host=host, token=TOKEN)


def test_a_loopback_daemon_hears_this_machine_only() -> None:
    policy = AccessPolicy()
    assert [policy.admits(host) for host in ("127.0.0.1", "::1", "192.168.1.5", "")] == [True, True, False, False]


def test_allow_and_token_are_both_asked_for_when_both_are_set() -> None:
    policy = AccessPolicy(bind_host=ANYWHERE, networks=parse_networks(["192.168.1.0/24"]), token=TOKEN)
    assert policy.admits("192.168.1.77") and not policy.admits("192.168.2.1") and not policy.admits("fe80::1%eth0")
    assert policy.needs_token("192.168.1.77") and not policy.needs_token("127.0.0.1")
    assert policy.token_matches(TOKEN) and not policy.token_matches("") and not policy.token_matches(TOKEN + "x")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--bind", ANYWHERE], 2, "say who may use it with --allow"),
        (["--allow", "300.1.1.1/8"], 2, "write a network as 192.168.1.0/24"),
        (["--port", "70000"], 2, "a port is a number from 1 to 65535"),
        (["--mixer", "ardour=127.0.0.1:70000"], 2, "write it as ardour=127.0.0.1:3819"),
        (["--mixer", "ardor=127.0.0.1:3819"], 9, "did you mean ardour"),
        (["--profile", "custom=nowhere.yaml"], 5, "nowhere.yaml: no such file"),
        (["--profile", "custom"], 2, "write it as reaper=my-reaper.yaml"),
        (["--midi-map", "map.yaml"], 2, "say the port too, as in --midi PORT"),
        (["--token-file", "nowhere"], 3, "the token cannot be read"),
        (["--music", "nowhere"], 3, "no such folder"),
    ],
)
def test_the_command_line_refuses_unsafe_or_wrong_options_before_it_listens(
    arguments: list[str], code: int, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--queue", str(tmp_path / "q.sqlite"), *arguments]) == code
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1


def test_a_short_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1234\n", "utf-8")
    assert main(["serve", "--bind", ANYWHERE, "--token-file", str(tmp_path / "token")]) == 2


def _own_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network address beside loopback")
        return str(probe.getsockname()[0])


def test_from_another_address_nothing_works_before_the_token(
    make_daemon: Make, make_peer: Make, make_mix: Make
) -> None:
    make_mix()
    own = _own_address()
    daemon = make_daemon(host=ANYWHERE, policy=AccessPolicy(bind_host=ANYWHERE, token=TOKEN))
    peer = make_peer(daemon.port)
    peer.socket.close()
    peer.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.socket.bind((own, 0))
    peer.address = (own, daemon.port)
    assert "say the token first" in peer.ask("/dawbridge/build", "mix.wav").arguments[2]
    assert "wrong token" in peer.ask("/dawbridge/hello", "guess-guess-guess-guess").arguments[2]
    assert peer.ask("/dawbridge/hello", TOKEN).address == "/dawbridge/reply"
    assert peer.ask("/dawbridge/build", "mix.wav").address == "/dawbridge/reply"


def test_who_is_not_allowed_is_dropped_and_counted(make_daemon: Make, make_peer: Make) -> None:
    own = _own_address()
    policy = AccessPolicy(bind_host=ANYWHERE, networks=parse_networks(["203.0.113.0/24"]))
    daemon = make_daemon(host=ANYWHERE, policy=policy)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((own, 0))
        for _ in range(5):
            stranger.sendto(encode(Message("/dawbridge/ping")), (own, daemon.port))
        with socket.create_connection((own, daemon.port), timeout=5, source_address=(own, 0)) as connection:
            try:
                assert connection.recv(10) == b""
            except ConnectionResetError:
                pass
        stats = _stats(make_peer(daemon.port))
        assert (stats["packets_from_strangers"], stats["connections_refused"]) == (5, 1)
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(100)


# Files


def test_paths_never_leave_the_music_folders(tmp_path: Path) -> None:
    music, secret = tmp_path / "music", tmp_path / "secret"
    music.mkdir()
    secret.mkdir()
    (secret / "diary.wav").write_bytes(b"x")
    (music / "mix.wav").write_bytes(b"x")
    (music / "inside").symlink_to(music / "mix.wav")
    (music / "outside").symlink_to(secret / "diary.wav")
    (music / "folder").symlink_to(secret)
    (music / "loop").symlink_to(music / "loop")
    os.mkfifo(music / "fifo.wav")
    folders = MusicFolders.of([music])
    for text in ("mix.wav", str(music / "mix.wav"), "inside", "./mix.wav", "../music/mix.wav"):
        assert folders.resolve(text, "file") == music / "mix.wav"
    refused = [
        "outside", "folder/diary.wav", "../secret/diary.wav", str(secret / "diary.wav"), "loop", "fifo.wav", "", ".",
        "mix.wav\n", "mix.wav\0", "/etc/passwd", "~/mix.wav", "no.wav", "a" * 5000, "/dev/zero",
    ]  # fmt: skip
    for text in refused:
        with pytest.raises(InputError, match="not found in a music folder"):
            folders.resolve(text, "file")
    with pytest.raises(InputError, match="no such folder"):
        MusicFolders.of([tmp_path / "nowhere"])


def test_a_path_from_the_network_is_confined_and_never_an_option(
    make_daemon: Make, make_peer: Make, make_mix: Make, tmp_path: Path
) -> None:
    (tmp_path / "secret.wav").write_text("steps=1", "utf-8")
    make_mix("--help")
    peer = make_peer(make_daemon().port)
    for path in ("../secret.wav", str(tmp_path / "secret.wav"), "/etc/passwd"):
        assert "not found in a music folder" in peer.ask("/dawbridge/build", path).arguments[2]
    assert peer.ask("/dawbridge/build", "--help").address == "/dawbridge/reply"
    (tmp_path / "music" / "way-out").symlink_to(tmp_path)
    for command, arguments in (
        ("separate", ("way-out/secret.wav",)),
        ("rebuild", ("..",)),
        ("rebuild", ("way-out",)),
        ("session/open", ("ardour", "way-out")),
        ("live/start", ("way-out/secret.wav",)),
        ("live/start", ("../secret.wav",)),
    ):
        assert "not found in a music folder" in peer.ask(f"/dawbridge/{command}", *arguments).arguments[2]
    for template in ("../../etc/passwd", "/tmp/x.yaml", "band;rm", "no-such", "--force"):
        assert "no template called" in peer.ask("/dawbridge/build", "--help", template).arguments[2]


# Garbage


@given(st.text(max_size=60), st.lists(st.integers() | st.floats() | st.text(max_size=9) | st.none(), max_size=9))
def test_any_message_is_a_command_or_a_usage_error(address: str, arguments: list[Any]) -> None:
    for command in COMMANDS[::4]:
        for target in (address, command.address, f"{command.address}/{address}"):
            try:
                parse(target, tuple(arguments))
            except UsageError:
                pass


@pytest.mark.parametrize(
    ("address", "arguments", "reason"),
    [
        ("/dawbridge/stem/*/mute", (1,), "address patterns are not taken"),
        ("/dawbridge/{build,separate}", ("x",), "address patterns are not taken"),
        ("/dawbridge/biuld", ("x",), "did you mean /dawbridge/build"),
        ("/dawbridge/build", (), "mix is missing"),
        ("/dawbridge/build", (1.5,), "mix is a path, not 1.5"),
        ("/dawbridge/build", (b"x" * 60_000,), "mix is a path"),
        ("/dawbridge/build", ("x",) * 9, "9 arguments; it takes 4"),
        ("/dawbridge/build", ("x" * 2000,), "mix is a path"),
        ("/dawbridge/stem/vocals/gain_db", ("loud",), "gain_db is a number"),
        ("/dawbridge/stem/vocals/gain_db", (True,), "gain_db is a number"),
        ("/dawbridge/stem/vocals/gain_db", (float("nan"),), "gain_db is a number"),
        ("/dawbridge/stem/vocals/gain_db", (99.0,), "out of range"),
        ("/dawbridge/stem/vocals/mute", (7,), "on is a switch"),
        (f"/dawbridge/stem/{'v' * 200}/mute", (1,), "a name has 1 to 100 characters"),
        ("/dawbridge/stem//mute", (1,), "a name has 1 to 100 characters"),
        ("/dawbridge/cancel", (1.5,), "job is a whole"),
        ("/dawbridge/subscribe", (99_999,), "out of range"),
    ],
)
def test_type_confusion_is_answered_with_an_error(
    shared_daemon_port: int, make_peer: Make, address: str, arguments: tuple[Any, ...], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        parse(address, arguments)
    peer = make_peer(shared_daemon_port)
    error = peer.ask(address, *arguments)
    assert error.address == "/dawbridge/error" and reason in error.arguments[2] and error.arguments[3] == 2


def test_garbage_of_every_kind_is_counted_and_survived(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    peer = make_peer(daemon.port)
    bundle = b"#bundle\0" + bytes(7) + b"\1"
    nested = encode(Message("/dawbridge/ping"))
    for _ in range(50):
        nested = bundle + struct.pack(">i", len(nested)) + nested
    ping = [Message("/dawbridge/ping")]
    far = [encode_bundle(ping, unix_s_to_time_tag(time.time() + shift_s)) for shift_s in (5.0, 1e8, -60.0, -1e9)]
    packets = [b"", b"\0", b"junk", bundle + struct.pack(">i", -4) + b"/a\0\0", nested, b"/a\0\0,b\0\0\x7f\xff\xff\xff"]
    blob = b"/dawbridge/build\0\0\0\0,b\0\0" + struct.pack(">i", 60_000) + bytes(60_000)
    for packet in [*packets, *far, blob]:
        peer.socket.sendto(packet, peer.address)
    peer.socket.sendto(encode_bundle([Message("/dawbridge/ping")], 1), peer.address)
    refused = peer.wait(lambda each: each.address == "/dawbridge/error" and each.arguments[1] == "/dawbridge/build")
    assert "mix is a path, not b'" in refused.arguments[2] and len(refused.arguments[2]) < 200
    stats = _stats(peer)
    assert stats["packets_malformed"] == len(packets)
    assert stats["messages_untimely"] == 4
    assert peer.ask("/dawbridge/ping").address == "/dawbridge/reply"


def test_a_bundle_in_a_bundle_is_carried_out_at_its_own_time(make_daemon: Make, make_peer: Make) -> None:
    peer = make_peer(make_daemon().port)

    def wrapped(packet: bytes, time_tag: int = 1) -> bytes:
        return b"#bundle\0" + struct.pack(">Qi", time_tag, len(packet)) + packet

    peer.socket.sendto(wrapped(wrapped(encode(Message("/dawbridge/ping", ("#in",))))), peer.address)
    assert peer.wait(lambda each: each.address == "/dawbridge/reply").arguments[0] == "in"
    late = unix_s_to_time_tag(time.time() + 3600)
    peer.socket.sendto(wrapped(wrapped(encode(Message("/dawbridge/ping")), late), late), peer.address)
    assert "time tag is not now" in peer.wait(lambda each: each.address == "/dawbridge/error").arguments[2]


def test_six_thousand_fuzzed_datagrams_leave_it_alive(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    peer = make_peer(daemon.port)
    rng = random.Random(11)
    good = [encode(Message(command.address, ("x", 1, 2.0))) for command in COMMANDS]
    before = _rss_bytes()
    for count in range(6_000):
        packet = bytearray(rng.choice(good))
        for _ in range(rng.randint(0, 4)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        peer.socket.sendto(bytes(packet[: rng.randint(0, len(packet))]), peer.address)
        if count % 500 == 0:
            time.sleep(0.01)
    time.sleep(1.2)  # the bucket of allowed messages fills again
    assert peer.ask("/dawbridge/ping").address == "/dawbridge/reply"
    assert _rss_bytes() - before < 60_000_000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_on_a_tcp_connection_end_only_that_connection(shared_daemon_port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", shared_daemon_port), timeout=5) as connection:
        connection.sendall(data)
    with socket.create_connection(("127.0.0.1", shared_daemon_port), timeout=5) as connection:
        connection.sendall(frame(encode(Message("/dawbridge/ping")), "length"))
        assert connection.recv(100)[4:].startswith(b"/dawbridge/reply")


@pytest.fixture(scope="module")
def shared_daemon_port(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from daw_bridge.control.daemon import ServeOptions
    from tests.control.conftest import DaemonThread

    folder = tmp_path_factory.mktemp("shared")
    daemon = DaemonThread(ServeOptions(music=[folder], queue=folder / "q.sqlite", port=0))
    yield daemon.port
    daemon.stop()


# Floods and slow ones


def test_ten_thousand_messages_a_second_are_bounded_and_a_job_ends_meanwhile(
    make_daemon: Make, make_peer: Make, make_mix: Make
) -> None:
    make_mix(steps=20, pause=0.05)
    daemon = make_daemon()
    peer, flooder = make_peer(daemon.port), make_peer(daemon.port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    before, packet = _rss_bytes(), encode(Message("/dawbridge/stem/vocals/gain_db", (-6.0,)))
    started, sent = time.monotonic(), 0
    while sent < 20_000:
        if sent < 10_000 * (time.monotonic() - started):
            flooder.socket.sendto(packet, flooder.address)
            sent += 1
    allowed = RATE_PER_S * (time.monotonic() - started + 1.5) + BURST
    peer.wait(lambda each: each.address == "/dawbridge/state" and each.arguments[3] == "done", 60)
    time.sleep(1.0)
    stats = _stats(peer)
    # The rest was dropped: by the bucket, or by the kernel while the loop was busy.
    assert stats["messages_in"] < min(allowed, sent)
    assert stats["errors_not_sent"] > 100  # "no DAW is bound", at a bounded rate
    assert _rss_bytes() - before < 40_000_000


@pytest.mark.parametrize("junk", [b"\xc0" * 65_536, b"\xc0" + b"\xdb\xdc" * 60_000, b"\0\0\xff\xe0" + b"x" * 60_000])
def test_a_tcp_client_that_only_pumps_bytes_neither_blocks_nor_grows_the_daemon(
    make_daemon: Make, make_peer: Make, junk: bytes
) -> None:
    peer = make_peer(make_daemon().port)
    before, pumping = _rss_bytes(), threading.Event()

    def pump() -> None:
        with socket.create_connection(peer.address, timeout=20) as connection:
            connection.sendall(junk[:4])
            while not pumping.is_set():
                try:
                    connection.sendall(junk)
                except OSError:
                    return

    threads = [threading.Thread(target=pump) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            assert peer.ask("/dawbridge/ping").address == "/dawbridge/reply"
        assert _rss_bytes() - before < 40_000_000
    finally:
        pumping.set()
        for thread in threads:
            thread.join()


def test_more_connections_than_allowed_are_refused_and_the_others_work(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    held = [socket.create_connection(("127.0.0.1", daemon.port), timeout=5) for _ in range(MAX_CONNECTIONS)]
    try:
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=5) as one_more:
            try:
                assert one_more.recv(10) == b""
            except ConnectionResetError:
                pass
        held[0].sendall(frame(encode(Message("/dawbridge/ping")), "length"))
        assert b"/dawbridge/reply" in held[0].recv(200)
        assert _stats(make_peer(daemon.port))["connections_refused"] == 1
    finally:
        for connection in held:
            connection.close()


def test_slow_and_vanished_subscribers_do_not_slow_a_job(make_daemon: Make, make_peer: Make, make_mix: Make) -> None:
    """A TCP subscriber that never reads, one that breaks off, and UDP ones that are gone; the job ends and is told."""
    make_mix(steps=200)
    daemon = make_daemon()
    subscribe = frame(encode(Message("/dawbridge/subscribe")), "length")
    deaf = socket.create_connection(("127.0.0.1", daemon.port), timeout=5)
    broken = socket.create_connection(("127.0.0.1", daemon.port), timeout=5)
    broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset instead of a goodbye
    for connection in (deaf, broken):
        connection.sendall(subscribe)
    broken.close()
    for _ in range(20):
        gone = make_peer(daemon.port)
        gone.send("/dawbridge/subscribe")
        gone.socket.close()
    peer = make_peer(daemon.port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.wait(lambda each: each.address == "/dawbridge/state" and each.arguments[3] == "done", 30)
    deaf.close()


def test_by_default_nothing_is_announced_and_only_one_port_is_open(make_process: Make) -> None:
    daemon = make_process()
    inodes = {str(entry.readlink()) for entry in Path(f"/proc/{daemon.process.pid}/fd").iterdir()}
    ports = set()
    for table in ("tcp", "udp", "tcp6", "udp6"):
        for row in Path(f"/proc/{daemon.process.pid}/net/{table}").read_text("utf-8").splitlines()[1:]:
            cells = row.split()
            if f"socket:[{cells[9]}]" in inodes:
                address, _, port = cells[1].partition(":")
                ports.add((address, int(port, 16)))
    assert ports == {("0100007F", daemon.port)}


def test_a_client_that_reads_nothing_is_closed_and_slows_nobody(make_daemon: Make, make_peer: Make) -> None:
    daemon = make_daemon()
    peer = make_peer(daemon.port)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", daemon.port))
        request = frame(encode(Message("/dawbridge/template/list", ("#" + "x" * 100,))), "length")
        deadline = time.monotonic() + 25
        while time.monotonic() < deadline:
            try:
                slow.sendall(request * 100)
            except OSError:
                break
            if "slow_clients_closed" in _stats(peer):
                break
            time.sleep(0.05)
        started = time.monotonic()
        assert peer.ask("/dawbridge/ping").address == "/dawbridge/reply"
        assert time.monotonic() - started < 0.5
        assert _stats(peer)["slow_clients_closed"] == 1


def test_a_vanished_udp_subscriber_costs_nothing(make_daemon: Make, make_peer: Make, make_mix: Make) -> None:
    make_mix(steps=30)
    daemon = make_daemon()
    gone, peer = make_peer(daemon.port), make_peer(daemon.port)
    gone.ask("/dawbridge/subscribe")
    gone.socket.close()
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.wait(lambda each: each.address == "/dawbridge/state" and each.arguments[3] == "done", 20)


def test_a_token_bucket_gives_its_rate_and_forgets_old_hosts() -> None:
    now = [0.0]
    limiter = RateLimiter(10, 5, clock=lambda: now[0])
    assert [limiter.allows("a") for _ in range(6)] == [True] * 5 + [False]
    now[0] = 0.3
    assert [limiter.allows("a") for _ in range(4)] == [True] * 3 + [False]
    for number in range(1000):
        limiter.allows(f"host {number}")
    assert len(limiter._buckets) <= 256


class _Sink:
    lasting = False

    def __init__(self, number: int) -> None:
        self.host, self.key, self.packets = f"h{number}", f"k{number}", 0

    def send(self, packet: bytes) -> None:
        self.packets += 1


def test_subscribers_are_bounded_and_expire() -> None:
    now = [0.0]
    table = Subscribers(clock=lambda: now[0])
    sinks = [_Sink(number) for number in range(MAX_SUBSCRIBERS + 3)]
    for sink in sinks[:-3]:
        table.add(sink)
    table.renew("h0")
    for sink in sinks[-3:]:
        table.add(sink)
    assert len(table) == MAX_SUBSCRIBERS
    table.broadcast(Message("/x"))
    assert [sink.packets for sink in sinks[:5]] == [1, 0, 0, 0, 1]  # h0 was heard of again, h1..h3 made place
    now[0] = LEASE_S + 1
    table.broadcast(Message("/x"))
    assert len(table) == 0
