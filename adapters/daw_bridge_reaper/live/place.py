"""Put a layout into the open project: every property by the call that the ReaScript API documents for it.

Tracks that an earlier run of the same session made are found by an id that is stored on them (`P_EXT`, part of the
track and so of REAPER's undo), and are set again instead of doubled; what the user added to them stays.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import DawError
from daw_bridge.model import Colour
from daw_bridge_reaper.layout import free_groups
from daw_bridge_reaper.live.api import RECEIVE, TRACK_SEND, Pointer, Project, ReaScriptError
from daw_bridge_reaper.live.plugins import LiveState, live_state
from daw_bridge_reaper.session import (
    RawFx,
    ReaperItem,
    ReaperMarker,
    ReaperProject,
    ReaperReceive,
    ReaperTrack,
    open_folders,
)

ID_KEY = "P_EXT:daw_bridge"
NEW_INSTANCE = -1
SOLO_IN_PLACE = 2
COLOUR_SET = 0x1000000
GROUP_KEY = "P_EXT:daw_bridge_groups"
"""The groups that we put a track in, as a number: a second run takes it out of them and of no other."""
GROUP_WAYS = (
    *(
        f"{what}_{role}"
        for what in (
            "VOLUME",
            "PAN",
            "MUTE",
            "SOLO",
            "RECARM",
            "POLARITY",
            "AUTOMODE",
            "WIDTH",
            "VOLUME_VCA",
            "MEDIA_EDIT",
        )
        for role in ("LEAD", "FOLLOW")
    ),
    "VOLUME_REVERSE",
    "PAN_REVERSE",
    "WIDTH_REVERSE",
    "NO_LEAD_WHEN_FOLLOW",
    "VOLUME_VCA_FOLLOW_ISPREFX",
)
"""Every way to be in a group that GetSetTrackGroupMembership knows (ReaScript API of REAPER 7)."""
OUR_WAYS = ("VOLUME_LEAD", "VOLUME_FOLLOW")


@dataclass(slots=True)
class Placer:
    """One layout on its way into `project`. `step` says in words what is being done, for errors."""

    project: Project
    layout: ReaperProject
    session_id: str
    step: str = "looking at the project"
    limits: list[Limit] = field(default_factory=list)
    tracks: list[Pointer] = field(default_factory=list)
    outdated: list[Pointer] = field(default_factory=list)
    start: int = 0
    fresh: bool = False

    def id_of(self, track: ReaperTrack) -> str:
        return f"{self.session_id}/{track.key}"

    def find(self) -> list[Pointer]:
        """The tracks of an earlier run, in the layout's order; empty when there are none, or none to be kept.

        With other buses than now they are replaced as a whole (`outdated`). Raises DawError when they were moved or
        hold items of the user: then nothing says where those belong.
        """
        self.outdated = []
        found: list[tuple[int, str, Pointer]] = []
        for place, track in enumerate(self.project.tracks()):
            mark = self.project.text(track, ID_KEY)
            if mark.startswith(f"{self.session_id}/"):
                found.append((place, mark, track))
        if not found:
            return []
        first = found[0][0]
        wanted = [(first + place, self.id_of(track)) for place, track in enumerate(self.layout.tracks)]
        tracks = [track for _, _, track in found]
        if [(place, mark) for place, mark, _ in found] == wanted:
            return tracks
        moved = {mark for _, mark, _ in found} == {mark for _, mark in wanted}
        if moved or not self._is_only_ours([place for place, _, _ in found], tracks):
            raise DawError(
                "the project holds an earlier session of this song whose tracks were moved or hold items of yours; "
                "delete those tracks in REAPER (or undo), or build under another --name"
            )
        self.start, self.outdated = first, tracks
        return []

    def _is_only_ours(self, places: list[int], tracks: list[Pointer]) -> bool:
        """Whether the tracks stand together, close what they open, and hold nothing but what we put there."""
        call = self.project.call
        together = places == list(range(places[0], places[0] + len(places)))
        depth = sum(int(self.project.value(track, "I_FOLDERDEPTH")) for track in tracks)
        marks = (
            call("GetSetMediaItemInfo_String", call("GetTrackMediaItem", track, item), ID_KEY, "", False)[3]
            for track in tracks
            for item in range(int(call("CountTrackMediaItems", track)))
        )
        return together and depth == 0 and all(mark == self.session_id for mark in marks)

    def place(self) -> None:
        """Make or update everything; the caller opens and closes the undo step."""
        self.tracks = self.find()
        fresh, replaced = not self.tracks, bool(self.outdated)
        self.fresh = fresh
        for old in self.outdated:
            self._do("taking the earlier session's tracks away")
            self.project.call("DeleteTrack", old)
        if fresh:
            self._insert()
        self._choose_groups()
        for pointer, track in zip(self.tracks, self.layout.tracks, strict=True):
            self._properties(pointer, track)
        for pointer, track in zip(self.tracks, self.layout.tracks, strict=True):
            self._folder(pointer, track)
        for pointer, track in zip(self.tracks, self.layout.tracks, strict=True):
            self._items(pointer, track, fresh=fresh)
            self._chain(pointer, track, fresh=fresh)
            self._receives(pointer, track, fresh=fresh)
        if fresh and not replaced:
            for marker in self.layout.markers:
                self._marker(marker)

    def _do(self, step: str) -> None:
        self.step = step

    def _insert(self) -> None:
        self._do("inserting tracks")
        project = self.project
        existing = list(project.tracks())
        is_open = open_folders(int(project.value(track, "I_FOLDERDEPTH")) for track in existing)
        # Where the earlier session was; behind the last track, or on top when the project's last folder is open.
        start = self.start if self.outdated else 0 if is_open else len(existing)
        for place in range(len(self.layout.tracks)):
            project.call("InsertTrackAtIndex", start + place, False)
        for place, track in enumerate(self.layout.tracks):
            pointer = Pointer(project.call("GetTrack", project.id, start + place))
            if pointer.is_null:
                raise ReaScriptError("REAPER made no track")
            project.set_text(pointer, ID_KEY, self.id_of(track))
            self.tracks.append(pointer)

    def _properties(self, pointer: Pointer, track: ReaperTrack) -> None:
        self._do(f"setting up the track {track.name!r}")
        project = self.project
        project.set_text(pointer, "P_NAME", track.name)
        for key, value in (
            ("D_VOL", track.gain_linear),
            ("D_PAN", track.pan),
            ("D_PANLAW", track.pan_law),
            *((("I_PANMODE", track.pan_mode),) if track.pan_mode is not None else ()),
            ("B_MUTE", int(track.mute)),
            ("I_SOLO", SOLO_IN_PLACE if track.solo else 0),
            ("I_NCHAN", track.channels),
            ("B_MAINSEND", int(track.main_send)),
            ("C_BEATATTACHMODE", 0),
            ("I_CUSTOMCOLOR", self._native(track.colour)),
        ):
            project.set_value(pointer, key, value)
        earlier = 0 if self.fresh else self._earlier_groups(pointer)
        if earlier | track.group_mask:
            for way in OUR_WAYS:
                self._membership(pointer, way, earlier | track.group_mask, track.group_mask)
            project.set_text(pointer, GROUP_KEY, str(track.group_mask) if track.group_mask else "")

    def _choose_groups(self) -> None:
        """Groups for this session that no track uses for anything yet, as the layout's groups."""
        wanted = {track.group_mask for track in self.layout.tracks}
        if wanted <= {0}:
            return
        self._do("looking for free groups")
        used = 0
        for track in self.project.tracks():
            ours = track in self.tracks
            if ours and self.fresh:
                continue
            earlier = self._earlier_groups(track) if ours else 0
            for way in GROUP_WAYS:
                used |= self._membership(track, way) & ~(earlier if way in OUR_WAYS else 0)
        groups = free_groups(wanted, used, Losses("project", self.limits))
        tracks = tuple(replace(track, group_mask=groups[track.group_mask]) for track in self.layout.tracks)
        self.layout = replace(self.layout, tracks=tracks)

    def _earlier_groups(self, track: Pointer) -> int:
        text = self.project.text(track, GROUP_KEY)
        return int(text) if text.isdecimal() else 0

    def _membership(self, track: Pointer, way: str, mask: int = 0, value: int = 0) -> int:
        """The groups of a track before the bits of `mask` are set to `value`; bit 0 is group 1, bit 63 group 64."""
        low, high = (
            self.project.call(name, track, way, _signed(mask >> shift), _signed(value >> shift))
            for name, shift in (("GetSetTrackGroupMembership", 0), ("GetSetTrackGroupMembershipHigh", 32))
        )
        return int(low) & 0xFFFFFFFF | (int(high) & 0xFFFFFFFF) << 32

    def _native(self, colour: Colour | None) -> int:
        if colour is None:
            return 0
        return int(self.project.call("ColorToNative", colour.red, colour.green, colour.blue)) | COLOUR_SET

    def _folder(self, pointer: Pointer, track: ReaperTrack) -> None:
        self._do(f"setting the folder of {track.name!r}")
        self.project.set_value(pointer, "I_FOLDERDEPTH", track.folder_depth)

    def _items(self, pointer: Pointer, track: ReaperTrack, *, fresh: bool) -> None:
        self._do(f"placing the audio of {track.name!r}")
        if not fresh:
            for place in reversed(range(int(self.project.call("CountTrackMediaItems", pointer)))):
                item = Pointer(self.project.call("GetTrackMediaItem", pointer, place))
                if self.project.call("GetSetMediaItemInfo_String", item, ID_KEY, "", False)[3] == self.session_id:
                    self.project.call("DeleteTrackMediaItem", pointer, item)
        for wanted in track.items:
            add_item(self.project, pointer, wanted, self.session_id)

    def _chain(self, pointer: Pointer, track: ReaperTrack, *, fresh: bool) -> None:
        if not fresh:
            self._do(f"taking the plug-ins off {track.name!r}")
            for place in reversed(range(int(self.project.call("TrackFX_GetCount", pointer)))):
                self.project.call("TrackFX_Delete", pointer, place)
        notes = Losses(track.name, self.limits)
        for fx in track.fx:
            state = live_state(fx)
            if state.lost:
                what = f"{state.title}: {', '.join(state.lost)} cannot be set in the open project (a project file can)"
                notes.lost(Feature.PLUGIN, what)
            self._do(f"adding {state.title} to {track.name!r}")
            place = int(self.project.call("TrackFX_AddByName", pointer, state.title, False, NEW_INSTANCE))
            if place < 0:
                if not isinstance(fx, RawFx):
                    raise ReaScriptError(f"REAPER has no {state.title}")
                notes.lost(Feature.PLUGIN, f"REAPER has no plug-in called {state.title}")
                continue
            self._state(pointer, place, state, notes)
            if not fx.enabled:
                self.project.call("TrackFX_SetEnabled", pointer, place, False)

    def _state(self, pointer: Pointer, place: int, state: LiveState, notes: Losses) -> None:
        call = self.project.call
        if state.chunk is not None:
            text = base64.b64encode(state.chunk).decode("ascii")
            if not call("TrackFX_SetNamedConfigParm", pointer, place, "vst_chunk", text):
                notes.bent(Feature.PLUGIN, f"{state.title} did not take its state and has its own defaults")
        for parameter, value in state.parameters:
            if not call("TrackFX_SetParam", pointer, place, parameter, value):
                notes.bent(Feature.PLUGIN, f"{state.title} has no parameter {parameter}")
        for pin, mask in enumerate(state.pins):
            call("TrackFX_SetPinMappings", pointer, place, 0, pin, mask & 0xFFFFFFFF, mask >> 32)

    def _receives(self, pointer: Pointer, track: ReaperTrack, *, fresh: bool) -> None:
        self._do(f"routing to {track.name!r}")
        call = self.project.call
        if not fresh:
            ours = {track.address for track in self.tracks}
            for place in reversed(range(int(call("GetTrackNumSends", pointer, RECEIVE)))):
                if self.project.source_of(pointer, place) in ours:
                    call("RemoveTrackSend", pointer, RECEIVE, place)
        for receive in track.receives:
            self._receive(pointer, receive)

    def _receive(self, pointer: Pointer, receive: ReaperReceive) -> None:
        source = self.tracks[receive.source]
        place = int(self.project.call("CreateTrackSend", source, pointer))
        if place < 0:
            raise ReaScriptError("REAPER made no send")
        for key, value in (
            ("D_VOL", receive.gain_linear),
            ("D_PAN", receive.pan),
            ("B_MUTE", int(receive.mute)),
            ("I_SENDMODE", receive.mode),
            ("I_SRCCHAN", receive.source_channel),
            ("I_DSTCHAN", receive.target_channel),
            ("D_PANLAW", receive.pan_law),
        ):
            _require(self.project.call("SetTrackSendInfo_Value", source, TRACK_SEND, place, key, value), f"send {key}")

    def _marker(self, marker: ReaperMarker) -> None:
        self._do(f"setting the marker {marker.name!r}")
        end_s = marker.position_s if marker.end_s is None else marker.end_s
        place = self.project.call(
            "AddProjectMarker2",
            self.project.id,
            marker.end_s is not None,
            marker.position_s,
            end_s,
            marker.name,
            -1,
            self._native(marker.colour),
        )
        if int(place) < 0:
            raise ReaScriptError("REAPER made no marker")


