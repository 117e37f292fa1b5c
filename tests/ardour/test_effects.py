"""Effects become Ardour's controls, and what does not fit is said."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.adapter_lab import cookbook_db
from daw_bridge.adapter import Feature, Limit, Losses, Support
from daw_bridge.model import (
    BandKind,
    Compressor,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
)
from daw_bridge_ardour import plugins
from daw_bridge_ardour.effects import Insert, chain_of, shelf_frequency_hz

RATE = 48_000


class Made(NamedTuple):
    inserts: tuple[Insert, ...]
    limits: list[Limit]


def chain(effect: Effect, where: str = "Drums", sample_rate_hz: int = RATE) -> Made:
    losses = Losses(where)
    return Made(chain_of([effect], losses, sample_rate_hz), losses.limits)


def test_the_independent_cookbook_has_the_textbook_values() -> None:
    """The yardstick itself: gain at the centre, -3 dB at the corner, half the gain at a shelf's midpoint."""
    at = np.array([1000.0])
    bell = EqBand(kind=BandKind.BELL, frequency_hz=1000, gain_db=6, q=2)
    assert cookbook_db([bell], at, RATE)[0] == pytest.approx(6.0, abs=1e-9)
    for kind in (BandKind.HIGHPASS, BandKind.LOWPASS):
        corner = EqBand(kind=kind, frequency_hz=1000, q=math.sqrt(0.5))
        assert cookbook_db([corner], at, RATE)[0] == pytest.approx(-3.0103, abs=1e-3)
    for kind, far in ((BandKind.LOWSHELF, 1.0), (BandKind.HIGHSHELF, 23_999.0)):
        shelf = EqBand(kind=kind, frequency_hz=1000, gain_db=-8)
        assert cookbook_db([shelf], at, RATE)[0] == pytest.approx(-4.0, abs=1e-3)
        assert cookbook_db([shelf], np.array([far]), RATE)[0] == pytest.approx(-8.0, abs=1e-2)


def test_bells_and_shelves_share_one_ace_eq_and_pass_filters_get_ours() -> None:
    bands = (
        EqBand(kind=BandKind.HIGHPASS, frequency_hz=30),
        EqBand(kind=BandKind.LOWSHELF, frequency_hz=120, gain_db=2),
        EqBand(kind=BandKind.BELL, frequency_hz=400, gain_db=-3, q=1.4142),
        EqBand(kind=BandKind.HIGHSHELF, frequency_hz=8000, gain_db=3, enabled=False),
    )
    made = chain(Equalizer(bands=bands))
    assert [insert.plugin.name for insert in made.inserts] == ["daw-bridge EQ", "ACE EQ"]
    assert not made.limits
    eq = made.inserts[1].values
    assert (eq["freq1"], eq["g1"], eq["filtog1"], eq["filtogl"], eq["filtogh"]) == (400, -3, 1, 1, 0)
    assert eq["bw1"] == pytest.approx(1.0, abs=1e-3)  # Q = sqrt(2) is one octave
    assert made.inserts[0].values["1"] == 30


def test_a_fifth_bell_opens_a_second_ace_eq() -> None:
    bands = tuple(EqBand(kind=BandKind.BELL, frequency_hz=100 * n, gain_db=n, q=1) for n in range(1, 6))
    made = chain(Equalizer(bands=bands))
    assert [insert.plugin.name for insert in made.inserts] == ["ACE EQ", "ACE EQ"]
    assert made.inserts[1].values["freq1"] == 500


@pytest.mark.parametrize(
    "band",
    [
        EqBand(kind=BandKind.BELL, frequency_hz=1000, gain_db=24, q=1),
        EqBand(kind=BandKind.BELL, frequency_hz=1000, gain_db=3, q=30),
        EqBand(kind=BandKind.HIGHSHELF, frequency_hz=8000, gain_db=3, q=1.5),
        EqBand(kind=BandKind.NOTCH, frequency_hz=50, q=10),
    ],
)
def test_what_the_ace_eq_cannot_hold_goes_to_our_filter(band: EqBand) -> None:
    made = chain(Equalizer(bands=(band,)))
    assert [insert.plugin.name for insert in made.inserts] == ["daw-bridge EQ"]
    assert not made.limits


def test_a_shelf_knob_is_moved_so_that_the_midpoint_stays() -> None:
    low = EqBand(kind=BandKind.LOWSHELF, frequency_hz=100, gain_db=12)
    assert shelf_frequency_hz(low, RATE) == pytest.approx(100 / 10 ** (12 / 80), rel=1e-3)
    high = EqBand(kind=BandKind.HIGHSHELF, frequency_hz=100, gain_db=12)
    assert shelf_frequency_hz(high, RATE) == pytest.approx(100 * 10 ** (12 / 80), rel=1e-3)


def test_a_band_above_half_the_rate_is_moved_and_said() -> None:
    bell = EqBand(kind=BandKind.BELL, frequency_hz=15_000, gain_db=3)
    made = chain(Equalizer(bands=(bell,)), "Vox", 22_050)
    assert [(limit.feature, limit.where) for limit in made.limits] == [(Feature.EQUALIZER, "Vox")]
    assert "half the sample rate" in made.limits[0].what


def test_a_compressor_keeps_its_values_and_clamps_say_so() -> None:
    made = chain(Compressor(threshold_db=-18, ratio=4, attack_ms=10, release_ms=120, knee_db=6, makeup_db=2))
    values = made.inserts[0].values
    assert (values["thr"], values["rat"], values["kn"], values["mak"]) == (-18, 4, 1, 2)
    assert not made.limits
    hard = chain(Compressor(threshold_db=-70, ratio=50, attack_ms=0.01, release_ms=3000))
    assert [limit.support for limit in hard.limits] == [Support.APPROXIMATED] * 4


def test_makeup_that_the_compressor_lacks_becomes_a_gain_behind_it() -> None:
    made = chain(Compressor(threshold_db=-10, ratio=2, makeup_db=-3))
    assert [insert.plugin.name for insert in made.inserts] == ["ACE Compressor (stereo)", "ACE EQ"]
    assert made.inserts[1].values["master"] == -3


def test_gain_beyond_one_plugin_is_shared_by_several() -> None:
    made = chain(Gain(gain_db=-50))
    assert sum(insert.values["master"] for insert in made.inserts) == pytest.approx(-50)


def test_gates_and_limiters_say_what_they_lack() -> None:
    assert [limit.feature for limit in chain(Gate(threshold_db=-40)).limits] == [Feature.GATE]
    assert [limit.feature for limit in chain(Limiter()).limits] == [Feature.LIMITER]


def test_a_plugin_for_another_daw_is_reported_not_dropped() -> None:
    made = chain(PluginRef(daw="reaper", name="JS: 1175"))
    assert not made.inserts
    assert made.limits[0].support is Support.NOT_POSSIBLE


def test_a_bypassed_effect_stays_in_its_slot() -> None:
    made = chain(Compressor(threshold_db=-18, ratio=4, enabled=False))
    assert [insert.enabled for insert in made.inserts] == [False]


def test_every_default_lies_in_its_range() -> None:
    for plugin in (*plugins.STOCK, plugins.filters()):
        for control in plugin.controls:
            assert control.minimum <= control.default <= control.maximum, (plugin.name, control)
