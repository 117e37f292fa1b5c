"""A chain of plug-ins as REAPER writes it, part by part: what a part says, what is kept verbatim, what is only a view.

    BYPASS bypassed offline 0     begins a part
    <VST ...>                     the plug-in, or a container with a chain of its own
    PRESETNAME, FLOATPOS, FXID, WAK, WET, PARALLEL, <PARMENV ...>, <PROGRAMENV ...>, <JS_SER ...>, ...

The order of the lines in a part differs between versions, so nothing here depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from daw_bridge.errors import InputError
from daw_bridge_reaper import rpp
from daw_bridge_reaper.rpp import FX_CHUNKS, Chunk, Line

VIEW_LINES = frozenset(
    {"PRESETNAME", "FLOATPOS", "FLOAT", "FXID", "WAK", "PARM_TCP", "LASTSEL", "SHOW", "DOCKED", "WNDRECT"}
)
"""Windows, names and ids: nothing that is heard. (WAK hands the computer's keyboard to a plug-in.)"""
KEPT = frozenset({"WET", "PARALLEL", "PARMALIAS", "<PROGRAMENV", "<JS_SER", "<JS_PINMAP", "<COMMENT"})
"""What has no word in a template and stays with the plug-in's state. <PROGRAMENV is the modulation of a parameter."""
AUTOMATION = "<PARMENV"
"""An envelope of a parameter: it belongs to the song that it was drawn for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FxPart:
    """One plug-in of a chain with everything that stands around it, the envelopes of its parameters left out.

    `kept` names what has no word in a template, `envelopes` the parameters that are automated, `unknown` lines that
    nothing is known about (and that are not in `parts`).
    """

    chunk: Chunk
    parts: tuple[Line | Chunk, ...]
    bypassed: bool
    offline: bool
    kept: tuple[str, ...]
    envelopes: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def parallel(self) -> bool:
        """Whether it runs beside the plug-in before it."""
        return "PARALLEL" in self.kept

    @property
    def text(self) -> str:
        """The part as text, from BYPASS on."""
        return "".join(
            rpp.plain_text(part) if isinstance(part, Chunk) else f"{part.text.strip()}\n" for part in self.parts
        )


def chain_parts(chain: Chunk) -> list[FxPart]:
    """The plug-ins of a chain in order. What stands before the first one is a view of the window."""
    groups: list[list[Line | Chunk]] = []
    for part in chain.body:
        is_fx = isinstance(part, Chunk) and part.name in FX_CHUNKS
        has_fx = bool(groups) and any(isinstance(each, Chunk) and each.name in FX_CHUNKS for each in groups[-1])
        # (REAPER 3 and 4 wrote no BYPASS for some.)
        if _word(part) == "BYPASS" or (is_fx and (not groups or has_fx)):
            groups.append([])
        if groups and _word(part):
            groups[-1].append(part)
    return [made for group in groups for made in _part(group)]


def strays(chain: Chunk) -> list[str]:
    """What stands in a chain and belongs to no plug-in that is known, as it would be named to a person."""
    plugins = chain_parts(chain)
    known = {id(part) for fx in plugins for part in fx.parts}
    named = {word for fx in plugins for word in fx.unknown}
    found = []
    for part in chain.body:
        word = _word(part)
        name = part.text.strip() if isinstance(part, Line) else word
        if id(part) not in known and word not in VIEW_LINES | {"", "BYPASS", AUTOMATION} and name not in named:
            found.append(name)
    return found


def _word(part: Line | Chunk) -> str:
    return part.keyword if isinstance(part, Line) else f"<{part.name}"


def _part(group: list[Line | Chunk]) -> Iterator[FxPart]:
    """The plug-in of these lines; none when they hold none."""
    chunk = next((part for part in group if isinstance(part, Chunk) and part.name in FX_CHUNKS), None)
    if chunk is None:
        return
    bypass = next((part.tokens for part in group if isinstance(part, Line) and part.keyword == "BYPASS"), [])
    kept, envelopes, unknown = [], [], []
    parts: list[Line | Chunk] = []
    for part in group:
        word = _word(part)
        if part is chunk or word in VIEW_LINES or word == "BYPASS":
            parts.append(part)
        elif word == AUTOMATION and isinstance(part, Chunk):
            envelopes.append(" ".join(part.tokens[1:2]))
        elif word in KEPT:
            parts.append(part)
            if not _says_nothing(part):
                kept.append(word)
        else:
            unknown.append(part.text.strip() if isinstance(part, Line) else word)
    yield FxPart(
        chunk=chunk,
        parts=tuple(parts),
        bypassed=bypass[1:2] == ["1"],
        offline=bypass[2:3] == ["1"],
        kept=tuple(kept),
        envelopes=tuple(envelopes),
        unknown=tuple(unknown),
    )


def _says_nothing(part: Line | Chunk) -> bool:
    """Fully wet, or in series."""
    if isinstance(part, Chunk):
        return False
    values = [rpp.to_float(token) for token in part.tokens[1:]]
    return (part.keyword == "WET" and values[:1] == [1.0] and not any(values[1:])) or (
        part.keyword == "PARALLEL" and not any(values)
    )


def inner_count(chunk: Chunk) -> int:
    """How many plug-ins a container holds, however deep; 1 for anything else."""
    if chunk.name != "CONTAINER":
        return 1
    return sum(inner_count(part) for part in chunk.chunks() if part.name in FX_CHUNKS)


def checked_part(text: str, name: str) -> str:
    """The state of a plug-in as one part of a chain, or one plug-in chunk, and nothing else.

    Text that closes its chunk early could write anything into a project. Raises InputError.
    """
    plain = text.replace("\r\n", "\n").strip() + "\n"
    document = rpp.parse(f"<FXCHAIN\n{plain}>\n", f"the state of {name}")
    parts = chain_parts(document.root)
    whole = not (document.problems or document.before or document.after)
    known = len(parts) == 1 and not (parts[0].unknown or parts[0].envelopes)
    bare = [part for part in document.root.body if not (isinstance(part, Line) and not part.text.strip())]
    alone = all(isinstance(part, Chunk) for part in bare) and len(bare) == 1
    begins = bool(bare) and isinstance(bare[0], Line) and bare[0].keyword == "BYPASS"
    if not (whole and known and (alone or begins)):
        kinds = ", ".join(sorted(FX_CHUNKS))
        raise InputError(f"the state of {name} is not one plug-in block of a REAPER project (<{kinds} ...>)")
    return parts[0].text


def part_of_state(text: str) -> FxPart:
    """A state that `checked_part` accepts, or that was read from a project, as the part of a chain that it is."""
    parts = chain_parts(rpp.parse(f"<FXCHAIN\n{text}>\n", "a plug-in's state").root)
    if not parts:
        raise InputError("a plug-in's state holds no plug-in")
    return parts[0]


def state_chunk(text: str) -> Chunk:
    """The plug-in's own chunk in such a state."""
    return part_of_state(text).chunk


def written_part(text: str, *, enabled: bool, new_ids: Iterable[str]) -> list[Line | Chunk]:
    """The lines of a part for a new chain: its ids exchanged for `new_ids`, one by one, its bypass as given."""
    ids = iter(new_ids)
    body = rpp.parse(f"<FXCHAIN\n{text}>\n", "a plug-in's state").root.body
    return [_rewritten(part, ids, enabled if place == 0 else None) for place, part in enumerate(body)]


def _rewritten(part: Line | Chunk, ids: Iterator[str], enabled: bool | None) -> Line | Chunk:
    if isinstance(part, Chunk):
        return Chunk(Line(part.head.text.strip()), [_rewritten(inner, ids, None) for inner in part.body])
    text = part.text.strip()
    if part.keyword == "FXID":
        text = f"FXID {next(ids)}"
    elif part.keyword == "BYPASS" and enabled is not None:
        fields = [*part.tokens[1:], "0", "0", "0"][:3]
        text = f"BYPASS {0 if enabled else 1} {fields[1]} {fields[2]}"
    return Line(text)
