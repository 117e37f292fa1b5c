"""Names that Ardour keeps as they are.

Ardour renames what it does not like while it loads, and connections to the old name may be lost. So names are made
legal and unique before: no control characters, no `:` (it separates client and port), none of the marks that Ardour 8
replaces because some disk refuses them, and none that Ardour reserves.
"""

from __future__ import annotations

import unicodedata

# fmt: off
RESERVED = (
    "Master", "Monitor", "Auditioner", "Audition", "Click", "LTC In", "LTC Out", "MIDI Clock In", "MIDI Clock Out",
    "MTC In", "MTC Out", "MMC In", "MMC Out", "Scene In", "Scene Out", "MIDI Control In", "MIDI Control Out",
    "Virtual Keyboard", "X-Virtual-Keyboard", "Transport", "Foldback", "Physical", "System",
)
# fmt: on
"""What Ardour calls its own strips and ports; in any case, for it does not open a session with a bus `auditioner`."""
_REPLACED = str.maketrans({"/": "-", "\\": "-", ":": "-", "|": "-", '"': "'", "<": "(", ">": ")", "*": "+", "?": "."})


def printable(text: str) -> str:
    """`text` without control characters, lone surrogates and runs of blanks: what XML and a person can read."""
    normal = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(mark)[0] == "C" else mark for mark in normal).split())


def legal_name(text: str, *, fallback: str) -> str:
    """`text` as the name of a strip; letters of any script, `&`, `'`, `#` and emoji stay."""
    return printable(text).translate(_REPLACED)[:100].strip(" .") or fallback


class Names:
    """Hands out each name once: a track called as its bus becomes `Vocals stem`, the next one `Vocals stem 2`."""

    def __init__(self) -> None:
        self._reserved = {name.casefold() for name in RESERVED}
        self._taken: set[str] = set()

    def take(self, text: str, *, fallback: str, suffix: str = "") -> str:
        """A legal, free name, which is taken from now on; `suffix` is tried before numbers."""
        name = legal_name(text, fallback=fallback)
        if self._is_taken(name) and suffix:
            name = f"{name} {suffix}"
        number, free = 1, name
        while self._is_taken(free):
            number += 1
            free = f"{name} {number}"
        self._taken.add(free)
        return free

    def _is_taken(self, name: str) -> bool:
        return name in self._taken or name.casefold() in self._reserved
