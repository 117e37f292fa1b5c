"""The YAML configs that the community publishes beside its checkpoints (the MSST project's form), read as plain data.

Nothing in them is executed: the one tag that they carry for lists, `!!python/tuple`, is read as a list, every other tag
is refused. Keys of the `model` section that are not known here are refused by name, because they would change what is
computed; those that only matter in training are passed over, and so are all other sections but `audio` and
`inference`, and of `training` the names of the stems.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from daw_bridge.errors import TemplateError, did_you_mean
from daw_bridge.files import safe_name
from daw_bridge.templates.yaml_nodes import YamlNode, parse_yaml, read_yaml_text

T = TypeVar("T")

TUPLE_TAG = "tag:yaml.org,2002:python/tuple"

LARGEST = 1 << 24
"""No size in a config is larger, but the chunk."""


@dataclass(frozen=True, slots=True)
class Section:
    """One mapping of a config; what is asked of it is typed, and an error says file:line:column."""

    node: YamlNode
    values: dict[str, YamlNode]

    @classmethod
    def of(cls, node: YamlNode, name: str) -> Section:
        """The mapping below the key; an empty one where there is none."""
        for _, key, value in node.items():
            if key == name:
                return cls(value, {inner: below for _, inner, below in value.items()})
        return cls(node, {})

    def whole(self, name: str, default: int | None = None, *, least: int = 1, most: int = LARGEST) -> int:
        """A whole number; without a default the key has to be there."""
        found = self._get(name, default, YamlNode.whole)
        if not least <= found <= most:
            raise self.values[name].error(f"{name}: {found} is out of range; {least} to {most}")
        return found

    def number(self, name: str, default: float) -> float:
        return self._get(name, default, YamlNode.number)

    def flag(self, name: str, default: bool) -> bool:
        node = self.values.get(name)
        return default if node is None or node.plain() is None else node.flag()

    def text(self, name: str, default: str) -> str:
        return self._get(name, default, YamlNode.text)

    def wholes(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        found = self._get(name, default, lambda node: tuple(item.whole() for item in node.elements()))
        if not found or not all(0 < item <= LARGEST for item in found):
            raise self.values[name].error(f"{name}: a list of whole numbers above 0 is needed")
        return found

    def numbers(self, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
        return self._get(name, default, lambda node: tuple(item.number() for item in node.elements()))

    def texts(self, name: str) -> tuple[str, ...]:
        node = self.values.get(name)
        return () if node is None or node.plain() is None else tuple(item.text() for item in node.elements())

    def refuse_unknown(self, known: Collection[str], ignored: Collection[str], network: str) -> None:
        """TemplateError at the first key that is neither known nor of training only."""
        for name, node in self.values.items():
            if name not in known and name not in ignored:
                raise node.error(f"model.{name}: {network} has no such setting here{did_you_mean(name, known)}")

    def _get(self, name: str, default: T | None, read: Callable[[YamlNode], T]) -> T:
        node = self.values.get(name)
        if node is not None:
            return read(node)
        if default is None:
            raise self.node.error(f"{name} is missing")
        return default


@dataclass(frozen=True, slots=True)
class Config:
    """A config as text that has been understood so far; each family reads its own `model` section of it."""

    root: YamlNode
    model: Section
    audio: Section
    inference: Section
    training: Section

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the network's outputs: its one target, else all instruments."""
        target = self.training.values.get("target_instrument")
        if target is not None and target.plain() is not None:
            return (_stem_name(target),)
        listed = self.training.values.get("instruments")
        return tuple(_stem_name(node) for node in listed.elements()) if listed is not None else ()

    @property
    def chunk_samples(self) -> int:
        """The chunk of the inference section where it has one, as in the reference."""
        where = self.inference if "chunk_size" in self.inference.values else self.audio
        return where.whole("chunk_size", most=1 << 40)

    @property
    def overlaps(self) -> int:
        return self.inference.whole("num_overlap", 2, most=64)

    @property
    def normalise(self) -> bool:
        return self.inference.flag("normalize", default=False)

    @property
    def sample_rate_hz(self) -> int:
        return self.audio.whole("sample_rate", 44_100, least=8_000, most=192_000)


def _stem_name(node: YamlNode) -> str:
    name = node.text()
    if safe_name(name) != name:
        raise node.error(f"{name!r} cannot be the name of a stem and of its file")
    return name.lower()


@lru_cache(maxsize=16)
def parse_config(text: str, file: str) -> Config:
    """Asked for by every look at a model of the user's own, and slow. Raises TemplateError with file:line:column."""
    root = parse_yaml(text, file, list_tags=(TUPLE_TAG,))
    if not any(key == "model" for _, key, _ in root.items()):
        raise root.error("has no 'model' section; `config` takes the YAML that is published with the checkpoint")
    for _, key, value in root.items():
        if key == "model" and not isinstance(value.plain(), dict):
            raise value.error("this config is of an architecture that is not known here (Demucs has its own models)")
    sections = (Section.of(root, name) for name in ("model", "audio", "inference", "training"))
    return Config(root, *sections)


def read_config(path: Path) -> Config:
    """Raises TemplateError with file:line:column."""
    return parse_config(read_yaml_text(path), str(path))


def family_of(config: Config) -> str:
    """The name of the family whose network this is, by the settings that only it has; TemplateError for none."""
    keys = set(config.model.values)
    if {"band_SR", "band_stride"} & keys or {"num_dplayer", "conv_depths"} <= keys:
        return "scnet"
    if {"num_subbands", "bottleneck_factor"} <= keys:
        return "mdx23c"
    if {"dim", "depth"} <= keys and ({"freqs_per_bands", "num_bands", "time_transformer_depth"} & keys):
        return "roformer"
    kind = config.training.text("model_type", "")
    raise TemplateError(
        f"model: an architecture that is not known here{f' ({kind})' if kind else ''}; "
        "BS-RoFormer, Mel-Band RoFormer, SCNet and MDX23C are",
        path=config.root.file,
        line=config.model.node.line,
        column=1,
    )
