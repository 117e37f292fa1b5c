"""The cases that were handed in, each with its right value. (What they are about is tested without them elsewhere.)"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge.adapter import ReadReport
from daw_bridge.model import Bus, PluginRef, Send
from daw_bridge.workflow.extract import extract_template
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.read import groups_in_use, read_project
from tests.conftest import ROOT
from tests.reaper.plans import neutral_plan

pytestmark = pytest.mark.shared
Right = str | Callable[[ReadReport, ReadReport], bool]
"""What is said, or what is true of the case's report and of that of base.rpp."""


def bus(report: ReadReport, name: str) -> Bus:
    return report.plan.bus(name)


def kept(text: str) -> Right:
    """The first plug-in of the bass bus keeps its state, with this in it."""

    def right(now: ReadReport, _before: ReadReport) -> bool:
        first = bus(now, "bass").effects[0]
        return isinstance(first, PluginRef) and text in first.state

    return right


EXTRACT: dict[str, Right] = {
    "bus-mainsend-off": "BASS: its main send is off, so that it is not heard in the mix; it is muted",
    "bus-muted": lambda now, _: bus(now, "bass").mute,
    "bus-soloed": lambda now, _: bus(now, "bass").solo,
    "bus-to-bus-send": "BASS: the send from DRUMS; a template's sends go to returns",
    "bus-with-multimic-children": lambda now, _: [each.name for each in now.plan.buses] == ["drums", "vocals"],
    "chain-bypassed-FX0": lambda now, _: [each.enabled for each in bus(now, "bass").effects] == [False, False],
    "click-track-beside": "Click: stands beside the mix",
    "inverted-send": "DRUMS: the inverted polarity of the send to ROOM",
    "master-fx-and-volume": "master: the master's level of -6.0 dB",
    "midi-only-send": "DRUMS: the send to ROOM carries MIDI only",
    "muted-send": "DRUMS: the muted send to ROOM is left out",
    "offline-fx": "BASS: VST: ReaEQ (Cockos) is offline; it is bypassed",
    "one-big-plugin": kept("big.vst3"),
    "panned-send": "DRUMS: the pan of -0.8 of the send to ROOM",
    "parallel-fx": kept("PARALLEL 1"),
    "param-env": "BASS: the automation of parameter 0 of VST: ReaEQ (Cockos)",
    "polarity": "BASS: its inverted polarity",
    "prefx-send": lambda now, _: bus(now, "drums").sends == (Send(to="room", gain_db=-18.0, pre_fader=True),),
    "reaeq-zero-bandwidth": kept("<VST"),
    "reference-unmuted": "Reference: the reference sounds in the project; a template's is muted",
    "reverse-comma-decimal": lambda now, _: bus(now, "drums").gain_db == -6.0206,
    "send-from-34": "DRUMS: the send to ROOM takes channels 3/4 into 1/2",
    "sidechain-reagate-pins": "BASS: the signal of DRUMS on channels 3/4",
    "stem-pan-in-bus": "bass: its pan of -0.5",
    "stem-plus2tracks": lambda now, before: now.plan.buses == before.plan.buses and now.limits == before.limits,
    "vol-envelope": "BASS: its automation <VOLENV2 (1 point)",
    "wet-30": kept("WET 0.3 0"),
    "width-0": "BASS: its stereo pan of 0 with a width of 0; it became a balance",
}
SAME_BUSES = {"click-track-beside", "reference-unmuted", "stem-plus2tracks", "master-fx-and-volume"}


@pytest.fixture
def cases(shared_dir: Path) -> Path:
    return shared_dir / "cases" / "reaper"


def test_every_case_has_its_right_value(cases: Path) -> None:
    assert {path.stem.removeprefix("extract-") for path in cases.glob("extract-*.rpp")} == set(EXTRACT)


