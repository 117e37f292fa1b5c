"""What is done to every song of a catalog: the options, the weights by their sha256, and the algorithm.

Two runs with one recipe do the same to a song, bit for bit, so that one may go on where the other stopped.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from daw_bridge.build_options import BuildOptions
from daw_bridge.errors import InputError, UsageError, WeightsCorrupt
from daw_bridge.option import one_of
from daw_bridge.registry import load_adapter
from daw_bridge.separation.families.loader import weights_sha256
from daw_bridge.separation.run import ALGORITHM

Keep = Literal["full", "stems"]
"""`stems` keeps stems and manifest; the original stays where it is, named by address and sha256."""
_OWN_OF_A_RUN = ("output", "name", "force", "use_cache", "device", "batch_segments")
"""Fields that say how or where, not what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`options` are those of a build that differ from the defaults, as JSON data."""

    options: dict[str, Any]
    weights_sha256: str
    algorithm: str = ALGORITHM
    keep: Keep = "full"

    @property
    def text(self) -> str:
        """The same text for the same recipe."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def build_options(self, *, device: str = "auto") -> BuildOptions:
        """The options of a build by this recipe. Raises UsageError."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.options.items()
        }
        return BuildOptions(**given, device=cast("Any", device), use_cache=False)

    def require_same_work(self, options: BuildOptions) -> None:
        """That this machine would make what was planned. Raises UsageError (algorithm), WeightsCorrupt."""
        if self.algorithm != ALGORITHM:
            raise UsageError(
                f"the plan was made by a daw-bridge whose algorithm is {self.algorithm}, here it is {ALGORITHM}; "
                "use one version on every machine"
            )
        if (found := weights_sha256(options)) != self.weights_sha256:
            raise WeightsCorrupt(
                f"{options.model}: the weights here have sha256 {found[:8]}..., the plan was made with "
                f"{self.weights_sha256[:8]}...; use the same weights on every machine"
            )


def recipe_of(options: BuildOptions, keep: str = "full") -> Recipe:
    """The recipe of these options, which every song could be built by; fetches the weights to know their sha256.

    Raises AdapterMissing, ModelError, UsageError.
    """
    for name in options.daws:
        load_adapter(name)
    one_of("keep", keep, get_args(Keep))
    given = {}
    for each in dataclasses.fields(options):
        value = getattr(options, each.name)
        if each.name not in _OWN_OF_A_RUN and value != each.default:
            given[each.name] = _plain(value)
    return Recipe(options=given, weights_sha256=weights_sha256(options), keep=cast("Keep", keep))


def recipe_from(data: object) -> Recipe:
    """A recipe out of a plan. Raises InputError."""
    fields = {each.name for each in dataclasses.fields(Recipe)}
    if not isinstance(data, dict) or set(data) != fields or not isinstance(data["options"], dict):
        raise InputError("the plan's recipe was not understood; it was made by another version of daw-bridge")
    return Recipe(**data)


def differences(left: Recipe, right: Recipe) -> list[str]:
    """What two recipes do differently, in words."""
    found = []
    a, b = ({**each.options, **dataclasses.asdict(each), "options": None} for each in (left, right))
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            found.append(f"{name} {a.get(name, 'default')} there, {b.get(name, 'default')} now")
    return found


def song_key(mix: str, size_bytes: int, etag: str, recipe: Recipe) -> str:
    """Names one song's result: these bytes of this mix by this recipe."""
    return hashlib.sha256(json.dumps([mix, size_bytes, etag, recipe.text]).encode()).hexdigest()[:32]


def _plain(value: object) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value.resolve()) if isinstance(value, Path) else value
