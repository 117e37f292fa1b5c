"""`daw-bridge reaper`: prepare REAPER, check each link, run the jobs of the actions inside REAPER."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.main import add_output_options

if TYPE_CHECKING:
    from daw_bridge_reaper.configure.changes import SetupReport


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `reaper` with its commands."""
    parser = subparsers.add_parser("reaper", help="prepare REAPER: actions, live connection, control surfaces")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    setup = commands.add_parser("setup", help="install the actions (REAPER must be closed)")
    setup.add_argument("--live", action="store_true", help="also switch on what 'reaper-live' needs (web, Python)")
    setup.add_argument("--web-port", type=int, default=2307, metavar="N", help="port of REAPER's web interface (2307)")
    setup.set_defaults(func=_setup)
    undo = commands.add_parser("undo", help="take away what setup wrote (REAPER must be closed)")
    undo.set_defaults(func=_undo)
    for command in (setup, undo):
        command.add_argument("--resource-path", type=Path, metavar="DIR", help="REAPER's folder of settings")
        command.add_argument("--dry-run", action="store_true", help="only show what would change")
    doctor = commands.add_parser("doctor", help="check each link between daw-bridge and REAPER")
    doctor.add_argument(
        "--bundle",
        type=Path,
        nargs="?",
        const=Path("daw-bridge-reaper.zip"),
        metavar="FILE.zip",
        help="also pack what a helper needs to see (daw-bridge-reaper.zip here by default)",
    )
    doctor.set_defaults(func=_doctor)
    job = commands.add_parser("job", help="run a job of the actions inside REAPER (they call this)")
    job.add_argument("job", type=Path, metavar="JOB.json")
    job.set_defaults(func=_job)
    index = commands.add_parser("reapack", help="print a ReaPack index of the actions")
    index.add_argument("--base-url", required=True, metavar="URL", help="where the actions can be downloaded (https)")
    index.set_defaults(func=_index)
    for command in (setup, undo, doctor, job, index):
        add_output_options(command, default=argparse.SUPPRESS)


def _setup(args: argparse.Namespace) -> None:
    from daw_bridge_reaper.configure.changes import SetupOptions
    from daw_bridge_reaper.configure.setup import setup

    options = SetupOptions(
        resource_path=args.resource_path, web_port=args.web_port, live=args.live, dry_run=args.dry_run
    )
    report = setup(options)
    done = "Start REAPER and press ? for the action list: type daw-bridge."
    _show(args, report, done if report.changed else "Everything is set up already.")


def _undo(args: argparse.Namespace) -> None:
    from daw_bridge_reaper.configure.setup import undo

    report = undo(resource_path=args.resource_path, dry_run=args.dry_run)
    _show(args, report, "REAPER is as it was before.")


def _show(args: argparse.Namespace, report: SetupReport, done: str) -> None:
    from daw_bridge.cli.console import answer, say, say_lines

    if args.dry_run:
        say_lines(args, report.diff or "Nothing would change.")
    for path in report.changed:
        say(args, f"{'would write' if args.dry_run else 'wrote'} {path}")
    for path in report.deleted:
        say(args, f"{'would delete' if args.dry_run else 'deleted'} {path}")
    for note in report.notes:
        say(args, f"note: {note}")
    if not args.dry_run:
        say(args, done)
    changed, deleted = ([str(path) for path in each] for each in (report.changed, report.deleted))
    notes = list(report.notes)
    answer(args, {"changed": changed, "deleted": deleted, "diff": report.diff, "notes": notes, "dry_run": args.dry_run})


def _doctor(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge_reaper.configure.doctor import examine

    checks = examine()
    for check in checks:
        say(args, f"{'ok ' if check.ok else '-- '} {check.name:<22} {check.detail}")
        if not check.ok and check.fix:
            say(args, f"   {'':<22} -> {check.fix}")
    if args.bundle is not None:
        from daw_bridge_reaper.configure.bundle import write_bundle

        names = write_bundle(args.bundle)
        say(args, f"wrote {args.bundle}: {', '.join(names)}. Look into it before you send it to anybody.")
    answer(args, [{"name": each.name, "ok": each.ok, "detail": each.detail, "fix": each.fix} for each in checks])


def _job(args: argparse.Namespace) -> int:
    from daw_bridge.cli.reaper_job import run_job

    return run_job(args.job)


def _index(args: argparse.Namespace) -> None:
    from daw_bridge.version import __version__
    from daw_bridge_reaper.configure.reapack import index_xml

    index = index_xml(args.base_url, __version__)
    print(json.dumps({"xml": index}) + "\n" if args.json else index, end="")
