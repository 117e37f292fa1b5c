"""What a person or a machine sees while a command works: a bar with ETA, plain lines, or JSON lines; and Ctrl-C."""

from __future__ import annotations

import json
import logging
import re
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from daw_bridge.cli.streams import forgiving_stdout
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.units import clock

WORDS = {
    "decode": "Decoding",
    "load": "Loading the model",
    "separate": "Separating",
    "residual": "Writing the residual",
    "verify": "Reading back",
    "archive": "Archiving",
    "build": "Building the session",
    "render": "Rendering",
    "evaluate": "Measuring",
    "live": "Live",
}
BAR_WIDTH = 30
REDRAW_S = 0.1
LINE_STEP_S = 5.0

_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What ends or redraws a line, moves the cursor, turns what follows around, or is no character at all."""

_log = logging.getLogger(__name__)


class ProgressPrinter:
    """Prints events to stderr: a redrawn bar on a terminal, else a line for each stage.

    A stage that takes its time gets a line more for each tenth of it, but none within 5 s of the last one.
    """

    def __init__(self, stream: TextIO, *, style: str) -> None:
        self._stream, self._style = stream, style
        self._stage, self._began_s, self._drawn_s, self._tenth = "", 0.0, 0.0, 0
        self._open = False
        self._seen: set[str] = set()

    def __call__(self, event: Progress) -> None:
        if self._style == "none":
            return
        now = time.monotonic()
        if self._style == "jsonl":
            body = {"stage": event.stage, "done": event.done, "total": event.total, "note": event.note}
            print(json.dumps(body), file=self._stream, flush=True)
            return
        if event.stage != self._stage:
            self.close()
            self._stage, self._began_s, self._drawn_s, self._tenth = event.stage, now, 0.0, 0
            self._start_line(event.stage, now)
        if event.note:
            self.close()
            print(f"  {one_line(event.note)}", file=self._stream, flush=True)
        share = min(1.0, event.done / event.total) if event.total > 0 else 0.0
        if self._style == "bar":
            self._draw(event, share, now)
        elif int(share * 10) > self._tenth and now - self._drawn_s >= LINE_STEP_S:
            self._tenth, self._drawn_s = int(share * 10), now
            print(f"{WORDS[event.stage]}: {share:.0%}{self._eta(share, now)}", file=self._stream, flush=True)

    def _start_line(self, stage: str, now: float) -> None:
        """Once for each stage, also when the run comes back to it."""
        if self._style == "lines" and stage not in self._seen:
            self._seen.add(stage)
            self._drawn_s = now
            print(WORDS[stage], file=self._stream, flush=True)

    def _draw(self, event: Progress, share: float, now: float) -> None:
        if now - self._drawn_s < REDRAW_S and share < 1.0:
            return
        self._drawn_s = now
        full = round(share * BAR_WIDTH)
        bar = "█" * full + "░" * (BAR_WIDTH - full)
        self._stream.write(f"\r\x1b[K{WORDS[event.stage]:<20} {bar} {share:4.0%}{self._eta(share, now)}")
        self._stream.flush()
        self._open = True
        if share >= 1.0:
            self.close()

    def _eta(self, share: float, now: float) -> str:
        elapsed_s = now - self._began_s
        if share >= 1.0:
            return f"  in {clock(elapsed_s)}" if elapsed_s >= 1.0 else ""
        return f"  {clock(elapsed_s / share - elapsed_s)} left" if share > 0.01 and elapsed_s > 1.0 else ""

    def close(self) -> None:
        """End the line of a bar."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = False


class StageTimes:
    """Passes events on and logs how long each stage took, for `-v`."""

    def __init__(self, listener: OnProgress) -> None:
        self._listener = listener
        self._stage, self._began_s = "", 0.0

    def __call__(self, event: Progress) -> None:
        if event.stage != self._stage:
            self.close()
            self._stage, self._began_s = event.stage, time.monotonic()
        self._listener(event)

    def close(self) -> None:
        """The last stage is over."""
        if self._stage:
            _log.debug("%s: %.2f s", WORDS[self._stage], time.monotonic() - self._began_s)
            self._stage = ""


def progress_style(args: Namespace) -> str:
    """`--progress` if given; else a bar on a terminal, lines elsewhere, nothing with -q."""
    chosen = getattr(args, "progress", None)
    if chosen and chosen != "auto":
        return str(chosen)
    if args.quiet:
        return "none"
    return "bar" if sys.stderr.isatty() else "lines"


@contextmanager
def working(args: Namespace) -> Iterator[tuple[OnProgress, CancelToken]]:
    """Progress and cancellation for one command: the first Ctrl-C asks the work to stop, the second one insists."""
    token = CancelToken()
    printer = ProgressPrinter(sys.stderr, style=progress_style(args))
    stages = StageTimes(printer)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()
        if not args.quiet:
            printer.close()
            print(
                "daw-bridge: stopping at the next safe point; Ctrl-C again stops at once", file=sys.stderr, flush=True
            )

    # A script's background job (`nohup`, `&`) is started with Ctrl-C ignored: that is meant for others, as ever.
    heard = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in heard}
    try:
        with forgiving_stdout():
            yield stages, token
    finally:
        printer.close()
        stages.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def say(args: Namespace, text: str) -> None:
    """A line for a person, on stdout; silent with -q and --json."""
    if not args.quiet and not args.json:
        print(one_line(_in_flags(text)))


def say_lines(args: Namespace, text: str) -> None:
    """A text of several lines: a table, a difference."""
    for line in text.split("\n"):
        say(args, line)


def one_line(text: str) -> str:
    r"""`text` as one line, whatever a file name in it holds: a line break is `\n`, a byte that is no text `\xff`.

    A stranger's file can be called so that a terminal that prints its name clears the screen or shows another one.
    """
    return _UNSHOWN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    mark = match[0]
    if "\udc80" <= mark <= "\udcff":  # how Python carries a byte of a file name
        return f"\\x{ord(mark) - 0xDC00:02x}"
    return mark.encode("unicode_escape").decode()


def _in_flags(text: str) -> str:
    """Options that the core names between backticks, as the command line calls them."""
    if "`" not in text:
        return text
    from daw_bridge.cli.options import in_flags

    return in_flags(text)


def answer(args: Namespace, data: object) -> None:
    """The one JSON object of `--json`."""
    if args.json:
        print(json.dumps(data, ensure_ascii=False))


def print_error(text: str) -> None:
    """One line on standard error."""
    print(one_line(f"daw-bridge: {_in_flags(text)}"), file=sys.stderr)
