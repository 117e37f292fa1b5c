"""This machine: where REAPER keeps its files, whether it runs, which Python it can load."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from daw_bridge.errors import InputError


def default_resource_path() -> Path:
    """Where REAPER keeps its settings unless it is a portable installation."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "REAPER"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "REAPER"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "REAPER"


def require_resource_path(path: Path) -> Path:
    """`path` when REAPER's settings are there; InputError otherwise."""
    if not (path / "reaper.ini").is_file():
        raise InputError(
            f"{path}: no reaper.ini in it; start REAPER once, or give --resource-path "
            "(REAPER: Options > Show REAPER resource path)"
        )
    return path


def running_programs() -> list[str]:
    """The names of all running programs, lower case; empty when the system does not say."""
    system: str = sys.platform
    if system.startswith("linux"):
        names = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    names.append((entry / "comm").read_text(encoding="utf-8", errors="replace").strip().lower())
                except OSError:
                    continue
        return names
    command = ["tasklist", "/FO", "CSV", "/NH"] if system == "win32" else ["/bin/ps", "-axco", "comm"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.split(",")[0].strip().strip('"').lower() for line in answer.stdout.splitlines()]


def reaper_is_running() -> bool:
    """REAPER writes its settings when it quits, so they must not be changed while it runs."""
    return any(name in ("reaper", "reaper.exe", "reaper64") for name in running_programs())


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLibrary:
    """The shared library of a Python, as REAPER wants it: folder and file name."""

    folder: Path
    name: str


def python_library() -> PythonLibrary | None:
    """The library of this Python; None when it was built without one."""
    if sys.platform == "win32":
        name = f"python{sys.version_info.major}{sys.version_info.minor}.dll"
        places = [Path(sys.base_prefix)]
    else:
        name = str(sysconfig.get_config_var("INSTSONAME") or sysconfig.get_config_var("LDLIBRARY") or "")
        folders = (sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL"))
        places = [Path(folder) for folder in folders if folder]
        multiarch = sysconfig.get_config_var("MULTIARCH")
        places += [place / multiarch for place in places if multiarch]
    if not name.endswith(".a"):
        for place in places:
            if (place / name).is_file():
                return PythonLibrary(folder=place, name=name)
    return None


def reapy_location() -> Path | None:
    """The folder that must be on REAPER's Python path; None without reapy. Does not import it."""
    spec = find_spec("reapy")
    return Path(spec.origin).parent.parent if spec and spec.origin else None
