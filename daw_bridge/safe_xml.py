"""XML from outside: elements and text within bounds, no document type and so no entities, in whatever encoding."""

from __future__ import annotations

from xml.etree import ElementTree as ET
from xml.parsers import expat

MOST_ELEMENTS = 1_000_000
MOST_DEPTH = 200


def parse_xml(text: bytes) -> ET.Element:
    """The root element. ValueError, with one line of why, for what is damaged, too large, or has a document type."""
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    count = depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count, depth
        count, depth = count + 1, depth + 1
        if count > MOST_ELEMENTS or depth > MOST_DEPTH:
            raise ValueError(f"it has more than {MOST_ELEMENTS} elements, or more than {MOST_DEPTH} in one another")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refused(*_args: object) -> None:
        raise ValueError("it has a document type, which can stand for anything")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refused
    try:
        parser.Parse(text, True)
        root: ET.Element = builder.close()
    except (expat.ExpatError, UnicodeError, AssertionError) as exc:
        raise ValueError(f"it is damaged: {exc}") from exc
    return root
