"""The render as an adapter: `--daw render` puts the session's sound beside the sessions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daw_bridge.adapter import Feature, Limit, Losses, RenderReport, Support, WriteReport
from daw_bridge.model import EqBand, SessionPlan
from daw_bridge.progress import CancelToken, OnProgress, ignore_progress
from daw_bridge_render.equalizer import sections
from daw_bridge_render.playback import PlanPlayback
from daw_bridge_render.render import render_plan

FEATURES: Mapping[Feature, Support] = {
    Feature.CLIPS: Support.EXACT,
    Feature.BUSES: Support.EXACT,
    Feature.NESTING: Support.EXACT,
    Feature.GAIN_PAN_MUTE_SOLO: Support.EXACT,
    Feature.SENDS: Support.EXACT,
    Feature.RETURNS: Support.EXACT,
    Feature.MIX_BUS: Support.EXACT,
    Feature.REFERENCE: Support.EXACT,
    Feature.EQUALIZER: Support.EXACT,
    Feature.COMPRESSOR: Support.EXACT,
    Feature.SIDECHAIN: Support.EXACT,
    Feature.GATE: Support.EXACT,
    Feature.LIMITER: Support.EXACT,
    Feature.GAIN: Support.EXACT,
    Feature.REVERB: Support.APPROXIMATED,
    Feature.DELAY: Support.EXACT,
}
"""A WAV file holds no plug-ins, colours, groups, markers and tempo. `Reverb` names a kind of room, no algorithm."""


class RenderAdapter:
    """Writes `<name>.wav`."""

    name = "render"
    title = "Render (WAV)"

    @property
    def features(self) -> Mapping[Feature, Support]:
        return FEATURES

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.wav"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """See SessionAdapter.write."""
        report = self.render(plan, self.session_path(folder, name))
        return WriteReport(
            adapter=self.name,
            session_path=report.path,
            files=(report.path,),
            how_to_open=f"play {report.path.name} in any player",
            limits=(*report.limits, *_not_in_a_wav(plan)),
        )

    def render(
        self,
        plan: SessionPlan,
        target: Path,
        *,
        bus: str | None = None,
        reference: bool = False,
        gain_db: float = 0.0,
        overwrite: bool = False,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> RenderReport:
        """See PlanRenderer.render."""
        return render_plan(
            plan,
            target,
            bus=bus,
            reference=reference,
            gain_db=gain_db,
            overwrite=overwrite,
            on_progress=on_progress,
            cancel=cancel,
        )

    def play_from(self, plan: SessionPlan, begin_samples: int, *, bus: str | None = None) -> PlanPlayback:
        """See PlanPlayer.play_from."""
        return PlanPlayback(plan, begin_samples, bus=bus)

    def equalizer_sections(self, bands: tuple[EqBand, ...], sample_rate_hz: int) -> list[list[float]]:
        """See PlanPlayer.equalizer_sections."""
        found: list[list[float]] = sections(bands, sample_rate_hz).tolist()
        return found


def _not_in_a_wav(plan: SessionPlan) -> list[Limit]:
    lost = {
        Feature.COLOURS: any(bus.colour for bus in (*plan.buses, *plan.returns)),
        Feature.GROUPS: any(bus.group for bus in plan.buses),
        Feature.MARKERS: bool(plan.markers),
        Feature.TEMPO: True,
        Feature.NOTES: bool(plan.note_tracks),
    }
    losses = Losses()
    for feature, present in lost.items():
        if present:
            losses.lost(feature, "a WAV file only holds sound")
    return losses.limits


ADAPTER = RenderAdapter()
