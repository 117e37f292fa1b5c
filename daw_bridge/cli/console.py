"""What a person or a machine sees while a command works: a bar with ETA, plain lines, or JSON lines; and Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

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
LINE_STEP = 0.1


class ProgressPrinter:
    """Prints events to stderr: a redrawn bar on a terminal, else one line for each tenth of a stage."""

    def __init__(self, stream: TextIO, *, style: str) -> None:
        self._stream, self._style = stream, style
        self._stage, self._began_s, self._drawn_s, self._next_line = "", 0.0, 0.0, 0.0
        self._open = False

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
            self._stage, self._began_s, self._drawn_s, self._next_line = event.stage, now, 0.0, 0.0
        if event.note:
            self.close()
            print(f"  {event.note}", file=self._stream, flush=True)
        share = min(1.0, event.done / event.total) if event.total > 0 else 0.0
        if self._style == "bar":
            self._draw(event, share, now)
        elif share >= self._next_line:
            self._next_line = share + LINE_STEP
            print(f"{WORDS[event.stage]}: {share:.0%}{self._eta(share, now)}", file=self._stream, flush=True)

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

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()
        if not args.quiet:
            printer.close()
            print(
                "daw-bridge: stopping at the next safe point; Ctrl-C again stops at once", file=sys.stderr, flush=True
            )

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield printer, token
    finally:
        printer.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def say(args: Namespace, text: str) -> None:
    """A line for a person, on stdout; silent with -q and --json."""
    if not args.quiet and not args.json:
        print(text)


def answer(args: Namespace, data: object) -> None:
    """The one JSON object of `--json`."""
    if args.json:
        print(json.dumps(data, ensure_ascii=False))


def print_error(text: str) -> None:
    """One line whatever a file name holds, also one that is no text in any encoding."""
    line = f"daw-bridge: {text}".replace("\n", "\\n").replace("\r", "\\r")
    print(line.encode("utf-8", "backslashreplace").decode("utf-8"), file=sys.stderr)
