"""The mixer that `band` makes of a song, to change one thing in, and every line type that REAPER writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from daw_bridge.model import Stem, StemSet
from daw_bridge.plan import make_plan
from daw_bridge.templates.store import load_template
from daw_bridge_reaper import rpp
from daw_bridge_reaper.layout import lay_out
from daw_bridge_reaper.rpp import Chunk, Line
from daw_bridge_reaper.write import project_document

RATE_HZ = 44_100
Edit = Callable[[Chunk], None]
"""Changes a project in place."""


def base() -> rpp.Document:
    """Five stems on the buses of `band`, with returns, mix bus and muted reference."""
    return rpp.parse(_base_text())


@cache
def _base_text() -> str:

    def stem(name: str, role: str = "stem") -> Stem:
        return Stem(
            name=name,
            path=Path(f"audio/mix_{name}.wav"),
            sample_rate_hz=RATE_HZ,
            channels=2,
            length_samples=5 * RATE_HZ,
            role=role,  # type: ignore[arg-type]
        )

    stems = tuple(stem(name) for name in ("drums", "bass", "vocals", "other"))
    song = StemSet(stems=(*stems, stem("residual", "residual")), reference=stem("reference", "reference"))
    plan = make_plan(song, load_template("band"), name="base")
    layout, _limits = lay_out(plan, lambda path: path.as_posix())
    return rpp.serialise(project_document(layout, "seed"))


def edited(*edits: Edit) -> rpp.Document:
    document = base()
    for edit in edits:
        edit(document.root)
    text = rpp.serialise(document)
    return rpp.parse(text)


def track(root: Chunk, name: str) -> Chunk:
    return next(chunk for chunk in root.chunks("TRACK") if chunk.text("NAME") == name)


def parts(text: str) -> list[Line | Chunk]:
    """Lines and chunks of a text."""
    return rpp.parse(f"<ROOT\n{text}\n>\n").root.body


def put(where: list[Line | Chunk], text: str, place: int | None = None) -> None:
    """Add the lines of `text`; in the place of the first line of that keyword when there is one."""
    new = parts(text)
    word = new[0].keyword if isinstance(new[0], Line) else None
    for index, part in enumerate(where):
        if word and isinstance(part, Line) and part.keyword == word:
            where[index : index + 1] = new
            return
    at = len(where) if place is None else place
    where[at:at] = new


def set_line(name: str, text: str) -> Edit:
    """Put a line of a track; `master` means the project itself."""

    def edit(root: Chunk) -> None:
        put(root.body if name == "master" else track(root, name).body, text, 1)

    return edit


def add_track(*lines: str) -> Edit:
    return lambda root: root.body.append(parts("<TRACK\n" + "\n".join(lines) + "\n>")[0])


def chain(root: Chunk, name: str) -> Chunk:
    found = track(root, name).chunk("FXCHAIN")
    assert found is not None
    return found


def in_first_fx(name: str, text: str, *, behind: str = "WAK") -> Edit:
    """A line in the first plug-in's part of a chain."""

    def edit(root: Chunk) -> None:
        body = chain(root, name).body
        at = next(i for i, part in enumerate(body) if isinstance(part, Line) and part.keyword == behind)
        body[at + 1 : at + 1] = parts(text)

    return edit


def in_item(name: str, text: str) -> Edit:
    def edit(root: Chunk) -> None:
        item = track(root, name).chunk("ITEM")
        assert item is not None
        put(item.body, text)

    return edit


def send(field: int, value: str, return_name: str = "ROOM") -> Edit:
    """One field of the first send to a return; 1 is the source."""

    def edit(root: Chunk) -> None:
        body = track(root, return_name).body
        at = next(i for i, part in enumerate(body) if isinstance(part, Line) and part.keyword == "AUXRECV")
        fields = body[at].tokens
        fields[field] = value
        body[at] = Line(" ".join(fields[:13]) + " ''")

    return edit


