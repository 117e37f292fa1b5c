"""Weights from a server on this machine: verified, safe, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from demucs.states import save_with_checksum

from daw_bridge.errors import ModelError, WeightsCorrupt, WeightsMissing
from daw_bridge.progress import Progress
from daw_bridge.separation import catalog
from daw_bridge.separation.families.bsrnn.checkpoint import load_network
from daw_bridge.separation.families.bsrnn.fetch import ZENODO
from daw_bridge.separation.families.demucs.bag import find_weights, load_bag
from daw_bridge.separation.families.demucs.fetch import HUB
from daw_bridge.separation.families.demucs.models import LEGACY
from daw_bridge.separation.families.loader import fetch, weights_present
from daw_bridge.separation.families.store import checked_sha256
from daw_bridge.separation.model_info import ModelInfo, WeightFile
from tests.separation.fetch_server import Server, endless, mirrors
from tests.separation.test_weights import package
from tests.separation.tiny_bsrnn import PLAIN, lightning, make_network


def legacy_file(folder: Path) -> tuple[str, bytes]:
    save_with_checksum(package("htdemucs"), folder / "955717e8.th")
    (path,) = folder.glob("955717e8-*.th")
    return path.name, path.read_bytes()


def publish_legacy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Serve a random network where the published one lies, and let the catalog expect its checksum; its path."""
    name, data = legacy_file(tmp_path)
    info = catalog.CATALOG["htdemucs"]
    url = f"{LEGACY}/hybrid_transformer/{name}"
    file = WeightFile(name=name, urls=(url,), size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(catalog.CATALOG, "htdemucs", replace(info, files=(file,)))
    path = f"/legacy/hybrid_transformer/{name}"
    server.files[path] = data
    return path


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
    with pytest.raises(WeightsCorrupt, match=r"sha256 begins with .* it should be"):
        fetch(catalog.model_info("htdemucs"), home=tmp_path / "home", mirrors=mirrors(server, hub=False))
    assert not (tmp_path / "home" / "htdemucs").exists()


def test_no_network_names_the_three_ways_out_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    nowhere = dict.fromkeys((HUB, LEGACY, ZENODO), "http://127.0.0.1:9")
    for name in ("htdemucs_ft", "bsrnn-simo"):
        with pytest.raises(WeightsMissing, match=r"not reachable: 127\.0\.0\.1.*`weights` PATH.*preview"):
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
    digest = md5 if md5 is not None else hashlib.md5(data, usedforsecurity=False).hexdigest()
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
        ("bsrnn-opt.zip", archive(["a.ckpt"]), "", WeightsCorrupt, "states no MD5"),
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
    assert not (tmp_path / "bsrnn-opt").exists()


@pytest.mark.parametrize("url", ["file:///etc/hostname", "http://example.org/x", "ftp://example.org/x"])
def test_only_https_is_asked(server: Server, tmp_path: Path, url: str) -> None:
    publish_zenodo(server, "bsrnn-opt.zip", archive(["a.ckpt"]))
    listing = json.loads(server.files["/record"])
    listing["files"][1]["links"]["self"] = url
    server.files["/record"] = json.dumps(listing).encode()
    with pytest.raises(WeightsMissing, match=r"not https|protocol|scheme"):
        fetch(catalog.model_info("bsrnn-opt"), home=tmp_path, mirrors=mirrors(server))
    assert not (tmp_path / "bsrnn-opt").exists()


def test_an_archive_that_would_unpack_without_end_is_left_alone(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened, opened.open("../x/vocals.ckpt", "w") as entry:
        for _ in range(64):
            entry.write(bytes(1 << 20))
    publish_zenodo(server, "bsrnn-opt.zip", buffer.getvalue())
    with pytest.raises(WeightsCorrupt, match="would unpack to far more"):
        fetch(catalog.model_info("bsrnn-opt"), home=tmp_path, mirrors=mirrors(server))
    assert not (tmp_path / "bsrnn-opt").exists()


def test_a_listing_without_end_is_cut(server: Server, tmp_path: Path) -> None:
    server.behave = endless
    with pytest.raises(WeightsCorrupt, match="sends more than"):
        fetch(catalog.model_info("bsrnn-opt"), home=tmp_path, mirrors=mirrors(server))


def test_a_hub_that_states_no_sha256_is_not_believed(server: Server, tmp_path: Path) -> None:
    server.files["/adefossez/HTDemucs/resolve/main/955717e8.safetensors"] = b"anything"
    server.headers["ETag"] = '"short"'
    with pytest.raises(WeightsMissing, match="states no sha256 of 955717e8"):
        fetch(catalog.model_info("htdemucs"), home=tmp_path / "home", mirrors=mirrors(server))


def test_hub_bytes_other_than_the_stated_are_refused(server: Server, tmp_path: Path) -> None:
    server.files["/adefossez/HTDemucs/resolve/main/955717e8.safetensors"] = b"anything"
    server.headers["X-Linked-Etag"] = f'"{"0" * 64}"'
    with pytest.raises(WeightsCorrupt, match="it should be 00000000"):
        fetch(catalog.model_info("htdemucs"), home=tmp_path / "home", mirrors=mirrors(server))


@pytest.mark.parametrize("info", catalog.CATALOG.values(), ids=lambda info: info.name)
def test_every_listed_file_has_its_size_and_its_full_sha256(info: ModelInfo) -> None:
    """Of mdx_q alone no more than the 8 digits of its files' names are known."""
    for file in info.files:
        assert file.size_bytes > 0
        assert len(file.sha256) == (8 if info.name == "mdx_q" else 64), file.name
        assert all(url.startswith("https://") for url in file.urls)
        assert file.urls
    total_mb = sum(file.size_bytes for file in info.files) / 1e6
    assert not info.files or abs(total_mb - info.size_mb) < 0.06 * info.size_mb + 1


def test_two_fetches_of_one_model_ask_the_server_once(server: Server, tmp_path: Path) -> None:
    publish_zenodo(server, "bsrnn-opt.zip", archive(["bsrnn-opt/vocals.ckpt"]))
    info = catalog.model_info("bsrnn-opt")
    threads = [
        threading.Thread(target=fetch, args=(info,), kwargs={"home": tmp_path, "mirrors": mirrors(server)})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.asked) == ["GET /file", "GET /record"]
    assert sorted(path.name for path in (tmp_path / "bsrnn-opt").iterdir()) == ["sha256.json", "vocals.safetensors"]
