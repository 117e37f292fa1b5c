"""What `daw-bridge reaper setup` writes and `undo` takes away again.

| file | what |
|---|---|
| `Scripts/daw-bridge/` | the actions, and a file that says which Python runs them |
| `OSC/DawBridge.ReaperOSC` | the pattern file for control surfaces |
| `reaper-kb.ini` | one `SCR` line for each action, with an id that can be called by OSC |
| `reaper.ini` | only with `live`: the web interface, and the Python that REAPER loads |
| `reaper-extstate.ini` | only with `live`: the id of the action that starts reapy's server |

REAPER rewrites its ini files when it quits, so `undo` removes our lines from what is there then instead of putting old
files back.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from daw_bridge.errors import Busy, InputError, OutputError, UsageError
from daw_bridge.files import output_errors, write_atomic
from daw_bridge.paths import user_config_dir
from daw_bridge_reaper.configure.changes import Changes, SetupOptions, SetupReport
from daw_bridge_reaper.configure.host import (
    default_resource_path,
    python_library,
    reaper_is_running,
    reapy_location,
    require_resource_path,
)
from daw_bridge_reaper.configure.ini_text import IniText
from daw_bridge_reaper.settings import LOOPBACK, WEB_PORT, Address, ReaperSettings, read_settings, write_settings

SCRIPTS = Path("Scripts") / "daw-bridge"
OSC_FILE = Path("OSC") / "DawBridge.ReaperOSC"
CONFIG_FILE = "daw_bridge_config.lua"
RUN_FILE = "daw_bridge_run.py"
JOURNAL_FILE = "reaper-setup.json"
SERVER_ACTION = "DAWBRIDGE_SERVER"


@dataclass(frozen=True, slots=True)
class Action:
    """An entry of REAPER's action list; `_<id>` is its name for OSC and the web interface."""

    id: str
    title: str
    file: str


ACTIONS = (
    Action("DAWBRIDGE_SEPARATE", "Separate selected items into stems...", "daw_bridge_separate.lua"),
    Action("DAWBRIDGE_AGAIN", "Separate again with last settings", "daw_bridge_separate_again.lua"),
    Action("DAWBRIDGE_TEMPLATE", "Apply bus template to session...", "daw_bridge_apply_template.lua"),
    Action("DAWBRIDGE_EXTRACT", "Extract bus template from this project", "daw_bridge_extract_template.lua"),
    Action("DAWBRIDGE_VOCALS", "Mute or unmute vocals", "daw_bridge_mute_vocals.lua"),
    Action("DAWBRIDGE_CANCEL", "Cancel", "daw_bridge_cancel.lua"),
)
SERVER = Action(SERVER_ACTION, "Start reapy's server (this machine only)", "daw_bridge_server.py")
LIBRARIES = ("daw_bridge_lib.lua", "daw_bridge_json.lua", "daw_bridge_items.lua")
PYTHON_KEYS = ("reascript", "pythonlibpath64", "pythonlibdll64")


_RUNNER = '''"""Written by 'daw-bridge reaper setup': runs the jobs of the actions inside REAPER."""

import json
import pathlib
import sys

sys.path[:0] = @ROOTS@

try:
    from daw_bridge.cli.main import main

    code = main(sys.argv[1:])
except Exception as error:  # the action waits for an answer, whatever happens
    result = pathlib.Path(sys.argv[-1]).with_name("result.json")
    result.write_text(json.dumps({"ok": False, "error": f"daw-bridge cannot run: {error}"}), encoding="utf-8")
    raise
sys.exit(code)
'''


def setup(options: SetupOptions) -> SetupReport:
    """Write everything, or with `dry_run` only say what. Raises Busy while REAPER runs, InputError, OutputError."""
    resource = require_resource_path(options.resource_path or read_settings().resource_path or default_resource_path())
    _require_closed(options.dry_run)
    notes: list[str] = []
    journal = _read_journal(resource)
    wanted = _action_files(resource)
    wanted[resource / "reaper-kb.ini"] = _key_bindings(resource, live=options.live)
    if options.live:
        wanted |= _live_files(resource, options.web_port, notes)
    changes = Changes(wanted)
    if options.dry_run:
        return SetupReport(changed=tuple(changes.differing), diff=changes.diff(), notes=tuple(notes))
    diff, differing = changes.diff(), tuple(changes.differing)
    # First the way back, then the changes: whatever is killed in between can be undone.
    _write_journal(_next_journal(resource, journal, changes))
    backups = changes.apply()
    address = Address(host=LOOPBACK, web_port=options.web_port)
    write_settings(ReaperSettings(address=address, resource_path=options.resource_path))
    notes += [f"backup: {path}" for path in backups]
    return SetupReport(changed=differing, diff=diff, notes=tuple(notes))


