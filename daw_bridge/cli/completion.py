"""`completion`: the shell's completion script."""

from __future__ import annotations

import argparse
import json

from daw_bridge.cli.main import add_output_options

SHELLS = ("bash", "zsh", "tcsh")


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `completion SHELL`."""
    parser = subparsers.add_parser(
        "completion",
        help="print a completion script for your shell",
        epilog='bash: eval "$(daw-bridge completion bash)"; zsh: daw-bridge completion zsh > ~/.zfunc/_daw-bridge',
    )
    parser.add_argument("shell", choices=SHELLS)
    add_output_options(parser, default=argparse.SUPPRESS)
    parser.set_defaults(func=run_completion)


def run_completion(args: argparse.Namespace) -> None:
    import shtab

    from daw_bridge.cli.main import build_parser

    script = shtab.complete(build_parser(), shell=args.shell)
    print(json.dumps({"shell": args.shell, "script": script}) if args.json else script)
