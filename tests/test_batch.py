"""A batch: songs are found, failures never stop the rest, and a stopped batch goes on."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.archive import folder_lock
from daw_bridge.build_options import BuildOptions
from daw_bridge.cli.main import main
from daw_bridge.errors import Cancelled, InputError, OutputError, UsageError
from daw_bridge.progress import CancelToken
from daw_bridge.workflow import batch as batch_module
from daw_bridge.workflow import finished as finished_module
from daw_bridge.workflow.batch import SongOutcome, estimate, run_batch
from daw_bridge.workflow.chain import build
from daw_bridge.workflow.finished import build_if_needed
from daw_bridge.workflow.ledger import Ledger
from daw_bridge.workflow.options import BuildResult
from daw_bridge.workflow.songs import Listing, list_songs, song_folders

FAST = BuildOptions(model="preview", template="neutral", daws=())


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def songs(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "songs"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for name in ("a", "b", "c"):
        sf.write(folder / f"{name}.wav", (0.1 * rng.standard_normal((4410, 2))).astype(np.float32), 44_100)
    (folder / "broken.wav").write_bytes(b"not audio")
    return list_songs([str(folder)]).songs


def test_songs_are_found_in_folders_lists_and_patterns_once(songs: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    (folder / "old.session" / "audio").mkdir(parents=True)
    (folder / "old.session" / "audio" / "old_vocals.wav").write_bytes(b"x")
    (folder / "cover.jpg").write_bytes(b"x")
    (folder / "list.txt").write_text("# two songs\na.wav\n\nb.wav\n")
    names = ["a.wav", "b.wav", "broken.wav", "c.wav"]
    assert [path.name for path in list_songs([str(folder)]).songs] == names
    assert [path.name for path in list_songs([str(folder / "list.txt")]).songs] == ["a.wav", "b.wav"]
    assert [path.name for path in list_songs([str(folder / "[ab].wav"), str(folder)]).songs] == names
    with pytest.raises(InputError, match="no songs there"):
        list_songs([str(tmp_path / "nowhere" / "*.wav")])


def test_a_bad_song_is_listed_and_the_rest_is_done(songs: list[Path], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    seen: list[SongOutcome] = []
    outcomes = run_batch(songs, FAST, ledger, on_song=seen.append)
    assert [outcome.mix for outcome in outcomes] == songs and len(seen) == 4
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [outcome.mix.name for outcome in failed] == ["broken.wav"]
    assert all(outcome.null_depth_db is not None and outcome.null_depth_db <= -120 for outcome in outcomes[:2])


def test_a_stopped_batch_goes_on_after_the_last_finished_song(songs: list[Path], tmp_path: Path) -> None:
    ledger, token = Ledger(tmp_path / "ledger.sqlite"), CancelToken()
    with pytest.raises(Cancelled):
        run_batch(songs, FAST, ledger, on_song=lambda _outcome: token.cancel(), cancel=token)
    outcomes = run_batch(songs, FAST, ledger)
    assert [outcome.skipped for outcome in outcomes] == [True, False, False, False]
    again = run_batch(songs, FAST, ledger)
    assert [outcome.skipped for outcome in again] == [True, True, False, True]


def test_a_song_that_changed_is_done_again(songs: list[Path], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.done(songs[0], tmp_path, 1.0)
    assert ledger.folder_of(songs[0]) is not None
    songs[0].write_bytes(songs[0].read_bytes() + b"\0\0")
    assert ledger.folder_of(songs[0]) is None


def test_songs_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    twins = [tmp_path / "x" / "mix.wav", tmp_path / "y" / "mix.wav"]
    folders = song_folders(twins, tmp_path / "out")
    assert [folders[mix] for mix in twins] == [tmp_path / "out" / "mix.session", tmp_path / "out" / "mix (2).session"]


def test_songs_of_one_name_beside_each_other_do_not_share_a_folder(songs: list[Path], tmp_path: Path) -> None:
    """a.wav and a.flac: also with --force, which used to let the one replace the other."""
    audio, rate_hz = sf.read(songs[0])
    sf.write(songs[0].with_suffix(".flac"), audio[:3000], rate_hz)
    both = list_songs([str(tmp_path / "songs" / "a.*")]).songs
    outcomes = run_batch(both, replace(FAST, force=True), Ledger(tmp_path / "ledger.sqlite"))
    assert [outcome.folder for outcome in outcomes] == [
        songs[0].with_name("a.session"),
        songs[0].with_name("a (2).session"),
    ]
    assert sorted(path.name for path in songs[0].parent.glob("*.session/original/*")) == ["a.flac", "a.wav"]


def test_a_song_folder_of_any_name_holds_no_songs(songs: list[Path], tmp_path: Path) -> None:
    build(songs[0], replace(FAST, output=tmp_path / "songs" / "made"))
    assert list_songs([str(tmp_path / "songs")]).songs == songs
    with pytest.raises(InputError, match="no songs there"):
        list_songs([str(tmp_path / "songs" / "made")])


def test_a_failure_names_the_song_and_has_an_exit_code_of_its_own(
    songs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(songs[0], replace(FAST, residual="spread"))
    command = ["-q", "batch", str(tmp_path / "songs"), "-m", "preview", "--stems-only"]
    assert main([*command, "--ledger", str(tmp_path / "ledger.sqlite")]) == 11
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"daw-bridge: {songs[0]}: ") and "holds stems already" in lines[0]
    assert "broken.wav" in lines[1]
    assert lines[2] == "daw-bridge: 2 of 4 songs failed; the same command tries them again"


def test_a_dry_run_writes_nothing_and_adds_up(songs: list[Path], tmp_path: Path) -> None:
    before = sorted((tmp_path / "songs").rglob("*"))
    told = estimate(Listing(songs), FAST, Ledger(tmp_path / "ledger.sqlite"))
    assert (told.songs, told.done_before, len(told.unreadable)) == (4, 0, 1)
    assert told.audio_s == pytest.approx(0.3) and told.seconds is None
    assert told.disk_bytes == 3 * (4410 * 2 * 4 * 6 + songs[0].stat().st_size)
    assert sorted((tmp_path / "songs").rglob("*")) == before


def test_several_processes_share_the_work(songs: list[Path], tmp_path: Path) -> None:
    outcomes = run_batch(songs[:2], FAST, Ledger(tmp_path / "ledger.sqlite"), jobs=2)
    assert all(outcome.folder is not None and not outcome.error for outcome in outcomes)


def test_what_cannot_be_is_refused(songs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`jobs` 0"):
        run_batch(songs, FAST, Ledger(tmp_path / "ledger.sqlite"), jobs=0)
    (tmp_path / "text.sqlite").write_text("this is no database, and long enough to be sure of it" * 50)
    with pytest.raises(OutputError, match="`ledger`"):
        Ledger(tmp_path / "text.sqlite")


def test_a_song_that_is_finished_but_in_no_ledger_is_done(songs: list[Path], tmp_path: Path) -> None:
    """Killed between the two, the ledger lost, another batch or the daemon did it."""
    folders = [build(mix, FAST).folder for mix in songs[:2]]
    before = [(folder / "manifest.json").read_bytes() for folder in folders]
    for number in (1, 2):
        outcomes = run_batch(songs, FAST, Ledger(tmp_path / f"{number}.sqlite"))
        assert [outcome.skipped for outcome in outcomes] == [True, True, False, number == 2]
        assert [outcome.mix.name for outcome in outcomes if outcome.error] == ["broken.wav"]
    assert [(folder / "manifest.json").read_bytes() for folder in folders] == before


def test_a_song_whose_stems_are_there_gets_the_sessions_that_are_asked_for(songs: list[Path], tmp_path: Path) -> None:
    separated = build(songs[0], FAST)
    stems = [(separated.folder / stem.file).stat().st_mtime_ns for stem in separated.manifest.stems]
    (outcome,) = run_batch(songs[:1], replace(FAST, daws=("reaper",)), Ledger(tmp_path / "ledger.sqlite"))
    assert outcome.skipped and list(separated.folder.glob("*.rpp"))
    assert [(separated.folder / stem.file).stat().st_mtime_ns for stem in separated.manifest.stems] == stems


def test_a_ledger_that_names_a_damaged_song_is_not_believed(songs: list[Path], tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    (made,) = run_batch(songs[:1], FAST, ledger)
    assert made.folder is not None
    next(made.folder.glob("audio/*drums*")).unlink()
    (again,) = run_batch(songs[:1], replace(FAST, force=True), ledger)
    assert not again.skipped and not again.error and list(made.folder.glob("audio/*drums*"))


def test_two_batches_at_once_share_the_work(songs: list[Path], tmp_path: Path) -> None:
    """One song is being built by another batch: this one does the others first, then finds it done."""
    busy, order = song_folders(songs)[songs[0]], list[str]()
    assert busy is not None
    lock = ExitStack()
    lock.enter_context(folder_lock(busy))

    def on_song(outcome: SongOutcome) -> None:
        order.append(outcome.mix.name)
        if len(order) == 2:  # the other batch comes to the end of its song
            lock.close()
            build(songs[0], FAST)

    outcomes = run_batch([songs[0], songs[1], songs[3]], FAST, Ledger(tmp_path / "ledger.sqlite"), on_song=on_song)
    assert order == ["b.wav", "c.wav", "a.wav"]
    assert not [outcome.error for outcome in outcomes if outcome.error] and outcomes[0].skipped


def test_a_song_that_another_batch_finishes_in_the_same_moment_is_done(
    songs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question whether it is finished and the claim of its folder."""

    def beaten(mix: Path, options: BuildOptions, **how: Any) -> BuildResult:
        if not (options.output / "manifest.json").exists():  # type: ignore[operator]
            build(mix, replace(options, residual="keep"))
        return build(mix, options, **how)

    monkeypatch.setattr(batch_module, "build", beaten)
    monkeypatch.setattr(finished_module, "build", beaten)
    (outcome,) = run_batch(songs[:1], FAST, Ledger(tmp_path / "ledger.sqlite"))
    assert not outcome.error and outcome.skipped
    asked = replace(FAST, output=tmp_path / "job")
    assert build_if_needed(songs[0], asked).folder == tmp_path / "job"
    with pytest.raises(OutputError, match="holds stems already"):
        build_if_needed(songs[0], replace(asked, residual="none"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_name_that_is_no_text_is_a_song_like_any_other(songs: list[Path], capfd: pytest.CaptureFixture[str]) -> None:
    folder = songs[0].parent
    for song in folder.iterdir():
        song.unlink() if song.name != "a.wav" else song.rename(folder / os.fsdecode(b"bad\xff.wav"))
    command = ["batch", str(folder), "-m", "preview", "-t", "neutral", "--daw", "render", "--progress", "none"]
    assert main(command) == 0
    assert (folder / "bad.session" / "manifest.json").is_file()
    capfd.readouterr()
    assert main(command) == 0
    assert "done before" in "".join(capfd.readouterr())
    assert main([*command[:1], str(next(folder.glob("*.wav"))), *command[2:], "--dry-run"]) == 0
