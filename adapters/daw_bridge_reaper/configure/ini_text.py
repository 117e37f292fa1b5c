"""REAPER's ini files, edited line by line: everything that is not ours stays as it is, order and line ends included.

(Python's configparser would lower-case keys, drop comments and merge duplicates; one library that used it emptied
people's reaper.ini when it failed half-way.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTROL_SURFACE = re.compile(r"csurf_(\d+)=(.*)", re.IGNORECASE)
_SCRIPT = re.compile(r"SCR\s+\d+\s+\d+\s+(\S+)\s", re.IGNORECASE)


@dataclass(slots=True)
class IniText:
    """The lines of a file without their ends."""

    lines: list[str]
    newline: str = "\n"

    @classmethod
    def parse(cls, text: str) -> IniText:
        newline = "\r\n" if "\r\n" in text else "\n"
        lines = text.replace("\r\n", "\n").split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        return cls(lines, newline)

    def __str__(self) -> str:
        return "".join(line + self.newline for line in self.lines)

    def _section(self, name: str) -> tuple[int, int] | None:
        """First line behind the header, and the line behind the section."""
        start: int | None = None
        for place, line in enumerate(self.lines):
            if line.strip().startswith("["):
                if start is not None:
                    return start, place
                if line.strip().lower() == f"[{name.lower()}]":
                    start = place + 1
        return None if start is None else (start, len(self.lines))

    def get(self, section: str, key: str) -> str | None:
        """The value of a key, None when it is not there."""
        place = self._find(section, key)
        return None if place is None else self.lines[place].split("=", 1)[1]

    def _find(self, section: str, key: str) -> int | None:
        found = self._section(section)
        if found is None:
            return None
        for place in range(*found):
            name, equals, _ = self.lines[place].partition("=")
            if equals and name.strip().lower() == key.lower():
                return place
        return None

    def set(self, section: str, key: str, value: str | None) -> None:
        """Set a key where it stands, or at the end of its section; None removes it."""
        place = self._find(section, key)
        if value is None:
            if place is not None:
                del self.lines[place]
        elif place is not None:
            self.lines[place] = f"{self.lines[place].partition('=')[0]}={value}"
        else:
            found = self._section(section)
            if found is None:
                self.lines.append(f"[{section}]")
                found = (len(self.lines), len(self.lines))
            end = found[1]
            while end > found[0] and not self.lines[end - 1].strip():
                end -= 1
            self.lines.insert(end, f"{key}={value}")

    def has_section(self, name: str) -> bool:
        return self._section(name) is not None

    def remove_section(self, name: str, *, only_empty: bool = False) -> None:
        """Take a section with its header away, or only a header that nothing follows."""
        found = self._section(name)
        if found is not None and not (only_empty and any(line.strip() for line in self.lines[slice(*found)])):
            del self.lines[found[0] - 1 : found[1]]

    def control_surfaces(self) -> list[str]:
        """REAPER's control surfaces in order (`csurf_0`, `csurf_1`, ...)."""
        found = self._section("REAPER")
        surfaces: dict[int, str] = {}
        for place in range(*found) if found else ():
            match = _CONTROL_SURFACE.fullmatch(self.lines[place].strip())
            if match:
                surfaces[int(match[1])] = match[2]
        return [surfaces[number] for number in sorted(surfaces)]

    def set_control_surfaces(self, surfaces: list[str]) -> None:
        """Write the list with its count."""
        for number in range(max(len(surfaces), len(self.control_surfaces()))):
            self.set("REAPER", f"csurf_{number}", surfaces[number] if number < len(surfaces) else None)
        self.set("REAPER", "csurf_cnt", str(len(surfaces)))

    def scripts(self) -> dict[str, str]:
        """The script actions of a reaper-kb.ini, by their id."""
        return {match[1]: line for line in self.lines if (match := _SCRIPT.match(line.strip()))}

    def set_script(self, action: str, line: str | None) -> None:
        """Write or remove one script action."""
        for place, present in enumerate(self.lines):
            match = _SCRIPT.match(present.strip())
            if match and match[1] == action:
                if line is None:
                    del self.lines[place]
                else:
                    self.lines[place] = line
                return
        if line is not None:
            self.lines.append(line)
