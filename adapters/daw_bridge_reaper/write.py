"""ReaperProject -> the text of an .rpp, as REAPER 7 lays it out; the same project gives the same bytes.

REAPER marks its tracks, items and plug-ins with random GUIDs and its files with the time of saving. Here the GUIDs are
derived from `seed` and the place in the project, and the time is a constant.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import count
from pathlib import PurePosixPath

from daw_bridge.model import Colour
from daw_bridge_reaper import rpp
from daw_bridge_reaper.chain import state_chunk, written_part
from daw_bridge_reaper.plugin_state import STOCK, encode_block, stock_state
from daw_bridge_reaper.read import GROUP_LINES
from daw_bridge_reaper.rpp import Chunk, Line, Symbol
from daw_bridge_reaper.session import (
    Fx,
    RawFx,
    ReaperItem,
    ReaperMarker,
    ReaperNotes,
    ReaperProject,
    ReaperReceive,
    ReaperTrack,
    VstFx,
)

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "reaper.daw-bridge")
_VERSION = "7.42/linux-x86_64"
"""The version whose fields are written; REAPER takes it as a hint only."""
_SAVED_AT = 1_700_000_000
_NO_COLOUR = 16576
_COLOUR_SET = 0x1000000
_NOTE_COLUMNS = 500

_SOURCE_KINDS = {
    ".flac": "FLAC",
    ".ogg": "VORBIS",
    ".opus": "OPUS",
    ".wv": "WAVPACK",
    ".mp3": "MP3",
    ".m4a": "VIDEO",
    ".mp4": "VIDEO",
    ".mov": "VIDEO",
}
"""Everything else that REAPER decodes itself (WAV, RF64, W64, AIFF) is WAVE."""

# What REAPER writes for a new project, in its order. PANLAW 1 is 0 dB in the centre, so that a centred track is
# untouched (the last field of MASTERHWOUT says so of the way out, too); TIMELOCKMODE 0 keeps items at their time when
# the tempo changes.
_HEADER_TOP = """\
RIPPLE 0 0
GROUPOVERRIDE 0 0 0 0
AUTOXFADE 129
ENVATTACH 3
POOLEDENVATTACH 0
TCPUIFLAGS 0
MIXERUIFLAGS 11 48
PEAKGAIN 1
FEEDBACK 0
PANLAW 1
PROJOFFS 0 0 0
MAXPROJLEN 0 0
GRID 3199 8 1 8 1 0 0 0
TIMEMODE 1 5 -1 30 0 0 -1 0
VIDEO_CONFIG 0 0 65792
PANMODE 3
CURSOR 0
ZOOM 20 0 0
VZOOMEX 6 0
USE_REC_CFG 0
RECMODE 1
SMPTESYNC 0 30 100 40 1000 300 0 0 1 0 0
LOOP 0
LOOPGRAN 0 4
RECORD_PATH "" ""
""".splitlines()
_RENDER = """\
RENDER_1X 0
RENDER_RANGE 1 0 0 18 1000
RENDER_RESAMPLE 3 0 1
RENDER_ADDTOPROJ 0
RENDER_STEMS 0
RENDER_DITHER 0
RENDER_TRIM 0.000001 0.000001 0 0
TIMELOCKMODE 0
TEMPOENVLOCKMODE 1
ITEMMIX 1
DEFPITCHMODE 589824 0
TAKELANE 1
""".splitlines()
_MASTER = """\
PLAYRATE 1 0 0.25 4
SELECTION 0 0
SELECTION2 0 0
MASTERAUTOMODE 0
MASTERTRACKHEIGHT 0 0
MASTERPEAKCOL 16576
MASTERMUTESOLO 0
MASTERTRACKVIEW 0 0.6667 0.5 0.5 0 0 0 0 0 0 0 0 0 0 0
MASTERHWOUT 0 0 1 0 0 0 0 1
MASTER_NCH 2 2
MASTER_VOLUME 1 0 -1 -1 1
MASTER_PANMODE 3
MASTER_FX 1
MASTER_SEL 0
""".splitlines()
_WAV_24_BIT = "ZXZhdxgAAA=="
"""base64 of `evaw` and the bit depth: REAPER's render and record format."""


