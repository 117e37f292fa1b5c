"""From stems and a template to a session: nothing is lost, nothing dangles, the order is the field's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.model import (
    MIX_BUS,
    Compressor,
    Equalizer,
    Gate,
    Limiter,
    SessionPlan,
    Stem,
    StemSet,
)
from daw_bridge.plan import FAMILIES, empty_plan, family_of, make_plan
from daw_bridge.plan_json import plan_from_json, plan_to_json
from daw_bridge.templates.bus_template import BusTemplate, parse_template
from daw_bridge.templates.store import list_templates, load_template
from tests.plan_strategies import templates

FOLDER = Path("/song.session")
SHIPPED = [found.name for found in list_templates(Path("no-folder"))]
FOUR = ("drums", "bass", "other", "vocals")
SIX = (*FOUR, "guitar", "piano")
TWO = ("vocals", "no_vocals")


def make_stem(name: str, *, rate: int = 44_100, length: int = 441_000, role: str = "stem") -> Stem:
    return Stem(
        name=name,
        path=FOLDER / "audio" / f"{name}.wav",
        sample_rate_hz=rate,
        channels=2,
        length_samples=length,
        role=role,  # type: ignore[arg-type]
    )


def make_set(*names: str, rate: int = 44_100, length: int = 441_000, residual: bool = True) -> StemSet:
    stems = [make_stem(name, rate=rate, length=length) for name in names]
    if residual:
        stems.append(make_stem("residual", rate=rate, length=length, role="residual"))
    return StemSet(stems=tuple(stems), reference=make_stem("mix", rate=rate, length=length, role="reference"))


def plan_of(text: str, *names: str, rate: int = 44_100, length: int = 441_000) -> SessionPlan:
    return make_plan(make_set(*names, rate=rate, length=length), parse_template(text, "t.yaml"), name="song")


def assert_sound(plan: SessionPlan, stems: StemSet) -> None:
    """Every stem is there once, and every name that the plan uses exists."""
    assert sorted(track.clips[0].path for track in plan.tracks) == sorted(stem.path for stem in stems.stems)
    assert plan_from_json(plan_to_json(plan, FOLDER), FOLDER) == plan  # refuses names that no bus has
    names = [bus.name for bus in (*plan.buses, *plan.returns, plan.mix_bus)]
    assert len({name.casefold() for name in names}) == len(names)
    assert {track.output for track in plan.tracks} == {bus.name for bus in plan.buses}


@given(templates(), st.lists(st.sampled_from([*SIX, "mix", "reference", "x/y", "Drums"]), unique=True), st.booleans())
@settings(max_examples=30, deadline=None)
def test_no_template_loses_a_stem_or_leaves_a_dangling_name(
    template: BusTemplate, names: list[str], residual: bool
) -> None:
    stems = make_set(*names, residual=residual)
    assert_sound(make_plan(stems, template, name="song"), stems)


@pytest.mark.parametrize("names", [FOUR, SIX, TWO, ("speech",)], ids=" ".join)
@pytest.mark.parametrize("template", SHIPPED)
def test_shipped_templates_fit_every_set_of_stems(template: str, names: tuple[str, ...]) -> None:
    stems = make_set(*names)
    plan = make_plan(stems, load_template(template), name="song")
    assert_sound(plan, stems)
    assert plan.tracks[-1].name == "residual"
    assert plan.buses[-1].effects == ()
    assert plan.template == template


@pytest.mark.parametrize("names", [FOUR, SIX, TWO], ids=" ".join)
def test_the_neutral_template_touches_nothing(names: tuple[str, ...]) -> None:
    plan = make_plan(make_set(*names), load_template("neutral"), name="song")
    for strip in (*plan.buses, plan.mix_bus):
        assert (strip.gain_db, strip.pan, strip.mute, strip.solo, strip.effects, strip.sends) == (
            0,
            0,
            False,
            False,
            (),
            (),
        )
    assert plan.returns == ()
    assert plan.notes == ()


def test_the_untouched_dj_session_is_the_record() -> None:
    plan = make_plan(make_set(*FOUR), load_template("dj"), name="song")
    assert not any(effect.enabled for bus in (*plan.buses, plan.mix_bus) for effect in bus.effects)
    assert {send.gain_db for bus in plan.buses for send in bus.sends} == {-150.0}


def nested_set(**around: tuple[str, ...]) -> StemSet:
    made = make_set(*(name.replace("_", "-") for name in around), residual=False)
    parents = [*around.values()]
    stems = tuple(replace(stem, parents=path) for stem, path in zip(made.stems, parents, strict=True))
    return replace(made, stems=stems)


def nesting(plan: SessionPlan) -> dict[str, str | None]:
    return {bus.name: bus.parent for bus in plan.buses}


KIT = {"kick": ("drums",), "hh": ("drums", "tops"), "ride": ("drums", "tops"), "drums_rest": ("drums",), "bass": ()}


def test_stems_of_a_chain_lie_in_neutral_buses_in_buses() -> None:
    plan = make_plan(nested_set(**KIT), load_template("neutral"), name="song")
    assert nesting(plan) == {
        "drums": None, "kick": "drums", "tops": "drums", "hh": "tops", "ride": "tops", "drums-rest": "drums",
        "bass": None,
    }  # fmt: skip
    assert [bus.name for bus in plan.buses][:2] == ["drums", "kick"]
    assert plan.bus("tops").colour == plan.bus("drums").colour
    assert plan.notes == ()


def test_what_the_template_does_not_mention_lies_in_the_bus_of_the_stem_that_it_came_from() -> None:
    text = "buses: {rhythm: {stems: [drums, percussion], gain_db: -3}, bass: {}, kick: {}}"
    plan = make_plan(nested_set(**KIT), parse_template(text, "t.yaml"), name="song")
    assert nesting(plan) == {
        "rhythm": None, "tops": "rhythm", "hh": "tops", "ride": "tops", "drums-rest": "rhythm", "bass": None,
        "kick": None,
    }  # fmt: skip
    assert plan.bus("rhythm").gain_db == -3


def test_one_stem_alone_gets_no_bus_around_it() -> None:
    stems = nested_set(drums=("instrumental",), bass=("instrumental",), instrumental_rest=("instrumental",))
    plan = make_plan(stems, parse_template("buses: {drums: {}, bass: {}}", "t.yaml"), name="song")
    assert nesting(plan) == {"drums": None, "bass": None, "instrumental-rest": None}


def test_a_stem_called_as_the_one_that_it_came_from_has_a_bus_of_another_name() -> None:
    stems = nested_set(vocals=("vocals",), vocals_rest=("vocals",))
    plan = make_plan(stems, load_template("neutral"), name="song")
    assert nesting(plan) == {"vocals": None, "vocals_2": "vocals", "vocals-rest": "vocals"}
    assert [bus.label for bus in plan.buses][:2] == ["VOCALS", "VOCALS 2"]


def test_buses_of_a_template_that_feed_others_are_there_when_any_of_those_is() -> None:
    kit = load_template("drum-kit")
    pieces = make_plan(nested_set(kick=("drums",), drums_rest=("drums",), bass=()), kit, name="song")
    assert nesting(pieces) == {"drums": None, "kick": "drums", "bass": None}
    assert {track.name: track.output for track in pieces.tracks}["drums-rest"] == "drums"
    whole = make_plan(make_set(*FOUR), kit, name="song")
    assert nesting(whole) == dict.fromkeys(("drums", "bass", "vocals", "other", "residual"))
    assert nesting(empty_plan(kit, name="song", sample_rate_hz=48_000))["snare"] == "drums"


def test_a_chain_as_deep_as_any_fits_into_a_template_as_deep_as_any() -> None:
    text = "buses:\n" + "".join(f"  b{n}: {{{f'parent: b{n - 1}' if n else ''}}}\n" for n in range(9))
    path = ("b8", *(f"s{n}" for n in range(7)))
    plan = make_plan(nested_set(one=path, two=path), parse_template(text, "t.yaml"), name="song")
    assert len(plan.above(plan.bus("one"))) == 16


def test_karaoke_mutes_the_vocals_and_nothing_but_them_and_their_remains() -> None:
    plan = make_plan(make_set(*FOUR, "backing_vocals"), load_template("karaoke"), name="song")
    assert {bus.name for bus in plan.buses if bus.mute} == {"vocals", "residual"}


@pytest.mark.parametrize("template", SHIPPED)
def test_shipped_colours_are_those_of_the_convention(template: str) -> None:
    for bus in load_template(template).buses:
        assert bus.colour == family_of((bus.stems or (bus.name,))[0]).colour
        assert bus.label


@pytest.mark.parametrize("template", [name for name in SHIPPED if name != "dj"])
def test_shipped_buses_stand_in_the_order_of_the_field(template: str) -> None:
    """(`dj` has the order of stem decks: drums, bass, melody, vocals.)"""
    ranks = [family_of((bus.stems or (bus.name,))[0]).rank for bus in load_template(template).buses]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("template", ["band", "vocal-focus", "six-stem"])
def test_shipped_values_stay_in_the_ranges_of_the_field(template: str) -> None:
    """Ranges of mixing practice: ratios to 5:1, attacks to 30 ms, releases 50 to 250 ms, corners as printed."""
    highpass_hz = {"vocals": (80, 100), "drums": (20, 60), "bass": (20, 60), "guitars": (80, 120), "keys": (60, 80)}
    found = load_template(template)
    for bus in (*found.buses, found.mix_bus):
        for effect in bus.effects:
            if isinstance(effect, Compressor):
                assert 1.5 <= effect.ratio <= 5
                assert effect.attack_ms <= 30
                assert 50 <= effect.release_ms <= 250
            if isinstance(effect, Equalizer):
                for band in effect.bands:
                    assert abs(band.gain_db) <= 3
                    if band.kind == "highpass" and bus.name in highpass_hz:
                        low, high = highpass_hz[bus.name]
                        assert low <= band.frequency_hz <= high


def test_neutral_session_order_is_that_of_the_field() -> None:
    names = ("other", "backing_vocals", "vocals", "piano", "strange", "guitar", "bass", "percussion", "drums")
    plan = make_plan(make_set(*names), load_template("neutral"), name="song")
    assert [bus.name for bus in plan.buses] == [
        "drums", "percussion", "bass", "guitar", "piano", "vocals", "backing_vocals", "other", "strange", "residual",
    ]  # fmt: skip
    assert [track.name for track in plan.tracks] == [bus.name for bus in plan.buses]


def test_an_unmentioned_stem_gets_a_neutral_bus_at_its_place() -> None:
    plan = plan_of("buses: {vocals: {gain_db: -3}, drums: {gain_db: 2}}", "drums", "bass", "vocals")
    assert [bus.name for bus in plan.buses] == ["vocals", "drums", "bass", "residual"]  # the template's own order stays
    assert plan.bus("bass").gain_db == 0.0
    assert plan.bus("bass").colour == FAMILIES["bass"].colour
    assert plan.notes == ("on neutral buses, as the template doesn't mention them: bass",)


def test_a_bus_takes_its_stems_in_its_own_order_and_by_any_case() -> None:
    plan = plan_of("buses: {rhythm: {stems: [bass, drums]}}", "Drums", "bass")
    assert [(track.name, track.output) for track in plan.tracks][:2] == [("bass", "rhythm"), ("Drums", "rhythm")]
    assert plan.tracks[0].colour == plan.bus("rhythm").colour


def test_a_neutral_bus_never_takes_a_name_that_is_taken() -> None:
    plan = plan_of("buses: {Bass: {stems: [drums]}}\nreturns: {vocals: {}}", "drums", "bass", "vocals", "mix")
    assert {track.name: track.output for track in plan.tracks} == {
        "drums": "Bass", "bass": "bass_2", "vocals": "vocals_2", "mix": "mix_2", "residual": "residual",
    }  # fmt: skip


def test_what_depends_on_a_bus_that_is_not_there_goes_with_it() -> None:
    text = """
    buses:
      drums: {sends: [{to: room}]}
      bass: {effects: [{gate: {threshold_db: -50}}, {compressor: {threshold_db: -9, ratio: 2, sidechain_bus: drums}}]}
    returns:
      room: {effects: [{compressor: {threshold_db: -9, ratio: 2, sidechain_bus: drums}}]}
    mix_bus: {effects: [{compressor: {threshold_db: -9, ratio: 2, sidechain_bus: bass}}, {limiter: {}}]}
    """
    plan = plan_of(text, "bass")
    assert [type(effect) for effect in plan.bus("bass").effects] == [Gate]
    assert plan.bus("room").effects == ()
    assert [type(effect) for effect in plan.mix_bus.effects] == [Compressor, Limiter]
    assert plan.notes == (
        "left out, as this song has no stem for them: drums",
        "'bass': its compressor with side-chain from 'drums' is left out, as that bus is not there",
        "'room': its compressor with side-chain from 'drums' is left out, as that bus is not there",
    )


def test_a_band_above_half_the_rate_is_left_out_with_a_note() -> None:
    text = """
    buses:
      bass: {effects: [{equalizer: {bands: [{bell: {frequency_hz: 100}}, {highshelf: {frequency_hz: 4000}}]}}]}
    mix_bus: {effects: [{equalizer: {bands: [{lowpass: {frequency_hz: 20000}}]}}]}
    """
    plan = plan_of(text, "bass", rate=8000)
    (equalizer,) = plan.bus("bass").effects
    assert isinstance(equalizer, Equalizer)
    assert [band.frequency_hz for band in equalizer.bands] == [100.0]
    assert plan.mix_bus.effects == ()
    assert len(plan.notes) == 2
    assert "does not fit the rate of 8000 Hz" in plan.notes[0]
    assert len(plan_of(text, "bass").bus("bass").effects) == 1


def test_the_reference_goes_around_the_mix_bus_and_is_muted() -> None:
    plan = plan_of("reference: {name: Original}", "drums")
    assert plan.reference is not None
    assert (plan.reference.name, plan.reference.output, plan.reference.mute) == ("Original", "master", True)
    assert plan.reference.gain_db == 0.0
    assert plan.reference.clips[0].path == FOLDER / "audio" / "mix.wav"
    assert plan_of("reference: {include: false}", "drums").reference is None


def test_clips_are_whole_files_at_their_offset() -> None:
    stem = make_stem("drums")
    moved = Stem(name="bass", path=FOLDER / "b.wav", sample_rate_hz=44_100, channels=1, length_samples=441_000,
                 offset_samples=7)  # fmt: skip
    plan = make_plan(StemSet(stems=(stem, moved), reference=make_stem("mix")), BusTemplate(name="t"), name="s")
    clips = [track.clips[0] for track in plan.tracks]
    assert [(clip.position_samples, clip.length_samples, clip.channels) for clip in clips] == [
        (0, 441_000, 2),
        (7, 441_000, 1),
    ]
    assert (plan.sample_rate_hz, plan.length_samples, plan.mix_bus.name) == (44_100, 441_000, MIX_BUS)


def test_markers_follow_tempo_and_time_signature_on_the_sample() -> None:
    text = """
    tempo_bpm: 120
    time_signature: 3/4
    markers:
      - {name: A, position_bar: 1}
      - {name: B, position_bar: 3, length_bars: 1}
      - {name: C, position_s: 9.5, length_s: 2}
      - {name: D, position_s: 10.1}
    """
    plan = plan_of(text, "drums")
    assert [(each.name, each.position_samples, each.length_samples) for each in plan.markers] == [
        ("A", 0, 0),
        ("B", 132_300, 66_150),  # two bars of three half seconds
        ("C", 418_950, 22_050),
    ]
    assert plan.notes == (
        "region 'C' is cut at the end of the song",
        "marker 'D' is left out: it lies behind the end of the song",
    )
    assert (plan.tempo_bpm, plan.time_signature) == (120.0, (3, 4))


def test_an_eighth_note_signature_counts_shorter_bars() -> None:
    plan = plan_of("tempo_bpm: 120\ntime_signature: 6/8\nmarkers: [{name: A, position_bar: 2}]", "drums")
    assert plan.markers[0].position_samples == 66_150  # six eighths at 120 quarters a minute are 1.5 s


def test_an_empty_session_has_all_buses_of_the_template() -> None:
    template = load_template("vocal-focus")
    plan = empty_plan(template, name="song", sample_rate_hz=48_000)
    assert [bus.name for bus in plan.buses] == [bus.name for bus in template.buses]
    assert [bus.name for bus in plan.returns] == ["plate", "slap"]
    assert (plan.tracks, plan.length_samples, plan.notes) == ((), 0, ())
    assert plan.bus("other").effects == template.buses[6].effects
