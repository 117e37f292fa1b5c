"""A `.dawproject` read back is the plan that was written, and a template again; others give what they have."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.adapter_lab import noise, write_clip
from daw_bridge.adapter import Feature, SessionReader, feature_of
from daw_bridge.cli.main import main
from daw_bridge.model import BandKind, Bus, EqBand, Equalizer, SessionPlan, Stem, StemSet, Track
from daw_bridge.plan import make_plan
from daw_bridge.templates.bus_template import parse_template
from daw_bridge.templates.store import list_templates, load_template
from daw_bridge_dawproject.adapter import ADAPTER, FEATURES
from tests.dawproject.test_dawproject import approx

TEMPLATES = [each.name for each in list_templates()]


def plan_of(folder: Path, template: str) -> SessionPlan:
    def stem(name: str, seed: int) -> Stem:
        clip = write_clip(folder / "audio" / f"{name}.wav", noise(2, 4_411, seed), 44_100)
        return Stem(name=name, path=clip.path, sample_rate_hz=44_100, channels=2, length_samples=4_411)

    stems = tuple(stem(name, seed) for seed, name in enumerate(("drums", "bass", "other", "vocals", "residual")))
    mix = replace(stem("mix", 9), role="reference")
    return make_plan(StemSet(stems=stems, reference=mix), load_template(template), name="Song")


def inside(track: Track) -> Track:
    return replace(track, clips=tuple(replace(clip, path=Path("audio") / clip.path.name) for clip in track.clips))


def expressible(bus: Bus) -> Bus:
    """What the format has a device for, as far as it has the parameters; a return that lost an effect is muted."""
    kept = tuple(effect for effect in bus.effects if feature_of(effect) in _WRITTEN)
    return replace(bus, effects=kept, group=None)


def _buses(plan: SessionPlan) -> tuple[Bus, ...]:
    return (*plan.buses, *plan.returns, plan.mix_bus)


_WRITTEN = {feature for feature, support in FEATURES.items() if support != "not possible"}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_built_session_reads_back_as_the_same_plan(template: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, template)
    report = ADAPTER.write(plan, tmp_path, "Song")
    read = ADAPTER.read_plan(report.session_path)
    assert isinstance(ADAPTER, SessionReader) and not read.limits
    assert plan.reference is not None
    wanted = replace(
        plan, tracks=tuple(map(inside, plan.tracks)), reference=inside(plan.reference), template=read.plan.template
    )
    if not report.limits:
        assert approx(read.plan) == approx(wanted)
        return
    mix = Bus(name="mix", label="MIX")
    bare = [replace(each, buses=(), returns=(), mix_bus=mix, markers=()) for each in (read.plan, wanted)]
    assert approx(bare[0]) == approx(bare[1])
    for back, written in zip(_buses(read.plan), _buses(plan), strict=True):
        was = expressible(written)
        assert [type(effect) for effect in back.effects] == [type(effect) for effect in was.effects]
        told = {limit.feature for limit in report.limits if limit.where == was.label}
        same = replace(back, effects=(), mute=was.mute) if Feature.RETURNS in told else replace(back, effects=())
        assert approx(same) == approx(replace(was, effects=()))
        for one, other in zip(back.effects, was.effects, strict=True):
            assert approx(one) == approx(other) or feature_of(other) in told or Feature.SIDECHAIN in told


def test_neutral_loses_nothing_on_the_way(tmp_path: Path) -> None:
    assert not ADAPTER.write(plan_of(tmp_path, "neutral"), tmp_path, "Song").limits


def test_templates_extract_makes_a_template_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = ADAPTER.write(plan_of(tmp_path, "neutral"), tmp_path, "Song").session_path
    assert main(["templates", "extract", str(session)]) == 0
    made, was = parse_template(capsys.readouterr().out, "made.yaml"), load_template("neutral")
    stems = ("drums", "bass", "other", "vocals", "residual")
    assert {bus.name for bus in made.buses} <= {bus.name for bus in was.buses} | set(stems)
    assert {bus.name: approx(bus.gain_db) for bus in made.buses}.keys() >= {"drums", "bass", "vocals"}
    assert main(["templates", "extract", str(tmp_path / "nothing.dawproject")]) == 3


FOREIGN = """<?xml version="1.0" encoding="UTF-8"?>
<Project version="1.0"><Structure>
<Track id="t1" name="Lead Vox" contentType="audio"><Channel id="c1" role="regular" destination="c9" solo="false">
<Devices><Compressor deviceName="C" deviceRole="audioFX"><Threshold value="-20"/></Compressor>
<Vst3Plugin deviceName="Fancy Verb" deviceRole="audioFX"/></Devices><Volume value="0.5"/></Channel></Track>
<Track id="t2" name="Drums" contentType="tracks"><Channel id="c2" role="master" destination="c9" solo="false"/>
<Track id="t3" name="Kick" contentType="audio"><Channel id="c3" role="regular" destination="c2" solo="false">
<Devices><Limiter deviceName="L" deviceRole="audioFX"/></Devices></Channel></Track></Track>
<Track id="t9" name="Master" contentType="audio notes"><Channel id="c9" role="master" solo="false"/></Track>
</Structure></Project>
"""


def test_a_session_of_somebody_else_gives_its_mixer_and_names_what_it_has_besides(tmp_path: Path) -> None:
    path = tmp_path / "theirs.dawproject"
    with zipfile.ZipFile(path, "w") as container:
        container.writestr("project.xml", FOREIGN)
        container.writestr("metadata.xml", "<MetaData/>")
    read = ADAPTER.read_plan(path)
    assert [bus.name for bus in read.plan.buses] == ["lead_vox", "drums"]
    assert read.plan.buses[0].gain_db == pytest.approx(-6.02, abs=0.01)
    assert [(track.name, track.output) for track in read.plan.tracks] == [("Lead Vox", "lead_vox"), ("Kick", "drums")]
    assert [(limit.where, limit.what.partition(":")[0]) for limit in read.limits] == [
        ("Kick", "1 device(s) on a track inside a group; a template has chains on buses"),
        ("Lead Vox", "Fancy Verb"),
    ]


@pytest.mark.parametrize(("old", "new"), [('name="Kick"', 'name="Kick" color="red"'), ("-20", "loud")])
def test_a_wrong_value_is_one_line(old: str, new: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "theirs.dawproject"
    with zipfile.ZipFile(path, "w") as container:
        container.writestr("project.xml", FOREIGN.replace(old, new))
        container.writestr("metadata.xml", "<MetaData/>")
    assert main(["templates", "extract", str(path)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_an_equalizers_frequency_is_read_in_the_unit_beside_it(tmp_path: Path) -> None:
    """Bitwig saves MIDI keys there, as `<Freq unit="semitones" value="38.431102"/>`."""
    bands = tuple(EqBand(kind=BandKind.BELL, frequency_hz=hz, gain_db=2.0) for hz in (100.0, 1_000.0))
    plan = plan_of(tmp_path, "neutral")
    plan = replace(plan, buses=(replace(plan.buses[0], effects=(Equalizer(bands=bands),)), *plan.buses[1:]))
    ours = ADAPTER.write(plan, tmp_path, "ours").session_path
    theirs = tmp_path / "theirs.dawproject"
    with zipfile.ZipFile(ours) as source, zipfile.ZipFile(theirs, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "project.xml":
                swapped = b'<Freq unit="semitones" value="38.431102"/>'
                data, count = re.subn(rb"<Freq [^>]*100\.0[^>]*/>", swapped, data, count=1)
            target.writestr(name, data)
    assert count == 1
    (equalizer,) = ADAPTER.read_plan(theirs).plan.buses[0].effects
    assert isinstance(equalizer, Equalizer)
    assert [band.frequency_hz for band in equalizer.bands] == pytest.approx([75.27, 1_000.0], abs=0.05)
