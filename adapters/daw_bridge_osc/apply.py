"""A SessionPlan as operations on an open project: what a profile can carry over, and what it cannot, said beforehand.

Meant for a project whose tracks are there already (by import, DAWproject, or a file of another adapter): OSC carries no
audio. Tracks are addressed by the names that the plan gives them.
"""

from __future__ import annotations

from collections.abc import Iterator

from daw_bridge.adapter import Feature, Limit, Support
from daw_bridge.model import Bus, Equalizer, SessionPlan, Track
from daw_bridge_osc.client import OscDaw, Outcome
from daw_bridge_osc.compose import Request
from daw_bridge_osc.operations import Value
from daw_bridge_osc.profile import Profile

_FEATURES = {
    "track.gain_db": Feature.GAIN_PAN_MUTE_SOLO,
    "track.pan": Feature.GAIN_PAN_MUTE_SOLO,
    "track.mute": Feature.GAIN_PAN_MUTE_SOLO,
    "track.solo": Feature.GAIN_PAN_MUTE_SOLO,
    "track.colour": Feature.COLOURS,
    "send.gain_db": Feature.SENDS,
    "eq.band": Feature.EQUALIZER,
    "marker.add": Feature.MARKERS,
    "tempo.set": Feature.TEMPO,
}


def plan_requests(plan: SessionPlan) -> list[Request]:
    """The operations that bring an open project with the plan's tracks and buses to the plan's values."""
    requests = [Request(operation="tempo.set", values={"value": plan.tempo_bpm})]
    for track in plan.tracks:
        requests += _strip(track.name, track)
    for bus in (*plan.buses, *plan.returns, plan.mix_bus):
        requests += _strip(bus.label, bus)
        requests += [
            Request(
                operation="send.gain_db",
                values={"track": bus.label, "send": number, "value": send.gain_db},
            )
            for number, send in enumerate(bus.sends, start=1)
        ]
        requests += _equalizers(bus)
    for number, marker in enumerate(plan.markers, start=1):
        position_s = marker.position_samples / plan.sample_rate_hz
        values: dict[str, Value] = {"number": number, "value": marker.name, "position_s": position_s}
        requests.append(Request(operation="marker.add", values=values))
    return requests


def _strip(name: str, strip: Track | Bus) -> Iterator[Request]:
    yield Request(operation="track.gain_db", values={"track": name, "value": strip.gain_db})
    yield Request(operation="track.pan", values={"track": name, "value": strip.pan})
    yield Request(operation="track.mute", values={"track": name, "value": strip.mute})
    yield Request(operation="track.solo", values={"track": name, "value": strip.solo})
    if strip.colour is not None:
        colour = strip.colour
        values: dict[str, Value] = {"track": name, "red": colour.red, "green": colour.green, "blue": colour.blue}
        yield Request(operation="track.colour", values=values)


def _equalizers(bus: Bus) -> Iterator[Request]:
    bells = [
        band
        for effect in bus.effects
        if isinstance(effect, Equalizer) and effect.enabled
        for band in effect.bands
        if band.kind == "bell" and band.enabled
    ]
    for number, band in enumerate(bells, start=1):
        values: dict[str, Value] = {
            "track": bus.label,
            "band": number,
            "frequency_hz": band.frequency_hz,
            "gain_db": band.gain_db,
            "q": band.q,
        }
        yield Request(operation="eq.band", values=values)


def plan_limits(plan: SessionPlan, profile: Profile) -> list[Limit]:
    """What of the plan this DAW's OSC cannot do. To be shown before anything is sent."""
    limits = [
        Limit(
            feature=Feature.CLIPS,
            support=Support.NOT_POSSIBLE,
            where="session",
            what=profile.unsupported.get("clip.import", "OSC carries no audio; import the stems first"),
        )
    ]
    for request in plan_requests(plan):
        reason = profile.unsupported.get(request.operation)
        if reason is not None:
            limits.append(
                Limit(
                    feature=_FEATURES[request.operation],
                    support=Support.NOT_POSSIBLE,
                    where=str(request.values.get("track", request.values.get("value", "session"))),
                    what=reason,
                )
            )
    for bus in (*plan.buses, *plan.returns, plan.mix_bus):
        others = [effect for effect in bus.effects if not isinstance(effect, Equalizer)]
        limits += [
            Limit(
                feature=Feature.PLUGIN,
                support=Support.NOT_POSSIBLE,
                where=bus.label,
                what=f"{type(effect).__name__}: OSC cannot insert effects; set it in {profile.title}",
            )
            for effect in others
        ]
    return limits


def apply_plan(plan: SessionPlan, daw: OscDaw) -> list[tuple[Request, Outcome]]:
    """Carry out everything that the DAW can do, in order, each value confirmed. Raises at the first that fails."""
    done = []
    for request in plan_requests(plan):
        if request.operation in daw.profile.operations:
            done.append((request, daw.do(request.operation, **request.values)))
    return done