def undo(*, resource_path: Path | None, dry_run: bool) -> SetupReport:
    """Take our lines and files away. Raises Busy while REAPER runs, InputError when nothing was set up."""
    resource = require_resource_path(resource_path or read_settings().resource_path or default_resource_path())
    _require_closed(dry_run)
    journal = _read_journal(resource)
    if journal is None:
        raise InputError(f"{resource}: nothing to undo; 'daw-bridge reaper setup' has not written here")
    wanted: dict[Path, bytes | None] = {Path(path): None for path in journal.created if _is_ours(Path(path), resource)}
    keys = _ini(resource / "reaper-kb.ini")
    for action in (*ACTIONS, SERVER):
        keys.set_script(action.id, None)
    wanted[resource / "reaper-kb.ini"] = _bytes(keys) or None
    ini = _ini(resource / "reaper.ini")
    if journal.surface:
        ini.set_control_surfaces([each for each in ini.control_surfaces() if each != journal.surface])
    for key, (ours, before) in journal.replaced.items():
        if ini.get("REAPER", key) == ours:
            ini.set("REAPER", key, before)
    wanted[resource / "reaper.ini"] = _bytes(ini)
    states = _ini(resource / "reaper-extstate.ini")
    if states.get("reapy", "activate_reapy_server") == f'"_{SERVER_ACTION}"':
        states.set("reapy", "activate_reapy_server", None)
    if states.lines:
        wanted[resource / "reaper-extstate.ini"] = _bytes(states)
    changes = Changes(wanted)
    diff = changes.diff()
    if not dry_run:
        changes.apply()
        (user_config_dir() / JOURNAL_FILE).unlink(missing_ok=True)
        for folder in (resource / SCRIPTS, resource / SCRIPTS.parent, resource / OSC_FILE.parent):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
    return SetupReport(changed=tuple(changes.differing), diff=diff)


def _require_closed(dry_run: bool) -> None:
    if not dry_run and reaper_is_running():
        raise Busy("REAPER is running and would overwrite these settings when it quits; close it and try again")


def _is_ours(path: Path, resource: Path) -> bool:
    """A journal must not make us delete anything else."""
    inside = path.resolve().is_relative_to(resource.resolve())
    return inside and (path.parent == resource / SCRIPTS or path == resource / OSC_FILE)


def _ini(path: Path) -> IniText:
    try:
        return IniText.parse(path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else "")
    except OSError as exc:
        raise OutputError(f"{path}: cannot be read ({exc.strerror or exc})") from exc


def _bytes(ini: IniText) -> bytes:
    return str(ini).encode("utf-8", "surrogateescape")


def lua_string(text: str) -> str:
    """`text` as a Lua string: whatever is not a plain character is written by its number."""
    safe = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in text.encode("utf-8"))
    return f'"{"".join(safe)}"'


def _action_files(resource: Path) -> dict[Path, bytes | None]:
    source = files("daw_bridge_reaper") / "actions"
    wanted: dict[Path, bytes | None] = {}
    for name in (*(action.file for action in ACTIONS), *LIBRARIES):
        wanted[resource / SCRIPTS / name] = (source / name).read_bytes()
    wanted[resource / SCRIPTS / RUN_FILE] = _runner().encode()
    config = (
        "-- Written by 'daw-bridge reaper setup'; run it again to change it.\n"
        f"return {{ python = {lua_string(sys.executable)} }}\n"
    )
    wanted[resource / SCRIPTS / CONFIG_FILE] = config.encode()
    wanted[resource / OSC_FILE] = (source / "DawBridge.ReaperOSC").read_bytes()
    return wanted


def _runner() -> str:
    """The script that the actions start: it finds this daw-bridge, installed or a checkout."""
    package_root = Path(str(files("daw_bridge_reaper"))).parent
    core_root = Path(str(files("daw_bridge"))).parent
    roots = [str(root) for root in dict.fromkeys((core_root, package_root)) if "site-packages" not in root.parts]
    return _RUNNER.replace("@ROOTS@", repr(roots))


