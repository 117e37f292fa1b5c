"""The live host on real sound cards, through PortAudio (python-sounddevice, extra `live`), or on a file."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.samples import checked_peak
from daw_bridge.errors import DeviceError, InputError
from daw_bridge.live.host import LiveHost

FloatArray = NDArray[np.float32]

PATIENCE_S = 3.0
"""A card that asks for nothing for so long is gone, and one that cannot be closed in it is left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLatency:
    """What the sound card says that it adds, in seconds."""

    input_s: float
    output_s: float


def sounddevice() -> Any:
    """The library. Raises DeviceError when it or PortAudio is missing."""
    try:
        import sounddevice as library
    except ImportError as exc:
        raise DeviceError("live needs python-sounddevice: pip install 'daw-bridge[live]'") from exc
    except OSError as exc:
        hint = "apt install libportaudio2" if sys.platform == "linux" else "install PortAudio"
        raise DeviceError(f"live needs PortAudio, which is not here: {hint}") from exc
    return library


def list_devices() -> list[str]:
    """One line per device: number, name, host API, channels, rate."""
    library = sounddevice()
    apis = library.query_hostapis()
    return [
        f"{index:3d}  {device['name']} ({apis[device['hostapi']]['name']}), {device['max_input_channels']} in, "
        f"{device['max_output_channels']} out, {device['default_samplerate']:.0f} Hz"
        for index, device in enumerate(library.query_devices())
    ]


def choose_device(library: Any, device: str | None, kind: str) -> dict[str, Any]:
    """The device by number or part of its name; `kind` is "input" or "output". Raises DeviceError."""
    wanted: str | int | None = int(device) if device is not None and device.isdigit() else device
    try:
        found = dict(library.query_devices(wanted, kind))
    except (ValueError, library.PortAudioError) as exc:
        name = "no default device" if device is None else f"no device {device!r}"
        raise DeviceError(f"{name} for {kind}; 'daw-bridge live --list-devices' shows those that are here") from exc
    return found


@contextmanager
def card_errors(library: Any) -> Iterator[None]:
    """What PortAudio complains of, as DeviceError with what to do."""
    try:
        yield
    except library.PortAudioError as exc:
        text = str(exc)
        if "sample rate" in text.lower():
            text = "it does not run at 44100 Hz; set the device (or the JACK server) to 44100 Hz"
        raise DeviceError(f"the sound card refused: {text}") from exc


