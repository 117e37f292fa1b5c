"""CUE sheets: one big file that holds the songs of an album, and where each begins.

Source: the CDRWIN manual's command reference. 75 frames make a second, so that at 44.1 kHz each frame is 588 samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.audio import guarded
from daw_bridge.audio.decode import ALL_CHANNELS, NO_SAMPLES
from daw_bridge.errors import InputError
from daw_bridge.files import safe_name
from daw_bridge.progress import CancelToken
from daw_bridge.spelling import as_on_disk
from daw_bridge.workflow.playlists import read_text

CUE_SUFFIX = ".cue"
FRAMES_PER_S = 75
_LEAST_HIDDEN_S = 5
"""Sound of that length before the first track is a hidden song; the pause there has two seconds on most discs."""
_LINE = re.compile(r'^\s*(\w+)\s+(?:"([^"]*)"|(\S+))\s*(.*)$')
_TIME = re.compile(r"^(\d+):(\d\d):(\d\d)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One song of a sheet: `source` from a frame (a 75th of a second) on, to another, or to its end."""

    source: Path
    sheet: Path
    name: str
    start_frames: int
    end_frames: int | None

    def samples_of(self, whole_samples: int, sample_rate_hz: int) -> int:
        """How many samples of a file of so many this song is."""
        start = self.start_frames * sample_rate_hz // FRAMES_PER_S
        end = whole_samples if self.end_frames is None else self.end_frames * sample_rate_hz // FRAMES_PER_S
        return max(0, min(end, whole_samples) - start)

    def write(self, target: Path, *, accept_damaged: bool, cancel: CancelToken) -> tuple[str, ...]:
        """Write the song as a float32 WAV file, cut on the sample; remarks about it.

        Raises InputError, OutputError, Cancelled.
        """
        rate_hz = guarded.probe(self.source, accept_damaged=accept_damaged).sample_rate_hz
        start = self.start_frames * rate_hz // FRAMES_PER_S
        try:
            decoded = guarded.decode_to_reference(
                self.source,
                target,
                channels=ALL_CHANNELS,
                accept_damaged=accept_damaged,
                first_samples=start,
                count_samples=None if self.end_frames is None else self.end_frames * rate_hz // FRAMES_PER_S - start,
                cancel=cancel,
            )
        except InputError as exc:
            if NO_SAMPLES not in str(exc):
                raise
            raise InputError(f"{self.sheet}: {self.name} begins behind the end of {self.source.name}") from exc
        return decoded.notes


@dataclass(slots=True)
class _Track:
    number: int
    title: str
    start_frames: int


def read_cue(sheet: Path) -> tuple[list[Cut], list[Path]]:
    """The songs that a sheet cuts out of files of two or more, and its files of one song. Raises InputError."""
    cuts: list[Cut] = []
    whole: list[Path] = []
    for source, tracks in _read_files(sheet):
        if len(tracks) == 1:
            whole.append(source)
        elif tracks:
            cuts += _cuts_of(sheet, source, tracks)
    return cuts, whole


def _read_files(sheet: Path) -> list[tuple[Path, list[_Track]]]:
    """Each FILE of a sheet with its tracks of sound. A track may begin (INDEX 00) in the file before its own."""
    files: list[tuple[Path, list[_Track]]] = []
    number, title = 0, ""
    for line in read_text(sheet).splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        word, value, rest = match[1].upper(), match[2] if match[2] is not None else match[3], match[4].strip()
        if word == "FILE":
            files.append((_file_of(sheet, value), []))
        elif word == "TRACK" and value.isdigit():
            number, title = (int(value) if rest.upper() in ("AUDIO", "") else 0), ""  # 0: a track of data
        elif word == "TITLE" and number:
            title = value
        elif word == "INDEX" and value.isdigit() and int(value) == 1 and number and files:
            time = _TIME.match(rest)
            if time is None:
                raise InputError(f"{sheet}: {line.strip()!r} is no time; expected INDEX 01 mm:ss:ff")
            minutes, seconds, frames = (int(part) for part in time.groups())
            files[-1][1].append(_Track(number, title, (minutes * 60 + seconds) * FRAMES_PER_S + frames))
    return files


def _cuts_of(sheet: Path, source: Path, tracks: list[_Track]) -> list[Cut]:
    """The songs of one file; what lies before the first one is a song of its own where it is no mere pause."""
    if tracks[0].start_frames >= _LEAST_HIDDEN_S * FRAMES_PER_S:
        tracks = [_Track(0, f"before track {tracks[0].number}", 0), *tracks]
    cuts = []
    for track, following in zip(tracks, [*tracks[1:], None], strict=True):
        end = None if following is None else following.start_frames
        if end is not None and end <= track.start_frames:
            raise InputError(f"{sheet}: track {track.number} ends before it begins; mend the sheet")
        label = safe_name(f"{track.number:02d} {track.title}".strip(), fallback=f"{track.number:02d}")
        cuts.append(Cut(source=source, sheet=sheet, name=label, start_frames=track.start_frames, end_frames=end))
    return cuts


def _file_of(sheet: Path, name: str) -> Path:
    """The file that a sheet names; where it was encoded since (album.wav is album.flac now), the one of that stem."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    for any_case in (False, True):
        for text in (name, name.replace("\\", "/"), plain):
            path = as_on_disk(sheet.parent / text, any_case=any_case)
            if path.is_file():
                return path
    from daw_bridge.audio.suffixes import AUDIO_SUFFIXES

    same = [
        path
        for path in sorted(sheet.parent.iterdir())
        if path.stem in (Path(plain).stem, sheet.stem) and path.suffix.lower() in AUDIO_SUFFIXES
    ]
    return same[0] if same else sheet.parent / plain
