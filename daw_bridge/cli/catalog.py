"""`catalog`: a library of songs on many machines, in storage that all of them see."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli import catalog_status
from daw_bridge.cli.build import add_run_options
from daw_bridge.cli.options import add_options, options_from
from daw_bridge.errors import SongsFailed
from daw_bridge.units import clock

if TYPE_CHECKING:
    from daw_bridge.catalog.outcome import Outcome

_OUT = "the catalog: a folder that all machines see, or s3://, gs://, az://"

_OF_A_RUN = {
    *("out", "engine", "address", "actors", "gpus_per_actor", "cpus_per_actor", "insecure_cluster"),
    *("shard", "of", "deadline", "device", "scratch"),
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `catalog` and its commands."""
    catalog = subparsers.add_parser("catalog", help="10^5 songs and more, on many machines")
    commands = catalog.add_subparsers(dest="catalog_command", required=True, metavar="COMMAND")
    plan = commands.add_parser("plan", help="list the mixes and write down what is to be done; nothing is decoded")
    plan.add_argument("source", metavar="SOURCE", help="a folder, or s3://, gs://, az://")
    plan.add_argument("out", metavar="OUT", help=_OUT)
    plan.add_argument("--keep", default="full", metavar="WHAT", help="full song folders, or stems and manifest only")
    plan.add_argument("--shard-songs", type=int, default=1000, metavar="N", help="songs of the smallest part")
    add_options(plan, "session", "separation", "input")
    add_run_options(plan)
    plan.set_defaults(func=run_plan, stems_only=False, into=None)
    run = commands.add_parser("run", help="do what is left; the same command goes on, whatever ended it")
    run.add_argument("out", metavar="OUT", help=_OUT)
    run.add_argument("--engine", choices=("local", "ray"), default="local", help="what hands out the songs")
    run.add_argument("--address", metavar="A", help="ray: the cluster; without, RAY_ADDRESS or this machine")
    run.add_argument("--actors", type=int, default=1, metavar="N", help="workers, each with a model (default: 1)")
    run.add_argument("--gpus-per-actor", type=float, metavar="F", help="ray: 0.5 lets two share a card (default: 1)")
    run.add_argument("--cpus-per-actor", type=float, default=1.0, metavar="F", help="ray: cores (default: 1)")
    run.add_argument("--insecure-cluster", action="store_true", help="ray: use one that takes commands from anybody")
    run.add_argument("--shard", type=int, metavar="I", help="only part I, counted from 0: a task of an array")
    run.add_argument("--of", type=int, default=1, metavar="N", help="of N parts")
    run.add_argument("--deadline", type=float, default=3600.0, metavar="S", help="seconds a song may take")
    run.add_argument("--device", default="auto", metavar="D", help="where to compute (default: auto)")
    run.add_argument("--scratch", type=Path, metavar="DIR", help="where songs lie while they are made")
    add_run_options(run)
    run.set_defaults(func=run_run, retry_failed=False)
    retry = commands.add_parser("retry", help="as 'run', with the songs that failed before")
    retry.add_argument("--failed", action="store_true", required=True, help="say it")
    for action in run._actions:
        if action.dest in _OF_A_RUN:
            retry._add_action(action)
    add_run_options(retry)
    retry.set_defaults(func=run_run, retry_failed=True)
    catalog_status.register(commands, _OUT)
    verify = commands.add_parser("verify", help="hold every commit against its files")
    verify.add_argument("out", metavar="OUT", help=_OUT)
    verify.add_argument("--full", action="store_true", help="by sha256: reads everything")
    verify.add_argument("--sweep", action="store_true", help="remove attempts that no commit names; nothing may run")
    add_run_options(verify)
    verify.set_defaults(func=run_verify)
    export = commands.add_parser("export", help="the ledger of all runs as one table")
    export.add_argument("out", metavar="OUT", help=_OUT)
    export.add_argument("table", type=Path, metavar="FILE", help=".csv or .parquet")
    add_run_options(export)
    export.set_defaults(func=run_export)


