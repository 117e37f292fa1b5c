"""The Ardour adapter: a session folder `NAME-ardour/` that Ardour 7 and newer open without a question.

The folder is made complete under a temporary name beside its place, then renamed. Ardour itself is not needed for it.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from daw_bridge.adapter import Check, Feature, Limit, Support, WriteReport, new_session
from daw_bridge.files import PART_SUFFIX, output_errors
from daw_bridge.model import SessionPlan
from daw_bridge_ardour.media import media_names, place
from daw_bridge_ardour.midi import midi_file
from daw_bridge_ardour.rates import at_rate, played_rate_hz
from daw_bridge_ardour.session_xml import session_text
from daw_bridge_ardour.strips import mixer_of

SESSION_SUFFIX = ".ardour"
_EMPTY_FOLDERS = ("analysis", "dead", "export", "externals", "peaks", "plugins")

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
    Feature.SIDECHAIN: Support.APPROXIMATED,
    Feature.GATE: Support.APPROXIMATED,
    Feature.LIMITER: Support.APPROXIMATED,
    Feature.GAIN: Support.EXACT,
    Feature.REVERB: Support.APPROXIMATED,
    Feature.DELAY: Support.APPROXIMATED,
    Feature.PLUGIN: Support.EXACT,
    Feature.COLOURS: Support.EXACT,
    Feature.GROUPS: Support.EXACT,
    Feature.MARKERS: Support.EXACT,
    Feature.TEMPO: Support.EXACT,
    Feature.NOTES: Support.EXACT,
}


class ArdourAdapter:
    """Writes session folders. Stateless."""

    name = "ardour"
    title = "Ardour 7 or newer"
    features = FEATURES

    def session_path(self, folder: Path, name: str) -> Path:
        """The session folder; the file that Ardour opens lies in it."""
        return folder / f"{_session_name(name)}-ardour"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """Write `folder/NAME-ardour/NAME.ardour` with its audio linked into it; whole or not at all.

        Ardour's session names have no `;`, so it becomes a `,`. A rate that Ardour does not play is resampled. Raises
        OutputError when the session exists or the place cannot be written to, InputError when a clip's file is missing
        or does not fit (rate, more than two channels), UsageError for a name that is a path.
        """
        target = new_session(
            self.session_path(folder, _session_name(name)), name, what="an Ardour session", marks="/\\:"
        )
        name = _session_name(name)
        rate_hz, own_rate_hz = played_rate_hz(plan.sample_rate_hz), plan.sample_rate_hz
        resampled = rate_hz != own_rate_hz
        if resampled:
            plan = at_rate(plan, rate_hz)
        clips = [
            clip for track in (*plan.tracks, *([plan.reference] if plan.reference else [])) for clip in track.clips
        ]
        media = media_names((clip for clip in clips if clip.length_samples > 0), suffix=".wav" if resampled else "")
        text, limits = session_text(plan, name, media)
        drafts = mixer_of(plan).drafts
        if resampled:
            what = (
                f"Ardour does not play or export sessions of {own_rate_hz} Hz; this one is of {rate_hz} Hz, resampled"
            )
            limits = (Limit(feature=Feature.CLIPS, support=Support.APPROXIMATED, where="session", what=what), *limits)
        part = folder / f".{name[:60]}.{secrets.token_hex(4)}{PART_SUFFIX}"
        try:
            with output_errors(target):
                audio = part / "interchange" / name / "audiofiles"
                audio.mkdir(parents=True)
                notes = part / "interchange" / name / "midifiles"
                notes.mkdir()
                for draft, track in zip(drafts, plan.note_tracks, strict=True):
                    (notes / draft.file).write_bytes(midi_file(plan, track))
                for empty in _EMPTY_FOLDERS:
                    (part / empty).mkdir()
                place(media, audio, resample_to_hz=rate_hz if resampled else None)
                (part / f"{name}{SESSION_SUFFIX}").write_bytes(text)
                part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        session = target / f"{name}{SESSION_SUFFIX}"
        audio = target / "interchange" / name / "audiofiles"
        notes = target / "interchange" / name / "midifiles"
        return WriteReport(
            adapter=self.name,
            session_path=target,
            files=(session, *(audio / file for file in media.values()), *(notes / draft.file for draft in drafts)),
            how_to_open=f"open {session} in Ardour 7 or newer (Session > Open)",
            limits=limits,
        )

    def doctor(self) -> list[Check]:
        """Whether Ardour, its stock plug-ins and its export tool are here; a session can be written without them."""
        from daw_bridge_ardour.program import checks

        return checks()


def _session_name(name: str) -> str:
    return name.replace(";", ",")


ADAPTER = ArdourAdapter()
