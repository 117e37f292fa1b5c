"""What a sound card really takes from its output to its input, by a cable between them and a chirp that is timed.

Cards report a latency of their own, which leaves out converters and is often wrong; a musician plays to the real one.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daw_bridge.errors import DeviceError
from daw_bridge.live.devices import PATIENCE_S, card_errors, choose_device, give_back, sounddevice

FloatArray = NDArray[np.float32]

CHIRPS = 6
_EVERY_S = 0.5
_CHIRP_S = 0.04
_LEVEL = 0.25  # -12 dBFS
_LEAST_LIKENESS = 0.4
_TOLERANCE_SAMPLES = 2


def chirp(sample_rate_hz: int) -> FloatArray:
    """A tone that climbs from 300 Hz to 8 kHz under a Hann window: found to the sample, also through a room."""
    t = np.arange(int(_CHIRP_S * sample_rate_hz)) / sample_rate_hz
    sweep = np.sin(2 * np.pi * (300 * t + (8000 - 300) / (2 * _CHIRP_S) * t**2))
    return (_LEVEL * np.hanning(t.size) * sweep).astype(np.float32)


def delays_samples(recorded: FloatArray, sent: FloatArray, starts: list[int]) -> list[int]:
    """How long after each of `starts` the signal `sent` comes in `recorded` (samples,); the unheard are left out."""
    from scipy.signal import correlate

    found = []
    for start in starts:
        window = recorded[start : start + int(_EVERY_S * sent.size / _CHIRP_S)]
        if window.size < sent.size:
            continue
        likeness = correlate(window.astype(np.float64), sent.astype(np.float64), mode="valid", method="fft")
        at = int(np.abs(likeness).argmax())
        heard = float(np.linalg.norm(window[at : at + sent.size])) * float(np.linalg.norm(sent))
        if heard > 1e-6 and abs(float(likeness[at])) / heard > _LEAST_LIKENESS:
            found.append(at)
    return found


def measure_round_trip_samples(
    *, sample_rate_hz: int, block_samples: int, input_device: str | None = None, output_device: str | None = None
) -> int:
    """Samples from the output to the input of the card. Raises DeviceError when nothing, or nothing steady, returns."""
    library = sounddevice()
    source, output = choose_device(library, input_device, "input"), choose_device(library, output_device, "output")
    sent, every = chirp(sample_rate_hz), int(_EVERY_S * sample_rate_hz)
    starts = [every * (1 + index) for index in range(CHIRPS)]
    played = np.zeros(every * (CHIRPS + 2), np.float32)
    for start in starts:
        played[start : start + sent.size] = sent
    recorded, position, over = np.zeros_like(played), 0, threading.Event()

    def callback(indata: FloatArray, outdata: FloatArray, frames: int, _time: object, _status: Any) -> None:
        nonlocal position
        piece = played[position : position + frames]
        outdata[:] = 0
        outdata[: piece.size] = piece[:, None]
        recorded[position : position + frames] = indata[: piece.size].mean(1)
        position += frames
        if position >= played.size:
            over.set()

    with card_errors(library):
        stream = library.Stream(
            device=(source["index"], output["index"]),
            channels=(min(2, source["max_input_channels"]), min(2, output["max_output_channels"])),
            samplerate=sample_rate_hz,
            blocksize=block_samples,
            dtype="float32",
            latency="low",
            callback=callback,
            finished_callback=over.set,
        )
    lost = False
    try:
        with card_errors(library):
            stream.start()
        before = -1
        while not over.wait(PATIENCE_S) and position > before:  # not every card says that it is gone: it falls silent
            before = position
        lost = position < played.size
    finally:
        give_back(library, stream, lost=lost)
    if lost:
        raise DeviceError("the sound card went away; plug it in again (or pick another: `output`) and restart")
    return agreed_samples(delays_samples(recorded, sent, starts))


def agreed_samples(delays: list[int]) -> int:
    """The delay that most chirps agree on. Raises DeviceError when too few were heard or they differ."""
    if len(delays) < CHIRPS // 2:
        raise DeviceError(
            f"{len(delays)} of {CHIRPS} chirps came back; connect the output to the input with a cable, "
            "turn the input up, and measure again"
        )
    middle = int(np.median(delays))
    steady = sum(abs(delay - middle) <= _TOLERANCE_SAMPLES for delay in delays)
    if steady < CHIRPS // 2:
        raise DeviceError(
            f"the chirps came back after {min(delays)} to {max(delays)} samples; the card loses sound: "
            "try a larger `block`, and measure again"
        )
    return middle
