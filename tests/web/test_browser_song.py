"""One song on the page: pictures of sound, the equalizer under the hand, two hours, two pages, the way out."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from daw_bridge.control.net.security import AccessPolicy
from daw_bridge.files import sha256_of_file
from daw_bridge.manifest import Manifest, read_manifest, write_manifest
from daw_bridge.web.tablet import lan_address
from tests.web.conftest import Tab, Web, picture
from tests.web.song_folder import make_song
from tests.web.test_browser_page import drawn

pytestmark = pytest.mark.browser

RATE_HZ = 8000
TWO_HOURS_SAMPLES = 2 * 3600 * RATE_HZ
COLOURS = """() => {
  const canvas = document.querySelector("[data-strip=drums] canvas.wave");
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
}"""
CURVE = "() => document.querySelector('[data-curve]').getAttribute('d')"


def opened(tab: Tab, url: str, name: str = "Demo") -> Page:
    page = tab.open(url)
    page.get_by_role("link", name=name).first.click()
    page.wait_for_selector("[data-strip=vocals]")
    return page


def test_a_spectrum_has_many_colours_where_a_waveform_has_few(steady_web: Web, make_tab: Callable[..., Tab]) -> None:
    tab = make_tab(viewport={"width": 1280, "height": 800})
    page = opened(tab, steady_web.daemon.url)
    drawn(page)
    plain = page.evaluate(COLOURS)
    page.get_by_role("button", name="Spectrum").click()
    page.wait_for_function(f"(plain) => ({COLOURS})() > 4 * plain + 100", arg=plain)
    picture(page, "web-spectrum")
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_function(f"() => ({COLOURS})() > 100")
    assert tab.complaints == []


def test_a_dragged_band_moves_the_curve_and_is_heard_in_the_mix(steady_web: Web, make_tab: Callable[..., Tab]) -> None:
    tab = make_tab(viewport={"width": 1280, "height": 1400})
    page = opened(tab, steady_web.daemon.url)
    before = page.evaluate(CURVE)
    dot = page.locator("svg.eq circle.dot").nth(1)
    box = dot.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y - 50, steps=4)
    page.mouse.up()
    page.wait_for_function(f"(before) => ({CURVE})() !== before", arg=before)
    gain_db = page.evaluate("() => globalThis.dawBridge.view.mix.strip('drums').effects[0].bands[1].gain_db")
    assert gain_db > 3.0
    sections = "() => JSON.stringify(globalThis.dawBridge.view.mix.strip('drums').sections)"
    page.wait_for_function(f"() => ({sections})() !== 'null'")
    page.get_by_role("button", name="Reset to template").click()
    page.wait_for_function(f"(before) => ({CURVE})() === before", arg=before)
    assert tab.complaints == []


def test_two_pages_play_one_song_each_with_its_own_mix(steady_web: Web, make_tab: Callable[..., Tab]) -> None:
    first, second = make_tab(), make_tab()
    pages = [opened(tab, steady_web.daemon.url) for tab in (first, second)]
    pages[0].get_by_role("button", name="Mute VOCALS").click()
    for page in pages:
        page.keyboard.press("Space")
        page.wait_for_function("() => globalThis.dawBridge.view.transport.position > 2000")
    expect(pages[1].get_by_role("button", name="Mute VOCALS")).to_have_attribute("aria-pressed", "false")
    assert first.complaints == second.complaints == []


def two_hours(folder: Path) -> Path:
    """A song of two hours at 8 kHz whose files are holes on the disk, with one click a second before the end."""
    make_song(folder, seconds=0.1, name="Long", template="neutral")
    manifest = read_manifest(folder)
    assert manifest is not None and manifest.reference is not None
    for file in (*(stem.file for stem in manifest.stems), manifest.reference.file):
        size = TWO_HOURS_SAMPLES * 8
        head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
        head += struct.pack("<IHHIIHH", 16, 3, 2, RATE_HZ, RATE_HZ * 8, 8, 32) + b"data" + struct.pack("<I", size)
        with (folder / file).open("wb") as out:
            out.write(head)
            out.truncate(len(head) + size)
            out.seek(len(head) + (TWO_HOURS_SAMPLES - RATE_HZ) * 8)
            out.write(struct.pack("<ff", 0.5, 0.5))
    write_manifest(folder, _stretched(manifest, folder))
    return folder


def _stretched(manifest: Manifest, folder: Path) -> Manifest:
    """The manifest with the new sizes; the sums stand for the samples and are never read here."""
    assert manifest.reference is not None

    def keyed(file: str) -> str:
        return hashlib.sha256(file.encode()).hexdigest()

    stems = tuple(
        replace(stem, sha256=keyed(stem.file), size_bytes=(folder / stem.file).stat().st_size)
        for stem in manifest.stems[:2]
    )
    reference = replace(
        manifest.reference,
        audio_sha256=keyed("reference"),
        sample_rate_hz=RATE_HZ,
        length_samples=TWO_HOURS_SAMPLES,
    )
    return replace(manifest, stems=stems, reference=reference, sessions=())


def test_two_hours_are_drawn_scrolled_and_played_to_their_end(
    make_web: Callable[..., Web], make_tab: Callable[..., Tab], music: Path
) -> None:
    two_hours(music / "Long.session")
    tab = make_tab()
    page = tab.open(make_web().daemon.url)
    page.get_by_role("link", name="Long").click()
    page.wait_for_selector("[data-strip=drums]")
    drawn(page)
    page.evaluate("() => globalThis.dawBridge.view.board.show(57_590_000, 57_600_000)")
    tallest = """() => {
      const canvas = document.querySelector("[data-strip=drums] canvas.wave"), {width, height} = canvas;
      const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
      let most = 0;
      for (let x = 0; x < width; x++) {
        let inked = 0;
        for (let y = 0; y < height; y++) inked += data[4 * (y * width + x) + 3] > 0;
        most = Math.max(most, inked / height);
      }
      return most;
    }"""
    page.wait_for_function(f"() => ({tallest})() > 0.3")  # the click, a second before the end
    page.evaluate("() => globalThis.dawBridge.view.transport.seek(57_594_000)")
    page.keyboard.press("Space")
    expect(page.get_by_label("Position")).to_contain_text("1:59:59")
    assert tab.complaints == []


def test_the_session_opens_in_its_daw(
    make_web: Callable[..., Web],
    make_tab: Callable[..., Tab],
    song: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program called reaper on the PATH that writes down what it is started with."""
    told, program = tmp_path / "told.txt", tmp_path / "bin" / "reaper"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > "{told}.part" && mv "{told}.part" "{told}"\n', "utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    page = opened(make_tab(), make_web().daemon.url)
    page.get_by_label("Open", exact=True).click()
    page.get_by_role("button", name="Open in REAPER").click()
    while not told.exists():
        page.wait_for_timeout(20)
    assert Path(told.read_text("utf-8")).parent == song


