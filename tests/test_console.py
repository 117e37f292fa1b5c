"""What a log file of a run looks like: a line for each stage, and more only where a stage takes its time."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator

import pytest

from daw_bridge.cli.console import ProgressPrinter, StageTimes, one_line, print_error, say, say_lines, working
from daw_bridge.cli.main import main
from daw_bridge.control.daemon import _on_signals
from daw_bridge.progress import Progress, Stage, ignore_progress


def printed(events: list[tuple[Stage, int, float]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines for events of (stage, percent, seconds since the start)."""
    stream = io.StringIO()
    printer = ProgressPrinter(stream, style="lines")
    for stage, percent, now_s in events:
        monkeypatch.setattr(time, "monotonic", lambda now_s=now_s: now_s)
        printer(Progress(stage=stage, done=percent, total=100))
    return stream.getvalue().splitlines()


def test_a_quick_run_prints_one_line_for_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(stage, percent, 1.0) for stage in ("decode", "load", "separate") for percent in range(101)]
    again = [("load", percent, 2.0) for percent in range(101)]
    lines = printed([*events, *again], monkeypatch)  # type: ignore[list-item]
    assert lines == ["Decoding", "Loading the model", "Separating"]


def test_a_slow_stage_prints_a_line_every_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed([("separate", percent, percent * 10.0) for percent in range(101)], monkeypatch)
    assert [line.split()[1] for line in lines[1:]] == [f"{percent}%" for percent in range(10, 101, 10)]
    assert lines[1] == "Separating: 10%  15:00 left"


def test_no_two_lines_come_within_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed([("separate", percent, percent / 10) for percent in range(101)], monkeypatch)  # 10 s in all
    assert lines == ["Separating", "Separating: 50%  0:05 left", "Separating: 100%  in 0:10"]


def test_the_time_of_each_stage_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="daw_bridge"):
        times = StageTimes(ignore_progress)
        for stage in ("decode", "decode", "separate"):
            times(Progress(stage=stage, done=1, total=1))
        times.close()
    assert [message.partition(":")[0] for message in caplog.messages] == ["Decoding", "Separating"]


@pytest.fixture
def ignored_ctrl_c() -> Iterator[None]:
    """As a shell starts the background job of a script, and nohup what it runs."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ignored_ctrl_c")
def test_a_command_in_the_background_of_a_script_hears_no_ctrl_c_but_the_end() -> None:
    with working(Namespace(quiet=True, progress="none")) as (_on_progress, cancel):
        heard = []
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            heard.append(cancel.cancelled)
        assert heard == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("ignored_ctrl_c")
def test_a_daemon_in_the_background_of_a_script_hears_no_ctrl_c_but_the_end() -> None:
    async def signalled() -> tuple[bool, bool]:
        stop = asyncio.Event()
        _on_signals(stop)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0)
        before = stop.is_set()
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        return before, stop.is_set()

    assert asyncio.run(signalled()) == (False, True)


@pytest.mark.usefixtures("ignored_ctrl_c")
def test_a_job_of_such_a_daemon_can_be_cancelled_all_the_same() -> None:
    asks = "import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is not signal.default_int_handler)"
    argv = [sys.executable, "-m", "daw_bridge.control.queue.worker", sys.executable, "-c", asks]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as worker:
        assert worker.wait(200) == 0


NOISY = "a\nb\r\x1b[2J\x07\x9bc\u202edcba\udcff.wav"
QUIET = r"a\nb\r\x1b[2J\x07\x9bc\u202edcba\xff.wav"


def test_a_file_name_can_neither_break_a_line_nor_drive_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = Namespace(quiet=False, json=False)
    say(said, f"Folder: {NOISY}")
    say_lines(said, "two\nlines")
    print_error(f"{NOISY}: there is no such file")
    ProgressPrinter(out := io.StringIO(), style="lines")(Progress(stage="decode", done=1, total=2, note=NOISY))
    printed = capsys.readouterr()
    assert printed.out == f"Folder: {QUIET}\ntwo\nlines\n"
    assert printed.err == f"daw-bridge: {QUIET}: there is no such file\n"
    assert out.getvalue() == f"Decoding\n  {QUIET}\n"


def test_names_of_all_languages_are_shown_as_they_are() -> None:
    for name in ("Für 🎹 愛.wav", "👩\u200d🎤 夢\u3000歌.flac", "שלום.wav", "e\u0301.wav"):
        assert one_line(name) == name


def test_an_unknown_word_and_a_logged_name_are_shown_as_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["probe", "a.wav", "--\x1b[2J\nx"])
    assert "--\\x1b[2J\\nx" in capsys.readouterr().err.splitlines()[-1]
