"""Two selected items of one name in different folders get two folders for their stems."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.reaper_job import run_job
from tests.conftest import ROOT

ACTIONS = ROOT / "adapters" / "daw_bridge_reaper" / "actions"
SCRIPT = """
reaper = { get_action_context = function() return nil, "%s/x.lua" end,
  EnumerateFiles = function() return nil end, EnumerateSubdirectories = function() return nil end }
package.path = "%s/?.lua;" .. package.path
local lib = require("daw_bridge_lib")
for _, name in ipairs{"mix", "mix", "Mix", "other"} do print(lib.new_folder("/proj", name)) end
"""


def test_items_of_one_name_get_folders_of_their_own() -> None:
    lua = shutil.which("lua5.4") or shutil.which("lua")
    if lua is None:
        pytest.skip("Lua is not installed (Debian: apt install lua5.4)")
    done = subprocess.run([lua, "-e", SCRIPT % (ACTIONS, ACTIONS)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:4] == [
        "/proj/mix stems",
        "/proj/mix stems 2",
        "/proj/Mix stems 3",
        "/proj/other stems",
    ]


def test_a_job_that_names_one_folder_twice_gives_each_song_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """day1/mix.wav and day2/mix.wav, as actions of an earlier version ask for them."""
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(3)
    sources = []
    for day in ("day1", "day2"):
        mix = tmp_path / day / "mix.wav"
        mix.parent.mkdir()
        soundfile.write(mix, 0.1 * rng.standard_normal((4_410, 2)), 44_100)
        sources.append({"file": str(mix), "folder": str(tmp_path / "mix stems")})
    job = tmp_path / "job" / "job.json"
    job.parent.mkdir()
    job.write_text(json.dumps({"version": 1, "kind": "separate", "model": "preview", "sources": sources}))
    assert run_job(job) == 0
    result = json.loads((job.parent / "result.json").read_text("utf-8"))
    assert [source["folder"] for source in result["sources"]] == [
        str(tmp_path / "mix stems"),
        str(tmp_path / "mix stems 2"),
    ]
    for source, day in zip(result["sources"], ("day1", "day2"), strict=True):
        held = (Path(source["folder"]) / "original" / "mix.wav").read_bytes()
        assert held == (tmp_path / day / "mix.wav").read_bytes()
