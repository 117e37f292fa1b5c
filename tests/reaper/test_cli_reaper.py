"""`templates extract` and `build --into`, as a person types them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.main import main
from daw_bridge.model import Compressor, PluginRef
from daw_bridge.templates.bus_template import parse_template, read_template
from daw_bridge.workflow import extract_template
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.configure import setup
from daw_bridge_reaper.configure.setup import ACTIONS
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


def test_live_without_reaper_fails_before_anything_is_separated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("reapy.tools", reason="the extra 'reaper' is not installed")
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path))
    (tmp_path / "reaper.json").write_text('{"host": "127.0.0.1", "web_port": 9}')
    mix = tmp_path / "mix.wav"
    soundfile.write(mix, np.zeros((4410, 2), np.float32) + 0.1, 44_100)
    assert main(["build", str(mix), "-m", "preview", "--daw", "reaper-live"]) == 9
    assert capsys.readouterr().err.startswith("daw-bridge: no REAPER web interface at 127.0.0.1:9")
    assert not (tmp_path / "mix.session").exists()


def test_the_reapack_index_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reaper", "reapack", "--base-url", "https://example.org/a&b/"]) == 0
    root = ElementTree.fromstring(capsys.readouterr().out)  # noqa: S314  # our own text
    sources = root.findall("./category/reapack/version/source")
    main_files = [source.get("file") for source in sources if source.get("main") == "main"]
    assert main_files == [action.file for action in ACTIONS]
    shipped = Path(setup.__file__).parents[1] / "actions"
    files = {path.name for path in shipped.glob("*.lua")} | {"daw_bridge_run.py"}
    icons = {path.relative_to(shipped).as_posix() for path in shipped.glob("toolbar_icons/*.png")}
    assert {source.get("file") for source in sources} == files | icons
    assert {source.get("file") for source in sources if source.get("type") == "data"} == icons
    assert all(source.text == f"https://example.org/a&b/{source.get('file')}" for source in sources)
    assert main(["reaper", "reapack", "--base-url", "http://example.org"]) == 2


def test_a_job_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.json"
    for text in ("{", "[]", '{"version": 2, "kind": "separate"}', '{"version": 1, "kind": "rm"}'):
        path.write_text(text)
        assert main(["reaper", "job", str(path)]) == 3
        assert capsys.readouterr().err.count("\n") == 1
    path.write_text('{"version": 1, "kind": "extract", "project": "/nowhere/x.rpp"}')
    assert main(["reaper", "job", str(path)]) == 3
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["ok"] is False and "/nowhere/x.rpp" in result["error"]


def test_the_doctor_of_reaper_speaks_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path))
    assert main(["reaper", "doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "REAPER"
