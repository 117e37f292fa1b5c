"""The functions of the ReaScript API, with REAPER's Python conventions and strict argument checks.

A function with out-parameters returns `(value, *arguments)` with the out ones replaced, a void one its arguments.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any, TypeVar

from tests.reaper.simulator.model import Content, Item, Project, Send, Source, Take, Thing, Track, World, make_fx

T = TypeVar("T", bound=Thing)
Function = Callable[..., Any]


class WrongCall(Exception):
    """The caller broke the API's rules."""


def null(kind: str) -> str:
    return f"({kind})0x{0:016X}"


class Functions:
    """`call(name, *arguments)` on a World. Names begin with a capital; arguments are checked against KINDS."""

    def __init__(self, world: World) -> None:
        self.world = world

    def call(self, name: str, *arguments: Any) -> Any:
        world = self.world
        if name not in KINDS:
            raise WrongCall(f"{name}: the simulator knows no such function")
        world.calls.append(name)
        if world.fail_at is not None and len(world.calls) == world.fail_at:
            world.fail_at = None
            raise RuntimeError(f"simulated failure of {name}")
        if world.hang_s:
            time.sleep(world.hang_s)
        kinds = KINDS[name].split()
        if len(kinds) != len(arguments):
            raise WrongCall(f"{name}: {len(arguments)} arguments instead of {len(kinds)}")
        values = [self._argument(name, kind, value) for kind, value in zip(kinds, arguments, strict=True)]
        result = getattr(self, name)(*values)
        if not name.startswith(("Get", "Set", "TrackFX", "Count")) or name == "SetMediaItemTake_Source":
            world.alive = None  # what exists may have changed
        return list(arguments) if result is None else result

    def _argument(self, name: str, kind: str, value: Any) -> Any:
        if kind == "s":
            if not isinstance(value, str):
                raise WrongCall(f"{name}: {value!r} is not a string")
        elif kind in ("i", "b"):
            if not isinstance(value, int):
                raise WrongCall(f"{name}: {value!r} is not an integer")
        elif kind == "d":
            if not isinstance(value, int | float):
                raise WrongCall(f"{name}: {value!r} is not a number")
        else:
            return self._thing(name, kind, value)
        return value

    def _thing(self, name: str, kind: str, value: Any) -> Thing:
        if kind == "ReaProject*" and value in (0, None):
            return self.world.project
        if not isinstance(value, str) or not value.startswith(f"({kind})0x"):
            raise WrongCall(f"{name}: {value!r} is not a {kind}")
        found = self.world.thing(int(value.rpartition("0x")[2], 16))
        if found is None or found.kind != kind:
            raise WrongCall(f"{name}: {value} points to nothing")
        return found

    @property
    def content(self) -> Content:
        return self.world.content

    # --- project
    def EnumProjects(self, index: int, text: str, size: int) -> Any:
        project = self.world.project
        return [project.pointer if index in (-1, 0) else null("ReaProject*"), index, project.path, size]

    def GetProjectTimeSignature2(self, project: Project, bpm: float, beats: float) -> Any:
        return [project.pointer, self.content.tempo_bpm, self.content.beats]

    def GetSetProjectInfo(self, project: Project, key: str, value: float, is_set: bool) -> Any:
        if key != "PROJECT_SRATE" or is_set:
            raise WrongCall(f"GetSetProjectInfo {key}")
        return self.content.rate_hz

    def GetProjExtState(self, project: Project, section: str, key: str, value: str, size: int) -> Any:
        text = project.ext.get((section, key), "")
        return [int(bool(text)), project.pointer, section, key, text, size]

    def SetProjExtState(self, project: Project, section: str, key: str, value: str) -> Any:
        if value:
            project.ext[section, key] = value
        else:
            project.ext.pop((section, key), None)
        return 1

    def Undo_BeginBlock2(self, project: Project) -> None:
        self.world.begin_undo()

    def Undo_EndBlock2(self, project: Project, title: str, flags: int) -> None:
        self.world.end_undo(title)

    def Undo_CanUndo2(self, project: Project) -> str:
        return project.undo[-1][0] if project.undo else ""

    def Undo_DoUndo2(self, project: Project) -> int:
        return int(self.world.do_undo())

    def PreventUIRefresh(self, step: int) -> None:
        self.world.refresh += step
        if self.world.refresh < 0:
            raise WrongCall("PreventUIRefresh below 0")

    def TrackList_AdjustWindows(self, minor: bool) -> None:
        return None

    def UpdateArrange(self) -> None:
        return None

    def ColorToNative(self, red: int, green: int, blue: int) -> int:
        return red | green << 8 | blue << 16

    def ColorFromNative(self, native: int, red: int, green: int, blue: int) -> Any:
        return [native, native & 255, native >> 8 & 255, native >> 16 & 255]

    def AddProjectMarker2(
        self, project: Project, region: bool, start: float, end: float, name: str, wanted: int, colour: int
    ) -> int:
        self.content.markers.append((bool(region), float(start), float(end), name, colour))
        return len(self.content.markers)

    def SplitMediaItem(self, item: Item, position: float) -> str:
        start, length = item.values["D_POSITION"], item.values["D_LENGTH"]
        if not start < position < start + length:
            return null("MediaItem*")
        right = Item(item.track, values=dict(item.values), texts=dict(item.texts))
        right.values.update(D_POSITION=position, D_LENGTH=start + length - position)
        item.values["D_LENGTH"] = position - start
        for take in item.takes:
            half = Take(right, take.source, values=dict(take.values), texts=dict(take.texts))
            half.values["D_STARTOFFS"] += (position - start) * take.values["D_PLAYRATE"]
            right.takes.append(half)
        track = next(track for track in self.content.tracks if item in track.items)
        track.items.insert(track.items.index(item) + 1, right)
        return right.pointer

    def GetExtState(self, section: str, key: str) -> str:
        return self.world.ext_state.get((section, key), "")

    def SetExtState(self, section: str, key: str, value: str, persist: bool) -> None:
        if "\n" in value or "\r" in value:
            raise WrongCall(f"SetExtState {key}: an ini file cannot hold a line break")
        self.world.ext_state[section, key] = value

    def HasExtState(self, section: str, key: str) -> int:
        return int((section, key) in self.world.ext_state)

    def DeleteExtState(self, section: str, key: str, persist: bool) -> None:
        self.world.ext_state.pop((section, key), None)

    def ShowConsoleMsg(self, text: str) -> None:
        return None

    def GetResourcePath(self) -> str:
        return "/nowhere"

    # --- tracks
    def CountTracks(self, project: Project) -> int:
        return len(self.content.tracks)

    def GetTrack(self, project: Project, index: int) -> str:
        tracks = self.content.tracks
        return tracks[index].pointer if 0 <= index < len(tracks) else null("MediaTrack*")

    def GetMasterTrack(self, project: Project) -> str:
        return self.content.master.pointer

    def InsertTrackAtIndex(self, index: int, defaults: bool) -> None:
        if not 0 <= index <= len(self.content.tracks):
            raise WrongCall(f"InsertTrackAtIndex {index}")
        self.content.tracks.insert(index, Track())

    def DeleteTrack(self, track: Track) -> None:
        self.content.tracks.remove(track)
        self.content.sends[:] = [send for send in self.content.sends if track not in (send.source, send.target)]

    def GetSetMediaTrackInfo_String(self, track: Track, key: str, text: str, is_set: bool) -> Any:
        return self._text(track, track.texts, key, text, is_set)

    def _text(self, thing: Thing, texts: dict[str, str], key: str, text: str, is_set: bool) -> Any:
        if key != "P_NAME" and not key.startswith(("P_EXT:", "P_LANENAME:")):
            raise WrongCall(f"unknown text {key}")
        if is_set:
            texts[key] = text
        known = key in texts
        return [int(known), thing.pointer, key, texts.get(key, ""), int(is_set)]

    def GetMediaTrackInfo_Value(self, track: Track, key: str) -> float:
        if key == "IP_TRACKNUMBER":
            return float(self.content.tracks.index(track) + 1)
        return track.values[key]

    def SetMediaTrackInfo_Value(self, track: Track, key: str, value: float) -> int:
        return _set(track.values, key, value)

    def GetSetTrackGroupMembership(self, track: Track, name: str, mask: int, value: int) -> int:
        return _set_groups(track, name, 0, mask, value)

    def GetSetTrackGroupMembershipHigh(self, track: Track, name: str, mask: int, value: int) -> int:
        return _set_groups(track, name, 32, mask, value)

    def GetTrackStateChunk(self, track: Track, text: str, size: int, undo: bool) -> Any:
        is_master = track is self.content.master
        text = self.world.master_chunk if is_master else self.world.chunks[self.content.tracks.index(track)]
        return [1, track.pointer, text, size, int(undo)]

    # --- items
    def AddMediaItemToTrack(self, track: Track) -> str:
        item = Item(track)
        track.items.append(item)
        return item.pointer

    def DeleteTrackMediaItem(self, track: Track, item: Item) -> int:
        track.items.remove(item)
        return 1

    def CountTrackMediaItems(self, track: Track) -> int:
        return len(track.items)

    def GetTrackMediaItem(self, track: Track, index: int) -> str:
        return track.items[index].pointer if 0 <= index < len(track.items) else null("MediaItem*")

    def AddTakeToMediaItem(self, item: Item) -> str:
        take = Take(item)
        item.takes.append(take)
        return take.pointer

    def GetActiveTake(self, item: Item) -> str:
        return item.takes[0].pointer if item.takes else null("MediaItem_Take*")

    def PCM_Source_CreateFromFile(self, path: str) -> str:
        source = Source(path)
        if not source.length_s:
            return null("PCM_source*")
        self.world.loose[source.address] = source
        return source.pointer

    def SetMediaItemTake_Source(self, take: Take, source: Source) -> int:
        take.source = source
        return 1

    def GetMediaItemTake_Source(self, take: Take) -> str:
        return take.source.pointer if take.source else null("PCM_source*")

    def GetMediaSourceFileName(self, source: Source, text: str, size: int) -> Any:
        return [source.pointer, source.path, size]

    def SetMediaItemInfo_Value(self, item: Item, key: str, value: float) -> int:
        return _set(item.values, key, value)

    def GetMediaItemInfo_Value(self, item: Item, key: str) -> float:
        return item.values[key]

    def GetSetMediaItemInfo_String(self, item: Item, key: str, text: str, is_set: bool) -> Any:
        return self._text(item, item.texts, key, text, is_set)

    def SetMediaItemTakeInfo_Value(self, take: Take, key: str, value: float) -> int:
        return _set(take.values, key, value)

    def GetMediaItemTakeInfo_Value(self, take: Take, key: str) -> float:
        return take.values[key]

    def GetSetMediaItemTakeInfo_String(self, take: Take, key: str, text: str, is_set: bool) -> Any:
        return self._text(take, take.texts, key, text, is_set)

    def UpdateItemInProject(self, item: Item) -> None:
        if not item.takes or item.takes[0].source is None:
            raise WrongCall("UpdateItemInProject before the item has a source")

    # --- plug-ins
    def TrackFX_AddByName(self, track: Track, name: str, rec: bool, instantiate: int) -> int:
        if instantiate != -1:
            raise WrongCall("TrackFX_AddByName: the simulator knows -1 only")
        fx = make_fx(name)
        if fx is None:
            return -1
        track.fx.append(fx)
        return len(track.fx) - 1

    def TrackFX_GetCount(self, track: Track) -> int:
        return len(track.fx)

    def TrackFX_Delete(self, track: Track, index: int) -> int:
        del track.fx[index]
        return 1

    def TrackFX_GetFXName(self, track: Track, index: int, text: str, size: int) -> Any:
        return [1, track.pointer, index, track.fx[index].title, size]

    def TrackFX_GetEnabled(self, track: Track, index: int) -> int:
        return int(track.fx[index].enabled)

    def TrackFX_SetEnabled(self, track: Track, index: int, enabled: bool) -> None:
        track.fx[index].enabled = bool(enabled)

    def TrackFX_GetNumParams(self, track: Track, index: int) -> int:
        return len(track.fx[index].parameters)

    def TrackFX_GetParam(self, track: Track, index: int, number: int, low: float, high: float) -> Any:
        return [track.fx[index].parameters[number], track.pointer, index, number, 0.0, 1.0]

    def TrackFX_SetParam(self, track: Track, index: int, number: int, value: float) -> int:
        parameters = track.fx[index].parameters
        if not 0 <= number < len(parameters):
            return 0
        parameters[number] = float(value)
        return 1

    def TrackFX_SetNamedConfigParm(self, track: Track, index: int, key: str, value: str) -> int:
        if key != "vst_chunk":
            raise WrongCall(f"TrackFX_SetNamedConfigParm {key}")
        if not track.fx[index].chunk:
            return 0
        track.fx[index].chunk = base64.b64decode(value, validate=True)
        return 1

    def TrackFX_GetNamedConfigParm(self, track: Track, index: int, key: str, text: str, size: int) -> Any:
        chunk = base64.b64encode(track.fx[index].chunk).decode()
        return [int(bool(chunk)), track.pointer, index, key, chunk, size]

    def TrackFX_SetPinMappings(self, track: Track, index: int, is_output: int, pin: int, low: int, high: int) -> int:
        track.fx[index].pins[is_output, pin] = (low, high)
        return 1

    def TrackFX_GetPinMappings(self, track: Track, index: int, is_output: int, pin: int, high: int) -> Any:
        low, top = track.fx[index].pins.get((is_output, pin), (1 << pin, 0))
        return [low, track.pointer, index, is_output, pin, top]

    # --- sends
    def CreateTrackSend(self, source: Track, target: Track) -> int:
        if source is target:
            raise WrongCall("a track cannot send to itself")
        self.content.sends.append(Send(source, target))
        return len(self._sends(source, 0)) - 1

    def _sends(self, track: Track, category: int) -> list[Send]:
        side = "source" if category == 0 else "target"
        return [send for send in self.content.sends if getattr(send, side) is track]

    def GetTrackNumSends(self, track: Track, category: int) -> int:
        return len(self._sends(track, category))

    def RemoveTrackSend(self, track: Track, category: int, index: int) -> int:
        self.content.sends.remove(self._sends(track, category)[index])
        return 1

    def SetTrackSendInfo_Value(self, track: Track, category: int, index: int, key: str, value: float) -> int:
        return _set(self._sends(track, category)[index].values, key, value)

    def GetTrackSendInfo_Value(self, track: Track, category: int, index: int, key: str) -> float:
        sends = self._sends(track, category)
        if not 0 <= index < len(sends):
            return 0.0
        send = sends[index]
        if key in ("P_SRCTRACK", "P_DESTTRACK"):
            return float((send.source if key == "P_SRCTRACK" else send.target).address)
        return send.values[key]


