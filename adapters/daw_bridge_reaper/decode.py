"""REAPER's plug-ins -> effects in the field's units, as far as nothing is lost; the others keep their state.

The test for "nothing is lost" is to write the effect again: when REAPER would get the same settings, the units say
everything. Otherwise the plug-in stays what it is, a `plugin:` with its state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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
from daw_bridge.units import octaves_to_q
from daw_bridge_reaper import rpp
from daw_bridge_reaper.effects import DAW, EQ_KINDS, MAX_WET_DB, to_fx
from daw_bridge_reaper.rpp import Chunk
from daw_bridge_reaper.session import Fx, RawFx, VstFx
from daw_bridge_reaper.stock_state import (
    ReaComp,
    ReaDelay,
    ReaEq,
    ReaGate,
    ReaLimit,
    ReaVerbate,
    decode_parameters,
)
from daw_bridge_reaper.write import fx_chunk

_BAND_KINDS = {int(kind): band for band, kind in EQ_KINDS.items()}
_WET_INDEX, _RMS_INDEX = 11, 13
MAX_TEMPLATE_BANDS = 16
MAX_PLUGIN_NAME = 200


def to_effects(fx: Fx, notes: Losses, sidechain_bus: str | None, *, on_return: bool) -> list[Effect]:
    """The effects that say what `fx` does; `sidechain_bus` is the bus that reaches its auxiliary input."""
    if isinstance(fx, VstFx):
        try:
            effects = _DECODERS[fx.plugin](fx, notes, sidechain_bus)
        except (ValueError, ArithmeticError):  # a state with numbers that no unit of the field has
            effects = []
        fully_wet = any(isinstance(effect, Reverb | Delay) for effect in effects)
        if effects and (on_return or not fully_wet):
            return effects
    return [_kept(fx)]


def _kept(fx: Fx) -> PluginRef:
    chunk = fx_chunk(fx)
    state = fx.chunk if isinstance(fx, RawFx) else rpp.plain_text(chunk)
    return PluginRef(daw=DAW, name=fx_name(chunk), state=state, enabled=fx.enabled)


def fx_name(chunk: Chunk) -> str:
    """What a person calls a plug-in."""
    tokens = [*chunk.tokens, "", "", ""]
    if tokens[0] == "JS":
        return f"JS: {tokens[1]}"
    if tokens[0] == "CONTAINER":
        return f"Container {tokens[2]}".strip()
    return (tokens[1] or tokens[0])[:MAX_PLUGIN_NAME]


def _equalizer(fx: VstFx, _notes: Losses, _bus: str | None) -> list[Effect]:
    state = ReaEq.decode(fx.data)
    gain_db = tidy(state.master_gain_db)
    gain: list[Effect] = [Gain(gain_db=gain_db, enabled=fx.enabled)]
    if not any(band.enabled for band in state.bands):
        return gain if -120.0 <= gain_db <= 24.0 else []
    if not -120.0 <= gain_db <= 24.0 or len(state.bands) > MAX_TEMPLATE_BANDS:
        return []
    bands = []
    for band in state.bands:
        kind = _BAND_KINDS.get(band.kind)
        q = octaves_to_q(band.bandwidth_octaves)
        if kind is None or not (0.1 <= q <= 30.0 and abs(band.gain_db) <= 30.0 and band.frequency_hz >= 10.0):
            return []
        has_gain = kind in (BandKind.BELL, BandKind.LOWSHELF, BandKind.HIGHSHELF)
        bands.append(
            EqBand(
                kind=kind,
                frequency_hz=tidy(band.frequency_hz),
                gain_db=tidy(band.gain_db) if has_gain else 0.0,
                q=tidy(q),
                enabled=band.enabled,
            )
        )
    equalizer = Equalizer(bands=tuple(bands), enabled=fx.enabled)
    return [equalizer, *gain] if gain_db else [equalizer]


def _compressor(fx: VstFx, notes: Losses, bus: str | None) -> list[Effect]:
    state = ReaComp.decode(fx.data)
    if state.auxiliary and bus is None:
        return []
    effect = Compressor(
        threshold_db=tidy(state.threshold_db),
        ratio=tidy(min(state.ratio, 100.0)),
        attack_ms=tidy(state.attack_ms),
        release_ms=tidy(state.release_ms),
        knee_db=tidy(state.knee_db),
        makeup_db=tidy(state.wet_db),
        sidechain_bus=bus if state.auxiliary else None,
        enabled=fx.enabled,
    )
    in_range = -80.0 <= effect.threshold_db <= 0.0 and effect.release_ms >= 1.0 and abs(effect.makeup_db) <= 24.0
    # What goes past MAX_WET_DB is written as a gain of its own, which sounds the same.
    but = (_RMS_INDEX, _WET_INDEX) if effect.makeup_db > MAX_WET_DB else (_RMS_INDEX,)
    same = _same_parameters(fx, effect, fx.sidechain_channel if state.auxiliary else None, but)
    if not in_range or not same:
        return []
    if state.rms_ms > 0.0:
        notes.bent(Feature.COMPRESSOR, f"ReaComp's RMS window of {state.rms_ms:.3g} ms became a peak detector")
    return [effect]


def _gate(fx: VstFx, _notes: Losses, _bus: str | None) -> list[Effect]:
    state = ReaGate.decode(fx.data)
    effect = Gate(
        threshold_db=tidy(state.threshold_db),
        attack_ms=tidy(state.attack_ms),
        hold_ms=tidy(state.hold_ms),
        release_ms=tidy(state.release_ms),
        enabled=fx.enabled,
    )
    in_range = -100.0 <= effect.threshold_db <= 0.0 and effect.release_ms >= 1.0
    return [effect] if in_range and _same_parameters(fx, effect) else []


def _limiter(fx: VstFx, _notes: Losses, _bus: str | None) -> list[Effect]:
    state = ReaLimit.decode(fx.data)
    effect = Limiter(ceiling_db=tidy(state.ceiling_db), threshold_db=tidy(state.ceiling_db), enabled=fx.enabled)
    written = ReaLimit(threshold_db=effect.ceiling_db, ceiling_db=effect.ceiling_db).encode()
    return [effect] if -24.0 <= effect.ceiling_db <= 0.0 and written == fx.data else []


def _reverb(fx: VstFx, _notes: Losses, _bus: str | None) -> list[Effect]:
    state = ReaVerbate.decode(fx.data)
    effect = Reverb(
        room_size=tidy(state.room_size),
        damping=tidy(state.damping),
        width=tidy(state.width),
        predelay_ms=tidy(state.predelay_ms),
        enabled=fx.enabled,
    )
    in_range = all(0.0 <= value <= 1.0 for value in (effect.room_size, effect.damping, effect.width))
    return [effect] if in_range and _same_parameters(fx, effect) else []


def _delay(fx: VstFx, _notes: Losses, _bus: str | None) -> list[Effect]:
    state = ReaDelay.decode(fx.data)
    effect = Delay(time_ms=tidy(state.time_ms), feedback=tidy(state.feedback_linear), enabled=fx.enabled)
    written = ReaDelay(time_ms=effect.time_ms, feedback_linear=effect.feedback)
    plain = (state.wet_linear, state.dry_linear, state.musical) == (1.0, 0.0, 0.0)
    same = len(fx.data) == len(written.encode()) and fx.data[32:36] == written.encode()[32:36]
    rest = fx.data[52:] == written.encode()[52:]  # filters, width, volume, pan
    in_range = 1.0 <= effect.time_ms <= 5000.0 and 0.0 <= effect.feedback <= 0.95
    return [effect] if plain and same and rest and in_range else []


_DECODERS: dict[str, Callable[[VstFx, Losses, str | None], list[Effect]]] = {
    "ReaEQ": _equalizer,
    "ReaComp": _compressor,
    "ReaGate": _gate,
    "ReaLimit": _limiter,
    "ReaVerbate": _reverb,
    "ReaDelay": _delay,
}


def _same_parameters(
    fx: VstFx,
    effect: Effect,
    key_channel: int | None = None,
    but: Sequence[int] = (),
) -> bool:
    """Whether writing `effect` gives the parameters of `fx`; older versions of a plug-in have fewer of them."""
    first = to_fx(effect, Losses(), key_channel)[0]
    if not isinstance(first, VstFx):
        return False
    pairs = enumerate(zip(decode_parameters(fx.data), decode_parameters(first.data), strict=False))
    return all(index in but or math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-6) for index, (a, b) in pairs)


def tidy(value: float) -> float:
    """`value` without the noise of 32-bit storage: the shortest number that is the same to 6 digits."""
    if not math.isfinite(value):
        raise ValueError("not finite")
    return float(f"{value:.6g}") + 0.0
