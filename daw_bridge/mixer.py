"""The mixer of an open DAW as the daemon sees it: its channels, their moves, and who carries them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

MixerParameter = Literal["gain_db", "mute", "solo"]
MIXER_PARAMETERS: tuple[MixerParameter, ...] = get_args(MixerParameter)
"""What can be moved: a fader in dB, and two switches, 0 or 1. From the wire to the DAW a move has these words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerChannel:
    """A channel of an open DAW. `kind` is "other" where the DAW does not say."""

    name: str
    kind: Literal["track", "bus", "master", "other"] = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class MixerChange:
    """A value of a channel, asked for or reported: dB for gain_db, 0 or 1 for mute and solo."""

    channel: str
    parameter: MixerParameter
    value: float


class MixerControl(Protocol):
    """The mixer of an open DAW.

    `set`, `poll` and `close` are called from one thread; `channels` and the listener may be called from any and must
    not wait.
    """

    @property
    def name(self) -> str:
        """Which DAW this is, for people."""
        ...

    def channels(self) -> tuple[MixerChannel, ...]:
        """The channels as they are known, in the DAW's order. Never asks the DAW: that is for `poll`."""
        ...

    def set(self, channel: str, parameter: MixerParameter, value: float) -> None:
        """Set a value; returns once the DAW confirmed it (where it confirms at all). Switches are on from 0.5.

        Raises DawUnreachable when nothing answers in time, DawError for an unknown channel or an impossible value.
        """
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
