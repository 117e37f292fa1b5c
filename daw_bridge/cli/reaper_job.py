"""Jobs of the actions inside REAPER: a JSON file says what to do, JSON files beside it say how far it is and what came.

job.json       written by the action: {"version": 1, "kind": "separate" | "choices" | "template" | "extract", ..}
progress.json  {"beat": n, "share": 0..1, "text": "Separating", "left": "0:40 left"}, renewed each second
cancel         made by the action when the work is no longer wanted
result.json    {"ok": true, ...} or {"ok": false, "error": "one line", "cancelled": false}; written last, always. With
               "licence" it is about weights that a person has to accept: the action asks and runs the job again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daw_bridge.build_options import BuildOptions
from daw_bridge.cli.console import WORDS
from daw_bridge.errors import Cancelled, DawBridgeError, InputError, LicenceNotAccepted
from daw_bridge.files import read_regular, write_atomic
from daw_bridge.model import Bus, Compressor, SessionPlan
from daw_bridge.plan import empty_plan, make_plan
from daw_bridge.progress import CancelToken, Progress, percent_of_build
from daw_bridge.separation.catalog import all_models
from daw_bridge.separation.families.loader import weights_present
from daw_bridge.separation.model_info import ModelInfo
from daw_bridge.templates.store import list_templates
from daw_bridge.templates.table import BusTemplate
from daw_bridge.units import clock
from daw_bridge.workflow.chain import build
from daw_bridge.workflow.extract import extract_template
from daw_bridge.workflow.options import BuildResult
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
        self.before, self.share = 0.0, 1.0  # of the whole: what is done, and what the source at hand makes up

    def __call__(self, event: Progress) -> None:
        share = (percent_of_build(event.stage, event.done, event.total) or 0.0) / 100.0
        whole = self.before + self.share * share
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
        except LicenceNotAccepted as exc:
            result, code = {"ok": False, "licence": exc.terms, "error": str(exc)}, exc.exit_code
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


@dataclass(frozen=True, slots=True)
class _Source:
    """A file to separate, or a part of it, and where its song folder goes."""

    file: Path
    folder: Path
    range_s: tuple[float, float] | None
    seconds: float


def _sources(job: Mapping[str, Any]) -> list[_Source]:
    found = []
    for each in job["sources"]:
        part = each.get("range")
        range_s = (float(part[0]), float(part[1])) if part else None
        seconds = max(float(each.get("seconds") or 1.0), 1e-3)
        found.append(_Source(Path(str(each["file"])), Path(str(each["folder"])), range_s, seconds))
    if not found:
        raise InputError("the job names no file; select an audio item")
    return _own_folders(found)


def _own_folders(wanted: Sequence[_Source]) -> list[_Source]:
    """The sources with a folder for each: two of one name in two places (day1/mix.wav, day2/mix.wav) may come with the
    same one; the later gets a number, as the actions number.
    """
    taken: set[str] = set()
    shared_out = []
    for source in wanted:
        free, number = source.folder, 1
        while str(free).casefold() in taken or (number > 1 and free.exists()):
            number += 1
            free = source.folder.with_name(f"{source.folder.name} {number}")
        taken.add(str(free).casefold())
        shared_out.append(replace(source, folder=free))
    return shared_out


def _names(text: object) -> tuple[str, ...]:
    return tuple(name.strip() for name in str(text or "").split(",") if name.strip())


def _separate(job: Mapping[str, Any], folder: Path, reporter: Reporter, cancel: CancelToken) -> dict[str, object]:
    """The tracks of each source. One that fails is named and the others go on; a single one fails the job."""
    wanted = _sources(job)
    template = str(job.get("template") or BuildOptions().template)
    choice = choose_template(template)
    options = BuildOptions(
        model=str(job.get("model") or BuildOptions().model),
        stems=_names(job.get("stems")) or None,
        two_stems=str(job["two_stems"]) if job.get("two_stems") else None,
        chain=_names(job.get("chain")),
        template=template,
        daws=(),
        accept_licence=bool(job.get("accept_licence")),
        grid="off",  # the project's tempo is the person's
    )
    sources: list[dict[str, object]] = []
    notes: list[str] = []
    failed: list[str] = []
    whole = sum(source.seconds for source in wanted)
    for number, source in enumerate(wanted):
        reporter.share = source.seconds / whole
        session = f"{folder.name}-{number}"
        own = replace(options, output=source.folder, range_s=source.range_s)
        try:
            result = build(source.file, own, on_progress=reporter, cancel=cancel)
        except (Cancelled, LicenceNotAccepted):
            raise
        except DawBridgeError as exc:
            if len(wanted) == 1:
                raise
            failed.append(str(exc))
            continue
        finally:
            reporter.before += reporter.share
        plan, start_s = _plan_of(result, choice.template)
        notes += plan.notes
        tracks = [_track(each) for each in script_tracks(plan, seed=session)]
        place = {"number": number, "file": str(source.file), "folder": str(source.folder), "session": session}
        sources.append({**place, "start_s": start_s, "tracks": tracks})
    if not sources:
        raise InputError("; ".join(failed))
    return {"sources": sources, "notes": list(dict.fromkeys(notes)), "failed": failed}


def _plan_of(result: BuildResult, template: BusTemplate) -> tuple[SessionPlan, float]:
    """The tracks of a song for a project of somebody's, and where in its file they begin."""
    manifest = result.manifest
    plan = make_plan(
        manifest.stem_set(result.folder), template, name=manifest.name, music=manifest.music, folder=result.folder
    )
    mix_bus = replace(plan.mix_bus, label=f"{manifest.name} (stems)")
    reference = result.song.reference
    start_s = reference.start_samples / reference.sample_rate_hz
    return replace(plan, reference=None, mix_bus=mix_bus, markers=()), start_s


