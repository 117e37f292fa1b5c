"""Playing from any place: the same sound as from the beginning, without what was played before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daw_bridge.errors import UsageError
from daw_bridge.song import open_song
from daw_bridge.web.library import Song
from daw_bridge.web.mix import Mix, plan_of
from daw_bridge_render.adapter import ADAPTER
from tests.web.song_folder import RATE_HZ, make_song


def song_of(folder: Path) -> Song:
    return Song(id="x", made=open_song(make_song(folder, seconds=8.0)))


@pytest.mark.parametrize("template", ["neutral", "band", "dj"])
def test_a_playback_from_the_middle_is_the_render_from_there_on(tmp_path: Path, template: str) -> None:
    """Compressors, reverbs and echoes remember what came before; 4 s of it are played unheard."""
    plan = plan_of(song_of(tmp_path / "Demo.session"), Mix(template=template))
    with ADAPTER.play_from(plan, 0) as playback:
        whole = np.concatenate(list(iter_blocks(playback)), axis=1)
    begin = 6 * RATE_HZ + 123
    with ADAPTER.play_from(plan, begin) as playback:
        assert playback.position_samples == begin
        part = np.concatenate(list(iter_blocks(playback)), axis=1)
    assert whole.shape == (2, plan.length_samples)
    assert part.shape == (2, plan.length_samples - begin)
    assert 20 * np.log10(np.abs(part - whole[:, begin:]).max() + 1e-12) < -120.0


def test_a_playback_outside_the_song_is_refused(tmp_path: Path) -> None:
    plan = plan_of(song_of(tmp_path / "Demo.session"), Mix(template="neutral"))
    for begin in (-1, plan.length_samples + 1):
        with pytest.raises(UsageError):
            ADAPTER.play_from(plan, begin)
    with ADAPTER.play_from(plan, plan.length_samples) as playback:
        assert playback.read().shape == (2, 0)


def iter_blocks(playback):  # type: ignore[no-untyped-def]
    while (block := playback.read()).shape[1]:
        yield block
