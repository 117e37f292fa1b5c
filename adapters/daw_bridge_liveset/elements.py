"""The bricks of a Live set: values, and parameters with ids of their own.

Everything that automation may point at has an id from one counter, and the set names the first that is free; a set
with an id twice, or with one at or above that number, is refused by Live.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET

Spec = Mapping[str, object]
"""Tag -> value, -> a mapping of its children, -> None for an element without anything."""

QUIETEST, LOUDEST = 0.0003162277571, 1.99526238
"""The ends of a fader, -70 and +6 dB, as Live writes them."""


def text(value: object) -> str:
    """A value as Live writes it; control characters, which XML cannot hold, become blanks."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return "".join(mark if _is_xml(mark) else " " for mark in str(value))


def _is_xml(mark: str) -> bool:
    code = ord(mark)
    return 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


def add(parent: ET.Element, tag: str, **attributes: object) -> ET.Element:
    return ET.SubElement(parent, tag, {name: text(value) for name, value in attributes.items()})


def fill(parent: ET.Element, spec: Spec) -> None:
    """The children that `spec` lists, in its order."""
    for tag, value in spec.items():
        if isinstance(value, Mapping):
            fill(add(parent, tag), value)
        elif value is None:
            add(parent, tag)
        else:
            add(parent, tag, Value=value)


class Builder:
    """Makes parameters, each with ids that no other has."""

    def __init__(self) -> None:
        self.next_id = 1

    def _id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def target(self, parent: ET.Element, tag: str) -> ET.Element:
        """Something that automation or modulation may point at."""
        made = add(parent, tag, Id=self._id())
        fill(made, {"LockEnvelope": 0})
        return made

    def number(  # the order of the children is Live's
        self, parent: ET.Element, tag: str, value: float, low: float, high: float, *, modulated: bool = True
    ) -> ET.Element:
        """A knob; the element, whose `AutomationTarget` has its id."""
        made = add(parent, tag)
        fill(made, {"LomId": 0, "Manual": float(value), "MidiControllerRange": {"Min": float(low), "Max": float(high)}})
        self.target(made, "AutomationTarget")
        if modulated:
            self.target(made, "ModulationTarget")
        return made

    def choice(self, parent: ET.Element, tag: str, value: int) -> ET.Element:
        """A selector without a range."""
        made = add(parent, tag)
        fill(made, {"LomId": 0, "Manual": value})
        self.target(made, "AutomationTarget")
        return made

    def switch(self, parent: ET.Element, tag: str, *, on: bool) -> None:
        made = add(parent, tag)
        fill(made, {"LomId": 0, "Manual": on})
        self.target(made, "AutomationTarget")
        fill(made, {"MidiCCOnOffThresholds": {"Min": 64, "Max": 127}})

    def head(self, device: ET.Element, *, on: bool = True) -> None:
        """What every device, mixer and sequencer begins with."""
        fill(device, {"LomId": 0, "LomIdView": 0, "IsExpanded": True, "BreakoutIsExpanded": False})
        self.switch(device, "On", on=on)
        fill(device, {"ModulationSourceCount": 0})
        add(device, "ParametersListWrapper", LomId=0)
        add(device, "Pointee", Id=self._id())
        fill(
            device,
            {
                "LastSelectedTimeableIndex": 0,
                "LastSelectedClipEnvelopeIndex": 0,
                "LastPresetRef": {"Value": None},
                "LockedScripts": None,
                "IsFolded": False,
                "ShouldShowPresetName": False,
                "UserName": "",
                "Annotation": "",
                "SourceContext": {"Value": None},
            },
        )


def routing(parent: ET.Element, tag: str, target: str, upper: str, lower: str = "") -> None:
    zone = {"ZoneType": 0, "FirstNoteChannel": 1, "LastNoteChannel": 15}
    fill(
        parent,
        {tag: {"Target": target, "UpperDisplayString": upper, "LowerDisplayString": lower, "MpeSettings": zone}},
    )
