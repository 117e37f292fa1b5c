"""Checkpoints: read without executing them, strictly checked, converted once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from daw_bridge.errors import ModelError, WeightsCorrupt, WeightsMissing
from daw_bridge.separation.families.bsrnn.checkpoint import convert_checkpoint, load_network, read_weights, weight_files
from daw_bridge.separation.families.bsrnn.network import Bsrnn
from tests.separation.tiny_bsrnn import PLAIN, SIMO, lightning, make_network, save_network

FOREIGN = ("omegaconf", "omegaconf.listconfig", "omegaconf.nodes")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def list_config() -> Iterator[type]:
    """omegaconf's ListConfig as far as a checkpoint shows it; gone again when it is read."""
    module = ModuleType("omegaconf.listconfig")

    class ListConfig:
        def __init__(self, values: list[str]) -> None:
            self._content = [AnyNode(value) for value in values]

    class AnyNode:
        def __init__(self, value: str) -> None:
            self._val = value

    nodes = ModuleType("omegaconf.nodes")
    sys.modules["omegaconf"] = ModuleType("omegaconf")
    for owner, kind in ((module, ListConfig), (nodes, AnyNode)):
        kind.__module__, kind.__qualname__ = owner.__name__, kind.__name__
        setattr(owner, kind.__name__, kind)
        sys.modules[owner.__name__] = owner
    yield ListConfig
    for name in FOREIGN:
        sys.modules.pop(name, None)


def save(path: Path, package: dict[str, Any]) -> Path:
    torch.save(package, path)
    return path


def same(left: Bsrnn, right: Bsrnn) -> bool:
    ours, theirs = left.state_dict(), right.state_dict()
    return left.config == right.config and all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_lightning_checkpoint_is_read_and_converted_once(tmp_path: Path, list_config: type, cache: Path) -> None:
    network = make_network()
    path = save(tmp_path / "separator.ckpt", lightning(network, targets=list_config(list(SIMO.targets))))
    for name in FOREIGN:
        del sys.modules[name]
    assert same(load_network(path), network)
    (copy,) = (cache / "models" / "converted").iterdir()
    written = copy.stat().st_mtime_ns
    assert same(load_network(path), network) and copy.stat().st_mtime_ns == written
    copy.write_bytes(b"damaged")
    assert same(load_network(path), network) and copy.stat().st_size > 1_000


def test_safetensors_keep_every_weight_and_setting(tmp_path: Path) -> None:
    for config in (SIMO, PLAIN, replace(SIMO, maskers=3, last_is_rest=True, hop_samples=8, eps=1e-5)):
        network = make_network(config)
        assert same(load_network(save_network(tmp_path / "a.safetensors", network)), network)
        convert_checkpoint(save(tmp_path / "b.ckpt", lightning(network)), tmp_path / "b.safetensors")
        assert same(load_network(tmp_path / "b.safetensors"), network)


def test_older_files_with_one_unnumbered_masker_and_one_target_are_read(tmp_path: Path) -> None:
    network = make_network(PLAIN)
    package = lightning(network, targets="bass")
    package["state_dict"] = {key.replace("maskers.0.mask.", "mask."): v for key, v in package["state_dict"].items()}
    assert same(load_network(save(tmp_path / "bass.ckpt", package)), network)


class Malicious:
    """What a pickle could do if it were executed."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self._target, "executed")


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    package = lightning(make_network(), cfg_eval=Malicious(tmp_path / "proof"))
    path = save(tmp_path / "separator.ckpt", package)
    with pytest.raises(WeightsCorrupt, match="can be read safely"):
        load_network(path)
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("maskers.1.mask.0.1.weight"), "do not fit"),
        (lambda state: state.update({"surplus": torch.zeros(1)}), "do not fit"),
        (lambda state: state.update({"BN.1.1.weight": torch.zeros(8, 9, 1)}), "do not fit"),
        (lambda state: state.pop("BN.0.1.bias"), "BN.0.1.bias"),
        (lambda state: [state.pop(key) for key in list(state) if key.startswith("maskers.3")], "3 stems for 4 names"),
        (lambda state: state.pop("separator.0.attn_block.attn_conv_K_0.2.gamma"), "do not fit"),
    ],
    ids=["missing", "surplus", "shape", "norm", "masker", "attention"],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    package = lightning(make_network())
    change(package["state_dict"])
    with pytest.raises(WeightsCorrupt, match=message):
        load_network(save(tmp_path / "separator.ckpt", package))


@pytest.mark.parametrize(
    "change", [{"time_layer": "gru"}, {"n_heads": 2}, {"group_num": 4}, {"stereo": "naive"}, {"mask_ctxt": 1}], ids=str
)
def test_variants_that_were_never_published_are_refused_by_name(tmp_path: Path, change: dict[str, Any]) -> None:
    path = save(tmp_path / "separator.ckpt", lightning(make_network(), **change))
    with pytest.raises(ModelError, match=next(iter(change))):
        load_network(path)


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"not a checkpoint at all")
    (tmp_path / "b.safetensors").write_bytes(b"not one either")
    for name in ("a.ckpt", "b.safetensors"):
        with pytest.raises(WeightsCorrupt, match=name):
            read_weights(tmp_path / name)
    with pytest.raises(WeightsMissing, match="no such file"):
        read_weights(tmp_path / "c.ckpt")


def test_a_folder_gives_the_files_of_the_wanted_stems_in_the_published_order(tmp_path: Path) -> None:
    folder = tmp_path / "unpacked" / "bsrnn-opt"
    folder.mkdir(parents=True)
    for name in ("other.ckpt", "bass.ckpt", "vocals.ckpt", "vocals.safetensors"):
        (folder / name).touch()
    found = weight_files(tmp_path / "unpacked")
    assert [path.name for path in found] == ["vocals.safetensors", "bass.ckpt", "other.ckpt"]
    assert [path.name for path in weight_files(folder, ("other", "vocals"))] == ["vocals.safetensors", "other.ckpt"]
    with pytest.raises(WeightsMissing, match="no BSRNN weights for drums"):
        weight_files(folder, ("drums",))
