"""Endless, ever different training mixes: parts drawn, changed as a producer would change them, and summed.

Half of the mixes keep parts of one song together at one time (real songs: keys fit, kicks duck, levels are musical);
the other half takes each stem from anywhere. The mix is always the exact sum of its four stems.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from changes import as_loud, level_of, narrow, resonant, roomy, wide
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

RATE_HZ = 44_100
GROUPS = ("vocals", "drums", "bass", "other")
BASS_INSIDE_OTHER = ("potassium", "caesium", "rubidium")  # songs whose low synths were filed under "other"
PERCUSSION = "synthetic-percussion-"  # songs that are drums alone; percussion.py makes them
SEQUENCED = "synthetic-sequenced-"  # songs with other sounds than their author's; sequenced.py makes them
_WITHOUT_SINGER = ("pack-", "sequenced-", SEQUENCED)
_SHARES = {"pack": 1.0, "sequenced": 0.33}  # how often such a song is drawn; recorded songs have 3
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixingOptions:
    """Chances are per mix or per stem; the rest are the widest changes made."""

    seconds: float = 3.0
    coherent: float = 0.5
    synthetic: float = 0.45
    arranged: float = 0.4
    lend_vocals: float = 0.8
    refresh_draws: int = 200
    change_speed: float = 0.7
    speed_span: float = 0.2
    equalize: float = 0.5
    equalizer_db: float = 6.0
    reverb: float = 0.2
    drop_stem: float = 0.07
    bleed: float = 0.1
    drive: float = 0.12
    thin_bass: float = 0.15
    second_other: float = 0.25
    duck: float = 0.12
    percussion: float = 0.05
    resonant_drums: float = 0.08
    roomy_drums: float = 0.1
    wide: float = 0.15
    narrow_vocals: float = 0.08
    level_spread_db: float = 5.0


class Clips:
    """The cache that prepare.py filled, as memory maps."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.entries: list[dict[str, Any]] = []
        self.audio: list[NDArray[np.int16]] = []
        self.by_song: dict[str, list[int]] = {}
        self.real: dict[str, list[int]] = {group: [] for group in GROUPS}
        self.synthetic: dict[str, list[int]] = {group: [] for group in GROUPS}
        self.real_songs: list[str] = []
        self.arrangements: list[str] = []
        self.percussion: list[int] = []
        self._read: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in what has come to the cache since: arrangements may be made while training runs."""
        for file in (self.cache / "clips.json", *sorted(self.cache.glob("*.clips.json"))):
            if file.exists() and file not in self._read:
                self._read.add(file)
                for entry in json.loads(file.read_text()):
                    self._take(entry)
        whole = [song for song in sorted(self.by_song) if self._is_whole(song)]
        self.real_songs = [song for song in whole if not song.startswith("synthetic")]
        self.arrangements = [song for song in whole if song.startswith("synthetic")]

    def _take(self, entry: dict[str, Any]) -> None:
        index = len(self.entries)
        self.entries.append(entry)
        self.audio.append(np.load(self.cache / entry["file"], mmap_mode="r"))
        self.by_song.setdefault(entry["song"], []).append(index)
        if entry["song"].startswith(PERCUSSION):
            self.percussion.append(index)
        elif entry["active"]:
            pool = self.synthetic if entry["song"].startswith("synthetic") else self.real
            pool[entry["group"]].append(index)

    def _is_whole(self, song: str) -> bool:
        """More than one kind of stem belongs together."""
        groups = {self.entries[index]["group"] for index in self.by_song[song] if self.entries[index]["active"]}
        return len(groups) > 1

    def read(self, index: int, start: int, count: int) -> FloatArray:
        """Shape (2, count), zeros past the end."""
        out = np.zeros((2, count), np.float32)
        piece = self.audio[index][:, start : start + count]
        out[:, : piece.shape[1]] = piece
        return out / np.float32(32768)


class Mixer:
    """`draw()` gives the stems of one mix; two mixers with one seed give the same."""

    def __init__(self, clips: Clips, options: MixingOptions, seed: int) -> None:
        self.clips, self.options = clips, options
        self.rng = np.random.default_rng(seed)
        self.samples = int(options.seconds * RATE_HZ)
        self._draws = 0

    def draw(self) -> FloatArray:
        """Stems of one mix, (4, 2, samples), in the order of GROUPS."""
        self._draws += 1
        if self._draws % self.options.refresh_draws == 0:
            self.clips.refresh()
        if self.clips.real_songs and (self.rng.random() < self.options.coherent or not self.clips.synthetic["bass"]):
            stems = self._one_song()
        else:
            stems = self._from_anywhere()
        if self.clips.percussion and self._chance(self.options.percussion):
            stems[1] = self._percussion(stems[1])
        stems = np.stack([self._change(group, stem) for group, stem in zip(GROUPS, stems, strict=True)])
        if self._chance(self.options.duck):
            stems = self._duck(stems)
        for index in range(len(GROUPS)):
            if self._chance(self.options.drop_stem):
                stems[index] = 0.0
        if self._chance(self.options.bleed):
            stems = self._bleed(stems)
        return self._master(stems)

    def _chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def _speed(self) -> float:
        span = self.options.speed_span
        return float(self.rng.uniform(1 - span, 1 + span)) if self._chance(self.options.change_speed) else 1.0

    def _read(self, index: int, start: int, speed: float) -> FloatArray:
        """As much of a clip as fills the mix once it is played at `speed`."""
        return self.clips.read(index, start, self.samples if speed == 1.0 else int(self.samples * speed) + 64)

    def _at_speed(self, x: FloatArray, speed: float) -> FloatArray:
        """Played faster or slower, pitch and time together, exactly `samples` long."""
        if speed == 1.0:
            return x
        out = np.zeros((2, self.samples), np.float32)
        if not x.any():
            return out
        y = soxr.resample(np.ascontiguousarray(x.T), speed, 1.0, quality="LQ").T[:, : self.samples]
        out[:, : y.shape[1]] = y
        return out

    def _start(self, index: int) -> int:
        """Where a clip sounds, a random bit earlier."""
        active = self.clips.entries[index]["active"] or [0]
        at = int(self.rng.choice(active)) * RATE_HZ // 2 - int(self.rng.uniform(0, 0.8) * self.samples)
        return max(0, at)

    def _one_song(self) -> list[FloatArray]:
        """Parts of one song at one time and one speed; now and then some parts are left out or moved in level.

        A song of the pack or of a sequencer has no singer of its own: it is lent one from anywhere.
        """
        song = self._song()
        indices = self.clips.by_song[song]
        speed, keep_all = self._speed(), self._chance(0.5)
        start = self._start(int(self.rng.choice([i for i in indices if self.clips.entries[i]["active"]])))
        stems = [np.zeros_like(self._read(indices[0], 0, speed)) for _ in GROUPS]
        for index in indices:
            if keep_all or self._chance(0.8):
                gain_db = 0.0 if keep_all else float(self.rng.normal(0, 2))
                part = self._read(index, start, speed)
                stems[GROUPS.index(self.clips.entries[index]["group"])] += part * np.float32(10 ** (gain_db / 20))
        shift_db = self.rng.normal(0, 3, len(GROUPS)) if self._chance(0.6) else np.zeros(len(GROUPS))
        stems = [self._at_speed(stem, speed) for stem in stems]
        if song.startswith(_WITHOUT_SINGER) and self._chance(self.options.lend_vocals):
            stems[0] = self._anyone("vocals", level_db=_rms_db(sum(stems[1:])) - 2)
        return [stem * np.float32(10 ** (db / 20)) for stem, db in zip(stems, shift_db, strict=True)]

    def _song(self) -> str:
        """An arrangement or a song: recorded ones thrice as often as the pack's, sequenced ones a third as often."""
        if self.clips.arrangements and self._chance(self.options.arranged):
            return str(self.rng.choice(self.clips.arrangements))
        songs = self.clips.real_songs
        weights = np.array([_SHARES.get(song.split("-")[0], 3.0) for song in songs])
        return str(self.rng.choice(songs, p=weights / weights.sum()))

    def _from_anywhere(self) -> list[FloatArray]:
        """Each stem from its own song, at its own speed, at a level drawn around -24 dBFS."""
        stems = [self._anyone(group, level_db=-24.0) for group in GROUPS]
        if self._chance(self.options.second_other):
            stems[3] = stems[3] + self._anyone("other", level_db=-26.0)
        return stems

    def _anyone(self, group: str, *, level_db: float) -> FloatArray:
        """A stem of this group from any song, at a level drawn around one in dBFS."""
        pools = self.clips.synthetic, self.clips.real
        pool = pools[0 if self._chance(self.options.synthetic) else 1][group] or pools[0][group] or pools[1][group]
        index = int(self.rng.choice(pool))
        speed = self._speed()
        song = self.clips.entries[index]["song"]
        stem = self._read(index, self._start(index), speed)
        for extra in self.clips.by_song[song]:
            if extra != index and self.clips.entries[extra]["group"] == group and self._chance(0.25):
                stem = stem + self._read(extra, self._start(extra), speed)
        stem = self._at_speed(stem, speed)
        if group == "other" and song in BASS_INSIDE_OTHER:
            stem = self._filter(stem, highpass_hz=float(self.rng.uniform(120, 250)))
        wanted = 10 ** (self.rng.normal(level_db, self.options.level_spread_db) / 20)
        return stem * np.float32(min(20.0, wanted / max(10 ** (_rms_db(stem) / 20), 1e-4)))

    def _percussion(self, drums: FloatArray) -> FloatArray:
        """Synthesised strokes at the level of the drums, instead of them or with them."""
        index = int(self.rng.choice(self.clips.percussion))
        level_db = max(-40.0, _rms_db(drums)) if drums.any() else -24.0
        strokes = self._at_speed(self._read(index, self._start(index), speed := self._speed()), speed)
        strokes = strokes * np.float32(min(20.0, 10 ** ((level_db - _rms_db(strokes)) / 20)))
        return strokes + drums if self._chance(0.4) else strokes

    def _change(self, group: str, stem: FloatArray) -> FloatArray:
        """Equalizer, room, polarity, width, pan, gain."""
        rng = self.rng
        if not stem.any():
            return stem
        stem = self._recoloured(group, stem)
        if self._chance(self.options.equalize):
            stem = self._filter(stem, equalize=True)
        if group != "bass" and self._chance(self.options.reverb):
            stem = self._reverb(stem)
        if self._chance(self.options.wide):
            stem = wide(stem, rng)
        if self._chance(0.5):
            stem = stem[::-1]
        if self._chance(0.5):
            stem = -stem
        middle, side = (stem[0] + stem[1]) * 0.5, (stem[0] - stem[1]) * 0.5
        if self._chance(0.3):
            side = side * np.float32(rng.uniform(0, 1.6))
        stem = np.stack((middle + side, middle - side))
        if self._chance(0.25):
            pan = float(rng.uniform(-0.6, 0.6))
            stem = stem * np.array([[min(1, 1 - pan)], [min(1, 1 + pan)]], np.float32)
        return stem * np.float32(10 ** (rng.normal(0, 1.5) / 20))

    def _recoloured(self, group: str, stem: FloatArray) -> FloatArray:
        """Drums that sing or stand in a hall, voices through a telephone, anything overdriven, basses without lows."""
        if group == "drums" and self._chance(self.options.resonant_drums):
            stem = resonant(stem, self.rng)
        if group == "drums" and self._chance(self.options.roomy_drums):
            stem = roomy(stem, self.rng)
        if group == "vocals" and self._chance(self.options.narrow_vocals):
            stem = narrow(stem, self.rng)
        if self._chance(self.options.drive):
            stem = self._driven(stem)
        if group == "bass" and self._chance(self.options.thin_bass):
            stem = self._thin(stem)
        return stem

    def _filter(
        self, stem: FloatArray, *, equalize: bool = False, highpass_hz: float = 0.0, lowpass_hz: float = 0.0
    ) -> FloatArray:
        """A smooth curve of a few bells, or a gentle high-pass or low-pass, with zero phase."""
        hz = np.fft.rfftfreq(stem.shape[1], 1 / RATE_HZ)
        octaves = np.log2(np.maximum(hz, 10.0)).astype(np.float32)
        gain_db = np.zeros(hz.size, np.float32)
        if equalize:
            for _ in range(int(self.rng.integers(1, 4))):
                centre, width = self.rng.uniform(np.log2(40), np.log2(14_000)), self.rng.uniform(0.4, 2.0)
                height_db = self.rng.uniform(-self.options.equalizer_db, self.options.equalizer_db)
                gain_db += height_db * np.exp(-0.5 * ((octaves - centre) / width) ** 2)
        if highpass_hz:
            gain_db -= 24 * np.maximum(0, np.log2(highpass_hz) - octaves)
        if lowpass_hz:
            gain_db -= 24 * np.maximum(0, octaves - np.log2(lowpass_hz))
        gain = np.power(np.float32(10), gain_db.astype(np.float32) / 20)
        return np.asarray(irfft(rfft(stem) * gain, stem.shape[1]), np.float32)

    def _reverb(self, stem: FloatArray) -> FloatArray:
        """A room of decaying noise, its first reflection some milliseconds late."""
        rng = self.rng
        count = int(rng.uniform(0.3, 1.5) * RATE_HZ)
        decay = np.exp(-6.9 * np.arange(count) / count)
        room = rng.standard_normal((2, count), np.float32) * decay
        room[:, : int(rng.uniform(0.002, 0.03) * RATE_HZ)] = 0
        room *= rng.uniform(0.1, 0.5) / np.sqrt(np.mean(np.sum(room**2, 1)))
        size = next_fast_len(stem.shape[1] + count, real=True)
        wet = irfft(rfft(stem, size) * rfft(room.astype(np.float32), size), size)[:, : stem.shape[1]]
        return stem + np.asarray(wet, np.float32)

    def _driven(self, stem: FloatArray) -> FloatArray:
        """Through an overdriven stage, as loud as before."""
        drive = np.float32(10 ** (self.rng.uniform(-6, 15) / 20) / max(level_of(stem), 1e-4))
        return as_loud(np.tanh(stem * drive), stem)

    def _thin(self, stem: FloatArray) -> FloatArray:
        """A bass line without low end, as played on a synthesiser's middle octaves or heard through an amplifier."""
        level_db = _rms_db(stem)
        thin = self._filter(self._driven(stem), highpass_hz=float(self.rng.uniform(80, 350)))
        return np.asarray(thin * np.float32(min(20.0, 10 ** ((level_db - 2 - _rms_db(thin)) / 20))), np.float32)

    def _duck(self, stems: FloatArray) -> FloatArray:
        """Bass and the other parts make room for the drums, as a compressor keyed by the kick does."""
        block = RATE_HZ // 200
        count = self.samples // block
        low = self._filter(stems[1], lowpass_hz=150.0).mean(0)[: count * block].reshape(count, block)
        loud = np.sqrt(np.square(low).mean(1))
        if loud.max() < 1e-4:
            return stems
        release = float(np.exp(-1 / (200 * self.rng.uniform(0.05, 0.3))))
        held = np.zeros(count)
        for index, level in enumerate(np.minimum(1.0, loud / (0.5 * loud.max()))):
            held[index] = max(level, release * held[index - 1] if index else 0.0)
        depth = float(self.rng.uniform(0.3, 0.95))
        gain = 1 - depth * np.interp(np.arange(self.samples) / block, np.arange(count), held)
        ducked = stems.copy()
        ducked[2:] *= gain.astype(np.float32)
        return ducked

    def _bleed(self, stems: FloatArray) -> FloatArray:
        """Microphones hear the neighbours: a little of every stem in every other."""
        amount = np.float32(10 ** (self.rng.uniform(-40, -26) / 20))
        return stems + amount * (stems.sum(0, keepdims=True) - stems)

    def _master(self, stems: FloatArray) -> FloatArray:
        """One gain for all stems, so that the mix peaks somewhere between -18 dBFS and full scale."""
        peak = float(np.abs(stems.sum(0)).max())
        if peak < 1e-6:
            return stems
        wanted = 10 ** (self.rng.uniform(-18, 0) / 20)
        return (stems * np.float32(min(wanted / peak, 30.0))).astype(np.float32)


def dealt(stems: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The stems of a batch (mixes, groups, 2, samples) dealt anew to its mixes, each a little louder or softer."""
    mixes, groups = stems.shape[:2]
    gains = 10 ** (rng.normal(0, 3, (mixes, groups, 1, 1)) / 20)
    out = np.stack([stems[rng.permutation(mixes), group] for group in range(groups)], 1)
    return np.asarray(out * gains, np.float32)


def _rms_db(x: FloatArray) -> float:
    return float(10 * np.log10(max(float(np.mean(np.square(x))), 1e-12)))