class Guids:
    """GUIDs that depend only on a seed and on names, so that the same plan gives the same file."""

    def __init__(self, seed: str) -> None:
        self._base = uuid.uuid5(_NAMESPACE, seed)

    def of(self, *names: object) -> Symbol:
        text = rpp.printable("/".join(str(name) for name in names))
        return Symbol(f"{{{str(uuid.uuid5(self._base, text)).upper()}}}")


def project_document(project: ReaperProject, seed: str) -> rpp.Document:
    """The whole project as a tree."""
    guids = Guids(seed)
    root = Chunk.of("REAPER_PROJECT", Symbol("0.1"), _VERSION, _SAVED_AT, 0)
    root.body.append(notes_chunk(project.notes))
    root.body.extend(Line(text) for text in _HEADER_TOP)
    root.body.append(Chunk.of("RECORD_CFG", body=[Line(_WAV_24_BIT)]))
    root.body.append(Chunk.of("APPLYFX_CFG"))
    rate_hz = project.sample_rate_hz
    root.body.extend([Line('RENDER_FILE ""'), Line('RENDER_PATTERN ""'), Line.of("RENDER_FMT", 0, 2, rate_hz)])
    root.body.extend(Line(text) for text in _RENDER)
    root.body.append(Line.of("SAMPLERATE", rate_hz, 1, 0))
    root.body.append(Chunk.of("RENDER_CFG", body=[Line(_WAV_24_BIT)]))
    root.body.extend([Line("LOCK 1"), Line("GLOBAL_AUTO -1")])
    root.body.append(Line.of("TEMPO", project.tempo_bpm, *project.time_signature, 0))
    root.body.extend(Line(text) for text in _MASTER)
    if project.tempos:
        root.body.append(_tempo_chunk(project, guids))
    root.body.extend(marker_lines(project.markers, guids))
    for index, track in enumerate(project.tracks):
        root.body.append(track_chunk(track, index, guids))
    return rpp.Document(root)


def _tempo_chunk(project: ReaperProject, guids: Guids) -> Chunk:
    """The tempo envelope: square points (shape 1); a metre is 65536 * unit + beats."""
    chunk = Chunk.of("TEMPOENVEX", body=[Line.of("EGUID", guids.of("tempo")), Line("ACT 1 -1"), Line("VIS 1 0 1")])
    chunk.body.extend([Line("LANEHEIGHT 0 0"), Line("ARM 0"), Line("DEFSHAPE 1 -1 -1")])
    for tempo in project.tempos:
        metre = (65536 * tempo.time_signature[1] + tempo.time_signature[0],) if tempo.time_signature else ()
        chunk.body.append(Line.of("PT", tempo.position_s, tempo.tempo_bpm, 1, *metre))
    return chunk


def notes_chunk(notes: tuple[str, ...]) -> Chunk:
    """The project's notes; long lines are folded, because a line of a project has an end."""
    chunk = Chunk.of("NOTES", 0, 2)
    for note in notes:
        for start in range(0, max(len(note), 1), _NOTE_COLUMNS):
            chunk.body.append(Line.verbatim("|" + rpp.printable(note[start : start + _NOTE_COLUMNS])))
    return chunk


def marker_lines(markers: tuple[ReaperMarker, ...], guids: Guids, first: int = 1) -> Iterator[Line]:
    """One line a marker, two a region; markers and regions are numbered apart, from `first`."""
    points, regions = first, first
    for index, marker in enumerate(markers):
        colour = 0
        if marker.colour is not None:
            # The letter B that follows says that this is 0xRRGGBB on every system.
            colour = _COLOUR_SET | marker.colour.red << 16 | marker.colour.green << 8 | marker.colour.blue
        number, flags = (points, 0) if marker.end_s is None else (regions, 1)
        tail = (flags, colour, 1, Symbol("B"), guids.of("marker", index, marker.name), 0)
        yield Line.of("MARKER", number, marker.position_s, marker.name, *tail)
        if marker.end_s is None:
            points += 1
        else:
            yield Line.of("MARKER", number, marker.end_s, "", 1)
            regions += 1


