"""The rule of the field that needs the audio: never separate a stem again."""

from __future__ import annotations

import re
from pathlib import Path

from daw_bridge.audio.provenance import read_provenance
from daw_bridge.errors import GuardRefused

_BLOCK_SAMPLES = 1 << 18

STEM_TAG = re.compile(r"\bstem=")
"""What `write_stems` adds to the provenance line of every stem."""


def refuse_provenance(path: Path, *, allow: bool) -> None:
    """GuardRefused when the file says that it came out of a separation, unless `allow`."""
    line = None if allow else read_provenance(path)
    if line and STEM_TAG.search(line):
        raise GuardRefused(
            f"{path}: this is a stem that daw-bridge made ({line[:120]}); separating it again only adds errors. "
            "Give the mix, or insist with `allow_stems`"
        )


def refuse_stem_sound(reference: Path, *, name: Path | None = None, allow: bool) -> None:
    """GuardRefused when the recording itself sounds like one part of a mix, unless `allow`; see `stem_likeness`.

    `name` is the file that the user gave, for the message, where `reference` is its decoded copy.
    """
    if allow:
        return
    from daw_bridge.audio.reader import open_audio
    from daw_bridge.separation.stem_likeness import LEAST_DURATION_S, measure

    with open_audio(reference) as reader:
        if (reader.length_samples or 0) < LEAST_DURATION_S * reader.sample_rate_hz:
            return
        reason = measure(reader.blocks(_BLOCK_SAMPLES), reader.sample_rate_hz).reason
    if reason:
        raise GuardRefused(
            f"{name or reference}: sounds like a stem, not a mix: {reason}. Separating a stem again only adds errors; "
            "give the mix, or insist with `allow_stems`"
        )
