"""The boundaries where bytes from outside become values: each target takes any bytes and lets only known errors out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from daw_bridge.errors import DawBridgeError

Target = Callable[[bytes], None]
TARGETS: dict[str, Target] = {}
_FOLDER = Path(tempfile.mkdtemp(prefix="daw-bridge-fuzz-"))


def _target(function: Target) -> Target:
    TARGETS[function.__name__] = function
    return function


def _file(name: str, data: bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(data)
    return path


@_target
def osc(data: bytes) -> None:
    """Packets, and streams in both framings; what is read can be written and read again."""
    from daw_bridge.control.commands import parse
    from daw_bridge.osc import OscError, decode, encode
    from daw_bridge.osc_stream import deframer_for

    packets = [data]
    try:
        if data:
            packets += deframer_for(data[0]).feed(data)
    except OscError:
        pass
    for packet in packets:
        try:
            messages = decode(packet)
        except OscError:
            continue
        for message in messages:
            try:
                encode(message)
                parse(message.address, message.arguments)
            except (OscError, DawBridgeError):
                pass


@_target
def legacy_file(data: bytes) -> None:
    """Files of torch.save: the bytes as a file, and as the pickle in an archive."""
    import zipfile

    from daw_bridge.separation.families.legacy_file import LegacyFile
    from daw_bridge.separation.families.pickle_data import NotData

    archive = BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("archive/data.pkl", data)
        made.writestr("archive/data/0", bytes(16))
    for handle in (BytesIO(data), archive):
        try:
            file = LegacyFile(handle, ("demucs.htdemucs.HTDemucs",))
            file.resolve(file.content)
        except NotData:
            pass


@_target
def manifest(data: bytes) -> None:
    from daw_bridge.manifest import read_manifest
    from daw_bridge.plan_json import plan_from_json

    _file("manifest.json", data)
    try:
        found = read_manifest(_FOLDER)
        if found is not None:
            found.own_files()
            for record in found.sessions:
                plan_from_json(record.plan, _FOLDER)
    except DawBridgeError:
        pass


@_target
def journal(data: bytes) -> None:
    from daw_bridge.takeover import JOURNAL, STAGING, settle

    (_FOLDER / STAGING).mkdir(exist_ok=True)
    _file(f"{STAGING}/{JOURNAL}", data)
    try:
        settle(_FOLDER)
    except DawBridgeError:
        pass


@_target
def xml(data: bytes) -> None:
    from daw_bridge.safe_xml import parse_xml

    try:
        parse_xml(data)
    except ValueError:
        pass


@_target
def dawproject(data: bytes) -> None:
    import zipfile

    from daw_bridge_dawproject.read import read_project

    path = _FOLDER / "in.dawproject"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("project.xml", data)
        made.writestr("metadata.xml", b"<MetaData/>")
    for each in (path, _file("raw.dawproject", data)):
        try:
            read_project(each)
        except DawBridgeError:
            pass


@_target
def rpp(data: bytes) -> None:
    """REAPER projects: what can be read is written back byte for byte, of several versions the newest."""
    from daw_bridge_reaper import rpp as projects

    try:
        document = projects.load(_file("in.rpp", data))
    except DawBridgeError:
        return
    assert projects.to_bytes(document) == data or document.notes


@_target
def template(data: bytes) -> None:
    from daw_bridge.templates.bus_template import read_template

    try:
        read_template(_file("in.yaml", data))
    except DawBridgeError:
        pass


@_target
def audio(data: bytes) -> None:
    from daw_bridge.audio.reader import probe

    for name in ("in.wav", "in.flac", "in.mp3"):
        try:
            probe(_file(name, data))
        except DawBridgeError:
            pass


def seeds() -> dict[str, list[bytes]]:
    """What the corpus begins with: one good input of each kind, made in code."""
    import pickle
    from fractions import Fraction

    from daw_bridge.osc import Message, encode
    from daw_bridge.osc_stream import frame

    packet = encode(Message("/dawbridge/build", ("mix.wav", 1, -6.0, "#7")))
    body = {"format": "daw-bridge manifest", "version": 1, "name": "s", "daw_bridge": "0", "state": "complete"}
    body |= {"request": {}, "stems": [], "sessions": []}
    wave = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x44\xac\0\0\x88\x58\1\0\2\0\x10\0data\x08\0\0\0" + bytes(8)
    plan = {"placed": [{"file": "audio/a.wav", "sha256": "0", "replaces": ""}], "gone": [], "manifest": body}
    return {
        "osc": [packet, frame(packet, "slip"), frame(packet, "length")],
        "legacy_file": [pickle.dumps({"a": [1, 2.5, ("x", b"y")], "f": Fraction(1, 3)}, protocol=2)],
        "manifest": [json.dumps(body).encode()],
        "journal": [json.dumps(plan).encode()],
        "xml": [b'<?xml version="1.0"?><a b="c"><!-- d --><e>f</e></a>'],
        "dawproject": [b'<Project version="1.0"><Structure><Track id="1"/></Structure><Arrangement/></Project>'],
        "rpp": [b'<REAPER_PROJECT 0.1 "7.0" 1\n  TEMPO 120 4 4\n  <TRACK\n    NAME a\n  >\n>\n'],
        "template": [b"version: 1\nname: x\nbuses:\n  drums: {stems: [drums]}\n"],
        "audio": [wave, b"fLaC" + bytes(40), b"ID3\4\0\0\0\0\0\0\xff\xfb\x90\0" + bytes(100)],
    }
