"""Audio clips in the arrangement: unwarped, so that no sample is touched whatever the tempo does.

An unwarped clip counts its content in seconds and its place in beats: a clip of a set that Live saved has a loop of
342.4 s and ends on beat 422.293 at 74 BPM.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from daw_bridge.model import Clip, SessionPlan
from daw_bridge.units import samples_to_s
from daw_bridge_liveset.elements import add, fill

SampleOf = Callable[[Path], "tuple[str, str, int, int]"]
"""A file -> its path relative to the set (empty for one that lies elsewhere), its whole path, its size, its date."""


def add_clip(events: ET.Element, plan: SessionPlan, clip: Clip, colour: int, sample_of: SampleOf) -> None:
    """The whole file at its place, without fades."""
    begin_s = samples_to_s(clip.position_samples, plan.sample_rate_hz)
    length_s = samples_to_s(clip.length_samples, clip.sample_rate_hz)
    begin, end = plan.tempo_map.quarters(begin_s), plan.tempo_map.quarters(begin_s + length_s)
    made = add(events, "AudioClip", Id=len(events), Time=begin)
    fill(made, {"LomId": 0, "LomIdView": 0, "CurrentStart": begin, "CurrentEnd": end})
    loop = {"LoopStart": 0, "LoopEnd": length_s, "StartRelative": 0, "LoopOn": False, "OutMarker": length_s}
    fill(made, {"Loop": {**loop, "HiddenLoopStart": 0, "HiddenLoopEnd": length_s}})
    fill(made, {"Name": clip.name, "Annotation": "", "Color": colour, "LaunchMode": 0, "LaunchQuantisation": 0})
    metre = add(add(add(made, "TimeSignature"), "TimeSignatures"), "RemoteableTimeSignature", Id=0)
    beats, unit = plan.time_signature
    fill(metre, {"Numerator": beats, "Denominator": unit, "Time": 0})
    fill(made, {"Envelopes": {"Envelopes": None}, "ScrollerTimePreserver": {"LeftTime": 0, "RightTime": end - begin}})
    fill(made, {"TimeSelection": {"AnchorTime": 0, "OtherTime": 0}, "Legato": False, "Ram": False})
    fill(made, {"GrooveSettings": {"GrooveId": -1}, "Disabled": False, "VelocityAmount": 0})
    fill(made, {"FollowAction": FOLLOW_ACTION, "Grid": GRID, "FreezeStart": 0, "FreezeEnd": 0, "IsWarped": False})
    fill(made, {"TakeId": 1})
    _sample(made, clip, sample_of)
    fill(made, {"Onsets": {"UserOnsets": None, "HasUserOnsets": False}, "WarpMode": 0, "GranularityTones": 30})
    fill(made, {"GranularityTexture": 65, "FluctuationTexture": 25, "TransientResolution": 6, "TransientLoopMode": 2})
    fill(made, {"TransientEnvelope": 100, "ComplexProFormants": 100, "ComplexProEnvelope": 128, "Sync": True})
    fill(made, {"HiQ": True, "Fade": False, "Fades": FADES, "PitchCoarse": 0, "PitchFine": 0, "SampleVolume": 1})
    markers = add(made, "WarpMarkers")
    for number, (second, beat) in enumerate(((0.0, 0.0), (length_s, end - begin))):
        add(markers, "WarpMarker", Id=number, SecTime=second, BeatTime=beat)
    fill(made, {"SavedWarpMarkersForStretched": None, "MarkersGenerated": False, "IsSongTempoLeader": False})


def _sample(parent: ET.Element, clip: Clip, sample_of: SampleOf) -> None:
    relative, path, size_bytes, date_s = sample_of(clip.path)
    file = {
        "RelativePathType": 1 if relative else 0,
        "RelativePath": relative,
        "Path": path,
        "Type": 1,
        "LivePackName": "",
        "LivePackId": "",
        "OriginalFileSize": size_bytes,
        "OriginalCrc": 0,
    }
    reference = {"FileRef": file, "LastModDate": date_s, "SourceContext": None, "SampleUsageHint": 0}
    lengths = {"DefaultDuration": clip.length_samples, "DefaultSampleRate": clip.sample_rate_hz}
    fill(parent, {"SampleRef": {**reference, **lengths}})


GRID = {
    "FixedNumerator": 1,
    "FixedDenominator": 16,
    "GridIntervalPixel": 20,
    "Ntoles": 2,
    "SnapToGrid": True,
    "Fixed": False,
}
FOLLOW_ACTION = {
    "FollowTime": 4,
    "IsLinked": True,
    "LoopIterations": 1,
    "FollowActionA": 4,
    "FollowActionB": 0,
    "FollowChanceA": 100,
    "FollowChanceB": 0,
    "JumpIndexA": 0,
    "JumpIndexB": 0,
    "FollowActionEnabled": False,
}
FADES = {
    "FadeInLength": 0,
    "FadeOutLength": 0,
    "ClipFadesAreInitialized": True,
    "CrossfadeInState": 0,
    "FadeInCurveSkew": 0,
    "FadeInCurveSlope": 0,
    "FadeOutCurveSkew": 0,
    "FadeOutCurveSlope": 0,
    "IsDefaultFadeIn": False,
    "IsDefaultFadeOut": False,
}
