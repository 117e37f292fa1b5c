"""`daw-bridge midi`: ports, learning a mapping, and the tempo map and markers of a session as a .mid file."""

from __future__ import annotations

import argparse
from pathlib import Path

from daw_bridge.errors import InputError, OutputError, UsageError


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from daw_bridge.cli.main import add_output_options

    parser = subparsers.add_parser("midi", help="MIDI ports, learning, and tempo map export")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    ports = actions.add_parser("ports", help="MIDI inputs of this system")
    ports.set_defaults(func=run_ports)
    learn = actions.add_parser("learn", help="move a control, and it sends this command from now on")
    learn.add_argument("port", help="MIDI port, or tcp:127.0.0.1:PORT")
    learn.add_argument("send", metavar="COMMAND", help="such as /dawbridge/stem/vocals/mute")
    learn.add_argument("arguments", nargs="*", help="arguments that the command always gets")
    learn.add_argument("--map", type=Path, default=Path("midi-map.yaml"), help="mapping file (default: %(default)s)")
    learn.add_argument("--mode", choices=("press", "toggle", "hold", "fader"), default="press")
    learn.add_argument("--low", type=float, default=0.0, help="value of a fader at its bottom")
    learn.add_argument("--high", type=float, default=1.0, help="value of a fader at its top")
    learn.add_argument("--timeout", type=float, default=30.0, metavar="S", help="wait so long (default: %(default)s)")
    learn.set_defaults(func=run_learn)
    check = actions.add_parser("check", help="check a mapping file; errors name line and column")
    check.add_argument("map", type=Path, help="the mapping file")
    check.set_defaults(func=run_check)
    export = actions.add_parser("export", help="tempo map and markers of a session as a .mid file")
    export.add_argument("folder", type=Path, help="the song folder")
    export.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: NAME.mid in the song folder")
    export.set_defaults(func=run_export)
    for action in (ports, learn, check, export):
        add_output_options(action, default=argparse.SUPPRESS)


def run_ports(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.control.midi.ports import port_names

    names = port_names()
    for name in names:
        say(args, name)
    if not names:
        say(args, "no MIDI inputs")
    answer(args, names)


def run_learn(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.cli.osc import parse_value
    from daw_bridge.control.commands import parse
    from daw_bridge.control.midi.map import MidiInput, append_to, learned
    from daw_bridge.control.midi.ports import open_port, wait_for_control

    levels = {"low": args.low, "high": args.high} if args.mode == "fader" else {}
    arguments = [parse_value(text) for text in args.arguments]
    sample = learned(MidiInput("note", 0, 1, 127), args.send, arguments, args.mode, **levels).sample()
    parse(sample.address, sample.arguments)
    port = open_port(args.port)
    try:
        say(args, f"move or press the control for {args.send} now")
        event = wait_for_control(port, args.timeout)
    finally:
        port.close()
    if event is None:
        raise UsageError(f"{args.port}: nothing was moved in {args.timeout:g} s; is it the right port?")
    mapping = learned(event, args.send, arguments, args.mode, **levels)
    append_to(args.map, mapping)
    say(args, f"{event.event} {event.number} on channel {event.channel} sends {args.send}; kept in {args.map}")
    answer(args, {"on": event.event, "number": event.number, "channel": event.channel, "map": str(args.map)})


def run_check(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.control.midi.map import read_map

    mappings = read_map(args.map)
    say(args, f"{args.map}: good; {len(mappings)} mappings")
    answer(args, {"mappings": len(mappings)})


def run_export(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.files import safe_name, write_atomic
    from daw_bridge.midi_file import plan_to_midi
    from daw_bridge.plan_json import plan_from_json
    from daw_bridge.takeover import settled_manifest

    manifest = settled_manifest(args.folder)
    if manifest is None or not manifest.sessions:
        raise InputError(f"{args.folder}: holds no session; make one with: daw-bridge build MIX")
    plan = plan_from_json(manifest.sessions[-1].plan, args.folder)
    target = args.output or args.folder / f"{safe_name(plan.name)}.mid"
    if target.exists():
        raise OutputError(f"{target}: exists; give another file with -o")
    write_atomic(target, plan_to_midi(plan))
    say(args, f"{target}: {plan.tempo_bpm:g} BPM, {len(plan.markers)} markers")
    answer(args, {"file": str(target), "tempo_bpm": plan.tempo_bpm, "markers": len(plan.markers)})
