"""`doctor`: what works on this machine, what is missing, and how to get it."""

from __future__ import annotations

import argparse

from daw_bridge.cli.main import add_output_options


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = subparsers.add_parser("doctor", help="what works here, what is missing, how to get it")
    add_output_options(parser, default=argparse.SUPPRESS)
    parser.set_defaults(func=run_doctor)


def run_doctor(args: argparse.Namespace) -> int:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.doctor import examine, verdict

    findings = examine()
    for finding in findings:
        mark = "ok " if finding.ok else ("-- " if finding.optional else "!! ")
        say(args, f"{mark} {finding.name:<22} {finding.detail}")
        if not finding.ok and finding.fix:
            say(args, f"   {'':<22} -> {finding.fix}")
    say(args, verdict(findings))
    answer(
        args,
        [
            {"name": item.name, "ok": item.ok, "optional": item.optional, "detail": item.detail, "fix": item.fix}
            for item in findings
        ],
    )
    return 1 if any(not finding.ok and not finding.optional for finding in findings) else 0
