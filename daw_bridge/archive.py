"""The song folder: `original/` (bit-exact, read-only), `audio/` (reference and stems), sessions, manifest.json.

A folder is taken over only when it is new, empty, an interrupted run of the same request, or ours and forced. Of a
folder that we take over we touch the files that its manifest lists, and nothing else. What is to replace them is made
in a hidden folder inside first, so that a forced run that fails or is killed leaves the folder as it was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from daw_bridge.errors import Busy, InputError, OutputError
from daw_bridge.files import atomic_path, confined, is_own_part, output_errors, sha256_of_file
from daw_bridge.manifest import Manifest, read_manifest, write_manifest
from daw_bridge.paths import user_cache_dir
from daw_bridge.units import human_bytes

COPY_BLOCK_BYTES = 1 << 20
REPLACEMENT = ".replacement"
CHECKING_SUFFIX = ".checking.wav"
"""Ends the name of a decoded mix that the field's rules have not passed yet."""


@dataclass(frozen=True, slots=True)
class SongFolder:
    """Names inside one song folder. `slug` begins the names of its audio files."""

    root: Path
    slug: str

    @property
    def original_dir(self) -> Path:
        return self.root / "original"

    @property
    def audio_dir(self) -> Path:
        return self.root / "audio"

    @property
    def reference(self) -> Path:
        return self.audio_dir / f"{self.slug}_reference.wav"

    @property
    def unchecked_reference(self) -> Path:
        return self.audio_dir / f"{self.slug}_reference{CHECKING_SUFFIX}"

    @property
    def stem_prefix(self) -> str:
        return f"{self.slug}_"

    def relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


@contextmanager
def folder_lock(root: Path) -> Iterator[None]:
    """Only one run at a time may work on a song folder; Busy otherwise. A killed run leaves no lock behind.

    The lock is a file of the user's cache, so that the song folder stays clean and may lie on any kind of disk.
    """
    locks = user_cache_dir() / "locks"
    with output_errors(locks):
        locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise Busy(
            f"{root}: another daw-bridge run is working on it; wait for it or give another folder with -o"
        ) from exc
    except OSError as exc:
        raise OutputError(f"{locks}: cannot lock here ({exc}); set DAW_BRIDGE_CACHE to a folder of yours") from exc
    try:
        yield
    finally:
        lock.release()


class Claim:
    """A song folder that this run may write to.

    `previous` is the manifest that was there; `resumes` says that it is of the same, interrupted run, `replaces` that
    it is of a finished one, whose files stay until those that replace them are whole.
    """

    def __init__(self, root: Path, previous: Manifest | None, *, resumes: bool) -> None:
        self.root, self.previous, self.resumes = root, previous, resumes
        self.replaces = previous is not None and previous.state == "complete"
        self.worth_keeping = previous is not None

    def keep(self) -> None:
        """From here on an interruption leaves the folder, so that the next run can continue it."""
        self.worth_keeping = True


@contextmanager
def claimed_folder(root: Path, request: dict[str, object], *, force: bool, mix: Path | None = None) -> Iterator[Claim]:
    """Claim `root` for this request, about this `mix`.

    When the block fails before `Claim.keep`, everything made here vanishes again: bad input leaves nothing behind.
    """
    existed = root.exists()
    if existed and not root.is_dir():
        raise OutputError(f"{root}: is a file; give a folder with -o")
    with output_errors(root):
        manifest = read_manifest(root) if existed else None
        foreign = existed and manifest is None and any(not is_own_part(path) for path in root.iterdir())
    if foreign:
        raise OutputError(f"{root}: exists and is not a daw-bridge song folder; give another folder with -o")
    resumes = manifest is not None and _continues(manifest, request)
    if manifest is not None and not resumes:
        _require_replaceable(root, manifest, request, mix, force=force)
    made = _missing_parents(root)
    claim = Claim(root, manifest, resumes=resumes)
    try:
        with output_errors(root):
            root.mkdir(parents=True, exist_ok=True)
        remove_leftovers(root)
        yield claim
    except BaseException:
        if not claim.worth_keeping:
            _remove_made(root, made)
        raise


def _continues(manifest: Manifest, request: dict[str, object]) -> bool:
    return manifest.state == "building" and manifest.request == request


