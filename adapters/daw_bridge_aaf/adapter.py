"""The AAF adapter: `NAME.aaf` with all audio inside, and `NAME.mid` with what AAF has no place for: tempo and metre."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import mido  # noqa: F401  # a missing package is said when the adapter is chosen, not after the separation

from daw_bridge.adapter import Feature, Losses, Support, WriteReport, new_session, require_audio
from daw_bridge.files import atomic_path, write_atomic
from daw_bridge.midi_file import free_midi_path, plan_to_midi
from daw_bridge.model import Clip, SessionPlan
from daw_bridge.units import db_to_linear
from daw_bridge_aaf.composition import write_composition
from daw_bridge_aaf.pcm import SAMPLE_BYTES, Survey, survey
from daw_bridge_aaf.strips import MonoTrack, mono_tracks

FEATURES: Mapping[Feature, Support] = {
    Feature.CLIPS: Support.EXACT,
    Feature.GAIN_PAN_MUTE_SOLO: Support.APPROXIMATED,
    Feature.REFERENCE: Support.APPROXIMATED,
    Feature.MARKERS: Support.EXACT,
    Feature.TEMPO: Support.APPROXIMATED,
    Feature.NOTES: Support.APPROXIMATED,
}
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 44_100, 96_000
_LARGEST_BYTES = 2 * 1024**3


class AafAdapter:
    """Writes AAF files. Stateless."""

    name = "aaf"
    title = "AAF (Pro Tools, Logic, Nuendo, Resolve)"
    features = FEATURES

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.aaf"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """Write `folder/NAME.aaf` and a MIDI file with the tempo map; both whole or none at all.

        Raises OutputError when it exists or cannot be written, InputError when a clip's file is missing or changed or a
        track feeds a bus that does not exist, UsageError for a name that is a path.
        """
        target = new_session(self.session_path(folder, name), name, what="an AAF file")
        losses = Losses()
        tracks = mono_tracks(plan, losses)
        clips = _clips(tracks)
        heard = survey(clips)
        _say_what_programs_refuse(plan, clips, losses)
        if heard.lowered_db:
            losses.bent(
                Feature.CLIPS,
                f"samples beyond 0 dBFS do not fit 24 bits: all audio is lowered by {heard.lowered_db:.1f} dB "
                "and the clip gains are raised by as much",
            )
        tempo = plan_to_midi(plan)
        midi = free_midi_path(folder, name, tempo)
        made = not midi.exists()
        losses.bent(Feature.TEMPO, "AAF has no tempo map: import the MIDI file beside it into the same session")
        if plan.note_tracks:
            losses.bent(Feature.NOTES, "AAF has no notes: they are in the MIDI file beside it")
        try:
            with atomic_path(target) as hidden:
                seed = _seed(plan, tracks, heard)
                write_composition(hidden, plan, tracks, lowered_linear=db_to_linear(-heard.lowered_db), seed=seed)
                if made:
                    write_atomic(midi, tempo)
        except BaseException:
            if made:
                midi.unlink(missing_ok=True)
            raise
        how = f"import {target.name} into Pro Tools, Logic, Nuendo or Resolve, then {midi.name} for tempo and markers"
        return WriteReport(
            adapter=self.name,
            session_path=target,
            files=(target, midi),
            how_to_open=how,
            limits=tuple(losses.limits),
        )


def _clips(tracks: tuple[MonoTrack, ...]) -> list[Clip]:
    """Each file once. InputError for one that is gone."""
    clips = {piece.clip.path: piece.clip for track in tracks for piece in track.pieces}
    for path in clips:
        require_audio(path)
    return list(clips.values())


def _say_what_programs_refuse(plan: SessionPlan, clips: list[Clip], losses: Losses) -> None:
    if not LOWEST_RATE_HZ <= plan.sample_rate_hz <= HIGHEST_RATE_HZ:
        losses.bent(
            Feature.CLIPS, f"Logic reads AAF from 44100 to 96000 Hz, and this session has {plan.sample_rate_hz} Hz"
        )
    size = sum(clip.length_samples * clip.channels * SAMPLE_BYTES for clip in clips)
    if size > _LARGEST_BYTES:
        losses.bent(Feature.CLIPS, f"the file has {size / 1e9:.1f} GB, and some programs read AAF up to 2 GB")


def _seed(plan: SessionPlan, tracks: tuple[MonoTrack, ...], heard: Survey) -> bytes:
    """What ids are made from: everything that is written, and not where it lies on this disk."""
    rows = [
        (track.name, track.pan, [(each.clip.position_samples, each.channel, each.gain_linear) for each in track.pieces])
        for track in tracks
    ]
    said = repr((plan.name, plan.sample_rate_hz, plan.length_samples, rows, plan.markers))
    return hashlib.sha256(heard.digest + said.encode("utf-8", "replace")).digest()


ADAPTER = AafAdapter()
