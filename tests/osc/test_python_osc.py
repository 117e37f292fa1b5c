"""Our packets and those of python-osc, held against each other in both directions: one writes, the other reads."""

from __future__ import annotations

import math
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.osc import IMMEDIATELY, Message, OscError, OscValue, decode, encode, encode_bundle

pytest.importorskip("pythonosc")
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

names = st.text(string.ascii_letters + string.digits + "_-.", min_size=1, max_size=12)
addresses = st.lists(names, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
singles = st.floats(width=32, allow_nan=False)
arguments = st.one_of(
    st.tuples(st.just("i"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("h"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("f"), singles),
    st.tuples(st.just("d"), st.floats(allow_nan=False)),
    st.tuples(st.just("s"), texts),
    st.tuples(st.just("b"), st.binary(min_size=1, max_size=33)),
    st.tuples(st.just("r"), st.integers(0, 2**32 - 1)),
    st.tuples(st.just("T"), st.just(True)),
    st.tuples(st.just("F"), st.just(False)),
    st.tuples(st.just("N"), st.none()),
)
messages = st.builds(
    lambda address, given: Message(address, tuple(value for _, value in given), "".join(tag for tag, _ in given)),
    addresses,
    st.lists(arguments, max_size=8),
)


def built(message: Message) -> OscMessage:
    builder = OscMessageBuilder(message.address)
    for tag, value in zip(message.tags, message.arguments, strict=True):
        builder.add_arg(value, tag)
    return builder.build()


@given(messages)
def test_python_osc_reads_what_we_write(message: Message) -> None:
    read = OscMessage(encode(message))
    assert (read.address, tuple(read.params)) == (message.address, message.arguments)


@given(messages)
def test_we_read_what_python_osc_writes_and_both_write_the_same_bytes(message: Message) -> None:
    packet = built(message).dgram
    assert decode(packet) == [message]
    assert packet == encode(message)


@given(addresses, st.recursive(st.lists(singles, max_size=3), lambda inner: st.lists(inner, max_size=2), max_leaves=4))
def test_arrays_of_python_osc_are_read(address: str, values: list[Any]) -> None:
    builder = OscMessageBuilder(address)
    builder.add_arg(values)

    def as_tuples(value: Any) -> OscValue:
        return tuple(as_tuples(item) for item in value) if isinstance(value, list) else value

    if _depth(values) <= 4:
        assert decode(builder.build().dgram)[0].arguments == (as_tuples(values),)


def _depth(value: Any) -> int:
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


@given(st.lists(messages, min_size=1, max_size=5), st.integers(2, 2**32 - 2))
def test_bundles_go_both_ways_with_their_time(inside: list[Message], seconds: int) -> None:
    time_tag = seconds << 32
    ours = OscPacket(encode_bundle(inside, time_tag))
    assert [(each.message.address, tuple(each.message.params)) for each in ours.messages] == [
        (message.address, message.arguments) for message in inside
    ]
    builder = OscBundleBuilder(seconds - 2_208_988_800)
    for message in inside:
        builder.add_content(built(message))
    read = decode(builder.build().dgram)
    assert [(each.address, each.arguments) for each in read] == [(each.address, each.arguments) for each in inside]
    assert all(math.isclose(each.time_tag / 2**32, time_tag / 2**32, abs_tol=1e-3) for each in read)


@given(st.lists(messages, min_size=1, max_size=3))
def test_an_immediate_bundle_in_a_bundle_is_read(inside: list[Message]) -> None:
    inner, outer = OscBundleBuilder(0), OscBundleBuilder(0)
    for message in inside:
        inner.add_content(built(message))
    outer.add_content(inner.build())
    read = decode(outer.build().dgram)
    assert [each.arguments for each in read] == [each.arguments for each in inside]
    assert {each.time_tag for each in read} == {IMMEDIATELY}


@given(st.binary(max_size=64))
def test_what_python_osc_takes_for_a_message_is_ours_too_or_refused_in_one_way(tail: bytes) -> None:
    """Of strangers' packets: ours only ever raises OscError, and where both read, both read the same."""
    packet = b"/a\0\0" + tail[: len(tail) // 4 * 4]
    try:
        ours = decode(packet)
    except OscError:
        return
    try:
        theirs = OscMessage(packet)
    except Exception:  # noqa: BLE001  # whatever it raises: that is why the parser for strangers is our own
        return
    if set(ours[0].tags) <= set("ifhdsbTFN"):
        assert len(theirs.params) == len(ours[0].arguments)
