"""Effects in the field's units -> REAPER's own plug-ins, with a list of what got bent or lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from daw_bridge.adapter import Feature, Limit, Support
from daw_bridge.errors import InputError
from daw_bridge.model import (
    BandKind,
    Compressor,
    Delay,
    Effect,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
)
from daw_bridge.units import q_to_octaves
from daw_bridge_reaper import rpp
from daw_bridge_reaper.session import Fx, RawFx, VstFx
from daw_bridge_reaper.stock_state import (
    ReaComp,
    ReaDelay,
    ReaEq,
    ReaEqBand,
    ReaEqKind,
    ReaGate,
    ReaLimit,
    ReaVerbate,
)

EQ_KINDS = {
    BandKind.HIGHPASS: ReaEqKind.HIGH_PASS,
    BandKind.LOWPASS: ReaEqKind.LOW_PASS,
    BandKind.LOWSHELF: ReaEqKind.LOW_SHELF,
    BandKind.HIGHSHELF: ReaEqKind.HIGH_SHELF,
    BandKind.BELL: ReaEqKind.BAND,
    BandKind.NOTCH: ReaEqKind.NOTCH,
}
MAX_BANDS = 64
MAX_WET_DB = 6.0
"""ReaComp's make-up: +7.6 dB was seen in a real project; what goes past 6 dB is made by a gain behind it."""
MAX_GAIN_DB = 12.0
DAW = "reaper"
MAX_SLIDERS = 64


@dataclass(slots=True)
class Notes:
    """Collects the limits of one bus or track."""

    where: str
    limits: list[Limit] = field(default_factory=list)

    def bent(self, feature: Feature, what: str) -> None:
        self._add(feature, Support.APPROXIMATED, what)

    def lost(self, feature: Feature, what: str) -> None:
        self._add(feature, Support.NOT_POSSIBLE, what)

    def _add(self, feature: Feature, support: Support, what: str) -> None:
        limit = Limit(feature=feature, support=support, where=self.where, what=what)
        if limit not in self.limits:
            self.limits.append(limit)

    def clamp(self, feature: Feature, name: str, value: float, low: float, high: float) -> float:
        """`value` within the plug-in's range, with a note when it was not."""
        inside = min(max(value, low), high)
        if inside != value:
            self.bent(feature, f"{name} {value:g} is outside the plug-in's range and became {inside:g}")
        return inside


class Detector(NamedTuple):
    """What drives a compressor: the first track channel (from 0) of the side-chain pair, or None for its own input."""

    channel: int | None = None


NO_SIDECHAIN = Detector()


def to_fx(effect: Effect, notes: Notes, detector: Detector = NO_SIDECHAIN) -> list[Fx]:
    """The plug-ins that make `effect`, in order; empty when REAPER has none for it."""
    if isinstance(effect, Compressor):
        return _compressor(effect, notes, detector)
    maker: Callable[[Effect, Notes], list[Fx]] = _MAKERS[type(effect)]
    return maker(effect, notes)


def _equalizer(effect: Equalizer, notes: Notes) -> list[Fx]:
    if not effect.bands:
        return []
    bands = [
        ReaEqBand(
            kind=EQ_KINDS[band.kind],
            frequency_hz=notes.clamp(Feature.EQUALIZER, "frequency (Hz)", band.frequency_hz, 20.0, 24_000.0),
            gain_db=band.gain_db if band.kind in _WITH_GAIN else 0.0,
            bandwidth_octaves=notes.clamp(Feature.EQUALIZER, "bandwidth (octaves)", q_to_octaves(band.q), 0.01, 4.0),
            enabled=band.enabled,
        )
        for band in effect.bands
    ]
    if any(band.kind in (BandKind.LOWSHELF, BandKind.HIGHSHELF) and band.enabled for band in effect.bands):
        notes.bent(Feature.EQUALIZER, "ReaEQ draws the knee of its shelves in its own way; corner and gain are exact")
    return [
        VstFx(
            plugin="ReaEQ", data=ReaEq(bands=tuple(bands[start : start + MAX_BANDS])).encode(), enabled=effect.enabled
        )
        for start in range(0, len(bands), MAX_BANDS)
    ]


_WITH_GAIN = frozenset({BandKind.BELL, BandKind.LOWSHELF, BandKind.HIGHSHELF})


def _compressor(effect: Compressor, notes: Notes, detector: Detector) -> list[Fx]:
    feature = Feature.COMPRESSOR
    wet_db = min(effect.makeup_db, MAX_WET_DB)
    state = ReaComp(
        threshold_db=notes.clamp(feature, "threshold (dB)", effect.threshold_db, -60.0, 6.0),
        ratio=notes.clamp(feature, "ratio", effect.ratio, 1.0, float("inf")),
        attack_ms=notes.clamp(feature, "attack (ms)", effect.attack_ms, 0.0, 500.0),
        release_ms=notes.clamp(feature, "release (ms)", effect.release_ms, 0.0, 5000.0),
        knee_db=notes.clamp(feature, "knee (dB)", effect.knee_db, 0.0, 24.0),
        rms_ms=0.0,  # the template's threshold means peaks
        wet_db=wet_db,
        auxiliary=detector.channel is not None,
    )
    compressor = VstFx(
        plugin="ReaComp", data=state.encode(), sidechain_channel=detector.channel, enabled=effect.enabled
    )
    return [compressor, *_gain_stages(effect.makeup_db - wet_db, effect.enabled)]


