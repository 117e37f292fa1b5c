"""Arrangements from the training pack: songs' and grooves' notes on sampled instruments, voices, a record's effects.

    python examples/train_preview/arrange.py --pack ../shared/audio/pack --cache CACHE --count 400

Every arrangement is decided by its number alone. It goes to the cache as four 16-bit stems and one `.clips.json`; the
mixer picks up what is there, so training may run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import midi_songs
import numpy as np
import synth
from effects import at_level, chain, coded, mastered, widened
from instruments import Instrument, Kit, Note
from pack import RATE_HZ, FloatArray, PackFile, read_index
from prepare import GROUPS, describe, store
from synthesise import Singer, bass_notes, draw_song, melody
from voices import Voices

LENGTH_S = 30.0
_FAMILIES = (  # General MIDI programs below the number: instruments that stand for them
    (8, ("upright-kw", "headroom", "cp80", "wurli")),
    (16, ("mallets", "steelpan")),
    (24, ("accordion", "squidpipes", "cowsynth")),
    (29, ("spanish-guitar", "emilyguitar", "shinyguitar-ac", "shinyguitar-el", "greenguitar-stac")),
    (32, ("blackguitar", "shinyguitar-el")),
    (40, ("cello-pizz",)),
    (56, ("cello", "caveman-violin", "erhu", "cyborg-zinc", "harp", "cello-pizz")),
    (64, ("wartuba", "weresax", "cyborg-zinc")),
    (80, ("weresax", "woodwind", "squidpipes")),
    (128, ("synth",)),
)
_DISTORTABLE = ("blackguitar", "shinyguitar-el")


@dataclass(slots=True)
class Plan:
    """Who plays what, before a sound is made. `others` holds (program, notes)."""

    drums: list[Note]
    bass: list[Note]
    others: list[tuple[int, list[Note]]]
    sung: list[Note]


@dataclass(slots=True)
class Studio:
    """The pack, ready to be played."""

    pack: Path
    files: list[PackFile]
    voices: Voices
    rooms: list[Path] = field(default_factory=list)

    @classmethod
    def open(cls, pack: Path) -> Studio:
        files = read_index(pack)
        speaker = Singer() if shutil.which("espeak-ng") else None
        rooms = [file.path for file in files if file.kind == "ir"]
        return cls(pack=pack, files=files, voices=Voices(files, speaker), rooms=rooms)

    def named(self, name: str) -> PackFile:
        return next(file for file in self.files if file.name == name)

    def of(self, role: str, kind: str) -> list[PackFile]:
        return [file for file in self.files if file.role == role and file.kind == kind]


def arrangement(studio: Studio, number: int, length_s: float = LENGTH_S) -> FloatArray:
    """The four stems, (4, 2, samples), in the order of GROUPS. They sum to the mix."""
    rng = np.random.default_rng((19, number))
    plan = (_from_midi if rng.random() < 0.6 else _from_chords)(studio, rng, length_s)
    stems = np.stack(
        [
            _sung(studio, plan, length_s, rng),
            _drums(studio, plan, length_s, rng),
            _bass(studio, plan, length_s, rng),
            _others(studio, plan, length_s, rng),
        ]
    )
    if rng.random() < 0.25:
        stems[2:] *= _ducking(plan.drums, length_s, rng)
    stems = mastered(_sections(stems, rng), rng)
    return coded(stems, rng) if rng.random() < 0.15 else stems


def _from_midi(studio: Studio, rng: np.random.Generator, length_s: float) -> Plan:
    names = midi_songs.song_names(studio.pack)
    parts, song_s = midi_songs.read_song(studio.pack / midi_songs.SONGS, names[int(rng.integers(len(names)))])
    speed, shift = float(rng.uniform(0.85, 1.18)), int(rng.integers(-5, 6))
    start_s = float(rng.uniform(0, max(1.0, song_s - length_s * speed)))
    drift, period_s = float(rng.uniform(0, 0.012)), float(rng.uniform(7, 20))

    def played(notes: list[Note], shift: int) -> list[Note]:
        cut = midi_songs.excerpt(notes, start_s, length_s, speed=speed)
        moved = [Note(n.start_s, n.length_s, n.key + shift, n.velocity) for n in cut]
        return midi_songs.drifted(midi_songs.humanised(moved, rng, spread_s=0.006), drift, period_s)

    plan = Plan(drums=played(midi_songs.drums_of(parts), 0), bass=[], others=[], sung=[])
    rest = []
    for part in midi_songs.pitched(parts):
        notes = played(part.notes, shift)
        if len(notes) >= 4 and part.is_bass:
            plan.bass += notes
        elif len(notes) >= 4:
            rest.append((part, notes))
    if not plan.bass and rest:
        lowest = min(rest, key=lambda pair: pair[0].middle_key)
        if lowest[0].middle_key < 52 and lowest[0].overlap() < 0.3:
            plan.bass = lowest[1]
            rest.remove(lowest)
    leads = [pair for pair in rest if pair[0].overlap() < 0.2 and pair[0].middle_key > 50]
    if leads and rng.random() < 0.7:
        lead = max(leads, key=lambda pair: len(pair[1]))
        plan.sung = lead[1]
        if rng.random() < 0.75:
            rest.remove(lead)
    plan.others = [(part.program, notes) for part, notes in rest]
    if len(plan.drums) < 8 and rng.random() < 0.6:
        plan.drums = _groove(studio, rng, length_s, None)
    return plan


def _from_chords(studio: Studio, rng: np.random.Generator, length_s: float) -> Plan:
    song = draw_song(rng, length_s)
    bass = [Note(*note) for note in bass_notes(rng, song)]
    others: list[tuple[int, list[Note]]] = []
    for _ in range(int(rng.choice([1, 2, 3]))):
        steps = [step for step in range(8) if step == 0 or rng.random() < rng.choice([0.1, 0.6])]
        arpeggio, octave, count = rng.random() < 0.35, int(rng.choice([4, 5])), int(rng.choice([3, 4]))
        notes: list[Note] = []
        for start_s, degree in song.bars():
            chord = [song.key(degree + third, octave) for third in (0, 2, 4, 6)[:count]]
            for index, step in enumerate(steps):
                keys = [chord[index % len(chord)]] if arpeggio else chord
                held_s = 4 * song.beat_s / len(steps) * float(rng.uniform(0.5, 1.1))
                notes += [Note(start_s + step * song.beat_s / 2, held_s, key, 0.65) for key in keys]
        others.append((int(rng.integers(0, 112)), midi_songs.humanised(notes, rng, spread_s=0.007)))
    if rng.random() < 0.4:
        lead = [Note(*note) for note in melody(rng, song, octave=5, density=0.5)]
        others.append((int(rng.integers(24, 112)), lead))
    sung = [Note(*note) for note in melody(rng, song, octave=int(rng.choice([4, 5])), density=0.7)]
    drums = _groove(studio, rng, length_s, song.beats_per_minute)
    return Plan(drums=drums, bass=bass, others=others, sung=midi_songs.humanised(sung, rng, spread_s=0.015))


def _groove(studio: Studio, rng: np.random.Generator, length_s: float, wanted_bpm: float | None) -> list[Note]:
    """Some bars that a drummer played, at a tempo within a fifth of his own."""
    names = midi_songs.groove_names(studio.pack)
    if wanted_bpm is not None:
        names = [name for name in names if 0.8 < wanted_bpm / _bpm(name) < 1.25] or names
    name = names[int(rng.integers(len(names)))]
    parts, song_s = midi_songs.read_song(studio.pack / midi_songs.GROOVES, name)
    notes = midi_songs.drums_of(parts)
    speed = wanted_bpm / _bpm(name) if wanted_bpm is not None else float(rng.uniform(0.9, 1.1))
    speed = float(np.clip(speed, 0.8, 1.25))
    bar_s = 240 / _bpm(name)
    start_s = bar_s * int(rng.integers(max(1, int((song_s - length_s * speed) / bar_s))))
    out = midi_songs.excerpt(notes, start_s, length_s, speed=speed)
    played_s = (song_s - start_s) / speed
    again = int(length_s / played_s) if played_s > 2 else 0
    return out + [
        Note(n.start_s + turn * played_s, n.length_s, n.key, n.velocity) for turn in range(1, again + 1) for n in out
    ]


def _bpm(groove: str) -> float:
    return float(groove.rsplit("_beat_", 1)[0].rsplit("_", 1)[1])


def _sung(studio: Studio, plan: Plan, length_s: float, rng: np.random.Generator) -> FloatArray:
    if rng.random() < 0.1:
        return np.zeros((2, int(length_s * RATE_HZ)), np.float32)
    lead = chain("vocals", rng, studio.rooms)(studio.voices.line(plan.sung, length_s, rng), RATE_HZ)
    if rng.random() < 0.15:
        behind = at_level(studio.voices.choir(length_s, rng), float(rng.normal(-27, 2)))
        return at_level(lead, -20.0) + behind
    return at_level(lead, float(rng.normal(-19.5, 2.5)))


def _drums(studio: Studio, plan: Plan, length_s: float, rng: np.random.Generator) -> FloatArray:
    kits = studio.of("drums", "drumkit")
    base = Kit(studio.named("muldjord-dry"), rng)
    kit = Kit(kits[int(rng.integers(len(kits)))], rng, base=base)
    return at_level(chain("drums", rng, studio.rooms)(kit.render(plan.drums, length_s), RATE_HZ), rng.normal(-20, 3))


def _bass(studio: Studio, plan: Plan, length_s: float, rng: np.random.Generator) -> FloatArray:
    notes = [Note(n.start_s, n.length_s, _folded(n.key, 26, 50), n.velocity) for n in plan.bass]
    if rng.random() < 0.4:
        sound = synth.render(synth.draw_patch(rng, bass=True), notes, length_s)
    else:
        reels = [f for f in studio.of("bass", "multisample") if f.name != "synthbass"]
        sound = Instrument(reels[int(rng.integers(len(reels)))], cents=rng.normal(0, 6)).render(notes, length_s)
    return at_level(chain("bass", rng, studio.rooms)(sound, RATE_HZ), float(rng.normal(-20.5, 3)))


def _others(studio: Studio, plan: Plan, length_s: float, rng: np.random.Generator) -> FloatArray:
    out = np.zeros((2, int(length_s * RATE_HZ)), np.float32)
    for program, notes in plan.others[:6]:
        name = _instrument_for(studio, program, rng)
        if name == "synth":
            sound = synth.render(synth.draw_patch(rng, bass=False), notes, length_s)
        else:
            sound = Instrument(studio.named(name), cents=rng.normal(0, 6)).render(notes, length_s)
        distorted = name in _DISTORTABLE and (program in (29, 30) or rng.random() < 0.3)
        sound = chain("other", rng, studio.rooms, distorted=distorted)(sound, RATE_HZ)
        sound = widened(sound, rng, pan=float(rng.uniform(-0.7, 0.7)), width=float(rng.choice([0, 0, 0.3, 0.6])))
        out += at_level(sound, float(rng.normal(-24, 3)))
    return at_level(out, float(rng.normal(-20.5, 3)))


def _instrument_for(studio: Studio, program: int, rng: np.random.Generator) -> str:
    if rng.random() < 0.2:
        names = [f.name for f in studio.of("other", "multisample") if f.name != "violin"]
    else:
        names = list(next(names for below, names in _FAMILIES if program < below))
    return names[int(rng.integers(len(names)))]


def _folded(key: int, low: int, high: int) -> int:
    while key > high:
        key -= 12
    while key < low:
        key += 12
    return key


def _ducking(drums: list[Note], length_s: float, rng: np.random.Generator) -> FloatArray:
    """The gain of a compressor that the kick drives, as in dance music."""
    depth, back_s = float(rng.uniform(0.4, 0.9)), float(rng.uniform(0.1, 0.3))
    gain = np.ones(int(length_s * RATE_HZ), np.float32)
    t = np.arange(int(2 * back_s * RATE_HZ)) / RATE_HZ
    dip = (1 - depth * np.exp(-((t / back_s) ** 2) * 3) * np.clip(t / 0.004, 0, 1)).astype(np.float32)
    for note in drums:
        if note.key in (35, 36):
            start = int(note.start_s * RATE_HZ)
            piece = gain[start : start + dip.size]
            np.minimum(piece, dip[: piece.size], out=piece)
    return gain


def _sections(stems: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Now and then some stems rest for a section, so that solos, breaks and a cappella passages come about."""
    out, size = stems.copy(), stems.shape[2]
    start = 0
    while start < size:
        count = int(rng.uniform(5, 10) * RATE_HZ)
        if rng.random() < 0.35:
            resting = rng.choice(4, int(rng.choice([1, 1, 2, 3])), replace=False)
            ramp = np.minimum(1, np.arange(count) / 900)
            gain = np.maximum(1 - ramp, np.maximum(0, 1 - (count - 1 - np.arange(count)) / 900))
            piece = out[:, :, start : start + count]
            for index in resting:
                piece[index] *= gain[: piece.shape[2]].astype(np.float32)
        start += count
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=400)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    studio = Studio.open(args.pack)
    for number in range(args.first, args.first + args.count):
        song = f"synthetic-pack-{number:05d}"
        about = args.cache / f"{song}.clips.json"
        if about.exists():
            continue
        clips = []
        for group, stem in zip(GROUPS, arrangement(studio, number), strict=True):
            target = args.cache / f"{song}--{group}.npy"
            store(target, stem)
            clips.append(describe(target, song=song, group=group, part=group))
        about.with_suffix(".part").write_text(json.dumps(clips))
        about.with_suffix(".part").rename(about)
        print(song, flush=True)


if __name__ == "__main__":
    main()
