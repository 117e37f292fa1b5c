"""A project becomes a plan again: what we wrote comes back, what others mixed is read or said to be lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge.adapter import Feature, Losses, SessionAdapter, SessionReader
from daw_bridge.errors import InputError
from daw_bridge.model import (
    MIX_BUS,
    Bus,
    Colour,
    Compressor,
    Delay,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
    Send,
    SessionPlan,
)
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER, SEND_ADAPTER
from daw_bridge_reaper.decode import to_effects
from daw_bridge_reaper.read import read_project
from daw_bridge_reaper.session import ReaperProject, ReaperTrack, VstFx
from daw_bridge_reaper.stock_state import ReaComp
from daw_bridge_reaper.write import project_document
from tests.reaper.plans import full_plan


def tame(plan: SessionPlan) -> SessionPlan:
    """The full plan with labels from which the names can be told again."""
    labels = {"drums": "Drums", "bass": "Bass", "vocals": "Vocals"}
    buses = tuple(replace(bus, label=labels[bus.name]) for bus in plan.buses)
    tracks = tuple(track for track in plan.tracks if track.output != MIX_BUS)
    return replace(plan, buses=buses, tracks=tracks)


@pytest.mark.parametrize("adapter", [ADAPTER, SEND_ADAPTER])
def test_the_buses_of_a_session_come_back_in_the_fields_units(adapter: SessionAdapter, tmp_path: Path) -> None:
    plan = tame(full_plan(tmp_path))
    path = adapter.write(plan, tmp_path, "Full").session_path
    assert isinstance(adapter, SessionReader)
    back = adapter.read_plan(path).plan
    drums, bass, vocals = back.buses
    assert [bus.name for bus in back.buses] == ["drums", "bass", "vocals"]
    assert [bus.name for bus in back.returns] == ["room", "echo"]
    assert (drums.gain_db, bass.pan, vocals.mute, vocals.solo) == (-1.5, -0.25, True, True)
    assert drums.colour == Colour.from_hex("#cc3311")
    equalizer, gate, compressor, gain = drums.effects
    expected = plan.buses[0].effects[0]
    assert isinstance(equalizer, Equalizer) and isinstance(expected, Equalizer)
    for band, wanted in zip(equalizer.bands, expected.bands, strict=True):
        assert (band.kind, band.enabled) == (wanted.kind, wanted.enabled)
        assert (band.frequency_hz, band.gain_db, band.q) == pytest.approx(
            (wanted.frequency_hz, wanted.gain_db, wanted.q), rel=1e-5
        )
    assert gate == Gate(threshold_db=-50.0)
    assert compressor == Compressor(
        threshold_db=-18.0, ratio=4.0, attack_ms=20.0, release_ms=150.0, knee_db=6.0, makeup_db=6.0
    )
    assert gain == Gain(gain_db=2.5)
    assert bass.effects[:2] == (Compressor(threshold_db=-20.0, ratio=5.0, sidechain_bus="drums"), Gain(gain_db=2.0))
    assert isinstance(bass.effects[2], PluginRef) and bass.effects[2].name == "JS: sstillwell/1175"
    assert vocals.sends == (Send(to="room", gain_db=-6.0, pre_fader=True), Send(to="echo"))
    assert back.returns[0].effects == (Reverb(room_size=0.3, predelay_ms=12.0),)
    assert back.returns[1].effects == (Delay(time_ms=375.0, feedback=0.3),)
    assert back.mix_bus.effects == (
        Compressor(threshold_db=-10.0, ratio=2.0, sidechain_bus="bass"),
        Limiter(ceiling_db=-1.0),
    )
    assert drums.group == bass.group is not None
    assert [track.output for track in back.tracks] == ["drums", "bass", "vocals"]
    assert back.reference is not None and back.reference.name == "Reference"
    assert [marker.name for marker in back.markers] == ["Start", "Chorus 'x'"]


@pytest.mark.parametrize("adapter", [ADAPTER, SEND_ADAPTER])
def test_what_was_extracted_builds_the_same_mixer(adapter: SessionAdapter, tmp_path: Path) -> None:
    plan = tame(full_plan(tmp_path))
    assert isinstance(adapter, SessionReader)
    first = adapter.write(plan, tmp_path, "first").session_path
    back = adapter.read_plan(first).plan
    again = replace(
        plan, buses=back.buses, returns=back.returns, mix_bus=back.mix_bus, notes=plan.notes, markers=back.markers
    )
    second = adapter.write(again, tmp_path, "second").session_path
    texts = [path.read_text(encoding="utf-8").split("\n") for path in (first, second)]
    guids = ("TRACKID", "FXID", "IGUID", "GUID", "<TRACK", "MARKER")
    plain = [[line for line in text if not line.strip().startswith(guids)] for text in texts]
    differing = [pair for pair in zip(*plain, strict=True) if pair[0] != pair[1]]
    # Only the noise of reading 32-bit values back to 6 digits may differ: the last bits of states and levels.
    assert all(len(a) == len(b) for a, b in differing)
    assert adapter.read_plan(second).plan.buses == back.buses


def test_a_session_on_the_master_has_its_chain_on_the_mix_bus(tmp_path: Path) -> None:
    path = tmp_path / "flat.rpp"
    path.write_text(
        """<REAPER_PROJECT 0.1 "7.42/linux-x86_64" 1
  SAMPLERATE 48000 0 0
  MASTER_VOLUME 0.5 0 -1 -1 1
  <MASTERFXLIST
    BYPASS 0 0 0
    <JS loser/masterLimiter ""
      -3 - -
    >
  >
  <TRACK
    NAME "Lead Vox!"
    VOLPAN 1 0 -1 -1 1
  >
  <TRACK
    NAME "Lead Vox!"
    <FXCHAIN
      BYPASS 1 0 0
      <VST "VST3: Thing (Maker)" thing.vst3 0 "" 123{00} ""
        AAAA
      >
    >
  >