@pytest.mark.parametrize("name", EXTRACT)
def test_extraction(name: str, cases: Path) -> None:
    before, now = (ADAPTER.read_plan(cases / file) for file in ("base.rpp", f"extract-{name}.rpp"))
    right = EXTRACT[name]
    if isinstance(right, str):
        said = [f"{limit.where}: {limit.what}" for limit in now.limits if limit not in before.limits]
        assert any(each.startswith(right) for each in said), said
    else:
        assert right(now, before)
    if name in SAME_BUSES:
        assert now.plan.buses == before.plan.buses
    extracted = extract_template(cases / f"extract-{name}.rpp")
    assert [each.name for each in extracted.template.buses] == [each.name for each in now.plan.buses]


def test_a_bus_with_microphones_in_it_takes_its_own_stem(cases: Path) -> None:
    template = extract_template(cases / "extract-bus-with-multimic-children.rpp").template
    stems = {each.name: each.stems for each in template.buses}
    assert "drums" in (*stems["drums"], "drums") and {"Kick", "Snare"} <= set(stems["drums"])


MERGE = {
    "merge-mute-group-1.rpp": 1,
    "merge-open-last-folder.rpp": 0,
    "merge-extra-closing-then-open-folder.rpp": 0,
    "merge-panlaw-3dB.rpp": 0,
    "merge-two-root-bak.rpp-bak": 0,
}


@pytest.mark.parametrize("name", MERGE)
def test_merging(name: str, cases: Path, tmp_path: Path) -> None:
    plan = neutral_plan(tmp_path, ("drums", "bass"))
    plan = replace(plan, buses=tuple(replace(each, group="rhythm") for each in plan.buses))
    shutil.copy(cases / name, tmp_path / name)
    report = ADAPTER.merge(plan, tmp_path / name, tmp_path / "new.rpp")
    assert (tmp_path / name).read_bytes() == (cases / name).read_bytes()
    before, after = rpp.load(cases / name), rpp.load(tmp_path / "new.rpp")
    theirs = read_project(before)
    count = len(theirs.tracks)
    found = read_project(after)
    assert found.tracks[:count] == theirs.tracks and found.parents()[:count] == theirs.parents()
    used = groups_in_use(before.root)
    ours = [track for track in found.tracks[count:] if track.name != "(end of folder)"]
    assert used == MERGE[name] and not any(track.group_mask & used for track in ours)
    assert {track.group_mask for track in ours} - {0} == {2 if used else 1}
    assert {(track.pan_law, track.pan_mode) for track in ours} == {(1.0, 3)}
    assert {receive.pan_law for track in ours for receive in track.receives} <= {1.0}
    tops = [found.parents()[index] for index, track in enumerate(found.tracks) if track.name in ("Mix", "Reference")]
    assert tops == [None, None]
    assert any("versions of the project" in limit.what for limit in report.limits) is name.endswith("-bak")


@pytest.mark.skipif(shutil.which("lua5.4") is None, reason="no lua5.4 on this machine")
@pytest.mark.parametrize("name", ["lua-newfolder-cache", "lua-reapack-layout"])
def test_lua(name: str, cases: Path, tmp_path: Path) -> None:
    """The scripts as they are, with the paths that they want. Their REAPER makes no folders: a job is refused there."""
    inner = tmp_path / "rp" / "Scripts" / "daw-bridge" / "daw-bridge"
    shutil.copytree(ROOT / "adapters" / "daw_bridge_reaper" / "actions", inner)
    (inner.parent / "daw_bridge_config.lua").write_text(f'return {{ python = "{tmp_path}/python" }}')
    (tmp_path / "python").touch()
    text = (cases / f"{name}.lua").read_text()
    script = tmp_path / "case.lua"
    script.write_text(text.replace("ADAPTERS", str(ROOT / "adapters")).replace("WORK", str(tmp_path)))
    answer = subprocess.run(["lua5.4", str(script)], capture_output=True, text=True, check=True).stdout
    if name == "lua-newfolder-cache":
        folders = [line.split("\t")[1] for line in answer.splitlines()]
        assert folders == [f"{tmp_path}/proj/song stems", f"{tmp_path}/proj/song stems 2"]
    else:
        assert answer.startswith("MESSAGE: Cannot write the job: ") and "setup" not in answer
