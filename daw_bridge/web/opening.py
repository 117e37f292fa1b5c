"""A session into its DAW: the DAW's own program where it is found, else what the system opens such files with."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from daw_bridge.errors import DawError, InputError
from daw_bridge.files import confined
from daw_bridge.web.library import Song

PROGRAMS = {
    "ardour": ("ardour", "ardour9", "ardour8", "ardour7", "ardour6"),
    "reaper": ("reaper",),
    "reaper-sends": ("reaper",),
}
"""Names on the PATH, per adapter."""
SESSION_FILES = (".rpp", ".ardour", ".dawproject", ".als", ".aaf", ".stem.mp4", ".wav")
"""What adapters write. The folder may be a stranger's, and the system would run a program that its manifest names."""


def open_session(song: Song, daw: str) -> str:
    """Start the newest session of that DAW (or the newest at all); its file name. Raises InputError, DawError."""
    fitting = [record for record in song.manifest.sessions if not daw or record.adapter == daw]
    if not fitting:
        raise InputError(f"this song has no session{f' for {daw}' if daw else ''}; build one for it first")
    record = fitting[-1]
    path = confined(song.folder, record.file)
    target = path if path.is_file() else confined(song.folder, record.files[0])
    if not target.name.lower().endswith(SESSION_FILES):
        raise InputError(f"{record.file}: is no file that a DAW opens; make the session again with 'Sessions'")
    if not target.is_file():
        raise InputError(f"{record.file}: the session is gone; build it again")
    command = command_for(record.adapter, target)
    if command is None:
        os.startfile(target)  # type: ignore[attr-defined,unused-ignore]  # noqa: S606  # Windows only
        return record.file
    try:
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as exc:
        raise DawError(f"{command[0]} cannot be started ({exc.strerror or exc})") from exc
    _running[:] = [each for each in (*_running, program) if each.poll() is None]  # reaps those that have ended
    return record.file


_running: list[subprocess.Popen[bytes]] = []


def command_for(adapter: str, target: Path) -> list[str] | None:
    """The command line, None where Windows opens the file itself. Raises DawError where nothing can."""
    for name in PROGRAMS.get(adapter, ()):
        program = shutil.which(name)
        if program:
            return [program, str(target)]
    if sys.platform == "win32":
        return None
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is None:
        raise DawError(f"no program is found that opens {target.name}; open it from your DAW")
    return [opener, str(target)]
