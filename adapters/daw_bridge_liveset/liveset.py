"""A SessionPlan as the XML of a Live set (Live 12.0), in a frame of our own.

Buses are group tracks that hold their tracks, returns are return tracks, and the mix bus is the main track, because
returns cannot play into a group. The reference goes around it to the audio interface where the mix bus does anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree as ET

from daw_bridge.adapter import Feature, Limit, Losses
from daw_bridge.errors import InputError
from daw_bridge.model import MASTER, MIX_BUS, Bus, SessionPlan, Track
from daw_bridge.units import db_to_linear, samples_to_s
from daw_bridge_liveset.clips import FOLLOW_ACTION, GRID, SampleOf, add_clip
from daw_bridge_liveset.colours import NO_COLOUR, nearest
from daw_bridge_liveset.devices import DeviceWriter
from daw_bridge_liveset.elements import Builder, add, fill, text
from daw_bridge_liveset.tracks import NO_GROUP, SCENES, TO_GROUP, TO_MAIN, TO_OUTPUT, Made, Strip, automate, make_track

VERSION = {
    "MajorVersion": "5",
    "MinorVersion": "12.0_12117",
    "SchemaChangeCount": "10",
    "Creator": "daw-bridge",
    "Revision": "",
}
SLOWEST_BPM, FASTEST_BPM = 20.0, 999.0
LOUDEST_DB = 6.0
_CLOSED_VIEWS = (
    "ViewStateMainWindowClipDetailOpen",
    "ViewStateMainWindowHiddenOtherDocViewTypeClipDetailOpen",
    "ViewStateMainWindowHiddenOtherDocViewTypeDeviceDetailOpen",
    "ViewStateMainWindowDeviceDetailOpen",
    "ViewStateSecondWindowClipDetailOpen",
    "ViewStateSecondWindowDeviceDetailOpen",
)
_PARTS = ("IO", "Sends", "Returns", "Volume", "TrackOptions", "CrossFade", "TrackPerformanceImpactMeter")
_SHOWN = ("IO", "Sends", "Returns", "Volume")
_VIEWS: dict[str, object] = {
    "MixerInArrangement": 1,
    **{f"ArrangerMixer{part}": int(part in _SHOWN) for part in _PARTS},
    "MixerInSession": 1,
    **{f"Session{part}": int(part in _SHOWN) for part in _PARTS},
    "SessionShowOverView": 0,
    "ArrangerIO": 1,
    "ArrangerReturns": 1,
    "ArrangerVolume": 1,
    "ArrangerTrackOptions": 0,
    "ArrangerShowOverView": 1,
}
_LISTS = ("Tracks", "VisibleTracks", "ReturnTracks", "Scenes", "CuePoints")


def set_text(plan: SessionPlan, sample_of: SampleOf) -> tuple[bytes, tuple[Limit, ...]]:
    """The XML of a plan, and what it could not express. Raises InputError for a bus that does not exist."""
    writer = _Writer(plan, sample_of)
    root = writer.root()
    ET.indent(root, "\t")
    data: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return data + b"\n", tuple(writer.losses.limits)


def metre_number(metre: tuple[int, int]) -> int:
    """A metre as Live numbers it: 99 numerators a power of two."""
    return 99 * (metre[1].bit_length() - 1) + metre[0] - 1


class _Writer:
    def __init__(self, plan: SessionPlan, sample_of: SampleOf) -> None:
        self._plan, self._sample_of = plan, sample_of
        self._build, self.losses = Builder(), Losses()
        # Ids first: side-chains point forwards and backwards.
        self._ids = {bus.name: number for number, bus in enumerate((*plan.buses, *plan.returns), 100)}
        self._next_track = 100 + len(self._ids)
        self._returns = [bus.name for bus in plan.returns]
        self._devices: list[tuple[ET.Element, Bus]] = []

    def root(self) -> ET.Element:
        plan = self._plan
        root = ET.Element("Ableton", VERSION)
        live = add(root, "LiveSet")
        first_free = add(live, "NextPointeeId")
        fill(live, {"OverwriteProtectionNumber": 3072, "LomId": 0, "LomIdView": 0})
        tracks = add(live, "Tracks")
        self._all_tracks(tracks)
        main = self._main(live)
        cue = Strip(kind="PreHearTrack", id=0, name="Master", colour=NO_COLOUR, output=TO_OUTPUT)
        make_track(live, cue, self._build)
        self._sends_pre(add(live, "SendsPre"))
        _scenes(add(live, "Scenes"), plan)
        self._tempo(main)
        _transport(live)
        self._locators(live)
        _views(live, plan)
        self._say_what_is_lost()
        first_free.set("Value", str(self._build.next_id))
        return root

    def _all_tracks(self, tracks: ET.Element) -> None:
        plan = self._plan
        for bus in plan.children(MIX_BUS):
            self._group(tracks, bus)
        for track in plan.tracks:
            if track.output in (MIX_BUS, MASTER):
                self._track(tracks, track, group=NO_GROUP, output=TO_MAIN)
            elif track.output not in self._ids:
                raise InputError(f"{track.name}: feeds the bus {track.output!r}, which does not exist")
        if plan.reference is not None:
            mix = plan.mix_bus
            around = bool(mix.effects or mix.gain_db or mix.pan or mix.mute)
            if around:
                what = "goes around the main track to outputs 1/2 of the audio interface"
                self.losses.at(plan.reference.name).bent(Feature.REFERENCE, what)
            self._track(tracks, plan.reference, group=NO_GROUP, output=TO_OUTPUT if around else TO_MAIN)
        for bus in plan.returns:
            self._bus(tracks, bus, "ReturnTrack")
        for devices, bus in self._devices:
            written = self._write_devices(devices, bus)
            if bus.name in self._returns and not written and not bus.mute:
                speaker = tracks.find(f"ReturnTrack[@Id='{self._ids[bus.name]}']/DeviceChain/Mixer/Speaker/Manual")
                if speaker is not None:
                    speaker.set("Value", "false")
                what = "is muted: without its effect it would add the dry signal; insert one, then unmute"
                self.losses.at(bus.label).bent(Feature.RETURNS, what)

    def _group(self, tracks: ET.Element, bus: Bus) -> None:
        """A bus as a group, with its tracks and the groups in it."""
        self._bus(tracks, bus, "GroupTrack")
        for track in self._plan.tracks:
            if track.output == bus.name:
                self._track(tracks, track, group=self._ids[bus.name], output=TO_GROUP)
        for inner in self._plan.children(bus.name):
            self._group(tracks, inner)

    def _write_devices(self, devices: ET.Element, bus: Bus) -> bool:
        writer = DeviceWriter(self._build, self._track_of, self.losses.at(bus.label or bus.name))
        written = [writer.write(devices, effect) for effect in bus.effects]
        return all(written)

    def _track_of(self, bus_name: str) -> tuple[int, str]:
        if bus_name not in self._ids:
            raise InputError(f"the side-chain bus {bus_name!r} does not exist")
        bus = self._plan.bus(bus_name)
        return self._ids[bus_name], bus.label or bus.name

    def _bus(self, tracks: ET.Element, bus: Bus, kind: str) -> None:
        strip = Strip(
            kind="GroupTrack" if kind == "GroupTrack" else "ReturnTrack",
            id=self._ids[bus.name],
            name=bus.label or bus.name,
            colour=nearest(bus.colour),
            gain_db=self._level(bus),
            pan=bus.pan,
            mute=bus.mute,
            solo=bus.solo,
            sends_linear=self._sends(bus) if kind == "GroupTrack" else [None] * len(self._returns),
            group=NO_GROUP if bus.parent is None else self._ids[bus.parent],
            output=TO_MAIN if bus.parent is None else TO_GROUP,
        )
        made = make_track(tracks, strip, self._build)
        self._devices.append((made.devices, bus))
        if bus.group is not None:
            self.losses.at(bus.label).lost(Feature.GROUPS, f"Live has no edit groups: {bus.group!r} left out")

    def _track(self, tracks: ET.Element, track: Track, *, group: int, output: str) -> None:
        strip = Strip(
            kind="AudioTrack",
            id=self._next_track,
            name=track.name,
            colour=nearest(track.colour),
            group=group,
            output=output,
            gain_db=self._level(track),
            pan=track.pan,
            mute=track.mute,
            solo=track.solo,
            sends_linear=[0.0] * len(self._returns),
        )
        self._next_track += 1
        made = make_track(tracks, strip, self._build)
        for clip in sorted(track.clips, key=lambda clip: clip.position_samples):
            if clip.length_samples > 0 and made.events is not None:
                add_clip(made.events, self._plan, clip, strip.colour, self._sample_of)

    def _level(self, strip: Bus | Track) -> float:
        losses = self.losses.at(strip.name)
        if strip.pan:
            losses.bent(Feature.GAIN_PAN_MUTE_SOLO, "Live pans with constant power: the near side gets up to 3 dB more")
        return losses.clamp(Feature.GAIN_PAN_MUTE_SOLO, "the fader in dB", strip.gain_db, -70.0, LOUDEST_DB)

    def _sends(self, bus: Bus) -> Sequence[float]:
        levels = dict.fromkeys(self._returns, 0.0)
        for send in bus.sends:
            if send.to not in levels:
                raise InputError(f"{bus.name}: sends to {send.to!r}, which is no return of this session")
            losses = self.losses.at(bus.label or bus.name)
            gain_db = losses.clamp(Feature.SENDS, f"the send to {send.to} in dB", send.gain_db, -70.0, 0.0)
            levels[send.to] = db_to_linear(gain_db)
        return list(levels.values())

    def _sends_pre(self, parent: ET.Element) -> None:
        """Before or behind the fader: Live says it of a return, not of a send."""
        for number, name in enumerate(self._returns):
            wishes = [send.pre_fader for bus in self._plan.buses for send in bus.sends if send.to == name]
            pre = sum(wishes) * 2 > len(wishes)
            if any(wish != pre for wish in wishes):
                what = f"all sends to it are {'before' if pre else 'behind'} the fader: Live sets it for a whole return"
                self.losses.at(name).bent(Feature.SENDS, what)
            add(parent, "SendPreBool", Id=number, Value=pre)

    def _main(self, live: ET.Element) -> Made:
        mix = self._plan.mix_bus
        level = self._level(mix)
        strip = Strip(
            kind="MainTrack",
            id=0,
            name="Master",
            colour=nearest(mix.colour),
            output=TO_OUTPUT,
            gain_db=level,
            pan=mix.pan,
            mute=mix.mute,
        )
        made = make_track(live, strip, self._build)
        self._write_devices(made.devices, mix)
        build = self._build
        first = self._plan.tempo_map.placed[0].event
        build.number(made.mixer, "Tempo", self._bpm(first.tempo_bpm), 60.0, 200.0)
        build.choice(made.mixer, "TimeSignature", metre_number(self._metre(first.time_signature)))
        build.number(made.mixer, "GlobalGrooveAmount", 0.0, 0.0, 131.25)
        build.number(made.mixer, "CrossFade", 0.0, -1.0, 1.0)
        fill(made.mixer, {"TempoAutomationViewBottom": 60, "TempoAutomationViewTop": 200})
        return made

    def _bpm(self, bpm: float) -> float:
        return self.losses.clamp(Feature.TEMPO, "the tempo in BPM", bpm, SLOWEST_BPM, FASTEST_BPM)

    def _metre(self, metre: tuple[int, int]) -> tuple[int, int]:
        if metre[0] <= 99 and metre[1] <= 16:
            return metre
        self.losses.bent(Feature.TEMPO, f"Live has no metre {metre[0]}/{metre[1]}: it became 4/4")
        return 4, 4

    def _tempo(self, main: Made) -> None:
        """Steps of tempo and metre; without a change one point each, as Live writes it."""
        placed = self._plan.tempo_map.placed
        metres = [(each.quarters, float(metre_number(self._metre(each.event.time_signature)))) for each in placed]
        changed = [metres[0], *(b for a, b in pairwise(metres) if a[1] != b[1])]
        tempos = [(each.quarters, self._bpm(each.event.tempo_bpm)) for each in placed]
        for tag, kind, points in (("TimeSignature", "EnumEvent", changed), ("Tempo", "FloatEvent", tempos)):
            parameter = main.mixer.find(tag)
            if parameter is not None:
                automate(main, parameter, kind, points)

    def _locators(self, live: ET.Element) -> None:
        locators = add(add(live, "Locators"), "Locators")
        plan = self._plan
        for number, marker in enumerate(sorted(plan.markers, key=lambda marker: marker.position_samples)):
            losses = self.losses.at(marker.name)
            if marker.length_samples > 0:
                losses.bent(Feature.MARKERS, "Live has no regions: its start is a locator")
            if marker.colour is not None:
                losses.bent(Feature.MARKERS, "locators have no colour")
            at = plan.tempo_map.quarters(samples_to_s(marker.position_samples, plan.sample_rate_hz))
            made = add(locators, "Locator", Id=number)
            fill(made, {"LomId": 0, "Time": at, "Name": marker.name, "Annotation": "", "IsSongStart": False})

    def _say_what_is_lost(self) -> None:
        plan = self._plan
        strips: tuple[Track | Bus, ...] = (*plan.tracks, *plan.buses, *plan.returns)
        if any(each.colour is not None for each in strips):
            self.losses.bent(Feature.COLOURS, "the nearest of Live's 70 colours")
        if plan.note_tracks:
            self.losses.lost(Feature.NOTES, "drop the MIDI file of the song folder onto a MIDI track")


def _scenes(parent: ET.Element, plan: SessionPlan) -> None:
    for number in range(SCENES):
        scene = add(parent, "Scene", Id=number)
        fill(scene, {"FollowAction": FOLLOW_ACTION, "Name": "", "Annotation": "", "Color": -1})
        fill(scene, {"Tempo": plan.tempo_bpm, "IsTempoEnabled": False, "TimeSignatureId": 201})
        fill(scene, {"IsTimeSignatureEnabled": False, "LomId": 0})
        add(scene, "ClipSlotsListWrapper", LomId=0)


def _transport(live: ET.Element) -> None:
    """Transport and grid, at Live's own defaults."""
    transport = {"PhaseNudgeTempo": 10, "LoopOn": False, "LoopStart": 8, "LoopLength": 16, "LoopIsSongStart": False}
    playing = {"CurrentTime": 0, "PunchIn": False, "PunchOut": False, "MetronomeTickDuration": 0, "DrawMode": False}
    fill(live, {"Transport": {**transport, **playing}})
    add(live, "SessionScrollPos", X=0, Y=0)
    fill(live, {"SignalModulations": None, "GlobalQuantisation": 4, "AutoQuantisation": 0, "Grid": GRID})
    fill(live, {"ScaleInformation": {"Root": 0, "Name": 0}, "InKey": True, "SmpteFormat": 0})
    fill(live, {"TimeSelection": {"AnchorTime": 0, "OtherTime": 0}})
    navigator = add(live, "SequencerNavigator")
    fill(navigator, {"BeatTimeHelper": {"CurrentZoom": 0.25}})
    add(navigator, "ScrollerPos", X=0, Y=0)
    add(navigator, "ClientSize", X=745, Y=490)
    fill(live, {"IsContentSplitterOpen": True, "IsExpressionSplitterOpen": True})
    _lanes(add(live, "ExpressionLanes"), ((0, 5, 41), (1, 0, 41), (2, 1, 41), (3, 2, 41), (4, 3, 41)))
    _lanes(add(live, "ContentLanes"), ((0, 2, 41), (2, 3, 25), (1, 4, 25)))
    fill(live, {"ViewStateFxSlotCount": 4, "ViewStateSessionMixerVolumeSectionHeight": 120})
    fill(live, {"ViewStateArrangerMixerVolumeSectionHeight": 120})
    fill(live, {"ShouldSceneTempoAndTimeSignatureBeVisible": False, "WaveformVerticalZoomFactor": 1})
    fill(live, {"IsWaveformVerticalZoomActive": True})


