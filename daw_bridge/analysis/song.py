"""A song's stems on the disk -> what is known of its music. The one module of this room that opens files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daw_bridge.analysis.bars import plain_grid, quarter_bpm, tapped, tempo_events, time_signature, with_downbeat
from daw_bridge.analysis.features import Features, FloatArray, features
from daw_bridge.analysis.grid import Grid, GridMode, Heard, find_grid, grid_at, listen
from daw_bridge.analysis.key import find_key
from daw_bridge.analysis.notes import hear_notes
from daw_bridge.analysis.sections import find_sections
from daw_bridge.analysis.trained_beats import NAME as BEAT_THIS
from daw_bridge.analysis.trained_beats import grid_of_beats, trained_beats, weights_file
from daw_bridge.audio.reader import open_audio
from daw_bridge.music import Guess, HeardNote, Region, SongMusic
from daw_bridge.tempo_map import TempoEvent

BLOCK = 1 << 18
SHORTEST_S = 0.5
WITH_BANDS = ("drums", "bass")


@dataclass(frozen=True, slots=True, kw_only=True)
class TempoWish:
    """What a person knows better: a tempo, a downbeat, or taps on beats of which the first is a downbeat.

    `beats` is who finds the beats: `own`, or `beat_this` with perhaps a file of weights behind a colon.
    """

    mode: GridMode = "auto"
    bpm: float | None = None
    downbeat_s: float | None = None
    taps_s: tuple[float, ...] = ()
    beats: str = "own"

    @property
    def given(self) -> bool:
        return self.bpm is not None or self.downbeat_s is not None or bool(self.taps_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardSong:
    """`grid` is None where no tempo is taken."""

    music: SongMusic
    grid: Grid | None


def hear_song(stems: Mapping[str, Path], mix: Path, wish: TempoWish, *, asked: str, model: str = "") -> HeardSong:
    """Tempo, bars, sections and key of the song, whose stems `model` made.

    Raises InputError for a file that cannot be read."""
    whole = read_features(mix)
    if whole.length_s < SHORTEST_S:
        return _without_sound(whole, wish, asked, "the song is too short to hear a tempo in it")
    parts = {name: read_features(path, bands=name in WITH_BANDS) for name, path in stems.items()}
    heard = listen(parts, whole, model=model)
    if heard is None:
        return _without_sound(whole, wish, asked, "the song is silent")
    grid = _grid(heard, wish, mix)
    key = find_key(_tonal(parts, whole))
    taken = grid is not None and (grid.sure or wish.given or wish.mode in ("constant", "follow"))
    sections = find_sections(heard, grid) if grid is not None and taken else ()
    remarks = _remarks(grid, wish, taken=taken)
    music = SongMusic(
        asked=asked,
        tempo_bpm=quarter_bpm(grid) if grid is not None and taken else 120.0,
        time_signature=time_signature(grid) if grid is not None and taken else (4, 4),
        tempo_events=tempo_events(grid) if grid is not None and taken else (),
        confidence=round(grid.confidence, 3) if grid is not None else 0.0,
        downbeat_confidence=round(grid.downbeat_confidence, 3) if grid is not None else 0.0,
        alternatives=_guesses(grid, taken=taken),
        sections=tuple(Region(name=each.name, start_s=each.start_s, end_s=each.end_s) for each in sections),
        key=key.text if key is not None and key.sure else "",
        key_confidence=round(key.confidence, 3) if key is not None else 0.0,
        remarks=remarks,
    )
    return HeardSong(music=music, grid=grid if taken else None)


def read_features(path: Path, *, bands: bool = True) -> Features:
    """The features of a file, mixed to mono."""
    with open_audio(path) as reader:
        return features(_mono(reader), reader.sample_rate_hz, bands=bands)


def stem_notes(path: Path) -> tuple[HeardNote, ...]:
    """A draft of the notes in a file. Raises AdapterMissing without onnxruntime."""
    with open_audio(path) as reader:
        return hear_notes(_mono(reader), reader.sample_rate_hz)


def _mono(reader: object) -> Iterator[FloatArray]:
    while True:
        block = reader.read(BLOCK)  # type: ignore[attr-defined]
        if not block.shape[1]:
            return
        yield np.nan_to_num(block.mean(axis=0), posinf=0.0, neginf=0.0).astype(np.float32)


def _tonal(parts: Mapping[str, Features], whole: Features) -> FloatArray:
    tonal = [each.chroma for name, each in parts.items() if name != "drums" and len(each.chroma) == len(whole.chroma)]
    return np.sum(tonal, axis=0).astype(np.float32) if tonal else whole.chroma


def _grid(heard: Heard, wish: TempoWish, mix: Path) -> Grid | None:
    if wish.taps_s:
        bpm, downbeat_s = tapped(wish.taps_s)
        return plain_grid(bpm, downbeat_s, heard.length_s)
    if wish.bpm is not None and wish.downbeat_s is not None:
        return plain_grid(wish.bpm, wish.downbeat_s, heard.length_s)
    if wish.bpm is not None:
        grid: Grid | None = grid_at(heard, wish.bpm)
    elif wish.beats != "own":
        weights = weights_file(wish.beats)
        with open_audio(mix) as reader:
            found = trained_beats(_mono(reader), reader.sample_rate_hz, weights)
        grid = grid_of_beats(heard, found, wish.mode)
    else:
        grid = find_grid(heard, wish.mode)
    if grid is not None and wish.downbeat_s is not None and len(grid.beats_s) > 1:
        return with_downbeat(grid, wish.downbeat_s)
    return grid


def _without_sound(whole: Features, wish: TempoWish, asked: str, why: str) -> HeardSong:
    """A person's tempo is taken all the same."""
    if wish.bpm is None and not wish.taps_s:
        remark = f"tempo: {why}; the session keeps its own tempo"
        return HeardSong(music=SongMusic(asked=asked, remarks=(remark,)), grid=None)
    bpm, downbeat_s = tapped(wish.taps_s) if wish.taps_s else (wish.bpm or 120.0, wish.downbeat_s or 0.0)
    grid = plain_grid(bpm, downbeat_s, whole.length_s)
    events: tuple[TempoEvent, ...] = tempo_events(grid)
    return HeardSong(music=SongMusic(asked=asked, tempo_bpm=bpm, tempo_events=events), grid=grid)


