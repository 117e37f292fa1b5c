"""What sessions measure in real Ardour, as one table: `python -m benchmarks.adapters [--write] [--quick]`.

Every shipped template at 44.1, 48 and 96 kHz from mono and stereo stems: built, exported by Ardour, compared.
`--write` puts the table into docs/adapters.md; `--quick` measures one rate.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.adapter_lab import (
    Audio,
    Case,
    case_plan,
    compressor_db,
    cookbook_db,
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
from daw_bridge.errors import DawError
from daw_bridge.model import BandKind, Compressor, EqBand, Equalizer, SessionPlan, Stem, StemSet
from daw_bridge.plan import make_plan
from daw_bridge.registry import load_adapter
from daw_bridge.templates.store import list_templates, load_template
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, export_session, need_ardour

RATES_HZ = (44_100, 48_000, 96_000)
STEMS = ("drums", "bass", "guitar", "piano", "other", "vocals", "residual")
FREQUENCIES_HZ = np.geomspace(30.0, 16_000.0, 80)
AUDIBLE_DB = -40.0
DOC = Path(__file__).resolve().parent.parent / "docs" / "adapters.md"

EQ_CASES = {
    "bell": (EqBand(kind=BandKind.BELL, frequency_hz=1000, gain_db=6, q=1.4),),
    "wide bell up high": (EqBand(kind=BandKind.BELL, frequency_hz=9000, gain_db=-9, q=0.5),),
    "narrow bell": (EqBand(kind=BandKind.BELL, frequency_hz=250, gain_db=-18, q=8),),
    "low shelf": (EqBand(kind=BandKind.LOWSHELF, frequency_hz=120, gain_db=12),),
    "high shelf": (EqBand(kind=BandKind.HIGHSHELF, frequency_hz=8000, gain_db=-6),),
    "steep shelf": (EqBand(kind=BandKind.HIGHSHELF, frequency_hz=4000, gain_db=5, q=1.2),),
    "pass filters": (
        EqBand(kind=BandKind.HIGHPASS, frequency_hz=80),
        EqBand(kind=BandKind.LOWPASS, frequency_hz=12_000, q=0.9),
    ),
    "notch": (EqBand(kind=BandKind.NOTCH, frequency_hz=3000, q=2),),
    "six bands, one off": (
        *(EqBand(kind=BandKind.BELL, frequency_hz=100 * 3**n, gain_db=3 - n, q=1 + n) for n in range(5)),
        EqBand(kind=BandKind.BELL, frequency_hz=700, gain_db=12, enabled=False),
    ),
}
COMPRESSOR_LEVELS_DB = (-40.0, -30.0, -24.0, -20.0, -16.0, -10.0, -4.0)
COMPRESSORS = {
    "hard knee 4:1": Compressor(threshold_db=-20, ratio=4, attack_ms=5, release_ms=50),
    "soft knee 2:1": Compressor(threshold_db=-18, ratio=2, attack_ms=5, release_ms=50, knee_db=12, makeup_db=3),
    "10:1, cut behind": Compressor(threshold_db=-30, ratio=10, attack_ms=5, release_ms=50, makeup_db=-6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One template in one form.

    `path_db` is the worst deviation of any stem's path from theory, 30 Hz to 16 kHz, `render_db` that from our render.
    """

    template: str
    sample_rate_hz: int
    channels: int
    null_db: float | None
    offset_samples: int
    path_db: float
    render_db: float


def render_with_ardour(plan: SessionPlan, folder: Path, ardour: Ardour) -> Audio:
    """What Ardour makes of a plan: float32 (2, samples)."""
    report = ADAPTER.write(plan, folder, "Song")
    return read_audio(export_session(report.session_path, folder / "render.wav", ardour=ardour, timeout_s=300))


def template_plan(folder: Path, template: str, rate: int, channels: int) -> tuple[SessionPlan, dict[str, Audio]]:
    """The template on seven stems, each an impulse in its own quarter of a second; the reference is their sum."""
    size = rate // 4
    audio = {name: impulse(size * len(STEMS), 100 + size * n) for n, name in enumerate(STEMS)}
    audio["reference"] = np.sum(list(audio.values()), axis=0, dtype=np.float32)
    audio = {name: np.repeat(data, channels, axis=0) for name, data in audio.items()}
    stems = {}
    for name, data in audio.items():
        clip = write_clip(folder / "audio" / f"{name}.wav", data, rate)
        stems[name] = Stem(
            name=name, path=clip.path, sample_rate_hz=rate, channels=channels, length_samples=clip.length_samples
        )
    reference = stems.pop("reference")
    plan = make_plan(StemSet(stems=tuple(stems.values()), reference=reference), load_template(template), name="song")
    return plan, audio


