"""Other sounds for a song of the sequencer LMMS: its notes and effects, with instruments and drums drawn anew."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_DRUMS = ("drums/", "drumsynth/", "beats/", "latin/")
_NO_DRUMS = ("drumsynth/instrument", "drumsynth/effects", "drumsynth/misc_fx", "drumsynth/misc_electro", "zap", "fx")
_DRUM_WORDS = ("kick", "snare", "hihat", "clap", "bassdrum", "drum", "tom_", "crash", "cymbal")
_HIGHEST_BASS_KEY = 45  # LMMS counts from an octave lower: a low A of a guitar is 33


_TICKS_PER_BAR = 192
_PASSAGE_BARS = 20
_PASSAGES = ("pattern", "bbtco", "sampletco", "automationpattern")
_STROKES = {  # kinds of strokes by words in the names of their recordings
    "kick": ("kick", "bassdrum", "bd", "bass_d"),
    "snare": ("snare", "snr", "sd", "clap", "rim"),
    "hat": ("hat", "hh", "shak", "tamb", "maraca"),
    "cymbal": ("crash", "ride", "cym"),
    "other": ("",),
}


def players(song: ET.Element) -> list[ET.Element]:
    """All tracks that make sound themselves, those inside of beat tracks too; a beat track only repeats them."""
    return [track for track in song.iter("track") if track.get("type") in ("0", "2")]


def group_of(track: ET.Element) -> str:
    """The stem that a track belongs to, by its sample, its name and how low it plays."""
    instrument = track.find(".//instrument")
    settings = instrument[0] if instrument is not None and len(instrument) else None
    sample = (settings.get("src") or "").lower() if settings is not None else ""
    words = f"{track.get('name') or ''} {sample}".lower()
    sounds_drummed = sample.startswith(_DRUMS) or any(word in words for word in _DRUM_WORDS)
    if sounds_drummed and not any(word in words for word in _NO_DRUMS):
        return "drums"
    if "bass" in words or words.startswith("sub") or " sub" in words or "lb 302" in words:
        return "bass"
    keys = [int(note.get("key") or 60) for note in track.iter("note")]
    is_synth = sample == "" and bool(keys)
    return "bass" if is_synth and np.median(keys) <= _HIGHEST_BASS_KEY else "other"


@dataclass(frozen=True, slots=True)
class Sounds:
    """What there is to play with: instruments per stem as LMMS stores them, drum recordings per kind of stroke."""

    instruments: dict[str, list[ET.Element]]
    strokes: dict[str, list[str]]

    @classmethod
    def found(cls, songs: list[ET.Element], lmms: Path) -> Sounds:
        """All synthesisers of the songs and of the presets that today's LMMS reads, and all recordings of drums."""
        instruments: dict[str, list[ET.Element]] = {"bass": [], "other": []}
        for song in songs:
            for track in players(song):
                if is_synth(track) and group_of(track) in instruments and any(track.iter("note")):
                    instruments[group_of(track)] += track.findall("instrumenttrack")
        for file in sorted((lmms / "presets").rglob("*.xpf")):
            settings = ET.fromstring(file.read_bytes()).find(".//instrumenttrack")  # noqa: S314  Debian's files
            synth = settings.find("instrument") if settings is not None else None
            if (
                settings is None
                or synth is None
                or synth.get("name") == "audiofileprocessor"
                or "drum" in file.stem.lower()
            ):
                continue
            low = re.search("bass|reece|tb303|growl", file.stem.lower())
            instruments["bass" if low else "other"].append(settings)
        strokes: dict[str, list[str]] = {kind: [] for kind in _STROKES}
        for file in sorted((lmms / "samples").rglob("*")):
            sample = file.relative_to(lmms / "samples").as_posix()
            of_drums = sample.startswith(("drums/", "drumsynth/")) and not any(
                word in sample.lower() for word in _NO_DRUMS
            )
            if of_drums and file.suffix in (".ogg", ".ds"):
                strokes[stroke_of(sample)].append(sample)
        return cls(instruments, strokes)


def is_synth(track: ET.Element) -> bool:
    instrument = track.find(".//instrument")
    return instrument is not None and instrument.get("name") != "audiofileprocessor"


def stroke_of(sample: str) -> str:
    name = Path(sample).stem.lower()
    return next(kind for kind, words in _STROKES.items() if any(word in name for word in words))


def reorchestrated(songs: dict[str, ET.Element], sounds: Sounds, rng: np.random.Generator) -> ET.Element:
    """A passage of one of the songs, at another speed and in another key, most of its sounds exchanged."""
    names = [name for name, song in songs.items() if {group_of(track) for track in players(song)} >= {"drums", "bass"}]
    song = copy.deepcopy(songs[names[int(rng.integers(len(names)))]])
    _cut(song, rng)
    head = song.find("head")
    assert head is not None
    bpm = float(head.get("bpm") or 140) * rng.uniform(0.8, 1.2)
    head.set("bpm", str(int(np.clip(bpm, 60, 200))))
    head.set("masterpitch", str(int(rng.integers(-5, 6))))
    for track in players(song):
        group = group_of(track)
        if group == "drums":
            for player in track.iter("audiofileprocessor"):
                choice = sounds.strokes[stroke_of(player.get("src") or "")]
                player.set("src", choice[int(rng.integers(len(choice)))])
        elif is_synth(track) and rng.random() < 0.8:
            choices = sounds.instruments[group]
            _exchange(track, choices[int(rng.integers(len(choices)))])
    return song


def _exchange(track: ET.Element, settings: ET.Element) -> None:
    """Another instrument with its envelopes, filter, arpeggio and effects; volume, place and pitch stay."""
    own = track.find("instrumenttrack")
    if own is None:
        return
    for child in list(own):
        own.remove(child)
    own.extend(copy.deepcopy(child) for child in settings)


def _cut(song: ET.Element, rng: np.random.Generator) -> None:
    """Some bars of the song: what begins elsewhere is dropped, automation from before holds at the beginning."""
    tracks = song.findall("song/trackcontainer/track")
    clips = [(track, clip) for track in tracks for clip in track if clip.tag in _PASSAGES]
    last_bar = max((int(clip.get("pos") or 0) for track, clip in clips), default=0) // _TICKS_PER_BAR
    start = int(rng.integers(max(1, last_bar - _PASSAGE_BARS // 2))) * _TICKS_PER_BAR
    end = start + _PASSAGE_BARS * _TICKS_PER_BAR
    for track, clip in clips:
        at = int(clip.get("pos") or 0)
        if at >= end or (at < start and clip.tag != "automationpattern"):
            track.remove(clip)
        else:
            clip.set("pos", str(max(0, at - start)))
            clip.set("len", str(min(int(clip.get("len") or _TICKS_PER_BAR), end - at)))
