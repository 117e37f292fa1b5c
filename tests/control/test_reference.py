"""The generated documents are current, the surfaces use only commands that exist, discovery is found."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.control.bridge import Bridge
from daw_bridge.control.commands import COMMANDS, find_command, parse
from daw_bridge.control.midi.map import parse_map
from daw_bridge.control.mixer.commands import MixerCommands
from daw_bridge.control.net.discovery import answer, query_tree
from daw_bridge.control.net.security import AccessPolicy, MusicFolders
from daw_bridge.control.queue.jobs import JobStore
from daw_bridge.errors import Busy
from daw_bridge.registry import mixer_names, open_mixer
from tests.control.conftest import CATALOG
from tests.control.reference import command_reference, open_stage_control_session, touchosc_sheet
from tests.generated_docs import DOCS, check_section
from tests.osc.reference import profile_reference

Make = Callable[..., Any]
SURFACES = DOCS.parent / "examples" / "surfaces"


def test_generated_command_tables_are_those_of_the_daemon() -> None:
    check_section("osc.md", "commands", command_reference())


def test_generated_profile_tables_are_those_of_the_parser() -> None:
    check_section("osc-profiles.md", "profile", profile_reference())


def test_the_mapping_in_the_docs_is_good() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (DOCS / "osc.md").read_text("utf-8"), re.DOTALL)
    assert len(parse_map(block, "docs/osc.md")) == 3


def test_the_oscsend_lines_in_the_docs_are_commands() -> None:
    lines = re.findall(
        r"^oscsend localhost 9129 (\S+) ([a-z]+) (.+)$", (DOCS / "osc.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(lines) == 4
    for address, tags, rest in lines:
        words = re.findall(r'"[^"]*"|\S+', rest)
        values = [int(word) if tag == "i" else word.strip('"') for tag, word in zip(tags, words, strict=True)]
        parse(address, tuple(values))


def test_every_command_has_a_handler(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "q.sqlite")
    bridge = Bridge(store=store, music=MusicFolders(()), policy=AccessPolicy(), catalog=CATALOG)
    bridge.extend(MixerCommands(bridge, open_mixer).handlers())
    store.close()
    assert {command.handler for command in COMMANDS} == bridge.handler_names


@pytest.mark.parametrize(
    ("file", "make"), [("open-stage-control.json", open_stage_control_session), ("touchosc.tsv", touchosc_sheet)]
)
def test_generated_surface_layouts_are_current(file: str, make: Callable[[], str]) -> None:
    path = SURFACES / file
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(make(), "utf-8")
    assert path.read_text("utf-8") == make()


def _is_ours(address: str) -> bool:
    """A command, or something that the daemon sends."""
    if address.startswith(("/label/", "/dawbridge/surface/")):
        return True
    return bool(find_command(address))


def test_the_open_stage_control_session_uses_commands_that_exist() -> None:
    session = json.loads((SURFACES / "open-stage-control.json").read_text("utf-8"))
    widgets = session["content"]["widgets"]
    assert all(_is_ours(widget["address"]) for widget in widgets)
    assert len({widget["id"] for widget in widgets}) == len(widgets)
    subscribe = re.search(r"send\('([^']+)'", session["content"]["onCreate"])
    assert subscribe and find_command(subscribe[1])


# Open Stage Control's widget reference (openstagecontrol.ammd.net/docs/widgets, version 1.26 and later).
_COMMON = {
    "type", "id", "left", "top", "width", "height", "interaction", "default", "address", "preArgs", "target", "bypass",
    "onCreate", "onValue",
}  # fmt: skip
PROPERTIES = {
    "root": {"type", "id", "widgets", "onCreate", "onValue", "onPreload"},
    "text": _COMMON | {"align", "wrap", "vertical"},
    "input": _COMMON | {"typeTags", "asYouType", "numeric", "validation", "maxLength"},
    "button": _COMMON | {"typeTags", "label", "mode", "on", "off", "doubleTap"},
    "fader": _COMMON | {"typeTags", "range", "design", "horizontal", "steps", "snap", "origin"},
}


def test_the_open_stage_control_session_has_documented_properties_only() -> None:
    session = json.loads((SURFACES / "open-stage-control.json").read_text("utf-8"))
    assert (session["createdWith"], session["type"]) == ("Open Stage Control", "session")
    root = session["content"]
    assert (root["type"], root["id"]) == ("root", "root")
    for widget in (root, *root["widgets"]):
        assert set(widget) <= PROPERTIES[widget["type"]], widget["id"]
        if widget["type"] == "button":
            assert widget["mode"] in ("toggle", "push", "momentary", "tap") and widget["on"] != widget["off"]
    for one in root["widgets"]:
        for other in root["widgets"]:
            overlap = all(
                one[at] < other[at] + other[size] and other[at] < one[at] + one[size]
                for at, size in (("left", "width"), ("top", "height"))
            )
            assert one is other or not overlap, (one["id"], other["id"])


def test_every_control_of_the_open_stage_control_session_sends_a_good_command() -> None:
    """What the program sends by its reference: `on` and `off` of a toggle, `on` of a tap, a fader's ends, a text."""
    sent: dict[str, list[dict[str, Any]]] = {}
    for widget in json.loads((SURFACES / "open-stage-control.json").read_text("utf-8"))["content"]["widgets"]:
        if widget.get("bypass"):
            continue
        values = {
            "fader": lambda each: [each["range"]["min"], each["range"]["max"]],
            "button": lambda each: [each["on"], each["off"]] if each["mode"] == "toggle" else [each["on"]],
            "input": lambda _each: ["song.wav"],
        }[widget["type"]](widget)
        kinds = {"i": int, "f": float, "s": str}
        for value in values:
            typed = kinds[widget["typeTags"]](value)
            sent.setdefault(widget["address"], []).append(parse(widget["address"], (typed,)).values)
    assert sent["/dawbridge/cancel"] == [{"job": 0}]  # the one that runs
    assert sent["/dawbridge/build"] == [{"mix": "song.wav"}]
    assert sent["/dawbridge/stem/vocals/mute"] == [{"name": "vocals", "mute": True}, {"name": "vocals", "mute": False}]
    assert [each["daw"] for each in sent["/dawbridge/session/open"]] == ["ardour", "reaper-live"]
    assert {each["daw"] for each in sent["/dawbridge/session/open"]} <= set(mixer_names())


