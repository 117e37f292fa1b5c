"""Names that Ardour keeps as they are.

Ardour renames what it does not like while it loads, and connections to the old name are lost. So names are made legal
and unique before: no control characters, no `:` (it separates client and port), none that Ardour reserves.
"""

from __future__ import annotations

import unicodedata

RESERVED = ("Master", "Monitor", "Auditioner", "Click", "Audition", "LTC In", "LTC Out")


def legal_name(text: str, *, fallback: str, keep: str = "") -> str:
    """`text` as the name of a strip; every letter, quote, `&`, `<`, `/` and emoji stays, and `:` if `keep` says so."""
    normal = unicodedata.normalize("NFC", text)
    printable = "".join(" " if unicodedata.category(mark)[0] == "C" else mark for mark in normal)
    return " ".join((printable if ":" in keep else printable.replace(":", "-")).split())[:100] or fallback


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
