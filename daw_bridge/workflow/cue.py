"""CUE sheets: one big file that holds the songs of an album, and where each begins.

Source: the CDRWIN manual's command reference. 75 frames make a second, so that at 44.1 kHz each frame is 588 samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError
from daw_bridge.files import safe_name
from daw_bridge.progress import CancelToken
from daw_bridge.spelling import as_on_disk
from daw_bridge.workflow.playlists import read_text

CUE_SUFFIX = ".cue"
FRAMES_PER_S = 75
_BLOCK_SAMPLES = 1 << 17
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

    def write(self, target: Path, cancel: CancelToken) -> None:
        """The song as a float32 WAV file, cut on the sample. Raises InputError, OutputError, Cancelled."""
        with open_audio(self.source) as reader:
            start = self.start_frames * reader.sample_rate_hz // FRAMES_PER_S
            end = None if self.end_frames is None else self.end_frames * reader.sample_rate_hz // FRAMES_PER_S
            done = 0
            with AudioWriter(target, sample_rate_hz=reader.sample_rate_hz, channels=reader.channels) as writer:
                for block in reader.blocks(_BLOCK_SAMPLES):
                    cancel.check()
                    first, last = max(0, start - done), None if end is None else max(0, end - done)
                    done += block.shape[1]
                    writer.write(block[:, first:last])
                    if end is not None and done >= end:
                        break
                if not writer.length_samples:
                    raise InputError(f"{self.sheet}: {self.name} begins behind the end of {self.source.name}")


def read_cue(sheet: Path) -> list[Cut]:
    """The songs of a sheet whose FILE holds two or more; [] for a sheet of one file a song. Raises InputError."""
    cuts: list[Cut] = []
    source: Path | None = None
    found: list[tuple[int, str, int]] = []  # number, title, start
    number, title = 0, ""
    album: list[tuple[Path, list[tuple[int, str, int]]]] = []
    for line in read_text(sheet).splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        word, value, rest = match[1].upper(), match[2] if match[2] is not None else match[3], match[4]
        if word == "FILE":
            source, found, number = _file_of(sheet, value), [], 0
            album.append((source, found))
        elif word == "TRACK" and value.isdigit():
            number, title = int(value), ""
        elif word == "TITLE" and number:
            title = value
        elif word == "INDEX" and value.isdigit() and int(value) == 1 and number and source is not None:
            time = _TIME.match(rest.strip())
            if time is None:
                raise InputError(f"{sheet}: {line.strip()!r} is no time; expected INDEX 01 mm:ss:ff")
            minutes, seconds, frames = (int(part) for part in time.groups())
            found.append((number, title, (minutes * 60 + seconds) * FRAMES_PER_S + frames))
    for source, tracks in album:
        if len(tracks) < 2:
            continue
        ends = [start for _number, _title, start in tracks[1:]]
        for (track, name, start), end in zip(tracks, [*ends, None], strict=True):
            if end is not None and end <= start:
                raise InputError(f"{sheet}: track {track} ends before it begins; mend the sheet")
            label = safe_name(f"{track:02d} {name}".strip(), fallback=f"{track:02d}")
            cuts.append(Cut(source=source, sheet=sheet, name=label, start_frames=start, end_frames=end))
    return cuts


def _file_of(sheet: Path, name: str) -> Path:
    """The file that a sheet names; where it was encoded since (album.wav is album.flac now), the one of that stem."""
    plain = name.replace("\\", "/").rpartition("/")[2]
    for text in (name, name.replace("\\", "/"), plain):
        path = as_on_disk(sheet.parent / text)
        if path.is_file():
            return path
    from daw_bridge.audio.suffixes import AUDIO_SUFFIXES

    same = [
        path
        for path in sorted(sheet.parent.iterdir())
        if path.stem in (Path(plain).stem, sheet.stem) and path.suffix.lower() in AUDIO_SUFFIXES
    ]
    return same[0] if same else sheet.parent / plain
