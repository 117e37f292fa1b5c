"""Any plan that the model allows becomes a project without faults, valid by the official schema."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings

from daw_bridge.model import SessionPlan, Stem, StemSet
from daw_bridge.plan import make_plan
from daw_bridge.templates.store import list_templates, load_template
from daw_bridge_dawproject.checks import problems
from daw_bridge_dawproject.container import media_paths
from daw_bridge_dawproject.project_xml import ProjectText, project_text
from tests.conftest import SHARED
from tests.plan_strategies import plans

BASE = Path("/song")
STEMS = ("drums", "bass", "guitar", "piano", "other", "vocals", "residual")
NAMES = sorted(each.name for each in list_templates(Path("no-folder")))


def text_of(plan: SessionPlan) -> tuple[ProjectText, dict[Path, str]]:
    tracks = (*plan.tracks, *([plan.reference] if plan.reference else []))
    media = media_paths(clip for track in tracks for clip in track.clips if clip.length_samples > 0)
    return project_text(plan, media), media


def check(plan: SessionPlan, schema: object) -> None:
    text, media = text_of(plan)
    assert problems(ET.fromstring(text.project), set(media.values())) == []  # noqa: S314
    if schema is not None:
        etree = pytest.importorskip("lxml.etree")
        assert schema.validate(etree.fromstring(text.project)), schema.error_log  # type: ignore[attr-defined]


def project_schema() -> object:
    """The official schema, or None where there is no shared folder (our own checks run everywhere)."""
    path = SHARED / "schemas" / "dawproject" / "Project.xsd"
    if not path.is_file():
        return None
    etree = pytest.importorskip("lxml.etree")
    return etree.XMLSchema(etree.parse(str(path)))


SCHEMA = project_schema()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans(BASE))
def test_any_plan_is_sound(plan: SessionPlan) -> None:
    check(plan, SCHEMA)


@pytest.mark.parametrize("template", NAMES)
def test_every_shipped_template_is_sound(template: str) -> None:
    stem = {
        name: Stem(name=name, path=BASE / f"{name}.wav", sample_rate_hz=48_000, channels=2, length_samples=48_000)
        for name in (*STEMS, "reference")
    }
    reference = stem.pop("reference")
    plan = make_plan(StemSet(stems=tuple(stem.values()), reference=reference), load_template(template), name="song")
    check(plan, SCHEMA)


@pytest.mark.shared
def test_the_schema_is_here(shared_dir: Path) -> None:
    """Says visibly where the two tests above ran without the official schema."""
    assert SCHEMA is not None, shared_dir
