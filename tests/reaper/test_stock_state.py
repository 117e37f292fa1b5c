"""The states of REAPER's own plug-ins: the bytes that REAPER writes, and the units that go in come out."""

from __future__ import annotations

import base64
import struct

import pytest

from daw_bridge.errors import InputError
from daw_bridge_reaper.plugin_state import STOCK, decode_block, encode_block, stock_state
from daw_bridge_reaper.stock_state import (
    ReaComp,
    ReaDelay,
    ReaEq,
    ReaEqBand,
    ReaEqKind,
    ReaGate,
    ReaLimit,
    ReaVerbate,
    decode_parameters,
)

# The data of fresh instances, as REAPER 7 saves them.
DEFAULTS = {
    "ReaComp": (
        "776t3g3wrd4AAIA/ED74PKabxDsK16M8AAAAAAAAAAAAAIA/AAAAAAAAAAAAAAAAnNEHMwAAgD8AAAAAzcxMPQAA"
        "AAAAAAAAAAAAAAAAgD4AAAAAAAAAAAAAAAA="
    ),
    "ReaGate": (
        "776t3g3wrd6c0QczppvEOwrXozwAAAAAAAAAAAAAgD8AAAAAAAAAAAAAAACc0QczAACAP5zRBzMAAIA/AAAAAAAA"
        "AAAAAAAALBYLPwAAAAAAAAAAAAAAAAAAAAA="
    ),
    "ReaLimit": "AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAAAAAAAAAAAAAAAAAAD+fduMQw8Y/",
    "ReaDelay": (
        "AAAAAAAAAAABAAAALAAAAAIAAAAAAAAAQwIAPwAAgD8AAAAAAACAPwAAAAAAAAA8nNEHMwAAgD8AAAAAAACAPwAAgD8AAIA/AAAAPw=="
    ),
}
DELAY_WET = struct.unpack("<f", bytes.fromhex("4302003f"))[0]  # what -6.02 dB became in the plug-in
EQ_DEFAULT = (
    (ReaEqKind.LOW_SHELF, 100.0, 0.8, True),
    (ReaEqKind.BAND, 300.0, 2.0, True),
    (ReaEqKind.BAND, 1000.0, 2.0, True),
    (ReaEqKind.HIGH_SHELF, 5000.0, 0.8, True),
    (ReaEqKind.HIGH_PASS, 100.0, 2.0, False),
)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ReaComp", ReaComp().encode()),
        ("ReaGate", ReaGate().encode()),
        ("ReaLimit", ReaLimit().encode()),
        ("ReaDelay", ReaDelay(wet_linear=DELAY_WET, dry_linear=1.0, musical=0.0078125).encode()),
    ],
    ids=["ReaComp", "ReaGate", "ReaLimit", "ReaDelay"],
)
def test_a_fresh_instance_has_the_bytes_that_reaper_writes(name: str, data: bytes) -> None:
    assert data == base64.b64decode(DEFAULTS[name])


def test_a_fresh_reaeq_has_the_layout_that_reaper_writes() -> None:
    bands = tuple(
        ReaEqBand(kind=kind, frequency_hz=frequency_hz, bandwidth_octaves=octaves, enabled=enabled)
        for kind, frequency_hz, octaves, enabled in EQ_DEFAULT
    )
    data = ReaEq(bands=bands).encode()
    assert len(data) == 40 + 33 * 5
    # u32 version, u32 bands, then band 0: u32 type, u32 on, f64 100 Hz, f64 gain 1.0, f64 0.8 octaves, u8 1
    assert data[:41].hex() == ("210000000500000000000000010000000000000000005940000000000000f03f9a9999999999e93f01")
    assert data[-32:-16] == struct.pack("<IId", 1, 1, 1.0)
    assert ReaEq.decode(data) == ReaEq(bands=bands)