class CardStream:
    """A running duplex stream between a host and a sound card (or, with `song`, from a file to the card)."""

    def __init__(
        self,
        host: LiveHost,
        *,
        sample_rate_hz: int,
        block_samples: int,
        input_device: str | None = None,
        output_device: str | None = None,
        song: Path | None = None,
    ) -> None:
        self._library = sounddevice()
        self._host = host
        self.xruns = 0
        """Callbacks before which the card had lost input or run out of output."""
        self.finished = threading.Event()
        self._lost = False
        self._song = open_song(song, sample_rate_hz) if song is not None else None
        self._song_position = 0
        self._callbacks, self._alive_s = 0, time.monotonic()
        output = choose_device(self._library, output_device, "output")
        settings: dict[str, Any] = {
            "samplerate": sample_rate_hz,
            "blocksize": block_samples,
            "dtype": "float32",
            "latency": "low",
            "finished_callback": self.finished.set,
        }
        self._output_channels = min(host.output_channels, output["max_output_channels"])
        if host.output_channels > max(2, output["max_output_channels"]):
            raise DeviceError(
                f"{output['name']} has {output['max_output_channels']} outputs, `split` needs {host.output_channels}"
            )
        with card_errors(self._library):
            if self._song is not None:
                self._stream = self._library.OutputStream(
                    device=output["index"], channels=self._output_channels, callback=self._play_song, **settings
                )
            else:
                source = choose_device(self._library, input_device, "input")
                self._stream = self._library.Stream(
                    device=(source["index"], output["index"]),
                    channels=(min(2, source["max_input_channels"]), self._output_channels),
                    callback=self._duplex,
                    **settings,
                )

    def start(self) -> DeviceLatency:
        """Sound from now on; what the card adds to the latency."""
        with card_errors(self._library):
            self._stream.start()
        self._alive_s = time.monotonic()
        latency = self._stream.latency
        into, out = latency if isinstance(latency, tuple) else (0.0, latency)
        return DeviceLatency(input_s=float(into), output_s=float(out))

    def stop(self) -> None:
        """Give the card back; harmless when it has gone already."""
        give_back(self._library, self._stream, lost=self._lost)

    def check(self) -> None:
        """Raise DeviceError when the stream has ended by itself (unplugged, server gone) and no song has ended it.

        Not every card says so: no callback for some seconds counts as gone as well.
        """
        callbacks, now_s = self._host.statistics.callbacks, time.monotonic()
        if callbacks != self._callbacks:
            self._callbacks, self._alive_s = callbacks, now_s
        gone = self.finished.is_set() or now_s - self._alive_s > PATIENCE_S
        if gone and not self.song_is_over:
            self._lost = True
            raise DeviceError("the sound card went away; plug it in again (or pick another: `output`) and restart")

    @property
    def song_is_over(self) -> bool:
        """Whether a song was played to its end, the model's delay included."""
        if self._song is None:
            return False
        return bool(self._song_position >= self._song.shape[1] + self._host.latency_samples)

    def _duplex(self, indata: FloatArray, outdata: FloatArray, _frames: int, _time: object, status: Any) -> None:
        self.xruns += bool(status)
        self._deliver(self._host.process(np.ascontiguousarray(indata.T)), outdata)

    def _play_song(self, outdata: FloatArray, frames: int, _time: object, status: Any) -> None:
        self.xruns += bool(status)
        block = np.zeros((2, frames), np.float32)
        if self._song is not None:
            piece = self._song[:, self._song_position : self._song_position + frames]
            block[:, : piece.shape[1]] = piece
        self._song_position += frames
        self._deliver(self._host.process(block), outdata)
        if self.song_is_over:
            raise self._library.CallbackStop

    def _deliver(self, out: FloatArray, outdata: FloatArray) -> None:
        outdata[:] = out.mean(0)[:, None] if self._output_channels == 1 else out.T


def give_back(library: Any, stream: Any, *, lost: bool) -> None:
    """Close a stream. What is lost, or cannot be closed in some seconds, is left alone, also when the program ends.

    PortAudio may wait for ever for a card or server that is gone, and may end the program there.
    """
    if not lost:
        closing = threading.Thread(target=_close, args=(library, stream), daemon=True)
        closing.start()
        closing.join(timeout=PATIENCE_S)
        if not closing.is_alive():
            return
    at_exit = getattr(library, "_exit_handler", None)
    if at_exit is not None:
        atexit.unregister(at_exit)


def _close(library: Any, stream: Any) -> None:
    try:
        stream.close(ignore_errors=True)
    except library.PortAudioError:
        pass


def open_song(path: Path, sample_rate_hz: int) -> FloatArray:
    """A whole file of any kind that `build` reads as stereo at the model's rate, (2, samples). Raises InputError."""
    import soxr

    with open_audio(path) as reader:
        rate_hz = reader.sample_rate_hz
        if reader.channels > 2:
            raise InputError(
                f"{path}: has {reader.channels} channels; live plays mono or stereo files, mix it down first"
            )
        blocks, done = [], 0
        for block in reader.blocks():
            checked_peak(path, block, done, rate_hz)
            blocks.append(block)
            done += block.shape[1]
    if not done:
        raise InputError(f"{path}: there are no samples in it; export the mix again")
    audio = np.concatenate(blocks, axis=1)
    stereo = np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio
    if rate_hz != sample_rate_hz:
        stereo = soxr.resample(stereo.T, rate_hz, sample_rate_hz, quality="VHQ").T
    return np.ascontiguousarray(stereo, np.float32)
