"""What comes back from a build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daw_bridge.adapter import WriteReport
from daw_bridge.manifest import Manifest
from daw_bridge.song import Song, song_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """A finished song folder. `reports` has one entry for each DAW session that was written."""

    folder: Path
    manifest: Manifest
    reports: tuple[WriteReport, ...]
    elapsed_s: float

    @property
    def song(self) -> Song:
        """The finished song: its reference, its stems, and how they were made."""
        return song_of(self.folder, self.manifest)
