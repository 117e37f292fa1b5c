"""A store: one atomic operation, and every refusal in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from daw_bridge.catalog.store import Store
from daw_bridge.catalog.store_faults import reason
from daw_bridge.errors import InputError


def test_of_two_writers_one_makes_the_object_and_one_who_writes_again_made_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.put_new("a/b", b"one")
    assert not store.put_new("a/b", b"two")
    assert store.put_new("a/b", b"one"), "its own, of which the answer was lost"
    assert store.get("a/b") == b"one"


@pytest.mark.parametrize("url", ["s3:/b/x", "s3:", "gs://", "az:///b", "S3:/b"])
def test_an_address_without_a_bucket_is_no_folder(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="names no bucket"):
        Store(url)


@pytest.mark.parametrize("url", ["out", "/a:b/c", "C:\\music", "C:/music", "file:///music", "./s3:/x"])
def test_a_path_is_a_folder(url: str) -> None:
    assert Store(url).folder is not None


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Server returned non-2xx status code: 503 Service Unavailable: <Code>SlowDown</Code>", "asks to slow down"),
        ("Client error with status 429 Too Many Requests", "asks to slow down"),
        ("Error performing GET http://169.254.169.254/latest/api/token", "there are no credentials"),
        ("Error performing GET http://metadata.google.internal/computeMetadata/v1", "there are no credentials"),
        ("<Error><Code>RequestTimeTooSkewed</Code></Error>", "the clock of this machine differs"),
        ("Generic S3 error: error sending request for url, after 12 retries", "does not answer"),
        ("Unable to rename file: Operation not supported (os error 95)", "knows no hard links"),
    ],
)
def test_what_a_store_says_is_told_in_words(text: str, meaning: str) -> None:
    assert meaning in reason(OSError(text))
