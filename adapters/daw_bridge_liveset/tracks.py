"""Tracks of a Live set: audio, group, return, main and cue tracks around one mixer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from xml.etree import ElementTree as ET

from daw_bridge.units import db_to_linear
from daw_bridge_liveset.elements import LOUDEST, QUIETEST, Builder, Spec, add, fill, routing

Kind = Literal["AudioTrack", "GroupTrack", "ReturnTrack", "MainTrack", "PreHearTrack"]
SCENES = 8
NO_GROUP = -1
TO_MAIN, TO_GROUP, TO_OUTPUT = "AudioOut/Main", "AudioOut/GroupTrack", "AudioOut/External/S0"
_OUTPUT_NAMES = {TO_MAIN: ("Master", ""), TO_GROUP: ("Group", ""), TO_OUTPUT: ("Ext. Out", "1/2")}
_CLIP_TARGETS = (
    "VolumeModulationTarget",
    "TranspositionModulationTarget",
    "TransientEnvelopeModulationTarget",
    "GrainSizeModulationTarget",
    "FluxModulationTarget",
    "SampleOffsetModulationTarget",
    "ComplexProFormantsModulationTarget",
    "ComplexProEnvelopeModulationTarget",
)
_IDLE_TRANSFORM: Spec = {"IsTransformPending": False, "TimeAndValueTransforms": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What is told of a track; `sends_linear` has one gain a return, None for a send that may not be used."""

    kind: Kind
    id: int
    name: str
    colour: int
    group: int = NO_GROUP
    output: str = TO_MAIN
    gain_db: float = 0.0
    pan: float = 0.0
    mute: bool = False
    solo: bool = False
    sends_linear: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A track with the places that are filled later."""

    track: ET.Element
    mixer: ET.Element
    devices: ET.Element
    events: ET.Element | None
    envelopes: ET.Element


def make_track(parent: ET.Element, strip: Strip, build: Builder) -> Made:
    """The whole track; its order of elements is the one that Live 12 saves."""
    attributes = {"SelectedToolPanel": 7, "SelectedTransformationName": "", "SelectedGeneratorName": ""}
    if strip.kind not in ("MainTrack", "PreHearTrack"):
        attributes = {"Id": strip.id, **attributes}
    track = add(parent, strip.kind, **attributes)
    fill(track, {"LomId": 0, "LomIdView": 0, "IsContentSelectedInDocument": False, "PreferredContentViewMode": 0})
    fill(track, {"TrackDelay": {"Value": 0, "IsValueSampleBased": False}})
    names = {"EffectiveName": strip.name, "UserName": strip.name, "Annotation": "", "MemorizedFirstClipName": ""}
    fill(track, {"Name": names, "Color": strip.colour})
    envelopes = add(add(track, "AutomationEnvelopes"), "Envelopes")
    fill(track, {"TrackGroupId": strip.group, "TrackUnfolded": True})
    add(track, "DevicesListWrapper", LomId=0)
    add(track, "ClipSlotsListWrapper", LomId=0)
    fill(track, {"ViewData": "{}", "TakeLanes": {"TakeLanes": None, "AreTakeLanesFolded": True}})
    fill(track, {"LinkedTrackGroupId": -1})
    if strip.kind == "GroupTrack":
        slots = add(track, "Slots")
        for number in range(SCENES):
            fill(add(slots, "GroupTrackSlot", Id=number), {"LomId": 0})
    if strip.kind == "AudioTrack":
        fill(track, {"SavedPlayingSlot": -1, "SavedPlayingOffset": 0})
    if strip.kind in ("AudioTrack", "GroupTrack"):
        fill(track, {"Freeze": False})
    if strip.kind == "AudioTrack":
        fill(track, {"NeedArrangerRefreeze": True, "PostProcessFreezeClips": 0})
    return _chain(track, strip, build, envelopes)


def _chain(track: ET.Element, strip: Strip, build: Builder, envelopes: ET.Element) -> Made:
    chain = add(track, "DeviceChain")
    lanes = add(add(chain, "AutomationLanes"), "AutomationLanes")
    lane: Spec = {"SelectedDevice": 0, "SelectedEnvelope": 0, "IsContentSelectedInDocument": False, "LaneHeight": 68}
    fill(add(lanes, "AutomationLane", Id=0), lane)
    fill(chain[0], {"AreAdditionalAutomationLanesFolded": False})
    view = {"SelectedDevice": 0, "SelectedEnvelope": 0, "PreferModulationVisible": False}
    fill(chain, {"ClipEnvelopeChooserViewState": view})
    routing(chain, "AudioInputRouting", "AudioIn/None", "No Input")
    routing(chain, "MidiInputRouting", "MidiIn/External.All/-1", "Ext: All Ins")
    routing(chain, "AudioOutputRouting", strip.output, *_OUTPUT_NAMES[strip.output])
    routing(chain, "MidiOutputRouting", "MidiOut/None", "None")
    mixer = _mixer(add(chain, "Mixer"), strip, build)
    events = None
    if strip.kind == "AudioTrack":
        events = _sequencer(add(chain, "MainSequencer"), build, monitor=2)
        _sequencer(add(chain, "FreezeSequencer"), build, monitor=1)
    if strip.kind == "MainTrack":
        freeze = add(chain, "FreezeSequencer")
        _sequencer(add(freeze, "AudioSequencer", Id=0), build, monitor=1, slots=0)
    inner = add(chain, "DeviceChain")
    devices = add(inner, "Devices")
    add(inner, "SignalModulations")
    if strip.kind in ("ReturnTrack", "GroupTrack"):
        _sequencer(add(chain, "FreezeSequencer"), build, monitor=1, slots=0)
    return Made(track, mixer, devices, events, envelopes)


def _mixer(mixer: ET.Element, strip: Strip, build: Builder) -> ET.Element:
    build.head(mixer)
    sends = add(mixer, "Sends")
    for number, level in enumerate(strip.sends_linear):
        holder = add(sends, "TrackSendHolder", Id=number)
        build.number(holder, "Send", max(level or 0.0, QUIETEST), QUIETEST, 1.0)
        fill(holder, {"EnabledByUser": level is not None})
    build.switch(mixer, "Speaker", on=not strip.mute)
    fill(mixer, {"SoloSink": strip.solo, "PanMode": 0})
    build.number(mixer, "Pan", strip.pan, -1.0, 1.0)
    build.number(mixer, "SplitStereoPanL", -1.0, -1.0, 1.0)
    build.number(mixer, "SplitStereoPanR", 1.0, -1.0, 1.0)
    build.number(mixer, "Volume", min(max(db_to_linear(strip.gain_db), QUIETEST), LOUDEST), QUIETEST, LOUDEST)
    fill(mixer, {"ViewStateSessionTrackWidth": 93})
    build.choice(mixer, "CrossFadeState", 1)
    add(mixer, "SendsListWrapper", LomId=0)
    return mixer


def _sequencer(sequencer: ET.Element, build: Builder, *, monitor: int, slots: int = SCENES) -> ET.Element:
    """Where clips lie; the `Events` of the arrangement."""
    build.head(sequencer)
    list_ = add(sequencer, "ClipSlotList")
    for number in range(slots):
        slot: Spec = {"LomId": 0, "ClipSlot": {"Value": None}, "HasStop": True, "NeedRefreeze": True}
        fill(add(list_, "ClipSlot", Id=number), slot)
    fill(sequencer, {"MonitoringEnum": monitor, "KeepRecordMonitoringLatency": True})
    arranger = add(add(sequencer, "Sample"), "ArrangerAutomation")
    events = add(arranger, "Events")
    fill(arranger, {"AutomationTransformViewState": _IDLE_TRANSFORM})
    for tag in _CLIP_TARGETS:
        build.target(sequencer, tag)
    scroll = -1073741824
    fill(sequencer, {"PitchViewScrollPosition": scroll, "SampleOffsetModulationScrollPosition": scroll})
    fill(sequencer, {"Recorder": {"IsArmed": False, "TakeCounter": 1}})
    return events


def automate(made: Made, target: ET.Element, kind: str, points: Sequence[tuple[float, float]]) -> None:
    """An envelope of steps on a parameter of this track: (beats, value), the first from before the start on."""
    id_ = target.find("AutomationTarget")
    assert id_ is not None  # noqa: S101  # every parameter has one
    envelope = add(made.envelopes, "AutomationEnvelope", Id=len(made.envelopes))
    fill(envelope, {"EnvelopeTarget": {"PointeeId": id_.get("Id", "")}})
    automation = add(envelope, "Automation")
    events = add(automation, "Events")
    rows = [(-63072000.0, points[0][1])]
    for (_, before), (at, value) in pairwise(points):
        rows += [(at, before), (at, value)] if kind == "FloatEvent" else [(at, value)]
    for number, (at, value) in enumerate(rows):
        shown = float(value) if kind == "FloatEvent" else int(value)
        add(events, kind, Id=number, Time=float(at), Value=shown)
    fill(automation, {"AutomationTransformViewState": _IDLE_TRANSFORM})
