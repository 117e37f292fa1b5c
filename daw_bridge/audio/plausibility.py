"""Is it music at all? What a listener would notice at once, found while the mix is decoded, before hours of work.

A bit stream that somebody ripped as PCM is refused. All else is a remark: it may be meant.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daw_bridge.audio.audio_file import FloatArray
from daw_bridge.errors import InputError
from daw_bridge.units import linear_to_db

NEAR_SILENCE_DB = -60.0
DEAD_CHANNEL_DB = -90.0
INTEGER_SCALE_ABOVE = 100.0
"""+40 dBFS: no chain of gains leaves a float mix there, but integers written as floats begin above."""
HEAVY_DC, HEAVY_DC_FROM = 0.05, 0.01
"""Of the peak, and of full scale."""
_LEAST_SAMPLES = 4_410
_SAME_BELOW_DB, _INVERTED_BELOW_DB = -80.0, -20.0
"""The peak of the difference, of the mix; what is left in mono of what the channels differ in, by energy."""
_SYNC_SEARCH_SAMPLES = 1 << 18
_INTEGER_BITS = (16, 24, 32)
# Words of 16 bits as they lie in PCM: IEC 61937-1 (Pa, Pb); DTS of 16 and 14 bits in both orders (ETSI TS 102 114).
_SYNC_WORDS = {
    (0xF872, 0x4E1F): "an S/PDIF bit stream (AC-3 or DTS)",
    (0x7FFE, 0x8001): "a DTS bit stream",
    (0xFE7F, 0x0180): "a DTS bit stream",
    (0x1FFF, 0xE800): "a DTS bit stream",
    (0xFF1F, 0x00E8): "a DTS bit stream",
}
_AC3_SYNCS = (0x0B77, 0x770B)
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_FEWEST_SYNCS = 3


def refuse_bit_stream(path: Path, block: FloatArray) -> None:
    """InputError for a coded bit stream in place of samples (DTS and AC-3 CDs), by its sync words.

    `block` is the beginning of a lossless file, shape (channels, n).
    """
    words = np.round(block.T[:_SYNC_SEARCH_SAMPLES] * 32768).astype(np.int64).reshape(-1) & 0xFFFF
    found = next((name for sync, name in _SYNC_WORDS.items() if _has_syncs(words, sync)), "")
    if not found and any(_is_ac3(words, sync) for sync in _AC3_SYNCS):
        found = "an AC-3 bit stream"
    if found:
        raise InputError(
            f"{path}: is no sound but {found} in a PCM file, as from a DTS or AC-3 disc; decode it first, as in: "
            "ffmpeg -i FILE decoded.wav (where FFmpeg does not see it, strip the header to a .dts or .ac3 file)"
        )


def _has_syncs(words: NDArray[np.int64], sync: tuple[int, int]) -> bool:
    at = np.flatnonzero((words[:-1] == sync[0]) & (words[1:] == sync[1]))
    return len(at) >= _FEWEST_SYNCS and _regular(at)


def _is_ac3(words: NDArray[np.int64], sync: int) -> bool:
    """Whether AC-3 frames follow one another, each as long as its header says (ATSC A/52, 5.4.1 and table 5.18).

    The sync word alone is any sample's value, and comes back at equal distances in a loop or a steady tone.
    """
    frames = 0
    for place in np.flatnonzero(words == sync).tolist():
        if place + 2 >= len(words):
            break
        code = int(words[place + 2]) >> (8 if sync == _AC3_SYNCS[0] else 0) & 0xFF
        length = _ac3_frame_words(code >> 6, code & 0x3F)
        frames += bool(length) and place + length < len(words) and int(words[place + length]) == sync
    return frames >= _FEWEST_SYNCS


def _ac3_frame_words(rate_code: int, size_code: int) -> int:
    """The length of a frame in words of 16 bits; 0 for codes that there are not."""
    if rate_code == 3 or size_code >= 2 * len(_AC3_KBPS):
        return 0
    kbps = _AC3_KBPS[size_code // 2]
    return (2 * kbps, 320 * kbps // 147 + size_code % 2, 3 * kbps)[rate_code]


def _regular(places: NDArray[np.int64]) -> bool:
    """Whether frames of one length follow one another: the commonest distance, far more often than by chance."""
    if len(places) < _FEWEST_SYNCS:
        return False
    distances = np.diff(places)
    values, counts = np.unique(distances[distances >= 32], return_counts=True)
    return bool(len(values)) and int(counts.max()) >= max(_FEWEST_SYNCS - 1, len(distances) // 4)


class Plausibility:
    """Fed with every block (channels, n) of a mix; `remarks` at the end."""

    def __init__(self, channels: int) -> None:
        self._peak = np.zeros(channels)
        self._sum = np.zeros(channels)
        self._difference = self._middle = self._side = 0.0
        self._count = 0

    def update(self, block: FloatArray) -> None:
        self._peak = np.maximum(self._peak, np.maximum(block.max(axis=1), -block.min(axis=1)))
        self._sum += block.sum(axis=1, dtype=np.float64)
        self._count += block.shape[1]
        if len(block) == 2:
            side, middle = block[0] - block[1], block[0] + block[1]
            self._difference = max(self._difference, float(np.abs(side).max()))
            self._side += float(np.dot(side, side))
            self._middle += float(np.dot(middle, middle))

    def remarks(self) -> tuple[str, ...]:
        """One remark for each thing that a listener would notice."""
        if not self._count:
            return ()
        loudest = float(self._peak.max())
        found = [_level(loudest), self._dead(loudest), self._sides(loudest), self._dc()]
        return tuple(text for text in found if text)

    def _dead(self, loudest: float) -> str:
        dead = [str(index + 1) for index, peak in enumerate(self._peak) if linear_to_db(float(peak)) < DEAD_CHANNEL_DB]
        if not dead or len(dead) == len(self._peak) or linear_to_db(loudest) < NEAR_SILENCE_DB:
            return ""
        return f"channel {', '.join(dead)} is silent, the other is not: a dead channel?"

    def _sides(self, loudest: float) -> str:
        if len(self._peak) != 2 or linear_to_db(float(self._peak.min())) < DEAD_CHANNEL_DB:
            return ""
        if linear_to_db(self._difference / loudest) < _SAME_BELOW_DB:
            return "both channels are the same: mono in a stereo file"
        left_db = linear_to_db(math.sqrt(self._middle / self._side))
        if left_db < _INVERTED_BELOW_DB and self._count >= _LEAST_SAMPLES:
            return "one channel is the other one inverted: on a mono speaker next to nothing is heard"
        return ""

    def _dc(self) -> str:
        offsets = self._sum / self._count
        heaviest, loudest = float(np.abs(offsets).max()), float(self._peak.max())
        if self._count < _LEAST_SAMPLES or heaviest < HEAVY_DC_FROM or heaviest < HEAVY_DC * loudest:
            return ""
        values = ", ".join(f"{offset:+.3f}" for offset in offsets)
        return f"heavy DC offset ({values} of full scale): the export is faulty, or a filter is missing"


def _level(loudest: float) -> str:
    peak_db = linear_to_db(loudest)
    if loudest > INTEGER_SCALE_ABOVE:
        gain_db = integer_scale_gain_db(loudest)
        return (
            f"the peak is {peak_db:+.1f} dBFS: samples at the scale of integers in a float file; a gain of "
            f"{gain_db:.1f} dB makes it ordinary (`gain_db` {gain_db:.1f})"
        )
    if loudest == 0.0:
        return "silence: every sample is zero"
    if peak_db < NEAR_SILENCE_DB:
        return f"near silence: the peak is {peak_db:.1f} dBFS"
    return ""


def integer_scale_gain_db(loudest: float) -> float:
    """The gain that brings integers of 16, 24 or 32 bits to full scale 1.0."""
    bits = next((bits for bits in _INTEGER_BITS if loudest <= 2 ** (bits - 1)), _INTEGER_BITS[-1])
    return -20 * math.log10(2) * (bits - 1)
