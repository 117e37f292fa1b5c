"""Time tags for packets that tests send."""

from __future__ import annotations

_NTP_TO_UNIX_S = 2_208_988_800


def unix_s_to_time_tag(time_s: float) -> int:
    """Inverse of `daw_bridge.osc.time_tag_to_unix_s`."""
    return int((time_s + _NTP_TO_UNIX_S) * 2**32)
