"""Who may speak to the daemon, and which files he may name."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.cli.main import main
from daw_bridge.control.net.security import (
    AccessPolicy,
    MusicFolders,
    parse_networks,
)
from daw_bridge.errors import InputError, UsageError
from daw_bridge.osc import Message, encode
from tests.control.conftest import stats_of

Make = Callable[..., Any]
ANYWHERE = "0.0.0.0"  # noqa: S104  # what the tests are about
TOKEN = "correct-horse-battery"  # noqa: S105  # of the test


# Who


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
    loopbacks = {"0100007F", "00000000000000000000000001000000"}  # 127.0.0.1 and, where there is one, ::1
    assert {port for _address, port in ports} == {daemon.port}
    assert "0100007F" in {address for address, _port in ports} <= loopbacks


@pytest.mark.parametrize("host", [ANYWHERE, "192.168.1.5", "::"])
def test_a_network_address_needs_allow_or_a_token(host: str) -> None:
    with pytest.raises(UsageError, match=r"`allow` 192\.168\.1\.0/24 or a `token_file`"):
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
        with socket.create_connection((own, daemon.port), timeout=240, source_address=(own, 0)) as connection:
            try:
                assert connection.recv(10) == b""
            except ConnectionResetError:
                pass
        stats = stats_of(make_peer(daemon.port))
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
