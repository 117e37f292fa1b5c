"""What comes out of the page, recorded behind its faders in a real browser: sample for sample what the files hold."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from playwright.sync_api import Page

from tests.web.conftest import Tab, Web
from tests.web.song_folder import STEMS

pytestmark = pytest.mark.browser

RECORDER = Path(__file__).with_name("recorder.js")
START = """async (code) => {
  const view = globalThis.dawBridge.view, {transport} = view, count = view.song.stems.length;
  await transport.wake();
  await transport.ctx.audioWorklet.addModule(URL.createObjectURL(new Blob([code], {type: "text/javascript"})));
  const node = new AudioWorkletNode(transport.ctx, "recorder", {numberOfInputs: count + 1, numberOfOutputs: 0});
  const connect = transport.connect;
  transport.connect = (name, out) => {
    const inputs = connect(name, out);
    if (name === "stems") view.faders.slice(0, count).forEach(({fader}, index) => fader.output.connect(node, 0, index));
    return inputs;
  };
  transport.master.connect(node, 0, count);
  globalThis.recorder = node;
}"""
LOOP = 200_003
CELL = 16_384
ENOUGH = 20_000
EXACT_DB = -230.0
ON = "() => globalThis.recorder.port.postMessage('on')"
TAKE = """async () => {
  const {transport} = globalThis.dawBridge.view, node = globalThis.recorder;
  const answer = new Promise((resolve) => { node.port.onmessage = ({data}) => resolve(data); });
  node.port.postMessage("take");
  const taken = await answer;
  const all = new Float32Array(taken.blocks.length * 256 * node.numberOfInputs);
  taken.blocks.forEach((block, index) => all.set(block, index * block.length));
  const bytes = new Uint8Array(all.buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  const dry = transport.voice === null || transport.now >= transport.voice.next.frame;
  return {frames: taken.frames, waited: dry || transport.rebuffers > 0, inputs: node.numberOfInputs, data: btoa(text)};
}"""


class Recording:
    """What arrived, shape (inputs, 2, frames), from `start`, a frame of the context.

    On a busy machine the browser's sound thread may miss its turn: its clock jumps, and what played goes on late until
    its cell is over, as on any sound card that runs dry. From the block
    before a jump to the end of that cell all is NaN: not compared.
    """

    def __init__(self, page: Page) -> None:
        taken = page.evaluate(TAKE)
        blocks = np.frombuffer(base64.b64decode(taken["data"]), "<f4").reshape(-1, taken["inputs"], 2, 128)
        frames = np.array(taken["frames"])
        self.start = int(frames[0])
        self.samples = np.full((taken["inputs"], 2, int(frames[-1]) + 128 - self.start), np.nan, np.float32)
        for frame, block in zip(frames - self.start, blocks, strict=True):
            self.samples[:, :, frame : frame + 128] = block
        for jump in np.flatnonzero(np.diff(frames) != 128):
            at = int(frames[jump]) - self.start
            self.samples[:, :, at : int(frames[jump + 1]) - self.start + CELL] = np.nan
        self.waited: bool = taken["waited"]  # for a slow server: all stems were silent together, or have begun again

    def since(self, zero: int) -> np.ndarray:
        """From this frame of the context on; nothing where the page had to wait."""
        return self.samples[:, :, self.samples.shape[2] if self.waited else zero - self.start :]


def undisturbed(scenario: Callable[[], np.ndarray]) -> None:
    """Play it until the machine left enough of it alone; what was left alone has been compared each time."""
    heard_frames = [int(np.isfinite(scenario()).all(axis=0).sum()) for _ in range(1)]
    while heard_frames[-1] < ENOUGH and len(heard_frames) < 6:
        heard_frames.append(int(np.isfinite(scenario()).all(axis=0).sum()))
    assert heard_frames[-1] >= ENOUGH, heard_frames


def db(samples: np.ndarray) -> float:
    kept = samples[np.isfinite(samples)]
    return float(20 * np.log10(np.abs(kept).max(initial=0.0) + 1e-12))


def played(page: Page, seconds: float) -> None:
    """Wait on the page's own clock."""
    page.evaluate("() => { globalThis.mark = globalThis.dawBridge.view.transport.ctx.currentTime; }")
    page.wait_for_function(
        "(s) => globalThis.dawBridge.view.transport.ctx.currentTime > globalThis.mark + s", arg=seconds
    )


def heard(page: Page, parts: int) -> None:
    """Wait until a voice of so many parts is what sounds."""
    page.wait_for_function(
        """(parts) => {
          const {voice, now, map} = globalThis.dawBridge.view.transport;
          return voice?.source.parts === parts && now > map.zero + 512;
        }""",
        arg=parts,
    )


def file_of(web: Web, name: str) -> np.ndarray:
    folder = web.ask("/api/songs/Demo.session").json()["path"]
    samples, _ = sf.read(Path(folder) / "audio" / f"Demo_{name}.wav", dtype="float32")
    return samples.T


@pytest.fixture
def listening(steady_web: Web, make_tab: Callable[..., Tab]) -> Page:
    tab = make_tab(bypass_csp=True)  # for the recorder only; every other test keeps the policy on
    page = tab.open(steady_web.daemon.url)
    page.get_by_role("link", name="Demo").click()
    page.wait_for_selector("[data-strip=vocals]")
    page.evaluate(START, RECORDER.read_text("utf-8"))
    return page


def map_of(page: Page) -> dict[str, int]:
    found: dict[str, int] = page.evaluate(
        "() => { const {at, zero} = globalThis.dawBridge.view.transport.map; return {at, zero}; }"
    )
    return found


def loop_and_play(page: Page, first: int, last: int) -> None:
    page.evaluate("() => { const {transport} = globalThis.dawBridge.view; transport.stop(); transport.rebuffers = 0; }")
    page.evaluate("(range) => globalThis.dawBridge.view.chooseLoop(range)", [first, last])
    page.evaluate(ON)
    page.keyboard.press("Space")
    page.wait_for_function("() => globalThis.dawBridge.view.transport.playing")


def test_a_loop_of_odd_length_has_no_joint(steady_web: Web, listening: Page) -> None:
    page, first, last = listening, 50_001, 50_001 + 20_011
    reference = file_of(steady_web, "reference")[:, first:last]

    def around() -> np.ndarray:
        loop_and_play(page, first, last)
        played(page, 1.6)
        zero = map_of(page)["zero"]
        master = Recording(page).since(zero)[-1]
        assert not master.size or master.shape[1] > 3 * reference.shape[1]
        assert db(master - reference[:, np.arange(master.shape[1]) % reference.shape[1]]) <= -130.0
        return master

    undisturbed(around)


def test_a_muted_vocal_is_gone_and_the_rest_is_untouched(steady_web: Web, listening: Page) -> None:
    page = listening
    page.get_by_role("button", name="Mute VOCALS").click()
    played(page, 0.3)  # a mute is a short fade
    wanted = file_of(steady_web, "reference") - file_of(steady_web, "vocals")

    def without() -> np.ndarray:
        loop_and_play(page, 0, LOOP)
        played(page, 0.8)
        zero = map_of(page)["zero"]
        master = Recording(page).since(zero)[-1]
        assert db(master - wanted[:, np.arange(master.shape[1]) % LOOP]) <= -130.0
        return master

    undisturbed(without)


def test_the_neutral_template_joins_the_clock_and_sounds_like_the_mix(steady_web: Web, listening: Page) -> None:
    page = listening
    page.get_by_label("Bus template").select_option("neutral")
    page.wait_for_function("() => globalThis.dawBridge.view.mix.template === 'neutral'")
    reference = file_of(steady_web, "reference")

    def joined() -> np.ndarray:
        page.get_by_role("radio", name="Stems").click()
        loop_and_play(page, 0, LOOP)
        page.keyboard.press("t")
        heard(page, 1)
        played(page, 0.8)
        at = map_of(page)
        sound = Recording(page).since(at["zero"] + 512)[-1]
        assert db(sound - reference[:, (at["at"] + 512 + np.arange(sound.shape[1])) % LOOP]) <= -130.0
        return sound

    undisturbed(joined)


def test_stems_are_bit_exact_and_the_master_nulls_through_play_and_ab(steady_web: Web, listening: Page) -> None:
    """There and back between stems and original on one clock, in a loop, so that a slow machine has time."""
    page, first = listening, 44_123
    reference = file_of(steady_web, "reference")
    stems = {stem: file_of(steady_web, stem) for stem in STEMS}

    def there_and_back() -> np.ndarray:
        loop_and_play(page, first, first + LOOP)
        begin = map_of(page)
        played(page, 0.6)
        for way, parts in (("Original", 1), ("Stems", len(STEMS))):
            page.get_by_role("radio", name=way).click()
            heard(page, parts)
        played(page, 0.2)
        end = map_of(page)
        recording = Recording(page)
        if recording.waited:
            return np.zeros((2, 0))
        sound = recording.since(begin["zero"])
        frames = end["at"] - first + begin["zero"] - end["zero"] + np.arange(sound.shape[2])
        assert (frames[0] - begin["at"] + first) % LOOP == 0, "the clock was kept through both switches"
        assert db(sound[-1] - reference[:, first + frames % LOOP]) <= -130.0
        for index, stem in enumerate(STEMS):
            assert db(sound[index][:, :22_050] - stems[stem][:, first + frames[:22_050] % LOOP]) <= EXACT_DB, stem
        return sound[-1]

    undisturbed(there_and_back)
