"""A song folder is claimed safely: nothing foreign is touched, nothing half-made stays, two runs never meet."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from daw_bridge.archive import (
    archive_original,
    claimed_folder,
    folder_lock,
    free_session_name,
    require_disk_space,
)
from daw_bridge.errors import Busy, InputError, OutputError
from daw_bridge.manifest import Manifest, OriginalFile, State, StemFile, read_manifest, write_manifest
from daw_bridge.takeover import STAGING, require_free, settled_manifest, take_over


def make_manifest(state: State = "complete", **request: object) -> Manifest:
    return Manifest(name="Song", daw_bridge="0", state=state, request=request)


def test_a_failed_run_leaves_nothing_not_even_parents(tmp_path: Path) -> None:
    root = tmp_path / "a" / "b" / "song.session"
    with pytest.raises(InputError, match="bad"), folder_lock(root), claimed_folder(root, {}, force=False) as claim:
        (claim.staging / "half.wav").write_bytes(b"x")
        raise InputError("bad")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_that_was_kept_stays_and_resumes(tmp_path: Path) -> None:
    root = tmp_path / "song.session"
    with pytest.raises(KeyboardInterrupt), claimed_folder(root, {"model": "a"}, force=False) as claim:
        write_manifest(root, make_manifest("building", model="a"))
        claim.keep()
        raise KeyboardInterrupt
    with claimed_folder(root, {"model": "a"}, force=False) as claim:
        assert claim.previous is not None and claim.previous.state == "building"


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
    with pytest.raises(OutputError, match="`force`"), claimed_folder(tmp_path, {}, force=False):
        pass
    with pytest.raises(InputError, match="bad"), claimed_folder(tmp_path, {}, force=True):
        raise InputError("bad")
    assert read_manifest(tmp_path) == make_manifest()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "song").write_text("x")
    with pytest.raises(OutputError, match="is a file"), claimed_folder(tmp_path / "song", {}, force=True):
        pass


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="too long"), folder_lock(tmp_path.joinpath(*["z" * 200] * 25)):
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


def finished(root: Path, **files: bytes) -> Manifest:
    """What lies in the hidden folder of a run that is done: its files, and the manifest that lists them."""
    stems = []
    for name, data in files.items():
        path = root / STAGING / "audio" / f"Song_{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        stems.append(StemFile(name=name, role="stem", file=f"audio/{path.name}", sha256=digest, size_bytes=len(data)))
    return Manifest(name="Song", daw_bridge="0", state="complete", request={}, stems=tuple(stems))


def test_a_take_over_never_touches_a_file_that_nobody_listed(tmp_path: Path) -> None:
    take_over(tmp_path, None, finished(tmp_path, vocals=b"old vocals"))
    (tmp_path / "audio" / "Song_drums.wav").write_bytes(b"my own recording")
    first = read_manifest(tmp_path)
    with pytest.raises(OutputError, match=r"Song_drums\.wav: is in the way .* move it away"):
        require_free(tmp_path, {"audio/Song_drums.wav"}, first)
    second = finished(tmp_path, vocals=b"new vocals", drums=b"new drums")
    with pytest.raises(OutputError, match=r"Song_drums\.wav: is in the way"):
        take_over(tmp_path, first, second)
    assert read_manifest(tmp_path) == first and (tmp_path / "audio" / "Song_vocals.wav").read_bytes() == b"old vocals"
    assert (tmp_path / "audio" / "Song_drums.wav").read_bytes() == b"my own recording"


def test_what_a_user_changed_in_our_files_is_kept_beside_the_new_ones_and_said(tmp_path: Path) -> None:
    take_over(tmp_path, None, finished(tmp_path, vocals=b"old vocals", bass=b"old bass"))
    first = read_manifest(tmp_path)
    for name in ("vocals", "bass"):
        (tmp_path / "audio" / f"Song_{name}.wav").write_bytes(b"edited " + name.encode())
    notes = take_over(tmp_path, first, finished(tmp_path, vocals=b"new vocals"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "audio").iterdir()} == {
        "Song_vocals.wav": b"new vocals",
        "Song_vocals (changed).wav": b"edited vocals",
        "Song_bass.wav": b"edited bass",
    }
    assert len(notes) == 2 and "kept as Song_vocals (changed).wav" in notes[0] and "stays" in notes[1]
    assert not (tmp_path / STAGING).exists()


def test_a_take_over_that_meets_a_users_file_midway_goes_on_when_that_is_moved(tmp_path: Path) -> None:
    """The file came between the check and the move."""
    made = finished(tmp_path, vocals=b"v", drums=b"d")
    entries = [{"file": stem.file, "sha256": stem.sha256, "replaces": ""} for stem in made.stems]
    journal = {"placed": entries, "gone": [], "manifest": json.loads(made.to_json())}
    (tmp_path / STAGING / "takeover.json").write_text(json.dumps(journal))
    mine = tmp_path / "audio" / "Song_drums.wav"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    with pytest.raises(OutputError, match="is in the way"):
        settled_manifest(tmp_path)
    assert mine.read_bytes() == b"mine"
    mine.rename(tmp_path / "mine.wav")
    assert settled_manifest(tmp_path) == made
    assert mine.read_bytes() == b"d"


@pytest.mark.parametrize("file", ["../outside.wav", "Song.rpp", "audio/../manifest.json", "/etc/passwd", "audio/a/b"])
def test_a_strangers_journal_moves_nothing_but_audio_of_the_folder(tmp_path: Path, file: str) -> None:
    root = tmp_path / "song"
    made = finished(root, vocals=b"v")
    (root / "Song.rpp").write_bytes(b"mine")
    journal = {"placed": [], "gone": [{"file": file, "sha256": hashlib.sha256(b"mine").hexdigest()}]}
    (root / STAGING / "takeover.json").write_text(json.dumps({**journal, "manifest": json.loads(made.to_json())}))
    with pytest.raises(InputError):
        settled_manifest(root)
    assert (root / "Song.rpp").read_bytes() == b"mine"


def test_a_strangers_hidden_folder_that_is_a_link_takes_nothing_from_another_song(tmp_path: Path) -> None:
    """Behind the link lies a song of the user's whose take-over was cut off: it stays where it is."""
    song, stranger = tmp_path / "song.session", tmp_path / "stranger.session"
    theirs = finished(stranger, drums=b"theirs")
    take_over(stranger, None, theirs)
    mine = song / "audio" / "Song_drums.wav"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    placed = {"file": "audio/Song_drums.wav", "sha256": "", "replaces": theirs.stems[0].sha256}
    journal = {"placed": [placed], "gone": [], "manifest": json.loads(theirs.to_json())}
    (song / "takeover.json").write_text(json.dumps(journal))
    (stranger / STAGING).symlink_to(song)
    assert settled_manifest(stranger) == theirs
    assert mine.read_bytes() == b"mine" and (song / "takeover.json").exists()
    assert (stranger / "audio" / "Song_drums.wav").read_bytes() == b"theirs"


def test_what_a_user_saves_into_a_folder_while_a_run_fails_there_stays(tmp_path: Path) -> None:
    root = tmp_path / "given"
    root.mkdir()
    with pytest.raises(InputError, match="refused"), claimed_folder(root, {}, force=False) as claim:
        (claim.staging / "audio").mkdir()
        write_manifest(root, make_manifest("building"))
        (root / "audio").mkdir()
        (root / "audio" / "take 1.wav").write_bytes(b"mine")
        (root / "song.rpp").write_bytes(b"mine")
        raise InputError("refused")
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*")) == [
        "audio",
        "audio/take 1.wav",
        "song.rpp",
    ]


def test_a_lock_lies_in_the_folder_where_every_user_of_the_share_sees_it(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "song"):
        assert [path.name for path in (tmp_path / "song").iterdir()] == [".daw-bridge.lock"]
    assert not (tmp_path / "song").exists()
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / ".daw-bridge.lock").touch(mode=0o400)
    with folder_lock(tmp_path / "song"):
        pass
    assert list((tmp_path / "song").iterdir()) == []