def _guesses(grid: Grid | None, *, taken: bool) -> tuple[Guess, ...]:
    if grid is None:
        return ()
    own = [] if taken else [Guess(bpm=round(grid.bpm, 2), confidence=round(grid.confidence, 3))]
    others = [Guess(bpm=round(each.bpm, 1), confidence=round(each.score, 3)) for each in grid.alternatives]
    return (*own, *others)


def _remarks(grid: Grid | None, wish: TempoWish, *, taken: bool) -> tuple[str, ...]:
    """What a person has to know, one sentence each."""
    if grid is None:
        return ("tempo: nothing that repeats was heard; the session keeps its own tempo",)
    guesses = ", ".join(f"{each.bpm:g} ({each.confidence:.2f})" for each in _guesses(grid, taken=taken))
    if not taken:
        why = "; ".join(grid.doubts)
        return (f"tempo: not sure ({why}); the session keeps its own. Possible BPM (confidence): {guesses}",)
    if wish.taps_s or (wish.bpm is not None and wish.downbeat_s is not None):
        return (f"tempo: {grid.bpm:.6g} BPM as given",)
    moving = "steady" if grid.constant else "moving, bar by bar"
    by = "" if wish.beats == "own" else f" by {BEAT_THIS}"
    origin = "as given" if wish.bpm is not None else f"heard{by}, confidence {grid.confidence:.2f}"
    said = [f"tempo: {grid.bpm:.6g} BPM, {moving}, {grid.beats_per_bar} beats a bar ({origin})"]
    if grid.doubts:
        said.append(f"tempo: what was heard does not agree well with it ({'; '.join(grid.doubts)})")
    if wish.downbeat_s is None and not grid.downbeat_sure:
        said.append(f"downbeat: not sure (confidence {grid.downbeat_confidence:.2f}); check where the bars begin")
    return tuple(said)
