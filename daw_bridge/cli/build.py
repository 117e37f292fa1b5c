"""`build`, `separate`, `rebuild`: from a mix to a session folder, and from a session folder to another session."""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.main import add_output_options
from daw_bridge.cli.options import add_options, options_from
from daw_bridge.errors import UsageError
from daw_bridge.option import names_in
from daw_bridge.units import SILENCE_DB, clock

if TYPE_CHECKING:
    from daw_bridge.adapter import MergePlace
    from daw_bridge.workflow import BuildOptions, BuildResult

Subparsers = argparse._SubParsersAction

_log = logging.getLogger(__name__)


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the three commands."""
    build = subparsers.add_parser("build", help="mix -> stems -> DAW session, in one folder")
    build.add_argument("mix", type=Path, metavar="MIX", help="WAV, AIFF, FLAC, OGG, MP3, M4A, or a video")
    add_options(build, "session", "music", "folder", "separation", "input")
    build.add_argument(
        "--into", type=Path, metavar="PROJECT", help="add the tracks to a copy of this session; -o names the copy"
    )
    build.add_argument("--at", metavar="WHERE", help="with --into: a marker or region of the project, or a time")
    build.add_argument(
        "--bus-map", action="append", metavar="STEM=TRACK", help="with --into: this stem onto a track of yours"
    )
    add_run_options(build)
    _add_if_needed(build)
    build.set_defaults(func=run_build, stems_only=False)
    separate = subparsers.add_parser("separate", help="mix -> stems, no session")
    separate.add_argument("mix", type=Path, metavar="MIX", help="WAV, AIFF, FLAC, OGG, MP3, M4A, or a video")
    add_options(separate, "music", "folder", "separation", "input")
    add_run_options(separate)
    _add_if_needed(separate)
    separate.set_defaults(func=run_build, stems_only=True, into=None, at=None, bus_map=None)
    rebuild = subparsers.add_parser("rebuild", help="another session from a finished folder; runs no model")
    rebuild.add_argument("folder", type=Path, metavar="FOLDER", help="a song folder made by build or separate")
    rebuild.add_argument("-t", "--template", metavar="T", help="bus template (default: that of the last session)")
    rebuild.add_argument("--daw", metavar="NAMES", help="one or several (default: those of the last sessions)")
    add_options(rebuild, "music")
    add_run_options(rebuild)
    rebuild.set_defaults(func=run_rebuild, if_needed=False)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """How a run shows itself."""
    choices = ("auto", "bar", "lines", "jsonl", "none")
    parser.add_argument("--progress", choices=choices, default="auto", help="how progress is shown on stderr")
    add_output_options(parser, default=argparse.SUPPRESS)


def _add_if_needed(parser: argparse.ArgumentParser) -> None:
    about = "a folder that holds just this already is the result, not an error"
    parser.add_argument("--if-needed", action="store_true", help=about)


def build_options(args: argparse.Namespace) -> BuildOptions:
    """The options of a `build`, `separate` or `batch` command line."""
    fixed: dict[str, object] = {"daws": ()} if args.stems_only else {}
    return options_from(args, **fixed, **({"output": None} if args.into else {}))


def run_build(args: argparse.Namespace) -> None:
    from daw_bridge.audio.guarded import start_ahead

    start_ahead()  # beside the imports that take longest
    from daw_bridge.cli.console import working
    from daw_bridge.workflow import Into, build, build_into
    from daw_bridge.workflow.finished import build_if_needed

    options = build_options(args)
    if args.into is None and (args.at or args.bus_map):
        raise UsageError("--at and --bus-map say where --into puts the stems; give --into PROJECT, too")
    with working(args) as (on_progress, cancel):
        if args.if_needed and args.into is None:
            result = build_if_needed(args.mix, options, on_progress=on_progress, cancel=cancel)
        elif args.into is None:
            result = build(args.mix, options, on_progress=on_progress, cancel=cancel)
        else:
            into = Into(session=args.into, target=_new_session(args), place=_merge_place(args))
            result = build_into(args.mix, into, options, on_progress=on_progress, cancel=cancel)
    _report(args, result)


def _merge_place(args: argparse.Namespace) -> MergePlace:
    from daw_bridge.adapter import MergePlace

    pairs = [pair.partition("=") for pair in args.bus_map or ()]
    for stem, equals, track in pairs:
        if not (stem.strip() and equals and track.strip()):
            raise UsageError(f"--bus-map {stem}{equals}{track}: give it as STEM=TRACK, as in --bus-map vocals=MyVox")
    return MergePlace(at=args.at, bus_map=tuple((stem.strip(), track.strip()) for stem, _, track in pairs))


def _new_session(args: argparse.Namespace) -> Path:
    """Where `--into` writes: never over the session that it adds to."""
    if args.output is None:
        raise UsageError(f"--into {args.into}: name the new session with -o, as in -o {args.into.stem}-stems.rpp")
    return Path(args.output)


def _given_daws(text: str | None) -> tuple[str, ...] | None:
    """The names of `--daw`; None where it was not given."""
    if text is None or names_in(text):
        return None if text is None else names_in(text)
    raise UsageError("--daw: names no DAW; give one, as in --daw reaper")


def run_rebuild(args: argparse.Namespace) -> None:
    from daw_bridge.build_options import BuildOptions
    from daw_bridge.cli.console import working
    from daw_bridge.workflow import rebuild

    with working(args) as (on_progress, _cancel):
        asked = options_from(args, template=BuildOptions().template, daws=())
        music = asked if asked != options_from(argparse.Namespace(), daws=()) else None
        daws = _given_daws(args.daw)
        result = rebuild(args.folder, template=args.template, daws=daws, music=music, on_progress=on_progress)
    _report(args, result, separated=False)


def _report(args: argparse.Namespace, result: BuildResult, *, separated: bool = True) -> None:
    """What a person and a program hear of it; `separated` is false where the stems were there before."""
    from daw_bridge.cli.console import answer, say

    manifest, separation, reference = result.manifest, result.song.separation, result.song.reference
    _log.debug("settings: %s", _pairs(separation.settings))
    _log.debug("versions: %s", _pairs(separation.versions))
    say(args, f"Stems:   {', '.join(stem.name for stem in manifest.stems)}")
    source = "from the cache" if separation.from_cache else f"in {clock(separation.elapsed_s)}"
    say(args, f"Model:   {separation.model} ({source})")
    fresh = separated and not separation.from_cache
    when = "stems summed, read back, against the mix" if fresh else "measured when the stems were made"
    say(args, f"Null:    {null_text(separation.null_depth_db)} ({when})")
    planned = manifest.sessions[-1].plan.get("notes", ()) if result.reports and manifest.sessions else ()
    for note in (*reference.notes, *separation.notes, *planned):
        say(args, f"Note:    {note}")
    for report in result.reports:
        for limit in report.limits:
            say(args, f"{report.adapter}: {limit.where}: {limit.feature} {limit.support}: {limit.what}")
    for report in result.reports:
        say(args, f"Session: {report.session_path}")
        say(args, f"         {report.how_to_open}")
    if not result.reports:
        say(args, f"Folder:  {result.folder}")
        say(args, f"         make a session of it: daw-bridge rebuild {shlex.quote(str(result.folder))}")
    answer(
        args,
        {
            "folder": str(result.folder),
            "stems": {stem.name: str(result.folder / stem.file) for stem in manifest.stems},
            "reference": str(result.folder / reference.file),
            "null_depth_db": separation.null_depth_db,
            "from_cache": separation.from_cache,
            "model": separation.model,
            "sessions": _session_paths(args, result),
            "limits": [
                f"{report.adapter}: {limit.where}: {limit.what}" for report in result.reports for limit in report.limits
            ],
            "elapsed_s": round(result.elapsed_s, 3),
        },
    )


def _session_paths(args: argparse.Namespace, result: BuildResult) -> dict[str, str]:
    """By adapter; those of the folder where `--if-needed` found them made."""
    if result.reports or not args.if_needed:
        return {report.adapter: str(report.session_path) for report in result.reports}
    return {record.adapter: str(result.folder / record.file) for record in result.manifest.sessions}


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def null_text(null_depth_db: float) -> str:
    """`-138.5 dBFS`; below the noise of 24-bit converters it only says that it is deeper."""
    return f"{SILENCE_DB:.0f} dBFS or deeper" if null_depth_db <= SILENCE_DB else f"{null_depth_db:.1f} dBFS"
