"""The installed Ardour: where it is, which version, which of its plug-ins are there.

Every Ardour process gets ARDOUR_FPU_FLAGS=0: 7.3 to 8.9 overrun the heap on CPUs with AVX-512 (fixed in 8.10).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.adapter import Check
from daw_bridge_ardour import plugins

OLDEST_MAJOR = 7
_MAJORS = range(20, 4, -1)
_LV2_FOLDERS = ("~/.lv2", "/usr/local/lib/lv2", "/usr/lib/lv2", "/usr/lib64/lv2", "/usr/lib/x86_64-linux-gnu/lv2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ardour:
    """One installation: its Lua shell (a session loader without a GUI), its export tool, its version."""

    lua: Path
    export: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def find_ardour() -> Ardour | None:
    """The newest Ardour on PATH that has `ardourN-lua` and `ardourN-export`; None when there is none."""
    for major in _MAJORS:
        lua, export = shutil.which(f"ardour{major}-lua"), shutil.which(f"ardour{major}-export")
        if lua and export:
            version = _version(Path(lua))
            return Ardour(lua=Path(lua), export=Path(export), version=version or f"{major}.0")
    return None


def _version(lua: Path) -> str:
    try:
        run = subprocess.run(
            [lua, "--version"], capture_output=True, text=True, timeout=30, env=environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"version (\d+(?:\.\d+)+)", run.stdout)
    return found.group(1) if found else ""


def environment() -> dict[str, str]:
    """The environment for every Ardour process."""
    return {**os.environ, "ARDOUR_FPU_FLAGS": "0"}


def checks() -> list[Check]:
    """For `doctor`: Ardour's version, its stock plug-ins, its export tool."""
    return [_program_check(), _plugin_check()]


def _program_check() -> Check:
    name = "Ardour"
    found = find_ardour()
    if found is None:
        fix = "sessions can be written without it; to open them install Ardour 7 or newer (Debian: apt install ardour)"
        return Check(name=name, ok=False, detail="not found on PATH", fix=fix)
    if found.major < OLDEST_MAJOR:
        return Check(
            name=name, ok=False, detail=f"{found.version} is too old", fix=f"install Ardour {OLDEST_MAJOR} or newer"
        )
    return Check(name=name, ok=True, detail=f"{found.version} ({found.lua.parent})", fix="")


def _plugin_check() -> Check:
    """The stock plug-ins are a package of their own on Debian; without them strips open with stubs."""
    name = "Ardour's ACE plug-ins"
    folders = os.environ.get("LV2_PATH", "").split(os.pathsep) if os.environ.get("LV2_PATH") else list(_LV2_FOLDERS)
    places = [Path(folder).expanduser() for folder in folders if folder]
    places += [Path("/opt").joinpath(found.name, "lib", "LV2") for found in _bundles()]
    wanted = sorted({plugin.unique_id.rpartition(":")[2].partition("#")[0] for plugin in plugins.STOCK})
    missing = [name for name in wanted if not any((place / f"{name}.lv2").is_dir() for place in places)]
    if missing:
        fix = "install them (Debian: apt install ardour-lv2-plugins); without them the strips open with empty slots"
        return Check(name=name, ok=False, detail=f"not found: {', '.join(missing)}", fix=fix)
    return Check(name=name, ok=True, detail=", ".join(wanted), fix="")


def _bundles() -> list[Path]:
    """Folders of Ardour's own installers."""
    try:
        return sorted(Path("/opt").glob("Ardour-*"))
    except OSError:
        return []
