"""`live`: hear the stems of whatever plays, faders on the keyboard."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.main import add_output_options
from daw_bridge.errors import UsageError

if TYPE_CHECKING:
    from daw_bridge.live.devices import CardStream, DeviceLatency
    from daw_bridge.live.host import LiveHost
    from daw_bridge.mixer import MixerParameter

Subparsers = argparse._SubParsersAction

KEYS = ("1qaz", "2wsx", "3edc", "4rfv")
"""One column of the keyboard per fader: mute, solo, louder, softer."""

EPILOG = """\
keys, a column per stem in the order shown:
  1 2 3 4  mute      q w e r  solo      a s d f  1 dB louder      z x c v  1 dB softer      Ctrl-C  end
"""


def register(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the command."""
    live = subparsers.add_parser(
        "live",
        help="hear the stems of an input or a file live",
        description="Separate what comes in while it plays (model `preview`), under 50 ms with small blocks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    live.add_argument("--list-devices", action="store_true", help="show the sound cards and end")
    live.add_argument("--input", metavar="DEVICE", help="input device: its number or part of its name")
    live.add_argument("--output", metavar="DEVICE", help="output device")
    live.add_argument("--file", type=Path, metavar="SONG", help="play this file instead of an input")
    live.add_argument("--block", type=int, default=128, metavar="SAMPLES", help="samples per callback, 1 to 8192")
    live.add_argument(
        "--latency",
        choices=("low", "normal", "safe"),
        default="normal",
        help="room for the computation: 2.9, 5.8 or 23.2 ms (default: normal)",
    )
    live.add_argument(
        "--measure",
        action="store_true",
        help="time the card with a cable from its output to its input, say the real latency, and end (chirps sound!)",
    )
    live.add_argument("--split", action="store_true", help="a pair of output channels per stem instead of one mix")
    live.add_argument("--vocals-only", action="store_true", help="two faders: vocals and rest")
    live.add_argument("--low-end", action="store_true", help="everything below 120 Hz in voices and other goes to bass")
    live.add_argument("--mute", action="append", default=[], metavar="STEM", help="start with this stem muted")
    live.add_argument("--solo", action="append", default=[], metavar="STEM", help="start with this stem alone")
    live.add_argument("--gain", action="append", default=[], metavar="STEM=DB", help="start at this gain")
    live.add_argument("--engine", choices=("auto", "onnx", "torch"), default="auto", help="what runs the network")
    live.add_argument("--onnx", type=Path, metavar="FILE", help="a causal graph of your own, in place of preview")
    live.add_argument("--seconds", type=float, metavar="S", help="end after so long (default: on Ctrl-C)")
    live.add_argument("--remote", action="store_true", help="faders as JSON lines on stdin and stdout, for the daemon")
    add_output_options(live, default=argparse.SUPPRESS)
    live.set_defaults(func=run_live)


def run_live(args: argparse.Namespace) -> None:
    """Open the card, run until the end, say what happened."""
    from daw_bridge.cli.console import answer, say, say_lines
    from daw_bridge.live.devices import CardStream, list_devices
    from daw_bridge.live.graph import OnnxGraph
    from daw_bridge.live.host import LiveHost
    from daw_bridge.separation.families.band_split.bundled import load_streaming_model

    if args.list_devices:
        lines = list_devices()
        say_lines(args, "\n".join(lines) or "no sound card is here")
        answer(args, {"devices": lines})
        return
    if not 1 <= args.block <= 8192:
        raise UsageError(f"--block {args.block}: give 1 to 8192 samples")
    if args.seconds is not None and not 0.0 < args.seconds < float("inf"):
        raise UsageError(f"--seconds {args.seconds:g}: give a time above 0, or leave it out to play until Ctrl-C")
    model = load_streaming_model(engine=args.engine) if args.onnx is None else OnnxGraph(args.onnx)
    host = LiveHost(
        model,
        block_samples=args.block,
        mode=args.latency,
        split=args.split,
        low_end=args.low_end,
        vocals_only=args.vocals_only,
    )
    set_faders(host, args)
    rate_hz = model.config.sample_rate_hz
    if args.measure:
        measure(args, host, rate_hz)
        return
    stream = CardStream(
        host,
        sample_rate_hz=rate_hz,
        block_samples=args.block,
        input_device=args.input,
        output_device=args.output,
        song=args.file,
    )
    host.start()
    try:
        card = stream.start()
        latency = {
            "host_ms": round(1e3 * host.latency_samples / rate_hz, 1),
            "card_ms": round(1e3 * (card.input_s + card.output_s), 1),
        }
        say(args, latency_line(latency, card))
        watch(host, stream, args)
    finally:
        stream.stop()
        host.stop()
    seen = host.statistics
    say(args, f"{seen.underruns} underruns, {stream.xruns} xruns, worker load {100 * seen.worker_load:.0f} %")
    answer(args, {"underruns": seen.underruns, "xruns": stream.xruns, "worker_load": seen.worker_load} | latency)


def measure(args: argparse.Namespace, host: LiveHost, rate_hz: int) -> None:
    """--measure: the card's round trip by a cable, and what one hears with the program in between."""
    from daw_bridge.cli.console import answer, say
    from daw_bridge.live.loopback import measure_round_trip_samples

    card_samples = measure_round_trip_samples(
        sample_rate_hz=rate_hz, block_samples=args.block, input_device=args.input, output_device=args.output
    )
    card_ms, host_ms = (round(1e3 * samples / rate_hz, 1) for samples in (card_samples, host.latency_samples))
    say(
        args,
        f"latency {card_ms + host_ms:.1f} ms: {host_ms} ms model, block and margin, "
        f"{card_ms} ms ({card_samples} samples) measured through the card and the cable",
    )
    answer(args, {"host_ms": host_ms, "measured_card_ms": card_ms, "measured_card_samples": card_samples})


def set_faders(host: LiveHost, args: argparse.Namespace) -> None:
    """--mute, --solo and --gain. Raises UsageError."""
    for stem in args.mute:
        host.controls.set(stem, "mute", 1.0)
    for stem in args.solo:
        host.controls.set(stem, "solo", 1.0)
    for setting in args.gain:
        stem, _, value = setting.partition("=")
        try:
            gain_db = float(value)
        except ValueError as exc:
            raise UsageError(f"--gain {setting}: write it as STEM=DB, for example vocals=-6") from exc
        host.controls.set(stem, "gain_db", gain_db)


def latency_line(latency: dict[str, float], card: DeviceLatency) -> str:
    return (
        f"latency {latency['host_ms'] + latency['card_ms']:.1f} ms: {latency['host_ms']} ms model, block and margin, "
        f"{1e3 * card.input_s:.1f} ms into and {1e3 * card.output_s:.1f} ms out of the card, as the card says"
    )


def watch(host: LiveHost, stream: CardStream, args: argparse.Namespace) -> None:
    """Keys to faders and a status line until the song, the time or the patience ends. Raises DeviceError."""
    from daw_bridge.live.remote import remote

    ends_s = time.monotonic() + args.seconds if args.seconds is not None else None
    shows = sys.stderr.isatty() and not args.quiet
    with remote(host.controls, sys.stdin, sys.stdout) if args.remote else keyboard() as pressed:
        try:
            while not stream.song_is_over and (ends_s is None or time.monotonic() < ends_s):
                stream.check()
                if host.failure is not None:
                    raise host.failure
                for key in pressed(0.1):
                    press(host, key)
                if shows:
                    print(f"\r{status_line(host, stream)}\x1b[K", end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            pass
    if shows:
        print(file=sys.stderr)


def press(host: LiveHost, key: str) -> None:
    """What a key does; keys without a meaning do nothing."""
    controls = host.controls
    for stem, column in zip(host.sources, KEYS, strict=False):
        if key in column:
            action = column.index(key)
            if action < 2:
                switch: MixerParameter = "mute" if action == 0 else "solo"
                controls.set(stem, switch, 1.0 - controls.value(stem, switch))
            else:
                step_db = 1.0 if action == 2 else -1.0
                controls.set(stem, "gain_db", controls.value(stem, "gain_db") + step_db)


def status_line(host: LiveHost, stream: CardStream) -> str:
    """Faders, load, underruns, xruns."""
    controls, seen = host.controls, host.statistics
    faders = []
    for stem in host.sources:
        flags = "M" * (controls.value(stem, "mute") > 0) + "S" * (controls.value(stem, "solo") > 0)
        faders.append(f"{stem} {controls.value(stem, 'gain_db'):+.0f}{flags}")
    load = f"load {100 * seen.worker_load:.0f} %"
    return f"{'  '.join(faders)}  |  {load}  underruns {seen.underruns}  xruns {stream.xruns}"


@contextmanager
def keyboard() -> Iterator[Callable[[float], str]]:
    """A function that waits some seconds and gives the keys pressed; where stdin is no terminal it only waits."""
    import select

    def nothing(wait_s: float) -> str:
        time.sleep(wait_s)
        return ""

    def keys(wait_s: float) -> str:
        return sys.stdin.read(1) if select.select([sys.stdin], [], [], wait_s)[0] else ""

    if sys.platform == "win32":
        yield nothing
        return
    import termios
    import tty

    try:
        before = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, termios.error):
        yield nothing
        return
    try:
        tty.setcbreak(sys.stdin)
        yield keys
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
