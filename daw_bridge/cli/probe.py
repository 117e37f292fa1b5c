"""`probe`: what an audio file claims to be, and what it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.main import add_output_options
from daw_bridge.errors import InputError

if TYPE_CHECKING:
    from daw_bridge.audio.decode import DecodedAudio


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `probe`."""
    parser = subparsers.add_parser(
        "probe",
        help="what a file claims to be, and what it is",
        description="Decode audio files without writing anything: length claimed, there and decoded, and every remark.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--accept-damaged", action="store_true", help="go on behind damage, with silence in the holes")
    parser.add_argument(
        "--progress", choices=("auto", "bar", "lines", "jsonl", "none"), default="auto", help="how progress is shown"
    )
    add_output_options(parser, default=argparse.SUPPRESS)
    parser.set_defaults(func=run_probe)


def run_probe(args: argparse.Namespace) -> int:
    from daw_bridge.audio.guarded import examine
    from daw_bridge.cli.console import answer, print_error, say, working

    found: list[dict[str, object]] = []
    failed = 0
    with working(args) as (on_progress, cancel):
        for path in args.files:
            try:
                result = examine(path, accept_damaged=args.accept_damaged, on_progress=on_progress, cancel=cancel)
            except InputError as exc:
                failed += 1
                found.append({"file": str(path), "error": str(exc)})
                print_error(str(exc))
                continue
            found.append(_facts(path, result))
            for line in _lines(path, result):
                say(args, line)
    answer(args, found)
    return InputError.exit_code if failed else 0


def _facts(path: Path, result: DecodedAudio) -> dict[str, object]:
    info = result.info
    return {
        "file": str(path),
        "container": info.container,
        "codec": info.codec,
        "sample_rate_hz": info.sample_rate_hz,
        "channels": info.channels,
        "claimed_samples": info.claim.claimed_samples,
        "behind_samples": info.claim.behind_samples,
        "decoded_samples": result.length_samples,
        "peak_db": round(result.peak_db, 2) if result.peak_db > -1000 else None,
        "holes": [[hole.start_samples, hole.length_samples] for hole in result.holes],
        "notes": list(result.notes),
    }


def _lines(path: Path, result: DecodedAudio) -> list[str]:
    info = result.info

    def length(samples: int | None) -> str:
        return "not stated" if samples is None else f"{samples} samples ({samples / info.sample_rate_hz:.3f} s)"

    return [
        str(path),
        f"  {info.container}, {info.codec}, {info.sample_rate_hz} Hz, {info.channels} channel(s), "
        f"peak {result.peak_db:.1f} dBFS",
        f"  claimed:  {length(info.claim.claimed_samples)}",
        f"  there:    {length(info.claim.behind_samples)}",
        f"  decoded:  {length(result.length_samples)}",
        *(f"  note:     {note}" for note in result.notes),
    ]