def test_headers_have_the_pins_that_reaper_writes() -> None:
    comp = encode_block(stock_state(STOCK["ReaComp"], ReaComp().encode()))
    assert comp[0] == (
        "bWNlcu9e7f4EAAAAAQAAAAAAAAACAAAAAAAAAAQAAAAAAAAACAAAAAAAAAACAAAAAQAAAAAAAAACAAAAAAAAAFwAAAAAAAAAAAAQAA=="
    )
    assert "".join(comp[1:-1]) == DEFAULTS["ReaComp"]
    assert comp[-1] == "AAAQAAAA"
    limit = encode_block(stock_state(STOCK["ReaLimit"], ReaLimit().encode()))
    assert limit[0] == "dG1scu5e7f4CAAAAAQAAAAAAAAACAAAAAAAAAAIAAAABAAAAAAAAAAIAAAAAAAAAMAAAAAEAAAAAABAA"
    verbate = encode_block(stock_state(STOCK["ReaVerbate"], ReaVerbate().encode()))
    assert verbate[0] == "OGJ2cu9e7f4CAAAAAQAAAAAAAAACAAAAAAAAAAIAAAABAAAAAAAAAAIAAAAAAAAAKAAAAAAAAAAAABAA"


@pytest.mark.parametrize(
    ("name", "uid"),
    [
        ("ReaEQ", "1919247729<56535472656571726561657100000000>"),
        ("ReaComp", "1919247213<5653547265636D726561636F6D700000>"),
        ("ReaGate", "1919248244<56535472656774726561676174650000>"),
        ("ReaLimit", "1919708532<565354726C6D747265616C696D697400>"),
        ("ReaVerbate", "1920361016<56535472766238726561766572626174>"),
        ("ReaDelay", "1919247468<5653547265646C72656164656C617900>"),
    ],
)
def test_plugin_ids_are_reapers(name: str, uid: str) -> None:
    assert STOCK[name].uid == uid


def test_a_block_of_any_length_reads_back() -> None:
    for count in (1, 2, 3, 11, 64):  # 96-byte lines end at different places
        data = ReaEq(bands=(ReaEqBand(kind=8, frequency_hz=1000.0),) * count).encode()
        state = stock_state(STOCK["ReaEQ"], data)
        assert decode_block(encode_block(state)) == state


def test_compressor_values_read_back_in_their_units() -> None:
    state = ReaComp(threshold_db=-18.0, ratio=3.0, attack_ms=9.9, release_ms=49.0, knee_db=6.0, wet_db=4.5)
    back = ReaComp.decode(state.encode())
    for name in ("threshold_db", "ratio", "attack_ms", "release_ms", "knee_db", "wet_db", "rms_ms"):
        assert getattr(back, name) == pytest.approx(getattr(state, name), rel=1e-5), name
    assert ReaComp.decode(ReaComp(ratio=1000.0).encode()).ratio == float("inf")
    assert ReaComp.decode(ReaComp(auxiliary=True).encode()).auxiliary


def test_the_raw_values_are_those_of_the_parameters() -> None:
    raw = decode_parameters(ReaComp(threshold_db=-6.0206, ratio=4.0, attack_ms=50.0, release_ms=500.0).encode())
    assert raw[:4] == pytest.approx([0.5, 3 / 99, 0.1, 0.1], rel=1e-5)


def test_the_other_plugins_read_back() -> None:
    limit = ReaLimit(threshold_db=-11.2, ceiling_db=-0.2)
    assert ReaLimit.decode(limit.encode()).ceiling_db == -0.2
    assert ReaLimit.decode(limit.encode()).release_db_per_s == pytest.approx(15.0)
    gate = ReaGate.decode(ReaGate(threshold_db=-40.0, attack_ms=1.0, hold_ms=50.0, release_ms=200.0).encode())
    assert (gate.threshold_db, gate.attack_ms, gate.hold_ms, gate.release_ms) == pytest.approx(
        (-40.0, 1.0, 50.0, 200.0)
    )
    verb = ReaVerbate.decode(ReaVerbate(room_size=0.3, width=0.5, predelay_ms=12.0).encode())
    assert (verb.room_size, verb.width, verb.predelay_ms) == pytest.approx((0.3, 0.5, 12.0))
    delay = ReaDelay.decode(ReaDelay(time_ms=375.0, feedback_linear=0.3).encode())
    assert (delay.time_ms, delay.feedback_linear, delay.wet_linear) == pytest.approx((375.0, 0.3, 1.0))


@pytest.mark.parametrize("lines", [[], ["AAAA"], ["not base64!"], ["cWVlcu5e7f4C"]])
def test_damaged_blocks_are_one_error(lines: list[str]) -> None:
    with pytest.raises(InputError, match="state cannot be read"):
        decode_block(lines)