def _gate(effect: Gate, notes: Notes) -> list[Fx]:
    feature = Feature.GATE
    state = ReaGate(
        threshold_db=notes.clamp(feature, "threshold (dB)", effect.threshold_db, -150.0, 0.0),
        attack_ms=notes.clamp(feature, "attack (ms)", effect.attack_ms, 0.0, 500.0),
        hold_ms=notes.clamp(feature, "hold (ms)", effect.hold_ms, 0.0, 1000.0),
        release_ms=notes.clamp(feature, "release (ms)", effect.release_ms, 0.0, 5000.0),
    )
    return [VstFx(plugin="ReaGate", data=state.encode(), enabled=effect.enabled)]


def _limiter(effect: Limiter, notes: Notes) -> list[Fx]:
    """ReaLimit adds ceiling - threshold as gain; equal values make a plain brick wall, which is what is asked for."""
    if effect.threshold_db != effect.ceiling_db:
        notes.bent(Feature.LIMITER, f"ReaLimit starts at its ceiling ({effect.ceiling_db:g} dB), not at a threshold")
    notes.bent(Feature.LIMITER, "ReaLimit's release is a rate; it keeps its default of 15 dB/s")
    ceiling_db = notes.clamp(Feature.LIMITER, "ceiling (dB)", effect.ceiling_db, -60.0, 0.0)
    state = ReaLimit(threshold_db=ceiling_db, ceiling_db=ceiling_db)
    return [VstFx(plugin="ReaLimit", data=state.encode(), enabled=effect.enabled)]


def _gain(effect: Gain, _notes: Notes) -> list[Fx]:
    return _gain_stages(effect.gain_db, effect.enabled) or _gain_stages(0.0, effect.enabled, force=True)


def _gain_stages(gain_db: float, enabled: bool, *, force: bool = False) -> list[Fx]:
    """Gain as the master gain of a ReaEQ with its one band off: the only stock plug-in that stores it exactly.

    (`utility/volume` counts 6 dB as a factor of 2 and clips at its second slider.)
    """
    stages: list[Fx] = []
    while abs(gain_db) > 1e-9 or (force and not stages):
        step_db = min(gain_db, MAX_GAIN_DB)
        off = ReaEqBand(kind=ReaEqKind.BAND, frequency_hz=1000.0, enabled=False)
        stages.append(VstFx(plugin="ReaEQ", data=ReaEq(bands=(off,), master_gain_db=step_db).encode(), enabled=enabled))
        gain_db -= step_db
    return stages


def _reverb(effect: Reverb, notes: Notes) -> list[Fx]:
    notes.bent(Feature.REVERB, "ReaVerbate has its own sound; size, damping, width and pre-delay are set")
    state = ReaVerbate(
        room_size=effect.room_size,
        damping=effect.damping,
        width=effect.width,
        predelay_ms=notes.clamp(Feature.REVERB, "pre-delay (ms)", effect.predelay_ms, 0.0, 500.0),
    )
    return [VstFx(plugin="ReaVerbate", data=state.encode(), enabled=effect.enabled)]


def _delay(effect: Delay, notes: Notes) -> list[Fx]:
    state = ReaDelay(
        time_ms=notes.clamp(Feature.DELAY, "time (ms)", effect.time_ms, 0.0, 10_000.0),
        feedback_linear=effect.feedback,
    )
    return [VstFx(plugin="ReaDelay", data=state.encode(), enabled=effect.enabled)]


def _plugin(effect: PluginRef, notes: Notes) -> list[Fx]:
    if effect.daw != DAW:
        notes.lost(Feature.PLUGIN, f"{effect.name} is a plug-in for {effect.daw}")
        return []
    if effect.state:
        return [RawFx(chunk=_checked_chunk(effect), enabled=effect.enabled)]
    if effect.name.upper().startswith("JS:"):
        return [RawFx(chunk=_jsfx(effect, notes), enabled=effect.enabled)]
    notes.lost(Feature.PLUGIN, f"{effect.name}: a plug-in other than a JSFX needs its state in the template")
    return []


def _checked_chunk(effect: PluginRef) -> str:
    """The state as one plug-in chunk: text that closes its chunk early could write anything into the project."""
    text = effect.state.replace("\r\n", "\n").strip() + "\n"
    document = rpp.parse(text, f"the state of {effect.name}")
    if document.problems or document.before or document.after or document.root.name not in rpp.FX_CHUNKS:
        kinds = ", ".join(sorted(rpp.FX_CHUNKS))
        raise InputError(f"the state of {effect.name} is not one plug-in block of a REAPER project (<{kinds} ...>)")
    return rpp.plain_text(document.root)


def _jsfx(effect: PluginRef, notes: Notes) -> str:
    """`JS: path/below/Effects` with parameters named `slider1`... or `1`... as the chunk that REAPER saves."""
    sliders: dict[int, float] = {}
    for name, value in effect.parameters:
        digits = name.lower().removeprefix("slider").strip()
        if digits.isdigit() and 1 <= int(digits) <= MAX_SLIDERS:
            sliders[int(digits)] = value
        else:
            notes.lost(Feature.PLUGIN, f"{effect.name}: {name} is no slider; write slider1 to slider{MAX_SLIDERS}")
    path = effect.name[3:].strip()
    chunk = rpp.Chunk.of("JS", rpp.Symbol(path) if rpp.is_bare(path) else path, "")
    slots = (rpp.number(sliders[slot]) if slot in sliders else "-" for slot in range(1, MAX_SLIDERS + 1))
    chunk.body.append(rpp.Line.verbatim(" ".join(slots)))
    return rpp.plain_text(chunk)


_MAKERS: dict[type[Effect], Callable[..., list[Fx]]] = {
    Equalizer: _equalizer,
    Gate: _gate,
    Limiter: _limiter,
    Gain: _gain,
    Reverb: _reverb,
    Delay: _delay,
    PluginRef: _plugin,
}
