"""One file from a server on this machine: goes on where it broke off, never grows past its size, ends when asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.errors import Cancelled, WeightsCorrupt
from daw_bridge.progress import CancelToken
from daw_bridge.separation import catalog
from daw_bridge.separation.families.download import Download, fetch_files
from daw_bridge.separation.model_info import WeightFile
from tests.separation.fetch_server import DATA, Handler, Server, drip, endless, silence

FILE = "https://example.org/weights.bin"


def one_file(server: Server, tmp_path: Path, *, sha256: str = "", size: int = len(DATA), **bounds: Any) -> Download:
    """A download of a model of one file from this machine's server."""
    server.files["/weights.bin"] = DATA
    file = WeightFile(
        name="weights.bin", urls=(FILE,), size_bytes=size, sha256=sha256 or hashlib.sha256(DATA).hexdigest()
    )
    info = replace(catalog.model_info("bsrnn-opt"), name="toy", files=(file,))
    folder = tmp_path / "toy"
    folder.mkdir(exist_ok=True)
    base = f"http://127.0.0.1:{server.server_address[1]}"
    return Download(info=info, folder=folder, mirrors={"https://example.org": base}, **bounds)


def test_a_download_that_broke_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    download = one_file(server, tmp_path)
    server.cut_bytes = 700_000
    with pytest.raises(OSError, match=r"127\.0\.0\.1: "):
        fetch_files(download.info, download)
    got = (download.folder / "weights.bin.part").stat().st_size
    assert got == 700_000
    server.cut_bytes = None
    fetch_files(download.info, download)
    assert server.asked == ["GET /weights.bin", f"GET /weights.bin bytes={got}-"]
    assert (download.folder / "weights.bin").read_bytes() == DATA
    assert sorted(path.name for path in download.folder.iterdir()) == ["sha256.json", "weights.bin"]


def test_a_whole_beginning_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    download = one_file(server, tmp_path)
    (download.folder / "weights.bin.part").write_bytes(DATA)
    fetch_files(download.info, download)
    assert (download.folder / "weights.bin").read_bytes() == DATA


def test_the_beginning_of_something_else_is_thrown_away(server: Server, tmp_path: Path) -> None:
    download = one_file(server, tmp_path)
    (download.folder / "weights.bin.part").write_bytes(b"?" * 5000)
    fetch_files(download.info, download)
    assert (download.folder / "weights.bin").read_bytes() == DATA
    assert server.asked == ["GET /weights.bin bytes=5000-", "GET /weights.bin"]


def test_other_bytes_than_the_catalog_lists_are_refused(server: Server, tmp_path: Path) -> None:
    download = one_file(server, tmp_path, sha256="0" * 64)
    with pytest.raises(WeightsCorrupt, match="it should be 00000000"):
        fetch_files(download.info, download)
    assert not list(download.folder.iterdir())


def test_the_second_address_serves_when_the_first_has_something_else(server: Server, tmp_path: Path) -> None:
    download = one_file(server, tmp_path)
    server.files["/old.bin"] = b"moved"
    (file,) = download.info.files
    info = replace(download.info, files=(replace(file, urls=("https://example.org/old.bin", FILE)),))
    fetch_files(info, download)
    assert (download.folder / "weights.bin").read_bytes() == DATA


def test_a_body_without_end_is_cut_at_the_size_of_the_file(server: Server, tmp_path: Path) -> None:
    download = one_file(server, tmp_path)
    server.behave = endless
    with pytest.raises(WeightsCorrupt, match="sends more than"):
        fetch_files(download.info, download)
    assert not list(download.folder.iterdir())


@pytest.mark.parametrize("behave", [drip, silence])
def test_a_server_that_drips_or_is_silent_hears_a_cancel(
    server: Server, tmp_path: Path, behave: Callable[[Handler], None]
) -> None:
    """The server never ends its answer: only the cancel can."""
    cancel = CancelToken()
    download = one_file(server, tmp_path, cancel=cancel, on_progress=lambda _event: cancel.cancel())
    server.behave = behave
    with pytest.raises(Cancelled):
        fetch_files(download.info, download)
    assert not server.over.is_set()


@pytest.mark.parametrize("behave", [drip, silence])
def test_a_server_that_gives_too_little_in_time_is_given_up(
    server: Server, tmp_path: Path, behave: Callable[[Handler], None]
) -> None:
    download = one_file(server, tmp_path, patience_s=1.0)
    server.behave = behave
    with pytest.raises(OSError, match=r"127\.0\.0\.1: sent .* in 1 s"):
        fetch_files(download.info, download)


def test_a_redirect_to_plain_http_is_refused(server: Server, tmp_path: Path) -> None:
    """The mirror itself is plain because the user named it; what it leads to is not."""
    other = Server(("127.0.0.1", 0), Handler)
    asked: list[str] = []

    def elsewhere(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"http://127.0.0.1:{other.server_address[1]}/weights.bin")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.behave = elsewhere
    other.behave = lambda _handler: asked.append("asked")
    download = one_file(server, tmp_path)
    try:
        with pytest.raises(OSError, match=r"leads to http://127\.0\.0\.1, which is not https"):
            fetch_files(download.info, download)
    finally:
        other.server_close()
    assert not asked
