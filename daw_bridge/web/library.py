"""What lies in the music folders: finished songs, and mixes that could become some.

A song's id is its folder relative to a music folder; every id that comes from outside goes through
`MusicFolders.resolve`, stems are found by their name in the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daw_bridge import song
from daw_bridge.audio.suffixes import AUDIO_SUFFIXES
from daw_bridge.control.net.security import MusicFolders
from daw_bridge.errors import DawBridgeError, InputError
from daw_bridge.files import confined
from daw_bridge.manifest import Manifest, is_song_folder, read_manifest

MAX_DEPTH = 5
MAX_ENTRIES = 20_000
MAX_SONGS = 2000
REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """A finished song, and the name that the page knows it by."""

    id: str
    made: song.Song

    @property
    def folder(self) -> Path:
        return self.made.folder

    @property
    def manifest(self) -> Manifest:
        return self.made.manifest

    @property
    def stem_names(self) -> list[str]:
        return [stem.name for stem in self.made.stems]

    @property
    def sample_rate_hz(self) -> int:
        return self.made.reference.sample_rate_hz

    @property
    def length_samples(self) -> int:
        return self.made.reference.length_samples

    def audio_file(self, name: str) -> Path:
        """The file of a stem, or of the reference. Raises InputError for another name, or when it is gone."""
        files = {stem.name: stem.file for stem in self.made.stems} | {REFERENCE: self.made.reference.file}
        if name not in files:
            raise InputError(f"{name[:100]!r}: this song has no stem of that name; it has {', '.join(files)}")
        path = confined(self.folder, files[name])
        if not path.is_file():
            raise InputError(f"{path.name}: is gone from the song folder; build the mix again")
        return path

    def audio_key(self, name: str) -> str:
        """A sha256 that changes with the samples: the name of what is computed from them."""
        if name == REFERENCE:
            return self.made.reference.audio_sha256
        return next(stem.sha256 for stem in self.made.stems if stem.name == name)


class Library:
    """The songs and mixes of some music folders."""

    def __init__(self, music: MusicFolders) -> None:
        self._music = music

    @property
    def roots(self) -> tuple[Path, ...]:
        return self._music.roots

    def song(self, song_id: str) -> Song:
        """The finished song of that id. Raises InputError."""
        folder = self._music.resolve(song_id, "folder")
        made = song.song_of(folder, read_manifest(folder), called=repr(song_id[:200]))
        return Song(id=self.id_of(folder) or song_id, made=made)

    def id_of(self, path: Path) -> str | None:
        """A file's or folder's path relative to the first music folder that holds it and gives it back by that name."""
        for root in self.roots:
            if path.is_relative_to(root) and path != root:
                name = path.relative_to(root).as_posix()
                first = next(each for each in self.roots if (each / name).exists() or each == root)
                return name if first == root else str(path)
        return None

    def listing(self) -> tuple[list[Song], list[Path]]:
        """Finished songs, and mixes beside them; both newest first and bounded."""
        songs: list[Song] = []
        mixes: list[Path] = []
        for path in self._walk():
            if path.is_dir():
                try:
                    songs.append(self.song(self.id_of(path) or ""))
                except DawBridgeError:
                    continue  # being built, damaged or foreign: not for listening
            else:
                mixes.append(path)
        songs.sort(key=lambda song: _modified_s(song.folder / "manifest.json"), reverse=True)
        mixes.sort(key=_modified_s, reverse=True)
        return songs[:MAX_SONGS], mixes[:MAX_SONGS]

    def _walk(self) -> Iterator[Path]:
        left = MAX_ENTRIES
        waiting = [(root, 0) for root in self.roots]
        while waiting:
            folder, depth = waiting.pop()
            try:
                entries = sorted(folder.iterdir())
            except OSError:
                continue
            for path in entries:
                left -= 1
                if left < 0:
                    return
                if path.name.startswith(".") or path.is_symlink():
                    continue
                if path.is_dir():
                    if is_song_folder(path):
                        yield path
                    elif depth < MAX_DEPTH and not path.name.endswith(".session"):
                        waiting.append((path, depth + 1))
                elif path.suffix.lower() in AUDIO_SUFFIXES:
                    yield path


def _modified_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
