"""Run by `guarded` as a process of its own: decodes files of strangers, each in a child with limits of its own.

Decoders are large C libraries, and a file can be made to crash them, to fill the memory or to keep them busy. One
order as a line of JSON on standard input; lines of JSON on standard output: `progress`, then `result` or `error`, and
`ended` with the child's exit status. All that is heavy is imported once, before the first order, so that a file costs
a fork. Where there is no fork (Windows), this process does the work itself, without limits, and ends if a decoder
crashes. When the other end of the pipe is gone, everything here ends.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daw_bridge.audio.audio_file import AudioInfo
from daw_bridge.audio.decode import DecodedAudio, decode_to_reference, examine
from daw_bridge.audio.reader import probe
from daw_bridge.errors import DawBridgeError
from daw_bridge.progress import OnProgress, Progress

LEAST_MEMORY_BYTES, MOST_MEMORY_BYTES, MEMORY_PER_BYTE = 768 << 20, 8 << 30, 8
LEAST_CPU_S, CPU_S_PER_MB = 120, 20
LEAST_OUTPUT_BYTES, OUTPUT_PER_BYTE = 2 << 30, 2048
"""What a file may take: decoding streams, so that its size says little; ten hours of silence are 5 MB of FLAC."""
WATCHES_MEMORY = sys.platform not in ("linux", "win32")
"""macOS takes a limit on memory and does not heed it: there this process looks how much the child has."""
_PARENT_POLL_S = 0.1 if WATCHES_MEMORY else 0.5


def main() -> None:
    """Orders until the other end of standard input closes."""
    parent, orders = os.getppid(), bytearray()
    while True:
        chunk = os.read(0, 65_536)
        if not chunk:
            return
        orders += chunk
        while b"\n" in orders:
            line, _, rest = bytes(orders).partition(b"\n")
            orders = bytearray(rest)
            order = json.loads(line)
            _say({"ended": _in_a_child(order, parent)})


def _in_a_child(order: dict[str, Any], parent: int) -> int:
    """The exit status of the child that did the work; it is killed when nobody waits for it any more."""
    if sys.platform == "win32":
        _enter(order)
        _obey(order)
        return 0
    over, childs_end = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(over)
            _enter(order)
            _limit(Path(order["source"]))
            _obey(order)
            code = 0
        finally:
            os._exit(code)
    os.close(childs_end)
    try:
        while True:
            ready, _, _ = select.select([over, 0], [], [], _PARENT_POLL_S)
            if over in ready:
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if 0 in ready or os.getppid() != parent:  # nothing is asked while an order is under way: that is the end
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                os._exit(0)
            if WATCHES_MEMORY and _resident_bytes(child) > _memory_bytes(Path(order["source"])):
                os.kill(child, signal.SIGKILL)
    finally:
        os.close(over)


def _enter(order: dict[str, Any]) -> None:
    """Go where the paths of an order begin: the other process may have moved since it started this one."""
    with suppress(OSError):
        os.chdir(order.get("cwd", "."))


def _size_bytes(source: Path) -> int:
    try:
        return source.stat().st_size
    except (OSError, ValueError):
        return 0


def _memory_bytes(source: Path) -> int:
    return min(LEAST_MEMORY_BYTES + MEMORY_PER_BYTE * _size_bytes(source), MOST_MEMORY_BYTES)


def _resident_bytes(process: int) -> int:
    """The memory of a process by `ps`; 0 when it has ended."""
    try:
        command = ["/bin/ps", "-o", "rss=", "-p", str(process)]
        said = subprocess.run(command, capture_output=True, check=False).stdout
        return int(said) * 1024
    except (OSError, ValueError):
        return 0


def _limit(source: Path) -> None:
    """Bound this process by the size of the file that it reads."""
    if sys.platform == "win32":
        return
    import resource

    size = _size_bytes(source)
    wanted = [
        (resource.RLIMIT_DATA, _memory_bytes(source)),
        (resource.RLIMIT_CPU, LEAST_CPU_S + CPU_S_PER_MB * (size >> 20)),
        (resource.RLIMIT_FSIZE, LEAST_OUTPUT_BYTES + OUTPUT_PER_BYTE * size),
        (resource.RLIMIT_CORE, 0),
    ]
    for what, limit in wanted:
        _, most = resource.getrlimit(what)
        bound = limit if most == resource.RLIM_INFINITY else min(limit, most)
        try:
            resource.setrlimit(what, (bound, most))
        except (OSError, ValueError):  # a system that does not know this limit
            continue


def _size_is_ours() -> bool:
    """Whether the largest file is what `_limit` allows, and not what this user may write at all (`ulimit -f`)."""
    if sys.platform == "win32":
        return False
    import resource

    ours, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    return ours != most


def _obey(order: dict[str, Any]) -> None:
    """Do the work; say how it went."""
    try:
        _say({"result": _WORK[order["do"]](order)})
    except MemoryError:
        _say({"error": "MemoryError", "text": ""})
    except DawBridgeError as exc:
        large = isinstance(exc.__cause__, OSError) and exc.__cause__.errno == errno.EFBIG and _size_is_ours()
        _say({"error": "TooLarge" if large else type(exc).__name__, "text": str(exc)})
    except Exception as exc:  # noqa: BLE001  whatever a stranger's file makes of a decoder is told as one line
        _say({"error": "unexpected", "text": f"{type(exc).__name__}: {exc}"})


def _probe(order: dict[str, Any]) -> dict[str, Any]:
    return _info(probe(Path(order["source"]), accept_damaged=order["accept_damaged"]))


def _decode(order: dict[str, Any]) -> dict[str, Any]:
    chosen = order["channels"]
    decoded = decode_to_reference(
        Path(order["source"]),
        Path(order["target"]),
        channels=(chosen[0], chosen[1]) if isinstance(chosen, list) else chosen,
        gain_db=order["gain_db"],
        accept_damaged=order["accept_damaged"],
        first_samples=order["first_samples"],
        count_samples=order["count_samples"],
        on_progress=_progress(),
    )
    return _decoded(decoded)


def _examine(order: dict[str, Any]) -> dict[str, Any]:
    source, accept = Path(order["source"]), order["accept_damaged"]
    return _decoded(examine(source, gain_db=order["gain_db"], accept_damaged=accept, on_progress=_progress()))


_WORK: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "probe": _probe,
    "decode": _decode,
    "examine": _examine,
}


def _progress() -> OnProgress:
    def tell(event: Progress) -> None:
        _say({"progress": [event.done, event.total]})

    return tell


def _decoded(audio: DecodedAudio) -> dict[str, Any]:
    return {**asdict(audio), "info": _info(audio.info)}


def _info(info: AudioInfo) -> dict[str, Any]:
    return {name: value for name, value in asdict(info).items() if name != "path"}


def _say(line: dict[str, Any]) -> None:
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    import daw_bridge.audio.reader_av  # noqa: F401  before the first fork, as is av

    try:
        import av  # noqa: F401
    except ImportError:
        pass
    main()
