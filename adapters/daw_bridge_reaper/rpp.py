"""REAPER's project text <-> a tree of lines and chunks, keeping whatever it does not know byte for byte.

The rules are those of Cockos WDL, which REAPER itself reads with (WDL `LineParser` and `projectcontext.cpp`):

- a line whose first non-blank character is `<` opens a chunk, `>` closes one; indentation means nothing;
- tokens are split at blanks and tabs, and a token may stand in `"`, `'` or backticks; there are no escapes;
- an unquoted token that starts with `#` or `;` makes the rest of the line a comment;
- a line has at most 4096 bytes.

A parsed line keeps its raw text, so `serialise(parse(text)) == text` for every text, damaged ones included. New lines
are made with `Line.of` and `Chunk.of` and are indented when they are written.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from daw_bridge.errors import InputError, OutputError
from daw_bridge.files import open_regular

QUOTES = "\"'`"
MAX_LINE_BYTES = 4000
FX_CHUNKS = frozenset({"VST", "JS", "AU", "DX", "CLAP", "LV2", "VIDEO_EFFECT", "CONTAINER"})
"""The chunks of a chain that are a plug-in, or hold plug-ins."""
_BLANKS = " \t"
_BYTE_ORDER_MARK = "\ufeff"
_INDENT = "  "
_OTHER_KINDS = {
    b"RIFF": "a WAV or AVI file",
    b"RF64": "a WAV file",
    b"fLaC": "a FLAC file",
    b"OggS": "an Ogg file",
    b"FORM": "an AIFF file",
    b"ID3": "an MP3 file",
    b"\xff\xfb": "an MP3 file",
    b"PK\3\4": "a ZIP archive, as DAWproject files are",
    b"<?xml": "an XML file, as Ardour's sessions are",
    b"\x1f\x8b": "a gzip archive, as Ableton's sets are",
    b"{": "a JSON file",
}
"""First bytes -> what people drop on us instead of a project."""


class Symbol(str):
    """Text that is written without quotes: keywords, GUIDs, numbers that are kept as they were."""

    __slots__ = ()


Value = str | int | float
"""A field of a new line: `str` is quoted, `Symbol`, int and float are not."""


def quote(text: str) -> str:
    """`text` in the quotes that WDL's makeEscapedConfigString picks.

    Line breaks and control characters would start a new line of the project, so they become blanks. When all three
    quote characters occur, there is no faithful form with blanks in it, and backticks become apostrophes.
    """
    text = printable(text)
    for mark in QUOTES:
        if mark not in text:
            return mark + text + mark
    if is_bare(text):
        return text
    return "`" + text.replace("`", "'") + "`"


def is_bare(text: str) -> bool:
    """Whether `text` can stand without quotes."""
    return bool(text) and text[0] not in QUOTES + "#;" and not any(mark in text for mark in _BLANKS)


def printable(text: str) -> str:
    """`text` with control characters as blanks, and with what is no character (lone surrogates) as `?`."""
    flat = "".join(" " if ord(mark) < 32 or ord(mark) == 127 else mark for mark in text)
    return flat.encode("utf-8", "replace").decode("utf-8")


def is_faithful(text: str) -> bool:
    """Whether `quote(text)` reads back as `text`."""
    return split_tokens(quote(text)) == [text]


def number(value: float) -> str:
    """REAPER's form of a number: `.` decimal, at most 14 decimals, no exponent, no trailing zeros."""
    if isinstance(value, int):
        return str(int(value))
    text = f"{value:.14f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def split_tokens(text: str) -> list[str]:
    """The tokens of one line, without quotes, up to a comment; an unclosed quote runs to the end of the line."""
    tokens: list[str] = []
    position, end = 0, len(text)
    while position < end:
        mark = text[position]
        if mark in _BLANKS or mark in "\r\n":
            position += 1
        elif mark in "#;":
            break
        elif mark in QUOTES:
            close = text.find(mark, position + 1)
            close = end if close < 0 else close
            tokens.append(text[position + 1 : close])
            position = close + 1
        else:
            start = position
            while position < end and text[position] not in " \t\r\n":
                position += 1
            tokens.append(text[start:position])
    return tokens


@dataclass(slots=True)
class Line:
    """One line; `raw` is what was read, newline included, and None for a new line."""

    text: str
    raw: str | None = None

    @classmethod
    def of(cls, *values: Value) -> Line:
        """A new line; the first value is its keyword."""
        fields = [str(values[0])]
        for value in values[1:]:
            if isinstance(value, Symbol):
                fields.append(value)
            else:
                fields.append(quote(value) if isinstance(value, str) else number(value))
        return cls.verbatim(" ".join(fields))

    @classmethod
    def verbatim(cls, text: str) -> Line:
        """A new line with exactly this text."""
        if len(text.encode("utf-8", "surrogateescape")) > MAX_LINE_BYTES:
            raise OutputError(f"{text[:60]}...: longer than a line of a REAPER project may be; shorten the name")
        return cls(text)

    @property
    def tokens(self) -> list[str]:
        return split_tokens(self.text)

    @property
    def keyword(self) -> str:
        """The first token, or the empty string."""
        words = self.text.split(None, 1)
        return words[0] if words else ""


