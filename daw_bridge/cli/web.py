"""`daw-bridge web`: the daemon with its page, and a browser that shows it."""

from __future__ import annotations

import argparse
from pathlib import Path

from daw_bridge.cli import serve as serve_command
from daw_bridge.cli.main import add_output_options
from daw_bridge.errors import InputError


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `web`."""
    parser = subparsers.add_parser(
        "web",
        help="the page: drop a mix, watch, listen, mix, open it in the DAW",
        description="Open a page in the browser where a mix becomes a session: make it, look at it, hear it with and "
        "without its template, open it in the DAW. Runs until Ctrl-C; it is `serve` with a page.",
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="FOLDER", help="music folder (default: the current one)"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the link only")
    parser.add_argument(
        "--lan", action="store_true", help="let tablets and phones in this network use the page, by a link with a key"
    )
    serve_command.add_page_options(parser)
    serve_command.add_arguments(parser)
    add_output_options(parser, default=argparse.SUPPRESS)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> None:
    """Serve until a signal."""
    if args.folder is not None:
        if not args.folder.is_dir():
            raise InputError(f"{args.folder}: there is no such folder; give the folder where your mixes are")
        args.music = [args.folder, *(args.music or [])]
    host = "0.0.0.0" if args.lan else args.bind  # noqa: S104  # asked for, and every request needs the key
    serve_command.run(args, parts=[serve_command.page_part(args, host, browser=not args.no_browser)])
