"""The live preview as a mixer: `daw-bridge live --remote` in a process of its own, its faders over a pipe.

The sound never runs in the daemon: a crash of the audio host leaves the daemon as it was, and when the daemon goes, the
pipe ends and the preview with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from daw_bridge.errors import DawError, DawUnreachable
from daw_bridge.mixer import MIXER_PARAMETERS, MixerAddress, MixerChange, MixerChannel, MixerParameter

START_TIMEOUT_S = 60.0
"""Loading the model and opening the card take seconds on a slow machine."""
ANSWER_TIMEOUT_S = 10.0


def open_mixer(name: str, address: MixerAddress) -> LiveMixer:
    """Start the preview of the sound card's input, or of a song. Raises DawUnreachable with what it said."""
    song = [] if address.song is None else [f"--file={address.song}"]
    return LiveMixer(name, [sys.executable, "-m", "daw_bridge", "live", "--remote", "--quiet", *song])


class LiveMixer:
    """See `daw_bridge.mixer.MixerControl`."""

    def __init__(self, name: str, argv: Sequence[str]) -> None:
        self.name = name
        self._heard = threading.Condition()
        self._stems: tuple[str, ...] | None = None
        self._values: dict[tuple[str, MixerParameter], float] = {}
        self._error = ""
        self._ended = False
        self._listener: Callable[[MixerChange], None] | None = None
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name="live", daemon=True)
        self._reader.start()
        with self._heard:
            self._heard.wait_for(lambda: self._stems is not None or self._ended, START_TIMEOUT_S)
            started = self._stems is not None
        if not started:
            self.close()
            raise DawUnreachable(f"the live preview did not start: {self._error or 'it said nothing'}")

    def channels(self) -> tuple[MixerChannel, ...]:
        return tuple(MixerChannel(name=stem, kind="bus") for stem in self._stems or ())

    def set(self, channel: str, parameter: MixerParameter, value: float) -> None:
        order = json.dumps({"stem": channel, "parameter": parameter, "value": value})
        with self._heard:
            self._error = ""
            self._values.pop((channel, parameter), None)
        try:
            if self._process.stdin is None:
                raise OSError
            self._process.stdin.write(order + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as exc:
            raise DawUnreachable(f"the live preview has ended: {self._error}") from exc
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        with self._heard:
            self._heard.wait_for(
                lambda: (channel, parameter) in self._values or self._error or self._ended,
                deadline - time.monotonic(),
            )
            if (channel, parameter) not in self._values:
                raise DawError(f"the live preview did not set {channel} {parameter}: {self._error or 'no answer'}")

    def on_change(self, listener: Callable[[MixerChange], None]) -> None:
        with self._heard:
            self._listener = listener
            known = dict(self._values)
        for (channel, parameter), value in known.items():
            listener(MixerChange(channel=channel, parameter=parameter, value=value))

    def poll(self) -> None:
        """Nothing: the preview tells everything by itself."""

    def close(self) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                pass
        try:
            self._process.wait(15.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(2.0)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in iter(lambda: self._process.stdout.readline(4096) if self._process.stdout else "", ""):
            self._take(line)
        with self._heard:
            self._ended = True
            self._heard.notify_all()

    def _take(self, line: str) -> None:
        try:
            data = json.loads(line)
        except ValueError:
            data = {"error": line.strip().removeprefix("daw-bridge: ")[:300]}
        if not isinstance(data, dict):
            return
        change: MixerChange | None = None
        with self._heard:
            if isinstance(data.get("stems"), list):
                self._stems = tuple(str(stem) for stem in data["stems"])
            elif data.get("parameter") in MIXER_PARAMETERS:
                change = MixerChange(channel=str(data["stem"]), parameter=data["parameter"], value=float(data["value"]))
                self._values[change.channel, change.parameter] = change.value
            elif data.get("error"):
                self._error = str(data["error"])
            self._heard.notify_all()
            listener = self._listener
        if change is not None and listener is not None:
            listener(change)
