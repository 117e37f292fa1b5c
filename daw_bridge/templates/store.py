"""Where bus templates are found: a path, the user's own folder, the ones that come with the program, in this order.

A name is a plain word and never becomes a path, so a name that came over the network cannot reach another folder.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from daw_bridge.errors import TemplateError, did_you_mean
from daw_bridge.paths import user_config_dir
from daw_bridge.templates.bus_template import BusTemplate, read_template

SUFFIXES = (".yaml", ".yml")
_NAME = re.compile(r"[\w][\w -]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFile:
    """A template that can be had by name. `hides_shipped`: the user has put one in place of a shipped one."""

    name: str
    path: Path
    origin: Literal["shipped", "user"]
    hides_shipped: bool = False


def shipped_folder() -> Path:
    """The templates of the wheel, or of the checkout when it runs from one."""
    packaged = Path(str(files("daw_bridge"))) / "_templates"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "templates"


def user_folder() -> Path:
    """Where the user's own templates live."""
    return user_config_dir() / "templates"


def list_templates(own_folder: Path | None = None) -> list[TemplateFile]:
    """All templates that can be had by name, the user's (default: those in `user_folder()`) before the shipped."""
    shipped = _in_folder(shipped_folder())
    own = _in_folder(user_folder() if own_folder is None else own_folder)
    found = [
        TemplateFile(name=name, path=path, origin="user", hides_shipped=name in shipped) for name, path in own.items()
    ]
    return found + [
        TemplateFile(name=name, path=path, origin="shipped") for name, path in shipped.items() if name not in own
    ]


def find_template(name: str, own_folder: Path | None = None, *, allow_path: bool = True) -> Path:
    """The file of a template that is given by its name, or by its path where that is allowed.

    What has a `/` or ends in .yaml is a path. Raises TemplateError when there is none; a file is not opened here.
    """
    if "/" in name or os.sep in name or name.lower().endswith(SUFFIXES):
        if not allow_path:
            raise TemplateError(f"{name!r} is a path; give the name of a template here")
        return Path(name).expanduser()
    known = {template.name: template.path for template in list_templates(own_folder)}
    if name not in known:
        hint = did_you_mean(name, known)
        listed = ", ".join(known)
        raise TemplateError(f"no template called {name!r}{hint}; known: {listed}; or give the path of a .yaml file")
    return known[name]


def load_template(name: str, own_folder: Path | None = None, *, allow_path: bool = True) -> BusTemplate:
    """The template of that name or path. Raises TemplateError."""
    return read_template(find_template(name, own_folder, allow_path=allow_path))


def _in_folder(folder: Path) -> dict[str, Path]:
    """Name -> file, sorted, of the YAML files directly in a folder; links that lead out of it are left out."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return {}
    inside = folder.resolve()
    return {
        path.stem: path
        for path in paths
        if path.suffix.lower() in SUFFIXES
        and _NAME.fullmatch(path.stem)
        and path.is_file()
        and path.resolve().is_relative_to(inside)
    }
