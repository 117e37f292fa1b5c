"""What is known about a model before it is loaded: its stems, licence, quality, cost, and where its weights come from.

Figures: quality from the papers and repositories named in `source`; cost from docs/separation.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from daw_bridge.errors import UsageError, did_you_mean

Speed = Literal["realtime", "fast", "medium", "slow", "very slow"]

Task = Literal["stems", "vocals", "kit", "karaoke", "dereverb", "denoise"]
"""What a model takes apart: a mix into stems or its vocals, or a stem into what it is made of."""

FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")

CSDR = "MUSDB18-HQ test, cSDR (median of 1 s chunks, then of songs), dB"
WHOLE_SONG = "MUSDB18-HQ test, whole-song SDR (10 log10 of the energies), mean over songs, dB"
HT_PAPER = "Rouard, Massa, Défossez: Hybrid Transformers for Music Source Separation (2023)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A published quality figure. `stems` in the order of the model's own names."""

    average_db: float
    stems_db: tuple[tuple[str, float], ...]
    protocol: str = CSDR
    source: str = HT_PAPER


class Licence(StrEnum):
    """What a licence of weights comes to for somebody who sells music; the text of it is in `ModelInfo.licence`."""

    CLEAR = "clear"
    COPYLEFT = "copyleft"
    NON_COMMERCIAL = "non-commercial"
    UNSTATED = "unstated"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFile:
    """A file of weights as it is published: `urls` are tried in order, `name` is what it is called in our folder."""

    name: str
    urls: tuple[str, ...]
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What is known about a model before it is loaded.

    `family` is the name in the table of families. `files` are what a fetch downloads, where that needs no more than
    their addresses; `bundled` weights come with the program. `licence` is that of the weights, not of the code,
    `licence_source` where it is stated. `signatures` are demucs' names of the bag's networks, `bag_weights` the share
    of each network (row) in each stem. `memory_gb_per_segment` is the peak of
    one segment's activations, and a batch takes that many times it (measured on the CPU and rounded up: htdemucs 0.85,
    htdemucs_6s 0.91, HDemucs 2.49, Demucs 2.02 GB; with room for what the allocator keeps of HDemucs' large blocks).
    `gflop_per_s` is work per second of audio at the default overlap. `complement` is what the mix less a model's one
    stem is called. `cpu_s_per_s` is the measured time of one CPU core for a second of audio, all passes counted.
    `asks_for_licence`: not to be used before its licence has been accepted once.
    A model of the user's own lies in `own_checkpoint` with its `own_config`; `own_sha256` is what it was when added.
    """

    name: str
    family: str
    stems: tuple[str, ...]
    summary: str
    licence: str
    weights_from: str
    size_mb: int
    speed: Speed
    segment_s: float
    memory_gb_per_segment: float
    gflop_per_s: float
    score: Score | None = None
    signatures: tuple[str, ...] = ()
    bag_weights: tuple[tuple[float, ...], ...] | None = None
    bag_segment_s: float | None = None
    notes: tuple[str, ...] = ()
    latency_ms: float | None = None
    licence_class: Licence = Licence.UNSTATED
    licence_source: str = ""
    files: tuple[WeightFile, ...] = ()
    bundled: bool = False
    complement: str = ""
    task: Task = "stems"
    cpu_s_per_s: float | None = None
    asks_for_licence: bool = False
    own_checkpoint: str = ""
    own_config: str = ""
    own_sha256: str = ""


def published_score(
    average: float, vocals: float, drums: float, bass: float, other: float, source: str = HT_PAPER
) -> Score:
    pairs = (("vocals", vocals), ("drums", drums), ("bass", bass), ("other", other))
    return Score(average_db=average, stems_db=pairs, source=source)


def whole_song_score(average: float, stems_db: tuple[tuple[str, float], ...], source: str) -> Score:
    """A figure of the protocol that the community uses; never to be compared with cSDR."""
    return Score(average_db=average, stems_db=stems_db, protocol=WHOLE_SONG, source=source)


def check_stems(stems: tuple[str, ...], model: str, known: tuple[str, ...]) -> None:
    """UsageError when one of the wanted stems is not among the model's."""
    for stem in stems:
        if stem not in known:
            raise UsageError(
                f"{model} has no stem called {stem!r}{did_you_mean(stem, known)}; it gives {', '.join(known)}"
            )
