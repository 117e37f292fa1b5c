"""`daw-bridge osc`: profiles of DAWs, checked; operations tried or carried out; a built session applied."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from daw_bridge.cli.main import add_output_options
from daw_bridge.errors import DawError, UsageError

if TYPE_CHECKING:
    from daw_bridge.adapter import Limit
    from daw_bridge.mixer import MixerAddress
    from daw_bridge.model import SessionPlan
    from daw_bridge_osc.client import Outcome
    from daw_bridge_osc.compose import Request
    from daw_bridge_osc.profile import Profile

HOW = {
    "report": "confirmed by the DAW's report",
    "answer": "confirmed by asking",
    "known": "sent; the DAW had reported this value before",
    "none": "sent, unconfirmed",
}
"""How an operation ended, in words."""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("osc", help="drive a DAW over OSC by a profile; check profiles")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="profiles that come with daw-bridge, and what each can do")
    listing.set_defaults(func=run_list)
    show = actions.add_parser("show", help="print a profile, to copy and change")
    show.add_argument("profile", help="its name")
    show.set_defaults(func=run_show)
    check = actions.add_parser("check", help="check a profile of your own; errors name line and column")
    check.add_argument("file", type=Path, help="the YAML file")
    check.set_defaults(func=run_check)
    dry = actions.add_parser("dry-run", help="print exactly what would be sent, and send nothing")
    send = actions.add_parser("send", help="carry out one operation and wait for the DAW's confirmation")
    for action, function in ((dry, run_dry), (send, run_send)):
        action.add_argument("profile", help="name of a profile, or a .yaml file")
        action.add_argument("operation", help="such as track.gain_db")
        action.add_argument("values", nargs="*", metavar="NAME=VALUE", help="such as track=1 value=-6")
        action.add_argument("--rate", type=int, default=0, metavar="HZ", help="sample rate, for times in samples")
        action.add_argument("--tempo", type=float, default=120.0, metavar="BPM", help="tempo, for times in beats")
        action.set_defaults(func=function)
    apply = _add_apply(actions)
    for action in (send, apply):
        action.add_argument("--host", help="where the DAW runs (default: the profile's)")
        action.add_argument("--port", type=int, help="its port (default: the profile's)")
        action.add_argument("--reply-port", type=int, help="port for its feedback (default: the profile's)")
    for action in (listing, show, check, dry, send, apply):
        add_output_options(action, default=argparse.SUPPRESS)


def _add_apply(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    apply = actions.add_parser(
        "apply",
        help="bring an open project to the levels, pans, sends and markers of a built session",
        description="Set in an open project, by its OSC profile, what a built session says. The tracks must be there "
        "under the session's names: OSC carries no audio. What the DAW cannot do is said before anything is sent.",
    )
    apply.add_argument("session", type=Path, help="song folder, or the session file in it")
    apply.add_argument("--profile", required=True, help="name of a profile, or a .yaml file")
    apply.add_argument("--dry-run", action="store_true", help="print exactly what would be sent, and send nothing")
    apply.add_argument("--skip-missing", action="store_true", help="leave out tracks that the project does not have")
    apply.add_argument("--timeout", type=float, metavar="MS", help="wait so long for a report (default: the profile's)")
    apply.add_argument("--retries", type=int, metavar="N", help="send again so often (default: the profile's)")
    apply.set_defaults(func=run_apply)
    return apply


def load_profile(name: str, *, is_file: bool = False) -> Profile:
    """A shipped profile by its name, or a file. Raises TemplateError."""
    from daw_bridge_osc import profile_file

    is_file = is_file or name.endswith((".yaml", ".yml")) or "/" in name
    return profile_file.load_profile(name, Path(name) if is_file else None)


def _address(args: argparse.Namespace) -> MixerAddress:
    from daw_bridge.mixer import MixerAddress

    return MixerAddress(host=args.host, port=args.port, reply_port=args.reply_port)


def run_list(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge_osc.profile_file import shipped_profiles

    found = []
    for name in shipped_profiles():
        profile = load_profile(name)
        found.append(
            {"name": name, "title": profile.title, "can": list(profile.operations), "cannot": dict(profile.unsupported)}
        )
        say(args, f"{name:<12} {profile.title}: {len(profile.operations)} operations")
        for operation, reason in profile.unsupported.items():
            say(args, f"{'':<12} not {operation}: {reason}")
    answer(args, found)


def run_show(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer
    from daw_bridge_osc.profile_file import profile_text

    text = profile_text(args.profile)
    if not args.json:
        print(text, end="")
    answer(args, {"profile": args.profile, "text": text})


def run_check(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say

    profile = load_profile(str(args.file), is_file=True)
    say(args, f"{args.file}: good; {profile.title} can do {', '.join(profile.operations)}")
    answer(args, {"name": profile.name, "operations": list(profile.operations)})


def run_dry(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge_osc.compose import Clock, Request, dry_run

    request = Request(operation=args.operation, values=parse_values(args.values))
    clock = Clock(sample_rate_hz=args.rate, tempo_bpm=args.tempo)
    messages = [str(message) for message in dry_run(load_profile(args.profile), [request], clock)]
    for message in messages:
        say(args, message)
    answer(args, messages)


def run_send(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge_osc.client import OscDaw
    from daw_bridge_osc.compose import Clock, mapping_of

    clock = Clock(sample_rate_hz=args.rate, tempo_bpm=args.tempo)
    profile, values = load_profile(args.profile), parse_values(args.values)
    mapping_of(profile, args.operation)
    daw = OscDaw(profile, _address(args), clock=clock)
    try:
        outcome = daw.do(args.operation, **values)
    finally:
        daw.close()
    say(args, f"{HOW[outcome.by]} in {outcome.elapsed_ms:.0f} ms")
    answer(args, {"by": outcome.by, "elapsed_ms": outcome.elapsed_ms, "tries": outcome.tries})


def parse_values(texts: Iterable[str]) -> dict[str, float | int | bool | str]:
    """`name=value` pairs; numbers become numbers, on/off and true/false switches, the rest text. Raises UsageError."""
    found: dict[str, float | int | bool | str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(f"{text}: write arguments as name=value, such as track=1 value=-6")
        found[name] = parse_value(value)
    return found


def parse_value(text: str) -> float | int | bool | str:
    """One value: a number, a switch (on, off, true, false), else the text itself."""
    if text in ("on", "off", "true", "false"):
        return text in ("on", "true")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def run_apply(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.session import Session
    from daw_bridge_osc import apply

    profile = _timed(load_profile(args.profile), args.timeout, args.retries)
    folder = args.session.parent if args.session.is_file() else args.session
    plan = Session.open(folder).plan
    limits = apply.plan_limits(plan, profile)
    cannot = [f"{limit.where}: {limit.feature} {limit.support}: {limit.what}" for limit in limits]
    for reason, places in _by_reason(limits).items():
        say(args, f"Note: {reason} ({', '.join(places)})")
    if not apply.plan_requests(plan, profile):
        raise DawError(f"{profile.title} can do nothing of this session over OSC; see: daw-bridge osc list")
    if args.dry_run:
        messages = [str(message) for message in apply.plan_messages(plan, profile)]
        names = apply.track_names(plan)
        say(args, f"Tracks counted as in the session: {', '.join(names)}. A real run asks {profile.title} for them.")
        for message in messages:
            say(args, message)
        answer(args, {"cannot": cannot, "tracks": names, "messages": messages})
        return
    done, skipped = _apply(args, plan, profile)
    counts = Counter[str](outcome.by for _, outcome in done)
    again = sum(outcome.tries > 1 for _, outcome in done)
    unconfirmed = sorted({request.operation for request, outcome in done if outcome.by == "none"})
    say(args, _summary(profile.title, counts, again, unconfirmed))
    operations = [{"operation": str(request), "by": outcome.by, "tries": outcome.tries} for request, outcome in done]
    answer(args, {"cannot": cannot, "skipped": skipped, "operations": operations})


def _by_reason(limits: Iterable[Limit]) -> dict[str, list[str]]:
    """What cannot be done and why, with the tracks that it is about."""
    found: dict[str, list[str]] = {}
    for limit in limits:
        places = found.setdefault(f"{limit.feature} {limit.support}: {limit.what}", [])
        if limit.where not in places:
            places.append(limit.where)
    return found


def _apply(
    args: argparse.Namespace, plan: SessionPlan, profile: Profile
) -> tuple[list[tuple[Request, Outcome]], list[str]]:
    """Connect and carry out; what was done, and the tracks that were left out."""
    from daw_bridge.cli.console import say
    from daw_bridge_osc import apply
    from daw_bridge_osc.client import OscDaw
    from daw_bridge_osc.compose import Clock

    clock = Clock(sample_rate_hz=plan.sample_rate_hz, tempo_bpm=plan.tempo_bpm)
    daw = OscDaw(profile, _address(args), clock=clock)
    try:
        skipped = apply.missing_tracks(plan, daw)
        if not args.skip_missing:
            apply.require_tracks(plan, daw)
        for name in skipped:
            say(args, f"Note: {name}: left out, {profile.title} has no track of that name")
        done = apply.apply_plan(
            plan,
            daw,
            without=skipped,
            on_done=lambda request, outcome: say(args, f"{request}: {HOW[outcome.by]}") if args.verbose else None,
        )
    finally:
        daw.close()
    return done, skipped


def _summary(title: str, counts: Counter[str], again: int, unconfirmed: list[str]) -> str:
    confirmed = counts["report"] + counts["answer"] + counts["known"]
    parts = [f"{title}: {sum(counts.values())} operations, {confirmed} confirmed by its reports"]
    if again:
        parts.append(f"{again} sent more than once")
    if unconfirmed:
        parts.append(f"{counts['none']} sent without a confirmation, which it does not give ({', '.join(unconfirmed)})")
    return "; ".join(parts)


def _timed(profile: Profile, timeout_ms: float | None, retries: int | None) -> Profile:
    """The profile with other time-outs. Raises UsageError."""
    if timeout_ms is not None and not 1 <= timeout_ms <= 60_000:
        raise UsageError(f"--timeout {timeout_ms:g}: give 1 to 60000 ms")
    if retries is not None and not 0 <= retries <= 20:
        raise UsageError(f"--retries {retries}: give 0 to 20")
    transport = profile.transport
    if timeout_ms is not None:
        transport = replace(transport, timeout_ms=timeout_ms)
    if retries is not None:
        transport = replace(transport, retries=retries)
    return replace(profile, transport=transport)