def _key_bindings(resource: Path, *, live: bool) -> bytes:
    keys = _ini(resource / "reaper-kb.ini")
    for action in (*ACTIONS, *((SERVER,) if live else ())):
        path = f"daw-bridge/{action.file}"
        keys.set_script(action.id, f'SCR 4 0 {action.id} "Custom: daw-bridge: {action.title}" "{path}"')
    return _bytes(keys)


def _live_files(resource: Path, web_port: int, notes: list[str]) -> dict[Path, bytes | None]:
    if not 1024 <= web_port <= 65535:
        raise UsageError(f"--web-port {web_port}: give a port from 1024 to 65535 (REAPER's usual one is {WEB_PORT})")
    reapy = reapy_location()
    library = python_library()
    if reapy is None:
        raise InputError("driving REAPER live needs reapy; install it with: pip install 'daw-bridge[reaper]'")
    ini = _ini(resource / "reaper.ini")
    surfaces = ini.control_surfaces()
    ours = f"HTTP 0 {web_port} '' 'index.html' 0 ''"
    if not any(each.split()[:3:2] == ["HTTP", str(web_port)] for each in surfaces):
        ini.set_control_surfaces([*surfaces, ours])
    values = {"reascript": "1"}
    if library is None:
        notes.append("this Python has no shared library: choose one in REAPER, Preferences > Plug-ins > ReaScript")
    else:
        values |= {"pythonlibpath64": str(library.folder), "pythonlibdll64": library.name}
    for key, value in values.items():
        ini.set("REAPER", key, value)
    states = _ini(resource / "reaper-extstate.ini")
    states.set("reapy", "activate_reapy_server", f'"_{SERVER_ACTION}"')
    script = (files("daw_bridge_reaper") / "actions" / SERVER.file).read_text(encoding="utf-8")
    if '"' in str(reapy) or "\\" in str(reapy):
        script = script.replace('"@SITE_PACKAGES@"', repr(str(reapy)))
    notes.append(
        f"REAPER's web interface (port {web_port}) can be reached from your network while REAPER runs; "
        "reapy's server, which can do more, from this machine only"
    )
    return {
        resource / "reaper.ini": _bytes(ini),
        resource / "reaper-extstate.ini": _bytes(states),
        resource / SCRIPTS / SERVER.file: script.replace("@SITE_PACKAGES@", str(reapy)).encode(),
    }


@dataclass(slots=True)
class Journal:
    """What was there before the first setup: our control surface, and for each replaced key (ours, theirs)."""

    resource: str
    surface: str
    replaced: dict[str, tuple[str, str | None]]
    created: list[str]


def _read_journal(resource: Path) -> Journal | None:
    path = user_config_dir() / JOURNAL_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        journal = Journal(
            resource=str(raw["resource"]),
            surface=str(raw["surface"]),
            replaced={str(key): (str(ours), before) for key, (ours, before) in raw["replaced"].items()},
            created=[str(each) for each in raw["created"]],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: cannot be read ({exc}); delete it and run 'daw-bridge reaper setup' again") from exc
    return journal if journal.resource == str(resource) else None


def _next_journal(resource: Path, journal: Journal | None, changes: Changes) -> Journal:
    """The journal behind these changes; what an earlier setup noted as the user's own stays."""
    ini_path = resource / "reaper.ini"
    before = _ini(ini_path)
    after = IniText.parse((changes.wanted.get(ini_path) or _bytes(before)).decode("utf-8", "surrogateescape"))
    added = [each for each in after.control_surfaces() if each not in before.control_surfaces()]
    replaced = dict(journal.replaced) if journal else {}
    for key in PYTHON_KEYS:
        ours, theirs = after.get("REAPER", key), before.get("REAPER", key)
        if ours is not None and ours != theirs:
            replaced[key] = (ours, replaced[key][1] if key in replaced else theirs)
    created = [str(path) for path in changes.differing if changes.before[path] is None]
    return Journal(
        resource=str(resource),
        surface=added[0] if added else journal.surface if journal else "",
        replaced=replaced,
        created=list(dict.fromkeys([*(journal.created if journal else []), *created])),
    )


def _write_journal(journal: Journal) -> None:
    path = user_config_dir() / JOURNAL_FILE
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(asdict(journal), indent=2) + "\n")
