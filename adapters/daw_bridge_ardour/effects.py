"""Effects in the field's units -> Ardour inserts, and what got bent on the way.

The ACE EQ is a state-variable filter (Simper, "Linear Trapezoidal Integrated SVF"), whose curves equal those of the RBJ
Audio EQ Cookbook once two of its habits are undone:

- a bell's width is in octaves;
- its shelves move with their gain: with A = 10^(gain/40) the knob stands at tan(pi f / rate) / sqrt(A) for a low shelf,
  and at tan(pi f / rate) * sqrt(A) for a high one.

Its shelves are Butterworth; another Q, and everything it has no band for, goes to our own filter processor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from daw_bridge.adapter import Feature, Losses
from daw_bridge.model import (
    BandKind,
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
)
from daw_bridge.units import q_to_octaves
from daw_bridge_ardour import plugins
from daw_bridge_ardour.names import printable
from daw_bridge_ardour.plugins import Plugin

BUTTERWORTH_Q = math.sqrt(0.5)
_Q_TOLERANCE = 0.005
_FILTER_KINDS = {
    BandKind.HIGHPASS: 0.0,
    BandKind.LOWPASS: 1.0,
    BandKind.LOWSHELF: 2.0,
    BandKind.HIGHSHELF: 3.0,
    BandKind.BELL: 4.0,
    BandKind.NOTCH: 5.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """One processor of a strip: a plug-in with its values, or a processor of the user's as XML (`state`)."""

    plugin: Plugin
    values: dict[str, float]
    enabled: bool = True
    sidechain_bus: str | None = None
    state: str = ""


class _Values:
    """Collects control values of one plug-in; what is out of range is clamped and noted."""

    def __init__(self, plugin: Plugin, feature: Feature, losses: Losses) -> None:
        self._plugin, self._feature, self._losses = plugin, feature, losses
        self.values = {control.symbol: control.default for control in plugin.controls}

    def set(self, symbol: str, value: float, what: str = "") -> None:
        """`what` says the value in the field's words, for the report."""
        control = self._plugin.control(symbol)
        kept = min(max(value, control.minimum), control.maximum)
        self.values[symbol] = kept
        if not math.isclose(kept, value, rel_tol=1e-9, abs_tol=1e-9):
            self._losses.bent(
                self._feature, f"{what or symbol} {value:g} became {kept:g}: {self._plugin.name} ends there"
            )

    def insert(self, *, enabled: bool, sidechain_bus: str | None = None) -> Insert:
        return Insert(plugin=self._plugin, values=self.values, enabled=enabled, sidechain_bus=sidechain_bus)


def chain_of(effects: Iterable[Effect], losses: Losses, sample_rate_hz: int) -> tuple[Insert, ...]:
    """The inserts of a strip in their order."""
    return tuple(insert for effect in effects for insert in _inserts(effect, losses, sample_rate_hz))


def _inserts(effect: Effect, losses: Losses, sample_rate_hz: int) -> list[Insert]:  # noqa: PLR0911  # one line a type
    match effect:
        case Equalizer():
            return _equalizer(effect, losses, sample_rate_hz)
        case Compressor():
            return _compressor(effect, losses)
        case Gate():
            return _gate(effect, losses)
        case Limiter():
            return _limiter(effect, losses)
        case Gain():
            return _gain(effect.gain_db, enabled=effect.enabled)
        case Reverb():
            return _reverb(effect, losses)
        case Delay():
            return _delay(effect, losses)
        case PluginRef():
            return _plugin_ref(effect, losses)
        case _:
            assert_never(effect)


def shelf_frequency_hz(band: EqBand, sample_rate_hz: int) -> float:
    """Where the ACE EQ's shelf knob must stand so that the shelf's midpoint is at `band.frequency_hz`."""
    sign = -1.0 if band.kind is BandKind.LOWSHELF else 1.0
    warped = math.tan(math.pi * band.frequency_hz / sample_rate_hz) * math.pow(10.0, sign * band.gain_db / 80.0)
    return math.atan(warped) * sample_rate_hz / math.pi