@dataclass(slots=True)
class Chunk:
    """`<NAME args`, what stands inside, and its closing line (None where the file ended too early)."""

    head: Line
    body: list[Line | Chunk] = field(default_factory=list)
    tail: Line | None = field(default_factory=lambda: Line(">"))

    @classmethod
    def of(cls, name: str, *values: Value, body: Iterable[Line | Chunk] = ()) -> Chunk:
        """A new chunk."""
        line = Line.of(Symbol(name), *values)
        return cls(Line("<" + line.text), list(body))

    @property
    def tokens(self) -> list[str]:
        """Name and arguments."""
        return split_tokens(self.head.text.lstrip().removeprefix("<"))

    @property
    def name(self) -> str:
        words = self.head.text.lstrip().removeprefix("<").split(None, 1)
        return words[0] if words else ""

    def lines(self, keyword: str) -> Iterator[Line]:
        """The direct lines with this keyword."""
        return (  # most lines have another keyword: a look for the word spares them the split
            part for part in self.body if type(part) is Line and keyword in part.text and part.keyword == keyword
        )

    def chunks(self, name: str | None = None) -> Iterator[Chunk]:
        """The direct chunks, all or those of this name."""
        return (part for part in self.body if isinstance(part, Chunk) and name in (None, part.name))

    def chunk(self, name: str) -> Chunk | None:
        """The first direct chunk of this name."""
        return next(self.chunks(name), None)

    def values(self, keyword: str) -> list[str]:
        """What follows the keyword on its first line; empty when there is no such line."""
        line = next(self.lines(keyword), None)
        return line.tokens[1:] if line else []

    def text(self, keyword: str, position: int = 0, default: str = "") -> str:
        values = self.values(keyword)
        return values[position] if position < len(values) else default

    def float(self, keyword: str, position: int = 0, default: float = 0.0) -> float:
        """A number; `default` where it is missing. A comma is taken as the decimal mark, as REAPER does."""
        return to_float(self.text(keyword, position), default)

    def int(self, keyword: str, position: int = 0, default: int = 0) -> int:
        return round(self.float(keyword, position, default))


