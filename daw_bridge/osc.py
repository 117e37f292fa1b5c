"""Open Sound Control on the wire: messages, bundles, and the two ways to frame them on a stream.

Follows the OSC 1.0 specification and, for SLIP, OSC 1.1. Written here because the daemon reads packets of strangers:
python-osc 1.10.2 never returns from a 24-byte bundle whose element has a negative size, raises UnicodeDecodeError and
RecursionError out of its parser, and skips unknown type tags. This parser is bounded in depth, size and count, and
raises `OscError` only.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from daw_bridge.errors import DawBridgeError

MAX_PACKET_BYTES = 65_507
"""The largest UDP payload over IPv4; stream frames are held to the same."""
MAX_MESSAGES = 256
MAX_DEPTH = 4
MAX_ARGUMENTS = 1024
IMMEDIATELY = 1
"""The time tag that means now."""

_BUNDLE = b"#bundle\0"
_NTP_TO_UNIX_S = 2_208_988_800
_INT32 = range(-(2**31), 2**31)
_FIXED = {"i": ">i", "f": ">f", "h": ">q", "d": ">d", "t": ">Q", "c": ">I", "r": ">I", "m": ">I"}
_CONSTANT: dict[str, bool | float | None] = {"T": True, "F": False, "N": None, "I": math.inf}

OscValue: TypeAlias = "int | float | str | bytes | bool | tuple[OscValue, ...] | None"


class OscError(DawBridgeError):
    """A packet that is not OSC, or past the limits of this module."""


@dataclass(frozen=True, slots=True)
class Message:
    """One OSC message. `tags` are the type tags as sent (empty when made by hand); `time_tag` is its bundle's."""

    address: str
    arguments: tuple[OscValue, ...] = ()
    tags: str = ""
    time_tag: int = IMMEDIATELY

    def __str__(self) -> str:
        """As `oscdump` prints it: address, tags, arguments."""
        shown = " ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in self.arguments)
        return " ".join(part for part in (self.address, self.tags or infer_tags(self.arguments), shown) if part)


def infer_tags(arguments: Sequence[OscValue]) -> str:
    """The type tags for Python values: bool T/F, int i (h past 32 bits), float f, str s, bytes b, None N."""
    return "".join(_tag_of(value) for value in arguments)


def _tag_of(value: OscValue) -> str:
    if isinstance(value, tuple):
        return "[" + infer_tags(value) + "]"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, int):
        return "i" if value in _INT32 else "h"
    return {float: "f", str: "s", bytes: "b"}.get(type(value), "N")


def encode(message: Message) -> bytes:
    """The packet of one message. Raises OscError when a value does not fit its type tag."""
    tags = message.tags or infer_tags(message.arguments)
    if "[" in tags:
        raise OscError(f"{message.address}: arrays are not sent; send the values one after the other")
    if len(tags) != len(message.arguments):
        raise OscError(f"{message.address}: {len(tags)} type tags for {len(message.arguments)} arguments")
    parts = [_padded(message.address), _padded("," + tags)]
    for tag, value in zip(tags, message.arguments, strict=True):
        parts.append(_encode_value(message.address, tag, value))
    return b"".join(parts)


def _encode_value(address: str, tag: str, value: OscValue) -> bytes:
    try:
        if tag in _CONSTANT:
            return b""
        if tag in "sS" and isinstance(value, str):
            return _padded(value)
        if tag == "b" and isinstance(value, bytes):
            return struct.pack(">i", len(value)) + value + b"\0" * (-len(value) % 4)
        if tag in "fd" and isinstance(value, (int, float)):
            return struct.pack(_FIXED[tag], float(value))
        if tag in "ihtcrm" and isinstance(value, int):
            return struct.pack(_FIXED[tag], int(value))
    except (struct.error, OverflowError) as exc:
        raise OscError(f"{address}: {value!r} does not fit the OSC type {tag!r}") from exc
    raise OscError(f"{address}: {type(value).__name__} cannot be sent as the OSC type {tag!r}")


def _padded(text: str) -> bytes:
    if "\0" in text:
        raise OscError(f"{text!r}: OSC strings cannot hold a zero byte")
    raw = text.encode("utf-8", errors="replace")
    return raw + b"\0" * (4 - len(raw) % 4)


def encode_bundle(messages: Sequence[Message], time_tag: int = IMMEDIATELY) -> bytes:
    """The packet of a bundle without nested bundles."""
    elements = [encode(message) for message in messages]
    body = b"".join(struct.pack(">i", len(element)) + element for element in elements)
    return _BUNDLE + struct.pack(">Q", time_tag) + body


