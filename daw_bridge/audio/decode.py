"""Any source decoded once into a float32 WAV: the reference that everything else is aligned to.

Encoder delay and padding end here (see reader_av.py; libsndfile reads LAME's tag), so that no DAW has to decode an
MP3 itself and place it some milliseconds off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np

from daw_bridge.audio.audio_file import AudioInfo, AudioReader, FloatArray
from daw_bridge.audio.lengths import Hole, holes_text
from daw_bridge.audio.plausibility import Plausibility, refuse_bit_stream
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.samples import checked_peak, interleaved, silence_no_numbers
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.units import db_to_linear, linear_to_db

ChannelChoice = None | str | tuple[int, int]
"""None (mono and stereo only), "downmix", ALL_CHANNELS, or a pair of channels counted from 1."""
ALL_CHANNELS = "all"
NO_SAMPLES = "there are no samples in it"

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 192_000
SILENT_BELOW_DB = -120.0
BLOCK_SAMPLES = 1 << 18

_HALF_POWER = sqrt(0.5)
# Left and right weights of FL FR FC LFE BL BR SL SR by channel count: ITU-R BS.775-4, table 2 (LFE is left out there).
_C, _S = _HALF_POWER, _HALF_POWER
_DOWNMIX: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    3: ((1, 0, _C), (0, 1, _C)),
    4: ((1, 0, _S, 0), (0, 1, 0, _S)),
    5: ((1, 0, _C, _S, 0), (0, 1, _C, 0, _S)),
    6: ((1, 0, _C, 0, _S, 0), (0, 1, _C, 0, 0, _S)),
    7: ((1, 0, _C, 0, _S * _S, _S, 0), (0, 1, _C, 0, _S * _S, 0, _S)),
    8: ((1, 0, _C, 0, _S, 0, _S, 0), (0, 1, _C, 0, 0, _S, 0, _S)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedAudio:
    """What came out. `audio_sha256` covers rate, channels and the float32 samples: the content key of caches.

    `silent` means that no sample reaches -120 dBFS. `holes` are where silence stands for sound that was lost. `notes`
    are remarks for a person.
    """

    info: AudioInfo
    sample_rate_hz: int
    channels: int
    length_samples: int
    peak_db: float
    silent: bool
    audio_sha256: str
    holes: tuple[Hole, ...] = ()
    notes: tuple[str, ...] = ()


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
    """Decode `source` into the float32 WAV `target` at its own rate, in blocks; nothing is left when it fails.

    `count_samples` from `first_samples` on, or what there is of them; None for everything behind.
    With `accept_damaged` what decodes is taken, with silence where sound is lost or is no number. Raises DamagedInput
    (cut off, damaged, NaN or infinite samples), InputError (unreadable, empty, a bit stream in place of samples, a rate
    outside 8 to 192 kHz, more than two channels without a choice), OutputError, Cancelled.
    """
    cancel = cancel or CancelToken()
    with open_audio(source, accept_damaged=accept_damaged) as reader:
        _check_rate(reader)
        choose, count_channels, note = _channel_chooser(source, reader.channels, channels)
        with AudioWriter(target, sample_rate_hz=reader.sample_rate_hz, channels=count_channels) as writer:

            def write(frames: FloatArray) -> None:
                cancel.check()
                writer.write(frames.T)

            how = _How(
                choose=choose,
                channels=count_channels,
                gain_db=gain_db,
                accept_damaged=accept_damaged,
                first_samples=first_samples,
                count_samples=count_samples,
            )
            return _decode(reader, how, write, on_progress, note)


def examine(
    source: Path,
    *,
    gain_db: float = 0.0,
    accept_damaged: bool = False,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> DecodedAudio:
    """What decoding gives of a file, with every remark, and nothing is written. Raises as `decode_to_reference`."""
    cancel = cancel or CancelToken()
    with open_audio(source, accept_damaged=accept_damaged) as reader:
        how = _How(choose=lambda block: block, channels=reader.channels, gain_db=gain_db, accept_damaged=accept_damaged)
        return _decode(reader, how, lambda _frames: cancel.check(), on_progress, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What is done with each block."""

    choose: Callable[[FloatArray], FloatArray]
    channels: int
    gain_db: float
    accept_damaged: bool
    first_samples: int = 0
    count_samples: int | None = None


