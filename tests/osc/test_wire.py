"""OSC packets: written as liblo writes them, read back as they were, and garbage refused in bounded time."""

from __future__ import annotations

import math
import random
import socket
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.osc import (
    MAX_MESSAGES,
    Message,
    OscError,
    decode,
    encode,
    encode_bundle,
    time_tag_to_unix_s,
)
from daw_bridge.osc_stream import Framing, LengthDeframer, SlipDeframer, deframer_for, frame
from tests.osc.time_tags import unix_s_to_time_tag

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
VALUES = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
    TEXT,
    st.binary(max_size=40),
)
MESSAGES = st.builds(
    Message,
    TEXT.map(lambda text: "/" + text),
    st.lists(VALUES, max_size=12).map(tuple),
)


def test_a_message_is_laid_out_as_the_specification_draws_it() -> None:
    # The second example of the OSC 1.0 specification.
    packet = encode(Message("/foo", (1000, -1, "hello", 1.234, 5.678), "iisff"))
    assert packet == bytes.fromhex(
        "2f666f6f 00000000"  # /foo
        "2c696973 66660000"  # ,iisff
        "000003e8 ffffffff"  # 1000 -1
        "68656c6c 6f000000"  # hello
        "3f9df3b6 40b5b22d"  # 1.234 5.678
    )


@given(MESSAGES)
def test_what_is_written_reads_back(message: Message) -> None:
    (back,) = decode(encode(message))
    assert (back.address, back.arguments) == (message.address, message.arguments)


@given(st.lists(MESSAGES, max_size=8), st.integers(0, 2**64 - 1))
def test_a_bundle_reads_back_in_order_with_its_time_tag(messages: list[Message], time_tag: int) -> None:
    back = decode(encode_bundle(messages, time_tag))
    assert [(each.address, each.arguments) for each in back] == [(each.address, each.arguments) for each in messages]
    assert all(each.time_tag == time_tag for each in back)


def test_oscsend_is_understood() -> None:
    """liblo's command line tool is a writer that shares no code with ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        port = str(receiver.getsockname()[1])
        arguments = ["/a/b", "ifsTFNIhdcm", "7", "-1.5", "vocals", str(2**40), "0.1", "x", "903c7f00"]
        subprocess.run(["oscsend", "127.0.0.1", port, *arguments], check=True)
        (message,) = decode(receiver.recv(65_536))
    assert message.address == "/a/b"
    assert message.arguments[:9] == (7, -1.5, "vocals", True, False, None, math.inf, 2**40, 0.1)
    assert message.arguments[9] == "x"


@given(st.binary(max_size=200))
def test_random_bytes_raise_oscerror_or_decode(packet: bytes) -> None:
    try:
        decode(packet)
    except OscError:
        pass


def test_thirty_thousand_damaged_packets_only_ever_raise_oscerror() -> None:
    rng = random.Random(7)
    good = [
        encode(Message("/dawbridge/stem/vocals/gain_db", (1.5, "text", b"abc", True))),
        encode_bundle([Message("/a", (1,)), Message("/b", ("x",))]),
    ]
    for _ in range(30_000):
        packet = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            packet[rng.randrange(len(packet))] = rng.choice((0, 1, 0x5B, 0x5D, 0x7F, 0xFF, rng.randrange(256)))
        try:
            decode(bytes(packet[: rng.randint(0, len(packet))]))
        except OscError:
            pass


BUNDLE = b"#bundle\0" + bytes(7) + b"\1"


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (b"", "without its end"),
        (b"/a\0", "multiples of 4"),
        (b"a\0\0\0", "does not begin with /"),
        (b"/a\0\0iii\0", "no type tags"),
        (b"/a\0\0,i\0\0", "cut off"),
        (b"/a\0\0,Q\0\0", "unknown type tag"),
        (b"/a\0\0,b\0\0\x7f\xff\xff\xff", "blob"),
        (b"/a\0\0,b\0\0\xff\xff\xff\xfc", "blob"),
        (b"/a\0\0,i\0\0\0\0\0\1more", "behind the arguments"),
        (b"/\xff\0\0,\0\0\0", "not UTF-8"),
        (b"/a\0\0,[[[[[[[[[\0\0", "nested deeper"),
        (b"/a\0\0,[i\0\0\0\0\1", "no end"),
        (b"/a\0\0,]\0\0", "never began"),
        (BUNDLE + struct.pack(">i", -4) + b"/a\0\0", "bundle element"),
        (BUNDLE + struct.pack(">i", 0) * 10, "bundle element"),
        (BUNDLE + struct.pack(">i", 400) + b"/a\0\0", "bundle element"),
        (b"#bundle\0\0\0\0\0", "without a time tag"),
        (bytes(70_000), "at most"),
    ],
)
def test_a_malformed_packet_is_refused_with_its_reason(packet: bytes, reason: str) -> None:
    with pytest.raises(OscError, match=reason):
        decode(packet)


def test_deep_nesting_and_huge_bundles_are_refused_at_once() -> None:
    nested = encode(Message("/a"))
    while len(nested) < 60_000:
        nested = BUNDLE + struct.pack(">i", len(nested)) + nested
    with pytest.raises(OscError, match="nested deeper"):
        decode(nested)
    with pytest.raises(OscError, match=f"more than {MAX_MESSAGES}"):
        decode(encode_bundle([Message("/a")] * (MAX_MESSAGES + 1)))


def test_replies_of_ardour_that_begin_with_a_hash_are_read() -> None:
    assert decode(b"#reply\0\0,i\0\0\0\0\0\5")[0] == Message("#reply", (5,), "i")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message("/a", (2**31,), "i"), "does not fit"),
        (Message("/a", ("x",), "f"), "cannot be sent"),
        (Message("/a", (1, 2), "i"), "type tags"),
        (Message("/a\0b"), "zero byte"),
        (Message("/a", ((1, 2),)), "arrays"),
    ],
)
def test_what_cannot_be_sent_says_why(message: Message, reason: str) -> None:
    with pytest.raises(OscError, match=reason):
        encode(message)


def test_time_tags_convert_both_ways() -> None:
    assert time_tag_to_unix_s(unix_s_to_time_tag(1_700_000_000.25)) == pytest.approx(1_700_000_000.25, abs=1e-6)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.sampled_from(["slip", "length"]), st.data())
def test_packets_survive_any_cutting_of_the_stream(packets: list[bytes], framing: Framing, data: st.DataObject) -> None:
    stream = b"".join(frame(packet, framing) for packet in packets)
    deframer = SlipDeframer() if framing == "slip" else LengthDeframer()
    found: list[bytes] = []
    at = 0
    while at < len(stream):
        size = data.draw(st.integers(1, 20))
        found += deframer.feed(stream[at : at + size])
        at += size
    assert found == packets


@pytest.mark.parametrize(
    "stream",
    [b"\xc0\xdbx\xc0", b"\xc0\xdb\xc0", b"\xc0" + b"x" * 70_000, b"\0\xff\xff\xff", bytes(4)],
    ids=["bad escape", "cut escape", "endless packet", "huge length", "zero length"],
)
def test_a_stream_that_cannot_be_followed_raises(stream: bytes) -> None:
    with pytest.raises(OscError):
        deframer_for(stream[0]).feed(stream)


def test_the_first_byte_tells_the_framing() -> None:
    packet = encode(Message("/dawbridge/ping"))
    for framing in ("slip", "length"):
        stream = frame(packet, framing)
        assert deframer_for(stream[0]).framing == framing
