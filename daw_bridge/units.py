"""Every conversion between units, and nothing else.

Fields carry their unit in the name: `_hz _db _ms _s _samples _beats _lufs`; a linear gain is `gain_linear`.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Sequence

SILENCE_DB = -150.0
"""What is printed for a level of zero: below the noise of 24-bit converters, above -inf."""
_WRITTEN_TIME = re.compile(r"(?:(\d+):)?(?:(\d+):)?(\d+(?:\.\d+)?)")


def db_to_linear(level_db: float) -> float:
    """Amplitude factor of a level in dB; -inf dB is 0."""
    return math.pow(10.0, level_db / 20.0)


def linear_to_db(gain_linear: float) -> float:
    """Level in dB of an amplitude factor; 0 is -inf dB."""
    return 20.0 * math.log10(gain_linear) if gain_linear > 0.0 else -math.inf


def samples_to_s(count_samples: int, sample_rate_hz: int) -> float:
    return count_samples / sample_rate_hz


def seconds_of(text: str) -> float | None:
    """The seconds of a written time, as 83.5, 1:23.5 or 1:02:03; None for what is none."""
    match = _WRITTEN_TIME.fullmatch(text.strip())
    if match is None:
        return None
    total = 0.0
    for part in match.groups():
        total = total * 60.0 + float(part) if part is not None else total
    return total


def s_to_samples(time_s: float, sample_rate_hz: int) -> int:
    """The nearest sample to a time."""
    return round(time_s * sample_rate_hz)


def q_to_octaves(q: float) -> float:
    """Bandwidth in octaves of a peaking filter's Q (RBJ Audio EQ Cookbook, analogue prototype)."""
    return 2.0 / math.log(2.0) * math.asinh(1.0 / (2.0 * q))


def octaves_to_q(bandwidth_octaves: float) -> float:
    """Inverse of `q_to_octaves`."""
    return 1.0 / (2.0 * math.sinh(math.log(2.0) / 2.0 * bandwidth_octaves))


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """y at `x` on the straight lines through points with rising x; the outer lines go on beyond the ends."""
    at = max(1, min(len(points) - 1, bisect_left([point[0] for point in points], x)))
    (x0, y0), (x1, y1) = points[at - 1], points[at]
    return y0 + (x - x0) / (x1 - x0) * (y1 - y0)


def clock(time_s: float) -> str:
    """`m:ss` or `h:mm:ss`."""
    total = max(0, round(time_s))
    hours, rest = divmod(total, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def human_bytes(count_bytes: float) -> str:
    """`12.3 MB`, in powers of 1000 as disks are sold."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000.0:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000.0
    return f"{value:.1f} TB"
