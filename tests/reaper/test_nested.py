"""Buses in buses as folders in folders: written, heard, built in an open project, merged, and extracted again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.adapter import Feature, MergePlace, SessionAdapter, SessionReader
from daw_bridge.model import Bus, Compressor, Send, SessionPlan
from daw_bridge.plan import make_plan
from daw_bridge.templates.store import load_template
from daw_bridge.workflow.extract import extract_template
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER, SEND_ADAPTER
from daw_bridge_reaper.layout import lay_out
from daw_bridge_reaper.live.build import build
from daw_bridge_reaper.read import read_project
from daw_bridge_reaper.session import ReaperProject
from daw_bridge_reaper.write import project_document
from tests.reaper.heard import heard
from tests.reaper.plans import RATE_HZ, neutral_plan
from tests.reaper.simulator.model import World
from tests.reaper.simulator.script import SimulatedScript
from tests.reaper.test_live import state_of, with_audio
from tests.render.sessions import noise, stem_set

STEMS = ("kick", "ride", "hats", "bass")
PARENTS = {"kick": "drums", "tops": "drums", "ride": "tops", "hats": "tops"}
LENGTH = 5003


def nested_plan(folder: Path) -> SessionPlan:
    """DRUMS > KICK, TOPS > RIDE, HATS; and BASS beside them."""
    plan = neutral_plan(folder, STEMS, length_samples=LENGTH)
    names = ("drums", "kick", "tops", "ride", "hats", "bass")
    buses = tuple(Bus(name=name, label=name.title(), parent=PARENTS.get(name)) for name in names)
    return replace(plan, buses=buses)


def way(project: ReaperProject, name: str) -> list[str]:
    """The names of the folders around a track, the innermost first."""
    parents, names = project.parents(), [track.name for track in project.tracks]
    place, found = parents[names.index(name)], []
    while place is not None:
        found.append(names[place])
        place = parents[place]
    return found


@pytest.mark.parametrize("adapter", [ADAPTER, SEND_ADAPTER])
def test_buses_in_buses_are_folders_in_folders_and_sound_like_the_mix(adapter: SessionAdapter, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    audio = {name: rng.uniform(-0.3, 0.3, (LENGTH, 2)).astype(np.float32) for name in STEMS}
    audio["mix"] = sum(audio.values(), np.zeros((LENGTH, 2))).astype(np.float32)
    (tmp_path / "audio").mkdir()
    for name, samples in audio.items():
        soundfile.write(tmp_path / "audio" / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    report = adapter.write(nested_plan(tmp_path), tmp_path, "Song")
    assert report.limits == ()
    project = read_project(rpp.load(report.session_path))
    if adapter is ADAPTER:
        assert way(project, "hats") == ["Hats", "Tops", "Drums", "Mix"]
        assert way(project, "kick") == ["Kick", "Drums", "Mix"]
    error = heard(project, tmp_path, LENGTH) - audio["mix"].T
    assert 20.0 * np.log10(np.max(np.abs(error)) + 1e-30) <= -120.0
    quiet = tuple(replace(t, gain_linear=0.5) if t.name in ("Tops", "Drums") else t for t in project.tracks)
    turned = heard(replace(project, tracks=quiet), tmp_path, LENGTH)
    expected = 0.5 * audio["kick"].T + 0.25 * (audio["ride"] + audio["hats"]).T + audio["bass"].T
    assert np.abs(turned - expected).max() < 1e-6


def test_a_chain_of_separations_is_folders_in_folders(tmp_path: Path) -> None:
    around = {"kick": ("drums",), "dry": ("vocals", "lead"), "reverb": ("vocals", "lead"), "backing": ("vocals",)}
    stems = stem_set(tmp_path, {name: noise(LENGTH, seed=seed) for seed, name in enumerate((*around, "drums-rest"))})
    around["drums-rest"] = ("drums",)
    stems = replace(stems, stems=tuple(replace(stem, parents=around[stem.name]) for stem in stems.stems))
    plan = make_plan(stems, load_template("lead-backing"), name="song")
    project = read_project(rpp.load(ADAPTER.write(plan, tmp_path, "Song").session_path))
    assert way(project, "dry") == ["LEAD", "VOCALS", "MIX BUS"]
    assert way(project, "reverb") == ["REVERB", "LEAD", "VOCALS", "MIX BUS"]
    assert way(project, "backing") == ["BACKING", "VOCALS", "MIX BUS"]
    assert way(project, "kick") == ["KICK", "DRUMS", "MIX BUS"]


def test_the_open_project_gets_the_same_folders(tmp_path: Path) -> None:
    plan = with_audio(nested_plan(tmp_path))
    layout, _ = lay_out(plan, lambda path: str(path.absolute()))
    world = World()
    build(SimulatedScript(world), layout, plan.name)
    assert [track.folder_depth for track in state_of(world, 0)] == [track.folder_depth for track in layout.tracks]


@pytest.mark.parametrize("adapter", [ADAPTER, SEND_ADAPTER])
def test_folders_in_folders_are_extracted_as_buses_in_buses(adapter: SessionAdapter, tmp_path: Path) -> None:
    plan = nested_plan(tmp_path)
    effects = {
        "drums": (Compressor(threshold_db=-20.0, ratio=2.0, sidechain_bus="hats"),),
        "hats": (Compressor(threshold_db=-30.0, ratio=4.0, sidechain_bus="kick"),),
    }
    plan = replace(
        plan,
        buses=tuple(
            replace(b, effects=effects.get(b.name, ()), gain_db=-3.0 if b.name == "tops" else 0.0) for b in plan.buses
        ),
    )
    path = adapter.write(plan, tmp_path, "Song").session_path
    assert isinstance(adapter, SessionReader)
    read = adapter.read_plan(path)
    assert not read.limits
    assert {bus.name: bus.parent for bus in read.plan.buses} == {bus.name: bus.parent for bus in plan.buses}
    assert {bus.name: bus.effects for bus in read.plan.buses if bus.effects} == effects
    template = extract_template(path).template
    assert {bus.name: bus.parent for bus in template.buses if bus.parent} == PARENTS
    [tops] = [bus for bus in template.buses if bus.name == "tops"]
    assert tops.gain_db == -3.0


def test_a_track_that_steers_a_compressor_inside_its_own_bus_is_said(tmp_path: Path) -> None:
    """A template could only have the whole bus steer what is inside it, which would feed back."""
    plan = nested_plan(tmp_path)
    keyed = (Compressor(threshold_db=-30.0, ratio=4.0, sidechain_bus="kick"),)
    plan = replace(plan, buses=tuple(replace(b, effects=keyed if b.name == "hats" else ()) for b in plan.buses))
    plan = replace(plan, tracks=(*plan.tracks, replace(plan.tracks[0], name="loose", output="drums")))
    project, _ = lay_out(plan, str)
    names = [track.name for track in project.tracks]
    steered = replace(
        project.tracks[names.index("Hats")],
        receives=tuple(replace(r, source=names.index("loose")) for r in project.tracks[names.index("Hats")].receives),
    )
    tracks = tuple(steered if track.name == "Hats" else track for track in project.tracks)
    path = tmp_path / "steered.rpp"
    path.write_text(rpp.serialise(project_document(replace(project, tracks=tracks), "seed")))
    extracted = extract_template(path)
    assert [limit.where for limit in extracted.limits if limit.feature is Feature.SIDECHAIN] == ["Hats"]
    assert {bus.name: bus.parent for bus in extracted.template.buses if bus.parent} == PARENTS


def test_a_bus_around_others_comes_along_into_a_project_until_all_of_them_are_elsewhere(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.rpp"
    theirs.write_text('<REAPER_PROJECT 0.1 "7.42/linux-x86_64" 1\n  <TRACK {A}\n    NAME Kit\n  >\n>\n')
    plan = nested_plan(tmp_path)
    plan = replace(plan, buses=tuple(replace(bus, sends=(Send(to="room"),)) for bus in plan.buses))
    plan = replace(plan, returns=(Bus(name="room", label="Room"),))

    def merged(*stems: str) -> list[str]:
        target = tmp_path / f"{'-'.join(stems)}.rpp"
        ADAPTER.merge(plan, theirs, target, MergePlace(bus_map=tuple((stem, "Kit") for stem in stems)))
        return [track.name for track in read_project(rpp.load(target)).tracks]

    assert merged("hats")[:8] == ["Kit", "Mix", "Drums", "Kick", "kick", "Tops", "Ride", "ride"]
    assert merged("hats", "ride")[:6] == ["Kit", "Mix", "Drums", "Kick", "kick", "Bass"]
    assert merged("hats", "ride", "kick")[:4] == ["Kit", "Mix", "Bass", "bass"]
