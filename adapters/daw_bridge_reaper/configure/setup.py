"""What `daw-bridge reaper setup` writes and `undo` takes away again.

| file | what |
|---|---|
| `Scripts/daw-bridge/` | the actions, and a file that says which Python runs them |
| `OSC/DawBridge.ReaperOSC` | the pattern file for control surfaces |
| `Data/toolbar_icons/daw_bridge_*.png`, `MenuSets/DawBridge.ReaperMenu` | a toolbar of the presets, to import |
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
from daw_bridge_reaper.configure.changes import BACKUP_SUFFIX, Changes, SetupOptions, SetupReport
from daw_bridge_reaper.configure.host import (
    default_resource_path,
    python_library,
    reaper_is_running,
    reapy_location,
    require_resource_path,
)
from daw_bridge_reaper.configure.ini_text import IniText
from daw_bridge_reaper.settings import (
    LOOPBACK,
    WEB_PORT,
    Address,
    ReaperSettings,
    forget_settings,
    read_settings,
    write_settings,
)

SCRIPTS = Path("Scripts") / "daw-bridge"
JOBS = SCRIPTS / "jobs"
OSC_FILE = Path("OSC") / "DawBridge.ReaperOSC"
MENU_FILE = Path("MenuSets") / "DawBridge.ReaperMenu"
ICONS = Path("Data") / "toolbar_icons"
STATES_FILE = "reaper-extstate.ini"
STATES_SECTION = "daw-bridge"
ROOTS_LINE = "ROOTS: list[str] = []"
CONFIG_FILE = "daw_bridge_config.lua"
RUN_FILE = "daw_bridge_run.py"
JOURNAL_FILE = "reaper-setup.json"
SERVER_ACTION = "DAWBRIDGE_SERVER"


@dataclass(frozen=True, slots=True)
class Action:
    """An entry of REAPER's action list; `_<id>` is its name for OSC and the web interface. A preset has an icon."""

    id: str
    title: str
    file: str
    icon: str = ""


ACTIONS = (
    Action("DAWBRIDGE_SEPARATE", "Separate selected items into stems...", "daw_bridge_separate.lua"),
    Action("DAWBRIDGE_AGAIN", "Separate again with last settings", "daw_bridge_separate_again.lua"),
    *(
        Action(f"DAWBRIDGE_PRESET_{name.upper()}", title, f"daw_bridge_preset_{name}.lua", f"daw_bridge_{name}.png")
        for name, title in (
            ("vocals", "Preset: vocals and the rest"),
            ("drums", "Preset: drums and the rest"),
            ("karaoke", "Preset: karaoke (the song without its vocals)"),
            ("4", "Preset: 4 stems"),
            ("6", "Preset: 6 stems"),
            ("kit", "Preset: drum kit"),
        )
    ),
    Action("DAWBRIDGE_PLACE", "Place finished separations", "daw_bridge_place_finished.lua"),
    Action("DAWBRIDGE_TEMPLATE", "Apply bus template to session...", "daw_bridge_apply_template.lua"),
    Action("DAWBRIDGE_EXTRACT", "Extract bus template from this project", "daw_bridge_extract_template.lua"),
    Action("DAWBRIDGE_VOCALS", "Mute or unmute vocals", "daw_bridge_mute_vocals.lua"),
    Action("DAWBRIDGE_PYTHON", "Find the Python for daw-bridge...", "daw_bridge_find_python.lua"),
    Action("DAWBRIDGE_CANCEL", "Cancel", "daw_bridge_cancel.lua"),
)
SERVER = Action(SERVER_ACTION, "Start reapy's server (this machine only)", "daw_bridge_server.py")
LIBRARIES = (
    *(
        f"daw_bridge_{name}.lua"
        for name in ("lib", "json", "python", "jobs", "menu", "separation", "items", "chunks", "place", "apply")
    ),
    RUN_FILE,
)
PYTHON_KEYS = ("reascript", "pythonlibpath64", "pythonlibdll64")


