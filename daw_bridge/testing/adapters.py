"""`check_adapter` tries an adapter that writes sessions against the contract of `daw_bridge.adapter`."""

from __future__ import annotations

import hashlib
from pathlib import Path

from daw_bridge.adapter import Feature, SessionAdapter, Support, WriteReport
from daw_bridge.errors import OutputError
from daw_bridge.model import SessionPlan
from daw_bridge.testing.plans import example_plan

_AWKWARD_NAME = "Größe & 'Ω' \"x\" №7 🎛"


def check_adapter(adapter: SessionAdapter, folder: Path) -> None:
    """Write plain, full and awkwardly named sessions below `folder` (empty); AssertionError with what is wrong.

    What is tried: sessions lie where they were announced and are all there; an existing one is refused and stays as it
    was; audio is never touched; the same plan gives the same report; whatever the plan uses and the adapter does not
    claim to express exactly is named in `limits`.
    """
    _expect(bool(adapter.name) and adapter.name == adapter.name.strip(), "an adapter has a name to type")
    _expect(bool(adapter.title), "an adapter has a title that people know its DAW by")
    odd = [feature for feature, support in adapter.features.items() if not isinstance(support, Support)]
    _expect(not odd, f"features map a Feature to a Support; not so: {odd}")
    plain = _check_session(adapter, folder / "plain", neutral=True)
    named = [limit.feature for limit in plain.limits if adapter.features.get(limit.feature) is Support.EXACT]
    _expect(not named, f"a neutral session loses nothing that the adapter calls exact, but: {named}")
    report = _check_session(adapter, folder / "full", neutral=False)
    said = {limit.feature for limit in report.limits}
    silent = [
        feature.value
        for feature in Feature
        if adapter.features.get(feature, Support.NOT_POSSIBLE) is Support.NOT_POSSIBLE and feature not in said
    ]
    _expect(not silent, f"what is not possible is reported, never dropped; silent: {silent}")
    _check_awkward_name(adapter, folder / "awkward")


def _check_session(adapter: SessionAdapter, folder: Path, *, neutral: bool) -> WriteReport:
    plan = example_plan(folder, neutral=neutral)
    audio = _digests(folder / "audio")
    target = adapter.session_path(folder, "Song")
    inside = target.resolve().is_relative_to(folder.resolve())
    _expect(inside, "a session lies inside the folder that was given")
    report = adapter.write(plan, folder, "Song")
    _expect(report.adapter == adapter.name, f"the report is of {adapter.name!r}, not of {report.adapter!r}")
    _expect(report.session_path == target and target.exists(), f"the session lies at session_path(): {target}")
    absent = [str(file) for file in report.files if not file.exists()]
    _expect(not absent, f"every file of the report is there; absent: {absent}")
    _expect(bool(report.how_to_open.strip()), "the report says how to open the session")
    _expect(_digests(folder / "audio") == audio, "writing a session leaves the audio as it is")
    _expect(not list(folder.rglob("*.part")), "no temporary file is left")
    _check_refusal(adapter, plan, folder)
    again = adapter.write(plan, folder, "Song again")
    _expect(again.limits == report.limits, "the same plan gives the same limits")
    return report


def _check_refusal(adapter: SessionAdapter, plan: SessionPlan, folder: Path) -> None:
    before = _digests(folder)
    try:
        adapter.write(plan, folder, "Song")
    except OutputError as exc:
        _expect("\n" not in str(exc), "an error is one line")
    else:
        raise AssertionError("a session that exists is refused with OutputError")
    _expect(_digests(folder) == before, "a refused session leaves everything as it was")


def _check_awkward_name(adapter: SessionAdapter, folder: Path) -> None:
    plan = example_plan(folder, name=_AWKWARD_NAME)
    report = adapter.write(plan, folder, "Song")
    _expect(report.session_path.exists(), f"a plan called {_AWKWARD_NAME!r} is written like any other")


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(what)
