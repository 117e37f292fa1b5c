"""What a catalog costs beside the separation: the driver, the plan, `batch --dry-run`, and speed against `batch`.

python -m benchmarks.catalog            # all that is installed
python -m benchmarks.catalog driver     # or: ray, plan, dry-run, throughput
DAW_BRIDGE_BENCH_SONGS=20000 before it  # fewer songs for driver and ray
Links to a few files stand for a library, so that 10^6 songs take no disk.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import ClassVar

import numpy as np
import soundfile

from daw_bridge.catalog.dispatch import Event
from daw_bridge.catalog.local import WorkerOrder
from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import PlannedSong, make_plan
from daw_bridge.catalog.recipe import Recipe
from daw_bridge.catalog.run import RunOptions, StartCrew, run_catalog
from daw_bridge.catalog.store import Store

RECIPE = Recipe(options={}, weights_sha256="")
LINKS_PER_FILE = 30_000
THROUGHPUT_SONGS = 16
THROUGHPUT_S = 8.0
TURNS = 3


class Nothing:
    """Workers that do nothing, at once."""

    size = 8

    def __init__(self, _order: WorkerOrder, _size: int) -> None:
        self._events = deque(Event(worker, "ready", room=3) for worker in range(self.size))

    def give(self, worker: int, song: PlannedSong) -> None:
        self._events.append(Event(worker, "ended", outcome=Outcome(song=song, state="done")))

    def wait(self, timeout_s: float) -> Sequence[Event]:  # noqa: ARG002
        events, self._events = list(self._events), deque()
        return events

    def restart(self, worker: int) -> None:
        pass

    def close(self) -> None:
        pass


class NothingActor:
    """The same, as an actor of Ray."""

    done: ClassVar[list[object]] = ["done", "", "a" * 12, 1.0, 1.0, 240.0, 10**8, -140.0, "node"]

    def __init__(self, _order: WorkerOrder) -> None:
        pass

    def begin(self) -> tuple[str, int, str]:
        return "", 3, ""

    def process(self, _song: list[object]) -> list[object]:
        return NothingActor.done


def main() -> None:
    os.environ.setdefault("RAY_worker_niceness", "0")  # as on a node that has nothing else to do
    parts: dict[str, Callable[[Path], None]] = {
        "driver": driver,
        "ray": ray,
        "plan": plan,
        "dry-run": dry_run,
        "throughput": throughput,
    }
    wanted = sys.argv[1:] or ["driver", *(["ray"] if find_spec("ray") else []), "plan", "dry-run", "throughput"]
    for name in wanted:
        if len(wanted) > 1:  # a process each, so that none inherits another's memory
            subprocess.run([sys.executable, "-m", "benchmarks.catalog", name], check=True)
            continue
        with tempfile.TemporaryDirectory(prefix="catalog-bench-") as folder:
            parts[name](Path(folder))


def driver(root: Path, start_crew: StartCrew = Nothing, name: str = "driver alone") -> None:
    songs = int(os.environ.get("DAW_BRIDGE_BENCH_SONGS", "100000"))
    library(root / "music", songs, suffix=".flac")
    out = Store(root / "out")
    planner = get_context("spawn").Process(target=make_plan, args=(Store(root / "music"), Store(out.url), RECIPE))
    planner.start()  # a process of its own: the driver does not pay for it
    planner.join()
    before, began, cpu_s = peak_mb(), time.monotonic(), time.process_time()
    counts = run_catalog(out, RunOptions(workers=8), start_crew=start_crew)
    assert counts["done"] == songs
    took_s = time.monotonic() - began
    cpu_ms = (time.process_time() - cpu_s) / songs * 1e3
    peak = f"peak {before:.0f} -> {peak_mb():.0f} MB"
    print(f"{name}: {songs} songs at {songs / took_s:.0f}/s, {cpu_ms:.2f} ms CPU a song, {peak}")


def ray(root: Path) -> None:
    from daw_bridge.catalog import ray_engine

    vars(ray_engine)["SongActor"] = NothingActor
    cluster = ray_engine.Cluster(cpus_per_actor=0.1, gpus_per_actor=0.0)
    driver(root, lambda order, size: ray_engine.RayCrew(order, size, cluster=cluster), "driver with Ray")


def plan(root: Path) -> None:
    songs = 1_000_000
    library(root / "music", songs, suffix=".flac")
    began, cpu_s = time.monotonic(), time.process_time()
    made = make_plan(Store(root / "music"), Store(root / "out"), RECIPE)
    assert made.songs == songs
    size = sum(each.stat().st_size for each in (root / "out" / "plan").rglob("*") if each.is_file())
    print(
        f"plan: {songs} keys in {time.monotonic() - began:.0f} s ({time.process_time() - cpu_s:.0f} s CPU), "
        f"peak {peak_mb():.0f} MB, {size / songs:.0f} bytes a song"
    )


def dry_run(root: Path) -> None:
    songs = 100_000
    library(root / "music", songs, suffix=".wav")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "daw_bridge",
            "batch",
            str(root / "music"),
            "-m",
            "preview",
            "--dry-run",
            "-o",
            str(root / "out"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"batch --dry-run: {songs} paths, {used.ru_utime + used.ru_stime:.0f} s CPU, peak {used.ru_maxrss / 1e3:.0f} MB"
    )
    print("  " + done.stdout.strip().splitlines()[-1])


def throughput(root: Path) -> None:
    """Both with two processes, in turns, so that a busy machine meets both alike."""
    music = root / "music"
    music.mkdir()
    for number in range(THROUGHPUT_SONGS):
        noise = np.random.default_rng(number).standard_normal((int(THROUGHPUT_S * 44_100), 2)) * 0.1
        soundfile.write(music / f"{number}.wav", noise, 44_100, subtype="FLOAT")
    ratios = []
    for turn in range(TURNS):
        batch_s = timed(
            "batch", str(music), "-m", "preview", "--jobs", "2", "-o", str(root / f"batch{turn}"), "--no-cache"
        )
        out = root / f"out{turn}"
        subprocess.run(
            [sys.executable, "-m", "daw_bridge", "catalog", "plan", str(music), str(out), "-m", "preview", "-q"],
            check=True,
        )
        catalog_s = timed("catalog", "run", str(out), "--actors", "2", "--scratch", str(root / "scratch"))
        ratios.append(batch_s / catalog_s)
        print(
            f"  {THROUGHPUT_SONGS} songs of {THROUGHPUT_S:g} s: "
            f"batch --jobs 2 {batch_s:.1f} s, catalog --actors 2 {catalog_s:.1f} s"
        )
        for each in (out, root / f"batch{turn}"):
            shutil.rmtree(each)
    print(f"throughput against batch: {sorted(ratios)[len(ratios) // 2]:.2f} (the median)")


def timed(*words: str) -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "daw_bridge", *words, "-q"], check=True)
    return time.monotonic() - began


def library(folder: Path, songs: int, *, suffix: str) -> None:
    """A thousand songs a folder, with names of a usual length."""
    seed = folder.with_name("seed")
    seed.mkdir()
    for number in range(songs):
        source = seed / f"{number // LINKS_PER_FILE}{suffix}"
        if number % LINKS_PER_FILE == 0:
            soundfile.write(source, np.zeros((441, 2)), 44_100)
        place = folder / f"artist {number // 1000:04d}" / "an album"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        os.link(source, place / f"{number:07d} a song with a usual name{suffix}")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