ENVELOPE = "<{name}\nEGUID {{00000000-0000-0000-0000-000000000001}}\nACT 1 -1\nVIS 1 1 1\nPT 0 0.25 0\nPT 1 0.5 0\n>"
ENVELOPES = (
    *("VOLENV", "VOLENV2", "VOLENV3", "PANENV", "PANENV2", "WIDTHENV", "WIDTHENV2", "DUALPANENV", "DUALPANENVL"),
    *("DUALPANENVL2", "MUTEENV", "AUXVOLENV", "AUXPANENV", "AUXMUTEENV", "HWVOLENV"),
)
LOSSY_TRACK_LINES = (
    "IPHASE 1",
    "PLAYOFFS 0.01 0",
    "HWOUT 1024 0 1 0 0 0 0 -1:U -1",
    "MIDIOUT 32",
    "MAINSEND 1 2",
    "MUTESOLO 0 0 1",
    "NCHAN 6",
    "VOLPAN 1 0 0.5 -1 1",
    "PANMODE 6",
    "GROUP_FLAGS 0 0 1 1",
    "GROUP_FLAGS_HIGH 0 0 0 0 4",
    '<FXCHAIN_REC\nBYPASS 0 0 0\n<JS loser/3BandEQ ""\n0\n>\n>',
    "<FREEZE 1\n>",
    "WIDTH 0",
    "MAINSEND_NCH 1",
    *(ENVELOPE.format(name=name) for name in ENVELOPES),
)
"""Lines of a bus with a value that a template has no word for."""
READ_TRACK_LINES = (
    "NAME OTHER_NAME",
    "PEAKCOL 16777471",
    "VOLPAN 0.5 0.25 1 -1 1",
    "MUTESOLO 1 0 0",
    "MUTESOLO 0 2 0",
    "FX 0",
    "MAINSEND 0 0",
)
SILENT_TRACK_LINES = (
    "BEAT 1",
    "AUTOMODE 2",
    "REC 1 0 1 0 0 0 0 0",
    "INQ 1 0 0 0.5 100 0 0 100",
    "FREEMODE 1",
    "FIXEDLANES 1 0 0 0 0",
    "LANEREC 0 0 0 1",
    "LANESOLO 1 0 0 0 0 0 0 0",
    "LANENAME a b",
    "BUSCOMP 1 0 0 0 0",
    "SHOWINMIX 0 1 1 1 1 0 0 0 0",
    "SEL 1",
    "VU 2",
    "TRACKHEIGHT 40 0 0 0 0 0 0",
    "TRACKID {00000000-0000-0000-0000-000000000009}",
    "PERF 3",
    'LAYOUTS "a" "b"',
    'TRACKIMGFN "x.png"',
    "SPACER 1",
    "PANLAWFLAGS 2",
    'MIDICOLORMAPFN "x.png"',
    '<MIDINOTENAMES\n0 0 "x"\n>',
)
LOSSY_ITEM_LINES = (
    "VOLPAN 0.5 0 1 1",
    "VOLPAN 1 0.5 1 1",
    "VOLPAN 1 0 -1 1",
    "TAKEVOLPAN 0.5 1 -1",
    "CHANMODE 2",
    '<TAKEFX\nBYPASS 0 0 0\n<JS loser/3BandEQ ""\n0\n>\n>',
    *(ENVELOPE.format(name=name) for name in ("VOLENV", "PANENV", "MUTEENV", "PITCHENV")),
)
KEPT_FX_LINES = (
    "WET 0.3 0",
    "PARALLEL 1",
    "PARMALIAS 0 mine",
    "<PROGRAMENV 0 0\nPARAMBASE 0.5\nLFO 1\n>",
    "<JS_SER\nAAAA\n>",
    "<JS_PINMAP\nAAAA\n>",
    "<COMMENT\nAAAA\n>",
)
SILENT_FX_LINES = ('PRESETNAME "x"', "FLOATPOS 1 2 3 4", "FLOAT 1 2 3 4", "WAK 1 0", "WET 1 0", "PARALLEL 0")
