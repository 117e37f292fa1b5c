"""Each link from this program to a button in REAPER, in the order in which a person would mend it."""

from __future__ import annotations

from pathlib import Path

from daw_bridge.adapter import Check
from daw_bridge.errors import DawBridgeError, DawUnreachable
from daw_bridge_reaper.configure.host import (
    default_resource_path,
    python_library,
    reaper_is_running,
    reapy_location,
)
from daw_bridge_reaper.configure.ini_text import IniText
from daw_bridge_reaper.configure.setup import (
    ACTIONS,
    CONFIG_FILE,
    SCRIPTS,
    SERVER,
    SERVER_ACTION,
    STATES_FILE,
    STATES_SECTION,
)
from daw_bridge_reaper.live.connection import ext_state
from daw_bridge_reaper.settings import ReaperSettings, read_settings

SETUP = "daw-bridge reaper setup"
SETUP_LIVE = "daw-bridge reaper setup --live"


def examine() -> list[Check]:
    """Everything is optional: a session file needs none of it."""
    try:
        settings = read_settings()
    except DawBridgeError as exc:
        return [Check(name="REAPER settings", ok=False, detail=str(exc))]
    resource = settings.resource_path or default_resource_path()
    if not (resource / "reaper.ini").is_file():
        hint = "install REAPER (reaper.fm) and start it once; or give --resource-path to 'daw-bridge reaper setup'"
        return [Check(name="REAPER", ok=False, detail=f"no settings in {resource}", fix=hint)]
    return [
        Check(name="REAPER", ok=True, detail=f"settings in {resource}"),
        _actions(resource),
        _python(resource),
        *_live_links(resource, settings),
    ]


def _read(path: Path) -> IniText:
    try:
        return IniText.parse(path.read_bytes().decode("utf-8", "surrogateescape"))
    except OSError:
        return IniText([])


def _actions(resource: Path) -> Check:
    """Whether all are in the action list and on the disk, where setup or ReaPack put them."""
    registered = "\n".join(_read(resource / "reaper-kb.ini").scripts().values())
    missing = [
        action.title
        for action in ACTIONS
        if action.file not in registered
        or not any(any((resource / "Scripts").glob(place + action.file)) for place in ("daw-bridge/", "*/*/"))
    ]
    detail = f"{len(ACTIONS) - len(missing)} of {len(ACTIONS)} in the action list"
    return Check(name="REAPER actions", ok=not missing, detail=detail, fix=SETUP)


def _python(resource: Path) -> Check:
    """The Python of the actions: chosen inside REAPER, or written by setup."""
    chosen = _read(resource / STATES_FILE).get(STATES_SECTION, "python")
    if chosen:
        detail, good = chosen, Path(chosen).is_file()
    else:
        good = (resource / SCRIPTS / CONFIG_FILE).is_file()
        detail = str(resource / SCRIPTS / CONFIG_FILE)
    return Check(name="REAPER actions: Python", ok=good, detail=detail, fix=SETUP)


def _live_links(resource: Path, settings: ReaperSettings) -> list[Check]:
    ini, port = _read(resource / "reaper.ini"), settings.address.web_port
    web = any(each.split()[:3:2] == ["HTTP", str(port)] for each in ini.control_surfaces())
    library = python_library()
    script = ini.get("REAPER", "reascript") == "1"
    chosen = ini.get("REAPER", "pythonlibdll64")
    state = _read(resource / "reaper-extstate.ini").get("reapy", "activate_reapy_server")
    starter = SERVER.id in _read(resource / "reaper-kb.ini").scripts() and state == f'"_{SERVER_ACTION}"'
    checks = [
        Check(
            name="REAPER live: reapy",
            ok=reapy_location() is not None,
            detail="python-reapy",
            fix="pip install 'daw-bridge[reaper]'",
        ),
        Check(name="REAPER live: web", ok=web, detail=f"web interface on port {port}", fix=SETUP_LIVE),
        Check(
            name="REAPER live: Python",
            ok=script and bool(chosen),
            detail=f"REAPER loads {chosen or 'no Python'}",
            fix=SETUP_LIVE if library else "choose a Python in REAPER: Preferences > Plug-ins > ReaScript",
        ),
        Check(name="REAPER live: server", ok=starter, detail="the action that starts reapy's server", fix=SETUP_LIVE),
    ]
    if web:
        checks.append(_answers(settings))
    return checks


def _answers(settings: ReaperSettings) -> Check:
    name = "REAPER live: answers"
    if not reaper_is_running():
        return Check(name=name, ok=False, detail="REAPER is not running", fix="start REAPER")
    try:
        ext_state(settings.address, "server_port")
    except DawUnreachable as exc:
        return Check(name=name, ok=False, detail=str(exc))
    return Check(name=name, ok=True, detail=f"{settings.address.host}:{settings.address.web_port}")
