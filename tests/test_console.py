"""What a log file of a run looks like: a line for each stage, and more only where a stage takes its time."""

from __future__ import annotations

import io
import logging
import time

import pytest

from daw_bridge.cli.console import ProgressPrinter, StageTimes
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
