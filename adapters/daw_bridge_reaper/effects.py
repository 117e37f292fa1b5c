"""Effects in the field's units -> REAPER's own plug-ins, with a list of what got bent or lost on the way."""

from __future__ import annotations

from typing import assert_never

from daw_bridge.adapter import Feature, Losses
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
from daw_bridge_reaper.chain import checked_part
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


def to_fx(effect: Effect, losses: Losses, key_channel: int | None = None) -> list[Fx]:  # noqa: PLR0911  # one a type
    """The plug-ins that make `effect`, in order; empty when REAPER has none for it.

    `key_channel` is the first track channel (from 0) of the pair that drives a compressor; None: its own input.
    """
    match effect:
        case Equalizer():
            return _equalizer(effect, losses)
        case Compressor():
            return _compressor(effect, losses, key_channel)
        case Gate():
            return _gate(effect, losses)
        case Limiter():
            return _limiter(effect, losses)
        case Gain():
            return _gain(effect)
        case Reverb():
            return _reverb(effect, losses)
        case Delay():
            return _delay(effect, losses)
        case PluginRef():
            return _plugin(effect, losses)
        case _:
            assert_never(effect)


def _equalizer(effect: Equalizer, losses: Losses) -> list[Fx]:
    if not effect.bands:
        return []
    bands = [
        ReaEqBand(
            kind=EQ_KINDS[band.kind],
            frequency_hz=losses.clamp(Feature.EQUALIZER, "frequency (Hz)", band.frequency_hz, 20.0, 24_000.0),
            gain_db=band.gain_db if band.kind in _WITH_GAIN else 0.0,
            bandwidth_octaves=losses.clamp(Feature.EQUALIZER, "bandwidth (octaves)", q_to_octaves(band.q), 0.01, 4.0),
            enabled=band.enabled,
        )
        for band in effect.bands
    ]
    if any(band.kind in (BandKind.LOWSHELF, BandKind.HIGHSHELF) and band.enabled for band in effect.bands):
        losses.bent(Feature.EQUALIZER, "ReaEQ draws the knee of its shelves in its own way; corner and gain are exact")
    return [
        VstFx(
            plugin="ReaEQ", data=ReaEq(bands=tuple(bands[start : start + MAX_BANDS])).encode(), enabled=effect.enabled
        )
        for start in range(0, len(bands), MAX_BANDS)
    ]


_WITH_GAIN = frozenset({BandKind.BELL, BandKind.LOWSHELF, BandKind.HIGHSHELF})


def _compressor(effect: Compressor, losses: Losses, key_channel: int | None) -> list[Fx]:
    feature = Feature.COMPRESSOR
    wet_db = min(effect.makeup_db, MAX_WET_DB)
    state = ReaComp(
        threshold_db=losses.clamp(feature, "threshold (dB)", effect.threshold_db, -60.0, 6.0),
        ratio=losses.clamp(feature, "ratio", effect.ratio, 1.0, float("inf")),
        attack_ms=losses.clamp(feature, "attack (ms)", effect.attack_ms, 0.0, 500.0),
        release_ms=losses.clamp(feature, "release (ms)", effect.release_ms, 0.0, 5000.0),
        knee_db=losses.clamp(feature, "knee (dB)", effect.knee_db, 0.0, 24.0),
        rms_ms=0.0,  # the template's threshold means peaks
        wet_db=wet_db,
        auxiliary=key_channel is not None,
    )
    compressor = VstFx(plugin="ReaComp", data=state.encode(), sidechain_channel=key_channel, enabled=effect.enabled)
    return [compressor, *_gain_stages(effect.makeup_db - wet_db, effect.enabled)]


