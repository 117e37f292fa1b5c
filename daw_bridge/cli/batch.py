"""`batch`: build or separate many songs with one load of the model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli import build as build_command
from daw_bridge.cli.options import add_options
from daw_bridge.errors import SongsFailed
from daw_bridge.units import clock, human_bytes

if TYPE_CHECKING:
    from daw_bridge.workflow.batch import Estimate, SongOutcome


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `batch`."""
    parser = subparsers.add_parser("batch", help="many songs, one load of the model; goes on where it was stopped")
    parser.add_argument("sources", nargs="+", metavar="SONGS", help="folders, patterns, .txt lists, files")
    parser.add_argument("--stems-only", action="store_true", help="as 'separate': no sessions")
    parser.add_argument("--jobs", metavar="N", default="1", help="processes; 'auto' is one per GPU (default: 1)")
    parser.add_argument("--dry-run", action="store_true", help="say what it would take, and do nothing")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="where to note what is done (default: the cache)")
    add_options(parser, "session", "folder", "separation", "input")
    build_command.add_run_options(parser)
    parser.set_defaults(func=run_batch, into=None)


def run_batch(args: argparse.Namespace) -> int:
    from daw_bridge.cli.console import answer, print_error, say, working
    from daw_bridge.workflow import batch
    from daw_bridge.workflow import songs as listed
    from daw_bridge.workflow.ledger import Ledger, default_ledger

    options = build_command.build_options(args)
    listing = listed.list_songs(args.sources)
    songs = listing.songs
    for line in listing.lines():
        say(args, line)
    ledger = Ledger(args.ledger or default_ledger(args.sources, repr(options)))
    if args.dry_run:
        _say_estimate(args, batch.estimate(listing, options, ledger))
        return 0
    count = 0

    def on_song(outcome: SongOutcome) -> None:
        nonlocal count
        count += 1
        say(args, f"[{count}/{len(songs)}] {_line(outcome)}")

    with working(args) as (on_progress, cancel):
        outcomes = batch.run_batch(
            listing, options, ledger, jobs=_jobs(args.jobs), on_progress=on_progress, on_song=on_song, cancel=cancel
        )
    failed = [outcome for outcome in outcomes if outcome.error]
    done = len(outcomes) - len(failed)
    say(args, f"{done} of {len(outcomes)} songs done")
    answer(
        args,
        {
            "ledger": str(ledger.path),
            "passed_over": listing.skipped,
            "songs": [
                {
                    "mix": str(outcome.mix),
                    "folder": str(outcome.folder) if outcome.folder else None,
                    "null_depth_db": outcome.null_depth_db,
                    "elapsed_s": round(outcome.elapsed_s, 3),
                    "error": outcome.error,
                    "skipped": outcome.skipped,
                }
                for outcome in outcomes
            ],
        },
    )
    for outcome in failed:
        print_error(outcome.error)
    if failed:
        raise SongsFailed(f"{len(failed)} of {len(outcomes)} songs failed; the same command tries them again")
    return 0


def _jobs(text: str) -> int:
    if text == "auto":
        import torch

        return max(1, torch.cuda.device_count())
    try:
        return int(text)
    except ValueError:
        from daw_bridge.errors import UsageError

        raise UsageError(f"--jobs {text}: give a number or 'auto'") from None


def _line(outcome: SongOutcome) -> str:
    if outcome.skipped:
        return f"{outcome.mix.name}: done before"
    if outcome.error:
        return f"{outcome.mix.name}: FAILED"
    null = build_command.null_text(outcome.null_depth_db if outcome.null_depth_db is not None else 0.0)
    return f"{outcome.mix.name}: {outcome.folder} in {clock(outcome.elapsed_s)}, null {null}"


def _say_estimate(args: argparse.Namespace, estimate: Estimate) -> None:
    from daw_bridge.cli.console import answer, say

    say(args, f"{estimate.songs} songs, {estimate.done_before} done before")
    say(args, f"{clock(estimate.audio_s)} of music to separate, {human_bytes(estimate.disk_bytes)} of disk")
    time = "unknown before the first song" if estimate.seconds is None else f"about {clock(estimate.seconds)}"
    say(args, f"time: {time}")
    for line in estimate.unreadable:
        say(args, f"  will fail: {line}")
    answer(
        args,
        {
            "songs": estimate.songs,
            "done_before": estimate.done_before,
            "audio_s": round(estimate.audio_s, 1),
            "disk_bytes": estimate.disk_bytes,
            "seconds": estimate.seconds,
            "unreadable": list(estimate.unreadable),
        },
    )
