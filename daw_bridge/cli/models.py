"""`models`: which models there are, what is known about one, its weights onto this machine, and advice."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daw_bridge.cli.main import add_output_options

if TYPE_CHECKING:
    from daw_bridge.separation.model_info import ModelInfo


LICENCES = (
    "licence: of the weights. clear: free to use for music that is sold; copyleft: conditions that nobody has tried on "
    "weights; non-commercial: its maker forbids it; unstated: nobody said. docs/licences.md tells what that means"
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `models list|info|fetch|add|recommend`."""
    models = subparsers.add_parser("models", help="separation models: list, info, fetch, add, recommend")
    commands = models.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="all models: stems, quality, speed, whether the weights are here")
    listing.set_defaults(func=run_list)
    info = commands.add_parser("info", help="everything that is known about one model")
    info.add_argument("model", metavar="MODEL")
    info.set_defaults(func=run_info)
    fetch = commands.add_parser("fetch", help="download the weights of models, for work without a network")
    fetch.add_argument("model", metavar="MODEL", nargs="+")
    fetch.set_defaults(func=run_fetch)
    add = commands.add_parser("add", help="remember a community checkpoint as a model of your own")
    add.add_argument("name", metavar="NAME", help="what to call it: letters, digits, - and _")
    add.add_argument("--checkpoint", type=Path, metavar="FILE", required=True, help="its file; it stays where it is")
    add.add_argument("--config", type=Path, metavar="YAML", required=True, help="the YAML published with it; is copied")
    add.add_argument("--licence", metavar="TEXT", default="not stated", help="what you know of its licence")
    add.add_argument("--licence-class", metavar="CLASS", default="unstated", help="clear, copyleft, non-commercial ...")
    add.set_defaults(func=run_add)
    recommend = commands.add_parser("recommend", help="which model for these stems on this machine")
    recommend.add_argument("--stems", metavar="A,B", default="", help="e.g. vocals,guitar (default: the usual four)")
    recommend.add_argument(
        "--task", metavar="T", help="4-stem, 6-stem, stems, vocals, kit, karaoke, dereverb or denoise"
    )
    recommend.add_argument("--clear", action="store_true", help="only models whose licence is clear")
    recommend.add_argument("--gpu-memory", metavar="GB", type=float, help="of the GPU; 0 for none (default: ask it)")
    recommend.set_defaults(func=run_recommend)
    for parser in (listing, info, fetch, add, recommend):
        add_output_options(parser, default=argparse.SUPPRESS)


def _record(info: ModelInfo) -> dict[str, Any]:
    from daw_bridge.separation.families.loader import weights_present

    return {**asdict(info), "weights_here": weights_present(info)}