def _require_replaceable(
    root: Path, manifest: Manifest, request: dict[str, object], mix: Path | None, *, force: bool
) -> None:
    """OutputError unless what the folder holds may be replaced: with force, and never by another song."""
    held_mix = manifest.original
    if held_mix is not None and mix is not None:
        newer = Path(held_mix.source_path) == mix.resolve()  # the same file, bounced again
        if held_mix.sha256 != request.get("mix_sha256") and not newer:
            raise OutputError(f"{root}: holds another mix ({held_mix.source_path}); give another folder with -o")
    if force:
        return
    if manifest.state != "complete":
        held, way = "holds an interrupted run with another mix or other settings", "repeat that run to continue it"
    elif manifest.sessions:
        held, way = "holds a session already", "use 'daw-bridge rebuild' for another template"
    else:
        held, way = "holds stems already", "use 'daw-bridge rebuild' to make a session of them"
    raise OutputError(
        f"{root}: {held}; {way}, -o for another folder, or --force to replace the files that daw-bridge made"
    )


@contextmanager
def replacement_folder(claim: Claim, request: dict[str, object]) -> Iterator[Claim]:
    """Where a forced run makes what is to replace the claimed folder's audio; one that was cut off is continued."""
    place = claim.root / REPLACEMENT
    if not _is_unfinished(place):
        _remove(place)
    with claimed_folder(place, request, force=True) as inner:
        yield inner


def _is_unfinished(place: Path) -> bool:
    """Whether a run was cut off here while it worked; one that was cut off while it moved its files is of no use."""
    try:
        left = read_manifest(place)
    except InputError:
        return False
    if left is None or left.state != "building":
        return False
    return left.reference is None or (place / left.reference.file).is_file()


def take_over(claim: Claim, manifest: Manifest) -> None:
    """Move the finished audio of the replacement folder into the claimed one; then the files it replaces go."""
    place = claim.root / REPLACEMENT
    moved = set(manifest.own_files())
    with output_errors(claim.root):
        for file in moved:
            (claim.root / file).parent.mkdir(exist_ok=True)
            confined(place, file).replace(confined(claim.root, file))
        if claim.previous is not None:
            remove_own_files(claim.root, claim.previous, keep=moved)
    write_manifest(claim.root, manifest)
    _remove(place)


def _missing_parents(root: Path) -> list[Path]:
    """The folders that `mkdir -p root` would make, deepest first."""
    return [path for path in (root, *root.parents) if not path.exists()]


def _remove_made(root: Path, made: list[Path]) -> None:
    for child in root.iterdir() if root.is_dir() else ():
        _remove(child)
    for path in made:
        try:
            path.rmdir()
        except OSError:
            return


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_own_files(root: Path, manifest: Manifest, *, keep: set[str]) -> None:
    """Delete the audio that `manifest` lists, but `keep`; sessions and everything unlisted stay."""
    for file in manifest.own_files():
        if file not in keep:
            confined(root, file).unlink(missing_ok=True)


def remove_leftovers(root: Path) -> None:
    """Delete temporary files of killed runs (`*.part`, `*.checking.wav`)."""
    for folder in (root, root / "original", root / "audio"):
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.endswith(CHECKING_SUFFIX) or is_own_part(path):
                _remove(path)


def archive_original(source: Path, target: Path, sha256: str = "") -> str:
    """Copy the mix bit-exact, read the copy back, make it read-only; the sha256. A verified copy is kept as it is.

    `sha256` is that of the source where it is known already. Raises InputError when the copy has another one.
    """
    wanted = sha256 or sha256_of_file(source)
    if target.is_file() and sha256_of_file(target) == wanted:
        return wanted
    with output_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
    with atomic_path(target) as part:
        with source.open("rb") as reader, part.open("wb") as writer:
            shutil.copyfileobj(reader, writer, COPY_BLOCK_BYTES)
        if sha256_of_file(part) != wanted:
            raise InputError(f"{source}: changed while it was being copied; run again when nothing writes to it")
    target.chmod(0o444)
    return wanted


def free_session_name(name: str, taken: Callable[[str], bool]) -> str:
    """`name`, or `name (2)`, `name (3)`…: the first that is not taken."""
    candidate, number = name, 1
    while taken(candidate):
        number += 1
        candidate = f"{name} ({number})"
    return candidate


def require_disk_space(root: Path, needed_bytes: int) -> None:
    """OutputError when the disk of `root` cannot take `needed_bytes`: said before the run, not hours into it."""
    place = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if free < needed_bytes:
        raise OutputError(
            f"{root}: the disk is full: this run needs {human_bytes(needed_bytes)}, {human_bytes(free)} are free; "
            "free some space or give another folder with -o"
        )