def _set_groups(track: Track, name: str, shift: int, mask: int, value: int) -> int:
    """Groups as the API counts them: signed 32-bit masks."""
    if name not in GROUP_WAYS:
        raise WrongCall(f"no such way to be in a group: {name}")
    for bits in (mask, value):
        if not -(1 << 31) <= bits < 1 << 31:
            raise WrongCall(f"{bits} is no 32-bit number")
    before = track.groups.get(name, 0)
    if mask:
        mask, value = (mask & 0xFFFFFFFF) << shift, (value & 0xFFFFFFFF) << shift
        track.groups[name] = before & ~mask | value & mask
        if not track.groups[name]:
            del track.groups[name]
    half = before >> shift & 0xFFFFFFFF
    return half - (1 << 32) if half >> 31 else half


def _set(values: dict[str, float], key: str, value: float) -> int:
    if key not in values:
        return 0
    values[key] = float(value)
    return 1


_LINKED = ["VOLUME", "PAN", "MUTE", "SOLO", "RECARM", "POLARITY", "AUTOMODE", "WIDTH", "VOLUME_VCA", "MEDIA_EDIT"]
GROUP_WAYS = {
    *(f"{what}_{role}" for what in _LINKED for role in ("LEAD", "FOLLOW")),
    *("VOLUME_REVERSE", "PAN_REVERSE", "WIDTH_REVERSE", "NO_LEAD_WHEN_FOLLOW", "VOLUME_VCA_FOLLOW_ISPREFX"),
}
"""As the documentation of GetSetTrackGroupMembership lists them."""