def track_chunk(track: ReaperTrack, index: int, guids: Guids) -> Chunk:
    """One track; the receives count tracks from the first of `guids`' project."""
    guid = guids.of("track", index, track.key or track.name)
    chunk = Chunk.of("TRACK", guid)
    add = chunk.body.append
    add(Line.of("NAME", track.name))
    add(Line.of("PEAKCOL", peak_colour(track.colour)))
    chunk.body.extend(Line(text) for text in ("BEAT 0", "AUTOMODE 0", "PANLAWFLAGS 3"))
    # Pan mode and the law of 0 dB on the track itself: a project that this is merged into may have others.
    if track.pan_mode is not None:
        add(Line.of("PANMODE", track.pan_mode))
    add(Line.of("VOLPAN", track.gain_linear, track.pan, track.pan_law, -1, 1))
    # Solo 2 is "in place": what feeds the track and what it feeds stays audible.
    add(Line.of("MUTESOLO", int(track.mute), 2 if track.solo else 0, 0))
    chunk.body.extend(Line(text) for text in ("IPHASE 0", "PLAYOFFS 0 1"))
    add(folder_line(track.folder_depth))
    chunk.body.extend(
        Line(text)
        for text in (
            "BUSCOMP 0 0 0 0 0",
            "SHOWINMIX 1 0.6667 0.5 1 0.5 0 0 0 0",
            "FIXEDLANES 9 0 0 0 0",
            "LANEREC -1 -1 -1 0",
            "SEL 0",
            "REC 0 0 1 0 0 0 0 0",
            "VU 64",
        )
    )
    for keyword, shift in GROUP_LINES:
        bits = track.group_mask >> shift & 0xFFFFFFFF
        if bits:
            # Volume as lead and as follow, and nothing else: mute and solo are for one bus at a time.
            add(Line.of(keyword, bits, bits))
    chunk.body.extend(Line(text) for text in ("TRACKHEIGHT 0 0 0 0 0 0 0", "INQ 0 0 0 0.5 100 0 0 100"))
    add(Line.of("NCHAN", track.channels))
    chunk.body.extend([Line.of("FX", int(track.chain_on)), Line.of("TRACKID", guid), Line("PERF 0")])
    chunk.body.extend(receive_line(receive) for receive in track.receives)
    chunk.body.extend([Line("MIDIOUT -1"), Line.of("MAINSEND", int(track.main_send), 0)])
    if track.fx:
        add(_fx_chain(track, index, guids))
    chunk.body.extend(_item_chunk(item, index, place, guids) for place, item in enumerate(track.items))
    if track.midi is not None:
        add(_midi_chunk(track.midi, index, guids))
    return chunk


def folder_line(depth: int) -> Line:
    """`ISBUS`: 1 1 opens a folder, 2 -n closes n, 0 0 is neither."""
    return Line.of("ISBUS", 1 if depth > 0 else 2 if depth < 0 else 0, depth)


def receive_line(receive: ReaperReceive) -> Line:
    return Line.of(
        "AUXRECV",
        receive.source,
        receive.mode,
        receive.gain_linear,
        receive.pan,
        int(receive.mute),
        int(receive.mono),
        int(receive.inverted),
        receive.source_channel,
        receive.target_channel,
        # The pan law of the send (field 10; `D_PANLAW` of SetTrackSendInfo_Value), with the suffix that REAPER writes.
        Symbol(f"{rpp.number(receive.pan_law)}:U"),
        0,
        -1,
        Symbol("''"),
    )


def peak_colour(colour: Colour | None) -> int:
    """REAPER's native colour, 0xBBGGRR with a flag; its default grey without one."""
    return _NO_COLOUR if colour is None else _COLOUR_SET | colour.blue << 16 | colour.green << 8 | colour.red


def _fx_chain(track: ReaperTrack, index: int, guids: Guids) -> Chunk:
    chunk = Chunk.of("FXCHAIN")
    chunk.body.extend(Line(text) for text in ("WNDRECT 24 52 655 408", "SHOW 0", "LASTSEL 0", "DOCKED 0"))
    for place, effect in enumerate(track.fx):
        if isinstance(effect, RawFx) and effect.chunk.lstrip().startswith("BYPASS"):
            ids = (guids.of("fx", index, track.key or track.name, place, inner) for inner in count())
            chunk.body.extend(written_part(effect.chunk, enabled=effect.enabled, new_ids=ids))
            continue
        chunk.body.append(Line.of("BYPASS", 0 if effect.enabled else 1, 0, 0))
        chunk.body.append(fx_chunk(effect))
        chunk.body.append(Line("FLOATPOS 0 0 0 0"))
        chunk.body.append(Line.of("FXID", guids.of("fx", index, track.key or track.name, place)))
        chunk.body.append(Line("WAK 0 0"))
    return chunk


