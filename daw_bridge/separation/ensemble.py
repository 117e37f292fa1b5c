"""Several models for the same stems: which, and how their estimates become one.

Each member separates the whole mix in its turn, into files of its own that a killed run leaves behind; then the stems
are combined block by block. So memory holds one member's weights at a time and does not grow with their number.

Written as `A,B:2` (weighted mean), `vocals=A,drums=B` (each stem from the model that is best at it), `median:A,B`,
`min:A,B`, `max:A,B` (of each bin of the spectra), or as the name or path of a YAML preset:

    method: mean
    members:
      - {model: mel_kim, weight: 2, stems: [vocals]}
      - {model: htdemucs_ft}
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import cast

import numpy as np

from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.reader import open_audio
from daw_bridge.errors import UsageError, did_you_mean
from daw_bridge.option import one_of
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.combine import WAYS, Way, combined
from daw_bridge.separation.engine.separator import Emit, FloatArray, SampleSource
from daw_bridge.templates.yaml_nodes import YamlNode, read_yaml

MANY = 5
"""More members than this are rarely better, and always slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model, its weight in the mean, and the stems that are taken from it; None for all that it gives."""

    model: str
    weight: float = 1.0
    stems: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    members: tuple[Member, ...]
    way: Way = "mean"

    def __post_init__(self) -> None:
        one_of("ensemble method", self.way, WAYS)
        if len(self.members) < 2:
            raise UsageError("an ensemble has two members at least; for one model use `model`")
        for member in self.members:
            if not isfinite(member.weight) or member.weight <= 0:
                raise UsageError(f"ensemble: the weight {member.weight:g} of {member.model} has to be above 0")

    def stems_of(self, given: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
        """Which stems are taken from each member, of those that it gives. UsageError when they do not go together."""
        taken = []
        for member, known in zip(self.members, given, strict=True):
            for stem in member.stems or ():
                if stem not in known:
                    raise UsageError(
                        f"ensemble: {member.model} has no stem called {stem!r}{did_you_mean(stem, known)}; "
                        f"it gives {', '.join(known)}"
                    )
            taken.append(tuple(stem for stem in known if member.stems is None or stem in member.stems))
        counts = [sum(stem in stems for stems in taken) for stem in {name for stems in taken for name in stems}]
        chosen = all(member.stems is not None for member in self.members)
        if not chosen and max(counts, default=0) < 2:
            lists = "; ".join(
                f"{member.model}: {', '.join(stems)}" for member, stems in zip(self.members, taken, strict=True)
            )
            raise UsageError(f"ensemble: its members share no stem ({lists}); name who gives which, as in vocals=A")
        return tuple(taken)

    def notes(self) -> tuple[str, ...]:
        """What a person should know before it runs."""
        found = []
        if self.way in ("min", "max"):
            found.append(
                f"ensemble {self.way}: chooses bins of the spectra; measured, max gives +0.2 dB SDR at +1.2 dB level, "
                "min takes level away, both can sound washy; the mean is best for most"
            )
        if len(self.members) > MANY:
            found.append(f"ensemble: {len(self.members)} members; past four or five more hardly help, weak ones hurt")
        return tuple(found)


def presets() -> dict[str, Path]:
    """The presets that come with the program, by name."""
    folder = Path(str(files("daw_bridge.separation") / "presets"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def parse_ensemble(text: str) -> Ensemble:
    """Raises UsageError, and TemplateError for a preset."""
    known = presets()
    if text in known or text.endswith((".yaml", ".yml")):
        return read_preset(known.get(text, Path(text)))
    way, colon, rest = text.partition(":")
    if not (colon and way in WAYS):
        way, rest = "mean", text
    items = [item.strip() for item in rest.split(",") if item.strip()]
    if any("=" in item for item in items):
        return Ensemble(members=_chosen(items), way=cast("Way", way))
    return Ensemble(members=tuple(_weighted(item) for item in items), way=cast("Way", way))


def _chosen(items: Sequence[str]) -> tuple[Member, ...]:
    """`stem=MODEL` each; a model that gives several stems runs once."""
    by_model: dict[str, list[str]] = {}
    for item in items:
        stem, equals, model = item.partition("=")
        if not (equals and stem and model):
            raise UsageError(f"ensemble: {item!r} is not of the form STEM=MODEL, as the others are")
        if any(stem in stems for stems in by_model.values()):
            raise UsageError(f"ensemble: the stem {stem!r} is given to two models; without = they are averaged")
        by_model.setdefault(model, []).append(stem)
    if len(by_model) < 2:
        raise UsageError("ensemble: all stems come from one model; use `model` and `stems`")
    return tuple(Member(model=model, stems=tuple(stems)) for model, stems in by_model.items())


def _weighted(item: str) -> Member:
    model, colon, weight = item.partition(":")
    try:
        return Member(model=model, weight=float(weight) if colon else 1.0)
    except ValueError:
        raise UsageError(f"ensemble: {weight!r} is no weight for {model}; as in {model}:2") from None


def read_preset(path: Path) -> Ensemble:
    """An ensemble from a YAML file. Raises TemplateError with its place, UsageError."""
    root = read_yaml(path)
    way, members = "mean", None
    for key_node, key, value in root.items():
        if key == "method":
            way = value.text()
        elif key == "members":
            members = [_member(node) for node in value.elements()]
        elif key != "description":
            known = ("method", "members", "description")
            raise key_node.error(f"unknown key {key!r}{did_you_mean(key, known)}; known: {', '.join(known)}")
    if members is None:
        raise root.error("has no 'members'")
    return Ensemble(members=tuple(members), way=cast("Way", way))


def _member(node: YamlNode) -> Member:
    model, weight, stems = "", 1.0, None
    for key_node, key, value in node.items():
        if key == "model":
            model = value.text()
        elif key == "weight":
            weight = value.number()
        elif key == "stems":
            stems = tuple(item.text() for item in value.elements())
        else:
            known = ("model", "weight", "stems")
            raise key_node.error(f"unknown key {key!r}{did_you_mean(key, known)}; known: {', '.join(known)}")
    if not model:
        raise node.error("this member names no model")
    return Member(model=model, weight=weight, stems=stems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """One stem's files with their weights."""

    files: tuple[Path, ...]
    weights: tuple[float, ...]


