"""A DAW's OSC dialect as a YAML profile: where it listens, how tracks are found, which operation is which message.

These are the records; `profile_file.py` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from daw_bridge.osc import Message
from daw_bridge.osc_stream import Framing
from daw_bridge_osc.messages import Env, FeedbackPattern, MessageTemplate
from daw_bridge_osc.scaling import Scale

ChannelKind = Literal["track", "bus", "master", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """How packets travel. `reply_port` 0: the DAW answers to the sending socket. `messages_per_s` paces bursts."""

    protocol: Literal["udp", "tcp-slip", "tcp-length"] = "udp"
    host: str = "127.0.0.1"
    port: int
    reply_port: int = 0
    bundle: bool = False
    messages_per_s: float = 500.0
    timeout_ms: float = 500.0
    retries: int = 2

    @property
    def framing(self) -> Framing | None:
        """The framing on TCP, None for UDP."""
        return {"tcp-slip": "slip", "tcp-length": "length"}.get(self.protocol)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOf:
    """What the DAW calls a kind of channel."""

    says: str
    kind: ChannelKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackList:
    """A question that the DAW answers with one message for each track, and one more at the end.

    Numbers are positions of arguments, from 0. `rate_index` is the session's rate in Hz in the end message.
    """

    ask: MessageTemplate
    answer: str
    name_index: int
    number_index: int
    kind_index: int | None = None
    kinds: tuple[KindOf, ...] = ()
    end: str | None = None
    rate_index: int | None = None
    all_in_one: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    """The DAW shows `size` tracks at once; `next` and `previous` scroll by a whole bank, at most `pages` times."""

    size: int
    next: MessageTemplate
    previous: MessageTemplate
    pages: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """How names become numbers: by asking for a list, by the names that the DAW pushes, or by both."""

    index_base: int = 1
    list: TrackList | None = None
    names: FeedbackPattern | None = None
    kinds: FeedbackPattern | None = None
    kinds_say: tuple[KindOf, ...] = ()
    bank: Bank | None = None
    changed: str | None = None
    watch: tuple[MessageTemplate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """The report that proves a value. `ask` makes the DAW report when it stays silent (an equal value changes nothing).

    `tolerance` is in the DAW's own number; `ask_tolerance` and `ask_tolerance_percent` (of the value) add up to what is
    allowed for answers, where those are rounder than the reports.
    """

    report: FeedbackPattern
    tolerance: float = 0.0
    ask: MessageTemplate | None = None
    answer: FeedbackPattern | None = None
    ask_tolerance: float | None = None
    ask_tolerance_percent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """One operation: the messages to send, one after the other with `pause_ms` between them."""

    send: tuple[MessageTemplate, ...]
    scale: Mapping[str, Scale] = field(default_factory=dict)
    confirm: Confirm | None = None
    pause_ms: float = 0.0

    def messages(self, env: Env) -> list[Message]:
        """What is sent when the placeholders have these values. Raises UsageError where one does not fit its type."""
        return [template.fill(env) for template in self.send]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A whole profile. `errors` is an address on which the DAW reports errors as text."""

    name: str
    title: str
    documentation: str
    transport: Transport
    tracks: Tracks
    operations: Mapping[str, OperationRow]
    unsupported: Mapping[str, str]
    hello: tuple[MessageTemplate, ...] = ()
    goodbye: tuple[MessageTemplate, ...] = ()
    errors: str | None = None
