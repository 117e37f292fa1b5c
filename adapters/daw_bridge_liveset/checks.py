"""What is known to make Live refuse a set, or to make it say another thing than was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree as ET

_NUMBERED_APART = ("Tracks", "Scenes", "Locators", "Events", "WarpMarkers", "Sends", "SendsPre", "Devices")
_LONGEST_DATE = 10


def problems(root: ET.Element) -> list[str]:
    """Every fault of a set in words; empty when it is sound."""
    live = root.find("LiveSet")
    if root.tag != "Ableton" or live is None:
        return ["is no Live set"]
    return [*_ids(live), *_tracks(live), *_clips(live), *_references(live)]


def _pointees(live: ET.Element) -> list[int]:
    """Ids of all that automation and modulation may point at."""
    return [
        int(element.get("Id", "-1"))
        for element in live.iter()
        if element.tag == "Pointee" or element.tag.endswith(("AutomationTarget", "ModulationTarget"))
    ]


def _ids(live: ET.Element) -> Iterator[str]:
    ids = _pointees(live)
    first_free = int(_value(live.find("NextPointeeId"), "0"))
    yield from (f"the id {id_} is given {count} times" for id_, count in Counter(ids).items() if count > 1)
    if ids and max(ids) >= first_free:
        yield f"NextPointeeId {first_free} is not above the highest id {max(ids)}"
    for element in live.iter():
        if element.tag in _NUMBERED_APART:
            own = [child.get("Id", "") for child in element if "Id" in child.attrib]
            yield from (f"{element.tag}: Id {id_} twice" for id_, count in Counter(own).items() if count > 1)
    known = set(ids)
    for pointer in live.iter("PointeeId"):
        if int(_value(pointer, "-1")) not in known:
            yield f"an envelope points at {_value(pointer, '')}, which does not exist"


def _tracks(live: ET.Element) -> Iterator[str]:
    tracks = live.findall("Tracks/*")
    returns = [track for track in tracks if track.tag == "ReturnTrack"]
    scenes = len(live.findall("Scenes/Scene"))
    if len(live.findall("SendsPre/SendPreBool")) != len(returns):
        yield f"SendsPre does not have {len(returns)} entries, one a return"
    if returns and tracks[-len(returns) :] != returns:
        yield "the returns do not stand last"
    groups: set[str] = set()
    for track in tracks:
        name = _value(track.find("Name/EffectiveName"), "?")
        group = _value(track.find("TrackGroupId"), "-1")
        if group != "-1" and group not in groups:
            yield f"{name}: its group {group} does not stand above it"
        target = _value(track.find("DeviceChain/AudioOutputRouting/Target"), "")
        if (target == "AudioOut/GroupTrack") != (group != "-1"):
            yield f"{name}: plays into {target} and its group is {group}"
        if track.tag == "GroupTrack":
            groups.add(track.get("Id", ""))
        sends = len(track.findall("DeviceChain/Mixer/Sends/TrackSendHolder"))
        if sends != len(returns):
            yield f"{name}: has {sends} sends, and there are {len(returns)} returns"
        slots = track.findall(
            "Slots/GroupTrackSlot" if track.tag == "GroupTrack" else ".//MainSequencer//ClipSlotList/*"
        )
        if track.tag != "ReturnTrack" and len(slots) != scenes:
            yield f"{name}: has {len(slots)} slots for {scenes} scenes"


def _clips(live: ET.Element) -> Iterator[str]:
    for clip in live.iter("AudioClip"):
        name = _value(clip.find("Name"), "?")
        begin, end = (float(_value(clip.find(tag), "nan")) for tag in ("CurrentStart", "CurrentEnd"))
        if not 0.0 <= begin < end:
            yield f"{name}: lies from {begin} to {end}"
        if len(_value(clip.find("SampleRef/LastModDate"), "")) > _LONGEST_DATE:
            yield f"{name}: its LastModDate is not in seconds"
        if not _value(clip.find("SampleRef/FileRef/Path"), ""):
            yield f"{name}: names no file"
    for notes in live.iter("Notes"):
        ids = [each.get("NoteId", "") for each in notes.iter("MidiNoteEvent")]
        yield from (f"the note id {id_} is given twice" for id_, count in Counter(ids).items() if count > 1)


def _references(live: ET.Element) -> Iterator[str]:
    tracks = {f"Track.{track.get('Id')}" for track in live.findall("Tracks/*")}
    for target in live.iter("Target"):
        parts = _value(target, "").split("/")
        if parts[0] == "AudioIn" and parts[1].startswith("Track.") and parts[1] not in tracks:
            yield f"a side-chain listens to {parts[1]}, which does not exist"


def _value(element: ET.Element | None, default: str) -> str:
    return default if element is None else element.get("Value", default)