class CombinedStems:
    """The members' files as a `Separator`: its stems are the combined ones, at the rate of the reference."""

    name = "ensemble"
    complement = ""

    def __init__(self, stems: dict[str, Estimates], way: Way, weights_sha256: str) -> None:
        self._stems, self._way = stems, way
        self.sources = tuple(stems)
        paths = [path for each in stems.values() for path in each.files]
        with open_audio(paths[0]) as reader:
            self.sample_rate_hz, self.channels = reader.sample_rate_hz, reader.channels
        self.weights_sha256 = hashlib.sha256(f"{way} {weights_sha256}".encode()).hexdigest()

    def run(
        self,
        source: SampleSource,
        emit: Emit,
        *,
        start_samples: int = 0,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        """See `Separator.run`."""
        length, done = source.length_samples, start_samples
        if start_samples >= length:
            return
        with ExitStack() as scope:
            streams = []
            for each in self._stems.values():
                readers = [scope.enter_context(open_audio(path)) for path in each.files]
                streams.append(combined(_Read(readers), length, self._way, each.weights, start_samples))
            for blocks in zip(*streams, strict=True):
                cancel.check()
                emit(np.stack(blocks))
                done += blocks[0].shape[-1]
                on_progress(Progress(stage="separate", done=done, total=length))


class _Read:
    """Samples of several files side by side."""

    def __init__(self, readers: Sequence[AudioReader]) -> None:
        self._readers = readers

    def __call__(self, first: int, last: int) -> FloatArray:
        blocks = []
        for reader in self._readers:
            reader.seek(first)
            blocks.append(reader.read(last - first) if last > first else np.zeros((reader.channels, 0), np.float32))
        return np.stack(blocks)
