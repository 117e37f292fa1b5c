"""The live faders over a pipe: how the control daemon moves them without carrying the audio itself.

One JSON object a line. In: `{"stem": "vocals", "parameter": "mute", "value": 1}`. Out: the same object for every fader,
as it is at the start and whenever it was set; `{"stems": [...]}` once all were told; `{"error": "..."}` for what could
not be. The end of the input ends the listening, so nothing goes on playing when the daemon is gone.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from daw_bridge.errors import DawBridgeError, UsageError
from daw_bridge.live.mixer import Controls

MAX_LINE = 1000


@contextmanager
def remote(controls: Controls, orders: IO[str], answers: IO[str]) -> Iterator[Callable[[float], str]]:
    """Obey `orders` in a thread. Yields a wait that raises KeyboardInterrupt once they have ended."""
    ended = threading.Event()

    def tell(**line: object) -> None:
        try:
            print(json.dumps(line), file=answers, flush=True)
        except (OSError, ValueError):
            ended.set()

    def obey() -> None:
        for line in iter(lambda: orders.readline(MAX_LINE), ""):
            try:
                stem, parameter, value = _apply(controls, line)
                tell(stem=stem, parameter=parameter, value=value)
            except DawBridgeError as exc:
                tell(error=str(exc))
        ended.set()

    def wait(wait_s: float) -> str:
        if ended.is_set():
            raise KeyboardInterrupt
        time.sleep(wait_s)
        return ""

    for stem in controls.stems:
        tell(stem=stem, parameter="gain_db", value=controls.gain_db(stem))
        tell(stem=stem, parameter="mute", value=float(controls.is_muted(stem)))
        tell(stem=stem, parameter="solo", value=float(controls.is_soloed(stem)))
    tell(stems=list(controls.stems))
    threading.Thread(target=obey, daemon=True).start()
    yield wait


def _apply(controls: Controls, line: str) -> tuple[str, str, float]:
    """Carry out one order; what the fader is now."""
    try:
        order = json.loads(line)
        stem, parameter, value = str(order["stem"]), str(order["parameter"]), float(order["value"])
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise UsageError(f"live: {line.strip()[:100]!r} is no order") from exc
    if parameter == "gain_db":
        controls.set_gain_db(stem, value)
        return stem, parameter, controls.gain_db(stem)
    if parameter == "mute":
        controls.set_mute(stem, value >= 0.5)
        return stem, parameter, float(controls.is_muted(stem))
    if parameter == "solo":
        controls.set_solo(stem, value >= 0.5)
        return stem, parameter, float(controls.is_soloed(stem))
    raise UsageError(f"live: no parameter {parameter!r}; known: gain_db, mute, solo")
