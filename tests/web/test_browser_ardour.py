"""The page as the surface of a real Ardour: its strips move the buses there, and follow them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from benchmarks.ardour_osc import ardour_with_osc
from daw_bridge.manifest import read_manifest
from daw_bridge.plan_json import plan_from_json
from tests.ardour.installed import need_installed_ardour
from tests.ardour.live_ardour import LiveArdour
from tests.web.conftest import Tab, Web
from tests.web.song_folder import make_song

pytestmark = [pytest.mark.browser, pytest.mark.daw]


@pytest.fixture
def ardour(music: Path, tmp_path: Path) -> Iterator[None]:
    """Ardour with the session of the page's song."""
    program = need_installed_ardour()
    song = make_song(music / "Demo.session", template="neutral", seconds=2.0)
    manifest = read_manifest(song)
    assert manifest is not None
    (tmp_path / "daw").mkdir()
    with ardour_with_osc(program, plan_from_json(manifest.sessions[-1].plan, song), tmp_path / "daw"):
        yield


@pytest.fixture
def page(ardour: None, make_web: Callable[..., Web], make_tab: Callable[..., Tab]) -> Page:
    page = make_tab().open(make_web().daemon.url)
    page.get_by_role("link", name="Demo").click()
    page.get_by_label("What plays").select_option("ardour")
    page.wait_for_function("() => document.body.classList.contains('daw-plays')")
    return page


def test_a_move_reaches_ardour_and_ardours_own_comes_back(page: Page) -> None:
    with LiveArdour() as witness:
        page.get_by_role("button", name="Mute VOCALS").click()
        while not witness.strip("VOCALS").mute:
            pass
        page.get_by_role("button", name="Mute VOCALS").click()
        while witness.strip("VOCALS").mute:
            pass
        page.get_by_role("slider", name="Level of BASS").fill("-6")
        while abs(witness.gain_db("BASS") + 6.0) > 0.2:
            pass
        witness.set_gain("DRUMS", -8.5)
        expect(page.get_by_role("slider", name="Level of DRUMS")).to_have_attribute("aria-valuetext", "\u22128.5 dB")
