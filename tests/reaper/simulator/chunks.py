"""State chunks of the simulator's tracks and items: text as REAPER gives it, and what it takes from text."""

from __future__ import annotations

from daw_bridge_reaper import rpp
from daw_bridge_reaper.read import read_track
from daw_bridge_reaper.rpp import Chunk, Line, Symbol
from daw_bridge_reaper.write import folder_line, peak_colour
from tests.reaper.simulator.model import Item, Source, Take, Track


def source_chunk(source: Source) -> Chunk:
    if source.section is not None and source.parent is not None:
        offset_s, length_s, is_reversed = source.section
        lines = [Line.of("LENGTH", length_s), Line.of("MODE", 3 if is_reversed else 1), Line.of("STARTPOS", offset_s)]
        return Chunk.of("SOURCE", Symbol("SECTION"), body=[*lines, source_chunk(source.parent)])
    kind = Symbol("MP3" if source.path.endswith(".mp3") else source.type)
    return Chunk.of("SOURCE", kind, body=[Line.of("FILE", source.path)])


def item_chunk(item: Item) -> Chunk:
    chunk = Chunk.of("ITEM")
    add = chunk.body.append
    values = item.values
    for key, name in (("POSITION", "D_POSITION"), ("LENGTH", "D_LENGTH"), ("LOOP", "B_LOOPSRC")):
        add(Line.of(key, values[name]))
    add(Line.of("FADEIN", 1, values["D_FADEINLEN"], 0, 1, 0, 0, 0))
    add(Line.of("FADEOUT", 1, values["D_FADEOUTLEN"], 0, 1, 0, 0, 0))
    add(Line.of("MUTE", values["B_MUTE"], 0))
    add(Line.of("SEL", values["B_UISEL"]))
    add(Line.of("IGUID", Symbol(f"{{{item.address:032X}}}")))
    for number, take in enumerate(item.takes):
        if number:
            add(Line(f"TAKE{' SEL' if number == item.values.get('I_CURTAKE', 0.0) else ''}"))
        add(Line.of("NAME", take.texts["P_NAME"]))
        levels = (take.values["D_PAN"], take.values["D_VOL"], take.values["D_PANLAW"])
        add(Line.of("TAKEVOLPAN", *levels) if number else Line.of("VOLPAN", values["D_VOL"], *levels))
        add(Line.of("SOFFS", take.values["D_STARTOFFS"]))
        add(
            Line.of(
                "PLAYRATE", take.values["D_PLAYRATE"], take.values["B_PPITCH"], take.values["D_PITCH"], -1, 0, 0.0025
            )
        )
        add(Line.of("GUID", Symbol(f"{{{take.address:032X}}}")))
        if take.source is not None:
            add(source_chunk(take.source))
    return chunk


def set_item(item: Item, chunk: Chunk) -> None:
    """Take over everything from a chunk."""
    earlier = {f"{{{take.address:032X}}}": take for take in item.takes}
    own_state = any(isinstance(part, Line) and part.keyword == "IGUID" for part in chunk.body)
    taken: set[str] = set() if own_state or not earlier else set(earlier)
    item.takes.clear()
    take = _new_take(item)
    for part in chunk.body:
        if isinstance(part, Chunk):
            if part.name == "SOURCE":
                take.source = read_source(part)
            continue
        numbers = [rpp.to_float(token) for token in part.tokens[1:]]
        if part.keyword == "TAKE":
            if "SEL" in part.tokens:
                item.values["I_CURTAKE"] = float(len(item.takes))
            take = _new_take(item)
        elif part.keyword == "NAME":
            take.texts["P_NAME"] = part.tokens[1]
        elif part.keyword == "IGUID":
            assert part.tokens[1] == f"{{{item.address:032X}}}", "a copy must not carry the ids of its original"
        elif part.keyword in ("GUID", "IID"):
            assert part.tokens[1] not in taken, "two takes have one id"
            taken.add(part.tokens[1])
        else:
            _set_numbers(item, take, part.keyword, numbers)


