"""Every template that ships, in a real Ardour: `neutral` nulls, the others have the curves that they ask for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.adapter_lab import (
    Audio,
    Case,
    case_plan,
    compressor_db,
    impulse,
    linear_only,
    null_db,
    path_db,
    read_audio,
    response_db,
    square_steps,
    step_levels_db,
    write_clip,
)
from daw_bridge.model import Compressor, SessionPlan, Stem, StemSet
from daw_bridge.plan import make_plan
from daw_bridge.template_store import list_templates, load_template
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, export_session

pytestmark = pytest.mark.daw
NAMES = sorted(each.name for each in list_templates(Path("no-folder")))
STEMS = ("drums", "bass", "guitar", "piano", "other", "vocals", "residual")
FREQUENCIES_HZ = np.geomspace(30.0, 16_000.0, 80)


def template_plan(song: Path, template: str, rate: int, channels: int) -> tuple[SessionPlan, dict[str, Audio]]:
    """The template on seven stems, each an impulse in its own tenth of a second; the reference is their sum."""
    size = rate // 4
    audio = {name: impulse(size * len(STEMS), 100 + size * n) for n, name in enumerate(STEMS)}
    audio["reference"] = np.sum(list(audio.values()), axis=0, dtype=np.float32)
    audio = {name: np.repeat(data, channels, axis=0) for name, data in audio.items()}
    stems = {}
    for name, data in audio.items():
        clip = write_clip(song / "audio" / f"{name}.wav", data, rate)
        stems[name] = Stem(
            name=name, path=clip.path, sample_rate_hz=rate, channels=channels, length_samples=clip.length_samples
        )
    reference = stems.pop("reference")
    plan = make_plan(StemSet(stems=tuple(stems.values()), reference=reference), load_template(template), name="song")
    return plan, audio


def test_all_shipped_templates_are_here() -> None:
    assert {"neutral", "band", "vocal-focus", "six-stem", "karaoke", "dj"} <= set(NAMES)


@pytest.mark.parametrize(
    ("template", "rate", "channels"),
    [(name, (44_100, 48_000, 96_000)[n % 3], 1 + n % 2) for n, name in enumerate(NAMES)],
)
def test_a_template_has_its_curves_in_ardour(
    song: Path, ardour: Ardour, template: str, rate: int, channels: int
) -> None:
    """Equalizers, faders, pans and sends of every stem's path, measured against theory; dynamics are bypassed."""
    plan, audio = template_plan(song, template, rate, channels)
    plan = linear_only(plan)
    report = ADAPTER.write(plan, song, "Song")
    rendered = read_audio(export_session(report.session_path, song / "render.wav", ardour=ardour, timeout_s=120))
    if template == "neutral":
        assert null_db(rendered, audio["reference"]) <= -120.0
    soloed = any(bus.solo for bus in plan.buses)
    size = rate // 4
    for number, name in enumerate(STEMS):
        track = next(track for track in plan.tracks if track.clips[0].path.stem == name)
        part = rendered[:, size * number : size * (number + 1)] / 0.5
        measured = np.stack([response_db(part[side : side + 1], FREQUENCIES_HZ, rate) for side in (0, 1)])
        wanted = path_db(plan, track, FREQUENCIES_HZ)
        if soloed and not plan.bus(track.output).solo:
            wanted = np.full_like(wanted, -240.0)
        audible = (wanted > -40.0) | (measured > -40.0)
        worst = float(np.abs(measured - wanted)[audible].max(initial=0.0))
        assert worst <= 0.5, f"{template}: the path of {name} is {worst:.2f} dB off"


def test_every_compressor_of_the_templates_has_its_static_curve(song: Path, ardour: Ardour) -> None:
    """All distinct compressors of all templates in one session, each fed with steps around its threshold."""
    rate = 48_000
    found = dict.fromkeys(
        effect
        for name in NAMES
        for bus in (*load_template(name).buses, *load_template(name).returns, load_template(name).mix_bus)
        for effect in bus.effects
        if isinstance(effect, Compressor) and effect.sidechain_bus is None and effect.enabled
    )
    offsets_db = (-12.0, -2.0, 2.0, 6.0)
    cases, levels = [], []
    for number, effect in enumerate(found):
        levels.append([min(effect.threshold_db + offset, 0.0) for offset in offsets_db])
        step = int(rate * (0.05 + 4 * max(effect.attack_ms, effect.release_ms) / 1000))
        cases.append(Case(name=f"comp {number}", effects=(effect,), signal=square_steps(levels[-1], step)))
    assert len(cases) >= 5
    plan, parts = case_plan(song, cases, rate)
    report = ADAPTER.write(plan, song, "Song")
    rendered = read_audio(export_session(report.session_path, song / "render.wav", ardour=ardour, timeout_s=240))
    for effect, steps, part in zip(found, levels, parts, strict=True):
        measured = step_levels_db(rendered[:, part], len(steps))
        wanted = [
            compressor_db(level, effect.threshold_db, effect.ratio, effect.knee_db) + effect.makeup_db
            for level in steps
        ]
        assert measured == pytest.approx(wanted, abs=1.0), effect
