"""Every template that ships, in a real Ardour: `neutral` nulls, the others have the curves that they ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.adapter_lab import Case, case_plan, compressor_db, read_audio, square_steps, step_levels_db
from benchmarks.adapters import measure_template
from daw_bridge.model import Compressor
from daw_bridge.templates.store import list_templates, load_template
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, export_session
from tests.sweeps import sweep

NAMES = sorted(each.name for each in list_templates(Path("no-folder")))
CASES = [(name, (44_100, 48_000, 96_000)[n % 3], 1 + n % 2) for n, name in enumerate(NAMES)]
OFTEN = ("dj", "neutral", "vocal-focus")


def test_all_shipped_templates_are_here() -> None:
    assert {"neutral", "band", "vocal-focus", "six-stem", "karaoke", "dj"} <= set(NAMES)


@pytest.mark.daw
@pytest.mark.parametrize(
    ("template", "rate", "channels"),
    sweep(
        [case for case in CASES if case[0] in OFTEN],
        [case for case in CASES if case[0] not in OFTEN],
    ),
)
def test_a_template_has_its_curves_in_ardour(
    song: Path, ardour: Ardour, template: str, rate: int, channels: int
) -> None:
    """Equalizers, faders, pans and sends of every stem's path, measured against theory; dynamics are bypassed."""
    got = measure_template(song, ardour, template, rate, channels)
    assert got.offset_samples == 0
    assert got.path_db <= 0.5
    assert got.render_db <= 0.5
    if template == "neutral":
        assert got.null_db is not None
        assert got.null_db <= -120.0


@pytest.mark.daw
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
