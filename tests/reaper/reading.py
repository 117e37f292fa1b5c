"""A small project with something changed in it, as it is read, and as it is built again from what was read."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from daw_bridge.adapter import ReadReport
from daw_bridge.model import Bus, SessionPlan
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER
from daw_bridge_reaper.extract import plan_of
from tests.reaper.mixers import (
    Edit,
    base,
    edited,
)

WORDS = st.from_regex(r"[A-Z]{3,9}_[A-Z]{2}[0-9]", fullmatch=True)
"""Words that REAPER does not have."""
BASE = plan_of(base(), "base")


def read(*edits: Edit) -> ReadReport:
    return plan_of(edited(*edits), "base")


def news(report: ReadReport) -> str:
    """What is said now and not of the unchanged project."""
    return "\n".join(f"{limit.where}: {limit.what}" for limit in report.limits if limit not in BASE.limits)


def bus(report: ReadReport, name: str) -> Bus:
    return report.plan.bus(name)


def rebuilt(plan: SessionPlan, folder: Path) -> rpp.Document:
    path = folder / "again.rpp"
    path.unlink(missing_ok=True)
    return rpp.load(ADAPTER.write(plan, folder, "again").session_path)