def run_list(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say, say_lines
    from daw_bridge.separation.catalog import all_models
    from daw_bridge.separation.model_info import CSDR

    records = [_record(info) for info in all_models().values()]
    say(
        args,
        f"{'model':<15} {'cSDR':>6} {'song':>6}  {'speed':<9} {'download':>8}  {'here':<4}  {'licence':<14}  stems",
    )
    for record in records:
        score, other = "-", "-"  # figures of different protocols never stand in one column
        if record["score"]:
            text = f"{record['score']['average_db']:.2f}"
            score, other = (text, "-") if record["score"]["protocol"] == CSDR else ("-", text)
        size = f"{record['size_mb']} MB" if record["size_mb"] else "bundled"
        here = "yes" if record["weights_here"] else "no"
        names = (
            record["stems"] if len(record["stems"]) <= 8 else (*record["stems"][:3], f"{len(record['stems'])} in all")
        )
        licence, stems = record["licence_class"], ", ".join(names)
        begin = f"{record['name']:<15} {score:>6} {other:>6}  {record['speed']:<9} {size:>8}  {here:<4}"
        say(args, f"{begin}  {licence:<14}  {stems}")
    say(
        args,
        "cSDR dB: published, MUSDB18-HQ test, median of 1 s chunks then of songs. song: SDR over whole songs, on "
        "different sets, not to be compared with it; 'models info MODEL' has the protocol",
    )
    say_lines(args, LICENCES)
    answer(args, {"models": records})


def run_info(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.separation.catalog import model_info

    info = model_info(args.model)
    record = _record(info)
    say(args, f"{info.name}: {info.summary}")
    rows = {
        "stems": ", ".join(info.stems),
        "licence": f"{info.licence_class}: {info.licence}",
        "stated": info.licence_source or "nowhere",
        "weights": f"{info.weights_from}; {'on this machine' if record['weights_here'] else 'not on this machine yet'}",
        "download": f"{info.size_mb} MB" if info.size_mb else "none, it comes with the program",
        "speed": f"{info.speed} ({info.gflop_per_s:g} GFLOP per second of audio)",
        "memory": f"{info.memory_gb_per_segment:g} GB per segment of {info.segment_s:g} s, beside the weights",
    }
    if info.latency_ms is not None:
        rows["latency"] = f"{info.latency_ms:g} ms"
    if info.score is not None:
        each = ", ".join(f"{stem} {value:.2f}" for stem, value in info.score.stems_db)
        rows["SDR"] = f"{info.score.average_db:.2f} dB ({each})"
        rows["protocol"] = info.score.protocol
        rows["source"] = info.score.source
    for name, text in rows.items():
        say(args, f"  {name:<9} {text}")
    for note in info.notes:
        say(args, f"  note      {note}")
    answer(args, record)


def run_fetch(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say, working
    from daw_bridge.separation.catalog import model_info
    from daw_bridge.separation.families.loader import fetch, weights_present

    wanted = [model_info(name) for name in args.model]
    fetched: dict[str, str] = {}
    with working(args) as (on_progress, cancel):
        for info in wanted:
            here = weights_present(info)
            folder = fetch(info, on_progress=on_progress, cancel=cancel)
            fetched[info.name] = "bundled" if info.bundled else str(folder)
            say(args, f"{info.name}: {'was here already' if here else f'fetched to {folder}'}")
    answer(args, {"fetched": fetched})


def run_add(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.option import one_of
    from daw_bridge.separation.families.own import add_own_model
    from daw_bridge.separation.model_info import Licence

    one_of("licence class", args.licence_class, [str(each) for each in Licence])
    info = add_own_model(
        args.name, args.checkpoint, args.config, licence=args.licence, licence_class=Licence(args.licence_class)
    )
    say(args, f"{info.name}: {info.family}, gives {', '.join(info.stems)}; sha256 {info.own_sha256}")
    say(args, f"use it with: daw-bridge separate MIX --model {info.name}")
    answer(args, _record(info))


def run_recommend(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.separation.recommend import recommend

    stems = tuple(part.strip() for part in args.stems.split(",") if part.strip())
    memory_gb = _gpu_memory_gb() if args.gpu_memory is None else args.gpu_memory
    advice = recommend(stems, gpu_memory_gb=memory_gb, task=args.task, only_clear=args.clear)
    machine = f"a GPU of {memory_gb:.0f} GB" if memory_gb > 0 else "no GPU"
    what = f"{args.task or ', '.join(stems) or 'drums, bass, other, vocals'} with {machine}"
    say(args, f"for {what}, best first:" if advice else f"no model of the catalog fits: {what}")
    for place, item in enumerate(advice, start=1):
        say(args, f"{place:>2}. {item.model.name:<12} {item.reason}; licence {item.model.licence_class}")
        for note in item.model.notes:
            say(args, f"    {'':<12} {note}")
    answer(
        args,
        {
            "stems": list(stems),
            "gpu_memory_gb": memory_gb,
            "models": [
                {
                    "name": item.model.name,
                    "score_db": item.score_db,
                    "reason": item.reason,
                    "notes": item.model.notes,
                    "licence_class": item.model.licence_class,
                }
                for item in advice
            ],
        },
    )


def _gpu_memory_gb() -> float:
    import torch

    if not torch.cuda.is_available():
        return 0.0
    return float(torch.cuda.mem_get_info()[1]) / 1024.0**3
