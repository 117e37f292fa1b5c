"""Fixtures: an installed Ardour with a configuration of its own, so that a developer's settings stay untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from daw_bridge_ardour.program import Ardour
from tests.ardour.installed import need_installed_ardour


@pytest.fixture(scope="session")
def ardour_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for Ardour's settings."""
    return tmp_path_factory.mktemp("ardour-home")


@pytest.fixture
def ardour(ardour_home: Path, monkeypatch: pytest.MonkeyPatch) -> Ardour:
    """The installed Ardour; skips visibly where there is none."""
    found = need_installed_ardour()
    monkeypatch.setenv("HOME", str(ardour_home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(ardour_home / ".config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(ardour_home / ".cache"))
    return found


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A song folder whose path has a blank and letters beyond ASCII."""
    folder = tmp_path / "Größe & Сон.session"
    folder.mkdir()
    return folder
