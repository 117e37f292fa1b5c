"""The installed Ardour: where it is, which version, which of its plug-ins are there, and safe ways to run its tools.

Every Ardour process gets ARDOUR_FPU_FLAGS=0: 7.3 to 8.9 overrun the heap on CPUs with AVX-512 (fixed in 8.10).

An export that aborted leaves a full-size file behind. So return codes count, and exports are renamed into place.

Exports run with the port resampler off. It delays by 16 samples, is not used in an export, and now and then (one run in
ten on a busy machine) Ardour still counts it in when it aligns sends: all returns come out 16 samples late.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from daw_bridge.adapter import Check
from daw_bridge.errors import DawError, OutputError
from daw_bridge.files import PART_SUFFIX, output_errors
from daw_bridge_ardour import plugins

OLDEST_MAJOR = 7
_MAJORS = range(20, 4, -1)
_LV2_FOLDERS = ("~/.lv2", "/usr/local/lib/lv2", "/usr/lib/lv2", "/usr/lib64/lv2", "/usr/lib/x86_64-linux-gnu/lv2")
_ATTEMPTS = 6
_CRASHES = (-signal.SIGABRT, -signal.SIGSEGV)
_log = logging.getLogger(__name__)
_BITS = ("16", "24", "32", "float")
_RESAMPLER = "port-resampler-quality"


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


def need_ardour() -> Ardour:
    """The installed Ardour; DawError that says what to install when it is missing or too old."""
    found = find_ardour()
    if found is None:
        raise DawError("Ardour is not installed (no ardour7-lua on PATH); on Debian: apt install ardour")
    if found.major < OLDEST_MAJOR:
        raise DawError(f"Ardour {found.version} is too old for these sessions; install Ardour {OLDEST_MAJOR} or newer")
    return found


def run_ardour(command: list[str | Path], *, timeout_s: float, config_home: Path | None = None) -> str:
    """Run one of Ardour's tools; its output. DawError with the end of its log when it fails, crashes or hangs.

    A crash is tried again: Debian's 8.12 aborts in every second run while its threads end. `config_home` stands in for
    the folder with the user's settings.
    """
    name = Path(command[0]).name
    run = _run_once(command, name, timeout_s, config_home)
    for _ in range(_ATTEMPTS - 1):
        if run.returncode not in _CRASHES:
            break
        _log.info("%s crashed (signal %d); trying again", name, -run.returncode)
        run = _run_once(command, name, timeout_s, config_home)
    if run.returncode != 0:
        how = f"crashed (signal {-run.returncode})" if run.returncode < 0 else f"failed (exit code {run.returncode})"
        raise DawError(f"{name} {how}; its log ends: {_tail(run.stdout + run.stderr)}")
    return run.stdout + run.stderr


def _run_once(
    command: list[str | Path], name: str, timeout_s: float, config_home: Path | None
) -> subprocess.CompletedProcess[str]:
    settings = {"XDG_CONFIG_HOME": str(config_home)} if config_home else {}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=environment() | settings,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        log = "".join(part.decode(errors="replace") for part in (exc.stdout, exc.stderr) if isinstance(part, bytes))
        raise DawError(f"{name} did not finish within {timeout_s:g} s; its log ends: {_tail(log)}") from exc
    except OSError as exc:
        raise DawError(f"{name} cannot be started ({exc.strerror or exc})") from exc


def _tail(log: str, lines: int = 4) -> str:
    kept = [line.strip() for line in log.splitlines() if line.strip()][-lines:]
    return " | ".join(kept)[-600:] or "(empty)"


def export_session(
    session: Path, target: Path, *, ardour: Ardour | None = None, bits: str = "float", timeout_s: float = 900.0
) -> Path:
    """Render a session's whole range with `ardourN-export` into the WAV `target`; returns `target`.

    `session` is the session folder, `bits` one of 16, 24, 32, float. Whole or not at all: the file appears under its
    name only after Ardour ended well. Raises DawError when Ardour is missing, fails, crashes or takes too long, and
    OutputError when `target` exists or cannot be written.
    """
    program = ardour or need_ardour()
    if bits not in _BITS:
        raise ValueError(f"bits is {bits!r}, not one of {_BITS}")
    if target.exists():
        raise OutputError(f"{target}: exists already; give another file")
    name = session_name(session)
    part = target.with_name(f"{target.stem[:80]}.{secrets.token_hex(4)}{PART_SUFFIX}.wav")
    with output_errors(target):
        try:
            with tempfile.TemporaryDirectory(prefix="daw-bridge-") as config_home:
                _export_settings(Path(config_home), program.major)
                command: list[str | Path] = [program.export, "-b", bits, "-o", part, session, name]
                run_ardour(command, timeout_s=timeout_s, config_home=Path(config_home))
            if not part.is_file():
                raise DawError(f"{program.export.name} ended well and wrote nothing; is {session} empty?")
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
    return target


def _export_settings(config_home: Path, major: int) -> None:
    """The user's Ardour settings with the port resampler off, in a folder of their own."""
    folder = Path(f"ardour{major}")
    users = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / folder / "config"
    try:
        root = ET.parse(users).getroot()  # noqa: S314 - the user's own settings
    except (OSError, ET.ParseError):
        root = ET.Element("Ardour")
    options = root.find("Config")
    if options is None:
        options = ET.SubElement(root, "Config")
    for option in options.findall(f"Option[@name='{_RESAMPLER}']"):
        options.remove(option)
    ET.SubElement(options, "Option", name=_RESAMPLER, value="0")
    (config_home / folder).mkdir()
    ET.ElementTree(root).write(config_home / folder / "config", encoding="UTF-8", xml_declaration=True)


def session_name(session: Path) -> str:
    """The name of the one session file in a session folder; DawError when there is none."""
    found = sorted(session.glob("*.ardour"))
    if not found:
        raise DawError(f"{session}: no Ardour session in this folder")
    return found[0].stem


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