def add_item(project: Project, pointer: Pointer, wanted: ReaperItem, mark: str) -> None:
    """A media item with one take on a track; `mark` says later that it is ours."""
    call = project.call
    source = Pointer(call("PCM_Source_CreateFromFile", wanted.path))
    if source.is_null:
        raise ReaScriptError(f"REAPER cannot open {wanted.path}; is the file still there?")
    item = Pointer(call("AddMediaItemToTrack", pointer))
    take = Pointer(call("AddTakeToMediaItem", item))
    if not call("SetMediaItemTake_Source", take, source):
        raise ReaScriptError(f"REAPER cannot use {wanted.path}")
    for key, value in (
        ("D_POSITION", wanted.position_s),
        ("D_LENGTH", wanted.length_s),
        ("B_LOOPSRC", int(wanted.loop)),
        ("D_FADEINLEN", wanted.fade_in_s),
        ("D_FADEOUTLEN", wanted.fade_out_s),
        # -1 switches the automatic cross-fade off that REAPER may add to new items.
        ("D_FADEINLEN_AUTO", -1.0),
        ("D_FADEOUTLEN_AUTO", -1.0),
        ("C_BEATATTACHMODE", 0),
        ("B_MUTE", int(wanted.mute)),
    ):
        _require(call("SetMediaItemInfo_Value", item, key, value), key)
    for key, value in (
        ("D_STARTOFFS", wanted.offset_s),
        ("D_PLAYRATE", wanted.play_rate),
        ("D_VOL", wanted.gain_linear),
        ("D_PANLAW", 1.0),
    ):
        _require(call("SetMediaItemTakeInfo_Value", take, key, value), key)
    call("GetSetMediaItemTakeInfo_String", take, "P_NAME", wanted.name, True)
    call("GetSetMediaItemInfo_String", item, ID_KEY, mark, True)
    call("UpdateItemInProject", item)


def _signed(bits: int) -> int:
    """The low 32 bits as the signed number that the API takes."""
    bits &= 0xFFFFFFFF
    return bits - (1 << 32) if bits >> 31 else bits


def _require(taken: object, key: str) -> None:
    if not taken:
        raise ReaScriptError(f"REAPER did not take {key}")
