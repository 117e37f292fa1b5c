"""The public checks: our own adapters pass them, and an adapter that breaks a promise does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge.adapter import Feature, SessionAdapter, Support, WriteReport
from daw_bridge.errors import OutputError
from daw_bridge.files import write_atomic
from daw_bridge.model import SessionPlan
from daw_bridge.registry import BUILT_IN, load_adapter
from daw_bridge.testing import check_adapter


@pytest.mark.parametrize("name", [name for name in BUILT_IN if not name.endswith("-live")])
def test_every_adapter_that_writes_files_keeps_the_contract(name: str, tmp_path: Path) -> None:
    check_adapter(load_adapter(name), tmp_path)


class ListAdapter:
    """Writes the names of the tracks into a text file: the smallest honest adapter."""

    name, title = "list", "A list"
    features: Mapping[Feature, Support] = {Feature.CLIPS: Support.EXACT}

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.txt"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        target = self.session_path(folder, name)
        if target.exists():
            raise OutputError(f"{target}: exists; give another name")
        write_atomic(target, "\n".join(track.name for track in plan.tracks))
        from daw_bridge.adapter import Limit

        lost = [
            Limit(feature=feature, support=Support.NOT_POSSIBLE, where=plan.name, what="a list has none")
            for feature in Feature
            if feature not in self.features
        ]
        return WriteReport(
            adapter=self.name, session_path=target, files=(target,), how_to_open="read it", limits=tuple(lost)
        )


class Silent(ListAdapter):
    """Says nothing of what it drops."""

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        return replace(super().write(plan, folder, name), limits=())


class Overwriting(ListAdapter):
    """Takes the place of a session that is there."""

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        self.session_path(folder, name).unlink(missing_ok=True)
        return super().write(plan, folder, name)


class Elsewhere(ListAdapter):
    """Writes beside the place that it announced."""

    def session_path(self, folder: Path, name: str) -> Path:
        return folder.parent / f"{name}.txt"


class Destructive(ListAdapter):
    """Normalises the stems on the way."""

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        plan.tracks[0].clips[0].path.write_bytes(b"louder")
        return super().write(plan, folder, name)


def test_the_smallest_honest_adapter_passes(tmp_path: Path) -> None:
    check_adapter(ListAdapter(), tmp_path)


@pytest.mark.parametrize(
    ("adapter", "reason"),
    [
        (Silent(), "never dropped; silent: "),
        (Overwriting(), "refused with OutputError"),
        (Elsewhere(), "inside the folder"),
        (Destructive(), "leaves the audio as it is"),
    ],
)
def test_a_broken_promise_is_named(adapter: SessionAdapter, reason: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=reason):
        check_adapter(adapter, tmp_path)
