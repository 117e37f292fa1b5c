"""A song folder is claimed safely: nothing foreign is touched, nothing half-made stays, two runs never meet."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from daw_bridge.archive import (
    archive_original,
    claimed_folder,
    folder_lock,
    free_session_name,
    remove_own_files,
    require_disk_space,
)
from daw_bridge.errors import Busy, InputError, OutputError
from daw_bridge.manifest import Manifest, OriginalFile, State, StemFile, read_manifest, write_manifest


def make_manifest(state: State = "complete", **request: object) -> Manifest:
    return Manifest(name="Song", daw_bridge="0", state=state, request=request)


def test_a_failed_run_leaves_nothing_not_even_parents(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "song.session"
    with pytest.raises(InputError, match="bad"), claimed_folder(root, {}, force=False):
        (root / "audio").mkdir()
        (root / "audio" / "half.wav").write_bytes(b"x")
        raise InputError("bad")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_that_was_kept_stays_and_resumes(tmp_path: Path) -> None:
    root = tmp_path / "song.session"
    with pytest.raises(KeyboardInterrupt), claimed_folder(root, {"model": "a"}, force=False) as claim:
        write_manifest(root, make_manifest("building", model="a"))
        claim.keep()
        raise KeyboardInterrupt
    with claimed_folder(root, {"model": "a"}, force=False) as claim:
        assert claim.resumes


def test_another_request_does_not_continue_an_interrupted_one(tmp_path: Path) -> None:
    write_manifest(tmp_path, make_manifest("building", model="a"))
    with (
        pytest.raises(OutputError, match="interrupted run"),
        claimed_folder(tmp_path, {"model": "b"}, force=False),
    ):
        pass


def test_a_foreign_folder_is_refused_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match="not a daw-bridge song folder"), claimed_folder(tmp_path, {}, force=True):
        pass
    assert (tmp_path / "holiday.jpg").exists()


def test_a_finished_folder_needs_force_and_survives_a_forced_failure(tmp_path: Path) -> None:
    write_manifest(tmp_path, make_manifest())
    with pytest.raises(OutputError, match="--force"), claimed_folder(tmp_path, {}, force=False):
        pass
    with pytest.raises(InputError, match="bad"), claimed_folder(tmp_path, {}, force=True):
        raise InputError("bad")
    assert read_manifest(tmp_path) == make_manifest()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "song").write_text("x")
    with pytest.raises(OutputError, match="is a file"), claimed_folder(tmp_path / "song", {}, force=True):
        pass


def test_two_runs_never_work_on_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    with (
        folder_lock(tmp_path / "song"),
        pytest.raises(Busy, match="another daw-bridge run"),
        folder_lock(tmp_path / "song"),
    ):
        pass
    with folder_lock(tmp_path / "song"):
        pass


def test_the_original_is_archived_bit_exact_and_read_only(tmp_path: Path) -> None:
    source, copy = tmp_path / "mix.wav", tmp_path / "song" / "original" / "mix.wav"
    source.write_bytes(bytes(range(256)) * 5000)
    digest = archive_original(source, copy)
    assert copy.read_bytes() == source.read_bytes()
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()
    assert copy.stat().st_mode & 0o222 == 0
    assert archive_original(source, copy) == digest


def test_only_our_own_files_are_removed(tmp_path: Path) -> None:
    audio = tmp_path / "audio"
    audio.mkdir()
    for name in ("Song_vocals.wav", "my_take.wav"):
        (audio / name).write_bytes(b"x")
    ours = StemFile(name="vocals", role="stem", file="audio/Song_vocals.wav", sha256="", size_bytes=1)
    manifest = Manifest(name="Song", daw_bridge="0", state="complete", request={}, stems=(ours,))
    remove_own_files(tmp_path, manifest, keep=set())
    assert [path.name for path in audio.iterdir()] == ["my_take.wav"]


def test_a_manifest_cannot_name_files_outside_its_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside.wav"
    outside.write_bytes(b"x")
    folder = tmp_path / "song"
    folder.mkdir()
    evil = StemFile(name="vocals", role="stem", file="../outside.wav", sha256="", size_bytes=1)
    manifest = Manifest(name="Song", daw_bridge="0", state="complete", request={}, stems=(evil,))
    with pytest.raises(InputError, match="leads out of"):
        remove_own_files(folder, manifest, keep=set())
    assert outside.exists()


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    original = OriginalFile(file="original/a.wav", sha256="0", size_bytes=1, codec="pcm", source_path="/a.wav")
    manifest = Manifest(name="Für 🎹", daw_bridge="0", state="complete", request={"stems": ["a"]}, original=original)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": "daw-bridge manifest"}', "\0"])
def test_a_damaged_manifest_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json") as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_taken_name_gets_a_number() -> None:
    assert free_session_name("Song", {"Song", "Song (2)"}.__contains__) == "Song (3)"


def test_a_full_disk_is_said_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the disk is full"):
        require_disk_space(tmp_path / "not" / "there", 1 << 60)
