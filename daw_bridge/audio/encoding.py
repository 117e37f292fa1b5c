"""What can be chosen of audio files, named without loading anything."""

from __future__ import annotations

from typing import Literal

Encoding = Literal["float32", "pcm24", "flac"]
"""How samples are written."""
ResamplerName = Literal["auto", "soxr", "torchaudio"]
"""What brings a mix to the model's rate and back."""
