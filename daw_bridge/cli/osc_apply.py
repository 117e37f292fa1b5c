"""`daw-bridge osc apply`: the levels, pans, sends and markers of a built session in an open project of any OSC DAW."""

from __future__ import annotations

import argparse
import importlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daw_bridge.errors import DawError, UsageError

if TYPE_CHECKING:
    from daw_bridge.adapter import Limit


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from daw_bridge.cli.main import add_output_options

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
    apply.add_argument("--host", help="where the DAW runs (default: the profile's)")
    apply.add_argument("--port", type=int, help="its port (default: the profile's)")
    apply.add_argument("--reply-port", type=int, help="port for its feedback (default: the profile's)")
    apply.add_argument("--timeout", type=float, metavar="MS", help="wait so long for a report (default: the profile's)")
    apply.add_argument("--retries", type=int, metavar="N", help="send again so often (default: the profile's)")
    apply.set_defaults(func=run_apply)
    add_output_options(apply, default=argparse.SUPPRESS)


def run_apply(args: argparse.Namespace) -> None:
    from daw_bridge.cli.console import answer, say
    from daw_bridge.cli.osc import load_profile
    from daw_bridge.session import Session

    apply = importlib.import_module("daw_bridge_osc.apply")
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
    done, skipped = _apply(args, apply, plan, profile)
    counts = Counter(outcome.by for _, outcome in done)
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


def _apply(args: argparse.Namespace, apply: Any, plan: Any, profile: Any) -> tuple[list[Any], list[str]]:
    """Connect and carry out; what was done, and the tracks that were left out."""
    from daw_bridge.cli.console import say
    from daw_bridge.cli.osc import HOW
    from daw_bridge.mixer import MixerAddress

    clock = importlib.import_module("daw_bridge_osc.compose").Clock(
        sample_rate_hz=plan.sample_rate_hz, tempo_bpm=plan.tempo_bpm
    )
    address = MixerAddress(host=args.host, port=args.port, reply_port=args.reply_port)
    daw = importlib.import_module("daw_bridge_osc.client").OscDaw(profile, address, clock=clock)
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


def _timed(profile: Any, timeout_ms: float | None, retries: int | None) -> Any:
    """The profile with other time-outs. Raises UsageError."""
    from dataclasses import replace

    if timeout_ms is not None and not 1 <= timeout_ms <= 60_000:
        raise UsageError(f"--timeout {timeout_ms:g}: give 1 to 60000 ms")
    if retries is not None and not 0 <= retries <= 20:
        raise UsageError(f"--retries {retries}: give 0 to 20")
    changes: dict[str, float | int] = {}
    if timeout_ms is not None:
        changes["timeout_ms"] = timeout_ms
    if retries is not None:
        changes["retries"] = retries
    return replace(profile, transport=replace(profile.transport, **changes))