def _choices(_job: Mapping[str, Any], _folder: Path, _reporter: Reporter, _cancel: CancelToken) -> dict[str, object]:
    """What the menu of the actions shows."""
    models = [
        {"name": info.name, "here": weights_present(info), "stems": list(info.stems), "text": _model_text(info)}
        for info in all_models().values()
    ]
    templates = [{"name": each.name, "text": each.origin} for each in list_templates()]
    return {"models": models, "templates": templates}


def _model_text(info: ModelInfo) -> str:
    here = "on this machine" if weights_present(info) else f"{info.size_mb} MB to fetch"
    stems = f"{len(info.stems)} stems" if len(info.stems) > 2 else ", ".join(info.stems)
    return f"{stems}, {info.speed}, {here}, licence {info.licence_class}"


def _template(job: Mapping[str, Any], folder: Path, _reporter: Reporter, _cancel: CancelToken) -> dict[str, object]:
    """The buses of a template; `plain` is the chain without side-chains, for where nothing can feed them."""
    choice = choose_template(str(job.get("template") or BuildOptions().template))
    plan: SessionPlan = empty_plan(choice.template, name=choice.template.name, sample_rate_hz=44_100)
    tracks = script_tracks(plan, seed=folder.name)
    plain = script_tracks(_without_sidechains(plan), seed=folder.name)
    buses = []
    for track, other in zip(tracks, plain, strict=True):
        if track.key.partition(":")[0] == "reference":
            continue
        sidechains = [
            {"name": tracks[source].name, "label": tracks[source].label, "values": dict(values)}
            for source, values in track.receives
            if values["I_DSTCHAN"]
        ]
        buses.append(_track(track) | {"name": track.name, "plain": other.state, "sidechains": sidechains})
    return {"template": choice.template.name, "buses": buses}


def _without_sidechains(plan: SessionPlan) -> SessionPlan:
    def plain(bus: Bus) -> Bus:
        effects = (
            replace(effect, sidechain_bus=None) if isinstance(effect, Compressor) else effect for effect in bus.effects
        )
        return replace(bus, effects=tuple(effects))

    buses, returns = (tuple(plain(bus) for bus in each) for each in (plan.buses, plan.returns))
    return replace(plan, buses=buses, returns=returns, mix_bus=plain(plan.mix_bus))


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
KINDS: dict[str, Kind] = {"separate": _separate, "choices": _choices, "template": _template, "extract": _extract}
