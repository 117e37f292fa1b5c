"""`build`, `separate`, `rebuild`: from a mix to a session folder, and from a session folder to another session."""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.main import add_output_options
from daw_bridge.errors import UsageError
from daw_bridge.units import SILENCE_DB, clock

if TYPE_CHECKING:
    from daw_bridge.workflow import BuildOptions, BuildResult

Subparsers = argparse._SubParsersAction

_log = logging.getLogger(__name__)


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the three commands."""
    build = subparsers.add_parser("build", help="mix -> stems -> DAW session, in one folder")
    build.add_argument("mix", type=Path, metavar="MIX", help="WAV, AIFF, FLAC, OGG, MP3, M4A, or a video")
    add_separation_options(build)
    build.add_argument("-t", "--template", metavar="T", help="bus template: a name or a .yaml file (default: band)")
    build.add_argument("--daw", metavar="NAMES", help="one or several, as in reaper,ardour (default: reaper)")
    build.add_argument(
        "--into", type=Path, metavar="PROJECT", help="add the tracks to a copy of this session; -o names the copy"
    )
    build.set_defaults(func=run_build, stems_only=False)
    separate = subparsers.add_parser("separate", help="mix -> stems, no session")
    separate.add_argument("mix", type=Path, metavar="MIX", help="WAV, AIFF, FLAC, OGG, MP3, M4A, or a video")
    add_separation_options(separate)
    separate.set_defaults(func=run_build, stems_only=True, template=None, daw=None, into=None)
    rebuild = subparsers.add_parser("rebuild", help="another session from a finished folder; runs no model")
    rebuild.add_argument("folder", type=Path, metavar="FOLDER", help="a song folder made by build or separate")
    rebuild.add_argument("-t", "--template", metavar="T", help="bus template (default: that of the last session)")
    rebuild.add_argument("--daw", metavar="NAMES", help="one or several (default: those of the last sessions)")
    _add_progress_option(rebuild)
    add_output_options(rebuild, default=argparse.SUPPRESS)
    rebuild.set_defaults(func=run_rebuild)


def add_separation_options(parser: argparse.ArgumentParser) -> None:
    """What `build`, `separate` and `batch` share."""
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="song folder (default: MIX.session beside it)")
    parser.add_argument("--name", help="name of the session (default: that of the mix)")
    parser.add_argument("--force", action="store_true", help="replace files that daw-bridge made in that folder")
    parser.add_argument("--no-cache", action="store_true", help="neither use nor fill the cache of stems")
    model = parser.add_argument_group("separation")
    model.add_argument("-m", "--model", help="see 'daw-bridge models list' (default: htdemucs_ft)")
    model.add_argument("--weights", type=Path, metavar="PATH", help="weights of your own: a file or a folder")
    model.add_argument("--stems", metavar="A,B", help="only these stems; the rest stays in the residual")
    model.add_argument("--two-stems", metavar="STEM", help="that stem and everything else, e.g. vocals")
    model.add_argument("--overlap", type=float, metavar="0.25", help="share of a segment; at least 0.25")
    model.add_argument("--segment", type=float, metavar="S", help="seconds a segment; changes the samples")
    model.add_argument("--shifts", type=int, metavar="N", help="average N shifted runs: better, N times slower")
    model.add_argument("--residual", metavar="WHERE", help="keep (default), fold:STEM, spread or none")
    model.add_argument("--format", dest="encoding", metavar="F", help="float32 (default), pcm24 or flac")
    model.add_argument("--device", metavar="D", help="auto (default), cpu, cuda or cuda:N")
    model.add_argument("--batch", type=int, metavar="N", help="segments at once (default: from free memory)")
    model.add_argument("--precision", metavar="P", default="fp32", help="fp32 (default) or tf32; fp16 is refused")
    model.add_argument("--allow-stems", action="store_true", help="separate even what looks like a stem already")
    channels = parser.add_mutually_exclusive_group()
    channels.add_argument("--downmix", action="store_true", help="fold more than two channels to stereo")
    channels.add_argument("--channels", metavar="L,R", help="take this pair of channels, counted from 1")
    _add_progress_option(parser)
    add_output_options(parser, default=argparse.SUPPRESS)


def _add_progress_option(parser: argparse.ArgumentParser) -> None:
    choices = ("auto", "bar", "lines", "jsonl", "none")
    parser.add_argument("--progress", choices=choices, default="auto", help="how progress is shown on stderr")


def build_options(args: argparse.Namespace) -> BuildOptions:
    """The options of a `build` or `separate` command line; what was not given keeps its default."""
    from daw_bridge.workflow import BuildOptions

    given = {
        "model": args.model,
        "weights": args.weights,
        "stems": _names(args.stems),
        "two_stems": args.two_stems,
        "overlap": args.overlap,
        "segment_s": args.segment,
        "shifts": args.shifts,
        "residual": args.residual,
        "encoding": args.encoding,
        "device": args.device,
        "batch_segments": args.batch,
        "allow_stems": args.allow_stems,
        "allow_tf32": args.precision == "tf32",
        "precision": "fp32" if args.precision == "tf32" else args.precision,
        "template": args.template,
        "daws": () if args.stems_only else _daws(args.daw),
        "output": None if args.into else args.output,
        "name": args.name,
        "channels": "downmix" if args.downmix else _pair(args.channels),
        "force": args.force,
        "use_cache": not args.no_cache,
    }
    return BuildOptions(**{key: value for key, value in given.items() if value is not None})


def _daws(text: str | None) -> tuple[str, ...] | None:
    names = _names(text)
    if names == ():
        raise UsageError("--daw: names no DAW; give one, as in --daw reaper, or use 'daw-bridge separate' for none")
    return names


def _names(text: str | None) -> tuple[str, ...] | None:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text is not None else None


def _pair(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        left, right = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--channels {text}: give two channel numbers from 1, as in --channels 1,2") from None
    return left, right


def run_build(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import working
    from daw_bridge.workflow import Into, build, build_into

    options = build_options(args)
    with working(args) as (on_progress, cancel):
        if args.into is None:
            result = build(args.mix, options, on_progress=on_progress, cancel=cancel)
        else:
            into = Into(session=args.into, target=_new_session(args))
            result = build_into(args.mix, into, options, on_progress=on_progress, cancel=cancel)
    _report(args, result)


def _new_session(args: argparse.Namespace) -> Path:
    """Where `--into` writes: never over the session that it adds to."""
    if args.output is None:
        raise UsageError(f"--into {args.into}: name the new session with -o, as in -o {args.into.stem}-stems.rpp")
    return Path(args.output)


def run_rebuild(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import working
    from daw_bridge.workflow import rebuild

    with working(args) as (on_progress, _cancel):
        result = rebuild(args.folder, template=args.template, daws=_daws(args.daw), on_progress=on_progress)
    _report(args, result, separated=False)


def _report(args: argparse.Namespace, result: BuildResult, *, separated: bool = True) -> None:
    """What a person and a program hear of it; `separated` is false where the stems were there before."""
    from daw_bridge.cli.console import answer, say

    manifest, separation, reference = result.manifest, result.manifest.separation, result.manifest.reference
    if separation is None or reference is None:  # a finished folder has both
        return
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
            "sessions": {report.adapter: str(report.session_path) for report in result.reports},
            "limits": [
                f"{report.adapter}: {limit.where}: {limit.what}" for report in result.reports for limit in report.limits
            ],
            "elapsed_s": round(result.elapsed_s, 3),
        },
    )


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def null_text(null_depth_db: float) -> str:
    """`-138.5 dBFS`; below the noise of 24-bit converters it only says that it is deeper."""
    return f"{SILENCE_DB:.0f} dBFS or deeper" if null_depth_db <= SILENCE_DB else f"{null_depth_db:.1f} dBFS"
