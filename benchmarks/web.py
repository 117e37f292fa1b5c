"""The page in a real Chromium: from click to sound, memory of the renderer, processor time of the server in play.

`python -m benchmarks.web [--seconds 240] [--stems 6] [--seeks 20] [--play 20]`; needs Debian's chromium and playwright.
The song is noise, made for the run. The sound is silent: Chromium plays into no card, by its own clock.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

NAMES = ("drums", "bass", "other", "vocals", "guitar", "piano")
CLICK_TO_SOUND = """async (frame) => {
  const {view} = globalThis.dawBridge, {transport} = view;
  transport.stop();
  for (const source of Object.values(view.sources)) source.kept.clear();
  const began = performance.now();
  transport.seek(frame);
  await view.toggle();
  while (!(transport.playing && transport.position > frame)) await new Promise((resolve) => setTimeout(resolve, 1));
  return performance.now() - began;
}"""


def _cpu_s(pid: int) -> float:
    """User and system seconds of a process and its children, from /proc (Linux)."""
    total, waiting = 0.0, [pid]
    while waiting:
        each = waiting.pop()
        try:
            fields = Path(f"/proc/{each}/stat").read_text("ascii").rpartition(")")[2].split()
            children = Path(f"/proc/{each}/task/{each}/children").read_text("ascii").split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / 100.0
        waiting += [int(child) for child in children]
    return total


def _renderer_mb(page: Page) -> float:
    """Resident memory of the process that draws and plays this page."""
    session = page.context.browser.new_browser_cdp_session()  # type: ignore[union-attr]
    processes: list[dict[str, Any]] = session.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = []
    for process in processes:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text("ascii")
            found = re.search(r"VmRSS:\s+(\d+)", status)
            sizes.append(int(found[1]) / 1024 if found else 0.0)
    return max(sizes)


@contextmanager
def _served(music: Path) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "daw_bridge", "web", "--no-browser", "--web-port", "0", "--port", "0"]
    command += ["--queue", str(music.parent / "queue.sqlite"), str(music)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"http://\S+", line):
                yield found[0], server.pid
                break
        server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--stems", type=int, default=6)
    parser.add_argument("--seeks", type=int, default=20)
    parser.add_argument("--play", type=float, default=20.0, help="seconds of song that are played")
    args = parser.parse_args()
    from tests.web.conftest import make_song

    names = (*NAMES[: args.stems - 1], "residual")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        music = Path(scratch) / "music"
        make_song(music / "Song.session", seconds=args.seconds, name="Song", template="neutral", names=names)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        with _served(music) as (url, pid):
            page = browser.new_page()
            page.goto(url)
            page.get_by_role("link", name="Song").first.click()
            page.wait_for_selector("canvas.wave")
            page.wait_for_timeout(3000)
            frames = int(args.seconds * 44_100)
            places = [1000 + (index * 7919 * 131) % (frames - 900_000) for index in range(args.seeks)]
            waits = [page.evaluate(CLICK_TO_SOUND, place) for place in places]
            before, memory = _cpu_s(pid), []
            page.evaluate("() => globalThis.dawBridge.view.transport.seek(0)")
            for _ in range(int(args.play)):
                page.wait_for_timeout(1000)
                memory.append(_renderer_mb(page))
            rebuffers = page.evaluate("() => globalThis.dawBridge.view.transport.rebuffers")
            used = _cpu_s(pid) - before
            print(f"song of {args.seconds:g} s, {args.stems} stems")
            print(
                f"click to sound: median {statistics.median(waits):.0f} ms, worst {max(waits):.0f} ms of {args.seeks}"
            )
            print(f"renderer: {memory[0]:.0f} MB at first, {max(memory):.0f} MB at most in {args.play:g} s of playing")
            print(f"server: {used:.1f} s of processor time in {args.play:g} s; rebuffers {rebuffers}")
        browser.close()


if __name__ == "__main__":
    main()
