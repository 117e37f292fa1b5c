"""A build once more: cut off, killed, cancelled, forced, twice at once. What was there stays until its successor is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge.adapter import SessionAdapter, WriteReport
from daw_bridge.errors import Cancelled, OutputError
from daw_bridge.manifest import read_manifest
from daw_bridge.model import SessionPlan
from daw_bridge.progress import CancelToken, Progress
from daw_bridge.registry import load_adapter
from daw_bridge.workflow import build, rebuild
from daw_bridge.workflow.sessions import choose_template, write_sessions

from .conftest import MakeMix
from .results import FAST, null_depth_db

ROOT = Path(__file__).resolve().parent.parent.parent


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
    for stage in ("separate", "verify"):  # every step of it: tests/kill
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
    with pytest.raises(OutputError, match="`force`"):
        build(mix, FAST)
    second = build(mix, replace(FAST, force=True, two_stems="vocals"))
    names = {path.name for path in (first.folder / "audio").iterdir()}
    assert "my_take.wav" in names and "mix_drums.wav" not in names
    assert null_depth_db(second.folder) <= -120.0


def stems_of(folder: Path) -> dict[str, bytes]:
    manifest = read_manifest(folder)
    assert manifest is not None
    return {stem.name: (folder / stem.file).read_bytes() for stem in manifest.stems}


def test_a_forced_build_that_fails_leaves_what_was_there(make_mix: MakeMix) -> None:
    """The 24-bit stems of this mix would clip, which shows only once they are made."""
    mix = make_mix("loud.wav", gain_linear=20.0, subtype="FLOAT")
    first = build(mix, FAST)
    before, session = stems_of(first.folder), first.reports[0].session_path.read_bytes()
    with pytest.raises(OutputError, match="without clipping"):
        build(mix, replace(FAST, force=True, encoding="pcm24", use_cache=False))
    assert stems_of(first.folder) == before
    assert first.reports[0].session_path.read_bytes() == session
    assert read_manifest(first.folder) == first.manifest
    rebuild(first.folder, template="band")
    seen: list[str] = []
    forced = replace(FAST, force=True, residual="spread", use_cache=False)
    build(mix, forced, on_progress=lambda event: seen.append(event.stage))
    assert "separate" not in seen  # what the failed run had computed was kept for this one


def test_a_forced_build_that_is_cut_off_goes_on_and_the_old_stems_stay_until_then(make_mix: MakeMix) -> None:
    mix = make_mix(seconds=10.0)
    first = build(mix, FAST)
    before, token = stems_of(first.folder), CancelToken()
    forced = replace(FAST, force=True, two_stems="vocals", use_cache=False)

    def stop(event: Progress) -> None:
        if event.stage == "separate" and event.done > 0:
            token.cancel()

    with pytest.raises(Cancelled):
        build(mix, forced, on_progress=stop, cancel=token)
    assert stems_of(first.folder) == before
    assert read_manifest(first.folder) == first.manifest
    done = build(mix, forced)
    assert set(stems_of(done.folder)) == {"vocals", "no_vocals"}
    assert null_depth_db(done.folder) <= -120.0
    assert not (done.folder / ".replacement").exists()
    assert [path.name for path in done.folder.glob("*.rpp")] == [first.reports[0].session_path.name]


def test_a_newer_bounce_replaces_its_song_but_another_mix_never_does(make_mix: MakeMix, tmp_path: Path) -> None:
    mix, folder = make_mix(), tmp_path / "song"
    build(mix, replace(FAST, output=folder))
    newer = make_mix(seconds=1.7)
    assert newer == mix
    reference = build(newer, replace(FAST, output=folder, force=True)).manifest.reference
    assert reference is not None
    assert reference.length_samples == round(1.7 * 44_100)
    before = stems_of(folder)
    for force in (False, True):
        with pytest.raises(OutputError, match=r"holds another mix \(.*mix\.wav\); give another folder"):
            build(make_mix("other.wav", seconds=0.9), replace(FAST, output=folder, force=force))
    assert stems_of(folder) == before


def test_forced_over_an_interrupted_run_of_other_settings_uses_its_own_mix(make_mix: MakeMix, tmp_path: Path) -> None:
    long, folder, token = make_mix("long.wav", seconds=10.0), tmp_path / "song", CancelToken()
    with pytest.raises(Cancelled):
        build(
            long,
            replace(FAST, output=folder, use_cache=False),
            on_progress=lambda event: token.cancel() if event.stage == "separate" and event.done else None,
            cancel=token,
        )
    shutil.copy(make_mix("short.wav", seconds=0.8), long)
    done = build(long, replace(FAST, output=folder, force=True))
    assert null_depth_db(done.folder) <= -120.0
    assert done.manifest.reference is not None and done.manifest.reference.length_samples == round(0.8 * 44_100)


def test_a_build_killed_between_two_sessions_is_continued(make_mix: MakeMix, monkeypatch: pytest.MonkeyPatch) -> None:
    mix = make_mix(seconds=0.5)
    dawproject = type(load_adapter("dawproject"))

    def killed(*_args: object) -> WriteReport:
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(dawproject, "write", killed)
        build(mix, replace(FAST, daws=("reaper", "dawproject")))
    manifest = read_manifest(mix.with_name("mix.session"))
    assert manifest is not None and manifest.state == "building"
    done = build(mix, replace(FAST, daws=("reaper", "dawproject")))
    assert [record.adapter for record in done.manifest.sessions] == ["reaper", "dawproject"]
    assert sorted(path.suffix for path in done.folder.iterdir() if path.is_file()) == [".dawproject", ".json", ".rpp"]


def test_a_rebuild_killed_while_writing_loses_no_session(make_mix: MakeMix) -> None:
    """As the kill leaves it: the old session set aside, its successor not there yet; a part file of the writer too."""
    made = build(make_mix(seconds=0.3), FAST)
    session = made.reports[0].session_path
    before = session.read_bytes()
    session.rename(session.with_name(f".{session.name}.replaced"))
    (made.folder / "mix.rpp.0123abcd.part").write_bytes(b"half")
    choice = choose_template("neutral")
    with pytest.raises(OutputError, match="full"):
        write_sessions(made.folder, made.manifest, choice, [FailingAdapter(load_adapter("reaper"))])
    assert session.read_bytes() == before
    rebuild(made.folder, template="band")
    assert sorted(path.name for path in made.folder.iterdir()) == ["audio", "manifest.json", "mix.rpp", "original"]


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
