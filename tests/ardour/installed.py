"""The Ardour of this machine, as tests start it."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from daw_bridge_ardour.program import Ardour, find_ardour

_DATA = re.compile(r"^export ARDOUR_DATA_PATH=(\S+)$", re.MULTILINE)
_LISTS = ("patchfiles", "plugin_metadata")
_kept: list[tempfile.TemporaryDirectory[str]] = []  # until this process ends


def need_installed_ardour() -> Ardour:
    """The newest Ardour on PATH; the test skips visibly where there is none."""
    found = _without_its_lists()
    if found is None:
        pytest.skip("Ardour is not installed (Debian: apt install ardour ardour-lv2-plugins)")
    return found


@cache
def _without_its_lists() -> Ardour | None:
    """At every start Ardour reads 23 MB of MIDI patch names and the tags of all known plug-ins, which no test is about.

    That is half of its processor time. Debian's tools are shell scripts that say where Ardour's data lies; copies of
    them say a folder without these two.
    """
    found = find_ardour()
    if found is None:
        return None
    scripts = {tool: tool.read_bytes().decode("utf-8", "replace") for tool in (found.lua, found.export)}
    places = {place[1] for script in scripts.values() for place in _DATA.finditer(script)}
    if len(places) != 1:
        return found
    _kept.append(tempfile.TemporaryDirectory(prefix="daw-bridge-ardour-"))
    folder = Path(_kept[0].name)
    (folder / "data").mkdir()
    for entry in Path(places.pop()).iterdir():
        if entry.name not in _LISTS:
            (folder / "data" / entry.name).symlink_to(entry)
    for tool, script in scripts.items():
        copy = folder / tool.name
        copy.write_text(_DATA.sub(f"export ARDOUR_DATA_PATH='{folder}/data'", script), "utf-8")
        copy.chmod(0o755)
    return replace(found, lua=folder / found.lua.name, export=folder / found.export.name)
