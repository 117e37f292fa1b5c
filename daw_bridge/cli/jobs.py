"""`daw-bridge jobs`: the daemon's queue from the command line, by the same commands that surfaces send."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.control import DEFAULT_PORT
from daw_bridge.errors import UsageError

if TYPE_CHECKING:
    from daw_bridge.control.net.local_client import DaemonClient
    from daw_bridge.osc import Message


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from daw_bridge.cli.main import add_output_options

    parser = subparsers.add_parser("jobs", help="list, add, cancel and watch jobs of the running daemon")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the last jobs, newest first")
    listing.add_argument("--limit", type=int, default=20, help="how many (default: %(default)s)")
    listing.set_defaults(func=run_list)
    add = actions.add_parser("add", help="queue a job")
    add.add_argument("command", choices=("build", "separate", "rebuild"), help="what to do")
    add.add_argument("path", type=Path, help="the mix, or the song folder for rebuild")
    add.add_argument("-t", "--template", default="", help="bus template")
    add.add_argument("-m", "--model", default="", help="separation model")
    add.add_argument("--daw", default="", help="DAW, several with commas")
    add.add_argument("--stems", default="", metavar="A,B", help="only these stems")
    add.add_argument("--two-stems", default="", metavar="STEM", help="this stem and everything else")
    add.add_argument("--watch", action="store_true", help="wait until it has ended")
    add.set_defaults(func=run_add)
    cancel = actions.add_parser("cancel", help="cancel a job")
    cancel.add_argument("job", type=int, nargs="?", default=0, help="its number (default: the one that runs)")
    cancel.set_defaults(func=run_cancel)
    watch = actions.add_parser("watch", help="print progress until the queue is empty or Ctrl-C")
    watch.set_defaults(func=run_watch)
    for action in (listing, add, cancel, watch):
        action.add_argument("--host", default="127.0.0.1", help="where the daemon runs (default: this machine)")
        action.add_argument("--port", type=int, default=DEFAULT_PORT, help="its port (default: %(default)s)")
        action.add_argument("--token-file", type=Path, metavar="FILE", help="token, for a daemon on another machine")
        add_output_options(action, default=argparse.SUPPRESS)


def _connect(args: argparse.Namespace) -> DaemonClient:
    from daw_bridge.cli.serve import first_line
    from daw_bridge.control.net.local_client import DaemonClient

    if not 0 < args.port < 65536:
        raise UsageError(f"--port {args.port}: a port is a number from 1 to 65535")
    token = first_line(args.token_file) if args.token_file else ""
    return DaemonClient(args.host, args.port, token=token)


def run_list(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say

    with _connect(args) as daemon:
        before, _ = daemon.call("/dawbridge/jobs", args.limit)
    jobs = [_row(message) for message in before if message.address == "/dawbridge/state"]
    for job in jobs:
        line = f"{job['job']:>5}  {job['state']:<9} {job['percent']:5.1f} %  {job['command']:<8} {job['name']}"
        say(args, f"{line}  {job['detail']}".rstrip())
    if not jobs:
        say(args, "no jobs")
    answer(args, jobs)


def run_add(args: argparse.Namespace) -> int:
    from daw_bridge.cli.console import answer, say

    path = str(args.path.expanduser().absolute())
    stems = (args.stems, args.two_stems)
    if args.command == "rebuild" and any(stems):
        raise UsageError("rebuild takes the stems that are there; leave --stems and --two-stems out")
    options = {"build": (args.template, args.daw, args.model, *stems), "separate": (args.model, *stems)}
    with _connect(args) as daemon:
        if args.watch:
            daemon.call("/dawbridge/subscribe")
        chosen = options.get(args.command, (args.template, args.daw))
        before, values = daemon.call(f"/dawbridge/{args.command}", path, *chosen)
        number = int(str(values[0]))
        if not args.watch:
            say(args, f"job {number} queued")
            answer(args, {"job": number})
            return 0
        return _watch(args, daemon, before, number)


def run_cancel(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say

    with _connect(args) as daemon:
        _, values = daemon.call("/dawbridge/cancel", args.job)
    say(args, f"job {values[0]!s}: cancelling")
    answer(args, {"job": values[0]})


def run_watch(args: argparse.Namespace) -> int:
    with _connect(args) as daemon:
        before, _ = daemon.call("/dawbridge/subscribe")
        jobs, _ = daemon.call("/dawbridge/jobs", 200)
        waiting = {
            int(str(message.arguments[1]))
            for message in [*before, *jobs]
            if message.address == "/dawbridge/state" and message.arguments[3] in ("queued", "running")
        }
        for number in sorted(waiting):
            _watch(args, daemon, [], number)
    return 0


def _watch(args: argparse.Namespace, daemon: DaemonClient, before: list[Message], number: int) -> int:
    """Print until that job has ended; 0 when it is done."""
    from itertools import chain

    from daw_bridge.cli.console import answer, say
    from daw_bridge.units import clock

    states, _ = daemon.call("/dawbridge/jobs", 200)
    for message in chain(before, states, daemon.messages()):
        if len(message.arguments) < 2 or message.arguments[1] != number:
            continue
        if message.address == "/dawbridge/progress":
            _, _, percent, stage, eta_s, note = message.arguments
            left = f", {clock(float(str(eta_s)))} left" if float(str(eta_s)) >= 0 else ""
            say(args, f"job {number}: {float(str(percent)):5.1f} % {stage!s}{left} {note!s}".rstrip())
        elif message.address == "/dawbridge/state":
            job = _row(message)
            if job["state"] in ("done", "failed", "cancelled"):
                say(args, f"job {number}: {job['state']} {job['detail']}".rstrip())
                answer(args, job)
                return 0 if job["state"] == "done" else 1
    return 1


def _row(message: Message) -> dict[str, object]:
    names = ("id", "job", "command", "state", "percent", "detail", "name")
    return dict(zip(names, message.arguments, strict=True))
