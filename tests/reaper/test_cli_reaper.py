"""`templates extract` and `build --into`, as a person types them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge.bus_template import parse_template, read_template
from daw_bridge.cli.main import main
from daw_bridge.model import Compressor, PluginRef
from daw_bridge.workflow import extract_template
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.read import read_project
from tests.reaper.plans import full_plan
from tests.reaper.test_extract import tame


def test_extract_prints_a_template_that_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = ADAPTER.write(tame(full_plan(tmp_path)), tmp_path, "Song").session_path
    assert main(["templates", "extract", str(session)]) == 0
    template = parse_template(capsys.readouterr().out, "out.yaml")
    assert [bus.name for bus in template.buses] == ["drums", "bass", "vocals"]
    assert [type(effect) for effect in template.buses[1].effects][:1] == [Compressor]
    kept = template.buses[1].effects[2]
    assert isinstance(kept, PluginRef) and kept.state.startswith("<JS sstillwell/1175")


def test_extract_then_build_gives_the_same_buses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tame(full_plan(tmp_path))
    first = ADAPTER.write(plan, tmp_path, "first").session_path
    output = tmp_path / "mine.yaml"
    assert main(["templates", "extract", str(first), "-o", str(output)]) == 0
    template = read_template(output)
    buses = {bus.name: bus for bus in template.buses}
    again = ADAPTER.read_plan(first).plan
    rebuilt = replace(
        again,
        buses=tuple(replace(bus, effects=buses[bus.name].effects, sends=buses[bus.name].sends) for bus in again.buses),
    )
    second = ADAPTER.write(rebuilt, tmp_path, "second").session_path
    names = {"Drums", "Bass", "Vocals"}
    before, after = (
        {track.name: track for track in read_project(rpp.load(path)).tracks if track.name in names}
        for path in (first, second)
    )
    for name in names:
        assert before[name].colour == after[name].colour
        assert before[name].gain_linear == pytest.approx(after[name].gain_linear, rel=1e-5)
        assert len(before[name].fx) == len(after[name].fx)
    assert extract_template(second).template.buses == template.buses
    assert main(["templates", "extract", str(first), "-o", str(output)]) == 4
    assert "exists already" in capsys.readouterr().err


def test_extract_says_what_is_wrong_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.rpp").write_text("<REAPER_PROJECT 0.1\n<TRACK\n")
    for arguments, code in (
        (["templates", "extract"], 2),
        (["templates", "extract", str(tmp_path / "x.rpp"), "--live"], 2),
        (["templates", "extract", str(tmp_path / "x.rpp")], 3),
        (["templates", "extract", str(tmp_path / "none.rpp")], 3),
    ):
        assert main(arguments) == code
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.shared
def test_templates_of_real_projects_are_right(shared_dir: Path) -> None:
    for path in sorted((shared_dir / "rpp").glob("*.[rR][pP][pP]")):
        if not path.name.startswith("7.18"):
            extracted = extract_template(path)
            assert parse_template(extracted.text, "x.yaml") == extracted.template
