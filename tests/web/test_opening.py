"""The page starts DAWs with sessions, and nothing else that a song folder of a stranger may hold."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from daw_bridge.errors import InputError
from daw_bridge.manifest import Manifest, SessionRecord
from daw_bridge.web.library import Song
from daw_bridge.web.opening import PROGRAMS, open_session


def song_with(folder: Path, adapter: str, file: str, *files: str) -> Song:
    record = SessionRecord(
        adapter=adapter, file=file, files=files or (file,), sha256="", template="", template_sha256="", plan={}
    )
    manifest = Manifest(name="s", daw_bridge="0", state="complete", request={}, sessions=(record,))
    return Song(id="s", folder=folder, manifest=manifest)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the DAW")
def test_what_is_no_session_is_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system would run a program, a script or a link file that the manifest names as a session."""
    programs, song, started = tmp_path / "bin", tmp_path / "song", tmp_path / "started"
    for folder in (programs, song, song / "s"):
        folder.mkdir()
    for name in ("xdg-open", "open", *PROGRAMS["reaper"]):
        (programs / name).write_text(f'#!/bin/sh\necho "$1" >> {started}\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    for name in (
        "evil.sh",
        "evil.desktop",
        "evil.command",
        "evil.exe",
        "evil.html",
        "evil",
        "s/evil.lnk",
        "evil.rpp.bat",
    ):
        (song / name).write_text("#!/bin/sh\n")
        for adapter in ("reaper", "dawproject", "anything"):
            with pytest.raises(InputError, match="is no file that a DAW opens"):
                open_session(song_with(song, adapter, name), "")
    with pytest.raises(InputError, match="is no file that a DAW opens"):
        open_session(song_with(song, "ardour", "s", "s/evil.lnk"), "")
    with pytest.raises(InputError, match="leads out of"):
        open_session(song_with(song, "reaper", "../bin/reaper"), "")
    assert not started.exists()