def _gate(effect: Gate, losses: Losses) -> list[Fx]:
    feature = Feature.GATE
    state = ReaGate(
        threshold_db=losses.clamp(feature, "threshold (dB)", effect.threshold_db, -150.0, 0.0),
        attack_ms=losses.clamp(feature, "attack (ms)", effect.attack_ms, 0.0, 500.0),
        hold_ms=losses.clamp(feature, "hold (ms)", effect.hold_ms, 0.0, 1000.0),
        release_ms=losses.clamp(feature, "release (ms)", effect.release_ms, 0.0, 5000.0),
    )
    return [VstFx(plugin="ReaGate", data=state.encode(), enabled=effect.enabled)]


def _limiter(effect: Limiter, losses: Losses) -> list[Fx]:
    """ReaLimit adds ceiling - threshold as gain; equal values make a plain brick wall, which is what is asked for."""
    if effect.threshold_db != effect.ceiling_db:
        losses.bent(Feature.LIMITER, f"ReaLimit starts at its ceiling ({effect.ceiling_db:g} dB), not at a threshold")
    losses.bent(Feature.LIMITER, "ReaLimit's release is a rate; it keeps its default of 15 dB/s")
    ceiling_db = losses.clamp(Feature.LIMITER, "ceiling (dB)", effect.ceiling_db, -60.0, 0.0)
    state = ReaLimit(threshold_db=ceiling_db, ceiling_db=ceiling_db)
    return [VstFx(plugin="ReaLimit", data=state.encode(), enabled=effect.enabled)]


def _gain(effect: Gain) -> list[Fx]:
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


def _reverb(effect: Reverb, losses: Losses) -> list[Fx]:
    losses.bent(Feature.REVERB, "ReaVerbate has its own sound; size, damping, width and pre-delay are set")
    state = ReaVerbate(
        room_size=effect.room_size,
        damping=effect.damping,
        width=effect.width,
        predelay_ms=losses.clamp(Feature.REVERB, "pre-delay (ms)", effect.predelay_ms, 0.0, 500.0),
    )
    return [VstFx(plugin="ReaVerbate", data=state.encode(), enabled=effect.enabled)]


def _delay(effect: Delay, losses: Losses) -> list[Fx]:
    state = ReaDelay(
        time_ms=losses.clamp(Feature.DELAY, "time (ms)", effect.time_ms, 0.0, 10_000.0),
        feedback_linear=effect.feedback,
    )
    return [VstFx(plugin="ReaDelay", data=state.encode(), enabled=effect.enabled)]


def _plugin(effect: PluginRef, losses: Losses) -> list[Fx]:
    if effect.daw != DAW:
        losses.lost(Feature.PLUGIN, f"{effect.name} is a plug-in for {effect.daw}")
        return []
    if effect.state:
        return [RawFx(chunk=checked_part(effect.state, effect.name), enabled=effect.enabled)]
    if effect.name.upper().startswith("JS:"):
        return [RawFx(chunk=_jsfx(effect, losses), enabled=effect.enabled)]
    losses.lost(Feature.PLUGIN, f"{effect.name}: a plug-in other than a JSFX needs its state in the template")
    return []


def _jsfx(effect: PluginRef, losses: Losses) -> str:
    """`JS: path/below/Effects` with parameters named `slider1`... or `1`... as the chunk that REAPER saves."""
    sliders: dict[int, float] = {}
    for name, value in effect.parameters:
        digits = name.lower().removeprefix("slider").strip()
        if digits.isdigit() and 1 <= int(digits) <= MAX_SLIDERS:
            sliders[int(digits)] = value
        else:
            losses.lost(Feature.PLUGIN, f"{effect.name}: {name} is no slider; write slider1 to slider{MAX_SLIDERS}")
    path = effect.name[3:].strip()
    chunk = rpp.Chunk.of("JS", rpp.Symbol(path) if rpp.is_bare(path) else path, "")
    slots = (rpp.number(sliders[slot]) if slot in sliders else "-" for slot in range(1, MAX_SLIDERS + 1))
    chunk.body.append(rpp.Line.verbatim(" ".join(slots)))
    return rpp.plain_text(chunk)