def to_float(text: str, default: float = 0.0) -> float:
    """A field as a number, `default` when it is none: also for nan and inf, which REAPER does not write."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return default
    return value if math.isfinite(value) else default


@dataclass(slots=True)
class Document:
    """A project: its root chunk, what stands around it, what is wrong with it, and how it was read (`notes`)."""

    root: Chunk
    before: list[Line] = field(default_factory=list)
    after: list[Line | Chunk] = field(default_factory=list)
    newline: str = "\n"
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def parse(text: str, where: str = "project") -> Document:
    """Read a project. Raises InputError when it is none at all; what else is wrong is listed in `problems`."""
    newline = "\r\n" if "\r\n" in text[:4096] else "\n"
    before: list[Line] = []
    after: list[Line | Chunk] = []
    root: Chunk | None = None
    open_chunks: list[tuple[Chunk, int]] = []
    problems: list[str] = []
    if text.startswith(_BYTE_ORDER_MARK):  # an editor put it there; it stays, and the file begins behind it
        before.append(Line("", _BYTE_ORDER_MARK))
        text = text[len(_BYTE_ORDER_MARK) :]
    for row, raw in enumerate(_lines(text), start=1):
        line = Line(raw.rstrip("\r\n"), raw)
        mark = line.text.lstrip()[:1]
        inside: list[Line | Chunk] | list[Line] = open_chunks[-1][0].body if open_chunks else after if root else before
        if mark == "<":
            chunk = Chunk(line, [], None)
            if root is None:
                root = chunk
            else:
                if not open_chunks and chunk.name != root.name:
                    problems.append(f"line {row}: a chunk outside the project")
                inside.append(chunk)  # type: ignore[arg-type]  # `before` only grows while there is no root
            open_chunks.append((chunk, row))
        elif mark == ">" and open_chunks:
            open_chunks.pop()[0].tail = line
        else:
            if mark == ">":
                problems.append(f"line {row}: '>' closes nothing")
            inside.append(line)
    if root is None or not root.name:
        raise InputError(f"{where}: not a REAPER project (no chunk in it); choose a .rpp file that REAPER saved")
    for chunk, row in open_chunks:
        problems.append(f"line {row}: <{chunk.name} is never closed")
    return Document(root, before, after, newline, problems)


def _lines(text: str) -> Iterator[str]:
    r"""Split at `\n` only: other characters that Python takes for line ends are text in a project."""
    *whole, rest = text.split("\n")
    for line in whole:
        yield line + "\n"
    if rest:
        yield rest


def serialise(document: Document) -> str:
    """The project as text: what was read as it was, what is new indented below its chunk."""
    out: list[str] = []
    for line in document.before:
        _write(line, 0, document.newline, out)
    for part in (document.root, *document.after):
        _write(part, 0, document.newline, out)
    return "".join(out)


def plain_text(chunk: Chunk) -> str:
    """The chunk as text without indentation, line ends as newlines."""
    lines: list[str] = []
    todo: list[Line | Chunk] = [chunk]
    while todo:
        part = todo.pop()
        if isinstance(part, Line):
            lines.append(part.text.strip() + "\n")
        else:
            todo.append(part.tail or Line(">"))
            todo.extend(reversed(part.body))
            todo.append(part.head)
    return "".join(lines)


def _write(part: Line | Chunk, depth: int, newline: str, out: list[str]) -> None:
    # A stack instead of recursion: a damaged file may nest as deep as it has lines.
    todo: list[tuple[Line | Chunk, int]] = [(part, depth)]
    while todo:
        node, level = todo.pop()
        if isinstance(node, Line):
            out.append(node.raw if node.raw is not None else _INDENT * level + node.text + newline)
            continue
        if node.tail is not None:
            todo.append((node.tail, level))
        todo.extend((child, level + 1) for child in reversed(node.body))
        todo.append((node.head, level))


def load(path: Path) -> Document:
    """Read a project file; bytes that are not UTF-8 survive a round trip. Raises InputError.

    Of the versions that an .rpp-bak may hold the newest is taken, and `notes` says so.
    """
    document = parse(_text_of(path), str(path))
    kind = _part_of_a_project(document.root.name)
    if kind:
        raise InputError(f"{path}: is {kind}, not a REAPER project; choose a .rpp file that REAPER saved")
    if document.root.name != "REAPER_PROJECT":
        name = ascii(document.root.name[:40])[1:-1]
        raise InputError(f"{path}: not a REAPER project (it starts with <{name}); choose a .rpp file that REAPER saved")
    return _newest(document)


def load_mixer(path: Path) -> Document:
    """As `load`, and a track template (.RTrackTemplate) or an FX chain (.RfxChain) as a project of its tracks.

    A chain becomes the chain of one track with the name of the file.
    """
    text = _text_of(path)
    document = parse(text, str(path))
    kind = _part_of_a_project(document.root.name)
    if not kind:
        return load(path)
    if document.root.name == "TRACK":
        return replace(document, root=Chunk.of("REAPER_PROJECT", 0.1, body=[document.root, *document.after]), after=[])
    name = Line.of("NAME", path.stem).text
    wrapped = parse(f"<REAPER_PROJECT 0.1\n<TRACK\n{name}\n<FXCHAIN\n{text.rstrip()}\n>\n>\n>\n", str(path))
    return replace(wrapped, notes=[f"the chain became that of a bus called {path.stem!r}"])


def _part_of_a_project(name: str) -> str:
    """What a file is that begins with such a chunk, where REAPER saves such files; else the empty string."""
    if name == "TRACK":
        return "a track template"
    return "an FX chain" if name in FX_CHUNKS else ""


def _newest(document: Document) -> Document:
    """The document with one version of the project: of several in an .rpp-bak the one that was saved last.

    Other chunks behind the project are no versions: a `>` too many closed it early, and they stay where they are.
    """
    behind = (part for part in document.after if isinstance(part, Chunk))
    versions = [document.root, *(part for part in behind if part.name == document.root.name)]
    if len(versions) == 1:
        return document

    def saved_at(place: int) -> tuple[float, int]:
        fields = [*versions[place].tokens, "", "", "", ""]
        return to_float(fields[3]), place

    newest = versions[max(range(len(versions)), key=saved_at)]
    notes = [f"the file holds {len(versions)} versions of the project; the newest was taken"]
    return replace(document, root=newest, before=[], after=[], notes=notes)


def _text_of(path: Path) -> str:
    try:
        with open_regular(path) as handle:
            head = handle.read(64)
            kind = _other_kind(head)
            data = b"" if kind else head + handle.read()
    except (OSError, ValueError) as exc:
        raise InputError(f"{path}: cannot read the project ({getattr(exc, 'strerror', None) or exc})") from exc
    if kind:
        raise InputError(f"{path}: is {kind}, not a REAPER project; choose a .rpp file that REAPER saved")
    return data.decode("utf-8", "surrogateescape")


def _other_kind(head: bytes) -> str:
    """What a file is by its first bytes, where that is plainly no text of REAPER; else the empty string."""
    for magic, kind in _OTHER_KINDS.items():
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        return "an MP4 or M4A file"
    return "a binary file" if b"\0" in head else ""


def to_bytes(document: Document) -> bytes:
    """The file's bytes."""
    return serialise(document).encode("utf-8", "surrogateescape")
