"""`probe`, `examine` and `decode_to_reference` for files of strangers: in a process of their own, with limits.

A file that crashes a decoder, fills the memory or never ends costs one line, not the run (see `decode_worker`). One
process serves one file after the other; it is started at the first file, or ahead of it with `start_ahead`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from daw_bridge.audio.audio_file import AudioInfo
from daw_bridge.audio.decode import ChannelChoice, DecodedAudio
from daw_bridge.audio.lengths import Hole, LengthClaim
from daw_bridge.errors import DamagedInput, DawBridgeError, InputError, OutputError
from daw_bridge.files import is_own_part
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress

COMMAND = (sys.executable, "-P", "-m", "daw_bridge.audio.decode_worker")
_CANCEL_POLL_S = 0.1
_ERRORS: dict[str, type[DawBridgeError]] = {
    "DamagedInput": DamagedInput,
    "InputError": InputError,
    "OutputError": OutputError,
}


def probe(path: Path, *, accept_damaged: bool = False) -> AudioInfo:
    """As `audio.reader.probe`."""
    order = {"do": "probe", "source": str(path), "accept_damaged": accept_damaged}
    return _info(path, _ask(path, order, ignore_progress, CancelToken()))


def examine(
    source: Path,
    *,
    gain_db: float = 0.0,
    accept_damaged: bool = False,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> DecodedAudio:
    """As `audio.decode.examine`."""
    order = {"do": "examine", "source": str(source), "gain_db": gain_db, "accept_damaged": accept_damaged}
    return _decoded(source, _ask(source, order, on_progress, cancel or CancelToken()))


def decode_to_reference(
    source: Path,
    target: Path,
    *,
    channels: ChannelChoice = None,
    gain_db: float = 0.0,
    accept_damaged: bool = False,
    first_samples: int = 0,
    count_samples: int | None = None,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> DecodedAudio:
    """As `audio.decode.decode_to_reference`; what a killed decoder left of `target` goes."""
    order = {
        "do": "decode",
        "source": str(source),
        "target": str(target),
        "channels": channels,
        "gain_db": gain_db,
        "accept_damaged": accept_damaged,
        "first_samples": first_samples,
        "count_samples": count_samples,
    }
    try:
        return _decoded(source, _ask(source, order, on_progress, cancel or CancelToken()))
    except BaseException:
        for left in target.parent.glob(f"{_quoted(target.name[:80])}.*") if target.parent.is_dir() else ():
            if is_own_part(left):
                left.unlink(missing_ok=True)
        raise


def _quoted(name: str) -> str:
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in name)


class _Worker:
    """One process; one order at a time."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us, who end it
        )
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True, name="decoder").start()

    def _listen(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  # asked for above
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(b"")

    def answers(self, order: dict[str, Any], cancel: CancelToken) -> Iterator[dict[str, Any]]:
        """What it says until it is done; the last one has `ended`. Raises Cancelled."""
        with suppress(OSError):  # the folder that we are in may be gone
            order = {**order, "cwd": str(Path.cwd())}
        with suppress(OSError):  # the process may be gone, which the lines tell
            os.write(self._process.stdin.fileno(), json.dumps(order).encode() + b"\n")  # type: ignore[union-attr]
        while True:
            cancel.check()
            with suppress(Empty):
                line = self._lines.get(timeout=_CANCEL_POLL_S)
                answer: dict[str, Any] = json.loads(line) if line else {"ended": self._process.wait(), "gone": True}
                yield answer
                if "ended" in answer:
                    return

    def close(self) -> None:
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        if sys.platform != "win32":  # with the child that decodes
            with suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()


_idle: list[_Worker] = []
_lock = threading.Lock()


def start_ahead() -> None:
    """Start the process that the first file will need, and do not wait for it."""
    with _lock:
        if not any(worker.owner == os.getpid() for worker in _idle):
            _idle.append(_started())


def _started() -> _Worker:
    try:
        return _Worker()
    except OSError as exc:
        raise InputError(f"the process that decodes files cannot be started ({exc.strerror or exc})") from exc


def _taken() -> _Worker:
    with _lock:
        for worker in _idle:
            if worker.owner == os.getpid():  # a forked process leaves its parent's alone
                _idle.remove(worker)
                return worker
    return _started()


@atexit.register
def _close_all() -> None:
    for worker in _idle:
        if worker.owner == os.getpid():
            worker.close()


def _ask(source: Path, order: dict[str, Any], on_progress: OnProgress, cancel: CancelToken) -> dict[str, Any]:
    """The result of an order. Raises what the decoding raised, and InputError where it crashed or took too much."""
    worker, reusable = _taken(), False
    said: dict[str, Any] = {}
    try:
        for answer in worker.answers(order, cancel):
            if "progress" in answer:
                done, total = answer["progress"]
                on_progress(Progress(stage="decode", done=done, total=total))
            said |= answer
        reusable = "gone" not in said
    finally:
        if reusable:
            with _lock:
                _idle.append(worker)
        else:
            worker.close()
    if said["ended"] == 0 and "result" in said:
        result: dict[str, Any] = said["result"]
        return result
    raise _failure(source, said)


def _failure(source: Path, said: dict[str, Any]) -> DawBridgeError:
    kind, text, code = said.get("error", ""), said.get("text", ""), int(said["ended"])
    if kind in _ERRORS:
        return _ERRORS[kind](text)
    otherwise = "it is damaged, or made to do harm; convert it to WAV with the program that made it"
    if kind == "MemoryError" or code == -getattr(signal, "SIGKILL", 9):
        return InputError(f"{source}: decoding it takes more memory than a file of its size may; {otherwise}")
    if code == -getattr(signal, "SIGXCPU", 24):
        return InputError(f"{source}: decoding it takes longer than a file of its size may; {otherwise}")
    if kind == "TooLarge":
        return InputError(f"{source}: unpacks to far more than a file of its size may; {otherwise}")
    if kind:
        return InputError(f"{source}: the decoder failed on it ({text}); {otherwise}")
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return InputError(f"{source}: the decoder crashed on it ({how}); {otherwise}")


def _info(path: Path, said: dict[str, Any]) -> AudioInfo:
    claim = LengthClaim(**said["claim"])
    return AudioInfo(**{**said, "path": path, "claim": claim, "notes": tuple(said["notes"])})


def _decoded(path: Path, said: dict[str, Any]) -> DecodedAudio:
    holes = tuple(Hole(**hole) for hole in said["holes"])
    return DecodedAudio(**{**said, "info": _info(path, said["info"]), "holes": holes, "notes": tuple(said["notes"])})
