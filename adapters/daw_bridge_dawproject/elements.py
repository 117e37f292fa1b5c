"""Small helpers for DAWproject's XML: numbered elements, parameters with units, text that XML can hold."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from daw_bridge.units import db_to_linear


def clean(text: str, fallback: str = "") -> str:
    """`text` without control characters and surrogates, which XML 1.0 cannot hold."""
    printable = "".join(" " if unicodedata.category(mark)[0] == "C" else mark for mark in text)
    return " ".join(printable.split()) or fallback


def number(value: float) -> str:
    """The shortest text that reads back to the same double."""
    return repr(float(value))


class Builder:
    """Makes elements; each one that others may point at gets the next id, so the same plan gives the same bytes."""

    def __init__(self) -> None:
        self._last = 0

    def new_id(self) -> str:
        self._last += 1
        return f"id{self._last}"

    def add(self, parent: ET.Element, tag: str, attributes: Mapping[str, str] | None = None) -> ET.Element:
        """A child without an id."""
        return ET.SubElement(parent, tag, dict(attributes or {}))

    def numbered(self, parent: ET.Element, tag: str, attributes: Mapping[str, str] | None = None) -> ET.Element:
        """A child with an id."""
        return self.add(parent, tag, {"id": self.new_id(), **(attributes or {})})

    def real(self, parent: ET.Element, tag: str, value: float, unit: str, low: float, high: float) -> str:
        """A parameter; its stated range grows when the value lies outside. Returns its id."""
        limits = {"min": number(min(low, value)), "max": number(max(high, value))}
        made = self.numbered(parent, tag, {"name": tag, "unit": unit, "value": number(value), **limits})
        return made.get("id", "")

    def level(self, parent: ET.Element, gain_db: float) -> None:
        """A fader as linear gain; 2 (+6 dB) is where Bitwig's faders end."""
        self.real(parent, "Volume", db_to_linear(gain_db), "linear", 0.0, 2.0)

    def flag(self, parent: ET.Element, tag: str, value: bool) -> None:
        self.numbered(parent, tag, {"name": tag, "value": "true" if value else "false"})
