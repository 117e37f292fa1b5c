"""An item's state with another file: all of it stays, line for line, but the file, the name and the ids."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from daw_bridge_reaper import rpp
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(shutil.which("lua5.4") is None, reason="no lua5.4 on this machine")
ACTIONS = ROOT / "adapters" / "daw_bridge_reaper" / "actions"
CODE = f"""package.path = "{ACTIONS}/?.lua"
local chunks, json = require("daw_bridge_chunks"), require("daw_bridge_json")
local out = json.list()
for _, each in ipairs(json.decode(io.read("a"))) do
  local good, text = pcall(chunks[each.how], each.text, each.wanted, each.active)
  out[#out + 1] = {{ good = good, text = text }}
end
io.write(json.encode(out))
"""
ITEM = """<ITEM
POSITION 0
LOOP 1
SEL 1
IGUID {A}
IID 3
<NOTES
|FILE "x"
>
NAME first
VOLPAN 0.5 0.25 -1 -1
SOFFS 1.5 0
GUID {B}
<SOURCE MP3
FILE "a b.mp3" 1
>
TAKE NULL
TAKE SEL
TAKEVOLPAN 0.1 0.7 -1
SOFFS 2
CHANMODE 3
GUID {C}
<SOURCE SECTION
LENGTH 5
STARTPOS 10,5
MODE 2
<SOURCE FLAC
FILE "c.flac"
>
>
<TAKEFX
<JS x ""
FILE 1
>
>
SM 0 2 + 1 3
>
"""


def states(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["lua5.4", "-e", CODE], input=json.dumps(requests), capture_output=True, text=True, check=True
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def wanted(start_s: float = 0.0, name: str = "vocals") -> dict[str, object]:
    return {"file": "/n e/w.wav", "name": name, "start_s": start_s}


def test_an_item_of_odd_lines_plays_its_active_take_from_another_file() -> None:
    first, none, second = states(
        [
            {"how": "with_file", "text": ITEM, "active": 0, "wanted": wanted(0.75, "st`em's \"x")},
            {"how": "with_file", "text": ITEM, "active": 1, "wanted": wanted()},
            {"how": "with_file", "text": ITEM, "active": 2, "wanted": wanted(0.5)},
        ]
    )
    head = ["<ITEM", "POSITION 0", "LOOP 0", "<NOTES", '|FILE "x"', ">"]
    source = ["<SOURCE WAVE", 'FILE "/n e/w.wav"', ">"]
    level = ["VOLPAN 0.5 0.25 -1 -1", "SOFFS 0.75"]
    assert first["text"].splitlines() == [*head, "NAME `st'em's \"x`", *level, *source, ">"]
    assert not none["good"] and none["text"] == "an item without a file"
    section = ["<SOURCE SECTION", "LENGTH 5", "STARTPOS 10", "MODE 2", *source, ">"]
    effects = ["<TAKEFX", '<JS x ""', "FILE 1", ">", ">", "SM 0 2 + 1 3"]
    take = ['NAME "vocals"', "VOLPAN 0.5 0.1 0.7 -1", "SOFFS 2", "CHANMODE 3", *section, *effects]
    assert second["text"].splitlines() == [*head, *take, ">"]


def test_takes_are_added_behind_those_that_are_there() -> None:
    stems = [wanted(name="a"), wanted(name="b")]
    [answer] = states([{"how": "with_takes", "text": ITEM, "active": 0, "wanted": stems}])
    added = [
        line
        for name in "ab"
        for line in (
            *("TAKE", f'NAME "{name}"', "TAKEVOLPAN 0.25 -1 -1", "SOFFS 1.5 0"),
            *("<SOURCE WAVE", 'FILE "/n e/w.wav"', ">"),
        )
    ]
    assert answer["text"].splitlines() == [*ITEM.splitlines()[:-1], *added, ">"]


@pytest.mark.shared
def test_items_that_reaper_saved_keep_all_other_lines(shared_dir: Path) -> None:
    texts = []
    for path in sorted((shared_dir / "rpp").glob("*.[rR][pP][pP]")):
        for track in rpp.load(path).root.chunks("TRACK"):
            texts += [rpp.plain_text(item) for item in track.chunks("ITEM")][:10]
    texts = [text for text in texts if "\nFILE " in text and "\nTAKE" not in text]
    assert len(texts) > 20
    answers = states([{"how": "with_file", "text": text, "active": 0, "wanted": wanted()} for text in texts])
    changed = ("FILE", "<SOURCE", "NAME", "IGUID", "GUID", "IID", "SEL")
    for text, answer in zip(texts, answers, strict=True):
        assert answer["good"] and rpp.parse(answer["text"]).problems == []
        before, after = (
            [line for line in each.splitlines() if line.strip() and line.split()[0] not in changed]
            for each in (text, answer["text"])
        )
        assert before == after
