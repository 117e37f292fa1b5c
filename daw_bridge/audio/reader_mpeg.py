"""MP3 and MP2, decoded frame by frame by FFmpeg's decoder, so that each frame keeps its place.

FFmpeg's own MP3 demuxer and mpg123 believe the header of the first frame; here the frames that are there decide, a
frame that cannot be decoded becomes a hole with a place, and joined files are heard one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from daw_bridge.audio.audio_file import AudioInfo, AudioReader, BlockReader, FloatArray
from daw_bridge.audio.joined import Piece, join
from daw_bridge.audio.lengths import Hole, damaged
from daw_bridge.audio.mpeg_crc import MusicCrc
from daw_bridge.audio.mpeg_frames import scan
from daw_bridge.audio.mpeg_plan import MpegPlan, Stretch, plan_mpeg
from daw_bridge.errors import InputError

_DECODERS = {1: "mp1float", 2: "mp2float", 3: "mp3float"}
_BLOCK_FRAMES = 64
_GLANCE_BYTES = 1 << 15
_CHANGED = "the checksum in the LAME header does not match: the sound was changed or damaged after it was encoded"


def open_mpeg(path: Path, *, accept_damaged: bool, span: tuple[int, int] | None = None) -> AudioReader | None:
    """A reader for a file of MPEG audio, or for such a `span` (start, end) of one; None where it is none.

    None as well for MP3s of free bit rate, which FFmpeg does not decode. Raises InputError.
    """
    start, end = span or (0, path.stat().st_size)
    handle = path.open("rb")
    try:
        found = scan(handle, start, end)
        if found is None or found.free_format:
            handle.close()
            return None
        plan = plan_mpeg(path, found, accept_damaged=accept_damaged)
        return MpegReader(path, handle, plan, accept_damaged=accept_damaged)
    except BaseException:
        handle.close()
        raise


def glance_mpeg(path: Path, handle: BinaryIO, base: int, size_bytes: int) -> AudioInfo | None:
    """About what a file of MPEG audio is, by its first frames; None where it is none."""
    found = scan(handle, base, min(size_bytes, base + _GLANCE_BYTES))
    if found is None or found.free_format:
        return None
    part = found.parts[0]
    frames = part.tag.frames if part.tag is not None else None
    if not frames:
        frames = (size_bytes - base) * len(part.frames) // max(1, sum(size for _start, size in part.frames))
    return AudioInfo(
        path=path,
        container="MP3",
        codec=f"mp{part.format.layer}",
        subtype="",
        sample_rate_hz=part.format.sample_rate_hz,
        channels=part.format.channels,
        length_samples=None,
        estimated_samples=frames * part.format.frame_samples,
        lossy=True,
    )


class MpegReader(BlockReader):
    """Frames of MPEG audio; sequential only."""

    def __init__(self, path: Path, handle: BinaryIO, plan: MpegPlan, *, accept_damaged: bool) -> None:
        self._path, self._handle, self._plan, self._accept = path, handle, plan, accept_damaged
        first = plan.stretches[0].format
        channels = max(stretch.format.channels for stretch in plan.stretches)
        pieces = [
            Piece(stretch.format.sample_rate_hz, stretch.format.channels, self._stretch_blocks(stretch))
            for stretch in plan.stretches
        ]
        blocks, said = join(pieces, first.sample_rate_hz, channels)
        known = plan.claimed_samples is not None and len(plan.stretches) == 1
        total = plan.stretches[0].keep_samples
        super().__init__(
            AudioInfo(
                path=path,
                container="MP3" if first.layer == 3 else f"MP{first.layer}",
                codec=f"mp{first.layer}",
                subtype=f"MPEG_LAYER_{'I' * first.layer}",
                sample_rate_hz=first.sample_rate_hz,
                channels=channels,
                length_samples=total if known else None,
                estimated_samples=plan.behind_samples,
                lossy=True,
                notes=(*plan.notes, *said),
                claim=plan.claim,
            ),
            blocks,
        )
        if not any(stretch.keep_samples for stretch in plan.stretches):
            raise InputError(f"{path}: there are no samples in it; export the mix again")

    def close(self) -> None:
        self._handle.close()

    def _stretch_blocks(self, stretch: Stretch) -> Iterator[FloatArray]:
        """What of a stretch is heard, in blocks."""
        skip, left = stretch.skip_samples, stretch.keep_samples
        for block in self._decoded(stretch):
            heard = block[:, skip:][:, :left]
            skip = max(0, skip - block.shape[1])
            left -= heard.shape[1]
            if heard.shape[1]:
                yield heard

    def _decoded(self, stretch: Stretch) -> Iterator[FloatArray]:
        """Every frame's samples, a block of frames at a time; silence where one cannot be decoded."""
        import av

        form = stretch.format
        decoder: Any = av.CodecContext.create(_DECODERS[form.layer], "r")
        crc = MusicCrc() if stretch.music_crc is not None else None
        size = form.frame_samples
        for first in range(0, len(stretch.frames), _BLOCK_FRAMES):
            frames = stretch.frames[first : first + _BLOCK_FRAMES]
            block = np.zeros((form.channels, size * len(frames)), dtype=np.float32)
            for index, (start, length) in enumerate(frames):
                data = self._frame_bytes(start, length)
                if crc is not None:
                    crc.update(data)
                sound = _decode(av, decoder, data, form.channels) if data else None
                if sound is None or sound.shape != (form.channels, size):
                    self._hole(stretch, (first + index) * size - stretch.skip_samples, size)
                else:
                    block[:, index * size : (index + 1) * size] = sound
            yield block
        if crc is not None and crc.value != stretch.music_crc:
            self.late_notes.append(_CHANGED)

    def _frame_bytes(self, start: int, length: int) -> bytes:
        if not length:
            return b""
        self._handle.seek(start)
        return self._handle.read(length)

    def _hole(self, stretch: Stretch, start_samples: int, size_samples: int) -> None:
        """Note a frame without sound, or refuse the file for it."""
        before = 0
        for other in self._plan.stretches:
            if other is stretch:
                break
            before += other.keep_samples
        at = before + max(0, start_samples)
        if not self._accept:
            raise damaged(self._path, at / stretch.format.sample_rate_hz, "a frame of it cannot be decoded")
        if start_samples < stretch.keep_samples:
            self.add_hole(Hole(start_samples=at, length_samples=size_samples))


def _decode(av: Any, decoder: Any, data: bytes, channels: int) -> FloatArray | None:
    """A frame as float32 (channels, n); None when it cannot be decoded."""
    try:
        frames = decoder.decode(av.Packet(data))
    except (av.FFmpegError, OSError, ValueError):
        return None
    if len(frames) != 1 or len(frames[0].layout.channels) != channels:
        return None
    return np.asarray(frames[0].to_ndarray(), dtype=np.float32)
