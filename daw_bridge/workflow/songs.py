"""Which files are meant: by folders, lists, sheets, patterns and names; and which song folder each one gets."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daw_bridge.audio.suffixes import AUDIO_SUFFIXES
from daw_bridge.errors import InputError
from daw_bridge.files import safe_name, sha256_of_file
from daw_bridge.manifest import Manifest, is_song_folder, read_manifest
from daw_bridge.paths import user_cache_dir
from daw_bridge.spelling import as_on_disk
from daw_bridge.workflow.chain import SONG_FOLDER_SUFFIX
from daw_bridge.workflow.cue import CUE_SUFFIX, Cut, read_cue
from daw_bridge.workflow.playlists import LIST_SUFFIXES, read_playlist

_NAMES_SHOWN = 8


@dataclass(slots=True)
class Listing:
    """`songs` in order, each once. `cuts` are those that a CUE sheet cuts out of a file: each is written, when its turn
    comes, under its path. `skipped` is what was passed over, by the reason.
    """

    songs: list[Path] = field(default_factory=list)
    cuts: dict[Path, Cut] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, reason: str, name: str) -> None:
        self.skipped.setdefault(reason, []).append(name)

    def lines(self) -> list[str]:
        """One line for each reason: how many were passed over, and their names."""
        return [
            f"skipped {len(names)}, {reason}: {', '.join(names[:_NAMES_SHOWN])}"
            + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")
            for reason, names in self.skipped.items()
        ]


def list_songs(sources: Sequence[str]) -> Listing:
    """The mixes that folders, lists of paths (.txt, .m3u), CUE sheets, patterns and files name, each once, in order.

    Folders are searched in depth; what is passed over there is listed. A file that a CUE sheet beside it cuts into
    songs is those songs. Raises InputError when nothing is found.
    """
    listing = Listing()
    found: dict[Path, None] = {}
    real: set[str] = set()
    for source in sources:
        before = len(found)
        known = 0
        for song in _named(source, listing):
            if song in found:
                known += 1
                continue
            is_link = song.is_symlink()
            place = str(song.resolve() if is_link else song.absolute())
            if place in real:
                known += 1
                if is_link:
                    listing.skip("links to songs that are listed", song.name)
                continue
            real.add(place)
            found[song] = None
        if len(found) == before and not known:
            raise InputError(
                f"{source}: no songs there; give a folder, a pattern, or a .txt list of files"
                + "".join(f"; {line}" for line in listing.lines())
            )
    listing.songs = list(found)
    return listing


def _named(source: str, listing: Listing) -> Iterator[Path]:
    """The songs of one source, cut where a sheet says so."""
    path = as_on_disk(Path(source))
    if path.suffix.lower() in LIST_SUFFIXES and not path.is_dir():
        songs, others = read_playlist(path)
        for other in others:
            listing.skip("web addresses", other)
        for song in songs:
            yield from _one(song, listing)
    elif path.exists():
        yield from _one(path, listing)
    else:
        for name in sorted(glob.glob(source, recursive=True)):  # noqa: PTH207  a whole pattern, maybe absolute
            yield from _one(Path(name), listing)


def _one(path: Path, listing: Listing) -> Iterator[Path]:
    """The songs of a folder, of a sheet, or the file itself."""
    if path.is_dir():
        yield from _in_folder(path, listing)
    elif path.suffix.lower() == CUE_SUFFIX and path.exists():
        cuts, whole = read_cue(path)
        if not cuts and not whole:
            raise InputError(f"{path}: names no file with songs; give the files themselves")
        yield from _cut(cuts, listing)
        yield from whole
    else:
        yield path


def _entries(folder: Path, listing: Listing) -> list[os.DirEntry[str]]:
    """What lies in a folder that is no song folder, by name."""
    try:
        if folder.name.endswith(SONG_FOLDER_SUFFIX) or is_song_folder(folder):
            return []
        with os.scandir(folder) as entries:  # tells kinds without asking the disk for each file
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as exc:
        listing.skip(f"folders that cannot be read ({exc.strerror})", folder.name)
        return []


def _in_folder(folder: Path, listing: Listing) -> Iterator[Path]:
    """Audio files below `folder`, in the order of their paths; what lies in song folders is no mix."""
    found = _entries(folder, listing)
    cut_files = _sheets(folder, [entry.name for entry in found], listing)
    for entry in found:
        name, suffix = entry.name, _suffix(entry.name)
        if name.startswith("._") or name == "__MACOSX":
            listing.skip("what macOS leaves beside files", name)
        elif name.startswith("."):
            listing.skip("hidden", name)
        elif entry.is_dir():
            if entry.is_symlink():
                listing.skip("linked folders", name)
            else:
                yield from _in_folder(folder / name, listing)
        elif suffix not in AUDIO_SUFFIXES:
            if suffix != CUE_SUFFIX or folder / name not in cut_files:
                listing.skip("no audio by their names", name)
        elif not entry.is_file():
            listing.skip("links that point nowhere" if entry.is_symlink() else "no regular files", name)
        elif cut_files and folder / name in cut_files:
            yield from _cut(cut_files[folder / name], listing)
        else:
            yield folder / name


def _suffix(name: str) -> str:
    """As `Path.suffix`, in small letters."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  a name of many, not a path


