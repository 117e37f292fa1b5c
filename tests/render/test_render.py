"""The whole session as sound: it nulls, faders and sends are exact, every sample is in its place."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.adapter import Feature, PlanRenderer, SessionAdapter, Support
from daw_bridge.audio.null import null_depth_db
from daw_bridge.errors import Cancelled, InputError, OutputError, UsageError
from daw_bridge.model import Compressor, SessionPlan
from daw_bridge.plan import make_plan
from daw_bridge.progress import CancelToken, Progress
from daw_bridge.registry import load_adapter
from daw_bridge.templates.bus_template import parse_template
from daw_bridge.templates.store import load_template
from daw_bridge_render.adapter import ADAPTER
from daw_bridge_render.render import render_plan
from tests.render.sessions import impulse, noise, peak_db, plan_of, rendered, sine, stem_set, write_wav

NAMES = ("drums", "bass", "other", "vocals", "residual")
LENGTH = 40_001


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 96_000])
def test_the_neutral_session_is_the_mix(tmp_path: Path, rate: int, channels: int) -> None:
    signals = {name: noise(LENGTH, channels, seed=index) for index, name in enumerate(NAMES)}
    stems = stem_set(tmp_path, signals, rate=rate)
    plan = make_plan(stems, load_template("neutral"), name="song")
    report = render_plan(plan, tmp_path / "out.wav")
    assert (report.channels, report.length_samples, report.sample_rate_hz) == (channels, LENGTH, rate)
    assert null_depth_db(stems.reference.path, [tmp_path / "out.wav"]) <= -140


def test_the_untouched_dj_session_is_the_mix(tmp_path: Path) -> None:
    stems = stem_set(tmp_path, {name: noise(LENGTH, seed=index) for index, name in enumerate(NAMES)})
    plan = make_plan(stems, load_template("dj"), name="song")
    render_plan(plan, tmp_path / "out.wav")
    assert null_depth_db(stems.reference.path, [tmp_path / "out.wav"]) <= -120


@pytest.mark.parametrize("at", [0, 1, 16_383, 16_384, LENGTH - 1])
def test_an_impulse_in_any_stem_comes_out_on_its_sample(tmp_path: Path, at: int) -> None:
    """Through every effect that passes the first sample at once: nothing here adds latency."""
    template = """
    buses:
      drums:
        effects:
          - equalizer: {bands: [{bell: {frequency_hz: 1000, gain_db: 6}}]}
          - compressor: {threshold_db: -20, ratio: 4, attack_ms: 30}
          - limiter: {ceiling_db: -1}
    mix_bus: {effects: [{limiter: {ceiling_db: -1, threshold_db: -6}}]}
    """
    output = rendered(plan_of(tmp_path, template, {"drums": impulse(LENGTH, at)}), tmp_path)
    assert not output[:, :at].any()
    assert int(np.abs(output[0]).argmax()) == at


def test_faders_pans_and_mutes_are_exact(tmp_path: Path) -> None:
    signals = {name: noise(LENGTH, seed=index) for index, name in enumerate(NAMES)}
    template = """
    buses:
      drums: {gain_db: -7.3}
      bass: {gain_db: 4.1, pan: -0.25}
      other: {pan: 1}
      vocals: {mute: true}
      residual: {gain_db: -150}
    mix_bus: {gain_db: -2, pan: 0.5}
    """
    output = rendered(plan_of(tmp_path, template, signals), tmp_path)
    bass = signals["bass"] * np.array([[1.0], [0.75]]) * 10 ** (4.1 / 20)
    expected = signals["drums"] * 10 ** (-7.3 / 20) + bass + signals["other"] * np.array([[0.0], [1.0]])
    expected = expected * np.array([[0.5], [1.0]]) * 10 ** (-2 / 20)
    assert peak_db(output - expected) < -120


def test_tracks_have_faders_and_clips_have_places_of_their_own(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "buses: {}", {"drums": impulse(100, 0), "bass": impulse(100, 0)})
    late = dataclasses.replace(plan.tracks[1].clips[0], position_samples=20_000)
    twice = dataclasses.replace(plan.tracks[0].clips[0], position_samples=50)
    plan = dataclasses.replace(
        plan,
        length_samples=20_050,
        tracks=(
            dataclasses.replace(plan.tracks[0], gain_db=-6, pan=0.5, clips=(*plan.tracks[0].clips, twice)),
            dataclasses.replace(plan.tracks[1], clips=(late,)),
        ),
    )
    output = rendered(plan, tmp_path)
    half = 10 ** (-6 / 20)
    assert {int(at): tuple(np.round(output[:, at], 6)) for at in np.flatnonzero(output.any(axis=0))} == {
        0: (round(half / 2, 6), round(half, 6)),
        50: (round(half / 2, 6), round(half, 6)),
        20_000: (1.0, 1.0),
    }


def test_sends_are_exact_before_and_behind_the_fader(tmp_path: Path) -> None:
    signals = {"drums": noise(LENGTH, seed=1), "bass": noise(LENGTH, seed=2)}
    template = """
    buses:
      drums: {gain_db: -6, pan: 1, sends: [{to: fx, gain_db: -3}]}
      bass: {gain_db: -9, sends: [{to: fx, gain_db: -12, pre_fader: true}]}
    returns:
      fx: {gain_db: 2, effects: [{gain: {gain_db: 1}}]}
    """
    output = rendered(plan_of(tmp_path, template, signals), tmp_path)
    right = np.array([[0.0], [1.0]])
    drums, bass = signals["drums"] * right * 10 ** (-6 / 20), signals["bass"]
    sent = drums * 10 ** (-3 / 20) + bass * 10 ** (-12 / 20)
    assert peak_db(output - (drums + bass * 10 ** (-9 / 20) + sent * 10 ** (3 / 20))) < -120


def test_a_muted_bus_sends_nothing_and_drives_no_side_chain(tmp_path: Path) -> None:
    signals = {"drums": sine(LENGTH, 100, 0), "bass": sine(LENGTH, 500, -20)}
    template = """
    buses:
      drums: {mute: true, sends: [{to: fx, pre_fader: true}]}
      bass: {effects: [{compressor: {threshold_db: -20, ratio: 4, sidechain_bus: drums}}]}
    returns: {fx: {}}
    """
    assert peak_db(rendered(plan_of(tmp_path, template, signals), tmp_path) - signals["bass"]) < -140


def test_a_side_chain_works_across_buses_in_any_order(tmp_path: Path) -> None:
    signals = {"bass": sine(88_200, 500, -20), "drums": sine(88_200, 100, 0), "vocals": sine(88_200, 300, -60)}
    template = """
    buses:
      bass: {effects: [{compressor: {threshold_db: -20, ratio: 2, sidechain_bus: drums}}]}
      drums: {gain_db: -10, effects: [{compressor: {threshold_db: -20, ratio: 4, sidechain_bus: vocals}}]}
      vocals: {}
    """
    plan = plan_of(tmp_path, template, signals)
    bass = rendered(plan, tmp_path, bus="bass")[:, -20_000:]
    assert peak_db(bass) == pytest.approx(-20 - 5, abs=0.3)  # the drums' fader counts: -10 dBFS are 10 dB over


def test_solo_silences_the_others_but_not_their_returns_and_reference(tmp_path: Path) -> None:
    signals = {name: noise(LENGTH, seed=index) for index, name in enumerate(NAMES)}
    plan = plan_of(tmp_path, "buses: {vocals: {solo: true}, bass: {solo: true, mute: true}}", signals)
    assert peak_db(rendered(plan, tmp_path) - signals["vocals"]) < -140
    tracks = tuple(dataclasses.replace(track, solo=track.name == "drums") for track in plan.tracks)
    buses = tuple(dataclasses.replace(bus, solo=False) for bus in plan.buses)
    plan = dataclasses.replace(plan, tracks=tracks, buses=buses)
    assert peak_db(rendered(plan, tmp_path) - signals["drums"]) < -140


def test_one_bus_alone_is_heard_even_when_muted(tmp_path: Path) -> None:
    signals = {name: noise(LENGTH, seed=index) for index, name in enumerate(NAMES)}
    template = "buses: {vocals: {mute: true, gain_db: -6}, drums: {solo: true}}\nmix_bus: {gain_db: -20}"
    plan = plan_of(tmp_path, template, signals)
    assert peak_db(rendered(plan, tmp_path, bus="vocals") - signals["vocals"] * 10 ** (-6 / 20)) < -130
    assert peak_db(rendered(plan, tmp_path, bus="mix") - signals["drums"] * 0.1) < -140
    with pytest.raises(UsageError, match=r"no bus called 'vocal' \(did you mean vocals\?\)"):
        rendered(plan, tmp_path, bus="vocal")


def test_the_reference_alone_is_the_mix_untouched(tmp_path: Path) -> None:
    signals = {name: noise(LENGTH, seed=index) for index, name in enumerate(NAMES)}
    plan = plan_of(tmp_path, "mix_bus: {gain_db: -20}", signals)
    assert np.array_equal(rendered(plan, tmp_path, reference=True), _reference(plan))
    unmuted = dataclasses.replace(plan, reference=dataclasses.replace(plan.reference, mute=False))  # type: ignore[type-var]
    both = rendered(unmuted, tmp_path)
    assert peak_db(both - _reference(plan) * 1.1) < -120  # around the mix bus, whose fader does not touch it
    without = dataclasses.replace(plan, reference=None)
    with pytest.raises(InputError, match="no reference track"):
        rendered(without, tmp_path, reference=True)


def _reference(plan: SessionPlan) -> np.ndarray:
    assert plan.reference is not None
    return np.asarray(soundfile.read(plan.reference.clips[0].path)[0].T)


def test_a_mono_mix_becomes_stereo_only_where_the_session_makes_it_so(tmp_path: Path) -> None:
    signals = {"drums": noise(LENGTH, 1)}
    reverb = "buses: {drums: {sends: [{to: r}]}}\nreturns: {r: {effects: [{reverb: {}}]}}"
    shapes = {
        "buses: {drums: {gain_db: -3, effects: [{gate: {threshold_db: -40}}]}}": 1,
        "buses: {drums: {pan: 0.5}}": 2,
        reverb: 2,
        reverb.replace("{}", "{enabled: false}"): 1,
    }
    for count, (template, channels) in enumerate(shapes.items()):
        assert rendered(plan_of(tmp_path / str(count), template, signals), tmp_path).shape == (channels, LENGTH)


def test_mono_and_stereo_stems_mix_at_unity(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "buses: {}", {"drums": noise(LENGTH, 2, seed=1)})
    mono = noise(LENGTH, 1, seed=2)
    write_wav(tmp_path / "mono.wav", mono, 44_100)
    clip = dataclasses.replace(plan.tracks[0].clips[0], path=tmp_path / "mono.wav", channels=1)
    track = dataclasses.replace(plan.tracks[0], clips=(clip,))
    both = dataclasses.replace(plan, tracks=(*plan.tracks, track))
    assert peak_db(rendered(both, tmp_path) - noise(LENGTH, 2, seed=1) - mono) < -140


@pytest.mark.parametrize("template", ["band", "vocal-focus", "six-stem", "karaoke", "dj"])
def test_every_shipped_template_sounds_and_stays_under_full_scale(tmp_path: Path, template: str) -> None:
    names = (*NAMES, "guitar", "piano", "backing_vocals")
    signals = {name: noise(60_000, seed=index, level=0.05) for index, name in enumerate(names)}
    plan = make_plan(stem_set(tmp_path, signals), load_template(template), name="song")
    output = rendered(plan, tmp_path)
    again = rendered(plan, tmp_path)
    assert np.array_equal(output, again)
    assert np.isfinite(output).all()
    assert -30 < peak_db(output) < 0


def test_length_0_and_32_stems_are_no_trouble(tmp_path: Path) -> None:
    empty = plan_of(tmp_path / "empty", "buses: {}", {"drums": noise(0)})
    assert rendered(empty, tmp_path).shape == (2, 0)
    many = {f"stem {index}": noise(3000, seed=index, level=0.01) for index in range(32)}
    plan = plan_of(tmp_path / "many", "buses: {}", many)
    assert peak_db(rendered(plan, tmp_path) - _reference(plan)) < -140
    silent = dataclasses.replace(plan, tracks=(), reference=None, length_samples=0)
    report = render_plan(silent, tmp_path / "nothing.wav")
    assert (report.length_samples, report.integrated_lufs) == (0, -math.inf)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    import tracemalloc

    peaks = []
    for count, length in enumerate((100_000, 800_000)):
        plan = plan_of(tmp_path / str(count), "buses: {drums: {gain_db: 1}}", {"drums": noise(length, 1)})
        tracemalloc.start()
        render_plan(plan, tmp_path / f"{count}.wav")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "buses: {}", {"drums": noise(100)})
    target = tmp_path / "mine.wav"
    target.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        render_plan(plan, target)
    assert target.read_text() == "mine"


def test_cancelled_or_failed_nothing_is_left(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "buses: {}", {"drums": noise(100_000)})
    token, events = CancelToken(), []

    def on_progress(event: Progress) -> None:
        events.append((event.stage, event.done, event.total))
        if len(events) == 2:
            token.cancel()

    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(Cancelled):
        render_plan(plan, out / "mix.wav", on_progress=on_progress, cancel=token)
    assert events == [("render", 16_384, 100_000), ("render", 32_768, 100_000)]
    write_wav(plan.tracks[0].clips[0].path, noise(50_000), 44_100)
    with pytest.raises(InputError, match=r"drums\.wav: is shorter than the session says"):
        render_plan(plan, out / "mix.wav")
    plan.tracks[0].clips[0].path.unlink()
    with pytest.raises(InputError, match=r"drums\.wav"):
        render_plan(plan, out / "mix.wav")
    assert list(out.iterdir()) == []


def test_media_of_another_rate_or_with_too_many_channels_are_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "buses: {}", {"drums": noise(100)})
    path = plan.tracks[0].clips[0].path
    write_wav(path, noise(100), 48_000)
    with pytest.raises(InputError, match="has 48000 Hz, the session 44100 Hz"):
        rendered(plan, tmp_path)
    write_wav(path, noise(100, 6), 44_100)
    with pytest.raises(InputError, match="has 6 channels"):
        rendered(plan, tmp_path)


def test_side_chains_in_a_circle_are_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "buses: {drums: {}, bass: {}}", {"drums": noise(100), "bass": noise(100)})
    names = ("drums", "bass")
    buses = tuple(
        dataclasses.replace(bus, effects=(Compressor(threshold_db=-9, ratio=2, sidechain_bus=key),))
        for bus, key in zip(plan.buses, reversed(names), strict=True)
    )
    with pytest.raises(InputError, match="side-chains run in a circle: drums, bass"):
        rendered(dataclasses.replace(plan, buses=buses), tmp_path)


def test_it_is_an_adapter_and_reports_what_a_wav_cannot_hold(tmp_path: Path) -> None:
    assert load_adapter("render") is ADAPTER
    assert isinstance(ADAPTER, SessionAdapter)
    assert isinstance(ADAPTER, PlanRenderer)
    template = """
    buses: {drums: {group: a, effects: [{plugin: {daw: reaper, name: ReaPitch}}]}}
    markers: [{name: A, position_s: 0}]
    """
    plan = plan_of(tmp_path, template, {"drums": noise(1000)})
    report = ADAPTER.write(plan, tmp_path, "song")
    assert report.session_path == tmp_path / "song.wav"
    assert [limit.feature for limit in report.limits] == [
        Feature.PLUGIN, Feature.COLOURS, Feature.GROUPS, Feature.MARKERS, Feature.TEMPO,
    ]  # fmt: skip
    assert {limit.support for limit in report.limits} == {Support.NOT_POSSIBLE}
    with pytest.raises(OutputError, match="exists already"):
        ADAPTER.write(plan, tmp_path, "song")


def test_features_are_those_of_the_model() -> None:
    missing = set(Feature) - set(ADAPTER.features)
    assert missing == {Feature.PLUGIN, Feature.COLOURS, Feature.GROUPS, Feature.MARKERS, Feature.TEMPO, Feature.NOTES}


def test_the_template_of_every_pair_of_effects_renders(tmp_path: Path) -> None:
    """Effects in any order work on each other's output: finite and not silent."""
    effects = ["{gain: {gain_db: -3}}", "{gate: {threshold_db: -60}}", "{limiter: {ceiling_db: -6}}",
               "{compressor: {threshold_db: -30, ratio: 3}}",
               "{equalizer: {bands: [{lowpass: {frequency_hz: 5000}}]}}"]  # fmt: skip
    stems = stem_set(tmp_path, {"drums": noise(20_000)})
    for first, second in itertools.permutations(effects, 2):
        template = parse_template(f"buses: {{drums: {{effects: [{first}, {second}]}}}}", "t")
        output = rendered(make_plan(stems, template, name="song"), tmp_path)
        assert np.isfinite(output).all()
        assert peak_db(output) > -40
