"""The queue and the daemon around it: a job that was accepted ends, whatever dies in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.cli.main import main
from daw_bridge.control.net.local_client import DaemonClient
from daw_bridge.control.queue.jobs import MAX_ATTEMPTS, JobState, JobStore
from daw_bridge.errors import Busy, OutputError
from tests.waiting import wait_until_taken

Make = Callable[..., Any]


def _ended(peer: Any, number: int, timeout_s: float = 60.0) -> tuple[str, str]:
    """State and detail of a job once it has ended."""
    message = peer.wait(
        lambda each: (
            each.address == "/dawbridge/state" and each.arguments[1] == number and JobState(each.arguments[3]).final
        ),
        timeout_s,
    )
    return message.arguments[3], message.arguments[5]


def test_a_build_reports_progress_to_100_and_the_session_path(
    make_daemon: Make, make_peer: Make, make_mix: Make
) -> None:
    mix = make_mix(steps=30, pause=0.005)
    peer = make_peer(make_daemon().port)
    peer.ask("/dawbridge/subscribe")
    peer.send("/dawbridge/build", "mix.wav", "neutral", "#pad-1")
    percents, states, replies = [], [], []
    for message in peer.messages(20):
        if message.address == "/dawbridge/progress":
            assert message.arguments[0] == "pad-1"
            percents.append(message.arguments[2])
        elif message.address == "/dawbridge/reply":
            replies.append(message.arguments)
        elif message.address == "/dawbridge/state":
            states.append(message.arguments[3])
            if message.arguments[3] == "done":
                assert message.arguments[5] == str(mix.with_suffix(".session") / "mix.rpp")
                break
    assert states == ["queued", "running", "done"]
    assert replies == [("pad-1", "/dawbridge/build", 1)]
    assert percents == sorted(percents) and percents[-1] == 100.0 and len(percents) > 5


def test_oscsend_and_oscdump_of_liblo_drive_a_build(
    make_daemon: Make, make_mix: Make, liblo: None, tmp_path: Path
) -> None:
    """The independent client: nothing of ours on its side."""
    make_mix(steps=20, pause=0.005)
    port = str(make_daemon().port)
    dump_port = str(_free_udp_port())
    with subprocess.Popen(["stdbuf", "-oL", "oscdump", dump_port], stdout=subprocess.PIPE, text=True) as dump:
        assert dump.stdout is not None
        wait_until_taken(int(dump_port))  # liblo prints nothing when it is ready
        subprocess.run(["oscsend", "127.0.0.1", port, "/dawbridge/subscribe", "i", dump_port], check=True)
        subprocess.run(["oscsend", "127.0.0.1", port, "/dawbridge/build", "ss", "mix.wav", "#7"], check=True)
        lines = []
        for line in dump.stdout:
            lines.append(line)
            if "/dawbridge/state" in line and '"done"' in line:
                break
        dump.terminate()
    progress = [line.split() for line in lines if "/dawbridge/progress" in line]
    assert float(progress[-1][5]) == 100.0
    assert "mix.rpp" in lines[-1]
    assert any("/dawbridge/reply" in line and '"7"' in line for line in lines)


def _free_udp_port() -> int:
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_subscriber_hears_of_a_job(make_daemon: Make, make_peer: Make, make_mix: Make) -> None:
    make_mix(steps=30, pause=0.01)
    port = make_daemon().port
    peers = [make_peer(port) for _ in range(5)]
    for peer in peers:
        peer.ask("/dawbridge/subscribe")
    with DaemonClient(port=port) as over_tcp:
        over_tcp.call("/dawbridge/subscribe")
        over_tcp.send("/dawbridge/build", "mix.wav")
        heard = set()
        for message in over_tcp.messages(30):
            heard.add(message.address)
            if message.address == "/dawbridge/state" and message.arguments[3] == "done":
                break
        assert {"/dawbridge/reply", "/dawbridge/progress", "/dawbridge/state"} <= heard
    for peer in peers:
        peer.wait(lambda each: each.address == "/dawbridge/progress" and each.arguments[2] == 100.0)
        assert _ended(peer, 1)[0] == "done"


@pytest.mark.parametrize(
    ("then", "state", "detail"),
    [
        ("fail", "failed", "mix.wav: is silent from start to end"),
        ("crash", "failed", "the worker was killed by signal 9 (out of memory?)"),
        ("segfault", "failed", "the worker was killed by signal 11 (crashed)"),
        ("memory", "failed", "cuda:0: out of memory with batches of 1; try --device cpu"),
        ("noise", "done", ""),
        ("busy", "done", "mix.rpp"),
    ],
)
def test_whatever_a_job_does_the_daemon_goes_on(
    make_daemon: Make, make_peer: Make, make_mix: Make, then: str, state: str, detail: str
) -> None:
    make_mix(then=then)
    make_mix("next.wav")
    peer = make_peer(make_daemon().port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/separate", "mix.wav")
    peer.ask("/dawbridge/separate", "next.wav")
    got_state, got_detail = _ended(peer, 1)
    assert got_state == state
    assert detail in got_detail
    assert _ended(peer, 2)[0] == "done"


def test_a_running_and_a_waiting_job_are_cancelled(make_daemon: Make, make_peer: Make, make_mix: Make) -> None:
    make_mix(steps=1000, pause=0.05)
    peer = make_peer(make_daemon().port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.wait(lambda each: each.address == "/dawbridge/progress")
    assert peer.ask("/dawbridge/cancel", 2).arguments[2:] == (2, "cancelling")
    peer.send("/dawbridge/cancel")
    assert _ended(peer, 1)[0] == "cancelled"
    assert peer.ask("/dawbridge/cancel", 2).address == "/dawbridge/error"
    peer.send("/dawbridge/jobs")
    states = {}
    for message in peer.messages(5):
        if message.address == "/dawbridge/state":
            states[message.arguments[1]] = message.arguments[3]
        if message.address == "/dawbridge/reply" and message.arguments[1] == "/dawbridge/jobs":
            break
    assert states == {1: "cancelled", 2: "cancelled"}


def test_kill_9_in_the_middle_then_a_restart_ends_the_job_with_the_same_bytes(
    make_process: Make, make_peer: Make, make_mix: Make
) -> None:
    mix = make_mix(steps=40, pause=0.03)
    make_mix("waits.wav")
    first = make_process()
    peer = make_peer(first.port)
    peer.ask("/dawbridge/subscribe")
    peer.send("/dawbridge/build", "mix.wav", "#kept")
    assert peer.ask("/dawbridge/build", "waits.wav").arguments[2] == 2
    peer.wait(lambda each: each.address == "/dawbridge/progress" and each.arguments[2] > 25)
    first.kill()
    worker = int((mix.with_suffix(".session") / "starts.log").read_text("utf-8").split()[0])
    assert _gone(worker), "the worker outlived its daemon"

    second = make_process(first.port)
    peer = make_peer(second.port)
    peer.ask("/dawbridge/subscribe")
    assert _ended(peer, 1)[0] == "done"
    assert _ended(peer, 2)[0] == "done"
    expected = b"".join(bytes([step]) * 1000 for step in range(40))
    assert (mix.with_suffix(".session") / "stems.bin").read_bytes() == expected
    assert len((mix.with_suffix(".session") / "starts.log").read_text("utf-8").split()) == 2


def _gone(process_id: int) -> bool:
    """Wait for the end of a process that is not ours to wait for; the test's own limit bounds it."""
    while True:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)


