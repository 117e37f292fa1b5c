"""Audio through FFmpeg's libraries (PyAV): AAC/M4A, ALAC, the sound of videos, FLAC of unknown length.

Encoder delay: FFmpeg's decoders drop the priming samples that an edit list, iTunSMPB or a codec delay announces. The
padding at the end they leave in; it is trimmed here to the shortest of what the container says: the end of the last
packet, the edit list, iTunSMPB.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from daw_bridge.audio.audio_file import AudioInfo, BlockReader, FloatArray, not_audio
from daw_bridge.audio.joined import with_channels
from daw_bridge.audio.lengths import Hole, LengthClaim, cut_off, damaged, is_placeholder, precise_clock
from daw_bridge.audio.next_file import next_file
from daw_bridge.audio.resample import Resampler
from daw_bridge.audio.spans import SpanFile
from daw_bridge.errors import InputError

# Only containers of one file: a playlist (HLS, concat) could make FFmpeg open other files or the network.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,avi,wav,w64,aiff,au,mpegts,mpeg,asf,flv,flac,ogg,caf,ac3,eac3,dts,tta,wv,"
    "ape"
)
_DURATION_IS_EXACT = ("mov", "matroska")
_KNOWN_BY_CONTENT = (*_DURATION_IS_EXACT, "wv", "tta", "ape", "asf", "avi", "flv", "caf", "ogg")
"""Containers whose first bytes leave no doubt: what does not decode there is damaged, not something else."""
_LOSSLESS = ("alac", "flac", "tta", "wavpack", "ape", "truehd", "mlp")
_HELD_FRAMES = 3  # the padding of AAC and MP3 is shorter than this many frames
_SMALLEST_MISS_S = 0.1
_SMALLEST_LATENESS_S = 0.002
_LONGEST_HOLE_S = 3600
_SILENCE_SAMPLES = 1 << 16
_MOST_FAILURES = 100_000
_LARGEST_TAIL_BYTES = 1 << 12
_INTEGER_SCALES = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}


def open_av(
    path: Path, notes: tuple[str, ...], *, accept_damaged: bool = False, span: tuple[int, int] | None = None
) -> AvReader | None:
    """A reader for a file, or for a `span` (start, end) of one; None where FFmpeg does not know it. Raises
    InputError.
    """
    import av

    part = None if span is None else SpanFile(path.open("rb"), [(span[0], span[1] - span[0])])
    try:
        container = av.open(
            f"file:{path}" if part is None else part,
            options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError, ValueError):
        if part is not None:
            part.close()
        return None
    try:
        return AvReader(path, container, notes, accept_damaged=accept_damaged, part=part, start=span[0] if span else 0)
    except BaseException:
        container.close()
        if part is not None:
            part.close()
        raise


def first_hole_samples(path: Path) -> int | None:
    """Where the first part of a damaged file is that cannot be decoded; None where FFmpeg finds none."""
    try:
        reader = open_av(path, (), accept_damaged=True)
    except InputError:
        return None
    if reader is None:
        return None
    done = 0
    with reader:
        for block in reader.blocks():
            if reader.holes:
                return reader.holes[0].start_samples
            done += block.shape[1]
    return done


class AvReader(BlockReader):
    """The first audio stream of a container; sequential only.

    With `accept_damaged` silence stands where a packet cannot be decoded or is missing by the time that it says.
    """

    def __init__(
        self,
        path: Path,
        container: Any,
        notes: tuple[str, ...],
        *,
        accept_damaged: bool,
        part: SpanFile | None = None,
        start: int = 0,
    ) -> None:
        self._path, self._container, self._accept = path, container, accept_damaged
        self._part, self._end_byte, self._start_byte = part, 0, start
        self._converter: Resampler | None = None
        self.late_notes, self.holes = [], []
        streams = container.streams.audio
        if not streams:
            raise InputError(f"{path}: there is no sound in this file; give one with an audio stream")
        self._stream = streams[0]
        if self._stream.codec_context is None:
            raise InputError(
                f"{path}: its sound is coded in a way that no decoder here knows; convert it to WAV or FLAC first"
            )
        if len(streams) > 1:
            which = ", the mix of an NI Stems file" if ".stem." in path.name.casefold() else ""
            notes = (*notes, f"{len(streams)} audio streams; the first one is used{which}")
        notes = (*notes, *_about_delay(container.format.name, str(self._stream.codec_context.name)))
        self._decoded_samples = 0
        self._failures = 0
        self._first_pts: int | None = None
        self._first_packet_pts: int | None = None
        self._end_pts: int | None = None
        self._restarted = False
        frames = self._decode()
        known_by_content = container.format.name.startswith(_KNOWN_BY_CONTENT)
        try:
            first = next(frames, None)  # only a decoded frame tells the true rate and channels (HE-AAC doubles them)
        except InputError as exc:
            raise exc if known_by_content else not_audio(path) from exc
        if first is None and known_by_content and (container.duration or 0) > _SMALLEST_MISS_S * 1e6:
            raise damaged(path, 0.0)
        if first is None:
            raise (
                InputError(f"{path}: there are no samples in it; export the mix again")
                if known_by_content
                else not_audio(path)
            )
        info = self._describe(first.shape[0], (*notes, *self._late_start(), *self._unknown_delay()))
        late_notes, holes = self.late_notes, self.holes
        super().__init__(info, self._trimmed(chain([first], frames)))
        self.late_notes, self.holes = late_notes, holes

    def _describe(self, channels: int, notes: tuple[str, ...]) -> AudioInfo:
        codec = str(self._stream.codec_context.name)
        duration_s = self._stream_duration_s() or (self._container.duration or 0) / 1e6
        return AudioInfo(
            path=self._path,
            container=str(self._container.format.name),
            codec=codec,
            subtype=self._format_name,
            sample_rate_hz=self._rate_hz,
            channels=channels,
            length_samples=None,
            estimated_samples=round(duration_s * self._rate_hz) or None,
            lossy=not codec.startswith(("pcm_", *_LOSSLESS)),
            notes=notes,
            claim=LengthClaim(claimed_samples=round(duration_s * self._rate_hz) or None),
        )

    def close(self) -> None:
        self._container.close()
        if self._part is not None:
            self._part.close()

    def next_file(self) -> int | None:
        """Where another file begins behind the last packet that was read; None for an MP4, whose boxes tell it."""
        return self._next_file(self._path.stat().st_size)

    def _next_file(self, up_to: int) -> int | None:
        if not self._end_byte or self._container.format.name.startswith("mov"):
            return None
        with self._path.open("rb") as handle:
            return next_file(handle, self._start_byte + self._end_byte, up_to)

    def _decode(self) -> Iterator[FloatArray]:
        """Every frame as float32 (channels, n), as the first one is; priming already dropped by FFmpeg."""
        import av

        shape: tuple[int, int] | None = None
        if self._accept:
            self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
        for frame in self._frames(av):
            block = _to_float32(frame)
            now = (int(frame.sample_rate), block.shape[0])
            if shape is None:
                self._rate_hz, self._channels = now
                self._format_name = str(frame.format.name)
            elif shape != now:
                yield from self._changed(now)
            shape = now
            if self._accept and shape == (self._rate_hz, self._channels):
                yield from self._silence_before(frame)
            if self._converter is not None:
                block = self._converter.process(block)
            yield from self._counted(with_channels(block, self._channels))
        if self._converter is not None:
            yield from self._counted(with_channels(self._converter.finish(), self._channels))

    def _frames(self, av: Any) -> Iterator[Any]:
        """What the decoder gives, packet by packet."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                if self._first_packet_pts is None:
                    self._first_packet_pts = packet.pts
                if packet.pts is not None and packet.duration:
                    self._restarted |= self._end_pts is not None and packet.pts + packet.duration < self._end_pts
                    self._end_pts = max(self._end_pts or 0, packet.pts + packet.duration)
                frames = packet.decode()
                self._end_byte = packet.pos + packet.size if packet.size and packet.pos is not None else self._end_byte
            except (av.FFmpegError, OSError, ValueError) as exc:
                if self._another_begins():
                    return
                if not self._accept:
                    raise damaged(self._path, self._where_s()) from exc
                self._failures += 1
                if self._failures > _MOST_FAILURES:
                    return
                continue
            for frame in frames:
                if self._first_pts is None and frame.pts is not None:
                    self._first_pts = frame.pts
                yield frame

    def _another_begins(self) -> bool:
        """Whether what cannot be decoded is the beginning of another file."""
        up_to = self._start_byte + self._end_byte + _LARGEST_TAIL_BYTES
        return self._next_file(min(up_to, self._path.stat().st_size)) is not None

    def _counted(self, block: FloatArray) -> Iterator[FloatArray]:
        if block.shape[1]:
            self._decoded_samples += block.shape[1]
            yield block

    def _changed(self, now: tuple[int, int]) -> Iterator[FloatArray]:
        """Rate or channels change: go on at those of the beginning."""
        self.late_notes.append(
            f"from {precise_clock(self._where_s())} on it is {now[0]} Hz with {now[1]} channel(s); converted to "
            f"{self._rate_hz} Hz with {self._channels}"
        )
        if self._converter is not None:
            yield from self._counted(with_channels(self._converter.finish(), self._channels))
        self._converter = Resampler(now[0], self._rate_hz, now[1]) if now[0] != self._rate_hz else None

    def _silence_before(self, frame: Any) -> Iterator[FloatArray]:
        """Silence up to where the frame says that it belongs."""
        if frame.pts is None or self._first_pts is None or frame.time_base is None:
            return
        due = round((frame.pts - self._first_pts) * frame.time_base * self._rate_hz)
        missing = due - self._decoded_samples
        if frame.samples // 2 < missing < _LONGEST_HOLE_S * self._rate_hz:
            self.add_hole(Hole(start_samples=self._decoded_samples, length_samples=missing))
            for _ in range(missing // _SILENCE_SAMPLES):
                yield from self._counted(np.zeros((self._channels, _SILENCE_SAMPLES), dtype=np.float32))
            yield from self._counted(np.zeros((self._channels, missing % _SILENCE_SAMPLES), dtype=np.float32))

    def _late_start(self) -> tuple[str, ...]:
        """A remark when the sound starts after the picture or an edit list's gap: sample 0 is always its first."""
        pictures = [stream for stream in self._container.streams.video if stream.start_time is not None]
        if self._first_pts is None:
            return ()
        starts_s = float(self._first_pts * self._stream.time_base)
        if not pictures:
            starts_s -= self._itunes_numbers()[0] / self._rate_hz  # FFmpeg drops these and counts on
            late = starts_s > _SMALLEST_LATENESS_S and self._container.format.name.startswith("mov")
            return (f"players wait {starts_s:.3f} s before its sound; left out",) if late else ()
        late_s = starts_s - float(pictures[0].start_time * pictures[0].time_base)
        return (f"the sound starts {late_s:.3f} s after the picture",) if late_s > _SMALLEST_LATENESS_S else ()

    def _unknown_delay(self) -> tuple[str, ...]:
        """A remark when AAC in an MP4 or Matroska leaves out nothing of its start: every encoder of AAC adds some.

        So do fragmented files, and programs that replace the edit list.
        """
        stated = self._first_pts != self._first_packet_pts or self._itunes_numbers()[1]
        name = str(self._container.format.name)
        if stated or str(self._stream.codec_context.name) != "aac" or not name.startswith(_DURATION_IS_EXACT):
            return ()
        return ("the file does not state its encoder delay; the start may be about 25 ms late",)

    def _where_s(self) -> float:
        return self._decoded_samples / self._rate_hz if self._decoded_samples else 0.0

    def _trimmed(self, frames: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """The frames without the padding at the end. Raises InputError when sound is missing there."""
        held: deque[FloatArray] = deque()
        given = 0
        for block in frames:
            held.append(block)
            if len(held) > _HELD_FRAMES:
                given += held[0].shape[1]
                yield held.popleft()
        self._refuse_cut_off()
        keep = self._announced_samples() - given
        if keep <= 0:  # the container is plainly wrong about its length: better a little padding than lost sound
            keep = sum(block.shape[1] for block in held)
        padding = sum(block.shape[1] for block in held) - keep
        if padding > 0:
            self.late_notes.append(f"the last {padding} samples are the encoder's padding by the container; left out")
        for block in held:
            if keep > 0:
                yield block[:, :keep]
            keep -= block.shape[1]

    def _announced_samples(self) -> int:
        """How long the sound is by the container's best word; never less than what may be real sound."""
        exact = self._itunes_numbers()[1]
        if 0 < exact <= self._decoded_samples:
            return exact
        ends = [self._decoded_samples]
        # Only a clock that counts samples: 90 kHz ticks of AC-3 or MPEG-TS are rounded for each packet, and add up.
        tick = Fraction(self._stream.time_base or 1)
        if self._restarted:  # a chain: each link counts from its own beginning
            return self._decoded_samples
        if self._end_pts is not None and self._first_pts is not None and (tick * self._rate_hz).denominator == 1:
            ends.append(ceil((self._end_pts - self._first_pts) * tick * self._rate_hz))
        edit_s = self._stream_duration_s()
        if edit_s and self._container.format.name.startswith("mov"):
            # Edit lists count in the movie's units, mostly milliseconds, and may be rounded down by one.
            ends.append(ceil((edit_s + 0.001) * self._rate_hz))
        return min(ends)

    def _itunes_numbers(self) -> tuple[int, int]:
        """What Apple's iTunSMPB tag says: samples of priming, and samples without it and the padding; 0 for unknown."""
        for tags in (self._container.metadata, self._stream.metadata):
            fields = tags.get("iTunSMPB", "").split()
            if len(fields) >= 4:
                try:
                    return int(fields[1], 16), int(fields[3], 16)
                except ValueError:
                    break
        return 0, 0

    def _stream_duration_s(self) -> float:
        if not self._stream.duration or not self._container.format.name.startswith(_DURATION_IS_EXACT):
            return 0.0
        return float(self._stream.duration * self._stream.time_base)

    def _refuse_cut_avi(self, there_s: float) -> None:
        """An AVI tells its size in bytes alone (RIFF); what is behind it says nothing of it."""
        with self._path.open("rb") as handle:
            claimed = 8 + int.from_bytes(handle.read(8)[4:], "little")
        there = self._path.stat().st_size
        if claimed - there < _LARGEST_TAIL_BYTES or is_placeholder(claimed - 8):
            return
        if not self._accept:
            raise cut_off(self._path, there, claimed, at_s=there_s)
        self.late_notes.append(f"cut off: the container announces {claimed} bytes, there are {there}")

    def _refuse_cut_off(self) -> None:
        announced_s = self._stream_duration_s()
        if not announced_s and not self._container.streams.video:
            exact = self._container.format.name.startswith(_DURATION_IS_EXACT)
            announced_s = (self._container.duration or 0) / 1e6 if exact else 0.0
        there_s = self._decoded_samples / self._rate_hz
        if self._container.format.name == "avi" and self._part is None:
            self._refuse_cut_avi(there_s)
        if announced_s - there_s <= _SMALLEST_MISS_S:
            return
        if not self._accept:
            raise cut_off(self._path, there_s, announced_s, at_s=there_s)
        self.late_notes.append(f"cut off: the container announces {announced_s:.3f} s, there are {there_s:.3f} s")


def _about_delay(container: str, codec: str) -> tuple[str, ...]:
    """A remark where the container has no place for the encoder's delay."""
    named = {"aac": "raw AAC", "avi": "AVI", "mpegts": "MPEG-TS", "mpeg": "MPEG-PS", "flv": "FLV"}
    if container == "asf":
        return ("WMA/ASF does not state its encoder delay; start and end may be off by about 50 ms",)
    if container not in named or codec.startswith(("pcm_", *_LOSSLESS)):
        return ()
    return (f"{named[container]} does not state its encoder delay; the start may be about 25 ms late",)


def _to_float32(frame: Any) -> FloatArray:
    """A decoded frame as float32 (channels, samples), full scale 1.0."""
    name = str(frame.format.name)
    if name in ("s64", "s64p"):  # PyAV has no arrays of these
        planes = [
            np.frombuffer(plane, dtype="<i8")[
                : frame.samples * (1 if frame.format.is_planar else len(frame.layout.channels))
            ]
            for plane in frame.planes
        ]
        samples = np.stack(planes)
    else:
        samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    kind = name.removesuffix("p")
    scale = _INTEGER_SCALES.get(kind)
    if scale is None:
        return np.ascontiguousarray(samples, dtype=np.float32)
    centred = samples.astype(np.float32) - (128.0 if kind == "u8" else 0.0)
    return np.ascontiguousarray(centred / np.float32(scale), dtype=np.float32)
