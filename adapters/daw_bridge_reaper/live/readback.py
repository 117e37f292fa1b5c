"""What the open project holds, read by the API into the same values as a project file, and the differences."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Sequence
from dataclasses import fields

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import DawError
from daw_bridge.model import Colour
from daw_bridge_reaper import rpp
from daw_bridge_reaper.live.api import RECEIVE, Pointer, Project
from daw_bridge_reaper.live.place import COLOUR_SET
from daw_bridge_reaper.plugin_state import OWN_CHUNK, STOCK
from daw_bridge_reaper.session import (
    Fx,
    RawFx,
    ReaperItem,
    ReaperReceive,
    ReaperTrack,
    VstFx,
)
from daw_bridge_reaper.stock_state import ReaComp, ReaEq, decode_parameters, encode_parameters

_BUFFER = 65536
_CHUNK_BUFFER = 4 * 1024 * 1024


def read_tracks(project: Project, tracks: Sequence[Pointer]) -> list[ReaperTrack]:
    """The given tracks; receives from others are left out, the rest counts within `tracks`."""
    index = {pointer.address: place for place, pointer in enumerate(tracks)}
    return [_track(project, pointer, index) for pointer in tracks]


def _track(project: Project, pointer: Pointer, index: dict[int, int]) -> ReaperTrack:
    value = project.value
    return ReaperTrack(
        name=project.text(pointer, "P_NAME"),
        folder_depth=int(value(pointer, "I_FOLDERDEPTH")),
        gain_linear=value(pointer, "D_VOL"),
        pan=value(pointer, "D_PAN"),
        mute=value(pointer, "B_MUTE") != 0,
        solo=value(pointer, "I_SOLO") != 0,
        channels=int(value(pointer, "I_NCHAN")),
        main_send=value(pointer, "B_MAINSEND") != 0,
        colour=_colour(project, int(value(pointer, "I_CUSTOMCOLOR"))),
        group_mask=_groups(project, pointer),
        pan_law=value(pointer, "D_PANLAW"),
        pan_mode=int(value(pointer, "I_PANMODE")),
        items=tuple(_items(project, pointer)),
        receives=tuple(_receives(project, pointer, index)),
        fx=tuple(_chain(project, pointer)),
    )


def _groups(project: Project, pointer: Pointer) -> int:
    low, high = (
        int(project.call(f"GetSetTrackGroupMembership{half}", pointer, "VOLUME_LEAD", 0, 0)) & 0xFFFFFFFF
        for half in ("", "High")
    )
    return low | high << 32


def _colour(project: Project, native: int) -> Colour | None:
    if not native & COLOUR_SET:
        return None
    _, red, green, blue = project.call("ColorFromNative", native & 0xFFFFFF, 0, 0, 0)
    return Colour(red=int(red), green=int(green), blue=int(blue))


def _items(project: Project, pointer: Pointer) -> Iterator[ReaperItem]:
    call = project.call
    for place in range(int(call("CountTrackMediaItems", pointer))):
        item = Pointer(call("GetTrackMediaItem", pointer, place))
        take = Pointer(call("GetActiveTake", item))
        if take.is_null:
            continue
        source = Pointer(call("GetMediaItemTake_Source", take))
        path = "" if source.is_null else str(call("GetMediaSourceFileName", source, "", 4096)[1])
        yield ReaperItem(
            path=path,
            name=str(call("GetSetMediaItemTakeInfo_String", take, "P_NAME", "", False)[3]),
            position_s=float(call("GetMediaItemInfo_Value", item, "D_POSITION")),
            length_s=float(call("GetMediaItemInfo_Value", item, "D_LENGTH")),
            offset_s=float(call("GetMediaItemTakeInfo_Value", take, "D_STARTOFFS")),
            play_rate=float(call("GetMediaItemTakeInfo_Value", take, "D_PLAYRATE")),
            gain_linear=float(call("GetMediaItemTakeInfo_Value", take, "D_VOL")),
            fade_in_s=float(call("GetMediaItemInfo_Value", item, "D_FADEINLEN")),
            fade_out_s=float(call("GetMediaItemInfo_Value", item, "D_FADEOUTLEN")),
            loop=call("GetMediaItemInfo_Value", item, "B_LOOPSRC") != 0,
            mute=call("GetMediaItemInfo_Value", item, "B_MUTE") != 0,
        )


def _receives(project: Project, pointer: Pointer, index: dict[int, int]) -> Iterator[ReaperReceive]:
    call = project.call

    def number(place: int, key: str) -> float:
        return float(call("GetTrackSendInfo_Value", pointer, RECEIVE, place, key))

    for place in range(int(call("GetTrackNumSends", pointer, RECEIVE))):
        source = project.source_of(pointer, place)
        if source in index:
            yield ReaperReceive(
                source=index[source],
                gain_linear=number(place, "D_VOL"),
                pan=number(place, "D_PAN"),
                mode=int(number(place, "I_SENDMODE")),
                mute=number(place, "B_MUTE") != 0,
                source_channel=int(number(place, "I_SRCCHAN")),
                target_channel=int(number(place, "I_DSTCHAN")),
                pan_law=number(place, "D_PANLAW"),
            )


def _chain(project: Project, pointer: Pointer) -> Iterator[Fx]:
    call = project.call
    for place in range(int(call("TrackFX_GetCount", pointer))):
        title = str(call("TrackFX_GetFXName", pointer, place, "", 512)[3])
        enabled = bool(call("TrackFX_GetEnabled", pointer, place))
        plugin = next((each for each in STOCK.values() if f"{each.name} (Cockos)" in title), None)
        if plugin is None:
            yield RawFx(chunk=title, enabled=enabled)
            continue
        if plugin.storage == OWN_CHUNK:
            answer = call("TrackFX_GetNamedConfigParm", pointer, place, "vst_chunk", "", _BUFFER)
            data = _unpacked(str(answer[4])) if answer[0] else b""
        else:
            data = encode_parameters(_parameters(project, pointer, place))
        yield VstFx(
            plugin=plugin.name, data=data, sidechain_channel=_sidechain(project, pointer, place, data), enabled=enabled
        )


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _parameters(project: Project, pointer: Pointer, place: int) -> list[float]:
    # REAPER adds bypass, wet and delta of its own behind the plug-in's parameters.
    count = max(int(project.call("TrackFX_GetNumParams", pointer, place)) - 3, 0)
    return [float(project.call("TrackFX_GetParam", pointer, place, each, 0.0, 0.0)[0]) for each in range(count)]


def _sidechain(project: Project, pointer: Pointer, place: int, data: bytes) -> int | None:
    try:
        if not ReaComp.decode(data).auxiliary:
            return None
    except ValueError:
        return None
    low, *rest = project.call("TrackFX_GetPinMappings", pointer, place, 0, 2, 0)
    mask = int(low) & 0xFFFFFFFF | (int(rest[-1]) & 0xFFFFFFFF) << 32
    return mask.bit_length() - 1 if mask else None


def differences(wanted: Sequence[ReaperTrack], found: Sequence[ReaperTrack]) -> list[Limit]:
    """What REAPER answered otherwise than it was told, one line for each property."""
    limits: list[Limit] = []
    for track, answer in zip(wanted, found, strict=True):
        notes = Losses(track.name, limits)
        for each in fields(ReaperTrack):
            if each.name in ("key", "fx"):
                continue
            asked, got = getattr(track, each.name), getattr(answer, each.name)
            if not _near(asked, got):
                notes.bent(Feature.CLIPS, f"{each.name.replace('_', ' ')}: asked for {asked!r}, REAPER says {got!r}")
        if len(track.fx) != len(answer.fx):
            notes.bent(Feature.PLUGIN, f"asked for {len(track.fx)} plug-ins, REAPER says {len(answer.fx)}")
        for fx, other in zip(track.fx, answer.fx, strict=False):
            if isinstance(fx, VstFx) and not same_fx(fx, other):
                notes.bent(Feature.PLUGIN, f"{fx.plugin}: REAPER has other settings than it was given")
    return limits


def same_fx(fx: VstFx, other: Fx) -> bool:
    """The same plug-in with the same settings, to the precision of 32-bit floats."""
    if not isinstance(other, VstFx) or (fx.plugin, fx.enabled) != (other.plugin, other.enabled):
        return False
    if fx.sidechain_channel != other.sidechain_channel:
        return False
    if fx.data == other.data:
        return True
    try:
        if fx.plugin == "ReaEQ":
            return ReaEq.decode(fx.data) == ReaEq.decode(other.data)
        pairs = zip(decode_parameters(fx.data), decode_parameters(other.data), strict=False)
        return all(math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7) for a, b in pairs)
    except ValueError:
        return False


def _near(asked: object, got: object) -> bool:
    if isinstance(asked, float) and isinstance(got, float):
        return math.isclose(asked, got, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(asked, tuple) and isinstance(got, tuple):
        return len(asked) == len(got) and all(_near(a, b) for a, b in zip(asked, got, strict=True))
    if isinstance(asked, ReaperItem | ReaperReceive):
        return type(asked) is type(got) and all(
            _near(getattr(asked, each.name), getattr(got, each.name)) for each in fields(asked)
        )
    return asked == got


def open_document(project: Project) -> rpp.Document:
    """The open project as a project file would hold its tracks, from their state chunks."""
    _, tempo_bpm, beats = project.call("GetProjectTimeSignature2", project.id, 0.0, 0.0)
    rate_hz = float(project.call("GetSetProjectInfo", project.id, "PROJECT_SRATE", 0.0, False))
    root = rpp.Chunk.of("REAPER_PROJECT", 0.1)
    root.body += [
        rpp.Line.of("SAMPLERATE", round(rate_hz) or 44_100, 1, 0),
        rpp.Line.of("TEMPO", float(tempo_bpm), round(float(beats)) or 4, 4),
        *_master(project),
    ]
    root.body += [_state(project, track) for track in project.tracks()]
    return rpp.Document(root)


def _state(project: Project, track: Pointer) -> rpp.Chunk:
    answer = project.call("GetTrackStateChunk", track, "", _CHUNK_BUFFER, False)
    if not answer[0]:
        raise DawError(f"REAPER does not give the state of the track {project.text(track, 'P_NAME')!r}")
    return rpp.parse(str(answer[2]), "a track's state").root


def _master(project: Project) -> Iterator[rpp.Line | rpp.Chunk]:
    """The master as a project file has it: level, pan, mute, and its chain, which its state may call either name."""
    master = Pointer(project.call("GetMasterTrack", project.id))
    if master.is_null:
        return
    value = project.value
    yield rpp.Line.of("MASTERMUTESOLO", int(value(master, "B_MUTE") != 0))
    yield rpp.Line.of("MASTER_VOLUME", value(master, "D_VOL"), value(master, "D_PAN"), value(master, "D_PANLAW"), -1, 1)
    yield rpp.Line.of("MASTER_FX", int(value(master, "I_FXEN") != 0))
    for part in _state(project, master).chunks():
        if part.name in ("FXCHAIN", "MASTERFXLIST"):
            yield rpp.Chunk(rpp.Line("<MASTERFXLIST"), part.body)