>
""",
        encoding="utf-8",
    )
    plan = ADAPTER.read_plan(path).plan
    assert [bus.name for bus in plan.buses] == ["lead_vox", "lead_vox_2"]
    assert plan.mix_bus.gain_db == pytest.approx(-6.0206, abs=1e-4)
    [limiter] = plan.mix_bus.effects
    assert isinstance(limiter, PluginRef) and limiter.state.startswith("<JS loser/masterLimiter")
    [kept] = plan.buses[1].effects
    assert kept == PluginRef(
        daw="reaper",
        name="VST3: Thing (Maker)",
        state='<VST "VST3: Thing (Maker)" thing.vst3 0 "" 123{00} ""\nAAAA\n>\n',
        enabled=False,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<REAPER_PROJECT 0.1\n>\n", "has no tracks"),
        ("<REAPER_PROJECT 0.1\n<TRACK\n", "damaged"),
        ("hello", "not a REAPER project"),
        ("<SONG\n>\n", "not a REAPER project"),
    ],
)
def test_what_cannot_be_read_is_one_error(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.rpp"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        ADAPTER.read_plan(path)


@pytest.mark.shared
def test_real_projects_are_extracted_or_refused_in_one_line(shared_dir: Path, tmp_path: Path) -> None:
    for path in sorted((shared_dir / "rpp").glob("*.[rR][pP][pP]")):
        if path.name.startswith("7.18"):
            with pytest.raises(InputError, match="damaged"):
                ADAPTER.read_plan(path)
            continue
        report = ADAPTER.read_plan(path)
        assert report.plan.buses, path.name
        # And what was read can be written again.
        ADAPTER.write(report.plan, tmp_path, path.stem)


@pytest.mark.shared
def test_a_real_compressor_keeps_what_a_template_has_no_word_for(shared_dir: Path) -> None:
    path = shared_dir / "rpp" / "6.11_GriffinSauce_with-external-files.rpp"
    lead = next(track for track in read_project(rpp.load(path)).tracks if track.name == "Lead")
    fx = next(fx for fx in lead.fx if isinstance(fx, VstFx) and fx.plugin == "ReaComp")
    state = ReaComp.decode(fx.data)
    assert (state.ratio, state.lowpass_hz) == pytest.approx((5.2, 8008.0), rel=1e-5)
    [kept] = to_effects(fx, Losses("Lead"), None, on_return=False)
    assert isinstance(kept, PluginRef) and kept.name == "VST: ReaComp (Cockos)"
    plain = replace(state, lowpass_hz=20_000.0, highpass_hz=0.0)
    [effect] = to_effects(replace(fx, data=plain.encode()), Losses("Lead"), None, on_return=False)
    assert isinstance(effect, Compressor)
    assert (effect.ratio, effect.attack_ms, effect.release_ms, effect.knee_db) == (5.2, 9.9, 49.0, 1.5)


def test_the_chain_of_a_bus_with_one_track_is_the_bus_chain(tmp_path: Path) -> None:
    comp = ReaComp(threshold_db=-20.0, ratio=3.0).encode()
    tracks = (
        ReaperTrack(name="Mix", folder_depth=1),
        ReaperTrack(name="Vox", folder_depth=1),
        ReaperTrack(name="take", folder_depth=-2, gain_linear=0.5, fx=(VstFx(plugin="ReaComp", data=comp),)),
    )
    project = ReaperProject(sample_rate_hz=48_000, tempo_bpm=120.0, time_signature=(4, 4), tracks=tracks)
    path = tmp_path / "x.rpp"
    path.write_bytes(rpp.to_bytes(project_document(project, "seed")))
    report = ADAPTER.read_plan(path)
    compressor, gain = report.plan.buses[0].effects
    assert isinstance(compressor, Compressor) and compressor.ratio == 3.0
    assert gain == Gain(gain_db=-6.0206)
    assert [limit.feature for limit in report.limits] == [Feature.COMPRESSOR]  # its RMS window


def test_a_bus_named_like_a_reserved_word_gets_another_name(tmp_path: Path) -> None:
    plan = tame(full_plan(tmp_path))
    plan = replace(plan, buses=(replace(plan.buses[0], label="MIX"), Bus(name="bass", label="日本"), plan.buses[2]))
    names = [bus.name for bus in ADAPTER.read_plan(ADAPTER.write(plan, tmp_path, "x").session_path).plan.buses]
    assert names == ["mix_2", "日本", "vocals"]
