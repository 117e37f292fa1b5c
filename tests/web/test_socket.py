"""The WebSocket: one more client of the command table, and nothing that it is sent stops the daemon."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from daw_bridge.control.queue.jobs import JobStore
from daw_bridge.control.queue.runner import cli_argv
from daw_bridge.osc import Message
from daw_bridge.web.socket import MAX_SOCKETS_PER_HOST, MAX_WAITING, WebClient
from tests.web.conftest import Socket, Web

GARBAGE: list[str | bytes] = [
    "",
    "hello",
    "[]",
    "7",
    "null",
    "{}",
    '{"address": 7}',
    '{"address": "/dawbridge/ping", "arguments": {"a": 1}}',
    '{"address": "/dawbridge/ping", "arguments": [[1]]}',
    '{"address": "/dawbridge/ping", "arguments": [null]}',
    '{"address": "/dawbridge/ping", "arguments": 7}',
    '{"address": "/dawbridge/jobs", "arguments": [1e999]}',
    '{"address": "/dawbridge/jobs", "arguments": [99999999999999999999999999]}',
    '{"address": "/dawbridge/ping\\u0000"}',
    "[" * 20_000,
    b"\x00\x01binary",
    "x" * 70_000,
]


def test_commands_are_answered_by_their_id(steady_web: Web) -> None:
    with steady_web.socket() as socket:
        socket.say("/dawbridge/ping", id="p1")
        assert socket.wait("/dawbridge/reply", lambda a: a[0] == "p1")[1:3] == ["/dawbridge/ping", "daw-bridge"]
        socket.say("/dawbridge/nonsense", id="p2")
        wrong = socket.wait("/dawbridge/error")
        assert wrong[0] == "p2" and "no such command" in wrong[2]


@pytest.mark.parametrize("first", ["/dawbridge/ping", "/dawbridge/build", "/dawbridge/hello"])
def test_whoever_does_not_say_the_key_first_is_let_go(steady_web: Web, first: str) -> None:
    with steady_web.socket(hello=False) as socket:
        socket.say(first, "wrong key")
        assert socket.wait_closed() == 1008


@pytest.mark.parametrize("text", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_ends_its_own_connection_at_most(steady_web: Web, text: str | bytes) -> None:
    with steady_web.socket() as other, steady_web.socket() as socket:
        socket.send(text)
        socket.send('{"address": "/dawbridge/ping", "arguments": [], "id": "after"}')
        try:
            socket.wait("/dawbridge/reply", lambda a: a[0] == "after")
        except AssertionError:
            assert socket.closed in (1003, 1007, 1008, 1009)
        other.say("/dawbridge/ping", id="still")
        assert other.wait("/dawbridge/reply", lambda a: a[0] == "still")


def test_two_hundred_sockets_leave_room_for_the_page(steady_web: Web) -> None:
    opened: list[Socket] = []
    with steady_web.socket() as page:
        try:
            opened += [steady_web.socket(hello=False) for _ in range(200)]
            refused = [socket for socket in opened if not socket.accepted]
            assert len(refused) == 200 - (MAX_SOCKETS_PER_HOST - 1)
            page.say("/dawbridge/ping", id="still")
            assert page.wait("/dawbridge/reply", lambda a: a[0] == "still")
            assert steady_web.ask("/api/state").status == 200
        finally:
            for socket in opened:
                socket.close()


def test_a_build_is_queued_told_and_there_after_a_reload(make_web: Callable[..., Web], music: Path) -> None:
    web = make_web()
    (music / "mix.wav").write_text("steps=3", "utf-8")
    with web.socket() as socket:
        socket.say("/dawbridge/subscribe")
        socket.say("/dawbridge/build", "mix.wav", "band", "reaper", "preview", id="b1")
        number = socket.wait("/dawbridge/reply", lambda a: a[0] == "b1")[2]
        assert socket.wait("/dawbridge/state", lambda a: a[1] == number and a[3] in ("done", "failed"))
    job = web.ask("/api/state").json()["jobs"][0]
    assert (job["number"], job["name"], job["source"]) == (number, "mix.wav", "mix.wav")
    assert job["arguments"] == {"template": "band", "daw": "reaper", "model": "preview"}


def test_chosen_stems_reach_the_command_line(make_web: Callable[..., Web], music: Path, tmp_path: Path) -> None:
    web = make_web()
    (music / "mix.wav").write_text("steps=1", "utf-8")
    with web.socket() as socket:
        socket.say("/dawbridge/subscribe")
        socket.say("/dawbridge/build", "mix.wav", "band", "reaper", "preview", "", "vocals", id="b1")
        number = socket.wait("/dawbridge/reply", lambda a: a[0] == "b1")[2]
        assert socket.wait("/dawbridge/state", lambda a: a[1] == number and a[3] == "done")
        socket.say("/dawbridge/separate", "mix.wav", "preview", "vocals", "drums", id="b2")
        assert "contradict" in socket.wait("/dawbridge/error", lambda a: a[0] == "b2")[2]
    job = web.ask("/api/state").json()["jobs"][0]
    assert job["arguments"] == {"template": "band", "daw": "reaper", "model": "preview", "two_stems": "vocals"}
    web.daemon.stop()
    store = JobStore(tmp_path / "queue.sqlite")
    (queued,) = store.recent(1)
    store.close()
    assert "--two-stems=vocals" in cli_argv(queued)


def test_a_slow_page_is_let_go_and_no_memory_grows() -> None:
    client = WebClient("127.0.0.1", "ws:1")
    message = Message("/dawbridge/ping", (1.5, "text", True, b"raw"))
    for _ in range(3 * MAX_WAITING):
        client.send(message)
    assert client.overflowed
    assert client.waiting.qsize() == MAX_WAITING
    assert json.loads(client.waiting.get_nowait() or "") == {
        "address": "/dawbridge/ping",
        "arguments": [1.5, "text", True, None],
    }
