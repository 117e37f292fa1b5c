"""Between the stems and the sessions: the song's music is heard once, kept in the manifest, and read from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from daw_bridge.audio.writer import AudioWriter
from daw_bridge.build_options import BuildOptions
from daw_bridge.cache import StemCache
from daw_bridge.errors import UsageError
from daw_bridge.files import confined
from daw_bridge.manifest import Manifest, write_manifest
from daw_bridge.model import Stem, StemSet
from daw_bridge.music import SongMusic, StemNotes, music_from_json
from daw_bridge.templates.bus_template import BusTemplate
from daw_bridge.version import __version__

if TYPE_CHECKING:
    from daw_bridge.analysis.grid import Grid, GridMode

_log = logging.getLogger(__name__)

CACHED_NAME = "music.json"
CLICK_PROVENANCE = f"daw-bridge {__version__} click"


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicWish:
    """What is asked of the song's music; a plain value, so that two wishes can be compared."""

    grid: GridMode = "auto"
    tempo_bpm: float | None = None
    downbeat_s: float | None = None
    taps_s: tuple[float, ...] = ()
    click: bool = False
    sections: bool = True
    midi: tuple[str, ...] = ()
    beats: str = "own"

    @property
    def asked(self) -> str:
        """The same for the same wish, in every version that hears the same."""
        return json.dumps({"hearing": 2, **asdict(self)}, sort_keys=True)


def music_wish(options: BuildOptions, template: BusTemplate) -> MusicWish:
    """What was asked for, and where nothing was, what the template says."""
    return MusicWish(
        grid=options.grid or cast("GridMode", template.grid),
        tempo_bpm=options.tempo_bpm,
        downbeat_s=options.downbeat_s,
        taps_s=options.taps_s,
        click=options.click,
        sections=template.sections,
        beats=options.beats,
        midi=tuple(dict.fromkeys(each.casefold() for each in options.midi or template.notes)),
    )


def check_wish(wish: MusicWish, length_s: float | None) -> None:
    """Everything that can be wrong with a wish, before the long work. Raises UsageError, AdapterMissing."""
    if wish.midi:
        from daw_bridge.analysis.notes import require_runtime

        require_runtime()
    if wish.beats != "own":
        from daw_bridge.analysis.trained_beats import weights_file

        weights_file(wish.beats)
    check_downbeat(wish, length_s)


def check_downbeat(wish: MusicWish, length_s: float | None) -> None:
    """UsageError for a downbeat or a tap behind the end of the song."""
    for name, time_s in (("downbeat_s", wish.downbeat_s), ("taps_s", max(wish.taps_s, default=None))):
        if time_s is not None and length_s is not None and time_s >= length_s:
            raise UsageError(f"`{name}` {time_s:g}: lies behind the end of the song, which is {length_s:.2f} s long")


def with_music(
    folder: Path, manifest: Manifest, wish: MusicWish, cache: tuple[StemCache, str] | None = None
) -> Manifest:
    """The manifest with what was heard, written into the folder; what was heard before for the same wish is kept."""
    before = manifest.music
    if before is not None and before.asked == wish.asked and _click_is_there(folder, before):
        return manifest
    if manifest.reference is None or not manifest.stems:
        return manifest
    check_wish(wish, manifest.reference.length_samples / manifest.reference.sample_rate_hz)
    made = _cached(wish, cache)
    if made is None:
        made = _heard(folder, manifest, wish)
        if cache is not None and not wish.click:
            cache[0].remember(cache[1], CACHED_NAME, json.dumps(made.to_json()))
    manifest = replace(manifest, music=made)
    write_manifest(folder, manifest)
    return manifest


def _heard(folder: Path, manifest: Manifest, wish: MusicWish) -> SongMusic:
    # Here and below: what hears imports scipy, and a session that is only written again needs none of it.
    from daw_bridge.analysis.song import TempoWish, hear_song

    stems = manifest.stem_set(folder)
    drafts, said = _drafts(stems, wish.midi)
    tempo = TempoWish(
        mode=wish.grid, bpm=wish.tempo_bpm, downbeat_s=wish.downbeat_s, taps_s=wish.taps_s, beats=wish.beats
    )
    if wish.grid == "off" and not tempo.given:
        return SongMusic(asked=wish.asked, notes=drafts, remarks=said)
    paths = {stem.name: stem.path for stem in stems.stems if stem.role == "stem"}
    model = manifest.separation.model if manifest.separation is not None else ""
    heard = hear_song(paths, stems.reference.path, tempo, asked=wish.asked, model=model)
    music = heard.music if wish.sections else replace(heard.music, sections=())
    if wish.click and heard.grid is not None and len(heard.grid.beats_s) > 1:
        music = replace(music, click_file=_write_click(folder, manifest, stems.reference, heard.grid))
    elif wish.click:
        music = replace(music, remarks=(*music.remarks, "click: none was made, as there is no tempo to follow"))
    return replace(music, notes=drafts, remarks=(*music.remarks, *said))


def _drafts(stems: StemSet, names: Sequence[str]) -> tuple[tuple[StemNotes, ...], tuple[str, ...]]:
    """The notes of the stems of these names, and what is to be said of them."""
    from daw_bridge.analysis.song import stem_notes

    pitched = {stem.name.casefold(): stem for stem in stems.stems if stem.role == "stem"}
    drafts = tuple(
        StemNotes(stem=pitched[name].name, notes=stem_notes(pitched[name].path)) for name in names if name in pitched
    )
    said = [f"notes: no stem called {name!r}; there are {', '.join(pitched)}" for name in names if name not in pitched]
    said += [f"notes: none were heard in {draft.stem}" for draft in drafts if not draft.notes]
    counts = ", ".join(f"{len(draft.notes)} of {draft.stem}" for draft in drafts if draft.notes)
    return drafts, (*said, *([f"notes: drafts, to be checked by ear: {counts}"] if counts else []))


def _cached(wish: MusicWish, cache: tuple[StemCache, str] | None) -> SongMusic | None:
    """What an earlier build of the same stems heard."""
    text = cache[0].recall(cache[1], CACHED_NAME) if cache is not None else None
    if text is None:
        return None
    try:
        made = music_from_json(json.loads(text))
    except (TypeError, KeyError, ValueError):
        return None
    return made if made.asked == wish.asked else None


def _write_click(folder: Path, manifest: Manifest, reference: Stem, grid: Grid) -> str:
    """A click as long as the song, under a name that nothing else has."""
    from daw_bridge.analysis.click import click_blocks

    own = manifest.music.click_file if manifest.music is not None else ""
    name, count = f"audio/{manifest.name.replace(' ', '_')}_click.wav", 1
    while name != own and confined(folder, name).exists():
        count += 1
        name = f"audio/{manifest.name.replace(' ', '_')}_click_{count}.wav"
    path = confined(folder, name)
    rate = reference.sample_rate_hz
    with AudioWriter(path, sample_rate_hz=rate, channels=1, provenance=CLICK_PROVENANCE) as writer:
        for block in click_blocks(grid, rate, reference.length_samples):
            writer.write(block)
    return name


def _click_is_there(folder: Path, music: SongMusic) -> bool:
    return not music.click_file or confined(folder, music.click_file).is_file()
