"""The ReaScript API as one callable, and its conventions: what is a pointer, where out-parameters end up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from daw_bridge.errors import DawError

TRACK_SEND = 0
RECEIVE = -1


class ReaScriptError(DawError):
    """A call failed inside REAPER."""


class ReaScript(Protocol):
    """Calls REAPER's API by name. `hold` keeps REAPER on our calls only, so that many of them take little time."""

    def call(self, name: str, *args: str | float | bool) -> Any:
        """The result as REAPER's Python gives it: a value, or `(value, *arguments)` for out-parameters.

        Raises ReaScriptError when the call fails, DawUnreachable when REAPER is gone.
        """
        ...

    def markers(self) -> list[tuple[str, float]]:
        """Names and times (s) of the markers; REAPER's Python does not give the names of markers, its web does."""
        ...

    def hold(self) -> AbstractContextManager[None]:
        """While the block runs REAPER serves nobody else."""
        ...


class Pointer(str):
    """A pointer as text: `(MediaTrack*)0x00000000ABCDEF00`."""

    __slots__ = ()

    @property
    def address(self) -> int:
        return int(self.rpartition("0x")[2] or "0", 16)

    @property
    def is_null(self) -> bool:
        return self.address == 0


class Project:
    """The calls that this program makes, by what they do, on one project."""

    def __init__(self, script: ReaScript) -> None:
        self.script = script
        self.id = Pointer(script.call("EnumProjects", -1, "", 1024)[0])
        if self.id.is_null:
            raise DawError("REAPER has no project open; open or make one")

    def call(self, name: str, *args: str | float | bool) -> Any:
        return self.script.call(name, *args)

    @property
    def path(self) -> str:
        """The file of the project; empty for one that was never saved."""
        return str(self.call("EnumProjects", -1, "", 4096)[2])

    def require_same(self) -> None:
        """Raise DawError when the user has switched to another project meanwhile."""
        now = Pointer(self.call("EnumProjects", -1, "", 1024)[0])
        if now != self.id:
            raise DawError("another project was opened in REAPER meanwhile; nothing was changed, try again")

    def tracks(self) -> Iterator[Pointer]:
        for index in range(int(self.call("CountTracks", self.id))):
            yield Pointer(self.call("GetTrack", self.id, index))

    def text(self, track: str, key: str) -> str:
        return str(self.call("GetSetMediaTrackInfo_String", track, key, "", False)[3])

    def set_text(self, track: str, key: str, value: str) -> None:
        self.call("GetSetMediaTrackInfo_String", track, key, value, True)

    def value(self, track: str, key: str) -> float:
        return float(self.call("GetMediaTrackInfo_Value", track, key))

    def set_value(self, track: str, key: str, value: float) -> None:
        if not self.call("SetMediaTrackInfo_Value", track, key, value):
            raise ReaScriptError(f"REAPER did not take {key} = {value:g}")

    def source_of(self, track: str, receive: int) -> int:
        """The address of the track that a receive comes from. REAPER gives a pointer as a number here."""
        return int(self.call("GetTrackSendInfo_Value", track, RECEIVE, receive, "P_SRCTRACK"))

    def ext_state(self, key: str) -> str:
        return str(self.call("GetProjExtState", self.id, "daw-bridge", key, "", 4096)[4])

    def set_ext_state(self, key: str, value: str) -> None:
        self.call("SetProjExtState", self.id, "daw-bridge", key, value)
