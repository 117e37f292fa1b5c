"""Thirty songs, and what `batch` makes of them: once for all engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.songs import stems_of_batch, write_songs


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_songs(tmp_path_factory.mktemp("songs") / "music")


@pytest.fixture(scope="session")
def expected(music: Path) -> dict[str, set[str]]:
    return stems_of_batch(music, music.parent / "batch")
