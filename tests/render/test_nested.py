"""Buses in buses as sound: the mix when nothing is touched, faders that multiply, solo and mute that follow the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daw_bridge.audio.null import null_depth_db
from daw_bridge.errors import InputError
from daw_bridge.model import Compressor, SessionPlan, StemSet
from daw_bridge.plan import make_plan
from daw_bridge.templates.store import load_template
from daw_bridge_render.render import render_plan
from tests.render.sessions import FloatArray, noise, plan_of, rendered, stem_set

LENGTH = 40_001
KIT = """
buses:
  drums: {gain_db: -6, pan: 0.5}
  tops: {parent: drums, gain_db: -2, stems: [ride]}
  kick: {parent: drums, gain_db: 3}
  hats: {parent: tops, gain_db: -1, stems: [hh]}
  bass: {}
"""
NAMES = ("kick", "ride", "hh", "bass", "drums")


def signals() -> dict[str, FloatArray]:
    return {name: noise(LENGTH, seed=index) for index, name in enumerate(NAMES)}


def gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def nested_stems(folder: Path) -> StemSet:
    """Three levels, as a chain of separations makes them."""
    around = {
        "kick": ("drums",), "ride": ("drums", "tops"), "hh": ("drums", "tops"), "drums-rest": ("drums",), "bass": (),
        "residual": (),
    }  # fmt: skip
    made = stem_set(folder, {name: noise(LENGTH, seed=index) for index, name in enumerate(around)})
    return replace(made, stems=tuple(replace(stem, parents=around[stem.name]) for stem in made.stems))


def test_three_levels_of_the_neutral_template_are_the_mix(tmp_path: Path) -> None:
    stems = nested_stems(tmp_path)
    plan = make_plan(stems, load_template("neutral"), name="song")
    assert [bus.name for bus in plan.above(plan.bus("hh"))] == ["tops", "drums"]
    render_plan(plan, tmp_path / "out.wav")
    assert null_depth_db(stems.reference.path, [tmp_path / "out.wav"]) <= -140


def test_faders_of_buses_in_buses_multiply(tmp_path: Path) -> None:
    made = signals()
    output = rendered(plan_of(tmp_path, KIT, made), tmp_path)
    tops = gain(-2) * (made["ride"] + gain(-1) * made["hh"])
    drums = gain(-6) * np.array([[0.5], [1.0]]) * (made["drums"] + gain(3) * made["kick"] + tops)
    assert np.abs(output - drums - made["bass"]).max() < 1e-6


@pytest.mark.parametrize(
    ("solo", "heard"),
    [
        (("drums",), ("kick", "ride", "hh", "drums")),
        (("tops",), ("ride", "hh")),
        (("hats",), ("hh",)),
        (("hats", "bass"), ("hh", "bass")),
    ],
)
def test_a_soloed_bus_is_heard_with_what_is_in_it_through_those_around_it(
    tmp_path: Path, solo: tuple[str, ...], heard: tuple[str, ...]
) -> None:
    plan = plan_of(tmp_path, KIT, signals())
    plan = replace(plan, buses=tuple(replace(bus, solo=bus.name in solo) for bus in plan.buses))
    outputs = {track.output: track.name for track in plan.tracks}
    muted = replace(
        plan,
        buses=tuple(replace(bus, solo=False) for bus in plan.buses),
        tracks=tuple(replace(track, mute=outputs[track.output] not in heard) for track in plan.tracks),
    )
    assert np.abs(rendered(plan, tmp_path) - rendered(muted, tmp_path)).max() == 0.0


def test_one_bus_alone_holds_what_is_in_it(tmp_path: Path) -> None:
    made = signals()
    output = rendered(plan_of(tmp_path, KIT, made), tmp_path, bus="tops")
    assert np.abs(output - gain(-2) * (made["ride"] + gain(-1) * made["hh"])).max() < 1e-6


def test_a_bus_hears_the_ones_inside_it_by_side_chain_but_not_the_other_way_round(tmp_path: Path) -> None:
    def ducked(plan: SessionPlan, bus: str, key: str) -> SessionPlan:
        effects = (Compressor(threshold_db=-40, ratio=10, sidechain_bus=key),)
        return replace(plan, buses=tuple(replace(b, effects=effects if b.name == bus else ()) for b in plan.buses))

    plan = plan_of(tmp_path, KIT, signals())
    assert rendered(ducked(plan, "drums", "hats"), tmp_path).any()
    with pytest.raises(InputError, match="side-chains run in a circle"):
        rendered(ducked(plan, "hats", "drums"), tmp_path)
