"""`evaluate`: how good stems are beside their references."""

from __future__ import annotations

import argparse
from pathlib import Path

from daw_bridge.cli.main import add_output_options

Subparsers = argparse._SubParsersAction


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    evaluate = subparsers.add_parser(
        "evaluate",
        help="measure stems against references: SDR, SIR, bleed, null depth",
        description=(
            "Compare stems with references of the same names (vocals.wav, Song_vocals.flac, ...). "
            "cSDR, ISR, SIR, SAR: BSS Eval v4, median of 1 s windows. uSDR, SI-SDR: whole song."
        ),
    )
    evaluate.add_argument("estimates", type=Path, metavar="ESTIMATES", help="folder of stems, or a song folder")
    evaluate.add_argument("--reference", type=Path, required=True, metavar="DIR", help="folder of the true stems")
    evaluate.add_argument("--mix", type=Path, metavar="FILE", help="the mix, for the null depth (default: if beside)")
    evaluate.add_argument("--plot", type=Path, metavar="FILE", help="draw a picture too: .png, .svg or .pdf")
    evaluate.add_argument(
        "--progress", choices=("auto", "bar", "lines", "jsonl", "none"), default="auto", help="how progress is shown"
    )
    add_output_options(evaluate, default=argparse.SUPPRESS)
    evaluate.set_defaults(func=run_evaluate)


def run_evaluate(args: argparse.Namespace) -> None:
    """Measure, print, draw."""
    from daw_bridge.cli.console import answer, say, say_lines, working
    from daw_bridge.metrics import find_stem_files
    from daw_bridge.metrics.plot import check_plot_path, write_plot
    from daw_bridge.metrics.report import to_json, to_table
    from daw_bridge.workflow.evaluating import evaluate

    if args.plot is not None:
        check_plot_path(args.plot)
    paired = find_stem_files(args.estimates, args.reference).lines()
    for line in paired:
        say(args, f"  {line}")
    with working(args) as (on_progress, cancel):
        evaluation = evaluate(args.estimates, args.reference, mix=args.mix, on_progress=on_progress, cancel=cancel)
    if args.plot is not None:
        write_plot(evaluation, args.plot, title=f"{args.estimates.resolve().name} against {args.reference.name}")
    say_lines(args, to_table(evaluation))
    answer(args, {**to_json(evaluation), "paired": paired})
