"""`cache`: what the stems cache holds, and clearing it."""

from __future__ import annotations

import argparse

from daw_bridge.cli.main import add_output_options


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cache show|clear|trim`."""
    cache = subparsers.add_parser("cache", help="stems that were separated before: show, clear, trim")
    commands = cache.add_subparsers(metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="what is in the cache")
    show.set_defaults(func=run_show)
    clear = commands.add_parser("clear", help="drop everything; finished song folders keep their stems")
    clear.set_defaults(func=run_clear)
    trim = commands.add_parser("trim", help="drop the least recently used until a size is reached")
    trim.add_argument("size_gb", type=float, metavar="GB")
    trim.set_defaults(func=run_trim)
    for parser in (show, clear, trim):
        add_output_options(parser, default=argparse.SUPPRESS)


def run_show(args: argparse.Namespace) -> None:
    from daw_bridge.cache import StemCache
    from daw_bridge.cli.console import answer, say
    from daw_bridge.units import human_bytes

    cache = StemCache()
    entries = cache.entries()
    for entry in entries:
        model = entry.record.get("separation", {}).get("model", "?")
        say(args, f"{entry.key[:12]}  {human_bytes(entry.size_bytes):>9}  {model:<12} {', '.join(sorted(entry.files))}")
    total = sum(entry.size_bytes for entry in entries)
    say(
        args,
        f"{len(entries)} separations, {human_bytes(total)} of at most {human_bytes(cache.limit_bytes)}: {cache.root}",
    )
    answer(
        args,
        {
            "folder": str(cache.root),
            "limit_bytes": cache.limit_bytes,
            "size_bytes": total,
            "entries": [
                {
                    "key": entry.key,
                    "size_bytes": entry.size_bytes,
                    "model": entry.record.get("separation", {}).get("model"),
                    "files": sorted(entry.files),
                    "used_at_s": entry.used_at_s,
                }
                for entry in entries
            ],
        },
    )


def run_clear(args: argparse.Namespace) -> None:
    from daw_bridge.cache import StemCache

    _say_freed(args, StemCache().clear())


def run_trim(args: argparse.Namespace) -> None:
    from daw_bridge.cache import StemCache
    from daw_bridge.errors import UsageError

    if not 0 <= args.size_gb < float("inf"):
        raise UsageError(f"cache trim {args.size_gb}: give a size in GB from 0")
    _say_freed(args, StemCache().trim(int(args.size_gb * 1e9)))


def _say_freed(args: argparse.Namespace, count_bytes: int) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.units import human_bytes

    say(args, f"freed {human_bytes(count_bytes)}")
    answer(args, {"freed_bytes": count_bytes})