def _sheets(folder: Path, names: Sequence[str], listing: Listing) -> dict[Path, list[Cut]]:
    """The songs by the file that a sheet of this folder cuts; the sheets themselves are keys without songs."""
    cut_files: dict[Path, list[Cut]] = {}
    for name in names:
        sheet = folder / name
        if _suffix(name) != CUE_SUFFIX or name.startswith(".") or not sheet.is_file():
            continue
        try:
            cuts, _whole = read_cue(sheet)
        except InputError as exc:
            listing.skip("CUE sheets that cannot be read", str(exc))
            cut_files[sheet] = []
            continue
        for cut in cuts:
            cut_files.setdefault(sheet, [])
            if (
                cut.source.parent == folder
                and cut.source.name in names
                and cut not in cut_files.setdefault(cut.source, [])
            ):
                cut_files[cut.source].append(cut)
    return cut_files


def _cut(cuts: Sequence[Cut], listing: Listing) -> Iterator[Path]:
    """Where each song of a sheet will be: a path that depends on the file, its time and the place of the cut."""
    for cut in cuts:
        status = cut.source.stat() if cut.source.exists() else None
        mark = f"{cut.source.resolve()} {status.st_size if status else 0} {status.st_mtime_ns if status else 0}"
        key = hashlib.sha256(os.fsencode(f"{mark} {cut.start_frames} {cut.end_frames}")).hexdigest()[:16]
        path = user_cache_dir() / "cue" / key / f"{cut.name}.wav"
        listing.cuts[path] = cut
        yield path


def song_folders(
    songs: Sequence[Path], output: Path | None = None, cuts: Mapping[Path, Cut] | None = None
) -> dict[Path, Path]:
    """A song folder for each song, beside it (or its CUE sheet) or below `output`.

    Songs whose folders would have one name (a.wav and a.mp3; mix.wav of two days) are numbered. A folder that holds one
    of them already stays that one's, so that a song that comes later gets a folder of its own.
    """
    groups: dict[str, list[Path]] = {}
    wanted: dict[Path, Path] = {}
    for song in songs:
        cut = (cuts or {}).get(song)
        home = output or (cut.sheet.parent if cut is not None else song.parent)
        wanted[song] = home / safe_name(song.stem)
        groups.setdefault(str(wanted[song]).casefold(), []).append(song)
    taken: set[str] = set()
    folders: dict[Path, Path] = {}
    for group in groups.values():
        folders |= _shared_out(group, wanted[group[0]], taken)
    return folders


def _shared_out(twins: Sequence[Path], base: Path, taken: set[str]) -> dict[Path, Path]:
    """Which of the numbered folders belongs to which of the songs of one name."""
    folders: dict[Path, Path] = {}
    free: list[Path] = []
    number = 0
    while len(folders) + len(free) < len(twins):
        number += 1
        folder = base.with_name(f"{base.name}{f' ({number})' if number > 1 else ''}{SONG_FOLDER_SUFFIX}")
        if str(folder).casefold() in taken:
            continue
        held = _manifest_of(folder)
        owner = None if held is None else next((s for s in twins if s not in folders and _holds(held, s)), None)
        if owner is not None:
            folders[owner] = folder
        elif held is None or (held.original is None and not held.stems):  # a run that ended before it held anything
            free.append(folder)
        else:
            continue
        taken.add(str(folder).casefold())
    rest = [song for song in twins if song not in folders]
    return folders | dict(zip(rest, free, strict=True))


def _manifest_of(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except InputError:
        return None


def _holds(manifest: Manifest, song: Path) -> bool:
    """Whether a song folder was made of this file: by its place, or by its bytes where it was moved or renamed."""
    original = manifest.original
    if original is not None and Path(original.source_path) == song.resolve():
        return True
    try:
        if original is not None:
            return original.size_bytes == song.stat().st_size and original.sha256 == sha256_of_file(song)
        return manifest.request.get("mix_sha256") == sha256_of_file(song)
    except OSError:
        return False
