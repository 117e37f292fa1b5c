"""What the tests of the actions share: items, workers with prepared answers, and what is left behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.reaper.simulator.lua import Reaper
from tests.reaper.simulator.model import Item, Source, Take, Track, World

RATE_HZ = 44_100


AGAIN = "daw_bridge_separate_again.lua"


@dataclass(frozen=True)
class Place:
    """A song in a folder with a difficult name, and what a real worker answered for it."""

    song: Path
    result: str
    root: Path


def add_item(track: Track, source: Source | None, **values: float) -> Item:
    item = Item(track)
    item.values.update(D_POSITION=2.0, D_LENGTH=0.4, B_UISEL=1.0)
    take = Take(item, source)
    take.values.update(values)
    item.takes.append(take)
    track.items.append(item)
    return item


def separate(world: World, scripts: Path, *, template: str = "neutral") -> Reaper:
    reaper = Reaper(world, scripts / "daw_bridge_separate.lua", inputs=[f"preview|{template}|"])
    reaper.run()
    return reaper


def leftovers(scripts: Path) -> list[Path]:
    return list((scripts / "jobs").rglob("*")) if (scripts / "jobs").is_dir() else []


CHOICES = {
    "ok": True,
    "models": [
        {"name": "htdemucs_ft", "here": False, "stems": ["drums", "bass", "other", "vocals"], "text": "4 stems"},
        {"name": "preview", "here": True, "stems": ["drums", "bass", "other", "vocals"], "text": "4 stems"},
    ],
    "templates": [{"name": name, "text": "shipped"} for name in ("band", "bandd", "dj", "neutral")],
}
RUNNER = """import json, pathlib, sys
job = pathlib.Path(sys.argv[-1])
content = json.loads(job.read_text())
(job.parents[1] / "seen.jsonl").open("a").write(json.dumps(content) + chr(10))
answer = json.loads(%r) if content["kind"] == "choices" else json.loads(%r)
job.with_name("part").write_text(json.dumps(answer))
job.with_name("part").rename(job.with_name("result.json"))
"""


def answer_with(scripts: Path, result: object) -> None:
    """Let the worker give this answer to all but the question what there is to choose."""
    text = RUNNER % (json.dumps(CHOICES), json.dumps(result))
    (scripts / "daw_bridge_run.py").write_text(text, encoding="utf-8")


def jobs_seen(scripts: Path) -> list[dict[str, Any]]:
    """The jobs that a worker with a prepared answer got, without the questions."""
    lines = (scripts / "jobs" / "seen.jsonl").read_text().splitlines()
    return [job for job in map(json.loads, lines) if job["kind"] != "choices"]


def run_action(world: World, scripts: Path, action: str = AGAIN, **options: Any) -> Reaper:
    reaper = Reaper(world, scripts / action, **options)
    reaper.run(timeout_s=300.0)
    return reaper


def stems_of(world: World) -> list[Track]:
    return [each for each in world.content.tracks if "P_EXT:daw_bridge" in each.texts and each.items]
