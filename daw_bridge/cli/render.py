"""`daw-bridge render`: hear and measure a session without a DAW."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.main import add_output_options
from daw_bridge.units import clock

if TYPE_CHECKING:
    from daw_bridge.adapter import RenderReport


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = subparsers.add_parser("render", help="the session as a WAV file, without any DAW")
    parser.add_argument("session", type=Path, metavar="SESSION", help="a song folder made by build")
    parser.add_argument("-o", "--output", type=Path, metavar="WAV", help="default: in the song folder")
    parser.add_argument("-t", "--template", metavar="T", help="another template than the session's")
    parser.add_argument("--bus", metavar="NAME", help="this bus or return alone, behind its effects and fader")
    parser.add_argument("--ab", choices=("reference",), help="also the original, as loud as the render, to compare")
    parser.add_argument("--force", action="store_true", help="replace an earlier render of that name")
    choices = ("auto", "bar", "lines", "jsonl", "none")
    parser.add_argument("--progress", choices=choices, default="auto", help="how progress is shown on stderr")
    add_output_options(parser, default=argparse.SUPPRESS)
    parser.set_defaults(func=_render)


def _render(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say, working
    from daw_bridge.workflow import RenderOptions, render

    options = RenderOptions(
        output=args.output,
        template=args.template,
        bus=args.bus,
        ab_reference=args.ab == "reference",
        force=args.force,
    )
    with working(args) as (on_progress, cancel):
        result = render(args.session, options, on_progress=on_progress, cancel=cancel)
    for note in result.plan.notes:
        say(args, f"Note:      {note}")
    for limit in result.render.limits:
        say(args, f"Note:      {limit.where}: {limit.feature} {limit.support}: {limit.what}")
    say(args, f"Render:    {result.render.path} ({_measured(result.render)})")
    if result.reference is not None:
        turned = f"turned by {round(result.reference_gain_db, 1) + 0.0:+.1f} dB"  # + 0.0: never -0.0
        say(args, f"Reference: {result.reference.path} ({_measured(result.reference)}, {turned})")
    if result.difference_db is not None:
        difference = f"{result.difference_db:.1f} dBFS" if math.isfinite(result.difference_db) else "none"
        say(args, f"Difference to the untouched original: {difference} (peak)")
    answer(
        args,
        {
            "render": _as_json(result.render),
            "reference": _as_json(result.reference) if result.reference else None,
            "reference_gain_db": result.reference_gain_db,
            "difference_db": _finite(result.difference_db),
            "template": result.plan.template,
            "notes": list(result.plan.notes),
        },
    )


def _measured(report: RenderReport) -> str:
    length = clock(report.length_samples / report.sample_rate_hz)
    if not math.isfinite(report.integrated_lufs):
        return length
    return f"{length}, {report.integrated_lufs:.1f} LUFS, true peak {report.true_peak_dbtp:.1f} dBTP"


def _as_json(report: RenderReport) -> dict[str, object]:
    return {
        "path": str(report.path),
        "channels": report.channels,
        "sample_rate_hz": report.sample_rate_hz,
        "length_samples": report.length_samples,
        "integrated_lufs": _finite(report.integrated_lufs),
        "true_peak_dbtp": _finite(report.true_peak_dbtp),
        "limits": [f"{limit.where}: {limit.what}" for limit in report.limits],
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None
