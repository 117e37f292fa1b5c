"""Models of the user's own: a checkpoint of a known architecture with its config, for one run or under a name.

What `models add` remembers is a small file below the user's settings: where the checkpoint lies, its sha256, a copy of
its config, and what the user knows of its licence. The checkpoint itself stays where it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.errors import ModelError, TemplateError, UsageError, WeightsMissing
from daw_bridge.files import output_errors, safe_name, sha256_of_file, write_atomic
from daw_bridge.paths import user_config_dir
from daw_bridge.separation.model_info import Licence, ModelInfo

if TYPE_CHECKING:
    from daw_bridge.separation.families.community.family import CommunityFamily

_MB = 1_000_000
UNSTATED = "not stated"


def own_folder() -> Path:
    """Where the user's own models are remembered."""
    return user_config_dir() / "models"


def family_for(config: Path) -> tuple[str, CommunityFamily]:
    """The family that can run a config, with its name. Raises TemplateError, ModelError."""
    from daw_bridge.separation.families.community.config import family_of, read_config
    from daw_bridge.separation.families.community.family import CommunityFamily
    from daw_bridge.separation.families.table import FAMILIES

    name = family_of(read_config(config))
    family = FAMILIES[name]
    if not isinstance(family, CommunityFamily):
        raise ModelError(f"{config}: {name} models have no configs of their own")
    return name, family


def described(
    name: str,
    checkpoint: Path,
    config: Path,
    *,
    licence: str = UNSTATED,
    licence_class: Licence = Licence.UNSTATED,
    sha256: str = "",
) -> ModelInfo:
    """What is known of a checkpoint by its config. Raises TemplateError, ModelError, WeightsMissing."""
    from daw_bridge.separation.families.community.config import read_config

    if not checkpoint.is_file():
        raise WeightsMissing(f"{checkpoint}: no such file; the checkpoint of a community model is needed")
    kind, family = family_for(config)
    settings = family.read(read_config(config))
    return ModelInfo(
        name=name,
        family=kind,
        stems=settings.stems,
        complement="instrumental" if settings.stems == ("vocals",) else "",
        task="vocals" if settings.stems == ("vocals",) else "stems",
        summary=f"of your own: {checkpoint.name}",
        licence=licence,
        licence_class=licence_class,
        licence_source="said by its user",
        weights_from=str(checkpoint),
        size_mb=max(1, checkpoint.stat().st_size // _MB),
        speed="very slow",
        segment_s=settings.segment_s,
        memory_gb_per_segment=max(0.01, family.activations_gb(settings, len(settings.stems))),
        gflop_per_s=0.0,
        own_checkpoint=str(checkpoint.absolute()),
        own_config=str(config.absolute()),
        own_sha256=sha256,
    )


def add_own_model(
    name: str,
    checkpoint: Path,
    config: Path,
    *,
    licence: str = UNSTATED,
    licence_class: Licence = Licence.UNSTATED,
) -> ModelInfo:
    """Remember a checkpoint under a name, once it has been held against its config.

    Raises UsageError for a name that cannot be one, TemplateError, ModelError, WeightsMissing, WeightsCorrupt.
    """
    from daw_bridge.separation.families.table import FAMILIES

    if name != safe_name(name) or not name or any(mark in name for mark in " ,:=+"):
        raise UsageError(f"{name!r} cannot be the name of a model; use letters, digits, - and _")
    if any(name == info.name for family in FAMILIES.values() for info in family.models):
        raise UsageError(f"{name} is a model of the catalog already; give it another name")
    info = described(name, checkpoint, config, licence=licence)
    _, family = family_for(config)
    family.network(family.settings_of(info), checkpoint, list(range(len(info.stems))))
    folder = own_folder()
    record = {
        "checkpoint": info.own_checkpoint,
        "sha256": sha256_of_file(checkpoint),
        "licence": licence,
        "licence_class": str(licence_class),
    }
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / f"{name}.yaml", config.read_text(encoding="utf-8-sig"))
    write_atomic(folder / f"{name}.json", json.dumps(record, indent=2) + "\n")
    return own_models()[name]


def own_models() -> dict[str, ModelInfo]:
    """The models that the user has added, by name; what can no longer be read is left out."""
    found = {}
    folder = own_folder()
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            found[path.stem] = described(
                path.stem,
                Path(str(record["checkpoint"])),
                path.with_suffix(".yaml"),
                licence=str(record["licence"]),
                licence_class=Licence(record["licence_class"]),
                sha256=str(record["sha256"]),
            )
        except (OSError, ValueError, KeyError, TypeError, ModelError, TemplateError):
            continue
    return found
