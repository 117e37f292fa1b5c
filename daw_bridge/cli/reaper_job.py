"""Jobs of the actions inside REAPER: a JSON file says what to do, JSON files beside it say how far it is and what came.

job.json       written by the action: {"version": 1, "kind": "separate" | "template" | "extract", ...}
progress.json  {"beat": n, "share": 0..1, "text": "Separating", "left": "0:40 left"}, renewed each second
cancel         made by the action when the work is no longer wanted
result.json    {"ok": true, ...} or {"ok": false, "error": "one line", "cancelled": false}; written last, always
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from daw_bridge.build_options import BuildOptions
from daw_bridge.cli.console import WORDS
from daw_bridge.errors import Cancelled, DawBridgeError, InputError
from daw_bridge.files import read_regular, write_atomic
from daw_bridge.model import SessionPlan
from daw_bridge.plan import empty_plan, make_plan
from daw_bridge.progress import CancelToken, Progress, percent_of_build
from daw_bridge.units import clock
from daw_bridge.workflow.chain import build
from daw_bridge.workflow.extract import extract_template
from daw_bridge.workflow.sessions import choose_template
from daw_bridge_reaper.script import ScriptTrack, script_tracks

BEAT_S = 1.0


class Reporter:
    """Writes progress.json each second as a heartbeat, and looks for the file that cancels."""

    def __init__(self, folder: Path, cancel: CancelToken) -> None:
        self._folder, self._cancel = folder, cancel
        self._state: dict[str, object] = {"share": 0.0, "text": "Starting", "left": ""}
        self._beat, self._began_s = 0, time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.first, self.count = 0, 1

    def __call__(self, event: Progress) -> None:
        share = (percent_of_build(event.stage, event.done, event.total) or 0.0) / 100.0
        whole = (self.first + share) / self.count
        elapsed_s = time.monotonic() - self._began_s
        left = f"{clock(elapsed_s / whole - elapsed_s)} left" if whole > 0.1 and elapsed_s > 2.0 else ""
        self._state = {
            "share": round(whole, 4),
            "text": "Finishing" if event.stage == "build" else WORDS[event.stage],
            "left": left,
        }

    def _run(self) -> None:
        while not self._stop.is_set():
            self._beat += 1
            if (self._folder / "cancel").exists():
                self._cancel.cancel()
            try:
                write_atomic(
                    self._folder / "progress.json",
                    json.dumps(self._state | {"beat": self._beat, "at": int(time.time())}),
                )
            except DawBridgeError:
                # Either the action reads the file at this moment (Windows), which the next beat makes good, or it has
                # gone and taken its folder along: then nobody waits for us any more.
                if not self._folder.is_dir():
                    self._cancel.cancel()
            self._stop.wait(BEAT_S)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


def run_job(path: Path) -> int:
    """Run one job and write its result. The exit code; InputError when the job itself cannot be read."""
    job, folder = _read(path), path.parent
    _remove_empty_siblings(folder)
    cancel = CancelToken()
    reporter = Reporter(folder, cancel)
    code = 0
    with reporter.running():
        try:
            result = {"ok": True, **KINDS[str(job["kind"])](job, folder, reporter, cancel)}
        except Cancelled as exc:
            result, code = {"ok": False, "cancelled": True, "error": str(exc)}, exc.exit_code
        except DawBridgeError as exc:
            result, code = {"ok": False, "cancelled": False, "error": str(exc)}, exc.exit_code
        except Exception as exc:
            # The action must hear of it; the traceback is for the log of whoever runs this by hand.
            write_atomic(folder / "result.json", json.dumps({"ok": False, "error": f"unexpected: {exc!r}"}))
            raise
    write_atomic(folder / "result.json", json.dumps(result, ensure_ascii=False))
    return code


def _remove_empty_siblings(folder: Path) -> None:
    """What is left of earlier jobs: Lua on Windows removes files, but no folders."""
    for sibling in folder.parent.iterdir() if folder.parent.name == "jobs" else ():
        if sibling != folder and sibling.is_dir() and not any(sibling.iterdir()):
            try:
                sibling.rmdir()
            except OSError:
                continue


def _read(path: Path) -> dict[str, Any]:
    try:
        job = json.loads(read_regular(path, most_bytes=1 << 24))
    except (OSError, ValueError, RecursionError) as exc:
        raise InputError(f"{path}: not a job of an action ({exc})") from exc
    if not isinstance(job, dict) or job.get("version") != 1 or job.get("kind") not in KINDS:
        raise InputError(f"{path}: not a job of this version; run 'daw-bridge reaper setup' again")
    return job


def _separate(job: Mapping[str, Any], folder: Path, reporter: Reporter, cancel: CancelToken) -> dict[str, object]:
    names = tuple(name.strip() for name in str(job.get("stems") or "").split(",") if name.strip())
    template = str(job.get("template") or BuildOptions().template)
    choice = choose_template(template)
    sources: list[dict[str, object]] = []
    notes: list[str] = []
    wanted = _own_folders([(Path(str(each["file"])), Path(str(each["folder"]))) for each in job["sources"]])
    if not wanted:
        raise InputError("the job names no file; select an audio item")
    for number, (file, output) in enumerate(wanted):
        reporter.first, reporter.count = number, len(wanted)
        options = BuildOptions(
            model=str(job.get("model") or BuildOptions().model),
            stems=names or None,
            template=template,
            daws=(),
            output=output,
        )
        result = build(file, options, on_progress=reporter, cancel=cancel)
        plan = make_plan(
            result.manifest.stem_set(result.folder),
            choice.template,
            name=result.manifest.name,
            music=result.manifest.music,
            folder=result.folder,
        )
        session = f"{folder.name}-{number}"
        label = f"{result.manifest.name} (stems)"
        plan = replace(plan, reference=None, mix_bus=replace(plan.mix_bus, label=label), markers=())
        notes += plan.notes
        tracks = [_track(each) for each in script_tracks(plan, seed=session)]
        sources.append({"file": str(file), "folder": str(output), "session": session, "tracks": tracks})
    return {"sources": sources, "notes": notes}


def _own_folders(wanted: Sequence[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The sources with a folder for each file: two of one name in two places (day1/mix.wav, day2/mix.wav) may come with
    the same one; the later gets a number, as the actions number.
    """
    owners: dict[str, Path] = {}
    shared_out = []
    for file, folder in wanted:
        free, number = folder, 1
        while owners.get(str(free).casefold(), file) != file or (number > 1 and free.exists()):
            number += 1
            free = folder.with_name(f"{folder.name} {number}")
        owners[str(free).casefold()] = file
        shared_out.append((file, free))
    return shared_out


