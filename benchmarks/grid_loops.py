"""Loops with exact truth for `benchmarks.grid`: eleven patterns, a steady tempo, a ramp, a jump, a human's drift; and
broken ones, of which a tracker has to say that it is not sure rather than be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from daw_bridge.analysis.grid import Grid

RATE = 44_100
SECONDS = 75.0
KINDS = ("const", "ramp", "jump", "human")
PATTERNS: dict[str, tuple[int, int, str, str, str]] = {
    # beats a bar, steps a beat, kick, snare, hat
    "rock": (4, 4, "x.....x.x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "four": (4, 4, "x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    "half": (4, 4, "x.........x.....", "........x.......", "x.x.x.x.x.x.x.x."),
    "break": (4, 4, "x..x......xx....", "....x..x.x..x..x", "x.x.x.x.x.x.x.x."),
    "boom": (4, 4, "x..x.....x......", "....x.......x...", "x.xxx.x.x.xxx.x."),
    "dnb": (4, 4, "x.........x.....", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "sparse": (4, 4, "x...............", "........x.......", "................"),
    "off": (4, 4, "...x..x....x..x.", "....x.......x...", "..x...x...x...x."),
    "waltz": (3, 4, "x...........", "....x...x...", "x...x...x..."),
    "six8": (2, 6, "x...........", "......x.....", "x.x.x.x.x.x."),
    "tri": (4, 3, "x....x...x..", "...x.....x..", "x.xx.xx.xx.x"),
}
TEMPOS = {
    "rock": (84, 120, 168), "four": (124, 98), "half": (140, 150), "break": (95, 172), "boom": (88, 72), "dnb": (174,),
    "sparse": (70, 120), "off": (110,), "waltz": (96, 150), "six8": (60,), "tri": (130, 76),
}  # fmt: skip
BROKEN: dict[str, tuple[int, int, str, str, str]] = {
    "ghosts": (4, 4, "x..x......x.....", "........x......x", "x.x.x.x.x.x.x.x."),
    "late snare": (4, 4, "x.......x.......", ".....x.......x..", "x.x.x.x.x.x.x.x."),
    "amen": (4, 4, "x.x.......xx....", "....x..x.x..x..x", "x.x.x.x.x.x.x.x."),
    "3+3+2": (4, 4, "x..x..x.x..x..x.", "....x.......x...", "x.x.x.x.x.x.x.x."),
    "tresillo": (4, 4, "x..x..x.x..x..x.", "................", "................"),
    "dembow": (4, 4, "x...x...x...x...", "...x..x....x..x.", "................"),
    "shuffle": (4, 3, "x.....x....x", "...x.....x..", "x.xx.xx.xx.x"),
    "7/8": (7, 2, "x.....x.......", "....x.....x...", "x.x.x.x.x.x.x."),
    "no hats": (4, 4, "x..x......xx....", "....x..x.x..x..x", "................"),
    "linear": (4, 4, "x..x..x....x....", ".x....x..x....x.", "..x..x...x..x..x"),
}
BROKEN_TEMPOS = {"7/8": (220, 280), "shuffle": (88, 126), "amen": (136, 168), "linear": (90, 104)}
BROKEN_KINDS = ("const", "human", "accel")


@dataclass(frozen=True, kw_only=True)
class Case:
    seed: int
    pattern: str
    bpm: float
    kind: str
    offset_s: float
    jitter_s: float
    swing: float
    length_s: float = SECONDS


@dataclass(frozen=True, kw_only=True)
class Row:
    amlt: float
    f: float
    p95_ms: float | None
    moves: bool
    called_constant: bool
    sure: bool
    wrong: bool
    wrong_bars: bool = False
    """Bars that it is sure of, of which more than a tenth begin on no downbeat (and no half of an even bar)."""


def _cases() -> list[Case]:
    made: list[Case] = []
    for pattern, tempos in TEMPOS.items():
        for bpm in tempos:
            for kind in KINDS:
                rng = np.random.default_rng(1000 + len(made) + 1)
                made.append(
                    Case(
                        seed=len(made) + 1,
                        pattern=pattern,
                        bpm=bpm + (0.0 if kind != "const" else float(rng.choice([0, 0, 0.37, -0.21]))),
                        kind=kind,
                        offset_s=float(rng.choice([0, 0.137, 1.41, 3.2])),
                        jitter_s=float(rng.choice([0, 0.004, 0.010])),
                        swing=float(rng.choice([0, 0, 0.25])) if pattern in ("boom", "break") else 0.0,
                    )
                )
    return made


def _broken() -> list[Case]:
    made: list[Case] = []
    for pattern in BROKEN:
        for bpm in BROKEN_TEMPOS.get(pattern, (94, 122)):
            for kind in BROKEN_KINDS:
                seed = 500 + len(made)
                rng = np.random.default_rng(seed)
                made.append(
                    Case(
                        seed=seed,
                        pattern=pattern,
                        bpm=float(bpm),
                        kind=kind,
                        offset_s=float(rng.choice([0, 0.137, 1.41])),
                        jitter_s=float(rng.choice([0, 0.004, 0.010])),
                        swing=0.0,
                        length_s=50.0,
                    )
                )
    return made


ALL = _cases()
CHOSEN = [case for index, case in enumerate(ALL) if index % 5 in (0, 2)]
"""32 of 80: every kind eight times, every pattern at least once; chosen by number and not by result."""
BROKEN_CASES = _broken()


def score(case: Case, kind: str, hear: Callable[..., Grid | None]) -> Row:
    import mir_eval

    drums, mix, beats = render(case)
    grid = hear({"drums": drums}, drums, RATE) if kind == "drums" else hear({}, mix, RATE)
    moves = case.kind != "const"
    if grid is None:
        return Row(amlt=0.0, f=0.0, p95_ms=None, moves=moves, called_constant=False, sure=False, wrong=False)
    found = grid.beats_s[(grid.beats_s > beats[0] - 0.3) & (grid.beats_s < beats[-1] + 0.3)]
    f = f_measure(beats, found)
    amlt = mir_eval.beat.continuity(beats, found)[3]
    near = np.array([np.abs(beats - time_s).min() for time_s in found])
    per_bar = _pattern(case)[0]
    lines = beats[:: per_bar // 2 if per_bar % 2 == 0 else per_bar]
    bars = grid.downbeats_s[(grid.downbeats_s > beats[0] - 0.3) & (grid.downbeats_s < beats[-1] + 0.3)]
    on_a_line = np.mean([np.abs(lines - time_s).min() < 0.07 for time_s in bars]) if len(bars) else 1.0
    return Row(
        amlt=amlt,
        f=f,
        p95_ms=1e3 * float(np.percentile(near, 95)) if f > 0.9 else None,
        moves=moves,
        called_constant=grid.constant,
        sure=grid.sure,
        wrong=grid.sure and bool(amlt < 0.9 or f < 0.5),  # AMLt takes beats between the beats for right
        wrong_bars=grid.downbeat_sure and bool(on_a_line < 0.9),
    )


def _pattern(case: Case) -> tuple[int, int, str, str, str]:
    return BROKEN[case.pattern] if case.pattern in BROKEN else PATTERNS[case.pattern]


def render(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drums, drums with bass and chords, and the times of the beats."""
    rng = np.random.default_rng(case.seed)
    per_bar, steps, kicks, snares, hats = _pattern(case)
    count = int(case.length_s * case.bpm / 60) // per_bar * per_bar
    lengths = 60.0 / _tempo(case, count, rng)
    beats = case.offset_s + np.concatenate([[0.0], np.cumsum(lengths)])[:count]
    drums = np.zeros(int((beats[-1] + lengths[-1] + 2.0) * RATE), np.float32)

    def put(sound: np.ndarray, time_s: float) -> None:
        late = rng.normal(0.0, case.jitter_s) if case.jitter_s else 0.0
        at = round(max(time_s + late, 0.0) * RATE)
        drums[at : at + len(sound)] += sound[: len(drums) - at].astype(np.float32)

    for bar in range(count // per_bar):
        fill = bar % 8 == 7 and case.pattern not in ("sparse", "waltz")
        for step in range(per_bar * steps):
            beat, part = bar * per_bar + step // steps, (step % steps) / steps
            if case.swing and steps == 4 and step % 2:
                part += case.swing / steps
            at = beats[beat] + part * lengths[beat]
            if kicks[step] == "x":
                put(_kick(rng), at)
            if snares[step] == "x" or (fill and step >= per_bar * steps * 3 // 4 and step % 2 == 0):
                put(_snare(rng), at)
            if hats[step] == "x":
                put(_hat(rng) * (1.0 if step % steps == 0 else 0.7), at)
    return 0.5 * drums, 0.5 * drums + _backing(case, beats, lengths, len(drums), rng), beats


def _tempo(case: Case, count: int, rng: np.random.Generator) -> np.ndarray:
    place = np.arange(count)
    if case.kind == "ramp":
        return case.bpm * (1.0 + rng.choice([-1, 1]) * 0.10 * place / count)
    if case.kind == "accel":
        return case.bpm * (0.88 + 0.30 * place / count)
    if case.kind == "jump":
        return np.where(place < count // 2 // 4 * 4, case.bpm, case.bpm * rng.choice([1.06, 0.92]))
    if case.kind == "human":
        walk = np.cumsum(rng.standard_normal(count)) * 0.004
        walk -= np.linspace(0.0, walk[-1], count) * 0.7
        return case.bpm * np.exp(np.clip(walk, -0.06, 0.06))
    return np.full(count, case.bpm)


def _fade(size: int, time_s: float) -> np.ndarray:
    return np.exp(-np.arange(size) / (RATE * time_s))


def _kick(rng: np.random.Generator) -> np.ndarray:
    size = int(0.35 * RATE)
    hertz = 50.0 + rng.uniform(60, 120) * np.exp(-np.arange(size) / RATE / 0.03)
    body = np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * _fade(size, 0.12)
    return rng.uniform(0.8, 1.0) * (body + 0.15 * rng.standard_normal(size) * _fade(size, 0.004))


def _snare(rng: np.random.Generator) -> np.ndarray:
    size = int(0.25 * RATE)
    tone = 0.5 * np.sin(2 * np.pi * 190 * np.arange(size) / RATE) * _fade(size, 0.05)
    return rng.uniform(0.7, 0.9) * (tone + 0.5 * rng.standard_normal(size) * _fade(size, 0.07))


def _hat(rng: np.random.Generator) -> np.ndarray:
    noise = np.diff(rng.standard_normal(int(0.15 * RATE)), n=2, prepend=[0.0, 0.0])
    return rng.uniform(0.5, 0.9) * 0.25 * noise * _fade(len(noise), 0.03)


def f_measure(truth_s: np.ndarray, found_s: np.ndarray) -> float:
    """mir_eval's F of times within 70 ms."""
    import mir_eval  # with it comes scipy.signal: a second for everybody who only collects the tests

    return float(mir_eval.beat.f_measure(truth_s, found_s))


@lru_cache(maxsize=64)  # at a steady tempo a song has few different notes
def _held(hertz: float, samples: int) -> np.ndarray:
    t = np.arange(samples) / RATE
    return np.asarray(sum(np.sin(2 * np.pi * hertz * part * t + part) / part**1.5 for part in range(1, 6)))


@lru_cache(maxsize=64)
def _plucked(hertz: float, samples: int) -> np.ndarray:
    t = np.arange(samples) / RATE
    tone = sum(np.sin(2 * np.pi * hertz * n * t) / n for n in (1, 2, 3))
    return 0.3 * tone * np.minimum(t / 0.005, 1.0) * _fade(len(t), 0.3)


def _backing(case: Case, beats: np.ndarray, lengths: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    per_bar = _pattern(case)[0]
    made = np.zeros(size, np.float32)
    roots, key = rng.choice([[0, 5, 7, 0], [0, 9, 5, 7], [0, 7, 9, 5], [9, 5, 0, 7]]), int(rng.integers(40, 52))

    def put(sound: np.ndarray, time_s: float) -> None:
        at = round(time_s * RATE)
        made[at : at + len(sound)] += sound[: size - at].astype(np.float32)

    for bar in range(len(beats) // per_bar):
        root, span = int(roots[bar % 4]), slice(bar * per_bar, (bar + 1) * per_bar)
        length_s = float(lengths[span].sum())
        t = np.arange(int(length_s * RATE)) / RATE
        edges = np.minimum(t / 0.03, 1.0) * np.minimum((length_s - t) / 0.05, 1.0)
        for step in (0, 3 if root == 9 else 4, 7, 12):
            hertz = 440 * 2 ** ((key + 12 + root + step - 69) / 12)
            put(0.09 * edges * _held(hertz, len(t)), beats[bar * per_bar])
        for beat in range(bar * per_bar, (bar + 1) * per_bar):
            for part in (0.0, 0.5) if rng.random() < 0.5 else (0.0,):
                if beat % per_bar and rng.random() < 0.3:
                    continue
                hertz = 440 * 2 ** ((key - 12 + root - 69) / 12)
                put(_plucked(hertz, int(0.4 * lengths[beat] * RATE)), beats[beat] + part * lengths[beat])
    return made