def setup(options: SetupOptions) -> SetupReport:
    """Write everything, or with `dry_run` only say what. Raises Busy while REAPER runs, InputError, OutputError."""
    resource = require_resource_path(options.resource_path or read_settings().resource_path or default_resource_path())
    _require_closed(options.dry_run)
    notes: list[str] = []
    journal = _read_journal(resource)
    wanted = _action_files(resource)
    wanted[resource / "reaper-kb.ini"] = _key_bindings(resource, live=options.live)
    states = _ini(resource / STATES_FILE)
    if states.get(STATES_SECTION, "python") is not None:
        states.set(STATES_SECTION, "python", None)  # the Python that was chosen inside REAPER: now it is this one
        wanted[resource / STATES_FILE] = _bytes(states)
    if options.live:
        wanted |= _live_files(resource, options.web_port, notes)
    changes = Changes(wanted)
    if options.dry_run:
        return SetupReport(changed=tuple(changes.differing), diff=changes.diff(), notes=tuple(notes))
    diff, differing = changes.diff(), tuple(changes.differing)
    # First the way back, then the changes: whatever is killed in between can be undone.
    next_journal = _next_journal(resource, journal, changes)
    _write_journal(next_journal)
    backups = changes.apply()
    next_journal.backups += [str(path) for path in backups]
    _write_journal(next_journal)
    address = Address(host=LOOPBACK, web_port=options.web_port)
    write_settings(ReaperSettings(address=address, resource_path=options.resource_path))
    notes += [f"backup: {path}" for path in backups]
    return SetupReport(changed=differing, diff=diff, notes=tuple(notes))


def undo(*, resource_path: Path | None, dry_run: bool) -> SetupReport:
    """Take our lines, files and folders away. Raises Busy while REAPER runs, InputError without any."""
    resource = require_resource_path(resource_path or read_settings().resource_path or default_resource_path())
    _require_closed(dry_run)
    journal = _read_journal(resource)
    states = _ini(resource / STATES_FILE)
    left = [path for path in (resource / JOBS).rglob("*") if path.is_file() or path.is_symlink()]
    if journal is None and not states.has_section(STATES_SECTION) and not left:
        raise InputError(f"{resource}: nothing to undo; 'daw-bridge reaper setup' has not written here")
    journal = journal or Journal.empty(resource)
    ours = [path for path in map(Path, (*journal.created, *journal.backups)) if _is_ours(path, resource)]
    wanted: dict[Path, bytes | None] = dict.fromkeys([*ours, *left])
    keys = _ini(resource / "reaper-kb.ini")
    for action in (*ACTIONS, SERVER):
        keys.set_script(action.id, None)
    ini = _ini(resource / "reaper.ini")
    if journal.surface:
        ini.set_control_surfaces([each for each in ini.control_surfaces() if each != journal.surface])
    for key, (mine, before) in journal.replaced.items():
        if ini.get("REAPER", key) == mine:
            ini.set("REAPER", key, before)
    if states.get("reapy", "activate_reapy_server") == f'"_{SERVER_ACTION}"':
        states.set("reapy", "activate_reapy_server", None)
    states.remove_section(STATES_SECTION)
    states.remove_section("reapy", only_empty=True)
    for path, text in (
        (resource / "reaper-kb.ini", keys),
        (resource / "reaper.ini", ini),
        (resource / STATES_FILE, states),
    ):
        wanted[path] = _as_before(_bytes(text) or None, path, journal)
    changes = Changes(wanted)
    diff = changes.diff()
    deleted = tuple(path for path in changes.differing if wanted[path] is None)
    if not dry_run:
        changes.apply(keep_backups=False)
        (user_config_dir() / JOURNAL_FILE).unlink(missing_ok=True)
        forget_settings()
        _remove_folders(resource, journal)
    changed = tuple(path for path in changes.differing if path not in deleted)
    return SetupReport(changed=changed, diff=diff, deleted=deleted)


def _as_before(content: bytes | None, path: Path, journal: Journal) -> bytes | None:
    """`content`, as the very bytes of the first backup where the two differ in their last line end only."""
    backups = [Path(each) for each in journal.backups if Path(each).name.startswith(f"{path.name}{BACKUP_SUFFIX}-")]
    first = backups[0].read_bytes() if backups and backups[0].is_file() else None
    same = first is not None and content is not None and first.rstrip(b"\r\n") == content.rstrip(b"\r\n")
    return first if same else content


def _remove_folders(resource: Path, journal: Journal) -> None:
    """The folders of the jobs, ours, and of the others those that setup made, as far as nothing is left in them."""
    jobs = sorted((path for path in (resource / JOBS).rglob("*") if path.is_dir()), reverse=True)
    ours = [resource / JOBS, resource / SCRIPTS]
    made = [path for path in sorted(map(Path, journal.folders), reverse=True) if _is_inside(path, resource)]
    for folder in (*jobs, *ours, *made):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _is_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve()) and path.resolve() != folder.resolve()


