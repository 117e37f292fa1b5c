"""A catalog in folders: planned once, done once, whoever is killed; byte for byte what `build` makes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest
import soundfile
import torch

from daw_bridge import BuildOptions, build
from daw_bridge.catalog.checks import verify
from daw_bridge.catalog.export import export_ledger
from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import make_plan, require_plan, shards_of, songs_in, songs_to_do
from daw_bridge.catalog.recipe import Recipe, recipe_of
from daw_bridge.catalog.run import RunOptions, run_catalog
from daw_bridge.catalog.status import status
from daw_bridge.catalog.store import Store
from daw_bridge.catalog.worker import SongWorker
from daw_bridge.cli.main import main
from daw_bridge.errors import DeviceError, InputError, OutputError, UsageError, WeightsCorrupt
from tests.catalog.here import HereCrew

OPTIONS = BuildOptions(model="preview", template="neutral", daws=())
ODD_NAMES = ("a#b?c %25 é.wav", "one.wav", "sub/it's [two] & 'Ω'.wav", "sub/🎛 three.wav")


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Four short mixes with odd names, an empty file, and what is no mix."""
    folder = tmp_path / "music"
    for seed, name in enumerate(ODD_NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).standard_normal((11_025, 2)) * 0.1
        soundfile.write(path, noise, 44_100, subtype="FLOAT")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "notes.txt").write_text("no mix")
    (folder / "old.session").mkdir()
    shutil.copy(folder / "one.wav", folder / "old.session" / "stem.wav")
    return folder


def run_here(out: Store, options: RunOptions, **more: Any) -> Counter[str]:
    return run_catalog(out, options, start_crew=HereCrew, **more)


def plan_of(music: Path, out: Path, options: BuildOptions = OPTIONS, **more: Any) -> Store:
    store = Store(out)
    make_plan(Store(music), store, recipe_of(options, more.pop("keep", "full")), **more)
    return store


def commits(out: Path) -> dict[str, dict[str, Any]]:
    return {json.loads(path.read_text())["mix"]: json.loads(path.read_text()) for path in out.glob("commits/*/*")}


def test_a_plan_names_every_mix_once_and_nothing_else(music: Path) -> None:
    out = plan_of(music, music / "out", shard_songs=3)  # the catalog may lie inside what it lists
    plan = require_plan(out)
    songs = [each for shard in range(plan.shards) for each in songs_in(out, plan, shard)]
    assert sorted(each.mix for each in songs) == sorted(ODD_NAMES)
    assert (plan.songs, plan.shards) == (4, 2)
    assert len({each.key for each in songs}) == 4