def run_plan(args: argparse.Namespace) -> None:
    from daw_bridge.catalog.plan import make_plan
    from daw_bridge.catalog.recipe import recipe_of
    from daw_bridge.catalog.store import Store
    from daw_bridge.cli.console import answer, say, working

    options = options_from(args)
    with working(args) as (on_progress, cancel):
        source, out = Store(args.source), Store(args.out)
        source.require_source()  # before weights are fetched for nothing
        recipe = recipe_of(options, args.keep)
        plan = make_plan(source, out, recipe, shard_songs=args.shard_songs, on_progress=on_progress, cancel=cancel)
    say(args, f"{plan.songs} songs in {plan.shards} shards; next: daw-bridge catalog run {args.out}")
    if plan.left_out:
        say(args, f"{plan.left_out} left out:")
        for each in plan.left_out_first:
            say(args, f"  {each}")
        if plan.left_out > len(plan.left_out_first):
            say(args, f"  and {plan.left_out - len(plan.left_out_first)} more")
    found = {"songs": plan.songs, "shards": plan.shards, "source": plan.source, "out": args.out}
    answer(args, {**found, "left_out": plan.left_out, "left_out_first": list(plan.left_out_first)})


def run_run(args: argparse.Namespace) -> None:
    from daw_bridge.catalog.run import RunOptions, run_catalog
    from daw_bridge.catalog.store import Store
    from daw_bridge.cli.console import answer, say, working

    options = RunOptions(
        engine=args.engine,
        workers=args.actors,
        part=args.shard,
        of=args.of,
        device=args.device,
        deadline_s=args.deadline,
        scratch=args.scratch,
        retry_failed=args.retry_failed,
        address=args.address,
        gpus_per_worker=args.gpus_per_actor,
        cpus_per_worker=args.cpus_per_actor,
        insecure_cluster=args.insecure_cluster,
    )
    seen = 0

    def on_outcome(outcome: Outcome) -> None:
        nonlocal seen
        seen += 1
        if args.progress == "jsonl":
            print(json.dumps(_line(outcome), ensure_ascii=False), file=sys.stderr, flush=True)
            return
        text = f"FAILED: {outcome.error}" if outcome.error else f"{outcome.state} in {clock(outcome.elapsed_s)}"
        say(args, f"[{seen}] {outcome.song.mix}: {text}")

    with working(args) as (_on_progress, cancel):
        counts = run_catalog(Store(args.out), options, on_outcome=on_outcome, cancel=cancel)
    say(args, ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing was left to do")
    answer(args, dict(counts))
    if counts["failed"]:
        raise SongsFailed(
            f"{counts['failed']} songs failed; 'daw-bridge catalog export' lists why, 'retry --failed' tries again"
        )


def _line(outcome: Outcome) -> dict[str, object]:
    """One song for a machine that reads along."""
    return {
        "mix": outcome.song.mix,
        "key": outcome.song.key,
        "state": outcome.state,
        "error": outcome.error,
        "host": outcome.host,
        "elapsed_s": outcome.elapsed_s,
        "audio_s": outcome.audio_s,
    }


def run_verify(args: argparse.Namespace) -> None:
    from daw_bridge.catalog.checks import verify
    from daw_bridge.catalog.store import Store
    from daw_bridge.cli.console import answer, say, working

    with working(args) as (on_progress, cancel):
        found = verify(Store(args.out), full=args.full, sweep=args.sweep, on_progress=on_progress, cancel=cancel)
    say(args, f"{found.committed} of {found.songs} songs have a commit; {found.stray_attempts} attempts without one")
    for problem in found.problems:
        say(args, f"  {problem}")
    answer(
        args,
        {
            "songs": found.songs,
            "committed": found.committed,
            "stray_attempts": found.stray_attempts,
            "swept": found.swept,
            "problems": list(found.problems),
        },
    )
    if found.problems:
        raise SongsFailed(f"{args.out}: {len(found.problems)} problems; delete the commits named and run again")


def run_export(args: argparse.Namespace) -> None:
    from daw_bridge.catalog.export import export_ledger
    from daw_bridge.catalog.store import Store
    from daw_bridge.cli.console import answer, say

    rows = export_ledger(Store(args.out), args.table)
    say(args, f"{rows} rows in {args.table}")
    answer(args, {"rows": rows, "table": str(args.table)})
