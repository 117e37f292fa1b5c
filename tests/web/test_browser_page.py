"""The page in a real browser: a mix becomes a song, nothing overlaps, no other page gets in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import ROOT, Tab, Web, picture
from tests.web.song_folder import make_song

pytestmark = pytest.mark.browser

MIX = ROOT / "examples" / "demo_song" / "mix.flac"
GEOMETRY = """() => {
  const wanted = 'button, input, select, summary, a, [tabindex="0"]';
  const all = [...document.querySelectorAll(wanted)].filter((e) => e.checkVisibility() && !e.closest(".transport"));
  const name = (e) => (e.ariaLabel || e.textContent || e.id || e.className).trim().slice(0, 40), bad = [];
  const target = (e) => (e.matches("input[type=checkbox], input[type=file]") ? e.closest("label") : e);
  const boxes = all.map((e) => target(e).getBoundingClientRect());
  all.forEach((e, i) => {
    const box = boxes[i], wide = e.matches("input[type=range], .scroll") ? 24 : 44;
    if (box.width < wide || box.height < 44) bad.push(`small: ${name(e)} ${box.width}x${box.height}`);
    for (let j = i + 1; j < all.length; j++) {
      const other = boxes[j], a = target(e), b = target(all[j]);
      if (a.contains(b) || b.contains(a)) continue;
      const x = Math.min(box.right, other.right) - Math.max(box.left, other.left);
      const y = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
      if (x > 1 && y > 1) bad.push(`overlap: ${name(e)} / ${name(all[j])}`);
    }
  });
  if (document.documentElement.scrollWidth > innerWidth) bad.push(`sideways: ${document.documentElement.scrollWidth}`);
  return bad;
}"""
INKED = """() => [...document.querySelectorAll("canvas.wave")].every((canvas) => {
  const {width, height} = canvas, data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let inked = 0;
  for (let at = 3; at < data.length; at += 4) inked += data[at] > 0;
  return inked >= width;
})"""


def drawn(page: Page) -> None:
    page.wait_for_selector("canvas.wave")
    page.wait_for_function(INKED)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_nothing_overlaps_and_everything_can_be_touched(
    steady_web: Web, make_tab: Callable[..., Tab], scheme: str
) -> None:
    tab = make_tab(color_scheme=scheme)
    for width, height in ((390, 844), (768, 1024), (1024, 768), (1280, 800)):
        tab.page.set_viewport_size({"width": width, "height": height})
        page = tab.open(steady_web.daemon.url)
        page.wait_for_function("() => document.querySelector('#model')?.options.length > 0")
        assert page.evaluate(GEOMETRY) == [], f"make, {width}"
        picture(page, f"make-{scheme}-{width}")
        page.get_by_role("link", name="Demo").click()
        drawn(page)
        assert page.evaluate(GEOMETRY) == [], f"song, {width}"
        picture(page, f"song-{scheme}-{width}")
    assert tab.complaints == []


def test_the_strips_are_named_for_a_screen_reader(steady_web: Web, make_tab: Callable[..., Tab]) -> None:
    page = make_tab().open(steady_web.daemon.url)
    page.get_by_role("link", name="Demo").click()
    drawn(page)
    strip = page.get_by_role("region", name="VOCALS", exact=True)
    expect(strip).to_match_aria_snapshot(
        """
        - region "VOCALS":
          - 'button "VOCALS: show its sound"': VOCALS
          - button "Solo VOCALS": S
          - button "Mute VOCALS": M
          - slider "Level of VOCALS"
          - status: 0.0 dB
          - slider "Pan of VOCALS"
          - img "Waveform of vocals"
        """
    )
    expect(page.get_by_role("slider", name="Level of VOCALS")).to_have_attribute("aria-valuetext", "0.0 dB")
    expect(page.get_by_role("toolbar", name="Transport").get_by_role("radio")).to_have_text(
        ["Stems", "Template", "Original"]
    )


def test_keys_solo_mute_and_choose_what_is_heard(steady_web: Web, make_tab: Callable[..., Tab]) -> None:
    page = make_tab().open(steady_web.daemon.url)
    page.get_by_role("link", name="Demo").click()
    drawn(page)
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="Solo BASS")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Shift+Digit1")
    expect(page.get_by_role("button", name="Mute DRUMS")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("x")
    expect(page.get_by_role("radio", name="Original")).to_have_attribute("aria-checked", "true")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_a_dropped_mix_becomes_a_song_through_a_reload(
    make_web: Callable[..., Web], make_tab: Callable[..., Tab], music: Path
) -> None:
    """Upload, build with the bundled model, a reload in the middle, and the finished song in a second tab, too."""
    web, tab = make_web(real=True), make_tab(color_scheme="dark", viewport={"width": 1280, "height": 800})
    page = tab.open(web.daemon.url)
    page.set_input_files("#file", {"name": "My Song.flac", "mimeType": "audio/flac", "buffer": MIX.read_bytes()})
    expect(page.locator("#mix")).to_have_value("My Song.flac")
    page.locator("#model").select_option("preview")
    picture(page, "web-make")
    page.get_by_role("button", name="Make the session").click()
    expect(page.get_by_role("article").get_by_text("running", exact=True)).to_be_visible(timeout=60_000)
    page.reload()
    second = tab.new_page()
    second.goto(web.daemon.url.partition("#")[0])  # without the key: the first tab has it
    expect(page.get_by_role("link", name="Listen")).to_be_visible(timeout=240_000)
    expect(second.get_by_role("link", name="My Song").first).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Listen").click()
    drawn(page)
    expect(page.get_by_text("Stems add up to the mix")).to_be_visible()
    page.wait_for_function("() => document.querySelectorAll('.head .facts:not(:empty)').length === 5")
    picture(page, "web-song")
    assert (music / "My Song.flac").read_bytes() == MIX.read_bytes()
    assert tab.complaints == []


def test_a_build_that_fails_says_why_and_can_be_tried_again(
    make_web: Callable[..., Web], make_tab: Callable[..., Tab], music: Path
) -> None:
    (music / "mix.wav").write_text("then=fail", "utf-8")
    page = make_tab().open(make_web().daemon.url)
    page.get_by_role("button", name="Make the session").click()
    expect(page.get_by_text("is silent from start to end")).to_be_visible()
    page.get_by_role("button", name="Try again").first.click()
    expect(page.get_by_text("is silent from start to end")).to_have_count(2)


def test_stems_and_a_licence_are_chosen_before_the_work(
    make_web: Callable[..., Web], make_tab: Callable[..., Tab], music: Path
) -> None:
    (music / "mix.wav").write_text("steps=1", "utf-8")
    page = make_tab(viewport={"width": 1280, "height": 800}).open(make_web().daemon.url)
    make = page.get_by_role("button", name="Make the session")
    page.get_by_label("Model").select_option("kar_aufr33")
    expect(page.get_by_text("Licence: nothing stated")).to_be_visible()
    expect(make).to_be_disabled()
    page.get_by_label("I may use it under this licence").check()
    expect(make).to_be_enabled()
    page.get_by_label("Model").select_option("preview")
    page.locator("#stems").select_option("some")
    expect(make).to_be_disabled()
    page.get_by_role("checkbox", name="bass").check()
    page.get_by_role("checkbox", name="vocals").check()
    make.click()
    expect(page.get_by_role("article")).to_contain_text("bass,vocals")
    assert page.get_by_role("article").bounding_box()["y"] < 800, "the queue is in view"  # type: ignore[index]


def test_a_song_that_vanishes_while_it_plays_is_said_in_words(
    make_web: Callable[..., Web], make_tab: Callable[..., Tab], music: Path
) -> None:
    song = make_song(music / "Demo.session", seconds=20)
    page = make_tab().open(make_web().daemon.url)
    page.get_by_role("link", name="Demo").click()
    drawn(page)
    page.keyboard.press("Space")
    page.wait_for_function("() => globalThis.dawBridge.view.transport.playing")
    shutil.rmtree(song)
    page.evaluate("() => globalThis.dawBridge.view.transport.seek(700000)")
    expect(page.get_by_role("status").filter(has_text=re.compile("not found|No such file|is gone"))).to_be_visible()


def test_without_its_key_the_page_asks_for_it(steady_web: Web, make_tab: Callable[..., Tab]) -> None:
    page = make_tab().open(steady_web.daemon.url.partition("#")[0])
    page.get_by_label("Link or key").fill(steady_web.daemon.url)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("link", name="Demo")).to_be_visible()


def test_another_origin_gets_nothing_even_with_the_key(
    steady_web: Web, make_web: Callable[..., Web], make_tab: Callable[..., Tab]
) -> None:
    """A page of another port of this host, and a rebound name: the browser's own requests, not ours."""
    other, port, secret = make_web(), steady_web.daemon.port, steady_web.daemon.secret
    page = make_tab(bypass_csp=True).open(other.daemon.url)
    attack = """async ([url, secret]) => {
      const headers = {Authorization: `Bearer ${secret}`};
      const tries = [{}, {headers}, {method: "POST", mode: "no-cors", body: "x"}];
      const asked = tries.map((each) => fetch(url + "/api/state", each).then((r) => r.type, () => "refused"));
      const found = await Promise.all(asked);
      const socket = new WebSocket(url.replace("http", "ws") + "/api/socket");
      found.push(await new Promise((resolve) => {
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      }));
      return found;
    }"""
    assert page.evaluate(attack, [f"http://127.0.0.1:{port}", secret]) == ["refused"] * 4
    answer = page.goto(f"http://evil.example:{port}/")
    assert answer is not None and answer.status == 421
