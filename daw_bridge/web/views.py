"""What the page is told, as JSON values: songs, strips with their filters, models, jobs. No path of this machine but
where a loopback page may copy it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daw_bridge.audio.loudness import LoudnessMeter, measure
from daw_bridge.control.queue.jobs import Job
from daw_bridge.errors import DawBridgeError
from daw_bridge.model import Bus, Equalizer, SessionPlan
from daw_bridge.plan_json import plan_to_json
from daw_bridge.templates.bus_template import read_template
from daw_bridge.templates.store import list_templates
from daw_bridge.web.library import REFERENCE, Library, Song
from daw_bridge.web.overview import BASE_SAMPLES, FACTOR, cached, kept, level_sizes
from daw_bridge.web.template_sound import cell_samples, plan_at, player, song_at

UNKNOWN_TEMPO_BPM = 120.0
"""What a plan says that nobody gave a tempo."""
ASSUMED_GFLOPS_PER_CORE = 25.0
"""Of a core that runs convolutions, until a finished song of this machine tells more."""


def finite(value: float | None) -> float | None:
    """JSON knows no infinity: None."""
    return value if value is not None and math.isfinite(value) else None


def song_card(song: Song) -> dict[str, Any]:
    """One row of the list of songs."""
    separation = song.made.separation
    return {
        "id": song.id,
        "name": song.manifest.name,
        "seconds": song.length_samples / song.sample_rate_hz,
        "stems": song.stem_names,
        "model": separation.model,
        "licence_class": separation.licence_class,
        "null_depth_db": finite(separation.null_depth_db),
        "sessions": [record.adapter for record in song.manifest.sessions],
        "template": song.manifest.sessions[-1].template if song.manifest.sessions else "",
    }


def song_detail(song: Song, *, with_path: bool) -> dict[str, Any]:
    """All that the page needs to draw and play a song."""
    separation, reference = song.made.separation, song.made.reference
    return song_card(song) | {
        "rate": song.sample_rate_hz,
        "frames": song.length_samples,
        "cell": cell_samples(song.sample_rate_hz),
        "version": version_of(song),
        "roles": {stem.name: stem.role for stem in song.manifest.stems},
        "levels": level_sizes(song.length_samples),
        "level_base": BASE_SAMPLES,
        "level_factor": FACTOR,
        "residual_rms_db": finite(separation.residual_rms_db),
        "notes": [*separation.notes, *reference.notes],
        "loudness": {
            "lufs": finite(reference.integrated_lufs),
            "dbtp": finite(reference.true_peak_dbtp),
        },
        "sessions": [
            {"adapter": record.adapter, "file": record.file, "template": record.template}
            for record in song.manifest.sessions
        ],
        "path": str(song.folder) if with_path else None,
    }


def version_of(song: Song) -> str:
    """Changes when the samples do."""
    keys = [song.audio_key(name) for name in (*song.stem_names, REFERENCE)]
    return hashlib.sha256(" ".join(keys).encode()).hexdigest()[:16]


def plan_view(folder: str, mix: str) -> dict[str, Any]:
    """The strips that a mix makes of a song, each equalizer with its filters. For the helper process."""
    plan, music = plan_at(folder, mix), song_at(folder).manifest.music
    tempo_known = bool(music and music.tempo_events) or plan.tempo_bpm != UNKNOWN_TEMPO_BPM
    data: dict[str, Any] = plan_to_json(plan, Path(folder))
    strips = [
        _strip(bus, kind, values, plan)
        for kind, buses, dumped in (
            ("bus", plan.buses, data["buses"]),
            ("return", plan.returns, data["returns"]),
            ("mix", (plan.mix_bus,), [data["mix_bus"]]),
        )
        for bus, values in zip(buses, dumped, strict=True)
    ]
    keys = ("markers", "tempo_bpm", "time_signature", "notes")
    return {"strips": strips, "bars": _bar_lines(plan) if tempo_known else [], **{key: data[key] for key in keys}}


def _bar_lines(plan: SessionPlan) -> list[int]:
    """The samples on which bars begin."""
    rate_hz = plan.sample_rate_hz
    return [round(time_s * rate_hz) for time_s in plan.tempo_map.bar_lines_s(plan.length_samples / rate_hz)]


def _strip(bus: Bus, kind: str, values: dict[str, Any], plan: SessionPlan) -> dict[str, Any]:
    stems = [track.name for track in plan.tracks if track.output == bus.name] if kind == "bus" else []
    sections = [
        player().equalizer_sections(effect.bands, plan.sample_rate_hz) if isinstance(effect, Equalizer) else None
        for effect in bus.effects
    ]
    colour = bus.colour.hex() if bus.colour else "#8d96a0"
    return {**values, "kind": kind, "stems": stems, "sections": sections, "colour": colour}


def loudness_view(path: Path, key: str) -> dict[str, float | None]:
    """LUFS and true peak of a stem, measured once. For the helper process."""
    place = cached(key, ".loudness.json")
    try:
        known: dict[str, float | None] = json.loads(place.read_text("utf-8"))
        return {"lufs": known["lufs"], "dbtp": known["dbtp"]}
    except (OSError, ValueError, KeyError, TypeError):
        found = measure(path)
        answer = {"lufs": finite(found.integrated_lufs), "dbtp": finite(found.true_peak_dbtp)}
        kept(place, json.dumps(answer).encode())
        return answer


def mix_loudness(folder: str, version: str, mix: str) -> dict[str, float | None]:
    """LUFS and true peak of a mix, rendered for it. For the helper process, which keeps the last ones."""
    key = (folder, version, mix)
    if key not in _mix_loudness:
        plan = plan_at(folder, mix)
        meter = LoudnessMeter(plan.sample_rate_hz, 2)
        with player().play_from(plan, 0) as playback:
            while (block := playback.read()).shape[1]:
                meter.add(block)
        found = meter.result()
        _mix_loudness[key] = {"lufs": finite(found.integrated_lufs), "dbtp": finite(found.true_peak_dbtp)}
        while len(_mix_loudness) > 64:
            del _mix_loudness[next(iter(_mix_loudness))]
    return _mix_loudness[key]


_mix_loudness: dict[tuple[str, str, str], dict[str, float | None]] = {}


def model_views(songs: Sequence[Song]) -> list[dict[str, Any]]:
    """The models with licence, whether their weights are here, and seconds of work for a second of music."""
    from daw_bridge.separation.catalog import all_models
    from daw_bridge.separation.families.loader import weights_present
    from daw_bridge.separation.licence import is_open

    speed, known = gflops_of(songs), measured_work(songs)
    views = []
    for info in all_models().values():
        kept_keys = (
            "name",
            "stems",
            "summary",
            "licence",
            "licence_class",
            "licence_source",
            "size_mb",
            "speed",
            "notes",
        )
        facts = asdict(info)
        views.append(
            {key: facts[key] for key in kept_keys}
            | {
                "here": weights_present(info),
                "asks": is_open(info),
                "score_db": info.score.average_db if info.score else None,
                "work_s_per_s": known.get(info.name, info.gflop_per_s / speed),
            }
        )
    return views


def accept_licence(name: str) -> dict[str, Any]:
    """Remember that the model's licence was accepted. Raises UsageError for an unknown model."""
    from daw_bridge.separation.catalog import model_info
    from daw_bridge.separation.licence import require_accepted

    info = model_info(name)
    require_accepted([info], accept=True)
    return {"name": info.name, "licence": info.licence}


