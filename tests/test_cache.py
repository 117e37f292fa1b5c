"""The stems cache gives back the same bytes, notices damage, and keeps to its limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daw_bridge.cache import CacheDamaged, StemCache


def store(cache: StemCache, tmp_path: Path, key: str, size: int = 100) -> Path:
    source = tmp_path / f"{key}.wav"
    source.write_bytes(key.encode()[:1] * size)
    cache.store(key, {"vocals.wav": source}, {"separation": {"model": "m"}})
    return source


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    store(cache, tmp_path, "one")
    entry = cache.find("one")
    assert entry is not None and entry.record == {"separation": {"model": "m"}}
    cache.fetch(entry, "vocals.wav", tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes() == b"o" * 100


def test_shared_files_cannot_be_edited_by_accident(tmp_path: Path) -> None:
    source = store(StemCache(tmp_path / "cache"), tmp_path, "one")
    assert source.stat().st_mode & 0o222 == 0


def test_a_damaged_entry_is_dropped(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    store(cache, tmp_path, "one")
    damaged = cache.root / "one" / "vocals.wav"
    damaged.unlink()
    damaged.write_bytes(b"short")
    assert cache.find("one") is None
    assert not (cache.root / "one").exists()


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    for age, key in enumerate(("new", "middle", "old")):
        store(cache, tmp_path, key)
        os.utime(cache.root / key / "entry.json", (1000 - age, 1000 - age))
    assert cache.trim(250) == 100
    assert {entry.key for entry in cache.entries()} == {"new", "middle"}


def test_clear_frees_everything(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    store(cache, tmp_path, "one")
    assert cache.clear() == 100
    assert cache.entries() == [] and not cache.root.exists()


def test_a_cache_that_takes_nothing_never_fails_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "stems").write_text("a file where the folder should be")
    source = store(StemCache(tmp_path / "cache"), tmp_path, "one")
    assert source.read_bytes() == b"o" * 100
    assert "not kept in the cache" in caplog.text


def test_garbage_in_the_cache_folder_is_ignored(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    (cache.root / "junk").mkdir(parents=True)
    (cache.root / "junk" / "entry.json").write_text("[1, 2")
    (cache.root / "list").mkdir()
    (cache.root / "list" / "entry.json").write_text("[]")
    assert cache.entries() == []


def test_a_stem_that_was_edited_in_place_is_not_given_to_another_song(tmp_path: Path) -> None:
    """At the same size, through the song folder's own name of the shared file."""
    cache = StemCache(tmp_path / "cache")
    source = store(cache, tmp_path, "one")
    os.utime(source, ns=(1, 1))
    cache.store("one", {"vocals.wav": source}, {})
    source.chmod(0o644)
    with source.open("r+b") as handle:
        handle.write(b"edited")
    assert cache.find("one") is None


def test_what_is_fetched_is_a_file_of_its_own(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    source = store(cache, tmp_path, "one")
    entry = cache.find("one")
    assert entry is not None
    cache.fetch(entry, "vocals.wav", tmp_path / "out.wav")
    assert (tmp_path / "out.wav").stat().st_ino not in (
        source.stat().st_ino,
        (entry.folder / "vocals.wav").stat().st_ino,
    )
    assert (tmp_path / "out.wav").stat().st_mode & 0o222 == 0


def test_a_file_that_was_changed_with_its_time_kept_is_not_handed_out(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache")
    source = store(cache, tmp_path, "one")
    entry = cache.find("one")
    assert entry is not None
    kept = source.stat()
    source.chmod(0o644)
    with source.open("r+b") as handle:
        handle.write(b"edited")
    os.utime(source, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert cache.find("one") is not None, "size and time are those of before"
    with pytest.raises(CacheDamaged, match="was changed"):
        cache.fetch(entry, "vocals.wav", tmp_path / "out.wav")
    (entry.folder / "vocals.wav").unlink()
    with pytest.raises(CacheDamaged, match="is gone"):
        cache.fetch(entry, "vocals.wav", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists() and not list(tmp_path.glob("*.part"))


def test_a_cache_that_can_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = StemCache(tmp_path / "cache")
    store(cache, tmp_path, "one")

    def refused(*_args: object, **_kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    for name in ("utime", "mkdir", "unlink", "rename", "replace", "link"):
        monkeypatch.setattr(os, name, refused)
    assert cache.find("one") is not None
    cache.store("two", {"vocals.wav": tmp_path / "one.wav"}, {})


def test_the_entries_are_read_only_when_the_cache_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    entry_of = StemCache._read
    monkeypatch.setattr(StemCache, "_read", lambda cache, folder: read.append(folder.name) or entry_of(cache, folder))  # type: ignore[func-returns-value]
    cache = StemCache(tmp_path / "cache", limit_bytes=1000)
    for number in range(10):
        store(cache, tmp_path, f"song {number}")
    assert len(read) <= 2, "the first song found no note of the size"
    store(cache, tmp_path, "song 10")
    assert len(cache.entries()) == 9
    assert cache.find("song 10") is not None
    read.clear()
    store(cache, tmp_path, "song 11")
    assert not read, "room was made for more than one song"
    (cache.root / "size").write_text("no number")
    for number in range(12, 30):
        store(cache, tmp_path, f"song {number}")
    assert sum(entry.size_bytes for entry in cache.entries()) <= 1000
