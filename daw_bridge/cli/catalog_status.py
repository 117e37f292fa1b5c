"""`catalog status`: once, or live on the terminal until the catalog is done; as JSON, a table, or metrics."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.build import add_run_options
from daw_bridge.units import clock, human_bytes

if TYPE_CHECKING:
    from daw_bridge.catalog.status import CatalogStatus
    from daw_bridge.progress import CancelToken

_WATCH_S = 5.0
_TO_THE_TOP_AND_CLEAR = "\x1b[H\x1b[J"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser], out_help: str) -> None:
    """Add `status` to the commands of `catalog`."""
    status = commands.add_parser("status", help="how much is done, failed, left; how fast, at what cost, on which node")
    status.add_argument("out", metavar="OUT", help=out_help)
    status.add_argument("--cost-per-hour", type=float, metavar="C", help="of one worker: adds the cost of a song")
    status.add_argument("--watch", action="store_true", help="again and again, until nothing is left")
    status.add_argument("--every", type=float, default=_WATCH_S, metavar="S", help="seconds between (default: 5)")
    status.add_argument("--table", type=Path, metavar="FILE", help="the nodes, as .csv or .parquet")
    status.add_argument("--prometheus", type=Path, metavar="FILE", help="metrics for its textfile collector")
    add_run_options(status)
    status.set_defaults(func=run_status)


def run_status(args: argparse.Namespace) -> None:
    from daw_bridge.catalog.report import write_prometheus, write_table
    from daw_bridge.catalog.status import StatusReader
    from daw_bridge.catalog.store import Store
    from daw_bridge.cli.console import working
    from daw_bridge.errors import UsageError

    if not args.every > 0:
        raise UsageError(f"--every {args.every:g}: give more than 0 seconds")
    reader = StatusReader(Store(args.out))
    with working(args) as (_on_progress, cancel):
        while True:
            found = reader.read()
            if args.table is not None:
                write_table(found, args.table)
            if args.prometheus is not None:
                cost = None if args.cost_per_hour is None else found.cost_per_song(args.cost_per_hour)
                write_prometheus(found, args.out, args.prometheus, cost_per_song=cost)
            _show(args, found)
            if not args.watch or not found.left:
                return
            _pause(args.every, cancel)


def _pause(seconds: float, cancel: CancelToken) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        cancel.check()
        time.sleep(min(0.2, seconds))


def _show(args: argparse.Namespace, found: CatalogStatus) -> None:
    if args.json:
        print(json.dumps(_data(found, args.cost_per_hour), ensure_ascii=False), flush=True)
    elif not args.quiet:
        live = args.watch and sys.stdout.isatty()
        print((_TO_THE_TOP_AND_CLEAR if live else "") + "\n".join(table_lines(found, args.cost_per_hour)), flush=True)


def table_lines(found: CatalogStatus, cost_per_hour: float | None) -> list[str]:
    """What a person reads."""
    lines = [f"{found.done} of {found.songs} songs done, {found.failed} failed, {found.left} left"]
    if found.songs_per_hour is not None:
        eta = f"; what is left takes {clock(found.eta_s)}" if found.left and found.eta_s is not None else ""
        lines.append(f"{found.songs_per_hour:.0f} songs an hour{eta}")
    each = found.worker_s_per_song
    if each is not None:
        kept = f"{clock(found.audio_s)} of music, {human_bytes(found.size_bytes)} kept"
        lines.append(f"{each:.1f} s of a worker a song; {kept}")
    cost = None if cost_per_hour is None else found.cost_per_song(cost_per_hour)
    if cost is not None:
        lines.append(f"{cost:.4f} a song, {cost * found.left:.2f} for what is left")
    if found.nodes:
        width = max(4, *(len(node.host) for node in found.nodes))
        lines.append(f"{'node':<{width}} {'done':>9} {'failed':>7} {'s a song':>9} {'last':>9}")
        for node in found.nodes:
            ago = clock(max(0.0, time.time() - node.last_at_unix_s))
            each_s = f"{node.worker_s / node.done:.1f}" if node.done else "-"
            lines.append(f"{node.host:<{width}} {node.done:>9} {node.failed:>7} {each_s:>9} {ago:>9}")
    return lines


def _data(found: CatalogStatus, cost_per_hour: float | None) -> dict[str, object]:
    return {
        "songs": found.songs,
        "done": found.done,
        "failed": found.failed,
        "left": found.left,
        "songs_per_hour": found.songs_per_hour,
        "eta_s": found.eta_s,
        "worker_s_per_song": found.worker_s_per_song,
        "cost_per_song": None if cost_per_hour is None else found.cost_per_song(cost_per_hour),
        "nodes": [
            {
                "host": node.host,
                "done": node.done,
                "failed": node.failed,
                "worker_s": node.worker_s,
                "last_at_unix_s": node.last_at_unix_s,
            }
            for node in found.nodes
        ],
    }
