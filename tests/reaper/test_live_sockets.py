"""reapy's unmodified client and server over real sockets: the same state, fast, and one line for every failure."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.errors import DawError, DawUnreachable
from daw_bridge_reaper.live.adapter import ReaperLiveAdapter
from daw_bridge_reaper.live.connection import Connection
from daw_bridge_reaper.settings import Address
from tests.reaper.plans import full_plan, neutral_plan
from tests.reaper.simulator.model import World
from tests.reaper.simulator.script import SimulatedScript
from tests.reaper.test_live import with_audio

pytest.importorskip("reapy.tools", reason="the extra 'reaper' is not installed")
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Simulator:
    """The process and its address."""

    def __init__(self, *options: str, hz: float = 30.0, address: Address | None = None) -> None:
        self.address, self.server_port = address or Address(web_port=free_port()), free_port()
        ports = ["--web-port", str(self.address.web_port), "--server-port", str(self.server_port), "--hz", str(hz)]
        command = [sys.executable, "-m", "tests.reaper.simulator.process", *ports, *options]
        environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PATH": "/usr/bin:/bin"}
        environment |= {name: os.environ[name] for name in ("XDG_RUNTIME_DIR", "TMPDIR") if name in os.environ}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "ready"

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.address.web_port}/_sim/{path}", timeout=240) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Simulator]]:
    made: list[Simulator] = []

    def make(*options: str, hz: float = 30.0) -> Simulator:
        made.append(Simulator(*options, hz=hz))
        return made[-1]

    yield make
    for simulator in made:
        simulator.close()


def test_a_build_over_sockets_is_the_build_without_them(start: Callable[..., Simulator], tmp_path: Path) -> None:
    plan = with_audio(full_plan(tmp_path))
    world, simulator = World(), start()
    ReaperLiveAdapter(connect=lambda: SimulatedScript(world)).write(plan, tmp_path, "direct")
    ReaperLiveAdapter(connect=lambda: Connection(simulator.address)).write(plan, tmp_path, "sockets")
    state = simulator.ask("state")
    assert state["content"] == json.loads(json.dumps(world.content.plain()))
    assert state["undo"] == ["daw-bridge: Full"]


def test_a_failure_inside_reaper_is_one_line_and_undone(start: Callable[..., Simulator], tmp_path: Path) -> None:
    plan = with_audio(neutral_plan(tmp_path, ("a", "b")))
    simulator = start(hz=500.0)
    before = simulator.ask("state")["content"]
    adapter = ReaperLiveAdapter(connect=lambda: Connection(simulator.address))
    adapter.connect().__exit__(None, None, None)
    for number in (5, 60, 150):
        simulator.ask(f"fail/{number}")
        with pytest.raises(DawError, match="simulated failure of") as caught:
            adapter.write(plan, tmp_path, "Song")
        assert "\n" not in str(caught.value)
        assert simulator.ask("state")["content"] == before
    adapter.write(plan, tmp_path, "Song")
    assert len(simulator.ask("state")["content"]["tracks"]) == 6


def test_reaper_that_quits_and_comes_back(start: Callable[..., Simulator], tmp_path: Path) -> None:
    simulator = start(hz=500.0)
    connection = Connection(simulator.address)
    simulator.close()
    with pytest.raises(DawUnreachable, match="REAPER went away"):
        connection.call("CountTracks", 0)
    connection.close()
    with pytest.raises(DawUnreachable, match="start REAPER"):
        Connection(simulator.address)
    again = start(hz=500.0)
    with Connection(again.address) as connection:
        assert connection.call("CountTracks", 0) == 0


def test_a_client_that_dies_in_a_hold_does_not_end_the_server(start: Callable[..., Simulator]) -> None:
    simulator = start(hz=500.0)
    first = Connection(simulator.address)
    with pytest.raises(DawUnreachable), first.hold():
        first.close()
    with Connection(simulator.address) as second:
        assert second.call("CountTracks", 0) == 0


def test_a_server_that_hangs_is_given_up(start: Callable[..., Simulator]) -> None:
    simulator = start(hz=500.0)
    with Connection(simulator.address, timeout_s=0.5) as connection:
        simulator.ask("hang/3")
        with pytest.raises(DawUnreachable, match="has not answered CountTracks"):
            connection.call("CountTracks", 0)


def test_a_server_that_is_not_set_up_names_the_setup(start: Callable[..., Simulator]) -> None:
    with pytest.raises(DawUnreachable, match="daw-bridge reaper setup"):
        Connection(start("--no-action").address)


def test_an_action_that_cannot_start_the_server_is_no_endless_recursion(
    start: Callable[..., Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daw_bridge_reaper.live.connection._START_TIMEOUT_S", 0.5)
    with pytest.raises(DawUnreachable, match="does not start"):
        Connection(start("--dead-action").address)


def test_the_server_listens_on_this_machine_only(start: Callable[..., Simulator]) -> None:
    simulator = start(hz=500.0)
    Connection(simulator.address).close()
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = {line.split()[1] for line in table if line.split()[3] == "0A"}
    port = f"{simulator.server_port:04X}"
    assert [address for address in listening if address.endswith(f":{port}")] == [f"0100007F:{port}"]


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>hello</html>"), (404, b""), (200, b"\xff\xfe")])
def test_a_port_that_belongs_to_somebody_else_is_said(status: int, body: bytes) -> None:
    class Other(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return None

        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

    server = http.server.HTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.raises(DawUnreachable, match="not REAPER's web interface"):
            Connection(Address(web_port=server.server_port))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_port_that_answers_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daw_bridge_reaper.live.connection._WEB_TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DawUnreachable, match="does not answer"):
            Connection(Address(web_port=silent.getsockname()[1]))


def test_a_global_called_obj_does_not_confuse_reapy() -> None:
    code = (
        "obj = 1\n"
        "from daw_bridge_reaper.live.connection import import_reapy\n"
        "import_reapy()\n"
        "assert obj == 1\n"
        "import daw_bridge, daw_bridge_reaper.live.adapter\n"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env=environment, timeout=240)


def test_loading_the_live_adapter_loads_no_reapy() -> None:
    code = (
        "import sys\n"
        "from daw_bridge.registry import load_adapter\n"
        "load_adapter('reaper-live')\n"
        "assert 'reapy' not in sys.modules and 'torch' not in sys.modules\n"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=240)


def _request(**parts: Any) -> bytes:
    text = json.dumps(parts).encode()
    return len(text).to_bytes(8, "little") + text


def _call(module: str, name: str, *args: Any) -> bytes:
    function = {"__callable__": True, "module_name": module, "name": name}
    return _request(function=function, input={"args": list(args), "kwargs": {}})


@pytest.mark.parametrize(
    "sent",
    [
        (1_000).to_bytes(8, "little") + b"{",
        (1 << 40).to_bytes(8, "little"),
        b"\1",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\2\0\0\0\0\0\0\0\xff\xfe",
        _request(function=5),
        b"\3\0\0\0\0\0\0\0[1]",
        _call("os", "getpid"),
        _call("reapy.reascript_api", "os.getpid"),
        _call("reapy.reascript_api", "CountTracks", {"__callable__": True, "module_name": "os", "name": "getpid"}),
    ],
    ids=[
        "a body that stays out",
        "a huge length",
        "one byte",
        "a page",
        "no text",
        "no call",
        "a list",
        "a function of os",
        "a dotted name",
        "a function among the values",
    ],
)
def test_whatever_a_peer_sends_reaper_goes_on_and_runs_nothing(start: Callable[..., Simulator], sent: bytes) -> None:
    simulator = start()
    with Connection(simulator.address) as before:  # the server runs
        with socket.create_connection(("127.0.0.1", simulator.server_port), timeout=240) as stranger:
            stranger.recv(8)
            stranger.recv(100)
            stranger.sendall(sent)
            rest = b""
            try:
                while more := stranger.recv(1_000):
                    rest += more
            except ConnectionError:
                pass
            assert rest == b"", "the connection ends, and nothing is answered"
        assert before.call("CountTracks", 0) >= 0, "the others stay connected"


@pytest.mark.parametrize("said", [None, "", "wrong"])
def test_where_the_system_tells_no_owner_a_program_says_the_secret_first(
    start: Callable[..., Simulator], said: str | None
) -> None:
    simulator = start("--owners-unknown")
    with Connection(simulator.address) as ours:  # it reads the secret from the file of its user
        assert ours.call("CountTracks", 0) >= 0
        with socket.create_connection(("127.0.0.1", simulator.server_port), timeout=30) as stranger:
            stranger.recv(8)
            stranger.recv(100)
            if said is not None:
                stranger.sendall(_request(function="SECRET", input={"args": [said], "kwargs": {}}))
            else:
                stranger.sendall(_call("reapy.reascript_api", "CountTracks", 0))
            try:
                assert stranger.recv(1_000) == b""
            except ConnectionError:
                pass
        assert ours.call("CountTracks", 0) >= 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to be another user")
def test_another_user_of_the_machine_is_not_heard(start: Callable[..., Simulator]) -> None:
    simulator = start()
    code = (
        "import socket, sys\n"
        "with socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=30) as connection:\n"
        "    data = connection.recv(8)\n"
        "    try:\n"
        "        while more := connection.recv(1000): data += more\n"
        "        print('ended')\n"
        "    except ConnectionError: print('ended')\n"
    )
    with Connection(simulator.address) as ours:
        command = ["/usr/bin/env", "python3", "-c", code, str(simulator.server_port)]
        other = subprocess.run(command, user=65534, capture_output=True, text=True, timeout=60, check=False, cwd="/")
        assert other.stdout == "ended\n", other.stderr
        assert ours.call("CountTracks", 0) >= 0
