"""The page starts DAWs with sessions, and nothing else that a song folder of a stranger may hold."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge import song
from daw_bridge.errors import InputError
from daw_bridge.web.library import Song
from daw_bridge.web.opening import PROGRAMS, open_session
from daw_bridge.workflow import BuildOptions, build
from tests.audio.signals import noise, write_wav
from tests.kill.steps import shares


def song_with(made: song.Song, adapter: str, file: str, *files: str) -> Song:
    """The song, as if a stranger had written its manifest."""
    record = replace(made.sessions[0], adapter=adapter, file=file, files=files or (file,))
    return Song(id="s", made=replace(made, manifest=replace(made.manifest, sessions=(record,))))


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the DAW")
def test_what_is_no_session_is_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system would run a program, a script or a link file that the manifest names as a session."""
    programs, folder, started = tmp_path / "bin", tmp_path / "song", tmp_path / "started"
    mix = write_wav(tmp_path / "mix.wav", noise(3_000), 44_100)
    options = BuildOptions(model="preview", template="neutral", device="cpu", output=folder, use_cache=False)
    made = build(mix, options, load_model=shares).song
    for each in (programs, folder / "s"):
        each.mkdir()
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
        (folder / name).write_text("#!/bin/sh\n")
        for adapter in ("reaper", "dawproject", "anything"):
            with pytest.raises(InputError, match="is no file that a DAW opens"):
                open_session(song_with(made, adapter, name), "")
    with pytest.raises(InputError, match="is no file that a DAW opens"):
        open_session(song_with(made, "ardour", "s", "s/evil.lnk"), "")
    with pytest.raises(InputError, match="leads out of"):
        open_session(song_with(made, "reaper", "../bin/reaper"), "")
    assert not started.exists()