def decode(packet: bytes, *, text_errors: str = "strict") -> list[Message]:
    """All messages of a packet, bundles flattened, in order.

    `text_errors="replace"` forgives wrong UTF-8 (DAWs send track names in local encodings). Raises OscError.
    """
    if len(packet) > MAX_PACKET_BYTES:
        raise OscError(f"a packet of {len(packet)} bytes; at most {MAX_PACKET_BYTES} are taken")
    found: list[Message] = []
    _decode_element(packet, IMMEDIATELY, 0, text_errors, found)
    return found


def _decode_element(data: bytes, time_tag: int, depth: int, text_errors: str, found: list[Message]) -> None:
    if not data.startswith(_BUNDLE):
        if len(found) >= MAX_MESSAGES:
            raise OscError(f"more than {MAX_MESSAGES} messages in one packet")
        found.append(_decode_message(data, time_tag, text_errors))
        return
    if depth >= MAX_DEPTH:
        raise OscError(f"bundles nested deeper than {MAX_DEPTH}")
    if len(data) < 16:
        raise OscError("a bundle without a time tag")
    inner_tag = int.from_bytes(data[8:16], "big")
    at = 16
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        at += 4
        if size <= 0 or size % 4 or at + size > len(data):
            raise OscError(f"a bundle element of {size} bytes at {at}, {len(data) - at} are left")
        _decode_element(data[at : at + size], inner_tag, depth + 1, text_errors, found)
        at += size


def _decode_message(data: bytes, time_tag: int, text_errors: str) -> Message:
    if len(data) % 4:
        raise OscError(f"{len(data)} bytes; OSC packets are multiples of 4")
    address, at = _read_string(data, 0, text_errors)
    if not address.startswith(("/", "#")):
        raise OscError("an address that does not begin with /")
    if at == len(data):
        return Message(address, (), "", time_tag)
    tags, at = _read_string(data, at, "strict")
    if not tags.startswith(","):
        raise OscError(f"{address}: no type tags")
    if len(tags) > MAX_ARGUMENTS:
        raise OscError(f"{address}: {len(tags)} arguments; at most {MAX_ARGUMENTS} are taken")
    arguments, at = _read_arguments(data, at, tags[1:], address, text_errors)
    if at != len(data):
        raise OscError(f"{address}: {len(data) - at} bytes behind the arguments")
    return Message(address, arguments, tags[1:], time_tag)


def _read_arguments(
    data: bytes, at: int, tags: str, address: str, text_errors: str
) -> tuple[tuple[OscValue, ...], int]:
    stack: list[list[OscValue]] = [[]]
    for tag in tags:
        if tag == "[":
            if len(stack) > MAX_DEPTH:
                raise OscError(f"{address}: arrays nested deeper than {MAX_DEPTH}")
            stack.append([])
        elif tag == "]":
            if len(stack) == 1:
                raise OscError(f"{address}: an array ends that never began")
            inner = tuple(stack.pop())
            stack[-1].append(inner)
        else:
            value, at = _read_value(data, at, tag, address, text_errors)
            stack[-1].append(value)
    if len(stack) != 1:
        raise OscError(f"{address}: an array has no end")
    return tuple(stack[0]), at


def _read_value(data: bytes, at: int, tag: str, address: str, text_errors: str) -> tuple[OscValue, int]:
    if tag in _CONSTANT:
        return _CONSTANT[tag], at
    if tag in "sS":
        return _read_string(data, at, text_errors)
    if tag == "b":
        size = int.from_bytes(data[at : at + 4], "big", signed=True)
        end = at + 4 + size
        if size < 0 or end > len(data):
            raise OscError(f"{address}: a blob of {size} bytes, {len(data) - at} are left")
        return data[at + 4 : end], end + (-end % 4)
    form = _FIXED.get(tag)
    if form is None:
        raise OscError(f"{address}: unknown type tag {tag!r}")
    size = struct.calcsize(form)
    if at + size > len(data):
        raise OscError(f"{address}: the argument of type {tag!r} is cut off")
    (value,) = struct.unpack_from(form, data, at)
    if tag == "c":
        return chr(value) if value < 0x11_0000 and not 0xD800 <= value < 0xE000 else "\ufffd", at + size
    return value, at + size


def _read_string(data: bytes, at: int, text_errors: str) -> tuple[str, int]:
    end = data.find(b"\0", at)
    if end < 0:
        raise OscError("a string without its end")
    try:
        text = data[at:end].decode("utf-8", errors=text_errors)
    except UnicodeDecodeError as exc:
        raise OscError("a string that is not UTF-8") from exc
    return text, end + 4 - (end - at) % 4


def time_tag_to_unix_s(time_tag: int) -> float:
    """Seconds since 1970 of a time tag (NTP: 32.32 bits since 1900)."""
    return time_tag / 2**32 - _NTP_TO_UNIX_S