def test_the_touchosc_sheet_works_line_by_line_with_oscsend(make_daemon: Make, make_peer: Make, liblo: None) -> None:
    """Each control of the sheet, sent by liblo as TouchOSC would: the daemon knows every one."""
    port = make_daemon().port
    peer = make_peer(port)
    peer.ask("/dawbridge/subscribe")
    rows = [line.split("\t") for line in touchosc_sheet().splitlines() if not line.startswith("#")]
    sent = 0
    for _control, address, tag, values, _feedback in rows:
        if address.startswith("/dawbridge/surface/"):
            continue
        value = {"f": "-6.0", "i": values.split(" ")[0] or "0", "s": "no such mix"}[tag]
        subprocess.run(["oscsend", "127.0.0.1", str(port), address, tag, value], check=True)
        sent += 1
        reply = peer.wait(lambda each: each.address in ("/dawbridge/reply", "/dawbridge/error"))
        reason = str(reply.arguments[2])
        assert "no such command" not in reason and " is a " not in reason and "range" not in reason, reason
    assert sent == 15


def test_open_stage_control_opens_the_session_headless(tmp_path: Path) -> None:
    """The real program, where somebody has it (it is not on the npm registry)."""
    program = shutil.which("open-stage-control")
    if program is None:
        pytest.skip("Open Stage Control is not installed")
    load = str(SURFACES / "open-stage-control.json")
    arguments = [program, "--no-gui", "--load", load, "--port", "0", "--config-file", str(tmp_path / "config")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        line = ""
        while "Server running" not in line:
            line = server.stdout.readline()
            assert line and "rror" not in line, line
        server.terminate()


# Discovery


def test_the_oscquery_tree_has_every_command_with_types_and_ranges() -> None:
    tree = query_tree()["CONTENTS"]["dawbridge"]["CONTENTS"]
    gain = tree["bus"]["CONTENTS"]["{name}"]["CONTENTS"]["gain_db"]
    assert (gain["TYPE"], gain["RANGE"], gain["ACCESS"]) == ("f", [{"MIN": -150.0, "MAX": 12.0}], 3)
    assert tree["build"]["TYPE"] == "ssssss"
    assert answer("/dawbridge/build?TYPE", 9129) == (200, {"TYPE": "ssssss"})
    assert answer("/nothing", 9129)[0] == 404
    assert answer("/?HOST_INFO", 9129)[1]["OSC_PORT"] == 9129  # type: ignore[index]


def announced(make_daemon: Make) -> Any:
    """A daemon on a free port whose neighbour, OSCQuery's port, was free as well."""
    while True:
        try:
            return make_daemon(discovery=True)
        except Busy:
            continue


def test_a_surface_finds_the_daemon_by_zeroconf_and_reads_its_page(make_daemon: Make) -> None:
    pytest.importorskip("zeroconf")
    from zeroconf import ServiceBrowser, ServiceStateChange, Zeroconf

    daemon = announced(make_daemon)
    found: list[str] = []

    def changed(zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        found.append(name)

    browser = Zeroconf(interfaces=["127.0.0.1"])
    try:
        ServiceBrowser(browser, "_osc._udp.local.", handlers=[changed])
        info = None
        while True:  # the test's own limit ends it
            info = browser.get_service_info("_osc._udp.local.", found[0]) if found else None
            if info is not None and info.port == daemon.port:
                break
            asyncio.run(asyncio.sleep(0.1))
    finally:
        browser.close()
    url = f"http://127.0.0.1:{daemon.port + 1}/dawbridge/build"
    with urllib.request.urlopen(url, timeout=240) as page:  # our own page
        assert json.load(page)["FULL_PATH"] == "/dawbridge/build"