def measured_work(songs: Sequence[Song]) -> dict[str, float]:
    """Model -> seconds of work for a second of music, from the last song that this machine made with it."""
    found: dict[str, float] = {}
    for song in songs:
        record = song.made.separation
        if not record.from_cache and record.elapsed_s > 0.0:
            found.setdefault(record.model, record.elapsed_s * song.sample_rate_hz / song.length_samples)
    return found


def gflops_of(songs: Sequence[Song]) -> float:
    """What this machine did lately, from its finished songs; an assumption where there are none."""
    from daw_bridge.separation.catalog import CATALOG

    for song in songs:
        record = song.made.separation
        if record.from_cache or record.model not in CATALOG or record.elapsed_s <= 0.0:
            continue
        seconds = song.length_samples / song.sample_rate_hz
        if seconds > 20.0 and CATALOG[record.model].gflop_per_s > 1.0:
            return CATALOG[record.model].gflop_per_s * seconds / record.elapsed_s
    return ASSUMED_GFLOPS_PER_CORE * (os.cpu_count() or 1)


def template_views() -> list[dict[str, Any]]:
    """The bus templates by name; one that is wrong says why."""
    views: list[dict[str, Any]] = []
    for found in list_templates():
        view: dict[str, Any] = {"name": found.name, "own": found.origin == "user", "description": "", "error": ""}
        try:
            view["description"] = read_template(found.path).description
        except DawBridgeError as exc:
            view["error"] = str(exc)
        views.append(view)
    return views


def job_view(job: Job, library: Library) -> dict[str, Any]:
    """One job of the queue; a retry says the same command with the same arguments."""
    path = Path(job.arguments.get("path", ""))
    return {
        "number": job.number,
        "command": job.command,
        "state": job.state.value,
        "percent": job.percent,
        "detail": job.detail if job.state.value != "done" else "",
        "name": path.name,
        "source": library.id_of(path) or "",
        "song": song_of_job(job, library) or "",
        "arguments": {key: value for key, value in job.arguments.items() if key != "path"},
        "created_s": job.created_s,
        "ended_s": job.ended_s,
        "request": job.request_id,
    }


def song_of_job(job: Job, library: Library) -> str | None:
    """The id of the song that a done job made."""
    if job.state.value != "done":
        return None
    first = Path(job.detail.split("; ")[0])
    for folder in (first, *first.parents):
        if (folder / "manifest.json").is_file():
            return library.id_of(folder)
    return None
