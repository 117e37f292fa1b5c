"""Checkpoints and configs of the community: what is read, and what is refused without being executed."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from daw_bridge.errors import DawBridgeError, DeviceError, ModelError, TemplateError, WeightsCorrupt, WeightsMissing
from daw_bridge.files import sha256_of_file
from daw_bridge.separation.families.community.checkpoint import load_into, read_state
from daw_bridge.separation.families.community.config import family_of, parse_config, read_config
from tests.separation.tiny_community import FAMILIES, config_text, network_of, write_model

STEMS = ("drums", "bass", "other", "vocals")


@pytest.mark.parametrize("kind", list(FAMILIES))
@pytest.mark.parametrize("container", ["", "state", "state_dict", "model_state_dict"])
def test_all_containers_give_the_same_tensors(tmp_path: Path, kind: str, container: str) -> None:
    network = network_of(kind, parse_config(config_text(kind, STEMS), "x"))
    state = network.state_dict()
    path = tmp_path / "a.ckpt"
    torch.save({container: state, "epoch": 3, "optimizer": {"lr": 1.0}} if container else state, path)
    found, digest = read_state(path)
    assert digest == sha256_of_file(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".th"])
def test_weights_in_sixteen_bits_become_float32(tmp_path: Path, suffix: str) -> None:
    config = parse_config(config_text("bs", STEMS), "x")
    halves = {name: tensor.half() for name, tensor in network_of("bs", config).state_dict().items()}
    path = tmp_path / f"a{suffix}"
    if suffix == ".safetensors":
        save_file({name: tensor.clone() for name, tensor in halves.items()}, path)
    else:
        torch.save(halves, path)
    with torch.device("meta"):
        network = network_of("bs", config)
    load_into(network, read_state(path)[0], path)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("kind", "name"), [("mel", "roformer"), ("bs", "roformer"), ("scnet", "scnet"), ("mdx23c", "mdx23c")]
)
def test_a_config_tells_its_family_and_its_stems(kind: str, name: str) -> None:
    config = parse_config(config_text(kind, ("Kick", "snare"), overlaps=8), "x")
    settings = FAMILIES[kind].read(config)
    assert (family_of(config), settings.stems, settings.overlaps) == (name, ("kick", "snare"), 8)


def test_a_target_is_the_only_stem() -> None:
    config = parse_config(config_text("mel", ("vocals", "other"), target="vocals"), "x")
    assert FAMILIES["mel"].read(config).stems == ("vocals",)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("inside", [{"state_dict": {"a": Trap()}}, Trap(), {"a": torch.zeros(1), "b": Trap()}])
def test_a_pickle_with_more_than_tensors_is_never_executed(
    tmp_path: Path, inside: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(inside, "a.ckpt")
    with pytest.raises(WeightsCorrupt, match="never executed"):
        read_state(Path("a.ckpt"))
    Path("b.pt").write_bytes(pickle.dumps(inside))
    with pytest.raises(WeightsCorrupt):
        read_state(Path("b.pt"))
    assert not Path("sprung").exists()


@pytest.mark.parametrize("hostile", ["holds itself", "reaches beyond", "sparse", "a gigabyte of bytes"])
def test_a_pickle_that_is_made_to_do_harm_is_refused_at_once(tmp_path: Path, hostile: str) -> None:
    path, itself = tmp_path / "a.ckpt", dict[str, Any]()
    itself["state_dict"] = itself
    torch.save(
        {"holds itself": itself, "sparse": {"a": torch.eye(2).to_sparse()}}.get(hostile, {"a": torch.ones(4)}), path
    )
    name = b"ctorch._utils\n_rebuild_tensor_v2\n"
    changes = {
        "reaches beyond": (b"K\x04\x85", b"K\xff\x85"),
        "a gigabyte of bytes": (name, b"cbuiltins\nbytearray\n(J\0\0\0\x40tR0" + name),
    }
    if hostile in changes:
        with zipfile.ZipFile(path) as archive:
            parts = {part: archive.read(part) for part in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for part, data in parts.items():
                changed = data.replace(*changes[hostile]) if part.endswith("data.pkl") else data
                assert changed != data or not part.endswith("data.pkl")
                archive.writestr(part, changed)
    with pytest.raises(WeightsCorrupt):
        read_state(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95, 0.999])
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_a_cut_file_is_refused(tmp_path: Path, share: float, suffix: str) -> None:
    checkpoint, _ = write_model(tmp_path)
    if suffix == ".safetensors":
        save_file(
            {name: tensor.clone() for name, tensor in read_state(checkpoint)[0].items()}, tmp_path / "a.safetensors"
        )
        checkpoint = tmp_path / "a.safetensors"
    data = checkpoint.read_bytes()
    checkpoint.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsCorrupt):
        read_state(checkpoint)


def test_a_checkpoint_that_is_not_what_its_sha256_says_is_refused(tmp_path: Path) -> None:
    checkpoint, _ = write_model(tmp_path)
    with pytest.raises(WeightsCorrupt, match="should be 00000000"):
        read_state(checkpoint, sha256="0" * 64)
    assert read_state(checkpoint, sha256=sha256_of_file(checkpoint).upper())[0]


def test_a_zip_that_grows_when_it_is_unpacked_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(WeightsCorrupt, match="compressed"):
        read_state(path)


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        read_state(tmp_path / "none.ckpt")
    with pytest.raises(WeightsMissing, match="not a checkpoint"):
        read_state(tmp_path)
    for content in ({"a": 1}, [1, 2], {}, torch.zeros(3)):
        torch.save(content, tmp_path / "a.ckpt")
        with pytest.raises(WeightsCorrupt, match="holds no"):
            read_state(tmp_path / "a.ckpt")


def test_missing_and_surplus_keys_are_named_five_at_most(tmp_path: Path) -> None:
    config = parse_config(config_text("mel", STEMS), "x")
    state = network_of("mel", config).state_dict()
    short = {name: tensor for name, tensor in state.items() if not name.startswith("mask_estimators.0")}
    with torch.device("meta"):
        network = network_of("mel", config)
    with pytest.raises(WeightsCorrupt, match=r"missing: mask_estimators\.0\S*(, \S+){4} \.\.\."):
        load_into(network, short, tmp_path / "a")
    with pytest.raises(WeightsCorrupt, match="1 too many: stranger"):
        load_into(network, {**state, "stranger": torch.zeros(1)}, tmp_path / "a")
    wrong = {**state, "band_split.to_features.0.1.bias": torch.zeros(3)}
    with pytest.raises(WeightsCorrupt, match=r"band_split.to_features.0.1.bias \(3,\) instead of \(16,\)"):
        load_into(network, wrong, tmp_path / "a")
    with pytest.raises(WeightsCorrupt, match="no numbers"):
        load_into(network, {**state, "band_split.to_features.0.1.bias": torch.full((16,), torch.nan)}, tmp_path / "a")


def test_training_tensors_are_passed_over_and_rotations_may_be_left_out(tmp_path: Path) -> None:
    config = parse_config(config_text("mel", STEMS), "x")
    state = network_of("mel", config).state_dict()
    lean = {name: tensor for name, tensor in state.items() if not name.endswith("rotary_embed.freqs")}
    with torch.device("meta"):
        network = network_of("mel", config)
    load_into(network, {**lean, "multi_stft_window": torch.zeros(4)}, tmp_path / "a")
    name = "layers.0.0.layers.0.0.rotary_embed.freqs"
    assert torch.allclose(network.state_dict()[name], state[name])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  depth: 1", "  depth: 1\n  use_pope: true", r"^c\.yaml:\d+:\d+: model\.use_pope"),
        ("  depth: 1", "  dept: 1", r"(did you mean depth|dept: a RoFormer has no)"),
        ("  dim: 16", "  dim: !!python/object/apply:os.mkdir [sprung]", "tags such as"),
        ("num_overlap: 2", "num_overlap: !!python/object/new:os.mkdir [sprung]", "tags such as"),
        ("  dim: 16", "  dim: 1000000000", "out of range"),
        ("  dim: 16", "  dim: wide", "expected a whole number"),
        ("  num_bands: 20", "  num_bands: 400", "do not cover"),
        ("num_stems: 4", "num_stems: 2", r"makes 2 stem\(s\)"),
        ("chunk_size: 8820, ", "", "chunk_size is missing"),
        ("[drums, bass, other, vocals]", "[drums, drums, other, vocals]", "distinct"),
        ("[drums, bass, other, vocals]", "[../drums, bass, other, vocals]", "cannot be the name"),
    ],
)
def test_a_config_that_would_compute_something_else_is_refused(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = config_text("mel", STEMS)
    assert old in text
    with pytest.raises((TemplateError, ModelError), match=message):
        FAMILIES["mel"].read(parse_config(text.replace(old, new, 1), "c.yaml"))
    assert not Path("sprung").exists()


@pytest.mark.parametrize(
    "text",
    [
        "model: hdemucs\nhdemucs: {channels: 48}",
        "model: {cls: Bandit}\ntraining: {model_type: bandit}",
        "training: {}",
        "[1, 2]",
        "",
        "{",
    ],
)
def test_a_config_of_another_architecture_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DawBridgeError):
        family_of(read_config(path))


def test_linear_attention_is_refused() -> None:
    text = config_text("bs", STEMS).replace("linear_transformer_depth: 0", "linear_transformer_depth: 1")
    with pytest.raises(ModelError, match="linear"):
        FAMILIES["bs"].read(parse_config(text, "x"))


def test_a_chunk_that_does_not_divide_into_the_scales_is_refused_with_one_that_does() -> None:
    text = config_text("mdx23c", STEMS).replace("chunk_size: 8064", "chunk_size: 8000")
    with pytest.raises(ModelError, match="8064 would"):
        FAMILIES["mdx23c"].read(parse_config(text, "x"))


def test_an_absurd_chunk_is_refused_by_its_memory_before_anything_is_read(tmp_path: Path) -> None:
    from daw_bridge.separation.model_info import ModelInfo
    from daw_bridge.separation.options import SeparationOptions

    checkpoint, config = write_model(tmp_path)
    config.write_text(config.read_text().replace("chunk_size: 8820", "chunk_size: 88200000000"))
    info = ModelInfo(
        name="x", family="roformer", stems=("vocals", "other"), summary="", licence="", weights_from="", size_mb=1,
        speed="fast", segment_s=1.0, memory_gb_per_segment=1.0, gflop_per_s=1.0,
        own_checkpoint=str(checkpoint), own_config=str(config),
    )  # fmt: skip
    with pytest.raises(DeviceError, match=r"one segment needs [0-9.]+ GB of memory"):
        FAMILIES["mel"].load(info, SeparationOptions(device="cpu"), lambda _text: None)


def test_scnet_is_refused_on_mps_with_the_reason() -> None:
    with pytest.raises(DeviceError, match="wrong samples"):
        FAMILIES["scnet"]._device("mps", lambda _text: None)
    assert FAMILIES["mel"]._device("mps", lambda _text: None) == "mps"
