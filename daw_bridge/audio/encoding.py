"""How samples are written."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["float32", "pcm24", "flac"]
