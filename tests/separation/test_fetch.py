"""Downloads against a server on this machine: verified, safe, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from demucs.states import save_with_checksum

from daw_bridge.errors import ModelError, WeightsCorrupt, WeightsMissing
from daw_bridge.progress import Progress
from daw_bridge.separation import catalog
from daw_bridge.separation.families.bsrnn.checkpoint import load_network
from daw_bridge.separation.families.bsrnn.fetch import ZENODO
from daw_bridge.separation.families.demucs.bag import find_weights, load_bag
from daw_bridge.separation.families.demucs.fetch import HUB, LEGACY, legacy_paths
from daw_bridge.separation.families.loader import fetch, weights_present
from daw_bridge.separation.families.store import checked_sha256
from tests.separation.test_weights import package
from tests.separation.tiny_bsrnn import PLAIN, lightning, make_network


class Server(ThreadingHTTPServer):
    files: dict[str, bytes]
    headers: dict[str, str]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    quiet: ClassVar[bool] = True

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        body = self.server.files.get(self.path)
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        if body is not None:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", "1" * 40)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if send and body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    opened = Server(("127.0.0.1", 0), Handler)
    opened.files, opened.headers, opened.asked = {}, {}, []
    thread = threading.Thread(target=opened.serve_forever, daemon=True)
    thread.start()
    yield opened
    opened.shutdown()
    thread.join()
    opened.server_close()


def mirrors(server: Server, *, hub: bool = True) -> dict[str, str]:
    base = f"http://127.0.0.1:{server.server_address[1]}"
    return {HUB: base if hub else "http://127.0.0.1:9", LEGACY: f"{base}/legacy", ZENODO: f"{base}/record"}


def legacy_file(folder: Path) -> tuple[str, bytes]:
    save_with_checksum(package("htdemucs"), folder / "955717e8.th")
    (path,) = folder.glob("955717e8-*.th")
    return path.name, path.read_bytes()


def publish_legacy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serve a random network where the published one lies, and let the catalog expect its checksum."""
    name, data = legacy_file(tmp_path)
    info = catalog.CATALOG["htdemucs"]
    from dataclasses import replace

    checksum = name.removesuffix(".th").split("-")[1]
    monkeypatch.setitem(catalog.CATALOG, "htdemucs", replace(info, checksums=(checksum,)))
    server.files[f"/legacy/{legacy_paths()['955717e8']}"] = data


