"""The session file: it sounds like the mix, says what the plan says, and is the same every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rpp as independent_rpp
import soundfile

from daw_bridge.adapter import Feature, SessionAdapter, Support
from daw_bridge.errors import DawError, InputError, OutputError
from daw_bridge.model import MIX_BUS, Bus, Compressor, Limiter, PluginRef, Send, Track
from daw_bridge.units import octaves_to_q
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER, SEND_ADAPTER, media_path
from daw_bridge_reaper.layout import Routing, lay_out
from daw_bridge_reaper.read import read_project
from daw_bridge_reaper.session import PRE_FADER, ReaperProject, VstFx
from daw_bridge_reaper.stock_state import ReaComp, ReaEq
from tests.reaper.heard import heard
from tests.reaper.plans import RATE_HZ, full_plan, make_clip, neutral_plan

GOLDEN = Path(__file__).parent.parent / "golden" / "reaper_full.rpp"


def written(path: Path) -> ReaperProject:
    return read_project(rpp.load(path))


@pytest.mark.parametrize("adapter", [ADAPTER, SEND_ADAPTER])
def test_a_neutral_session_sounds_exactly_like_the_mix(adapter: SessionAdapter, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    length_samples, stems = 5003, ("drums", "bass", "other", "vocals")
    audio = {name: rng.uniform(-0.9, 0.9, (length_samples, 2)).astype(np.float32) for name in stems}
    mix = sum(audio.values(), np.zeros((length_samples, 2), np.float64)).astype(np.float32)
    audio["residual"] = (mix - sum(part.astype(np.float64) for part in audio.values())).astype(np.float32)
    audio["mix"] = mix
    (tmp_path / "audio").mkdir()
    for name, samples in audio.items():
        soundfile.write(tmp_path / "audio" / f"{name}.wav", samples, RATE_HZ, subtype="FLOAT")
    plan = neutral_plan(tmp_path, (*stems, "residual"), length_samples=length_samples)
    report = adapter.write(plan, tmp_path, "Song")
    assert report.limits == ()
    project = written(report.session_path)
    error = heard(project, tmp_path, length_samples) - mix.T
    assert 20.0 * np.log10(np.max(np.abs(error)) + 1e-30) <= -120.0
    alone = replace(project, tracks=tuple(replace(t, mute=t.name != "Reference") for t in project.tracks))
    np.testing.assert_array_equal(heard(alone, tmp_path, length_samples), mix.T)


@pytest.mark.parametrize("routing", list(Routing))
def test_the_file_reads_back_as_the_layout(routing: Routing, tmp_path: Path) -> None:
    plan = full_plan(tmp_path)
    expected, _limits = lay_out(plan, lambda path: media_path(path, tmp_path), routing)
    adapter = ADAPTER if routing is Routing.FOLDERS else SEND_ADAPTER
    project = written(adapter.write(plan, tmp_path, "Full").session_path)
    assert project.tracks == expected.tracks
    assert project.markers == expected.markers
    assert (project.tempo_bpm, project.time_signature, project.sample_rate_hz) == (96.5, (3, 4), RATE_HZ)
    assert "".join(project.notes) == "".join(expected.notes)


def test_folders_follow_the_signal(tmp_path: Path) -> None:
    project = written(ADAPTER.write(full_plan(tmp_path), tmp_path, "Full").session_path)
    names = [track.name for track in project.tracks]
    parents = [None if parent is None else names[parent] for parent in project.parents()]
    drums = 'Drums "A" #1; é 🥁'
    assert list(zip(names, parents, strict=True)) == [
        ("Mix", None),
        ("residual", "Mix"),
        (drums, "Mix"),
        ("drums", drums),
        ("Bass", "Mix"),
        ("bass", "Bass"),
        ("Vocals", "Mix"),
        ("vocals", "Vocals"),
        ("Room", "Mix"),
        ("Echo", "Mix"),
        ("Reference", None),
    ]
    assert sum(track.folder_depth for track in project.tracks) == 0
    assert project.tracks[-1].mute


def test_sends_and_side_chains_reach_their_channels(tmp_path: Path) -> None:
    project = written(ADAPTER.write(full_plan(tmp_path), tmp_path, "Full").session_path)
    index = {track.name: place for place, track in enumerate(project.tracks)}
    room = project.tracks[index["Room"]]
    assert [(r.source, r.mode) for r in room.receives] == [(2, 0), (index["Vocals"], PRE_FADER)]
    assert room.receives[0].gain_linear == pytest.approx(10 ** (-12 / 20))
    bass = project.tracks[index["Bass"]]
    assert (bass.channels, bass.receives[0].source, bass.receives[0].target_channel) == (4, 2, 2)
    # Bass brings its channels 3/4 into the mix folder, so the mix bus's own detector listens to 5/6.
    mix = project.tracks[0]
    assert (mix.channels, mix.receives[0].source, mix.receives[0].target_channel) == (6, index["Bass"], 4)
    assert isinstance(mix.fx[0], VstFx)
    assert mix.fx[0].sidechain_channel == 4


def test_effects_hold_the_plans_values(tmp_path: Path) -> None:
    project = written(ADAPTER.write(full_plan(tmp_path), tmp_path, "Full").session_path)
    eq_fx, gate_fx, comp_fx, gain_fx = project.tracks[2].fx
    assert isinstance(eq_fx, VstFx) and isinstance(comp_fx, VstFx) and isinstance(gain_fx, VstFx)
    assert isinstance(gate_fx, VstFx) and gate_fx.plugin == "ReaGate"
    bell = ReaEq.decode(eq_fx.data).bands[1]
    assert (bell.frequency_hz, bell.gain_db) == pytest.approx((300.0, -2.5))
    assert octaves_to_q(bell.bandwidth_octaves) == pytest.approx(1.4)
    comp = ReaComp.decode(comp_fx.data)
    assert (comp.threshold_db, comp.ratio, comp.attack_ms, comp.release_ms, comp.knee_db) == pytest.approx(
        (-18.0, 4.0, 20.0, 150.0, 6.0), rel=1e-5
    )
    assert comp.wet_db + ReaEq.decode(gain_fx.data).master_gain_db == pytest.approx(8.5, rel=1e-6)
    assert not project.tracks[6].fx[0].enabled


def test_what_is_bent_or_lost_is_reported(tmp_path: Path) -> None:
    limits = ADAPTER.write(full_plan(tmp_path), tmp_path, "Full").limits
    assert (Feature.PLUGIN, Support.NOT_POSSIBLE, "Bass") in [(x.feature, x.support, x.where) for x in limits]
    plan = neutral_plan(tmp_path, ("a", "b"))
    buses = (
        replace(plan.buses[0], effects=(Compressor(threshold_db=-70.0, ratio=2.0, sidechain_bus="b"),)),
        replace(plan.buses[1], effects=(Compressor(threshold_db=-20.0, ratio=2.0, sidechain_bus="a"),)),
    )
    mix = replace(plan.mix_bus, effects=(Limiter(threshold_db=-3.0),), sends=(Send(to="a"),))
    what = [limit.what for limit in ADAPTER.write(replace(plan, buses=buses, mix_bus=mix), tmp_path, "x").limits]
    assert any("outside the plug-in's range" in text for text in what)
    assert any("would feed back" in text and "side-chain" in text for text in what)
    assert any("send to a would feed back" in text for text in what)
    assert any("ReaLimit starts at its ceiling" in text for text in what)


def test_the_independent_parser_reads_the_same(tmp_path: Path) -> None:
    path = ADAPTER.write(full_plan(tmp_path), tmp_path, "Full").session_path
    root = independent_rpp.loads(path.read_text(encoding="utf-8"))
    tracks = root.findall("./TRACK")
    ours = written(path)
    assert [next(line[1] for line in t if line[0] == "NAME") for t in tracks] == [t.name for t in ours.tracks]
    files = [source.find("FILE")[1] for source in root.findall(".//SOURCE")]
    assert files == [item.path for track in ours.tracks for item in track.items]
    assert [source.attrib[0] for source in root.findall(".//SOURCE")] == ["WAVE", "WAVE", "FLAC", "WAVE", "WAVE"]


def test_the_same_plan_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        texts.append(ADAPTER.write(full_plan(folder), folder, "Full").session_path.read_bytes())
    assert texts[0] == texts[1]


def test_the_written_file_is_the_golden_one(tmp_path: Path) -> None:
    text = ADAPTER.write(full_plan(tmp_path), tmp_path, "Full").session_path.read_text(encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_guids_are_unique_and_lines_short(tmp_path: Path) -> None:
    document = rpp.load(ADAPTER.write(full_plan(tmp_path), tmp_path, "Full").session_path)
    text = rpp.serialise(document)
    assert max(len(line.encode()) for line in text.split("\n")) < 4000
    guids = [line.split()[-1] for line in text.split("\n") if line.split()[:1] in (["TRACKID"], ["FXID"], ["IGUID"])]
    assert len(guids) == len(set(guids)) > 20


@pytest.mark.parametrize(
    "name", ['"', "it's", "#1", "; x", "a\nb", "🎸 ñ", "x" * 300, "< TRACK", "> >", "|", "", "a \"b' `c`", "\udc80"]
)
def test_any_name_leaves_the_session_whole(name: str, tmp_path: Path) -> None:
    plan = neutral_plan(tmp_path, ("a",))
    track = replace(plan.tracks[0], name=name)
    bus = replace(plan.buses[0], label=name)
    report = ADAPTER.write(replace(plan, tracks=(track,), buses=(bus,), notes=(name,)), tmp_path, "Song")
    project = written(report.session_path)
    assert len(project.tracks) == 4
    changed = [limit for limit in report.limits if "name has characters" in limit.what]
    assert (project.tracks[1].name == name) is (not changed)


def test_an_existing_session_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "Song.rpp").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        ADAPTER.write(neutral_plan(tmp_path, ("a",)), tmp_path, "Song")
    assert (tmp_path / "Song.rpp").read_text() == "mine"


def test_media_elsewhere_are_absolute(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    path = ADAPTER.write(neutral_plan(tmp_path, ("a",)), folder, "Song").session_path
    assert written(path).tracks[2].items[0].path == str(tmp_path / "audio" / "a.wav")


def test_a_plan_that_contradicts_itself_leaves_no_file(tmp_path: Path) -> None:
    plan = neutral_plan(tmp_path, ("a",))
    for wrong in (
        replace(plan, tracks=(Track(name="t", output="nowhere"),)),
        replace(plan, buses=(replace(plan.buses[0], sends=(Send(to="nowhere"),)),)),
        replace(
            plan,
            mix_bus=Bus(name=MIX_BUS, label="M", effects=(Compressor(threshold_db=0, ratio=2, sidechain_bus="x"),)),
        ),
        replace(plan, tracks=(Track(name="t", output="a", clips=(make_clip(tmp_path / "a\nb.wav"),)),)),
    ):
        with pytest.raises(DawError):
            ADAPTER.write(wrong, tmp_path, "Song")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "state", ["hello", "<TRACK\n>\n", "<VST x\n>\n>\n<TRACK\n>\n", "<VST x\n", "<JS x\n>\nNAME y\n", ""]
)
def test_a_plugin_state_cannot_write_anything_else(state: str, tmp_path: Path) -> None:
    plan = neutral_plan(tmp_path, ("a",))
    bus = replace(plan.buses[0], effects=(PluginRef(daw="reaper", name="Evil", state=state),))
    if not state:
        assert ADAPTER.write(replace(plan, buses=(bus,)), tmp_path, "Song").limits[0].feature is Feature.PLUGIN
        return
    with pytest.raises(InputError, match=r"not one plug-in block|not a REAPER project"):
        ADAPTER.write(replace(plan, buses=(bus,)), tmp_path, "Song")


def test_five_hundred_tracks_are_laid_out(tmp_path: Path) -> None:
    plan = neutral_plan(tmp_path, tuple(f"s{n}" for n in range(250)))
    project = written(ADAPTER.write(plan, tmp_path, "Song").session_path)
    assert len(project.tracks) == 502
    assert sum(track.folder_depth for track in project.tracks) == 0


def test_the_adapter_keeps_the_contract() -> None:
    for adapter in (ADAPTER, SEND_ADAPTER):
        assert isinstance(adapter, SessionAdapter)
        assert set(adapter.features) == set(Feature)
