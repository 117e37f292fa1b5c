"""From a mix to a session folder: it nulls, it is sample-exact, it repeats, it loses nothing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.adapter import SessionAdapter, WriteReport
from daw_bridge.errors import Cancelled, OutputError
from daw_bridge.manifest import read_manifest
from daw_bridge.model import SessionPlan
from daw_bridge.progress import CancelToken, Progress
from daw_bridge.workflow import BuildOptions, build, rebuild, separate
from daw_bridge.workflow.sessions import choose_template, write_sessions
from daw_bridge_reaper import rpp
from daw_bridge_reaper.read import read_project

from .conftest import MakeMix

ROOT = Path(__file__).resolve().parent.parent.parent
FAST = BuildOptions(model="preview", template="neutral")


def read(path: Path) -> np.ndarray:
    return sf.read(path, dtype="float64", always_2d=True)[0]


def null_depth_db(folder: Path) -> float:
    manifest = read_manifest(folder)
    assert manifest is not None and manifest.reference is not None
    reference = read(folder / manifest.reference.file)
    rest = sum(read(folder / stem.file) for stem in manifest.stems) - reference
    return 20 * np.log10(max(np.abs(rest).max(), 1e-12))


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(44_100, 2), (48_000, 2), (96_000, 1), (22_050, 2), (8_000, 1), (192_000, 2)]
)
def test_stems_null_and_keep_rate_channels_and_length(make_mix: MakeMix, rate_hz: int, channels: int) -> None:
    mix = make_mix(rate_hz=rate_hz, channels=channels, seconds=1.237)
    result = build(mix, FAST)
    for stem in result.manifest.stems:
        info = sf.info(result.folder / stem.file)
        assert (info.samplerate, info.channels, info.frames) == (rate_hz, channels, sf.info(mix).frames)
    assert null_depth_db(result.folder) <= -120.0


def test_the_neutral_session_sums_to_the_reference(make_mix: MakeMix) -> None:
    result = build(make_mix(), FAST)
    project = result.reports[0].session_path
    tracks = read_project(rpp.parse(project.read_text("utf-8"))).tracks
    heard = [track for track in tracks if not track.mute]
    assert all(track.gain_linear == 1.0 and track.pan == 0.0 and not track.fx for track in heard)
    items = [item for track in heard for item in track.items]
    assert all(item.position_s == 0.0 for item in items)
    total = sum(read(project.parent / item.path) for item in items)
    assert result.manifest.reference is not None
    assert np.abs(total - read(result.folder / result.manifest.reference.file)).max() <= 1e-6


def test_the_original_is_kept_bit_exact_and_the_folder_tells_how_it_was_made(make_mix: MakeMix) -> None:
    mix = make_mix("My Song.flac")
    result = build(mix, replace(FAST, template="band"))
    assert result.folder == mix.with_name("My Song.session")
    manifest = json.loads((result.folder / "manifest.json").read_text("utf-8"))
    original = result.folder / manifest["original"]["file"]
    assert original.read_bytes() == mix.read_bytes()
    assert manifest["original"]["sha256"] == hashlib.sha256(mix.read_bytes()).hexdigest()
    assert manifest["separation"]["model"] == "preview"
    assert manifest["sessions"][0]["template"] == "band"
    for stem in manifest["stems"]:
        assert hashlib.sha256((result.folder / stem["file"]).read_bytes()).hexdigest() == stem["sha256"]
    assert not list(result.folder.rglob("*.part")) and not list(result.folder.rglob(".work*"))


def test_the_same_mix_gives_the_same_bytes(make_mix: MakeMix, tmp_path: Path) -> None:
    mix = make_mix()
    folders = [build(mix, replace(FAST, output=tmp_path / name, use_cache=False)).folder for name in ("a", "b")]
    files = sorted(path.relative_to(folders[0]) for path in (folders[0] / "audio").iterdir())
    for file in [*files, Path("mix.rpp")]:
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes(), file


def test_another_template_runs_no_model_and_keeps_a_session_that_the_user_changed(make_mix: MakeMix) -> None:
    first = build(make_mix(), FAST)
    project = first.reports[0].session_path
    second = rebuild(first.folder, template="band")
    assert second.reports[0].session_path == project  # unchanged since we wrote it: replaced
    project.write_text(project.read_text("utf-8").replace("\n  TEMPO", "\n  TEMPO", 1) + "\n", "utf-8")
    mine = project.read_bytes()
    third = rebuild(first.folder, template="karaoke")
    assert third.reports[0].session_path.name == "mix (2).rpp"
    assert project.read_bytes() == mine
    assert third.manifest.stems == first.manifest.stems


def test_the_cache_gives_the_same_stems_without_a_model(make_mix: MakeMix, tmp_path: Path) -> None:
    mix = make_mix()
    first = build(mix, FAST)
    second = build(mix, replace(FAST, output=tmp_path / "again", template="dj"))
    assert second.manifest.separation is not None and second.manifest.separation.from_cache
    assert [stem.sha256 for stem in second.manifest.stems] == [stem.sha256 for stem in first.manifest.stems]
    assert null_depth_db(second.folder) <= -120.0


def test_separate_makes_no_session_and_rebuild_adds_one(make_mix: MakeMix) -> None:
    result = separate(make_mix(), FAST)
    assert not result.reports and not list(result.folder.glob("*.rpp"))
    assert rebuild(result.folder, template="band").reports[0].session_path.is_file()


@pytest.mark.parametrize("seconds", [3.0, 0.05])
def test_short_mixes_work(make_mix: MakeMix, seconds: float) -> None:
    result = build(make_mix(seconds=seconds), FAST)
    assert null_depth_db(result.folder) <= -120.0


def test_a_silent_mix_works_and_says_so(make_mix: MakeMix) -> None:
    result = build(make_mix(gain_linear=0.0), FAST)
    assert result.manifest.reference is not None and result.manifest.reference.silent
    assert result.manifest.separation is not None
    assert any("silent" in note for note in result.manifest.separation.notes)


def test_cancelling_early_leaves_nothing(make_mix: MakeMix) -> None:
    mix, token = make_mix(), CancelToken()
    before = sorted(mix.parent.iterdir())

    def stop(event: Progress) -> None:
        if event.stage == "decode":
            token.cancel()

    with pytest.raises(Cancelled):
        build(mix, FAST, on_progress=stop, cancel=token)
    assert [path for path in sorted(mix.parent.iterdir()) if path.name != "cache"] == before


def test_cancelled_while_separating_the_next_run_gives_identical_samples(make_mix: MakeMix, tmp_path: Path) -> None:
    mix, token = make_mix(seconds=12.0), CancelToken()
    whole = build(mix, replace(FAST, output=tmp_path / "whole", use_cache=False))
    options = replace(FAST, output=tmp_path / "cut", use_cache=False)

    def stop(event: Progress) -> None:
        if event.stage == "separate" and event.done > 0:
            token.cancel()

    with pytest.raises(Cancelled):
        build(mix, options, on_progress=stop, cancel=token)
    with pytest.raises(OutputError, match="interrupted run"):
        build(mix, replace(options, residual="spread"))
    resumed = build(mix, options)
    for stem in whole.manifest.stems:
        assert (whole.folder / stem.file).read_bytes() == (resumed.folder / stem.file).read_bytes(), stem.name


def test_killed_at_any_moment_the_next_run_finishes_identically(make_mix: MakeMix, tmp_path: Path) -> None:
    mix = make_mix(seconds=6.0)
    whole = build(mix, replace(FAST, output=tmp_path / "whole", use_cache=False))
    target = tmp_path / "killed"
    command = [
        *(sys.executable, "-m", "daw_bridge", "build", str(mix), "-m", "preview", "-t", "neutral"),
        *("-o", str(target), "--no-cache", "--progress", "jsonl"),
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}"}
    for stage in ("decode", "separate", "residual", "verify"):
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if f'"stage": "{stage}"' in line:
                    process.send_signal(signal.SIGKILL)
                    break
    resumed = build(mix, replace(FAST, output=target, use_cache=False))
    for stem in whole.manifest.stems:
        assert (whole.folder / stem.file).read_bytes() == (resumed.folder / stem.file).read_bytes(), stem.name
    assert not list(target.rglob("*.part")) and not list(target.rglob(".work*"))


def test_two_builds_of_one_mix_at_once_are_one_build_and_one_clear_line(make_mix: MakeMix, tmp_path: Path) -> None:
    from daw_bridge.archive import folder_lock
    from daw_bridge.errors import Busy

    mix = make_mix()
    with folder_lock(mix.with_name("mix.session")), pytest.raises(Busy, match="another daw-bridge run"):
        build(mix, FAST)


def test_force_replaces_our_files_and_nothing_else(make_mix: MakeMix) -> None:
    mix = make_mix()
    first = build(mix, FAST)
    (first.folder / "audio" / "my_take.wav").write_bytes(b"mine")
    with pytest.raises(OutputError, match="--force"):
        build(mix, FAST)
    second = build(mix, replace(FAST, force=True, two_stems="vocals"))
    names = {path.name for path in (first.folder / "audio").iterdir()}
    assert "my_take.wav" in names and "mix_drums.wav" not in names
    assert null_depth_db(second.folder) <= -120.0


def test_a_build_drops_the_work_of_given_up_runs_and_keeps_what_is_not_ours(make_mix: MakeMix) -> None:
    mix = make_mix(seconds=0.3)
    folder = mix.with_name("mix.session")
    folder.mkdir()
    (folder / "download.mp3.part").write_bytes(b"a browser's")
    with pytest.raises(OutputError, match="not a daw-bridge song folder"):
        build(mix, FAST)
    (folder / "download.mp3.part").unlink()
    (folder / "audio" / ".work-0123456789abcdef").mkdir(parents=True)
    (folder / "manifest.json.0123abcd.part").write_bytes(b"{")
    (folder / "audio").rename(folder / ".ardour.0123abcd.part")
    build(mix, FAST)
    (folder / "audio" / ".work-0123456789abcdef").mkdir()
    build(mix, replace(FAST, force=True))
    assert not [path for path in folder.rglob("*") if ".work-" in path.name or path.suffix == ".part"]


def test_a_rebuild_that_fails_leaves_the_session_that_was_there(make_mix: MakeMix) -> None:
    from daw_bridge.registry import load_adapter

    made = build(make_mix(seconds=0.3), FAST)
    session = made.reports[0].session_path
    before = session.read_bytes()
    adapter = FailingAdapter(load_adapter("reaper"))
    choice = choose_template("neutral")
    with pytest.raises(OutputError, match="full"):
        write_sessions(made.folder, made.manifest, choice, [adapter])
    assert session.read_bytes() == before
    assert not list(made.folder.glob("*.part"))


class FailingAdapter:
    """Everything of another adapter, but its writing fails as on a full disk."""

    def __init__(self, whole: SessionAdapter) -> None:
        self.name, self.title, self.features = whole.name, whole.title, whole.features
        self.session_path = whole.session_path

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        raise OutputError(f"{folder / name} {plan.name}: the disk is full")