def test_another_recipe_in_the_same_place_is_refused_with_the_difference(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out")
    before = require_plan(out)
    assert make_plan(Store(music), out, recipe_of(OPTIONS)) == before
    other = BuildOptions(model="preview", template="neutral", daws=(), encoding="flac")
    with pytest.raises(UsageError, match="encoding default there, flac now"):
        make_plan(Store(music), out, recipe_of(other))
    with pytest.raises(UsageError, match="mixes from"):
        make_plan(Store(music / "sub"), out, recipe_of(OPTIONS))


def test_a_run_makes_what_build_makes_and_a_second_one_nothing(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out")
    options = RunOptions(scratch=tmp_path / "scratch")
    assert run_here(out, options) == {"done": 4}
    made = commits(tmp_path / "out")
    direct = build(
        music / "one.wav", BuildOptions(model="preview", template="neutral", daws=(), output=tmp_path / "direct")
    )
    folder = tmp_path / "out" / made["one.wav"]["folder"]
    for stem in direct.manifest.stems:
        assert (folder / stem.file).read_bytes() == (direct.folder / stem.file).read_bytes()
    assert all(record["null_depth_db"] <= -120.0 for record in made.values())
    original = json.loads((folder / "manifest.json").read_text())["original"]
    assert original["source_path"] == str(music / "one.wav"), "where it came from, not where it was worked on"
    assert run_here(out, options) == {}
    found = verify(out, full=True)
    assert (found.committed, found.problems, found.stray_attempts) == (4, (), 0)
    assert not list((tmp_path / "scratch").iterdir())
    seen = status(out)
    assert (seen.done, seen.failed, seen.left) == (4, 0, 0)
    assert export_ledger(out, tmp_path / "ledger.csv") == 4
    assert pyarrow.csv.read_csv(tmp_path / "ledger.csv").num_rows == 4


def test_parts_of_an_array_share_the_work_without_a_word_between_them(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out", shard_songs=1)
    plan = require_plan(out)
    parts = [{each.mix for each in songs_to_do(out, plan, shards_of(plan, part, 3))} for part in range(3)]
    assert set.union(*parts) == set(ODD_NAMES)
    assert sum(map(len, parts)) == 4
    with pytest.raises(UsageError, match="parts count from 0"):
        shards_of(plan, 3, 3)


class Worker(SongWorker):
    """A worker of this process, whose attempt may be cut off just before its commit, or outrun by another."""

    before_commit: Any = None

    def _attempt(self, *arguments: Any) -> Any:
        out, put_new = self._out, self._out.put_new

        def trapped(key: str, data: bytes) -> bool:
            self.before_commit()
            return put_new(key, data)

        if self.before_commit is not None:
            out.put_new = trapped  # type: ignore[method-assign]
        try:
            return super()._attempt(*arguments)
        finally:
            out.put_new = put_new  # type: ignore[method-assign]


def test_an_attempt_that_dies_before_its_commit_leaves_only_what_a_sweep_removes(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out")
    plan = require_plan(out)
    song = songs_in(out, plan, 0)[0]
    worker = Worker(plan, out.url, scratch=tmp_path / "scratch")

    def die() -> None:
        raise KeyboardInterrupt

    worker.before_commit = die
    with pytest.raises(KeyboardInterrupt):
        worker.process(song)
    assert not commits(tmp_path / "out")
    assert verify(out).stray_attempts == 1
    worker.before_commit = None
    assert worker.process(song).state == "done"
    assert worker.process(song).state == "skipped"
    worker.close()
    assert verify(out, full=True, sweep=True).stray_attempts == 1
    found = verify(out, full=True, sweep=True)
    assert (found.committed, found.stray_attempts, found.problems) == (1, 0, ())


def test_of_two_attempts_the_first_commit_wins_and_the_other_takes_its_files_away(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out")
    plan = require_plan(out)
    song = songs_in(out, plan, 0)[0]
    slow = Worker(plan, out.url, scratch=tmp_path / "slow")
    quick = SongWorker(plan, out.url, scratch=tmp_path / "quick")
    slow.before_commit = lambda: quick.process(song)
    assert slow.process(song).state == "lost"
    slow.close()
    quick.close()
    found = verify(out, full=True)
    assert (found.committed, found.stray_attempts, found.problems) == (1, 0, ())


def test_a_mix_that_changed_or_went_since_the_plan_fails_and_says_so(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out")
    (music / "one.wav").unlink()
    with (music / ODD_NAMES[0]).open("ab") as handle:
        handle.write(b"more")
    outcomes = {}
    counts = run_here(out, RunOptions(), on_outcome=lambda each: outcomes.update({each.song.mix: each.error}))
    assert (counts["done"], counts["failed"]) == (2, 2)
    assert "is gone since the plan" in outcomes["one.wav"]
    assert "has changed since the plan" in outcomes[ODD_NAMES[0]]
    assert status(out).failed == 2
    assert run_here(out, RunOptions()) == {}, "what failed is set aside"
    assert run_here(out, RunOptions(retry_failed=True))["failed"] == 2


def test_damage_behind_a_commit_is_found(music: Path, tmp_path: Path) -> None:
    out = plan_of(music / "sub", tmp_path / "out", keep="stems")
    assert run_here(out, RunOptions()) == {"done": 2}
    first, second = commits(tmp_path / "out").values()
    stems = [tmp_path / "out" / record["folder"] / next(iter(record["files"])) for record in (first, second)]
    assert not (tmp_path / "out" / first["folder"] / "original").exists(), "only stems and manifest are kept"
    data = bytearray(stems[0].read_bytes())
    data[-1] ^= 1
    stems[0].chmod(0o644)
    stems[0].write_bytes(data)
    stems[1].unlink()
    problems = verify(out, full=True).problems
    assert len(problems) == 2
    assert any("is damaged" in line for line in problems)
    assert any("is missing" in line for line in problems)


def test_a_mix_that_the_disk_cannot_take_is_not_fetched(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out")
    plan = require_plan(out)
    song = replace(songs_in(out, plan, 0)[0], size_bytes=10**18)
    worker = SongWorker(plan, out.url, scratch=tmp_path / "scratch")
    found = worker.process(song)
    worker.close()
    assert found.state == "retry"  # another machine's disk may take it
    assert re.search(r"has 1000000\.0 TB, and .*scratch.* has .* free; give a `scratch` on a larger disk", found.error)


def test_weights_that_are_not_the_plans_are_refused_before_any_song(music: Path, tmp_path: Path) -> None:
    out = Store(tmp_path / "out")
    recipe = recipe_of(OPTIONS)
    other = Recipe(options=recipe.options, weights_sha256="0" * 64)
    plan = make_plan(Store(music), out, other)
    with pytest.raises(WeightsCorrupt, match="use the same weights on every machine"):
        SongWorker(plan, out.url, scratch=tmp_path / "scratch")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with a card")
def test_a_machine_without_the_asked_gpu_does_nothing_on_its_cpu_instead(music: Path, tmp_path: Path) -> None:
    out = plan_of(music, tmp_path / "out")
    with pytest.raises(DeviceError, match="cuda"):
        SongWorker(require_plan(out), out.url, device="cuda", scratch=tmp_path / "scratch")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_target_is_said_at_once(music: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        plan_of(music, tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["plan", "nowhere", "out"], 3, "no such folder"),
        (["plan", "empty", "out"], 3, "holds no audio"),
        (["run", "nowhere"], 3, "holds no plan; make one with"),
        (["status", "nowhere"], 3, "holds no plan"),
        (["plan", "ftp://host/x", "out"], 3, "cannot be used as a store"),
        (["plan", "s3:/music", "out"], 3, "s3:/music: names no bucket; write s3://BUCKET/FOLDER"),
        (["plan", "gs://", "out"], 3, "names no bucket"),
        (["plan", "az://music/x", "out"], 3, "set AZURE_STORAGE_ACCOUNT_NAME"),
        (["run", "out", "--actors", "0"], 2, "give 1 or more"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], code: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    (tmp_path / "empty").mkdir()
    more = ["-m", "preview"] if arguments[0] == "plan" else []
    assert main(["catalog", *arguments, *more]) == code
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out" / "plan").exists()


def test_the_command_line_goes_the_whole_way(music: Path, tmp_path: Path, capsys: Any) -> None:
    out = str(tmp_path / "out")
    assert (
        main(["catalog", "plan", str(music / "sub"), out, "-m", "preview", "--format", "flac", "--keep", "stems"]) == 0
    )
    assert main(["catalog", "run", out, "--shard", "0", "--of", "1"]) == 0
    assert main(["catalog", "status", out, "--cost-per-hour", "0.5"]) == 0
    assert main(["catalog", "verify", out, "--full", "--sweep"]) == 0
    assert main(["catalog", "export", out, str(tmp_path / "runs.parquet")]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 songs done, 0 failed, 0 left" in said
    assert "2 of 2 songs have a commit; 0 attempts without one" in said


def test_a_poisonous_song_ends_its_process_and_nothing_else(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real crew: the worker's process kills itself on one mix, as a decoder with a fault would."""
    poison = tmp_path / "poison"
    poison.mkdir()
    (poison / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and 'three.wav' in str(arguments[0]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv): sys.addaudithook(hook)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{poison}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    out = plan_of(music, tmp_path / "out")
    outcomes: list[Outcome] = []
    counts = run_catalog(out, RunOptions(scratch=tmp_path / "scratch"), on_outcome=outcomes.append)
    assert (counts["done"], counts["failed"], counts["workers lost"]) == (3, 1, 3)
    (failed,) = [each for each in outcomes if each.state == "failed"]
    assert "three.wav" in failed.song.mix
    assert "3 tries: its worker process was ended by SIGKILL" in failed.error
    assert verify(out, full=True).problems == ()


def test_no_song_is_done_twice_by_two_runs_at_once(music: Path, tmp_path: Path) -> None:
    import threading

    out = plan_of(music, tmp_path / "out")
    counts: list[Counter[str]] = [Counter(), Counter()]

    def one(place: int) -> None:
        counts[place] = run_here(Store(tmp_path / "out"), RunOptions(scratch=tmp_path / str(place)))

    runs = [threading.Thread(target=one, args=(place,)) for place in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert sum(each.get("done", 0) for each in counts) == 4
    found = verify(out, full=True)
    assert (found.committed, found.stray_attempts, found.problems) == (4, 0, ())


def test_a_source_that_is_a_catalog_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "plan.json").write_text("[]")
    with pytest.raises(InputError, match="was not understood"):
        require_plan(Store(tmp_path))


def test_commits_carry_the_sha256_of_every_file(music: Path, tmp_path: Path) -> None:
    out = plan_of(music / "sub", tmp_path / "out")
    run_here(out, RunOptions())
    for record in commits(tmp_path / "out").values():
        for name, digest in record["sha256"].items():
            data = (tmp_path / "out" / record["folder"] / name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == digest
