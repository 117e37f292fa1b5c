"""manifest.json: how a song folder was made, complete enough to rebuild it and to check every file in it.

Paths are relative to the song folder and never leave it. Unknown keys are kept out, a newer format is refused.
"""

from __future__ import annotations

import glob
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from daw_bridge.errors import InputError
from daw_bridge.files import confined, open_regular, read_regular, write_atomic
from daw_bridge.model import MAX_NESTING, Stem, StemRole, StemSet
from daw_bridge.music import SongMusic, music_from_json
from daw_bridge.plan_json import RecordReader

MANIFEST_NAME = "manifest.json"
FORMAT_NAME = "daw-bridge manifest"
FORMAT_VERSION = 1
_MOST_BYTES = 256 << 20
_LOSSLESS = (".flac", ".wav")

State = Literal["building", "complete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalFile:
    """The untouched mix; `source_path` is where it came from, for people."""

    file: str
    sha256: str
    size_bytes: int
    codec: str
    source_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFile:
    """The decoded mix that everything is aligned to. `audio_sha256` is over samples, rate and channels, `sha256` over
    the bytes of the file (empty while it is being made). `start_samples` is where in the mix it begins: above 0 for a
    build of a part of it."""

    file: str
    audio_sha256: str
    sample_rate_hz: int
    channels: int
    length_samples: int
    channel_choice: str
    silent: bool
    integrated_lufs: float | None
    true_peak_dbtp: float | None
    claimed_samples: int | None = None
    """What the source's header says of its length; None where it does not say."""
    behind_samples: int | None = None
    """What lies behind that header in the file."""
    holes: tuple[tuple[int, int], ...] = ()
    """(first sample, samples) where silence stands for sound that was lost."""
    notes: tuple[str, ...] = ()
    sha256: str = ""
    start_samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StemFile:
    name: str
    role: StemRole
    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparationRecord:
    """`settings` holds everything that influences the samples; levels are floored at `units.SILENCE_DB`.

    `licence` is that of the weights (see `model_info.Licence`); empty in folders of older versions.
    """

    model: str
    weights_sha256: str
    settings: dict[str, Any]
    versions: dict[str, str]
    null_depth_db: float
    residual_rms_db: float
    elapsed_s: float
    from_cache: bool
    notes: tuple[str, ...] = ()
    licence: str = ""
    licence_class: str = ""
    licence_source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One DAW session. `sha256` is that of the file that the DAW opens as we wrote it (`files[0]`, where the session is
    a folder): a changed session is the user's own and is never replaced. `plan` is the SessionPlan as JSON."""

    adapter: str
    file: str
    files: tuple[str, ...]
    sha256: str
    template: str
    template_sha256: str
    plan: dict[str, Any]
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """State "building" marks a run that was cut off; the same command continues it."""

    name: str
    daw_bridge: str
    state: State
    request: dict[str, Any]
    original: OriginalFile | None = None
    reference: ReferenceFile | None = None
    stems: tuple[StemFile, ...] = ()
    separation: SeparationRecord | None = None
    sessions: tuple[SessionRecord, ...] = ()
    music: SongMusic | None = None

    def to_json(self) -> str:
        body = {"format": FORMAT_NAME, "version": FORMAT_VERSION, **asdict(self)}
        return json.dumps(body, indent=2, ensure_ascii=False) + "\n"

    def stem_set(self, folder: Path) -> StemSet:
        """The stems and the reference as files of `folder`; InputError when one is missing.

        One that somebody converted to FLAC (or back) since is as good, where it fits.
        """
        if self.reference is None or not self.stems:
            raise InputError(f"{folder}: its manifest lists no stems; build it again")
        ref = self.reference

        around = parents_in(self.separation.settings.get("tree")) if self.separation is not None else {}

        def stem(name: str, file: str, role: StemRole) -> Stem:
            path = confined(folder, file)
            if not path.is_file():
                path = _converted(folder, file, ref)
            return Stem(
                name=name,
                path=path,
                sample_rate_hz=ref.sample_rate_hz,
                channels=ref.channels,
                length_samples=ref.length_samples,
                role=role,
                parents=around.get(name, ()),
            )

        return StemSet(
            stems=tuple(stem(entry.name, entry.file, entry.role) for entry in self.stems),
            reference=stem("reference", ref.file, "reference"),
        )

    def own_files(self) -> list[str]:
        """Every file that we wrote, but sessions (those may have become the user's)."""
        named = [entry.file for entry in self.stems]
        named += [part.file for part in (self.original, self.reference) if part is not None]
        named += [self.music.click_file] if self.music is not None and self.music.click_file else []
        return named


def parents_in(tree: object) -> dict[str, tuple[str, ...]]:
    """By stem the stems that it was taken out of, the outermost first, from a chain's tree as the manifest has it.

    What is no such tree gives nothing: it only says how stems are shown.
    """
    found: dict[str, tuple[str, ...]] = {}
    todo: list[tuple[object, tuple[str, ...]]] = [(tree, ())]
    while todo:
        node, path = todo.pop()
        children = node.get("children") if isinstance(node, dict) else None
        name = node.get("name") if isinstance(node, dict) else None
        if isinstance(children, list):
            inside = path if node is tree else (*path, str(name))
            todo += [(child, inside) for child in children if len(inside) < MAX_NESTING]
        elif isinstance(name, str):
            found[name] = path
    return found


def is_song_folder(folder: Path) -> bool:
    """Whether a manifest of ours lies in `folder`, be it damaged."""
    try:
        with open_regular(folder / MANIFEST_NAME) as handle:
            return FORMAT_NAME.encode() in handle.read(4096)
    except OSError:
        return False


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a song folder, None where there is none; InputError for a damaged or newer one."""
    path = folder / MANIFEST_NAME
    try:
        data = json.loads(read_regular(path, most_bytes=_MOST_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as exc:
        raise InputError(
            f"{path}: cannot be read as a manifest ({exc}); move it away, or build into another folder with -o"
        ) from exc
    if not isinstance(data, dict) or data.get("format") != FORMAT_NAME:
        raise InputError(f"{path}: is not a daw-bridge manifest; move it away or choose another folder with -o")
    if data.get("version") != FORMAT_VERSION:
        raise InputError(f"{path}: was written by another version of daw-bridge (format {data.get('version')})")
    return manifest_from_json(data, path)


def manifest_from_json(data: dict[str, Any], path: Path) -> Manifest:
    """The manifest of parsed JSON; InputError, naming `path` and the place in it, when it is none."""
    body = {key: value for key, value in data.items() if key not in ("format", "version", "music")}
    manifest = cast("Manifest", _ManifestReader(path).record(body, Manifest, ""))
    try:
        return replace(manifest, music=music_from_json(data["music"]) if data.get("music") else None)
    except (TypeError, KeyError, ValueError, AttributeError) as exc:
        raise InputError(f"{path}: is damaged at music ({exc}); build the mix again into another folder") from exc


class _ManifestReader(RecordReader):
    """Every value has the type of its field; keys that we do not know are kept out."""

    keeps_unknown_out = True

    def error(self, where: str, problem: str) -> InputError:
        return InputError(
            f"{self.base}: is damaged at {where or 'its root'} ({problem}); build the mix again into another folder"
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write_atomic(folder / MANIFEST_NAME, manifest.to_json())


def _converted(folder: Path, file: str, ref: ReferenceFile) -> Path:
    """What somebody made of a stem that is gone. Raises InputError where there is none, or another sound."""
    from daw_bridge.audio.reader import probe

    for suffix in _LOSSLESS:
        path = confined(folder, str(Path(file).with_suffix(suffix)))
        if not path.is_file():
            continue
        info = probe(path)
        found = (info.sample_rate_hz, info.channels, info.length_samples)
        wanted = (ref.sample_rate_hz, ref.channels, ref.length_samples)
        if found != wanted:
            raise InputError(
                f"{path}: stands for {Path(file).name}, and has {found[2]} samples of {found[1]} channel(s) at "
                f"{found[0]} Hz in place of {wanted[2]} of {wanted[1]} at {wanted[0]} Hz; put the stem back, or build "
                "the mix again with `force`"
            )
        return path
    raise _missing(confined(folder, file))


def _missing(path: Path) -> InputError:
    """The error for a file that is gone, with one of the same name that somebody made of it."""
    others = sorted(other.name for other in path.parent.glob(f"{glob.escape(path.stem)}.*"))
    if others:
        return InputError(
            f"{path}: missing from the song folder, which has {', '.join(others)}; put it back, or build the mix again "
            "with `force`"
        )
    return InputError(f"{path}: missing from the song folder; build the mix again with `force`")