def test_the_legacy_server_is_used_when_the_hub_is_away(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_legacy(server, tmp_path, monkeypatch)
    info = catalog.model_info("htdemucs")
    home = tmp_path / "home"
    events: list[Progress] = []
    folder = fetch(info, home=home, mirrors=mirrors(server, hub=False), on_progress=events.append)
    assert sorted(path.name for path in folder.iterdir()) == ["955717e8.safetensors", "sha256.json"]
    assert weights_present(info, home=home)
    load_bag(find_weights(info, home=home), "htdemucs")
    assert "84 MB" in events[0].note
    asked = len(server.asked)
    fetch(info, home=home, mirrors=mirrors(server, hub=False))
    assert len(server.asked) == asked, "what is here is not fetched again"


def test_the_hub_comes_first(server: Server, tmp_path: Path) -> None:
    from daw_bridge.separation.families.demucs.checkpoint import read_checkpoint, write_checkpoint

    name, data = legacy_file(tmp_path)
    write_checkpoint(read_checkpoint(tmp_path / name), tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    server.files["/adefossez/HTDemucs/resolve/main/955717e8.safetensors"] = data
    info = catalog.model_info("htdemucs")
    folder = fetch(info, home=tmp_path / "home", mirrors=mirrors(server))
    assert (folder / "955717e8.safetensors").read_bytes() == data
    load_bag(find_weights(info, home=tmp_path / "home"), "htdemucs")


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_legacy(server, tmp_path, monkeypatch)
    (path,) = server.files
    server.files[path] += b"x"
    with pytest.raises(WeightsCorrupt, match="sha256 begins with"):
        fetch(catalog.model_info("htdemucs"), home=tmp_path / "home", mirrors=mirrors(server, hub=False))
    assert not any((tmp_path / "home" / "htdemucs").iterdir())


def test_no_network_names_the_three_ways_out_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    nowhere = dict.fromkeys((HUB, LEGACY, ZENODO), "http://127.0.0.1:9")
    for name in ("htdemucs_ft", "bsrnn-simo"):
        with pytest.raises(WeightsMissing, match=r"not reachable: 127\.0\.0\.1.*--weights PATH.*preview"):
            fetch(catalog.model_info(name), home=tmp_path / "home", mirrors=nowhere)
        assert not (tmp_path / "home" / name).exists()


def lightning_checkpoint() -> bytes:
    buffer = io.BytesIO()
    torch.save(lightning(make_network(PLAIN)), buffer)
    return buffer.getvalue()


def archive(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name in names:
            opened.writestr(name, lightning_checkpoint() if name.endswith(".ckpt") else b"text")
    return buffer.getvalue()


def publish_zenodo(server: Server, name: str, data: bytes, md5: str | None = None) -> None:
    digest = md5 or hashlib.md5(data, usedforsecurity=False).hexdigest()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    entry = {"key": name, "checksum": f"md5:{digest}", "links": {"self": f"{base}/file"}}
    server.files["/record"] = json.dumps({"files": [{"key": "readme.md", "links": {}}, entry]}).encode()
    server.files["/file"] = data


def test_a_zenodo_archive_is_unpacked_without_leaving_its_folder(server: Server, tmp_path: Path) -> None:
    publish_zenodo(server, "bsrnn-opt.zip", archive(["bsrnn-opt/vocals.ckpt", "../../evil.ckpt", "bsrnn-opt/log.txt"]))
    home = tmp_path / "deep" / "home"
    folder = fetch(catalog.model_info("bsrnn-opt"), home=home, mirrors=mirrors(server))
    assert sorted(path.name for path in folder.iterdir()) == ["evil.safetensors", "sha256.json", "vocals.safetensors"]
    assert not list(tmp_path.rglob("*.ckpt")) and not list(tmp_path.glob("*.safetensors"))
    assert load_network(folder / "vocals.safetensors").config == PLAIN


def test_fetched_band_split_weights_are_held_against_their_sha256(server: Server, tmp_path: Path) -> None:
    publish_zenodo(server, "bsrnn-opt.zip", archive(["bsrnn-opt/vocals.ckpt"]))
    folder = fetch(catalog.model_info("bsrnn-opt"), home=tmp_path, mirrors=mirrors(server))
    weights = folder / "vocals.safetensors"
    assert checked_sha256(weights) == hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(WeightsCorrupt, match="when it was fetched"):
        checked_sha256(weights)


def test_a_fetch_that_was_killed_half_way_is_none(tmp_path: Path) -> None:
    (tmp_path / "bsrnn-opt").mkdir()
    (tmp_path / "bsrnn-opt" / "vocals.safetensors").touch()
    assert not weights_present(catalog.model_info("bsrnn-opt"), home=tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "md5", "error", "match"),
    [
        ("bsrnn-opt.zip", archive(["a.ckpt"]), "0" * 32, WeightsCorrupt, "MD5"),
        ("bsrnn-opt.zip", b"no zip", None, WeightsCorrupt, "not a whole zip"),
        ("bsrnn-opt.zip", archive(["readme.txt"]), None, WeightsCorrupt, r"no \.ckpt"),
        ("other.zip", archive(["a.ckpt"]), None, ModelError, r"has no bsrnn-opt\.zip"),
    ],
)
def test_a_wrong_archive_is_refused(
    server: Server, tmp_path: Path, name: str, data: bytes, md5: str | None, error: type[Exception], match: str
) -> None:
    publish_zenodo(server, name, data, md5)
    with pytest.raises(error, match=match):
        fetch(catalog.model_info("bsrnn-opt"), home=tmp_path, mirrors=mirrors(server))
    assert not list((tmp_path / "bsrnn-opt").iterdir())
