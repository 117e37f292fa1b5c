"""From the demo mix to REAPER by both ways: the file and the open project hold the same session; and into a project."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from daw_bridge.cli.main import main
from daw_bridge.manifest import read_manifest
from daw_bridge.plan_json import plan_from_json
from daw_bridge_reaper import rpp
from daw_bridge_reaper.read import read_project
from tests.reaper.simulator.model import World
from tests.reaper.simulator.script import SimulatedScript
from tests.reaper.test_live import assert_same_tracks, build, layout_of, state_of

pytest.importorskip("reapy.tools", reason="the extra 'reaper' is not installed")
DEMO = Path(__file__).parents[2] / "examples" / "demo_song" / "mix.flac"


@pytest.fixture
def mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first seconds of the demo mix."""
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "config"))
    audio, rate_hz = soundfile.read(DEMO, frames=40_000)
    path = tmp_path / "demo.wav"
    soundfile.write(path, audio, rate_hz, subtype="PCM_16")
    return path


def test_both_ways_give_the_session_of_the_plan(mix: Path, tmp_path: Path) -> None:
    from tests.reaper.test_live_sockets import Simulator

    simulator = Simulator()
    try:
        (tmp_path / "config").mkdir()
        settings = {"host": "127.0.0.1", "web_port": simulator.address.web_port}
        (tmp_path / "config" / "reaper.json").write_text(json.dumps(settings))
        folder = tmp_path / "demo.session"
        assert main(["build", str(mix), "-m", "preview", "-t", "band", "--daw", "reaper,reaper-live", "-q"]) == 0
        state = simulator.ask("state")
        receipt = json.loads((folder / "demo.live.json").read_text(encoding="utf-8"))
        assert main(["rebuild", str(folder), "-t", "dj", "--daw", "reaper-live", "-q"]) == 0
        names = [track["texts"]["P_NAME"] for track in simulator.ask("state")["content"]["tracks"]]
        assert len(names) == len(set(names))
    finally:
        simulator.close()
    manifest = read_manifest(folder)
    assert manifest is not None
    plan = plan_from_json(manifest.sessions[0].plan, folder)
    # The plan, the project file and the open project, compared with one another.
    layout = layout_of(plan)
    world = World()
    build(SimulatedScript(world), layout, plan.name)
    assert_same_tracks(state_of(world, 0), layout.tracks)
    assert state["content"] == json.loads(json.dumps(world.content.plain()))
    assert state["undo"] == [f"daw-bridge: {plan.name}"]
    written = read_project(rpp.load(folder / "demo.rpp"))
    absolute = [
        replace(track, items=tuple(replace(item, path=str(folder / item.path)) for item in track.items))
        for track in written.tracks
    ]
    for track, wanted in zip(absolute, layout.tracks, strict=True):
        assert track == wanted
    assert receipt["tracks"] == len(layout.tracks)


def test_a_rebuild_that_fails_leaves_the_earlier_session(mix: Path, tmp_path: Path) -> None:
    assert main(["build", str(mix), "-m", "preview", "-t", "neutral", "-q"]) == 0
    session = tmp_path / "demo.session" / "demo.rpp"
    before = session.read_bytes()
    template = tmp_path / "bad.yaml"
    template.write_text(
        "buses:\n  vocals:\n    effects:\n    - plugin: {daw: reaper, name: Evil, state: '<TRACK x'}\n",
        encoding="utf-8",
    )
    assert main(["rebuild", str(tmp_path / "demo.session"), "-t", str(template), "-q"]) == 3
    assert session.read_bytes() == before
    assert not list((tmp_path / "demo.session").glob("*.replaced"))


def test_a_mix_goes_into_a_copy_of_a_project(mix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "mine.rpp"
    text = '<REAPER_PROJECT 0.1 "7.0" 1\n  SAMPLERATE 44100 0 0\n  TEMPO 120 4 4\n  <TRACK\n    NAME "mine"\n  >\n>\n'
    project.write_text(text)
    common = ["build", str(mix), "-m", "preview", "-t", "neutral", "-q", "--into", str(project)]
    target = tmp_path / "new.rpp"
    for arguments, code, message in (
        ([*common], 2, "with -o"),
        ([*common, "-o", str(project)], 4, "exists already"),
        ([*common, "-o", str(target), "--daw", "reaper-live"], 2, "cannot be added to"),
        ([*common[:-1], str(tmp_path / "none.rpp"), "-o", str(target)], 3, "cannot read"),
    ):
        assert main(arguments) == code
        assert message in capsys.readouterr().err
    assert not (tmp_path / "demo.session").exists()
    assert main([*common, "-o", str(target)]) == 0
    assert project.read_text() == text
    merged = read_project(rpp.load(target))
    assert merged.tracks[0].name == "mine"
    files = [tmp_path / item.path for track in merged.tracks for item in track.items]
    assert len(files) >= 5 and all(path.is_file() for path in files)
