"""The proof: real Ardour opens what we wrote and renders it, and the render is compared sample by sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.adapter_lab import (
    Case,
    case_plan,
    impulse,
    null_db,
    peak_db,
    read_audio,
    square_steps,
    step_levels_db,
    write_clip,
)
from benchmarks.adapters import EQ_CASES, measure_compressors, measure_equalizers, render_with_ardour
from daw_bridge.audio.resample import Resampler
from daw_bridge.model import (
    Bus,
    Compressor,
    Delay,
    Equalizer,
    Gain,
    Gate,
    PluginRef,
    Reverb,
    Send,
    SessionPlan,
    Track,
)
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, export_session, need_ardour
from daw_bridge_ardour.rates import played_rate_hz
from tests.ardour.plans import song_plan
from tests.sweeps import sweep

pytestmark = pytest.mark.daw
NULL_DB = -120.0
EQ_TOLERANCE_DB = 0.5
COMPRESSOR_TOLERANCE_DB = 1.0
LEVEL_TOLERANCE_DB = 0.05


@pytest.mark.parametrize(
    ("rate", "channels"), sweep([(44_100, 2), (48_000, 1)], [(96_000, 2), (44_100, 1), (48_000, 2), (96_000, 1)])
)
def test_a_neutral_session_nulls_against_the_mix(song: Path, ardour: Ardour, rate: int, channels: int) -> None:
    """Every stem has an impulse on its own sample, so a null also says that each is on its exact sample.

    By Ardour as users start it, all its lists read.
    """
    plan, audio = song_plan(song, rate=rate, channels=channels, seconds=1.0)
    assert null_db(render_with_ardour(plan, song, need_ardour()), audio["reference"]) <= NULL_DB


def test_buses_in_buses_null_and_their_faders_are_those_of_the_way(song: Path, ardour: Ardour) -> None:
    """drums inside other inside vocals: untouched it is the mix, levels on the way multiply, solo finds its way."""
    plan, audio = song_plan(song, rate=44_100, channels=2, seconds=0.5)
    parents = {"drums": "other", "other": "vocals", "bass": "vocals"}
    nested = replace(plan, buses=tuple(replace(bus, parent=parents.get(bus.name)) for bus in plan.buses))
    levels = {"drums": -3.0, "other": -6.0, "vocals": 2.0}
    cases: dict[str, tuple[dict[str, float], str, dict[str, float]]] = {
        "untouched": ({}, "", dict.fromkeys(audio.keys() - {"reference"}, 0.0)),
        "levels": (levels, "", {"drums": -7.0, "other": -4.0, "vocals": 2.0, "bass": 2.0, "residual": 0.0}),
        "inner solo": ({}, "drums", {"drums": 0.0}),
        "outer solo": ({}, "other", {"drums": 0.0, "other": 0.0}),
    }
    for name, (faders, solo, heard) in cases.items():
        buses = (replace(bus, gain_db=faders.get(bus.name, 0.0), solo=bus.name == solo) for bus in nested.buses)
        report = ADAPTER.write(replace(nested, buses=tuple(buses)), song, name)
        rendered = read_audio(export_session(report.session_path, song / f"{name}.wav", ardour=ardour, timeout_s=280))
        parts = [audio[stem] * np.float32(10 ** (gain_db / 20)) for stem, gain_db in heard.items()]
        assert null_db(rendered, np.sum(parts, axis=0, dtype=np.float32)) <= NULL_DB, name


@pytest.mark.parametrize("rate", sweep([22_050], [44_056]))
def test_a_rate_that_ardour_does_not_play_becomes_one_that_it_plays(song: Path, ardour: Ardour, rate: int) -> None:
    plan, audio = song_plan(song, rate=rate, channels=2, seconds=1.0)
    report = ADAPTER.write(plan, song, "song")
    assert f"{rate} Hz" in report.limits[0].what
    rendered = read_audio(export_session(report.session_path, song / "render.wav", ardour=ardour, timeout_s=280))
    played = played_rate_hz(rate)
    resampler = Resampler(rate, played, 2)
    expected = np.concatenate([resampler.process(audio["reference"]), resampler.finish()], axis=1)
    assert rendered.shape == expected.shape
    assert null_db(rendered, expected) <= NULL_DB


def test_buses_called_as_ardours_own_strips_are_played(song: Path, ardour: Ardour) -> None:
    """A bus called `auditioner` kept Ardour from opening the session at all."""
    plan, audio = song_plan(song, rate=44_100, channels=2, seconds=0.5)
    labels = ("auditioner", "master", "MONITOR", "click", "Virtual Keyboard")
    buses = tuple(replace(bus, label=label) for bus, label in zip(plan.buses, labels, strict=True))
    tracks = tuple(
        replace(track, name=name)
        for track, name in zip(plan.tracks, ("Auditioner", "Master", "audition", "Click", "LTC in"), strict=True)
    )
    report = ADAPTER.write(replace(plan, buses=buses, tracks=tracks), song, "master")
    rendered = read_audio(export_session(report.session_path, song / "render.wav", ardour=ardour, timeout_s=280))
    assert null_db(rendered, audio["reference"]) <= NULL_DB


def test_names_with_every_mark_that_disks_take_are_played(song: Path, ardour: Ardour) -> None:
    plan, audio = song_plan(song, rate=44_100, channels=2, seconds=0.5)
    name = "it's 100%; #1 `a` & {b} $c %L"
    tracks = []
    for track in plan.tracks:
        clip = track.clips[0]
        path = clip.path.rename(clip.path.with_name(f"{name} {track.name}.wav"))
        tracks.append(replace(track, name=f"{name} {track.name}", clips=(replace(clip, path=path, name=name),)))
    report = ADAPTER.write(replace(plan, name=name, tracks=tuple(tracks)), song, name)
    rendered = read_audio(export_session(report.session_path, song / "render.wav", ardour=ardour, timeout_s=280))
    assert null_db(rendered, audio["reference"]) <= NULL_DB


@pytest.mark.parametrize("rate", sweep([44_100], [96_000]))
def test_equalizers_have_the_curves_of_the_cookbook(song: Path, ardour: Ardour, rate: int) -> None:
    worst = measure_equalizers(song, ardour, rate)
    assert max(worst.values()) <= EQ_TOLERANCE_DB, worst


def test_compressors_have_the_static_curve(song: Path, ardour: Ardour) -> None:
    worst = measure_compressors(song, ardour, 48_000)
    assert max(worst.values()) <= COMPRESSOR_TOLERANCE_DB, worst


def test_gates_close_gains_are_exact_and_bypassed_inserts_are_unheard(song: Path, ardour: Ardour) -> None:
    rate = 48_000
    levels_db = (-40.0, -30.0, -20.0, -10.0)
    gate = Gate(threshold_db=-25, attack_ms=1, hold_ms=0, release_ms=20)
    off = (
        replace(gate, enabled=False),
        Equalizer(bands=EQ_CASES["bell"], enabled=False),
        Gain(gain_db=3, enabled=False),
    )
    signal = impulse(4800)
    cases = [
        Case(name="gate", effects=(gate,), signal=square_steps(levels_db, rate // 4)),
        Case(name="gain", effects=(Gain(gain_db=-7.3),), signal=signal),
        Case(name="more gain", effects=(Gain(gain_db=-31.5),), signal=signal),
        Case(name="bypassed", effects=off, signal=signal),
    ]
    plan, (gated, gain, more, bypassed) = case_plan(song, cases, rate)
    rendered = render_with_ardour(plan, song, ardour)
    levels = step_levels_db(rendered[:, gated], len(levels_db))
    assert all(level < -80.0 for level in levels[:2])
    assert levels[2:] == pytest.approx(levels_db[2:], abs=0.1)
    assert peak_db(rendered[:, gain] / 0.5) == pytest.approx(-7.3, abs=LEVEL_TOLERANCE_DB)
    assert peak_db(rendered[:, more] / 0.5) == pytest.approx(-31.5, abs=LEVEL_TOLERANCE_DB)
    assert null_db(rendered[:, bypassed], signal) <= NULL_DB


def test_a_sidechain_ducks_by_the_key_bus(song: Path, ardour: Ardour) -> None:
    """A steady bus is turned down by ratio and threshold while the key bus plays, and not at all while it rests."""
    rate, half = 48_000, 24_000
    steady = square_steps([-12.0], 2 * half)
    key = np.concatenate([np.zeros((1, half), np.float32), square_steps([-10.0], half)], axis=1)
    pad = write_clip(song / "audio" / "pad.wav", np.repeat(steady, 2, axis=0), rate)
    kick = write_clip(song / "audio" / "kick.wav", np.repeat(key, 2, axis=0), rate)
    duck = Compressor(threshold_db=-30, ratio=4, attack_ms=1, release_ms=20, sidechain_bus="kick")
    plan = SessionPlan(
        name="duck",
        sample_rate_hz=rate,
        length_samples=2 * half,
        tracks=(Track(name="pad", output="pads", clips=(pad,)), Track(name="kick", output="kick", clips=(kick,))),
        buses=(Bus(name="kick", label="Kick", pan=0.0), Bus(name="pads", label="Pads", effects=(duck,))),
        mix_bus=Bus(name="mix", label="Mix"),
    )
    rendered = render_with_ardour(plan, song, ardour)
    pads = rendered.astype(np.float64) - np.repeat(key, 2, axis=0)
    assert peak_db(pads[:, half // 2 : half]) == pytest.approx(-12.0, abs=0.1)
    assert peak_db(pads[:, -half // 4 :]) == pytest.approx(-12.0 - 15.0, abs=COMPRESSOR_TOLERANCE_DB)


def test_faders_pans_sends_returns_and_mutes(song: Path, ardour: Ardour) -> None:
    """One impulse per strip; its level and side in the render say what the mixer did with it."""
    rate, size = 48_000, 2400
    rows = {
        "fader": Bus(name="fader", label="Fader", gain_db=-4.5),
        "boost": Bus(name="boost", label="Boost", gain_db=5.0),
        "left": Bus(name="left", label="Left", pan=-0.6),
        "right": Bus(name="right", label="Right", pan=1.0),
        "muted": Bus(name="muted", label="Muted", mute=True),
        "post": Bus(name="post", label="Post", gain_db=-6, sends=(Send(to="dry", gain_db=-9),)),
        "pre": Bus(name="pre", label="Pre", gain_db=-60, sends=(Send(to="dry", gain_db=-3, pre_fader=True),)),
    }
    tracks = []
    for number, name in enumerate(rows):
        audio = np.zeros((1, size * len(rows)), np.float32)
        audio[0, number * size + 100] = 0.25
        clip = write_clip(song / "audio" / f"{name}.wav", audio, rate)
        tracks.append(Track(name=f"{name} stem", output=name, clips=(clip,), gain_db=1.5, pan=0.5 * (name == "fader")))
    plan = SessionPlan(
        name="mixer",
        sample_rate_hz=rate,
        length_samples=size * len(rows),
        tracks=tuple(tracks),
        buses=tuple(rows.values()),
        returns=(Bus(name="dry", label="Dry", gain_db=-2),),
        mix_bus=Bus(name="mix", label="Mix", gain_db=-1),
    )
    rendered = render_with_ardour(plan, song, ardour)
    both = {name: rendered[:, n * size : (n + 1) * size] / 0.25 for n, name in enumerate(rows)}
    level = {name: tuple(peak_db(side) - 0.5 for side in part) for name, part in both.items()}
    balance = 20 * np.log10(0.4)
    post_db = 20 * np.log10(10 ** (-6 / 20) + 10 ** ((-6 - 9 - 2) / 20))
    pre_db = 20 * np.log10(10 ** (-60 / 20) + 10 ** ((-3 - 2) / 20))
    assert level["fader"] == pytest.approx((-4.5 + 20 * np.log10(0.5), -4.5), abs=LEVEL_TOLERANCE_DB)
    assert level["boost"] == pytest.approx((5.0, 5.0), abs=LEVEL_TOLERANCE_DB)
    assert level["left"] == pytest.approx((0.0, balance), abs=LEVEL_TOLERANCE_DB)
    assert level["right"][0] < -120.0
    assert level["right"][1] == pytest.approx(0.0, abs=LEVEL_TOLERANCE_DB)
    assert peak_db(both["muted"]) < -120.0
    assert level["post"] == pytest.approx((post_db, post_db), abs=LEVEL_TOLERANCE_DB)
    assert level["pre"] == pytest.approx((pre_db, pre_db), abs=LEVEL_TOLERANCE_DB)
    for name in ("fader", "boost", "post", "pre"):
        assert int(np.abs(both[name][1]).argmax()) == 100, f"{name} is not on its sample"


def test_a_soloed_bus_is_heard_alone_and_returns_take_their_time(song: Path, ardour: Ardour) -> None:
    rate, length = 48_000, 24_000
    audio = {"solo": impulse(length, 500), "rest": impulse(length, 9000)}
    clips = {name: write_clip(song / "audio" / f"{name}.wav", data, rate) for name, data in audio.items()}
    plan = SessionPlan(
        name="solo",
        sample_rate_hz=rate,
        length_samples=length,
        tracks=tuple(Track(name=f"{name} stem", output=name, clips=(clips[name],)) for name in audio),
        buses=(
            Bus(name="solo", label="Solo", solo=True, sends=(Send(to="echo"), Send(to="verb"))),
            Bus(name="rest", label="Rest"),
        ),
        returns=(
            Bus(name="echo", label="Echo", effects=(Delay(time_ms=100, feedback=0.5),), pan=-1.0),
            Bus(name="verb", label="Verb", effects=(Reverb(predelay_ms=20),), pan=1.0),
        ),
        mix_bus=Bus(name="mix", label="Mix"),
    )
    rendered = render_with_ardour(plan, song, ardour)
    assert rendered[0, 500] == pytest.approx(0.5, abs=1e-4)
    echoes = [int(5000 + np.abs(rendered[0, 5000:7000]).argmax()), int(9500 + np.abs(rendered[0, 9500:11000]).argmax())]
    assert echoes == pytest.approx([500 + 4800, 500 + 9600], abs=1)  # its 20 kHz filter spreads a repeat over samples
    ratio = peak_db(rendered[:1, 9500:11000]) - peak_db(rendered[:1, 5000:7000])
    assert ratio == pytest.approx(-6.0, abs=0.5)
    assert peak_db(rendered[1:, 501 : 500 + 960]) < -100.0  # the pre-delay
    assert peak_db(rendered[1:, 500 + 960 :]) > -40.0  # the tail
    rest = rendered[0, 9000] - rendered[0, 8999]
    assert abs(float(rest)) < 1e-3


def test_many_stems_odd_names_missing_plugins_and_empty_files(song: Path, ardour: Ardour) -> None:
    """32 stems; one is empty, one bus asks for a plug-in that nobody has; the rest must still null."""
    rate, length = 44_100, 22_050
    names = [f'{n}: a/b "c" & <d> é 日本 🎸' for n in range(31)]
    audio = [impulse(length, 300 * n + 5, 0.1) for n in range(31)]
    clips = [write_clip(song / "audio" / f"{n} é & b.wav", data, rate) for n, data in enumerate(audio)]
    empty = replace(clips[0], path=song / "audio" / "empty.wav", length_samples=0)
    missing = PluginRef(daw="ardour", name="urn:example:nobody-has-this")
    plan = SessionPlan(
        name='all "names" & <more>',
        sample_rate_hz=rate,
        length_samples=length,
        tracks=(
            *(Track(name=name, output=name, clips=(clip,)) for name, clip in zip(names, clips, strict=True)),
            Track(name="empty", output=names[0], clips=(empty,)),
        ),
        buses=tuple(Bus(name=name, label=name, effects=(missing,) if n == 30 else ()) for n, name in enumerate(names)),
        mix_bus=Bus(name="mix", label="Mix: <all>"),
    )
    rendered = render_with_ardour(plan, song, ardour)
    wanted = np.asarray(np.sum(audio[:30], axis=0, dtype=np.float32))
    end = 300 * 30
    assert null_db(rendered[:, :end], wanted[:, :end]) <= NULL_DB
