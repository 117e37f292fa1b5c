"""The mixer of an open DAW as the daemon sees it: its channels, their moves, and who carries them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

MixerParameter = Literal["gain_db", "mute", "solo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerChannel:
    """A channel of an open DAW. `kind` is "other" where the DAW does not say."""

    name: str
    kind: Literal["track", "bus", "master", "other"] = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerChange:
    """A value that the DAW reported, whoever moved it: dB for gain_db, 0 or 1 for mute and solo."""

    channel: str
    parameter: MixerParameter
    value: float


class MixerControl(Protocol):
    """The mixer of an open DAW. Setters return once the DAW confirmed the value (where it confirms at all).

    They raise DawUnreachable when nothing answers in time, DawError for an unknown channel or an impossible value.
    The setters, `poll` and `close` are called from one thread; `channels` and the listener may be called from any and
    must not wait.
    """

    @property
    def name(self) -> str:
        """Which DAW this is, for people."""
        ...

    def channels(self) -> tuple[MixerChannel, ...]:
        """The channels as they are known, in the DAW's order. Never asks the DAW: that is for `poll`."""
        ...

    def set_gain_db(self, channel: str, gain_db: float) -> None:
        """Set a fader."""
        ...

    def set_mute(self, channel: str, mute: bool) -> None:
        """Mute or unmute."""
        ...

    def set_solo(self, channel: str, solo: bool) -> None:
        """Solo or not."""
        ...

    def on_change(self, listener: Callable[[MixerChange], None]) -> None:
        """Call `listener` for each value that the DAW reports from now on, beginning with what is known."""
        ...

    def poll(self) -> None:
        """Called about ten times a second: look what the DAW does not tell by itself. May raise DawUnreachable."""
        ...

    def close(self) -> None:
        """Let go of the DAW; nothing in it changes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerAddress:
    """Where the DAW listens; None stands for what its profile says. `profile` is a profile file of the user's own.

    `song` is a file for the live preview to play instead of the sound card's input.
    """

    host: str | None = None
    port: int | None = None
    reply_port: int | None = None
    profile: Path | None = None
    song: Path | None = None