def _decode(
    reader: AudioReader,
    how: _How,
    take: Callable[[FloatArray], None],
    on_progress: OnProgress,
    notes: tuple[str, ...],
) -> DecodedAudio:
    """Every block through the checks, to `take` as (n, channels)."""
    source, rate_hz = reader.info.path, reader.sample_rate_hz
    digest = hashlib.sha256(f"float32le {rate_hz} {how.channels}\n".encode())
    gain = np.float32(db_to_linear(how.gain_db))
    plausibility = Plausibility(how.channels)
    peak, done = 0.0, 0
    whole = reader.length_samples or reader.info.estimated_samples or 0
    expected = whole if how.count_samples is None else how.count_samples
    for raw in _blocks(reader, how):
        block = raw if how.gain_db == 0.0 else raw * gain
        if how.accept_damaged:
            silence_no_numbers(reader, block, how.first_samples + done)
        peak = max(peak, checked_peak(source, block, how.first_samples + done, rate_hz))
        if not done and not reader.info.lossy and peak <= 1.0:
            refuse_bit_stream(source, block)
        chosen = how.choose(block)
        plausibility.update(chosen)
        frames = interleaved(chosen)
        digest.update(frames.astype("<f4", copy=False).data)
        take(frames)
        done += len(frames)
        on_progress(Progress(stage="decode", done=done, total=max(done, expected)))
    if not done:
        raise InputError(f"{source}: {NO_SAMPLES}; export the mix again")
    if how.gain_db:
        notes = (f"a gain of {how.gain_db:+.1f} dB was applied to the mix", *notes)
    said = (*reader.info.notes, *reader.late_notes)  # parts of a file say the same
    return DecodedAudio(
        info=reader.info,
        sample_rate_hz=rate_hz,
        channels=how.channels,
        length_samples=done,
        peak_db=linear_to_db(peak),
        silent=linear_to_db(peak) < SILENT_BELOW_DB,
        audio_sha256=digest.hexdigest(),
        holes=tuple(reader.holes),
        notes=tuple(dict.fromkeys((*said, *_about_holes(reader), *plausibility.remarks(), *notes))),
    )


def _about_holes(reader: AudioReader) -> tuple[str, ...]:
    return (holes_text(reader.holes, reader.sample_rate_hz),) if reader.holes else ()


def _blocks(reader: AudioReader, how: _How) -> Iterator[FloatArray]:
    """The blocks of a part of a file; what cannot be entered at a sample exactly is read from its start."""
    skip = how.first_samples
    if skip and not how.accept_damaged and not reader.info.lossy and reader.length_samples is not None:
        try:
            reader.seek(min(skip, reader.length_samples))
            skip = 0
        except InputError:  # this format is read from its start
            pass
    left = how.count_samples
    while left is None or left > 0:
        wanted = BLOCK_SAMPLES if left is None or skip else min(BLOCK_SAMPLES, left)
        block = reader.read(min(wanted, skip) if skip else wanted)
        if not block.shape[1]:
            return
        if skip:
            skip -= block.shape[1]
            continue
        yield block
        left = None if left is None else left - block.shape[1]


def _check_rate(reader: AudioReader) -> None:
    rate_hz = reader.sample_rate_hz
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise InputError(
            f"{reader.info.path}: {rate_hz} Hz is outside {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz; convert it first"
        )


def _channel_chooser(
    source: Path, count: int, choice: ChannelChoice
) -> tuple[Callable[[FloatArray], FloatArray], int, tuple[str, ...]]:
    """How to get from `count` channels to one or two: the function, the number it gives, remarks."""
    if isinstance(choice, tuple):
        if not all(1 <= channel <= count for channel in choice):
            wanted = ",".join(str(channel) for channel in choice)
            raise InputError(f"{source}: `channels` {wanted}: it has channels 1 to {count}")
        rows = [channel - 1 for channel in choice]
        return (lambda block: np.ascontiguousarray(block[rows])), 2, ()
    if count <= 2 or choice == ALL_CHANNELS:
        return (lambda block: block), count, ()
    if choice is None:
        raise InputError(
            f"{source}: has {count} channels; choose `channels` 1,2 (one pair of them) or `downmix` (to stereo)"
        )
    if choice != "downmix":
        raise InputError(f"{source}: unknown choice of channels {choice!r}; use `channels` 1,2 or `downmix`")
    weights = _DOWNMIX.get(count)
    matrix = np.array(weights or [[1 / count] * count] * 2, dtype=np.float32)
    how = "by ITU-R BS.775 (centre and surrounds -3 dB, no LFE)" if weights else "as the plain average of all"
    return (lambda block: matrix @ block), 2, (f"{count} channels mixed down to stereo {how}",)