def _set_numbers(item: Item, take: Take, keyword: str, numbers: list[float]) -> None:
    places = {
        "POSITION": (item.values, {"D_POSITION": 0}),
        "LENGTH": (item.values, {"D_LENGTH": 0}),
        "LOOP": (item.values, {"B_LOOPSRC": 0}),
        "FADEIN": (item.values, {"D_FADEINLEN": 1}),
        "FADEOUT": (item.values, {"D_FADEOUTLEN": 1}),
        "MUTE": (item.values, {"B_MUTE": 0}),
        "SOFFS": (take.values, {"D_STARTOFFS": 0}),
        "PLAYRATE": (take.values, {"D_PLAYRATE": 0, "B_PPITCH": 1, "D_PITCH": 2}),
        "VOLPAN": (take.values, {"D_PAN": 1, "D_VOL": 2, "D_PANLAW": 3}),
        "TAKEVOLPAN": (take.values, {"D_PAN": 0, "D_VOL": 1, "D_PANLAW": 2}),
    }
    if keyword in places:
        values, keys = places[keyword]
        values.update({key: numbers[place] for key, place in keys.items()})
    if keyword == "VOLPAN":
        item.values["D_VOL"] = numbers[0]


def _new_take(item: Item) -> Take:
    take = Take(item)
    item.takes.append(take)
    return take


def read_source(chunk: Chunk) -> Source:
    inner = chunk.chunk("SOURCE")
    if inner is not None:
        parent = read_source(inner)
        section = (chunk.float("STARTPOS"), chunk.float("LENGTH"), chunk.int("MODE") == 3)
        return Source(parent.path, parent=parent, section=section)
    source = Source(chunk.text("FILE"))
    # REAPER opens a file with the decoder that the chunk names, and shows it offline when that is the wrong one.
    assert chunk.tokens[1] == "WAVE" and source.path.endswith(".wav")
    return source


def track_chunk(track: Track, chain: str) -> str:
    """A track's state; `chain` is the text of its plug-ins."""
    values = track.values
    chunk = Chunk.of("TRACK", Symbol(f"{{{track.address:032X}}}"))
    chunk.body += [
        Line.of("NAME", track.texts["P_NAME"]),
        Line.of("PEAKCOL", int(values["I_CUSTOMCOLOR"]) or peak_colour(None)),
        Line.of("VOLPAN", values["D_VOL"], values["D_PAN"], values["D_PANLAW"], -1, 1),
        Line.of("MUTESOLO", values["B_MUTE"], values["I_SOLO"], 0),
        folder_line(int(values["I_FOLDERDEPTH"])),
        Line.of("NCHAN", values["I_NCHAN"]),
        Line("SOMETHING_NEW 1 2 3"),
    ]
    if chain:
        chunk.body.append(rpp.parse(chain).root)
    chunk.body += [item_chunk(item) for item in track.items]
    return rpp.plain_text(chunk)


def set_track(track: Track, text: str) -> str:
    """Take over a track's state; the text of its plug-ins."""
    document = rpp.parse(text)
    assert not document.problems and document.root.name == "TRACK", document.problems
    state = read_track(document.root)
    track.texts["P_NAME"] = state.name
    track.values.update(
        D_VOL=state.gain_linear,
        D_PAN=state.pan,
        D_PANLAW=state.pan_law,
        I_PANMODE=float(-1 if state.pan_mode is None else state.pan_mode),
        C_BEATATTACHMODE=document.root.float("BEAT", 0, -1.0),
        B_MUTE=float(state.mute),
        I_FOLDERDEPTH=float(state.folder_depth),
        I_NCHAN=float(state.channels),
        B_MAINSEND=float(state.main_send),
    )
    for way, bits in (("VOLUME_LEAD", state.group_mask), ("VOLUME_FOLLOW", state.group_mask)):
        if bits:
            track.groups[way] = bits
    chain = document.root.chunk("FXCHAIN")
    return rpp.plain_text(chain) if chain else ""