def fx_chunk(effect: Fx) -> Chunk:
    """The chunk of one plug-in."""
    if isinstance(effect, RawFx):
        return _unread(state_chunk(effect.chunk))
    return _vst_chunk(effect)


def _vst_chunk(effect: VstFx) -> Chunk:
    plugin = STOCK[effect.plugin]
    lines = encode_block(stock_state(plugin, effect.data, effect.sidechain_channel))
    title, file = f"VST: {plugin.name} (Cockos)", Symbol(f"{plugin.base}.dll")
    return Chunk.of("VST", title, file, 0, "", Symbol(plugin.uid), "", body=[Line(text) for text in lines])


def _unread(chunk: Chunk) -> Chunk:
    """The chunk as if it were new, so that it is indented where it is put."""
    body = [_unread(part) if isinstance(part, Chunk) else Line(part.text.strip()) for part in chunk.body]
    return Chunk(Line(chunk.head.text.strip()), body)


def _midi_chunk(item: ReaperNotes, index: int, guids: Guids) -> Chunk:
    """A MIDI item whose events are counted from one another; all notes off ends its source."""
    chunk = Chunk.of("ITEM", body=[Line("POSITION 0"), Line("SNAPOFFS 0"), Line.of("LENGTH", item.length_s)])
    chunk.body.extend(Line(text) for text in ("LOOP 0", "ALLTAKES 0", "FADEIN 1 0 0 1 0 0 0", "FADEOUT 1 0 0 1 0 0 0"))
    chunk.body.extend([Line("MUTE 0 0"), Line("SEL 0"), Line.of("IGUID", guids.of("notes", index, item.name))])
    chunk.body.extend([Line.of("IID", 1000 * index + 1), Line.of("NAME", item.name), Line("VOLPAN 1 0 1 -1")])
    chunk.body.extend([Line("SOFFS 0 0"), Line("PLAYRATE 1 1 0 -1 0 0.0025"), Line("CHANMODE 0")])
    chunk.body.append(Line.of("GUID", guids.of("notes take", index, item.name)))
    source = Chunk.of("SOURCE", Symbol("MIDI"), body=[Line("HASDATA 1 960 QN"), Line("CCINTERP 32")])
    events = [(note.begin_ticks, 1, f"90 {note.key:02x} {note.velocity:02x}") for note in item.notes]
    events += [(note.end_ticks, 0, f"80 {note.key:02x} 00") for note in item.notes]
    before = 0
    for at, _on, text in [*sorted(events), (item.length_ticks, 2, "b0 7b 00")]:
        source.body.append(Line(f"E {at - before} {text}"))
        before = at
    source.body.append(Line("IGNTEMPO 0 120 4 4"))
    chunk.body.append(source)
    return chunk


def _item_chunk(item: ReaperItem, index: int, place: int, guids: Guids) -> Chunk:
    chunk = Chunk.of("ITEM")
    add = chunk.body.append
    add(Line.of("POSITION", item.position_s))
    add(Line("SNAPOFFS 0"))
    add(Line.of("LENGTH", item.length_s))
    add(Line.of("LOOP", int(item.loop)))
    add(Line("ALLTAKES 0"))
    # An explicit fade of length 0: without these lines REAPER would apply the user's default fade.
    add(Line.of("FADEIN", 1, item.fade_in_s, 0, 1, 0, 0, 0))
    add(Line.of("FADEOUT", 1, item.fade_out_s, 0, 1, 0, 0, 0))
    add(Line.of("MUTE", int(item.mute), 0))
    add(Line("SEL 0"))
    add(Line.of("IGUID", guids.of("item", index, place, item.path)))
    add(Line.of("IID", 1000 * index + place + 1))
    add(Line.of("NAME", item.name))
    add(Line.of("VOLPAN", 1, 0, item.gain_linear, 1))
    add(Line.of("SOFFS", item.offset_s))
    add(Line.of("PLAYRATE", item.play_rate, 1, 0, -1, 0, 0.0025))
    add(Line("CHANMODE 0"))
    add(Line.of("GUID", guids.of("take", index, place, item.path)))
    kind = _SOURCE_KINDS.get(PurePosixPath(item.path).suffix.lower(), "WAVE")
    add(Chunk.of("SOURCE", Symbol(kind), body=[Line.of("FILE", item.path)]))
    return chunk
