"""Any plan that the model allows becomes a project that says the same, by our reader and by an independent one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import rpp as independent_rpp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daw_bridge.model import Bus, Effect, PluginRef, SessionPlan
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import media_path
from daw_bridge_reaper.layout import Routing, lay_out
from daw_bridge_reaper.read import read_project
from daw_bridge_reaper.write import project_document
from tests.plan_strategies import plans

BASE = Path("/song")


def without_states(plan: SessionPlan) -> SessionPlan:
    """The plan with plug-ins by name only: a state must be a plug-in's block of a project."""

    def plain(bus: Bus) -> Bus:
        effects: tuple[Effect, ...] = tuple(
            replace(effect, state="") if isinstance(effect, PluginRef) else effect for effect in bus.effects
        )
        return replace(bus, effects=effects)

    return replace(
        plan,
        buses=tuple(plain(bus) for bus in plan.buses),
        returns=tuple(plain(bus) for bus in plan.returns),
        mix_bus=plain(plan.mix_bus),
    )


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(plans(BASE), st.sampled_from(Routing))
def test_any_plan_reads_back_as_its_layout(plan: SessionPlan, routing: Routing) -> None:
    layout, _limits = lay_out(without_states(plan), lambda path: media_path(path, BASE), routing)
    text = rpp.serialise(project_document(layout, "seed"))
    assert max(len(line.encode()) for line in text.split("\n")) < 4000
    document = rpp.parse(text)
    assert document.problems == [] and rpp.serialise(document) == text
    back = read_project(document)
    assert back.tracks == layout.tracks
    assert (back.sample_rate_hz, back.tempo_bpm, back.time_signature) == (
        layout.sample_rate_hz,
        layout.tempo_bpm,
        layout.time_signature,
    )
    if routing is Routing.FOLDERS:
        assert sum(track.folder_depth for track in back.tracks) == 0
    assert all(0 <= receive.source < len(back.tracks) for track in back.tracks for receive in track.receives)
    root = independent_rpp.loads(text)
    assert len(root.findall("./TRACK")) == len(layout.tracks)