def _equalizer(effect: Equalizer, losses: Losses, sample_rate_hz: int) -> list[Insert]:
    stock: list[_AceEq] = []
    free: list[EqBand] = []
    for wanted in effect.bands:
        band = wanted
        if band.frequency_hz > 0.49 * sample_rate_hz:
            band = replace(band, frequency_hz=0.49 * sample_rate_hz)
            what = f"{wanted.kind} at {wanted.frequency_hz:g} Hz became {band.frequency_hz:g} Hz: half the sample rate"
            losses.bent(Feature.EQUALIZER, what)
        if not _place_in_ace_eq(band, sample_rate_hz, stock):
            free.append(band)
    inserts = [Insert(plugin=plugins.EQ, values=eq.values, enabled=effect.enabled) for eq in stock]
    for start in range(0, len(free), plugins.FILTER_BANDS):
        inserts.insert(0, _filters(free[start : start + plugins.FILTER_BANDS], losses, enabled=effect.enabled))
    return inserts


class _AceEq:
    """One ACE EQ that is being filled: its values, and the slots (l, 1..4, h) that no band took yet."""

    def __init__(self) -> None:
        off = {f"filtog{slot}": 0.0 for slot in "l1234h"}
        self.values = {control.symbol: control.default for control in plugins.EQ.controls} | off
        self._free = list("l1234h")

    def place(self, band: EqBand, slots: str, values: dict[str, float]) -> bool:
        """Take one of `slots`; False when none is free."""
        slot = next((slot for slot in slots if slot in self._free), None)
        if slot is None:
            return False
        self._free.remove(slot)
        self.values |= {f"{name}{slot}": value for name, value in values.items()}
        self.values |= {f"g{slot}": band.gain_db, f"filtog{slot}": float(band.enabled)}
        return True


def _place_in_ace_eq(band: EqBand, sample_rate_hz: int, stock: list[_AceEq]) -> bool:
    """Put a band into the first ACE EQ with a free slot (a further ACE EQ if need be); False when none can hold it."""
    if band.kind is BandKind.BELL:
        values = {"freq": band.frequency_hz, "bw": q_to_octaves(band.q)}
        slots = "1234"
    elif band.kind in (BandKind.LOWSHELF, BandKind.HIGHSHELF) and abs(band.q - BUTTERWORTH_Q) <= _Q_TOLERANCE:
        values = {"freq": shelf_frequency_hz(band, sample_rate_hz)}
        slots = "l" if band.kind is BandKind.LOWSHELF else "h"
    else:
        return False
    if abs(band.gain_db) > 20.0 or not 20.0 <= values["freq"] <= 20000.0 or not 0.1 <= values.get("bw", 1.0) <= 4.0:
        return False
    if not any(eq.place(band, slots, values) for eq in stock):
        stock.append(_AceEq())
        stock[-1].place(band, slots, values)
    return True


def _filters(bands: list[EqBand], losses: Losses, *, enabled: bool) -> Insert:
    values = _Values(plugins.filters(), Feature.EQUALIZER, losses)
    for number, band in enumerate(bands):
        at = number * plugins.FILTER_CONTROLS_PER_BAND
        values.set(str(at), _FILTER_KINDS[band.kind])
        values.set(str(at + 1), band.frequency_hz, f"{band.kind} frequency")
        values.set(str(at + 2), band.q, f"{band.kind} Q")
        values.set(str(at + 3), band.gain_db, f"{band.kind} gain")
        values.set(str(at + 4), float(band.enabled))
    return values.insert(enabled=enabled)


def _compressor(effect: Compressor, losses: Losses) -> list[Insert]:
    values = _Values(plugins.COMPRESSOR, Feature.COMPRESSOR, losses)
    values.set("thr", effect.threshold_db, "threshold")
    values.set("rat", effect.ratio, "ratio")
    values.set("att", effect.attack_ms, "attack")
    values.set("rel", effect.release_ms, "release")
    values.set("kn", effect.knee_db / 6.0, "knee/6")
    makeup_db = effect.makeup_db if 0.0 <= effect.makeup_db <= 30.0 else 0.0
    values.set("mak", makeup_db)
    if effect.sidechain_bus is not None:
        values.set("sidech", 1.0)
    compressor = values.insert(enabled=effect.enabled, sidechain_bus=effect.sidechain_bus)
    rest_db = effect.makeup_db - makeup_db
    return [compressor, *(_gain(rest_db, enabled=effect.enabled) if rest_db else [])]


