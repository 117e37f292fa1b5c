"""Two selected items of one name in different folders get two folders for their stems."""

from __future__ import annotations

import shutil
import subprocess

import pytest

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