P, K, M, E, S = "ReaProject*", "MediaTrack*", "MediaItem*", "MediaItem_Take*", "PCM_source*"
KINDS = {
    "EnumProjects": "i s i",
    "GetProjectTimeSignature2": f"{P} d d",
    "GetSetProjectInfo": f"{P} s d b",
    "GetProjExtState": f"{P} s s s i",
    "SetProjExtState": f"{P} s s s",
    "Undo_BeginBlock2": P,
    "Undo_EndBlock2": f"{P} s i",
    "Undo_CanUndo2": P,
    "Undo_DoUndo2": P,
    "PreventUIRefresh": "i",
    "TrackList_AdjustWindows": "b",
    "UpdateArrange": "",
    "ColorToNative": "i i i",
    "ColorFromNative": "i i i i",
    "AddProjectMarker2": f"{P} b d d s i i",
    "SplitMediaItem": f"{M} d",
    "GetExtState": "s s",
    "SetExtState": "s s s b",
    "HasExtState": "s s",
    "DeleteExtState": "s s b",
    "ShowConsoleMsg": "s",
    "GetResourcePath": "",
    "CountTracks": P,
    "GetTrack": f"{P} i",
    "GetMasterTrack": P,
    "InsertTrackAtIndex": "i b",
    "DeleteTrack": K,
    "GetSetMediaTrackInfo_String": f"{K} s s b",
    "GetMediaTrackInfo_Value": f"{K} s",
    "SetMediaTrackInfo_Value": f"{K} s d",
    "GetSetTrackGroupMembership": f"{K} s i i",
    "GetSetTrackGroupMembershipHigh": f"{K} s i i",
    "GetTrackStateChunk": f"{K} s i b",
    "AddMediaItemToTrack": K,
    "DeleteTrackMediaItem": f"{K} {M}",
    "CountTrackMediaItems": K,
    "GetTrackMediaItem": f"{K} i",
    "AddTakeToMediaItem": M,
    "GetActiveTake": M,
    "PCM_Source_CreateFromFile": "s",
    "SetMediaItemTake_Source": f"{E} {S}",
    "GetMediaItemTake_Source": E,
    "GetMediaSourceFileName": f"{S} s i",
    "SetMediaItemInfo_Value": f"{M} s d",
    "GetMediaItemInfo_Value": f"{M} s",
    "GetSetMediaItemInfo_String": f"{M} s s b",
    "SetMediaItemTakeInfo_Value": f"{E} s d",
    "GetMediaItemTakeInfo_Value": f"{E} s",
    "GetSetMediaItemTakeInfo_String": f"{E} s s b",
    "UpdateItemInProject": M,
    "TrackFX_AddByName": f"{K} s b i",
    "TrackFX_GetCount": K,
    "TrackFX_Delete": f"{K} i",
    "TrackFX_GetFXName": f"{K} i s i",
    "TrackFX_GetEnabled": f"{K} i",
    "TrackFX_SetEnabled": f"{K} i b",
    "TrackFX_GetNumParams": f"{K} i",
    "TrackFX_GetParam": f"{K} i i d d",
    "TrackFX_SetParam": f"{K} i i d",
    "TrackFX_SetNamedConfigParm": f"{K} i s s",
    "TrackFX_GetNamedConfigParm": f"{K} i s s i",
    "TrackFX_SetPinMappings": f"{K} i i i i i",
    "TrackFX_GetPinMappings": f"{K} i i i i",
    "CreateTrackSend": f"{K} {K}",
    "GetTrackNumSends": f"{K} i",
    "RemoveTrackSend": f"{K} i i",
    "SetTrackSendInfo_Value": f"{K} i i s d",
    "GetTrackSendInfo_Value": f"{K} i i s",
}
"""Function -> the kinds of its arguments: s text, i integer, b truth, d number, or the pointer's type."""
