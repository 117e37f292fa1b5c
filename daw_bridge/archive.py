"""The song folder: `original/` (bit-exact, read-only), `audio/` (reference and stems), sessions, manifest.json.

A folder is claimed only when it is new, empty, an interrupted run of the same request, or ours and forced. Everything
is made in a hidden folder inside first and put in place as a whole (`takeover`), so that a run that fails or is killed
leaves the folder as it was. Of what lies there we touch the files that its manifest lists, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.errors import Busy, InputError, OutputError
from daw_bridge.files import atomic_path, confined, is_own_part, output_errors, remove_path, sha256_of_file
from daw_bridge.locks import LockHeld, NoLocks, exclusive
from daw_bridge.manifest import MANIFEST_NAME, Manifest, is_song_folder, read_manifest
from daw_bridge.paths import user_cache_dir
from daw_bridge.takeover import OWN_FOLDERS, STAGING, settle
from daw_bridge.units import human_bytes

COPY_BLOCK_BYTES = 1 << 20
LOCK_NAME = ".daw-bridge.lock"
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

    The lock lies in the folder, which is made for it: another user, or another machine on the same share, sees it.
    Folders made here that are still empty afterwards go again.
    """
    _require_folder(root)
    made = [path for path in (root, *root.parents) if not path.exists()]
    try:
        with output_errors(root):
            root.mkdir(parents=True, exist_ok=True)
        with _locked(root):
            yield
    finally:
        for path in made:
            try:
                path.rmdir()
            except OSError:
                break


def _require_folder(root: Path) -> None:
    with output_errors(root):
        is_file = root.exists() and not root.is_dir()
    if is_file:
        raise OutputError(f"{root}: is a file; give a folder with -o")


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            with output_errors(root):
                held.enter_context(exclusive(root / LOCK_NAME))
        except NoLocks:
            held.enter_context(_cache_lock(root))
        except LockHeld:
            raise Busy(
                f"{root}: another daw-bridge run is working on it; wait for it or give another folder (`output`)"
            ) from None
        yield


@contextmanager
def _cache_lock(root: Path) -> Iterator[None]:
    """For disks that know no locks: one that the runs of this user on this machine see."""
    locks = user_cache_dir() / "locks"
    with output_errors(locks):
        locks.mkdir(parents=True, exist_ok=True)
    name = f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]}.lock"
    with output_errors(locks), ExitStack() as held:
        try:
            held.enter_context(exclusive(locks / name))
        except NoLocks:
            raise OutputError(f"{locks}: cannot lock here; set DAW_BRIDGE_CACHE to a folder of yours") from None
        except LockHeld:
            raise Busy(
                f"{root}: another daw-bridge run is working on it; wait for it or give another folder (`output`)"
            ) from None
        yield


class Claim:
    """A song folder that this run may write to. What it makes lies in `staging` until `take_over`.

    `previous` is the manifest that was there, `left` that of the audio which an interrupted run of the same mix has
    begun in `staging`, `continued` the same if it was a run of this request.
    """

    def __init__(
        self, root: Path, previous: Manifest | None, left: Manifest | None, request: dict[str, object]
    ) -> None:
        self.root, self.previous, self.left = root, previous, left
        begun = previous is not None and _continues(previous, request)
        self.has_stems = begun and previous is not None and bool(previous.stems)
        self.continued = left if left is not None and left.request == request else None
        self.worth_keeping = left is not None or (previous is not None and previous.state == "building")

    @property
    def staging(self) -> Path:
        return self.root / STAGING

    def keep(self) -> None:
        """From here on an interruption leaves what was made, so that the next run can continue it."""
        self.worth_keeping = True


@contextmanager
def claimed_folder(root: Path, request: dict[str, object], *, force: bool, mix: Path | None = None) -> Iterator[Claim]:
    """Claim `root`, whose lock is held, for this request, about this `mix`.

    When the block fails before `Claim.keep`, what was made here goes again, and nothing else: bad input leaves nothing
    behind, and what a user has put there meanwhile stays.
    """
    _require_folder(root)
    with output_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        settle(root)
        manifest = read_manifest(root)
        foreign = manifest is None and any(not _is_ours(path) for path in root.iterdir())
    if foreign:
        raise OutputError(f"{root}: exists and is not a daw-bridge song folder; give another folder (`output`)")
    if manifest is not None and not _continues(manifest, request):
        _require_replaceable(root, manifest, request, mix, force=force)
    for name in OWN_FOLDERS:
        confined(root, name)  # a link that leads out of the folder is told now, not after the work
    remove_leftovers(root)
    left = unfinished(root)
    if left is not None and left.request.get("mix_sha256") != request.get("mix_sha256"):
        remove_path(root / STAGING)
        left = None
    claim = Claim(root, manifest, left, request)
    try:
        with output_errors(root):
            claim.staging.mkdir(exist_ok=True)
        yield claim
        remove_path(claim.staging)
    except BaseException:
        if not claim.worth_keeping:
            remove_path(claim.staging)
            if claim.previous is None and is_song_folder(root):
                (root / MANIFEST_NAME).unlink(missing_ok=True)
        raise


def _is_ours(path: Path) -> bool:
    return path.name == LOCK_NAME or is_own_part(path) or (path.name == STAGING and path.is_dir())


def _continues(manifest: Manifest, request: dict[str, object]) -> bool:
    """What only the manifest knows is an option of an older version, which is no more."""
    known = all(manifest.request.get(name) == value for name, value in request.items())
    return manifest.state == "building" and known


def _require_replaceable(
    root: Path, manifest: Manifest, request: dict[str, object], mix: Path | None, *, force: bool
) -> None:
    """OutputError unless what the folder holds may be replaced: with force, and never by another song."""
    held_mix = manifest.original
    if held_mix is not None and mix is not None:
        newer = Path(held_mix.source_path) == mix.resolve()  # the same file, bounced again
        if held_mix.sha256 != request.get("mix_sha256") and not newer:
            raise OutputError(f"{root}: holds another mix ({held_mix.source_path}); give another folder (`output`)")
    if force:
        return
    if manifest.state != "complete":
        held, way = "holds an interrupted run with another mix or other settings", "repeat that run to continue it"
    elif manifest.sessions:
        held, way = "holds a session already", "use 'daw-bridge rebuild' for another template"
    else:
        held, way = "holds stems already", "use 'daw-bridge rebuild' to make a session of them"
    raise OutputError(
        f"{root}: {held}; {way}, give another folder (`output`), or replace the files that daw-bridge made (`force`)"
    )


def unfinished(root: Path) -> Manifest | None:
    """The manifest of a run that was cut off in `root`; where nothing of use was left, what is there goes."""
    staging = root / STAGING
    try:
        left = read_manifest(staging)
    except InputError:
        left = None
    there = (left.original, left.reference, *left.stems) if left is not None else ()
    if left is not None and all(part is not None and confined(staging, part.file).is_file() for part in there):
        return left
    remove_path(staging)
    return None


def remove_leftovers(root: Path) -> None:
    """Delete temporary files of killed runs (`*.part` of ours)."""
    for folder in (root, root / "original", root / "audio"):
        for path in folder.iterdir() if folder.is_dir() else ():
            if is_own_part(path):
                remove_path(path)


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
            "free some space or give another folder (`output`)"
        )
