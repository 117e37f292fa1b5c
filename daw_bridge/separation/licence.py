"""Licences of weights that are not clear are accepted once, by the user; what was accepted is remembered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from daw_bridge.errors import LicenceNotAccepted
from daw_bridge.files import output_errors, write_atomic
from daw_bridge.paths import user_config_dir
from daw_bridge.separation.model_info import ModelInfo


def _path() -> Path:
    return user_config_dir() / "licences.json"


def accepted() -> dict[str, str]:
    """Model -> the licence as it read when it was accepted."""
    try:
        table = json.loads(_path().read_text(encoding="utf-8"))
        return {str(name): str(text) for name, text in table.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def is_open(model: ModelInfo) -> bool:
    """Whether the model's licence has to be accepted before its first use."""
    return model.asks_for_licence and accepted().get(model.name) != model.licence


def require_accepted(models: Sequence[ModelInfo], *, accept: bool) -> None:
    """LicenceNotAccepted when one of the models asks for an acceptance that has never been given; `accept` gives it."""
    open_ones = [info for info in models if is_open(info)]
    if not open_ones:
        return
    if not accept:
        lines = "; ".join(f"{info.name} ({info.licence_class}: {info.licence})" for info in open_ones)
        terms = f"the weights of {lines}: not clearly free to use; whether you may use them is for you to judge. "
        way_on = "Accept it once (`accept_licence`), or take a model whose licence is clear (mel_kim for vocals)"
        raise LicenceNotAccepted(terms + way_on, terms=terms.strip())
    path = _path()
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    now = {**accepted(), **{info.name: info.licence for info in open_ones}}
    write_atomic(path, json.dumps(now, indent=2, sort_keys=True) + "\n")
