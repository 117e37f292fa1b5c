"""The frame around a VST2 plug-in's state inside a project's `<VST>` block, and who REAPER's own plug-ins are.

    <VST "VST: ReaEQ (Cockos)" reaeq.dll 0 "" 1919247729<56535472656571726561657100000000> ""
      header    4cc reversed, magic, pin maps, size of the data, whether it is the plug-in's own chunk
      data      the plug-in's state (see stock_state.py)
      trailer   preset name, program name, 16
    >

Each part is base64-encoded on its own in lines of 128 characters. The layout was derived from the blocks of real
projects (REAPER 3 to 7.40); REAPER finds the plug-in by the number, so one file name serves all systems.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daw_bridge.errors import InputError

_MAGIC = 0xFEED5EEE
_MAGIC_SIDECHAIN = 0xFEED5EEF
_TAIL = 0x00100000
_LINE = 128
OWN_CHUNK = 1
PARAMETER_LIST = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPlugin:
    """One of REAPER's own plug-ins: `four_cc` and `base` make its id, `inputs` counts its pins, `storage` says whether
    it saves its own chunk or REAPER a list of parameters."""

    name: str
    base: str
    four_cc: str
    inputs: int
    magic: int
    storage: int

    @property
    def number(self) -> int:
        """The VST2 unique id as a decimal number."""
        return int.from_bytes(self.four_cc.encode("ascii"), "big")

    @property
    def uid(self) -> str:
        """`number<hex of "VST", the 4cc and the name, padded to 16 bytes>`."""
        raw = (b"VST" + self.four_cc.encode("ascii") + self.base.encode("ascii"))[:16].ljust(16, b"\0")
        return f"{self.number}<{raw.hex().upper()}>"


STOCK = {
    plugin.name: plugin
    for plugin in (
        StockPlugin(name="ReaEQ", base="reaeq", four_cc="reeq", inputs=2, magic=_MAGIC, storage=OWN_CHUNK),
        StockPlugin(
            name="ReaComp", base="reacomp", four_cc="recm", inputs=4, magic=_MAGIC_SIDECHAIN, storage=PARAMETER_LIST
        ),
        StockPlugin(
            name="ReaGate", base="reagate", four_cc="regt", inputs=4, magic=_MAGIC_SIDECHAIN, storage=PARAMETER_LIST
        ),
        StockPlugin(name="ReaLimit", base="realimit", four_cc="rlmt", inputs=2, magic=_MAGIC, storage=OWN_CHUNK),
        StockPlugin(
            name="ReaVerbate",
            base="reaverbate",
            four_cc="rvb8",
            inputs=2,
            magic=_MAGIC_SIDECHAIN,
            storage=PARAMETER_LIST,
        ),
        StockPlugin(name="ReaDelay", base="readelay", four_cc="redl", inputs=2, magic=_MAGIC, storage=OWN_CHUNK),
    )
}
"""The plug-ins whose state is known, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VstState:
    """A parsed block. A pin mask has bit n set when the pin takes track channel n (from 0)."""

    four_cc: str
    magic: int
    input_masks: tuple[int, ...]
    output_masks: tuple[int, ...]
    storage: int
    data: bytes
    preset: str = ""
    program: str = ""


def encode_block(state: VstState) -> list[str]:
    """The base64 lines of a block."""
    header = state.four_cc[::-1].encode("latin-1") + struct.pack("<I", state.magic)
    for masks in (state.input_masks, state.output_masks):
        header += struct.pack(f"<I{len(masks)}Q", len(masks), *masks)
    header += struct.pack("<III", len(state.data), state.storage, _TAIL)
    trailer = state.preset.encode("utf-8") + b"\0" + state.program.encode("utf-8") + b"\0" + struct.pack("<I", 16)
    return [*_base64_lines(header), *_base64_lines(state.data), *_base64_lines(trailer)]


def decode_block(lines: Iterable[str]) -> VstState:
    """Read the base64 lines of a block; InputError when they are not one."""
    try:
        return _decode(b"".join(_parts(lines)))
    except (struct.error, binascii.Error, ValueError) as exc:
        raise InputError(f"a plug-in's state cannot be read ({exc}); save the project again in REAPER") from exc


def _decode(raw: bytes) -> VstState:
    four_cc, magic, count_in = struct.unpack_from("<4sII", raw, 0)
    if magic not in (_MAGIC, _MAGIC_SIDECHAIN):
        raise ValueError("no REAPER header")
    place = 12
    inputs = struct.unpack_from(f"<{count_in}Q", raw, place)
    place += 8 * count_in
    (count_out,) = struct.unpack_from("<I", raw, place)
    outputs = struct.unpack_from(f"<{count_out}Q", raw, place + 4)
    place += 4 + 8 * count_out
    size, storage, _tail = struct.unpack_from("<III", raw, place)
    place += 12
    data = raw[place : place + size]
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes where {size} are announced")
    preset, _, rest = raw[place + size :].partition(b"\0")
    return VstState(
        four_cc=four_cc[::-1].decode("latin-1"),
        magic=magic,
        input_masks=inputs,
        output_masks=outputs,
        storage=storage,
        data=data,
        preset=preset.decode("utf-8", "replace"),
        program=rest.partition(b"\0")[0].decode("utf-8", "replace"),
    )


def _parts(lines: Iterable[str]) -> Iterable[bytes]:
    """Each part ends with a line that is shorter than the others, or padded."""
    collected = ""
    for line in (part.strip() for part in lines):
        collected += line
        if line and (len(line) < _LINE or line.endswith("=")):
            yield base64.b64decode(collected, validate=True)
            collected = ""
    yield base64.b64decode(collected, validate=True)


def _base64_lines(data: bytes) -> list[str]:
    text = base64.b64encode(data).decode("ascii")
    return [text[start : start + _LINE] for start in range(0, len(text), _LINE)]


def stock_state(plugin: StockPlugin, data: bytes, sidechain_channel: int | None = None) -> VstState:
    """The state of a stock plug-in; its pins are the track's channels in order, the auxiliary pair moved to
    `sidechain_channel` (counting from 0) when that is given."""
    masks = [1 << pin for pin in range(plugin.inputs)]
    if sidechain_channel is not None:
        masks[2:4] = [1 << sidechain_channel, 1 << (sidechain_channel + 1)]
    return VstState(
        four_cc=plugin.four_cc,
        magic=plugin.magic,
        input_masks=tuple(masks),
        output_masks=(1, 2),
        storage=plugin.storage,
        data=data,
    )


def stock_of(four_cc: str) -> StockPlugin | None:
    """The stock plug-in with this 4cc."""
    return next((plugin for plugin in STOCK.values() if plugin.four_cc == four_cc), None)


def auxiliary_channel(masks: Sequence[int]) -> int | None:
    """The track channel (from 0) that the third pin takes; None when there is none."""
    if len(masks) < 4 or not masks[2]:
        return None
    return masks[2].bit_length() - 1
