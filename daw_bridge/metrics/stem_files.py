"""Which file in a folder is which stem: by its name, in the spellings that tools and labels use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.audio.suffixes import AUDIO_SUFFIXES
from daw_bridge.errors import InputError

_MIX_NAMES = ("mixture", "mix", "reference", "original")
_STEM_NAMES = ("vocals", "drums", "bass", "other", "guitar", "piano", "residual", "instrumental", "accompaniment")
_COMPLEMENT_PREFIXES = ("no_", "no-", "not_", "minus_", "without_")
_VOCAL_COMPLEMENTS = ("instrumental", "accompaniment")
_ALIASES = {
    "vocal": "vocals",
    "vox": "vocals",
    "voice": "vocals",
    "drum": "drums",
    "others": "other",
    "inst": "instrumental",
    "karaoke": "instrumental",
}
_SEPARATORS = "_- ."
_BRACKETS = re.compile(r"[(\[]([^()\[\]]+)[)\]]")

ReferenceFiles = Path | tuple[Path, ...]
"""One file, or several whose sum is the reference (of the complement in a two-stem separation)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StemFiles:
    """What belongs together: `extra` are estimates without a reference (a residual), `mix` a mixture beside them."""

    estimates: dict[str, Path]
    references: dict[str, ReferenceFiles]
    extra: dict[str, Path]
    mix: Path | None

    def lines(self) -> list[str]:
        """What was paired, a line for each stem."""
        paired = []
        for name, estimate in self.estimates.items():
            reference = self.references[name]
            files = [reference] if isinstance(reference, Path) else list(reference)
            paired.append(f"{name}: {estimate.name} against {' + '.join(path.name for path in files)}")
        paired += [f"{name}: {path.name} has no reference" for name, path in self.extra.items()]
        return paired


def find_stem_files(estimates: Path, references: Path) -> StemFiles:
    """Pair the audio files of two folders by stem name.

    `vocals.wav`, `Song_vocals.flac`, `SONG - VOX.ogg`, `1_song_(Vocals)_model.wav` and `song_vocals_model.wav` are all
    `vocals`. A song folder is searched in its `audio/`. What macOS leaves beside files (`._*`) is no stem. Estimates
    named `no_vocals`, `instrumental` or `accompaniment` are compared with the sum of the other references. Raises
    InputError: no such folder, nothing in it, two files for one stem, a reference without an estimate.
    """
    reference_files = _audio_files(references)
    wanted = _name_all([path for path in reference_files if _known_name(path, _MIX_NAMES) is None], ())
    if not wanted:
        raise InputError(f"{references}: no reference stems here; expected files such as vocals.wav, drums.wav")
    estimate_files = _audio_files(estimates)
    found = _name_all([path for path in estimate_files if _known_name(path, _MIX_NAMES) is None], wanted)
    mix = _first_mix(reference_files) or _first_mix(estimate_files)
    paired = _with_complement(found, wanted)
    missing = [name for name in paired if name not in found]
    if missing:
        raise InputError(
            f"{estimates}: no estimate for {', '.join(missing)}; found {', '.join(found) or 'no audio files'}; "
            "call the files as the references are called, or leave those references out"
        )
    return StemFiles(
        estimates={name: found[name] for name in paired},
        references=paired,
        extra={name: path for name, path in found.items() if name not in paired},
        mix=mix,
    )


def _with_complement(found: dict[str, Path], wanted: dict[str, Path]) -> dict[str, ReferenceFiles]:
    """The references, or for a two-stem separation the one stem and the sum of all others."""
    for name in found:
        stem = _complement_of(name)
        if name in wanted or stem not in wanted or stem not in found or len(wanted) < 2:
            continue
        if all(other in found for other in wanted):
            continue  # all stems are there, the complement is only a convenience beside them
        return {stem: wanted[stem], name: tuple(path for other, path in wanted.items() if other != stem)}
    return {**wanted}


def _complement_of(name: str) -> str:
    if name in _VOCAL_COMPLEMENTS:
        return "vocals"
    for prefix in _COMPLEMENT_PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return ""


def _audio_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder; give the one that holds the stems")
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not files and (folder / "audio").is_dir():
        return _audio_files(folder / "audio")
    return files


def _first_mix(files: Sequence[Path]) -> Path | None:
    return next((path for path in files if _known_name(path, _MIX_NAMES)), None)


def _name_all(files: Sequence[Path], wanted: Iterable[str]) -> dict[str, Path]:
    """Stem name -> file. Beside a file that is called exactly like a stem, `lead vocals.wav` is a stem of its own."""
    names: tuple[str, ...] = (*wanted, *_STEM_NAMES, *_ALIASES)
    names += tuple(prefix + name for name in names for prefix in _COMPLEMENT_PREFIXES)
    named: dict[str, Path] = {}
    for path in sorted(files, key=lambda path: (len(path.stem), path.name)):
        own_name = path.stem.casefold()
        name = _plain(_stem_name(own_name, names) or own_name)
        if name in named and name != own_name and named[name].stem.casefold() == name:
            name = own_name
        if name in named:
            raise InputError(f"{path.parent}: {named[name].name} and {path.name} both look like {name}; keep one")
        named[name] = path
    return named


def _known_name(path: Path, names: Iterable[str]) -> str | None:
    """The longest of `names` that the file is called, alone or after a separator."""
    stem = path.stem.casefold()
    fits = [name for name in names if stem == name or (stem.endswith(name) and stem[-len(name) - 1] in _SEPARATORS)]
    return max(fits, key=len, default=None)


def _stem_name(stem: str, names: Sequence[str]) -> str | None:
    """Which of `names` a file is called: in brackets, as the whole or at the end, else as a word within.

    Of several words the last one counts: the song comes before its stem, and behind it the model.
    """
    for inside in reversed(_BRACKETS.findall(stem)):
        if inside.strip() in names:
            return str(inside.strip())
    ends = [name for name in names if stem == name or (stem.endswith(name) and stem[-len(name) - 1] in _SEPARATORS)]
    if ends:
        return max(ends, key=len)
    marks = re.escape(_SEPARATORS)
    places = [
        (match.end(), match.end() - match.start(), name)
        for name in names
        for match in re.finditer(rf"(?:^|[{marks}]){re.escape(name)}(?=$|[{marks}])", stem)
    ]
    return max(places)[2] if places else None


def _plain(name: str) -> str:
    """The stem's own name for one of the other words for it: `vox` is vocals, `no_vox` is no_vocals."""
    for prefix in ("", *_COMPLEMENT_PREFIXES):
        rest = name.removeprefix(prefix)
        if name.startswith(prefix) and rest in _ALIASES:
            return prefix + _ALIASES[rest]
    return name