def _views(live: ET.Element, plan: SessionPlan) -> None:
    """What follows the locators; the arrangement is shown."""
    fill(live, {"DetailClipKeyMidis": None})
    for name in _LISTS:
        add(live, f"{name}ListWrapper", LomId=0)
    fill(live, {"SelectedDocumentViewInMainWindow": 0, "Annotation": text("; ".join(plan.notes))})
    fill(live, {"SoloOrPflSavedValue": True, "SoloInPlace": True, "CrossfadeCurve": 2, "LatencyCompensation": 2})
    fill(live, {"HighlightedTrackIndex": 0, "GroovePool": {"LomId": 0, "Grooves": None, "DefaultGrooveId": -1}})
    fill(live, {"AutomationMode": False, "SnapAutomationToGrid": True, "ArrangementOverdub": False})
    fill(live, {"ColorSequenceIndex": 0, "AutoColorPickerForPlayerAndGroupTracks": {"NextColorIndex": 7}})
    fill(live, {"AutoColorPickerForReturnAndMainTracks": {"NextColorIndex": 16}, "ViewData": "{}"})
    fill(live, {"ResetNonautomatedMidiControllersOnClipStarts": True, "MidiFoldIn": False, "MidiFoldMode": -99})
    fill(live, {"MultiClipFocusMode": False, "MultiClipLoopBarHeight": 0, "MidiPrelisten": False})
    fill(live, {"LinkedTrackGroups": None, "NoteSpellingPreference": 0, "AccidentalSpellingPreference": 3})
    fill(live, {"PreferFlatRootNote": False, "UseWarperLegacyHiQMode": False})
    nowhere = -2147483648
    add(live, "VideoWindowRect", Top=nowhere, Left=nowhere, Bottom=nowhere, Right=nowhere)
    fill(live, {"ShowVideoWindow": True, "TuningSystems": None, "TrackHeaderWidth": 93})
    fill(live, dict.fromkeys(_CLOSED_VIEWS, False))
    fill(live, {"ViewStates": _VIEWS})


def _lanes(parent: ET.Element, rows: Sequence[tuple[int, int, int]]) -> None:
    for number, kind, size in rows:
        fill(add(parent, "MidiEditorLaneModel", Id=number), {"Type": kind, "Size": size, "IsMinimized": True})