def _template(job: Mapping[str, Any], folder: Path, _reporter: Reporter, _cancel: CancelToken) -> dict[str, object]:
    choice = choose_template(str(job.get("template") or BuildOptions().template))
    plan: SessionPlan = empty_plan(choice.template, name=choice.template.name, sample_rate_hz=44_100)
    tracks = script_tracks(plan, seed=folder.name)
    buses = [_track(each) | {"name": each.name} for each in tracks if each.key.partition(":")[0] != "reference"]
    return {"template": choice.template.name, "buses": buses}


def _extract(job: Mapping[str, Any], _folder: Path, _reporter: Reporter, _cancel: CancelToken) -> dict[str, object]:
    project = Path(str(job["project"]))
    extracted = extract_template(project)
    target, number = project.with_suffix(".yaml"), 1
    while target.exists():
        number += 1
        target = project.with_name(f"{project.stem} {number}.yaml")
    extracted.save(target)
    notes = [extracted.usage(), *(f"{each.where}: {each.what}" for each in extracted.limits)]
    return {"template": str(target), "notes": notes}


def _track(track: ScriptTrack) -> dict[str, object]:
    return {
        "key": track.key,
        "label": track.label,
        "chunk": track.state,
        "values": dict(track.values),
        "colour": list(track.colour) if track.colour else None,
        "receives": [{"source": source, "values": dict(values)} for source, values in track.receives],
        "files": [str(path) for path in track.files],
        "group": track.group,
    }


Kind = Callable[[Mapping[str, Any], Path, Reporter, CancelToken], dict[str, object]]
KINDS: dict[str, Kind] = {"separate": _separate, "template": _template, "extract": _extract}
