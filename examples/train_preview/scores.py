"""How well a network separates a song of which the true stems are known, beside the trivial estimator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.engine.separator import ArraySource
from daw_bridge.separation.families.band_split.bidirectional import BidirectionalSeparator
from daw_bridge.separation.families.band_split.causal import PreviewSeparator
from daw_bridge.separation.families.band_split.look_ahead import LookAhead
from daw_bridge.separation.families.band_split.network import BandSplitNet

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Score:
    """Whole-song SDR in dB of the model and of "mix / number of stems"."""

    model_db: float
    trivial_db: float


def read_stems(folder: Path, sources: tuple[str, ...]) -> FloatArray:
    """(sources, 2, samples); a stem without a file is silence."""
    files = {name: file for name in sources for kind in ("ogg", "flac") if (file := folder / f"{name}.{kind}").exists()}
    found = {name: soundfile.read(file, dtype="float32")[0].T for name, file in files.items()}
    length = max(x.shape[1] for x in found.values())
    stems = np.zeros((len(sources), 2, length), np.float32)
    for index, name in enumerate(sources):
        if name in found:
            stems[index, :, : found[name].shape[1]] = found[name]
    return stems


def separate(net: BandSplitNet, mix: FloatArray, look_ahead: LookAhead | None = None) -> FloatArray:
    """(2, samples) -> (sources, 2, samples), as the program itself separates a song with such a network."""
    separator = (
        PreviewSeparator(net, look_ahead=look_ahead)
        if net.config.causal
        else BidirectionalSeparator(net, [Rung(device="cpu")])
    )
    out: list[FloatArray] = []
    separator.run(ArraySource(mix), out.append, on_progress=ignore_progress, cancel=CancelToken())
    return np.concatenate(out, 2)


def sdr_db(truth: FloatArray, estimate: FloatArray) -> float:
    """10 log10 of energy over error energy, whole song, both channels together (the MDX challenge's "SDR")."""
    error = float(np.square(truth - estimate, dtype=np.float64).sum())
    return float(10 * np.log10(float(np.square(truth, dtype=np.float64).sum()) / max(error, 1e-12) + 1e-12))


def score_song(net: BandSplitNet, folder: Path) -> dict[str, Score]:
    """Scores of the stems that sound."""
    sources = net.config.sources
    truth = read_stems(folder, sources)
    mix = truth.sum(0)
    stems = separate(net, mix)
    return {
        name: Score(sdr_db(truth[index], stems[index]), sdr_db(truth[index], mix / len(sources)))
        for index, name in enumerate(sources)
        if np.any(truth[index])
    }
