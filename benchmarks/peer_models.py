"""Random weights of the published Demucs architectures as a folder that `demucs --repo` and `--weights` both take."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs
from demucs.states import save_with_checksum

from daw_bridge.files import sha256_of_file
from daw_bridge.separation.catalog import model_info
from daw_bridge.separation.families.store import CHECKSUM_FILE

SOURCES = ["drums", "bass", "other", "vocals"]
RATE_HZ = 44_100
HTDEMUCS: dict[str, Any] = {
    "bottom_channels": 512,
    "dconv_mode": 3,
    "dconv_comp": 8,
    "t_dropout": 0.02,
    "segment": Fraction(39, 5),
}
"""The arguments of the published htdemucs checkpoints."""


def network(model: str, place: int) -> torch.nn.Module:
    """One random network of that model's architecture."""
    torch.manual_seed(place)
    if model.startswith("htdemucs"):
        return HTDemucs(SOURCES, **HTDEMUCS)
    # mdx_extra: two networks with complex-as-channels, two on amplitudes.
    return HDemucs(SOURCES, cac=place < 2)


def make_repository(folder: Path, model: str) -> Path:
    """Write the model's random weights under their published names, once."""
    repository = folder / model
    info = model_info(model)
    if (repository / f"{model}.yaml").exists():
        return repository
    repository.mkdir(parents=True, exist_ok=True)
    for place, signature in enumerate(info.signatures):
        made: Any = network(model, place)
        args, kwargs = made._init_args_kwargs
        state = {key: value.half() for key, value in made.state_dict().items()}
        package = {"klass": type(made), "args": args, "kwargs": kwargs, "state": state, "training_args": {}}
        save_with_checksum(package, repository / f"{signature}.th")
    bag: dict[str, Any] = {"models": list(info.signatures)}
    if info.bag_weights:
        bag["weights"] = [list(row) for row in info.bag_weights]
    if info.bag_segment_s:
        bag["segment"] = info.bag_segment_s
    (repository / f"{model}.yaml").write_text(yaml.safe_dump(bag))
    digests = {path.name: sha256_of_file(path) for path in repository.glob("*.th")}
    (repository / CHECKSUM_FILE).write_text(json.dumps(digests))  # as `models fetch` leaves it
    return repository


def make_song(path: Path, seconds: float, *, seed: int = 0) -> Path:
    """A stereo WAV of that length: chords, a beat and noise, written in blocks."""
    random = np.random.default_rng(seed)
    with soundfile.SoundFile(path, "w", RATE_HZ, 2, subtype="PCM_16", format="WAV") as song:
        for second in range(int(np.ceil(seconds))):
            count = min(RATE_HZ, round((seconds - second) * RATE_HZ))
            time_s = np.arange(count) / RATE_HZ
            tone = sum(np.sin(2 * np.pi * 110.0 * ratio * time_s) for ratio in (1.0, 1.25, 1.5, 2.0))
            beat = random.standard_normal(count) * np.exp(-30.0 * (time_s % 0.5))
            left = 0.08 * tone + 0.2 * beat + 0.02 * random.standard_normal(count)
            right = 0.08 * tone + 0.2 * beat + 0.02 * random.standard_normal(count)
            song.write(np.stack([left, right], axis=1))
    return path


def demucs_command(model: str, repository: Path, songs: list[Path], out: Path, *more: str) -> list[str]:
    """The stock command, at its defaults but for float output (which is what we write)."""
    base = [sys.executable, "-m", "demucs", "-n", model, "--repo", str(repository), "--float32", "-o", str(out)]
    return [*base, *more, *map(str, songs)]


def our_command(model: str, repository: Path, song: Path, out: Path, *more: str) -> list[str]:
    """Our whole command: archive, decode, separate, residual, read back."""
    base = [sys.executable, "-m", "daw_bridge", "separate", str(song), "--model", model, "--weights", str(repository)]
    return [*base, "-o", str(out), "--no-cache", "--quiet", *more]