def _gate(effect: Gate, losses: Losses) -> list[Insert]:
    values = _Values(plugins.EXPANDER, Feature.GATE, losses)
    values.set("thr", effect.threshold_db, "threshold")
    values.set("rat", 100.0)
    values.set("att", effect.attack_ms, "attack")
    values.set("rel", effect.release_ms, "release")
    if effect.hold_ms > 0.0:
        losses.bent(Feature.GATE, f"no hold time in the ACE Expander: {effect.hold_ms:g} ms left out")
    return [values.insert(enabled=effect.enabled)]


def _limiter(effect: Limiter, losses: Losses) -> list[Insert]:
    values = _Values(plugins.COMPRESSOR, Feature.LIMITER, losses)
    values.set("thr", min(effect.threshold_db, effect.ceiling_db), "threshold")
    values.set("rat", 20.0)
    values.set("att", 0.1)
    values.set("rel", effect.release_ms, "release")
    losses.bent(
        Feature.LIMITER,
        f"Ardour has no brick-wall limiter: ACE Compressor at 20:1 from {values.values['thr']:g} dB instead, "
        f"so peaks can pass the ceiling of {effect.ceiling_db:g} dB",
    )
    return [values.insert(enabled=effect.enabled)]


def _gain(gain_db: float, *, enabled: bool) -> list[Insert]:
    """Ardour has no plain gain LV2: the master gain of an ACE EQ whose bands are off; several beyond 20 dB."""
    inserts = []
    rest_db = gain_db
    while True:
        step_db = min(max(rest_db, -20.0), 20.0)
        inserts.append(Insert(plugin=plugins.EQ, values=_AceEq().values | {"master": step_db}, enabled=enabled))
        rest_db -= step_db
        if abs(rest_db) < 1e-9:
            return inserts


def _reverb(effect: Reverb, losses: Losses) -> list[Insert]:
    values = _Values(plugins.REVERB, Feature.REVERB, losses)
    values.set("blend", 1.0)
    values.set("roomsz", 0.5 + 0.5 * effect.room_size, "room size")
    losses.bent(Feature.REVERB, "ACE Reverb has a room size only: its tail differs, damping and width are left out")
    inserts = [values.insert(enabled=effect.enabled)]
    if effect.predelay_ms > 0.0:
        predelay = _Values(plugins.DELAY, Feature.REVERB, losses)
        _only_delay(predelay, effect.predelay_ms, 0.0)
        inserts.insert(0, predelay.insert(enabled=effect.enabled))
    return inserts


def _only_delay(values: _Values, time_ms: float, feedback: float) -> None:
    values.set("time", time_ms, "delay time")
    values.set("drywet", 100.0)
    values.set("feedback", 100.0 * feedback, "feedback in percent")
    values.set("lpf", 20000.0)


def _delay(effect: Delay, losses: Losses) -> list[Insert]:
    values = _Values(plugins.DELAY, Feature.DELAY, losses)
    _only_delay(values, effect.time_ms, effect.feedback)
    losses.bent(Feature.DELAY, "ACE Delay filters its repeats above 20 kHz")
    return [values.insert(enabled=effect.enabled)]


def _plugin_ref(effect: PluginRef, losses: Losses) -> list[Insert]:
    if effect.daw != "ardour":
        losses.lost(Feature.PLUGIN, f"{effect.name} is a plug-in for {effect.daw}")
        return []
    known = {plugin.unique_id: plugin for plugin in plugins.STOCK} | {plugin.name: plugin for plugin in plugins.STOCK}
    uri = printable(effect.name) or "urn:nothing"
    plugin = known.get(effect.name) or Plugin(name=uri, kind="lv2", unique_id=uri, channels=-1)
    values = {printable(symbol): value for symbol, value in effect.parameters}
    return [Insert(plugin=plugin, values=values, enabled=effect.enabled, state=effect.state)]
