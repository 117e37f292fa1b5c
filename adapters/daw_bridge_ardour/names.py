"""Names that Ardour keeps as they are.

Ardour renames what it does not like while it loads, and connections to the old name may be lost. So names are made
legal and unique before: no control characters, no `:` (it separates client and port), none of the marks that Ardour 8
replaces because some disk refuses them, and none that Ardour reserves.
"""

from __future__ import annotations

import unicodedata

RESERVED = ("Master", "Monitor", "Auditioner", "Click", "Audition", "LTC In", "LTC Out")
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
        self._taken = set(RESERVED)

    def take(self, text: str, *, fallback: str, suffix: str = "") -> str:
        """A legal, free name, which is taken from now on; `suffix` is tried before numbers."""
        name = legal_name(text, fallback=fallback)
        if name in self._taken and suffix:
            name = f"{name} {suffix}"
        number, free = 1, name
        while free in self._taken:
            number += 1
            free = f"{name} {number}"
        self._taken.add(free)
        return free
