"""How a plug-in is made in the open project, by the calls that there are, and what those cannot set."""

from __future__ import annotations

from dataclasses import dataclass, replace

from daw_bridge.errors import DawError
from daw_bridge_reaper import rpp
from daw_bridge_reaper.chain import inner_count, part_of_state
from daw_bridge_reaper.plugin_state import OWN_CHUNK, PARAMETER_LIST, STOCK, VstState, decode_block, stock_state
from daw_bridge_reaper.session import Fx, RawFx
from daw_bridge_reaper.stock_state import decode_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """How a plug-in is made by calls: its name to add it by, then its chunk, its parameters, its input pins."""

    title: str
    chunk: bytes | None = None
    parameters: tuple[tuple[int, float], ...] = ()
    pins: tuple[int, ...] = ()
    lost: tuple[str, ...] = ()


def live_state(fx: Fx) -> LiveState:
    if isinstance(fx, RawFx):
        return _raw_state(fx)
    plugin = STOCK[fx.plugin]
    state = stock_state(plugin, fx.data, fx.sidechain_channel)
    pins = state.input_masks if fx.sidechain_channel is not None else ()
    return _vst_state(fx.plugin, state, pins)


def _vst_state(title: str, state: VstState, pins: tuple[int, ...]) -> LiveState:
    if state.storage == OWN_CHUNK:
        return LiveState(title=title, chunk=state.data, pins=pins)
    values = tuple(enumerate(decode_parameters(state.data))) if state.storage == PARAMETER_LIST else ()
    return LiveState(title=title, parameters=values, pins=pins)


_AROUND = {
    "WET": "its wet level",
    "PARALLEL": "running beside the one before it",
    "<PROGRAMENV": "parameter modulation",
}


def _raw_state(fx: RawFx) -> LiveState:
    """What the calls can set of a part that was kept as text; `lost` names the rest, which only a file can hold."""
    part = part_of_state(fx.chunk)
    state = _inner_state(part.chunk)
    lost = [*state.lost, *(_AROUND.get(word, word.removeprefix("<")) for word in part.kept)]
    if part.offline:
        lost.append("being offline")
    return replace(state, lost=tuple(dict.fromkeys(lost)))


def _inner_state(chunk: rpp.Chunk) -> LiveState:
    tokens = [*chunk.tokens, "", ""]
    lines = [part for part in chunk.body if isinstance(part, rpp.Line)]
    if tokens[0] == "CONTAINER":
        return LiveState(title="Container", lost=(f"the {inner_count(chunk)} plug-in(s) in the container",))
    if tokens[0] == "JS":
        sliders = lines[0].tokens if lines else []
        values = tuple((slot, rpp.to_float(text)) for slot, text in enumerate(sliders) if text != "-")
        return LiveState(title=f"JS: {tokens[1]}", parameters=values, lost=("its other state",) if lines[1:] else ())
    if tokens[0] != "VST":
        return LiveState(title=tokens[1], lost=("its state",) if chunk.body else ())
    try:
        state = decode_block(line.text for line in lines)
    except (DawError, ValueError):
        return LiveState(title=tokens[1], lost=("its state",) if lines else ())
    made = _vst_state(tokens[1], state, state.input_masks)
    return made if made.chunk is not None or made.parameters or not state.data else replace(made, lost=("its state",))
