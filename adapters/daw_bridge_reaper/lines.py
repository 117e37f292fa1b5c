"""Every line of a track and an item that REAPER is known to write, and what becomes of it when a template is made.

Three things can happen to a line: the extractor reads it (`READ`), it says nothing about the mixer (`VIEW` is how
things look, `SONG` what is played or recorded), or a check says in words what gets lost. A line that is in none of
these tables is named as it stands, so nothing is dropped without a word.

Sources: the projects of REAPER 5 to 7.5 that the tests read, ReaTeam's "State Chunk Definitions", and the properties of
the same names in the ReaScript API.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from daw_bridge.units import linear_to_db
from daw_bridge_reaper import rpp
from daw_bridge_reaper.rpp import Chunk, Line

READ = frozenset(
    {"NAME", "PEAKCOL", "VOLPAN", "MUTESOLO", "PANMODE", "ISBUS", "NCHAN", "FX", "MAINSEND", "AUXRECV", "GROUP_FLAGS"}
    | {"GROUP_FLAGS_HIGH", "<FXCHAIN", "<ITEM"}
)
VIEW = frozenset(
    {"BUSCOMP", "SHOWINMIX", "SEL", "VU", "TRACKHEIGHT", "TRACKID", "PERF", "LAYOUTS", "TRACKIMGFN", "SPACER"}
    | {"MIDICOLORMAPFN", "<MIDINOTENAMES", "PANLAWFLAGS"}
)
SONG = frozenset(
    {"BEAT", "AUTOMODE", "REC", "INQ", "FREEMODE", "FIXEDLANES", "LANEREC", "LANESOLO", "LANENAME", "ITEMLANES"}
    | {"<RECCFG", "<RECORD_CFG"}
)
ITEM_SONG = frozenset(
    {"POSITION", "SNAPOFFS", "LENGTH", "LOOP", "ALLTAKES", "FADEIN", "FADEOUT", "FADEFLAG", "MUTE", "SEL", "IGUID"}
    | {"IID", "NAME", "SOFFS", "PLAYRATE", "GUID", "<SOURCE", "COLOR", "BEAT", "RECPASS", "TAKE", "TAKECOLOR", "LOCK"}
    | {"GROUP", "IMGRESOURCEFLAGS", "<NOTES", "SM", "IMPLIEDWARP", "LANE", "TKM", "YPOS"}
)

Check = Callable[[list[str]], str]
"""The fields of a line -> what gets lost, or nothing."""


def _number(fields: list[str], place: int, default: float = 0.0) -> float:
    return rpp.to_float(fields[place], default) if place < len(fields) else default


def _polarity(fields: list[str]) -> str:
    return "its inverted polarity" if _number(fields, 0) else ""


def _offset(fields: list[str]) -> str:
    return f"its playback offset of {_number(fields, 0):g}" if _number(fields, 0) else ""


def _hardware(fields: list[str]) -> str:
    return f"its hardware output ({' '.join(fields)})"


def _midi_out(fields: list[str]) -> str:
    return "its MIDI hardware output" if _number(fields, 0, -1.0) >= 0 else ""


TRACK_CHECKS: dict[str, Check] = {
    "IPHASE": _polarity,
    "PLAYOFFS": _offset,
    "HWOUT": _hardware,
    "MIDIOUT": _midi_out,
    "<FXCHAIN_REC": lambda _fields: "its input effects",
    "<FREEZE": lambda _fields: "it is frozen; what was frozen is not read",
}


def _item_level(fields: list[str]) -> str:
    plain = _number(fields, 0, 1.0) == 1.0 and _number(fields, 1) == 0.0 and abs(_number(fields, 2, 1.0)) == 1.0
    inverted = _number(fields, 2, 1.0) < 0.0
    return "" if plain and not inverted else "items with a level, pan or polarity of their own"


def _take_level(fields: list[str]) -> str:
    plain = _number(fields, 0) == 0.0 and _number(fields, 1, 1.0) == 1.0
    return "" if plain else "items with a level, pan or polarity of their own"


ITEM_CHECKS: dict[str, Check] = {
    "VOLPAN": _item_level,
    "TAKEVOLPAN": _take_level,
    "CHANMODE": lambda fields: "items that play other channels (mono, reversed)" if _number(fields, 0) else "",
    "<TAKEFX": lambda _fields: "take effects",
}


def word_of(part: Line | Chunk) -> str:
    """The keyword of a line, `<NAME` of a chunk."""
    return part.keyword if isinstance(part, Line) else f"<{part.name}"


def named(part: Line | Chunk) -> str:
    """A line as it stands, for a person; of a chunk its first line."""
    text = (part.text if isinstance(part, Line) else part.head.text).strip()
    return text if len(text) <= 100 else text[:97] + "..."


def is_envelope(part: Line | Chunk) -> bool:
    return isinstance(part, Chunk) and part.name.rstrip("0123456789LR").endswith("ENV")


def automation(part: Chunk) -> str:
    """What an envelope does, in words; empty when it has no points."""
    points = sum(1 for _ in part.lines("PT"))
    return f"its automation <{part.name} ({points} point{'s' if points > 1 else ''})" if points else ""


def track_losses(track: Chunk) -> Iterator[str]:
    """What the lines of a track say that a template has no word for; items, sends and plug-ins apart."""
    for part in track.body:
        yield from _losses(part, READ | VIEW | SONG, TRACK_CHECKS, "")


def item_losses(item: Chunk) -> Iterator[str]:
    """What an item does to the sound that is not in its file."""
    for part in item.body:
        yield from _losses(part, ITEM_SONG, ITEM_CHECKS, " of an item")


def _losses(part: Line | Chunk, silent: frozenset[str], checks: dict[str, Check], of: str) -> Iterator[str]:
    word = word_of(part)
    if not word or word in silent:
        return
    if word in checks:
        said = checks[word](part.tokens[1:])
    elif is_envelope(part) and isinstance(part, Chunk):
        said = automation(part) + of if automation(part) else ""
    else:
        said = f"a line{of} that is not known: {named(part)}"
    if said:
        yield said


GROUP_WORDS = (
    *("volume", "volume", "pan", "pan", "mute", "mute", "solo", "solo", "record arm", "record arm"),
    *("polarity", "polarity", "automation mode", "automation mode", "reversed volume", "reversed pan"),
    *("no lead when following", "reversed width", "width", "width", "VCA", "VCA", "VCA", "media edits", "media edits"),
)
"""What the fields of GROUP_FLAGS link, in their order."""


def group_losses(track: Chunk) -> str:
    """What a track's groups link besides volume, which is all that a template's group does."""
    words: list[str] = []
    for keyword in ("GROUP_FLAGS", "GROUP_FLAGS_HIGH"):
        for place, field in enumerate(track.values(keyword)):
            if rpp.to_float(field) and place >= 2:
                words.append(GROUP_WORDS[place] if place < len(GROUP_WORDS) else f"field {place + 1}")
    return f"its groups link more than volume: {', '.join(dict.fromkeys(words))}" if words else ""


def law_text(law: float) -> str:
    return f"{linear_to_db(law):+.1f} dB" if law > 0.0 else "that of the project"