def test_a_mix_is_kept_and_written_into_the_session(
    make_web: Callable[..., Web], make_tab: Callable[..., Tab], song: Path
) -> None:
    sessions = sorted(song.glob("*.rpp"))
    before = [sha256_of_file(path) for path in sessions]
    page = opened(make_tab(), make_web(real=True).daemon.url)
    page.get_by_role("slider", name="Level of VOCALS").fill("-6")
    page.get_by_label("Mix", exact=True).click()
    page.get_by_role("button", name="Keep and write into the sessions").click()
    page.get_by_role("dialog").get_by_label("Name").fill("quiet voice")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="The sessions are written")).to_be_visible(timeout=120_000)
    manifest = read_manifest(song)
    assert manifest is not None and manifest.sessions[-1].template == "quiet voice"
    assert [sha256_of_file(path) for path in sorted(song.glob("*.rpp"))] != before


def test_a_tablet_gets_in_by_the_code_and_hears_sixteen_bits(
    make_web: Callable[..., Web], make_tab: Callable[..., Tab], song: Path
) -> None:
    address = lan_address()
    if not address:
        pytest.skip("this machine has no address in a network")
    anywhere = "0.0.0.0"  # noqa: S104  # as --lan does
    web = make_web(policy=AccessPolicy(bind_host=anywhere, token="x" * 24), host=anywhere)
    page = make_tab().open(web.daemon.url)
    page.get_by_role("link", name="Demo").click()
    page.get_by_role("button", name="Tablet or phone").click()
    expect(page.get_by_role("img", name="QR code of the link")).to_be_visible()
    link = page.get_by_role("dialog").locator("code").inner_text()
    assert link.startswith(f"http://{address}:")
    tab = make_tab(viewport={"width": 820, "height": 1180}, has_touch=True)
    tablet = opened(tab, link)
    drawn(tablet)
    asked: list[str] = []
    tablet.on("request", lambda request: asked.append(request.url))
    tablet.get_by_role("button", name="Play").click()
    tablet.wait_for_function("() => globalThis.dawBridge.view.transport.position > 2000")
    assert any("format=i16" in url for url in asked) and not any("format=f32" in url for url in asked)
    tablet.get_by_label("Open", exact=True).click()
    expect(tablet.get_by_role("button", name="Make a session for Ardour")).to_be_visible()
    expect(tablet.get_by_role("button", name="Open in REAPER")).to_have_count(0)
    # Chromium says that this header counts on https and on this computer only; it does no harm elsewhere.
    assert [text for text in tab.complaints if "Cross-Origin-Opener-Policy" not in text] == []
