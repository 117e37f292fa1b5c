"""The DAWproject adapter: one `.dawproject` file with the session and its audio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daw_bridge.adapter import Feature, ReadReport, Support, WriteReport, new_session
from daw_bridge.model import SessionPlan
from daw_bridge_dawproject.container import media_paths, write_container
from daw_bridge_dawproject.project_xml import project_text
from daw_bridge_dawproject.read import read_project

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
    Feature.COMPRESSOR: Support.APPROXIMATED,
    Feature.SIDECHAIN: Support.NOT_POSSIBLE,
    Feature.GATE: Support.APPROXIMATED,
    Feature.LIMITER: Support.APPROXIMATED,
    Feature.GAIN: Support.EXACT,
    Feature.REVERB: Support.NOT_POSSIBLE,
    Feature.DELAY: Support.NOT_POSSIBLE,
    Feature.PLUGIN: Support.NOT_POSSIBLE,
    Feature.COLOURS: Support.EXACT,
    Feature.GROUPS: Support.NOT_POSSIBLE,
    Feature.MARKERS: Support.APPROXIMATED,
    Feature.TEMPO: Support.EXACT,
    Feature.NOTES: Support.EXACT,
}


class DawProjectAdapter:
    """Writes `.dawproject` files. Stateless."""

    name = "dawproject"
    title = "DAWproject (Bitwig, Studio One, Cubase, n-Track)"
    features = FEATURES

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.dawproject"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """Write `folder/NAME.dawproject` with all audio inside; whole or not at all.

        Raises OutputError when it exists or cannot be written, InputError when a clip's file is missing or a track
        feeds a bus that does not exist, UsageError for a name that is a path.
        """
        target = new_session(self.session_path(folder, name), name, what="a DAWproject file")
        tracks = (*plan.tracks, *([plan.reference] if plan.reference else []))
        media = media_paths(clip for track in tracks for clip in track.clips if clip.length_samples > 0)
        text = project_text(plan, media)
        write_container(target, text, media)
        how = f"open {target} in Bitwig Studio 5, Studio One 6.5, Cubase 14 or newer (File > Open or Import)"
        return WriteReport(adapter=self.name, session_path=target, files=(target,), how_to_open=how, limits=text.limits)

    def read_plan(self, session: Path) -> ReadReport:
        """See SessionReader.read_plan."""
        return read_project(session)


ADAPTER = DawProjectAdapter()
