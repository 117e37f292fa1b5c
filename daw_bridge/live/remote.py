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
from typing import IO, cast

from daw_bridge.errors import DawBridgeError, UsageError
from daw_bridge.live.mixer import Controls
from daw_bridge.mixer import MIXER_PARAMETERS, MixerParameter

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
        for parameter in MIXER_PARAMETERS:
            tell(stem=stem, parameter=parameter, value=controls.value(stem, parameter))
    tell(stems=list(controls.stems))
    threading.Thread(target=obey, daemon=True).start()
    yield wait


def _apply(controls: Controls, line: str) -> tuple[str, str, float]:
    """Carry out one order; what the fader is now."""
    try:
        order = json.loads(line)
        stem, parameter, value = str(order["stem"]), cast("MixerParameter", str(order["parameter"])), order["value"]
        controls.set(stem, parameter, float(value))
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise UsageError(f"live: {line.strip()[:100]!r} is no order") from exc
    return stem, parameter, controls.value(stem, parameter)
