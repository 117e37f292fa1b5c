"""An .rpp -> ReaperProject: what a project says about tracks, routing, items and plug-ins, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from daw_bridge.errors import InputError
from daw_bridge.model import Colour
from daw_bridge_reaper import rpp
from daw_bridge_reaper.chain import FxPart, chain_parts
from daw_bridge_reaper.plugin_state import auxiliary_channel, decode_block, stock_of, stock_state
from daw_bridge_reaper.rpp import Chunk, Line
from daw_bridge_reaper.session import (
    PROJECT_LAW,
    Fx,
    RawFx,
    ReaperItem,
    ReaperMarker,
    ReaperProject,
    ReaperReceive,
    ReaperTrack,
    VstFx,
)
from daw_bridge_reaper.stock_state import ReaComp

_COLOUR_SET = 0x1000000
_REGION = 1
GROUP_LINES = (("GROUP_FLAGS", 0), ("GROUP_FLAGS_HIGH", 32))
"""Lines with a bit mask for each way to be in a group, and the number of their bit 0: groups 1-32 and 33-64 (REAPER
5.70; groups above 64 have no line in a project)."""


def read_project(document: rpp.Document) -> ReaperProject:
    """The project's content; fields that are missing get REAPER's defaults."""
    root = document.root
    notes = root.chunk("NOTES")
    return ReaperProject(
        sample_rate_hz=root.int("SAMPLERATE", 0, 44_100),
        tempo_bpm=root.float("TEMPO", 0, 120.0),
        time_signature=(root.int("TEMPO", 1, 4), root.int("TEMPO", 2, 4)),
        tracks=tuple(read_track(chunk) for chunk in root.chunks("TRACK")),
        markers=tuple(_markers(root)),
        notes=tuple(
            part.text.strip().removeprefix("|") for part in (notes.body if notes else ()) if isinstance(part, Line)
        ),
    )


def read_track(chunk: Chunk) -> ReaperTrack:
    """One track."""
    chain = chunk.chunk("FXCHAIN")
    return ReaperTrack(
        name=chunk.text("NAME"),
        folder_depth=chunk.int("ISBUS", 1),
        gain_linear=chunk.float("VOLPAN", 0, 1.0),
        pan=chunk.float("VOLPAN", 1),
        mute=chunk.int("MUTESOLO") != 0,
        solo=chunk.int("MUTESOLO", 1) != 0,
        channels=chunk.int("NCHAN", 0, 2),
        main_send=chunk.int("MAINSEND", 0, 1) != 0,
        chain_on=chunk.int("FX", 0, 1) != 0,
        colour=_native_colour(chunk.int("PEAKCOL")),
        group_mask=volume_groups(chunk),
        pan_law=chunk.float("VOLPAN", 2, PROJECT_LAW),
        pan_mode=chunk.int("PANMODE") if chunk.values("PANMODE") else None,
        items=tuple(_item(item) for item in chunk.chunks("ITEM")),
        receives=tuple(_receive(line) for line in chunk.lines("AUXRECV")),
        fx=tuple(read_chain(chain)) if chain else (),
    )


def volume_groups(track: Chunk) -> int:
    """The groups (bit 0 is group 1) in which the volume of a track leads or follows; 33 to 64 are in the high half."""
    return sum(_group_bits(track, keyword, slice(1, 3)) << shift for keyword, shift in GROUP_LINES)


def groups_in_use(root: Chunk) -> int:
    """The groups that any track of a project uses for anything: volume, pan, mute, solo, VCA, media edits, ..."""
    used = 0
    for track in root.chunks("TRACK"):
        for keyword, shift in GROUP_LINES:
            used |= _group_bits(track, keyword, slice(1, None)) << shift
    return used


def _group_bits(track: Chunk, keyword: str, fields: slice) -> int:
    """The bits of these fields; a mask may be written as a signed 32-bit number."""
    bits = 0
    for line in track.lines(keyword):
        for token in line.tokens[fields]:
            bits |= round(rpp.to_float(token)) & 0xFFFFFFFF
    return bits


def read_chain(chain: Chunk) -> Iterator[Fx]:
    """The plug-ins of a chain in order."""
    parts = chain_parts(chain)
    for place, part in enumerate(parts):
        yield read_fx(part, leads_parallel=any(each.parallel for each in parts[place + 1 : place + 2]))


def read_fx(part: FxPart, *, leads_parallel: bool = False) -> Fx:
    """A stock plug-in by its state when that is known and nothing else is said; otherwise its part as it is.

    An offline stock plug-in is one that is off. With `leads_parallel` the next one runs beside this one, so that this
    one must stay one plug-in.
    """
    stock = None if part.kept or leads_parallel else _stock_fx(part.chunk)
    if stock is not None:
        return replace(stock, enabled=not (part.bypassed or part.offline))
    bare = not part.kept and not part.offline
    return RawFx(chunk=rpp.plain_text(part.chunk) if bare else part.text, enabled=not part.bypassed)


def _stock_fx(chunk: Chunk) -> VstFx | None:
    if chunk.name != "VST":
        return None
    try:
        state = decode_block(line.text for line in chunk.body if isinstance(line, Line))
    except InputError:
        return None
    plugin = stock_of(state.four_cc)
    if plugin is None:
        return None
    channel = auxiliary_channel(state.input_masks)
    channel = None if channel == 2 and not _uses_auxiliary(plugin.name, state.data) else channel
    expected = stock_state(plugin, state.data, channel)
    if (state.input_masks, state.output_masks, state.storage) != (
        expected.input_masks,
        expected.output_masks,
        expected.storage,
    ):
        return None
    return VstFx(plugin=plugin.name, data=state.data, sidechain_channel=channel)


def _uses_auxiliary(plugin: str, data: bytes) -> bool:
    try:
        return plugin == "ReaComp" and ReaComp.decode(data).auxiliary
    except ValueError:
        return False


def _item(chunk: Chunk) -> ReaperItem:
    source = chunk.chunk("SOURCE")
    while source is not None and not source.values("FILE"):
        source = source.chunk("SOURCE")  # a section or a reversed source wraps the file's own
    return ReaperItem(
        path=source.text("FILE") if source else "",
        name=chunk.text("NAME"),
        position_s=chunk.float("POSITION"),
        length_s=chunk.float("LENGTH"),
        offset_s=chunk.float("SOFFS"),
        play_rate=chunk.float("PLAYRATE", 0, 1.0),
        gain_linear=chunk.float("VOLPAN", 0, 1.0) * chunk.float("VOLPAN", 2, 1.0),
        fade_in_s=chunk.float("FADEIN", 1),
        fade_out_s=chunk.float("FADEOUT", 1),
        loop=chunk.int("LOOP") != 0,
        mute=chunk.int("MUTE") != 0,
    )


def _receive(line: Line) -> ReaperReceive:
    tokens = line.tokens[1:]
    fields = [rpp.to_float(token) for token in tokens[:9]]
    fields += [0.0] * (9 - len(fields))
    return ReaperReceive(
        source=round(fields[0]),
        mode=round(fields[1]),
        gain_linear=fields[2],
        pan=fields[3],
        mute=fields[4] != 0.0,
        mono=fields[5] != 0.0,
        inverted=fields[6] != 0.0,
        source_channel=round(fields[7]),
        target_channel=round(fields[8]),
        pan_law=rpp.to_float(tokens[9].partition(":")[0], PROJECT_LAW) if len(tokens) > 9 else PROJECT_LAW,
    )


def _native_colour(value: int) -> Colour | None:
    if not value & _COLOUR_SET:
        return None
    return Colour(red=value & 0xFF, green=value >> 8 & 0xFF, blue=value >> 16 & 0xFF)


def _markers(root: Chunk) -> Iterator[ReaperMarker]:
    """A region is two lines with its number and flag; the second one ends it."""
    open_regions: dict[str, tuple[float, str, Colour | None]] = {}
    for line in root.lines("MARKER"):
        fields = [*line.tokens[1:], *[""] * 7][:7]
        position_s = rpp.to_float(fields[1])
        colour = _marker_colour(round(rpp.to_float(fields[4])), fields[6])
        if not round(rpp.to_float(fields[3])) & _REGION:
            yield ReaperMarker(name=fields[2], position_s=position_s, colour=colour)
        elif fields[0] in open_regions:
            start_s, name, start_colour = open_regions.pop(fields[0])
            yield ReaperMarker(name=name, position_s=start_s, end_s=position_s, colour=start_colour)
        else:
            open_regions[fields[0]] = (position_s, fields[2], colour)


def _marker_colour(value: int, order: str) -> Colour | None:
    if not value & _COLOUR_SET:
        return None
    first, green, last = value >> 16 & 0xFF, value >> 8 & 0xFF, value & 0xFF
    red, blue = (first, last) if order == "B" else (last, first)
    return Colour(red=red, green=green, blue=blue)
