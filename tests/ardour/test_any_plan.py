"""Any plan that the model allows becomes a session file without loose ends."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from hypothesis import HealthCheck, assume, given, settings

from daw_bridge.errors import TemplateError
from daw_bridge.model import SessionPlan
from daw_bridge_ardour.media import media_names
from daw_bridge_ardour.session_xml import session_text
from tests.plan_strategies import plans

BASE = Path("/song")


def text_of(plan: SessionPlan) -> bytes:
    tracks = (*plan.tracks, *([plan.reference] if plan.reference else []))
    media = media_names(clip for track in tracks for clip in track.clips)
    try:
        text, limits = session_text(plan, "Song", media)
    except TemplateError:
        assume(False)  # a made-up state for an Ardour plug-in
    assert all(limit.what and limit.where for limit in limits)
    return text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans(BASE))
def test_every_connection_send_and_id_resolves(plan: SessionPlan) -> None:
    root = ET.fromstring(text_of(plan))  # noqa: S314
    ports = [port.get("name") for port in root.iter("Port") if port.get("name")]
    assert len(ports) == len(set(ports))
    for link in root.iter("Connection"):
        other = link.get("other", "")
        assert other in ports or other.startswith("system:playback_"), other
    numbered = [element for element in root.iter() if element.get("id") and element.tag != "Port"]
    ids = [element.get("id") for element in numbered]
    assert len(ids) == len(set(ids))
    assert max(int(id_ or 0) for id_ in ids) < int(root.get("id-counter", "0"))
    routes = {route.get("id") for route in root.findall("Routes/Route")}
    assert all(send.get("target") in routes for send in root.iter("Processor") if send.get("type") == "intsend")
    slots = [send.get("bitslot") for send in root.iter("Processor") if send.get("bitslot")]
    assert len(slots) == len(set(slots))
    sources = {source.get("id") for source in root.findall("Sources/Source")}
    for region in root.iter("Region"):
        assert region.get("source-0") in sources
    strips = len(plan.tracks) + len(plan.buses) + len(plan.returns) + 2 + (plan.reference is not None)
    assert len(routes) == strips


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans(BASE))
def test_the_same_plan_gives_the_same_bytes(plan: SessionPlan) -> None:
    assert text_of(plan) == text_of(plan)
