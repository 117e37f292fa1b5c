"""`daw-bridge serve`: the daemon that surfaces, controllers and `daw-bridge jobs` talk to."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.console import one_line
from daw_bridge.cli.main import add_output_options
from daw_bridge.control import DEFAULT_PORT
from daw_bridge.errors import InputError, UsageError
from daw_bridge.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daw_bridge.control.daemon import Part, ServeOptions
    from daw_bridge.mixer import MixerAddress

DEFAULT_WEB_PORT = 9131


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "serve",
        help="run the daemon for control surfaces (OSC, MIDI) and queued jobs",
        description="Run jobs from a queue that survives crashes, and answer OSC and MIDI. Ends with Ctrl-C; jobs that "
        "still run continue at the next start.",
    )
    add_arguments(parser)
    add_page_options(parser, port=None)
    add_output_options(parser, default=argparse.SUPPRESS)
    parser.set_defaults(func=_run_with_page)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command takes that runs the daemon."""
    where = parser.add_argument_group("network")
    where.add_argument("--port", type=int, default=DEFAULT_PORT, help="UDP and TCP port (default: %(default)s)")
    where.add_argument("--bind", default="127.0.0.1", metavar="HOST", help="address to listen on (default: loopback)")
    where.add_argument("--allow", action="append", default=[], metavar="CIDR", help="network that may send commands")
    where.add_argument("--token-file", type=Path, metavar="FILE", help="its first line must be said by other machines")
    where.add_argument("--discovery", action="store_true", help="announce by zeroconf, answer OSCQuery (port + 1)")
    work = parser.add_argument_group("work")
    work.add_argument(
        "--music",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="folder whose files commands may name; again for more (default: the current folder)",
    )
    work.add_argument(
        "--queue", type=Path, metavar="FILE", help="job queue (default: in the user's configuration folder)"
    )
    work.add_argument("--template", default="", help="template until a surface selects another, which is kept")
    work.add_argument("--model", default="", help="model until a surface selects another")
    work.add_argument("--daw", default="", help="DAW until a surface selects another")
    daws = parser.add_argument_group("mixer")
    daws.add_argument(
        "--mixer",
        action="append",
        default=[],
        metavar="DAW=HOST:PORT[:REPLY]",
        help="where a DAW's OSC listens, when its profile's port does not fit",
    )
    daws.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="DAW=FILE",
        help="OSC profile of your own, by any name",
    )
    midi = parser.add_argument_group("MIDI")
    midi.add_argument("--midi", action="append", default=[], metavar="PORT", help="port to take mapped commands from")
    midi.add_argument("--midi-map", type=Path, metavar="FILE", help="mapping (default: the shipped one)")
    midi.add_argument("--mackie", action="append", default=[], metavar="PORT", help="Mackie Control on this port")


def add_page_options(parser: argparse.ArgumentParser, *, port: int | None = DEFAULT_WEB_PORT) -> None:
    """Where the page is served; without a port there is none."""
    page = parser.add_argument_group("page")
    shown = "(default: %(default)s)" if port else "(default: no page)"
    page.add_argument("--web-port", type=int, default=port, metavar="PORT", help=f"serve the page there {shown}")
    page.add_argument(
        "--web-host", action="append", default=[], metavar="NAME", help="another name that this machine is asked for by"
    )


def page_part(args: argparse.Namespace, host: str, *, browser: bool) -> Part:
    """The page with the options of a command line."""
    from daw_bridge.web.part import WebOptions, web_part

    def ready(url: str) -> None:
        print(f"the page is at {url}", flush=True)
        if browser:
            import webbrowser

            webbrowser.open(url)

    if not 0 <= args.web_port <= 65535:
        raise UsageError(f"--web-port {args.web_port}: a port is a number from 1 to 65535 (0: any free one)")
    return web_part(WebOptions(host=host, port=args.web_port, names=args.web_host), on_ready=ready)


def _run_with_page(args: argparse.Namespace) -> None:
    run(args, parts=[] if args.web_port is None else [page_part(args, args.bind, browser=False)])


def run(args: argparse.Namespace, parts: Sequence[Part] = ()) -> None:
    """Serve until a signal, with other ways to speak to the daemon beside OSC."""
    import asyncio
    from dataclasses import replace

    from daw_bridge.control.daemon import serve

    options = replace(serve_options(args), parts=parts)

    def ready(port: int) -> None:
        if not args.quiet:
            folders = ", ".join(str(folder) for folder in options.music)
            where = f"OSC on {options.host}:{port} (UDP and TCP), music in {folders}"
            print(one_line(f"daw-bridge serves {where}"), flush=True)

    try:
        asyncio.run(serve(options, on_ready=ready))
    except KeyboardInterrupt:
        pass  # where the loop takes no signal handlers


def serve_options(args: argparse.Namespace) -> ServeOptions:
    """The options of a command line. Raises UsageError, InputError."""
    from daw_bridge.control.daemon import ServeOptions, default_queue
    from daw_bridge.control.net.security import AccessPolicy, parse_networks
    from daw_bridge.control.queue.selection import Selection

    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port {args.port}: a port is a number from 1 to 65535 (0: any free one)")
    if args.midi_map and not args.midi:
        raise UsageError("--midi-map: say the port too, as in --midi PORT (see daw-bridge midi ports)")
    token = first_line(args.token_file) if args.token_file else ""
    policy = AccessPolicy(bind_host=args.bind, networks=parse_networks(args.allow), token=token)
    return ServeOptions(
        music=args.music or [Path.cwd()],
        queue=args.queue or default_queue(),
        host=args.bind,
        port=args.port,
        policy=policy,
        selection=Selection(template=args.template, model=args.model, daw=args.daw),
        mixers=_mixers(args.mixer, args.profile),
        midi_ports=args.midi,
        midi_map=args.midi_map,
        mackie_ports=args.mackie,
        discovery=args.discovery,
    )


def first_line(path: Path) -> str:
    """The token in a file. Raises InputError."""
    try:
        return read_regular(path, most_bytes=1 << 20).decode("utf-8").partition("\n")[0].strip()
    except (OSError, ValueError) as exc:
        raise InputError(f"{path}: the token cannot be read ({getattr(exc, 'strerror', None) or exc})") from exc


def _mixers(places: list[str], profiles: list[str]) -> dict[str, MixerAddress]:
    """Where the DAWs are, names, ports and profiles checked: a typing error should not wait for the first button."""
    from dataclasses import replace

    from daw_bridge.cli.osc import load_profile
    from daw_bridge.mixer import MixerAddress
    from daw_bridge.registry import require_mixer

    found: dict[str, MixerAddress] = {}
    named: list[str] = []
    for text in places:
        name, _, place = text.partition("=")
        host, *ports = place.split(":")
        try:
            numbers = [int(port) for port in ports]
        except ValueError:
            numbers = []
        if not name or not host or not 1 <= len(numbers) <= 2 or not all(0 < number < 65536 for number in numbers):
            raise UsageError(f"--mixer {text}: write it as ardour=127.0.0.1:3819 or reaper=127.0.0.1:8000:9000")
        named.append(name)
        found[name] = MixerAddress(host=host, port=numbers[0], reply_port=numbers[1] if numbers[1:] else None)
    for text in profiles:
        name, _, file = text.partition("=")
        if not name or not file:
            raise UsageError(f"--profile {text}: write it as reaper=my-reaper.yaml")
        load_profile(file, is_file=True)
        found[name] = replace(found.get(name, MixerAddress()), profile=Path(file))
    for name in named:
        require_mixer(name, found[name])
    return found