def test_sigterm_ends_the_daemon_in_order_and_keeps_the_running_job(
    make_process: Make, make_peer: Make, make_mix: Make, tmp_path: Path
) -> None:
    make_mix(steps=1000, pause=0.05)
    daemon = make_process()
    peer = make_peer(daemon.port)
    peer.ask("/dawbridge/subscribe")
    peer.ask("/dawbridge/build", "mix.wav")
    peer.wait(lambda each: each.address == "/dawbridge/progress")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(240) == 0
    store = JobStore(tmp_path / "queue.sqlite")
    job = store.get(1)
    store.close()
    assert job is not None and (job.state, job.attempts) == (JobState.QUEUED, 0)


def test_a_job_that_keeps_taking_the_daemon_down_is_given_up(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "q.sqlite")
    job = store.add("build", {"path": "/x"})
    for _ in range(MAX_ATTEMPTS):
        assert store.recover()
        store.start(job)
    assert store.recover() == []
    ended = store.get(job.number)
    assert ended is not None and ended.state is JobState.FAILED and "interrupted 3 times" in ended.detail
    store.close()


def test_a_second_daemon_on_one_queue_or_one_port_is_refused(make_daemon: Make, tmp_path: Path) -> None:
    first = make_daemon()
    with pytest.raises(Busy, match="another daw-bridge daemon runs with this queue"):
        make_daemon()
    with pytest.raises(Busy, match="the port is taken"):
        make_daemon(port=first.port, queue="other.sqlite")


def test_a_damaged_queue_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "q.sqlite"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(OutputError, match="move the file away"):
        JobStore(path)


def test_ended_jobs_are_pruned_and_waiting_ones_kept(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "q.sqlite")
    for _ in range(5):
        job = store.add("build", {"path": "/x"})
        store.finish(job, JobState.DONE, "")
    waiting = store.add("build", {"path": "/x"})
    store.prune(keep=2)
    assert [job.number for job in store.recent()] == [waiting.number, waiting.number - 1]
    store.close()


def test_the_command_line_adds_watches_lists_and_cancels(
    make_daemon: Make, make_mix: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = make_mix(steps=5)
    port = str(make_daemon().port)
    assert main(["jobs", "add", "build", str(mix), "-t", "band", "--watch", "--port", port]) == 0
    assert "done" in capsys.readouterr().out
    assert main(["jobs", "list", "--port", port, "--json"]) == 0
    (job,) = json.loads(capsys.readouterr().out)
    assert (job["state"], job["percent"], job["name"]) == ("done", 100.0, "mix.wav")
    assert main(["jobs", "cancel", "1", "--port", port]) == 2
    assert "is not waiting or running" in capsys.readouterr().err
    assert main(["jobs", "add", "build", "no such mix.wav", "--port", port]) == 3
    assert "a file of that name is not found in a music folder" in capsys.readouterr().err
    assert main(["jobs", "cancel", "-5", "--port", port]) == 2
    assert "job -5 is out of range (0 or more)" in capsys.readouterr().err
    assert main(["jobs", "watch", "--port", port]) == 0


def test_without_a_daemon_the_command_line_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list", "--port", str(_free_udp_port())]) == 9
    assert "start one with: daw-bridge serve" in capsys.readouterr().err
    assert main(["jobs", "list", "--port", "70000"]) == 2
    assert "a port is a number from 1 to 65535" in capsys.readouterr().err


def test_the_worker_ends_its_command_when_its_pipe_closes(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    script = f"import os,time,pathlib; pathlib.Path({str(marker)!r}).write_text(str(os.getpid())); time.sleep(600)"
    argv = [sys.executable, "-m", "daw_bridge.control.queue.worker", sys.executable, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as worker:
        while not marker.exists() or not marker.read_text("utf-8"):
            time.sleep(0.02)
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(200) == 128 + 9
    assert _gone(int(marker.read_text("utf-8")))
