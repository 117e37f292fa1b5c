"""A file for whoever helps: what the doctor sees, what the actions wrote, and nothing of anybody's music.

Names of the home folder become `~`. Of the jobs only what they asked for and how they ended is taken, of REAPER's own
files only the lines that are ours.
"""

from __future__ import annotations

import io
import platform
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from daw_bridge.adapter import Check
from daw_bridge.errors import OutputError
from daw_bridge.files import write_atomic
from daw_bridge.version import __version__
from daw_bridge_reaper.configure.doctor import examine
from daw_bridge_reaper.configure.host import default_resource_path
from daw_bridge_reaper.configure.setup import CONFIG_FILE, JOBS, RUN_FILE, SCRIPTS
from daw_bridge_reaper.settings import read_settings

BUNDLE = "daw-bridge-reaper.zip"
MOST_BYTES = 256 * 1024
_WHEN = (1980, 1, 1, 0, 0, 0)
_OURS = ("DAWBRIDGE_", "daw_bridge", "csurf_", "reascript=", "pythonlib", "activate_reapy_server")


def write_bundle(target: Path) -> tuple[str, ...]:
    """Write the zip file; the names in it. Raises OutputError, also when something stands at `target` already."""
    if target.exists() or target.is_symlink():
        raise OutputError(f"{target}: exists already; give another name")
    entries = dict(_entries())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _WHEN), _without_home(text).encode("utf-8", "replace"))
    write_atomic(target, packed.getvalue())
    return tuple(entries)


def _entries() -> Iterator[tuple[str, str]]:
    resource = read_settings().resource_path or default_resource_path()
    yield "system.txt", _system(resource)
    yield "doctor.txt", "".join(_line(check) for check in examine())
    for name in ("reaper-kb.ini", "reaper.ini", "reaper-extstate.ini"):
        lines = _text(resource / name).splitlines()
        yield name, "".join(f"{line}\n" for line in lines if any(mark in line for mark in _OURS))
    scripts = resource / SCRIPTS
    yield "scripts.txt", "".join(f"{path.stat().st_size:>8} {path.name}\n" for path in _files(scripts))
    for name in (CONFIG_FILE, RUN_FILE):
        yield name, _text(scripts / name)
    for path in _files(resource / JOBS, "**/*"):
        yield f"jobs/{path.relative_to(resource / JOBS).as_posix()}", _text(path)


def _files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.is_symlink())


def _system(resource: Path) -> str:
    rows = {
        "daw-bridge": __version__,
        "Python": f"{platform.python_version()} at {sys.executable}",
        "system": platform.platform(),
        "REAPER's folder": str(resource),
    }
    return "".join(f"{name}: {value}\n" for name, value in rows.items())


def _line(check: Check) -> str:
    fix = f" -> {check.fix}" if not check.ok and check.fix else ""
    return f"{'ok ' if check.ok else '-- '} {check.name}: {check.detail}{fix}\n"


def _text(path: Path) -> str:
    """The end of a text file; what is wrong with it when it cannot be read."""
    try:
        return path.read_bytes()[-MOST_BYTES:].decode("utf-8", "replace")
    except FileNotFoundError:
        return "(not there)\n"
    except OSError as exc:
        return f"(cannot be read: {exc.strerror or exc})\n"


def _without_home(text: str) -> str:
    home = str(Path.home())
    return text.replace(home.replace("\\", "\\\\"), "~").replace(home, "~") if len(home) > 1 else text