def _require_closed(dry_run: bool) -> None:
    if not dry_run and reaper_is_running():
        raise Busy("REAPER is running and would overwrite these settings when it quits; close it and try again")


def _is_ours(path: Path, resource: Path) -> bool:
    """A journal must not make us delete anything else."""
    if not _is_inside(path, resource):
        return False
    icon = path.parent == resource / ICONS and path.name in {action.icon for action in ACTIONS}
    backup = path.parent == resource and BACKUP_SUFFIX in path.name
    return path.parent == resource / SCRIPTS or path in (resource / OSC_FILE, resource / MENU_FILE) or icon or backup


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
    wanted[resource / SCRIPTS / RUN_FILE] = _runner((source / RUN_FILE).read_text(encoding="utf-8")).encode()
    config = (
        "-- Written by 'daw-bridge reaper setup'; run it again to change it.\n"
        f"return {{ python = {lua_string(sys.executable)} }}\n"
    )
    wanted[resource / SCRIPTS / CONFIG_FILE] = config.encode()
    wanted[resource / OSC_FILE] = (source / "DawBridge.ReaperOSC").read_bytes()
    for action in ACTIONS:
        if action.icon:
            wanted[resource / ICONS / action.icon] = (source / "toolbar_icons" / action.icon).read_bytes()
    wanted[resource / MENU_FILE] = _toolbar().encode()
    return wanted


def _toolbar() -> str:
    """A toolbar for REAPER's Options > Customize menus/toolbars > Import."""
    lines = ["[Floating toolbar 8]", "title=daw-bridge"]
    for number, action in enumerate(each for each in ACTIONS if each.icon):
        lines += [f"icon_{number}={action.icon}", f"item_{number}=_{action.id} {action.title.removeprefix('Preset: ')}"]
    return "\n".join(lines) + "\n"


def _runner(script: str) -> str:
    """The script that the actions start, which finds this daw-bridge, installed or a checkout."""
    package_root = Path(str(files("daw_bridge_reaper"))).parent
    core_root = Path(str(files("daw_bridge"))).parent
    roots = [str(root) for root in dict.fromkeys((core_root, package_root)) if "site-packages" not in root.parts]
    return script.replace(ROOTS_LINE, f"ROOTS: list[str] = {roots!r}")


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
    states = _ini(resource / STATES_FILE)
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
        resource / STATES_FILE: _bytes(states),
        resource / SCRIPTS / SERVER.file: script.replace("@SITE_PACKAGES@", str(reapy)).encode(),
    }


@dataclass(slots=True)
class Journal:
    """What setup did: our control surface, for each replaced key (ours, theirs), what it made and backed up."""

    resource: str
    surface: str
    replaced: dict[str, tuple[str, str | None]]
    created: list[str]
    folders: list[str]
    backups: list[str]

    @classmethod
    def empty(cls, resource: Path) -> Journal:
        return cls(str(resource), "", {}, [], [], [])


def _read_journal(resource: Path) -> Journal | None:
    path = user_config_dir() / JOURNAL_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        journal = Journal(
            resource=str(raw["resource"]),
            surface=str(raw["surface"]),
            replaced={str(key): (str(ours), before) for key, (ours, before) in raw["replaced"].items()},
            created=[str(each) for each in raw["created"]],
            folders=[str(each) for each in raw.get("folders", [])],
            backups=[str(each) for each in raw.get("backups", [])],
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
    above = dict.fromkeys(folder for path in changes.wanted for folder in path.parents)
    missing = [str(folder) for folder in above if _is_inside(folder, resource) and not folder.exists()]
    return Journal(
        resource=str(resource),
        surface=added[0] if added else journal.surface if journal else "",
        replaced=replaced,
        created=list(dict.fromkeys([*(journal.created if journal else []), *created])),
        folders=list(dict.fromkeys([*(journal.folders if journal else []), *missing])),
        backups=list(journal.backups if journal else []),
    )


def _write_journal(journal: Journal) -> None:
    path = user_config_dir() / JOURNAL_FILE
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(asdict(journal), indent=2) + "\n")