def measure_template(folder: Path, ardour: Ardour, template: str, rate: int, channels: int) -> Measured:
    """Equalizers, faders, pans and sends of every stem's path against theory; dynamics are bypassed, not removed."""
    plan, audio = template_plan(folder, template, rate, channels)
    plan = linear_only(plan)
    rendered = render_with_ardour(plan, folder, ardour)
    ours = read_audio(load_adapter("render").write(plan, folder, "Ours").session_path)
    ours = np.repeat(ours, 2, axis=0) if ours.shape[0] == 1 else ours
    neutral = template == "neutral"
    soloed = any(bus.solo for bus in plan.buses)
    size = rate // 4
    worst, worst_render, offset = 0.0, 0.0, 0
    for number, name in enumerate(STEMS):
        track = next(track for track in plan.tracks if track.clips[0].path.stem == name)
        place = slice(size * number, size * (number + 1))
        part = rendered[:, place]
        measured, render = (
            np.stack([response_db(audio[side : side + 1, place] / 0.5, FREQUENCIES_HZ, rate) for side in (0, 1)])
            for audio in (rendered, ours)
        )
        wanted = path_db(plan, track, FREQUENCIES_HZ)
        if soloed and not plan.bus(track.output).solo:
            wanted = np.full_like(wanted, -240.0)
        audible = (wanted > AUDIBLE_DB) | (measured > AUDIBLE_DB)
        worst = max(worst, float(np.abs(measured - wanted)[audible].max(initial=0.0)))
        worst_render = max(worst_render, float(np.abs(measured - render)[audible].max(initial=0.0)))
        if audible.any():
            offset = max(offset, abs(int(np.abs(part).max(axis=0).argmax()) - 100))
    return Measured(
        template=template,
        sample_rate_hz=rate,
        channels=channels,
        null_db=null_db(rendered, audio["reference"]) if neutral else None,
        offset_samples=offset,
        path_db=worst,
        render_db=worst_render,
    )


def measure_equalizers(folder: Path, ardour: Ardour, rate: int) -> dict[str, float]:
    """Worst deviation in dB from the cookbook, 30 Hz to 16 kHz where the curve is above -40 dB, per case."""
    signal = impulse(rate // 4)
    cases = [Case(name=name, effects=(Equalizer(bands=bands),), signal=signal) for name, bands in EQ_CASES.items()]
    plan, parts = case_plan(folder, cases, rate)
    rendered = render_with_ardour(plan, folder, ardour)
    worst = {}
    for (name, bands), part in zip(EQ_CASES.items(), parts, strict=True):
        measured = response_db(rendered[:1, part] / 0.5, FREQUENCIES_HZ, rate)
        wanted = cookbook_db(bands, FREQUENCIES_HZ, rate)
        worst[name] = float(np.abs(measured - wanted)[wanted > AUDIBLE_DB].max())
    return worst


def measure_compressors(folder: Path, ardour: Ardour, rate: int) -> dict[str, float]:
    """Worst deviation in dB from the static curve, per case."""
    steps = square_steps(COMPRESSOR_LEVELS_DB, rate // 4)
    cases = [Case(name=name.replace(":", " to "), effects=(e,), signal=steps) for name, e in COMPRESSORS.items()]
    plan, parts = case_plan(folder, cases, rate)
    rendered = render_with_ardour(plan, folder, ardour)
    worst = {}
    for (name, effect), part in zip(COMPRESSORS.items(), parts, strict=True):
        measured = step_levels_db(rendered[:, part], len(COMPRESSOR_LEVELS_DB))
        wanted = [
            compressor_db(level, effect.threshold_db, effect.ratio, effect.knee_db) + effect.makeup_db
            for level in COMPRESSOR_LEVELS_DB
        ]
        worst[name] = max(abs(got - want) for got, want in zip(measured, wanted, strict=True))
    return worst


def measure_all(ardour: Ardour, rates: tuple[int, ...]) -> Iterator[str]:
    """The lines of the table, as they are measured."""
    yield f"Ardour {ardour.version}, `python -m benchmarks.adapters`."
    yield ""
    yield "| template | rate | stems | null against the mix | impulses off by | path, from theory | from our render |"
    yield "|---|---|---|---|---|---|---|"
    for template in sorted(each.name for each in list_templates(Path("no-folder"))):
        for rate in rates:
            for channels in (1, 2):
                with tempfile.TemporaryDirectory() as folder:
                    got = measure_template(Path(folder), ardour, template, rate, channels)
                null = "" if got.null_db is None else ("bit-exact" if got.null_db < -300 else f"{got.null_db:.0f} dBFS")
                stems = "mono" if channels == 1 else "stereo"
                yield (
                    f"| {template} | {rate / 1000:g} kHz | {stems} | {null} | {got.offset_samples} samples "
                    f"| {got.path_db:.2f} dB | {got.render_db:.2f} dB |"
                )
    for title, measure in (("equalizer", measure_equalizers), ("compressor, static curve", measure_compressors)):
        columns = {}
        for rate in rates:
            with tempfile.TemporaryDirectory() as folder:
                columns[rate] = measure(Path(folder), ardour, rate)
        yield ""
        yield f"| {title}: worst deviation | " + " | ".join(f"{rate / 1000:g} kHz" for rate in rates) + " |"
        yield "|---" * (len(rates) + 1) + "|"
        for name in columns[rates[0]]:
            yield f"| {name} | " + " | ".join(f"{columns[rate][name]:.2f} dB" for rate in rates) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure sessions in real Ardour.")
    parser.add_argument("--write", action="store_true", help="put the table into docs/adapters.md")
    parser.add_argument("--quick", action="store_true", help="one sample rate only")
    args = parser.parse_args()
    try:
        ardour = need_ardour()
    except DawError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    lines = []
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "XDG_CONFIG_HOME": f"{home}/config", "XDG_CACHE_HOME": f"{home}/cache"}
        for line in measure_all(ardour, RATES_HZ[:1] if args.quick else RATES_HZ):
            print(line, flush=True)
            lines.append(line)
    if args.write:
        text = DOC.read_text("utf-8")
        head, start, rest = text.partition("<!-- measured -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        DOC.write_text(head + start + "\n" + "\n".join(lines) + "\n\n" + end + tail, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
