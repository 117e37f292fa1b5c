"""Buses in buses as groups in groups: by the official schema, by routing, and read back."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from daw_bridge.adapter import SessionReader
from daw_bridge.model import SessionPlan
from daw_bridge.plan import make_plan
from daw_bridge.templates.store import load_template
from daw_bridge.workflow.extract import extract_template
from daw_bridge_dawproject.adapter import ADAPTER
from daw_bridge_dawproject.checks import problems
from tests.dawproject.test_any_plan import SCHEMA
from tests.render.sessions import noise, stem_set

AROUND = {"kick": ("drums",), "ride": ("drums", "tops"), "hats": ("drums", "tops"), "bass": (), "residual": ()}


def nested_plan(folder: Path) -> SessionPlan:
    """DRUMS > KICK, TOPS > RIDE, HATS; BASS and the residual beside them; with the neutral template."""
    stems = stem_set(folder, {name: noise(4411, seed=seed) for seed, name in enumerate(AROUND)})
    stems = replace(stems, stems=tuple(replace(stem, parents=AROUND[stem.name]) for stem in stems.stems))
    return make_plan(stems, load_template("neutral"), name="Song")


def project_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as container:
        return container.read("project.xml")


def test_buses_in_buses_are_groups_in_groups(tmp_path: Path) -> None:
    report = ADAPTER.write(nested_plan(tmp_path), tmp_path, "Song")
    assert not report.limits
    text = project_of(report.session_path)
    root = ET.fromstring(text)  # noqa: S314
    with zipfile.ZipFile(report.session_path) as container:
        assert problems(root, set(container.namelist())) == []
    mix = root.find("Structure/Track")
    assert mix is not None
    place = mix
    for name in ("DRUMS", "TOPS", "HATS", "hats"):  # where it is nested, and where it is routed
        inner = place.find(f"Track[@name='{name}']")
        assert inner is not None, f"{name} is not in {place.get('name')}"
        channel, target = inner.find("Channel"), place.find("Channel")
        assert channel is not None and target is not None
        assert channel.get("destination") == target.get("id")
        place = inner
    if SCHEMA is not None:
        etree = pytest.importorskip("lxml.etree")
        assert SCHEMA.validate(etree.fromstring(text)), SCHEMA.error_log  # type: ignore[attr-defined]


def test_groups_in_groups_are_read_back_and_extracted(tmp_path: Path) -> None:
    plan = nested_plan(tmp_path)
    path = ADAPTER.write(plan, tmp_path, "Song").session_path
    assert isinstance(ADAPTER, SessionReader)
    read = ADAPTER.read_plan(path)
    assert not read.limits
    assert read.plan.buses == plan.buses
    template = extract_template(path).template
    parents = {bus.name: bus.parent for bus in template.buses if bus.parent}
    assert parents == {"kick": "drums", "tops": "drums", "ride": "tops", "hats": "tops"}
