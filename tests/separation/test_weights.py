"""Weights are found, held against their sha256, and read without executing anything; errors say what to do."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from demucs.hf import hf_repo_name, load_safetensors_model
from demucs.repo import BagOnlyRepo, LocalRepo
from demucs.states import load_model, save_with_checksum

from daw_bridge import doctor
from daw_bridge.cli.main import main
from daw_bridge.errors import ModelError, UsageError, WeightsCorrupt, WeightsMissing
from daw_bridge.separation.catalog import CATALOG, model_info
from daw_bridge.separation.families.demucs.bag import find_weights, hub_name, load_bag, read_bag
from daw_bridge.separation.families.demucs.checkpoint import read_checkpoint, write_checkpoint
from daw_bridge.separation.families.demucs.networks import build_network
from daw_bridge.separation.families.loader import load, weights_present, weights_sha256
from daw_bridge.separation.model_info import Licence, check_stems
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.recommend import recommend
from tests.generated_docs import check_section
from tests.separation.tiny import SOURCES, TINY, by_demucs, noise, run, tiny_module

DEMUCS_MODELS = [info for info in CATALOG.values() if info.family == "demucs"]


def package(kind: str, seed: int = 0, *, half: bool = False, sources: Sequence[str] = SOURCES) -> dict[str, Any]:
    """What demucs.states.serialize_model makes of a network."""
    module: Any = tiny_module(kind, seed, sources=sources)
    args, kwargs = module._init_args_kwargs
    dtype = torch.half if half else None
    state = {key: value.detach().to(dtype=dtype) for key, value in module.state_dict().items()}
    return {"klass": type(module), "args": args, "kwargs": kwargs, "state": state, "training_args": {"seed": 1}}


KINDS: dict[str, list[str]] = {
    "htdemucs_6s": ["htdemucs_no_bottleneck"],
    "hdemucs_mmi": ["hdemucs"],
    "mdx": ["demucs", "demucs", "hdemucs", "hdemucs_amplitude"],
    "mdx_extra": ["hdemucs", "hdemucs", "hdemucs_amplitude", "hdemucs_amplitude"],
}
"""Tiny stand-ins for the networks of each model; the others are htdemucs throughout."""


def repository(folder: Path, name: str) -> Path:
    """A folder as `demucs --repo` takes it, with random networks under the published names."""
    folder.mkdir(exist_ok=True)
    info = model_info(name)
    kinds = KINDS.get(name, ["htdemucs"] * len(info.signatures))
    for seed, (signature, kind) in enumerate(zip(info.signatures, kinds, strict=True)):
        save_with_checksum(package(kind, seed, sources=info.stems), folder / f"{signature}.th")
    bag: dict[str, Any] = {"models": list(info.signatures)}
    if info.bag_weights:
        bag["weights"] = [list(row) for row in info.bag_weights]
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(bag))
    return folder


def listed_paths(listed: str) -> set[str]:
    """The paths below the legacy server that the demucs package lists."""
    root, paths = "", set()
    for line in listed.splitlines():
        if line.startswith("root:"):
            root = line.removeprefix("root:").strip()
        elif line and not line.startswith("#"):
            paths.add(root + line.strip())
    return paths


@pytest.mark.parametrize("info", DEMUCS_MODELS, ids=lambda info: info.name)
def test_the_catalog_says_what_the_demucs_package_says(info: Any) -> None:
    """Signatures, checksums, shares and segments of every bag."""
    remote = files("demucs") / "remote"
    bag = yaml.safe_load((remote / f"{info.name}.yaml").read_text())
    assert list(info.signatures) == bag["models"]
    assert info.bag_segment_s == bag.get("segment")
    weights = None if info.bag_weights is None else [list(row) for row in info.bag_weights]
    assert weights == bag.get("weights")
    listed = (remote / "files.txt").read_text()
    for signature, file in zip(info.signatures, info.files, strict=True):
        assert file.name == f"{signature}-{file.sha256[:8]}.th"
        assert f"\n{file.name}\n" in listed
        assert file.urls[0].split("/demucs/")[1] in listed_paths(listed)
    assert hub_name(info.name) == hf_repo_name(info.name)


@pytest.mark.parametrize(
    ("kind", "half"), [*((kind, False) for kind in sorted(TINY)), ("htdemucs", True), ("demucs", True)]
)
def test_a_legacy_file_becomes_safetensors_that_demucs_reads_too(tmp_path: Path, kind: str, half: bool) -> None:
    save_with_checksum(package(kind, half=half), tmp_path / "abc.th")
    (legacy,) = tmp_path.glob("*.th")
    checkpoint = read_checkpoint(legacy, sha256_prefix=legacy.stem.split("-")[1])
    assert checkpoint.sha256 == hashlib.sha256(legacy.read_bytes()).hexdigest()
    write_checkpoint(checkpoint, tmp_path / "abc.safetensors")
    again = read_checkpoint(tmp_path / "abc.safetensors")
    assert (again.family, list(again.args), again.kwargs) == (
        checkpoint.family,
        list(checkpoint.args),
        checkpoint.kwargs,
    )
    ours: Any = load_bag(find_weights(model_info("htdemucs"), tmp_path / "abc.safetensors"), "x").networks[0].module
    theirs: Any = load_safetensors_model(tmp_path / "abc.safetensors")
    original: Any = load_model(package(kind, half=half))
    found, demucs_found = ours.state_dict(), theirs.state_dict()
    for key, value in original.state_dict().items():
        assert torch.equal(found[key], value.float()), key
        assert torch.equal(demucs_found[key], value), key


class Evil:
    """Would create a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("where", ["klass", "args", "kwargs", "state"])
def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path, where: str) -> None:
    content = package("htdemucs")
    evil = Evil(tmp_path / "pwned")
    content[where] = {"klass": evil, "args": (evil,), "kwargs": {"sources": evil}, "state": {"x": evil}}[where]
    torch.save(content, tmp_path / "evil.th")
    with pytest.raises(WeightsCorrupt, match="read safely"):
        read_checkpoint(tmp_path / "evil.th")
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_that_names_another_class_is_refused(tmp_path: Path) -> None:
    tensors = {"weight": torch.zeros(2)}
    from safetensors.torch import save_file

    save_file(tensors, tmp_path / "x.safetensors", {"klass": "subprocess.Popen", "args": '["true"]', "kwargs": "{}"})
    with pytest.raises(ModelError, match=r"subprocess\.Popen"):
        load_bag(find_weights(model_info("htdemucs"), tmp_path / "x.safetensors"), "x")


@pytest.mark.parametrize("suffix", [".th", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04" + b"x" * 500, bytes(1000)])
def test_files_that_are_no_weights_are_one_clear_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsCorrupt, match=str(path)):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "absurd",
    [
        {"channels": 20_000, "depth": 4, "t_layers": 0},
        {"t_layers": 1_000_000},
        {"depth": 30},
        {"nfft": 10**6, "channels": 1000},
        {"segment": 10**6},
        {"samplerate": 10**6},
        {"audio_channels": 64},
    ],
)
def test_a_small_file_cannot_ask_for_a_large_network(tmp_path: Path, absurd: dict[str, Any]) -> None:
    whole = package("htdemucs")
    small = {**whole["kwargs"], "channels": 4, "t_layers": 1, "t_hidden_scale": 1.0}
    state = whole["state"] if set(absurd) <= {"segment", "samplerate"} else {}
    small = whole["kwargs"] if state else small
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match="does not fit its network"):
        build_network("demucs.htdemucs.HTDemucs", whole["args"], {**small, **absurd}, state)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kB"


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", "htdemucs")
    (path,) = folder.glob("*.th")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(WeightsCorrupt, match=r"sha256 begins with .* models fetch"):
        load(SeparationOptions(model="htdemucs", weights=folder), print)


def test_weights_that_miss_a_tensor_do_not_fit(tmp_path: Path) -> None:
    content = package("htdemucs")
    content["state"].pop(next(iter(content["state"])))
    torch.save(content, tmp_path / "x.th")
    with pytest.raises(ModelError, match="does not fit"):
        load(SeparationOptions(model="htdemucs", weights=tmp_path / "x.th"), print)


@pytest.mark.parametrize("name", [info.name for info in DEMUCS_MODELS if not info.name.endswith("_q")])
def test_every_model_by_name_gives_what_demucs_gives_with_the_same_folder(tmp_path: Path, name: str) -> None:
    folder = repository(tmp_path / "repo", name)
    theirs: Any = BagOnlyRepo(folder, LocalRepo(folder)).get_model(name)
    options = SeparationOptions(model=name, weights=folder, device="cpu")
    loaded = load(options, print)
    assert loaded.separator.sources == model_info(name).stems
    mix = noise(7_001)
    expected = by_demucs(list(theirs.models), mix, bag_weights=theirs.weights)
    assert np.abs(run(loaded.separator, mix) - expected).max() <= 1e-5
    assert loaded.weights_sha256 == weights_sha256(options)


def test_one_file_is_enough_for_a_model_of_one_network_and_not_for_a_bag(tmp_path: Path) -> None:
    save_with_checksum(package("htdemucs"), tmp_path / "mine.th")
    (path,) = tmp_path.glob("*.th")
    assert load(SeparationOptions(model="htdemucs", weights=path), print).separator.sources == tuple(SOURCES)
    assert load(SeparationOptions(model="htdemucs", weights=tmp_path), print).separator.sources == tuple(SOURCES)
    with pytest.raises(ModelError, match="bag of 4 networks"):
        load(SeparationOptions(model="htdemucs_ft", weights=path), print)


def test_the_users_cache_and_demucs_own_caches_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = model_info("htdemucs")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "ours"))
    assert not weights_present(info)
    source = repository(tmp_path / "repo", "htdemucs")
    (legacy,) = source.glob("*.th")
    places = [tmp_path / "torch/hub/checkpoints", tmp_path / "hf/hub/models--adefossez--HTDemucs/snapshots/1"]
    for place in [*places, tmp_path / "ours/models/htdemucs"]:
        place.mkdir(parents=True)
        shutil.copy(legacy, place)
        assert find_weights(info).members[0].path.parent == place


def test_a_blob_of_the_hubs_cache_is_held_against_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "ours"))
    torch.save(package("htdemucs"), tmp_path / "x.th")
    root = tmp_path / "hf/hub/models--adefossez--HTDemucs"
    (root / "snapshots/1").mkdir(parents=True)
    (root / "blobs").mkdir()
    blob = root / "blobs" / ("0" * 64)
    write_checkpoint(read_checkpoint(tmp_path / "x.th"), blob)
    (root / "snapshots/1/955717e8.safetensors").symlink_to(blob)
    with pytest.raises(WeightsCorrupt, match="sha256 begins with"):
        load_bag(find_weights(model_info("htdemucs")), "htdemucs")


def test_recorded_checksums_are_held_against_the_files(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", "htdemucs")
    (path,) = folder.glob("*.th")
    plain = path.rename(folder / "955717e8.th")
    (folder / "sha256.json").write_text(json.dumps({plain.name: "f" * 64}))
    with pytest.raises(WeightsCorrupt, match="it should be ffff"):
        load_bag(find_weights(model_info("htdemucs"), folder), "htdemucs")


def test_a_bag_file_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    save_with_checksum(package("htdemucs"), tmp_path / "outside.th")
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "htdemucs.yaml").write_text("models: ['../outside']")
    with pytest.raises(WeightsMissing, match="no file beside it"):
        find_weights(model_info("htdemucs"), folder)


@pytest.mark.parametrize("text", ["", "[]", "models: 3", "models: [a]\nweights: [[x]]", "{", "models: [a]\nweights: 7"])
def test_a_broken_bag_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "htdemucs.yaml").write_text(text)
    with pytest.raises(ModelError, match=r"htdemucs\.yaml"):
        find_weights(model_info("htdemucs"), tmp_path)


def test_networks_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    for index, rate_hz in enumerate((8_000, 16_000)):
        module: Any = tiny_module("htdemucs", samplerate=rate_hz)
        args, kwargs = module._init_args_kwargs
        content = {"klass": type(module), "args": args, "kwargs": kwargs, "state": module.state_dict()}
        torch.save(content, tmp_path / f"n{index}.th")
    (tmp_path / "htdemucs.yaml").write_text("models: [n0, n1]")
    with pytest.raises(ModelError, match="disagree"):
        load(SeparationOptions(model="htdemucs", weights=tmp_path), print)


def test_networks_without_a_share_in_the_asked_stem_are_verified_but_not_built(tmp_path: Path) -> None:
    """Of four networks with one stem each, one is in memory; a broken file among the others is still found."""
    names = [f"{number:08x}" for number in range(4)]
    for number, name in enumerate(names):
        save_with_checksum(package("htdemucs", number), tmp_path / f"{name}.th")
    bag = {"models": names, "weights": [[float(row == column) for column in range(4)] for row in range(4)]}
    (tmp_path / "htdemucs.yaml").write_text(yaml.safe_dump(bag))
    found = find_weights(model_info("htdemucs"), tmp_path)
    whole, vocals = load_bag(found, "x"), load_bag(found, "x", ("vocals",))
    assert (len(whole.networks), len(vocals.networks)) == (4, 1)
    assert vocals.sha256 == whole.sha256
    alone = vocals.networks[0].module.state_dict()
    for key, value in whole.networks[3].module.state_dict().items():
        assert torch.equal(alone[key], value), key
    damaged = next(tmp_path.glob(f"{names[1]}-*.th"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(WeightsCorrupt, match=names[1]):
        load_bag(found, "x", ("vocals",))


def test_the_first_file_of_a_bag_is_read_at_once_and_the_others_in_turn(tmp_path: Path) -> None:
    """The first while torch is still being imported; never all of a bag in memory as bytes."""
    for number in range(2):
        save_with_checksum(package("htdemucs", number), tmp_path / f"{number:08x}.th")
    (tmp_path / "htdemucs.yaml").write_text(yaml.safe_dump({"models": [f"{number:08x}" for number in range(2)]}))
    found = find_weights(model_info("htdemucs"), tmp_path)
    stored = read_bag(found)
    for member in found.members:
        member.path.unlink()
    assert next(stored).path == found.members[0].path
    with pytest.raises(WeightsMissing):
        next(stored)
    with pytest.raises(WeightsMissing):
        read_bag(found)


def test_fetched_weights_are_not_hashed_only_to_ask_the_cache(tmp_path: Path) -> None:
    """The list that was written when they were fetched is what loading insists on, so it is the answer."""
    torch.save(package("htdemucs"), tmp_path / "955717e8.th")
    options = SeparationOptions(model="htdemucs", weights=tmp_path)
    true = hashlib.sha256((tmp_path / "955717e8.th").read_bytes()).hexdigest()
    assert weights_sha256(options) == load(options, print).weights_sha256 == true
    (tmp_path / "sha256.json").write_text(json.dumps({"955717e8.th": "0" * 64}))
    assert weights_sha256(options) == "0" * 64
    with pytest.raises(WeightsCorrupt, match="it should be 0000"):
        load(options, print)


def test_missing_weights_name_the_three_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("htdemucs_ft", "bsrnn-simo"):
        with pytest.raises(WeightsMissing, match=rf"models fetch {name}.*`weights` PATH.*`model` preview"):
            load(SeparationOptions(model=name), print)


@pytest.mark.parametrize(("given", "match"), [("nowhere", "no such file"), ("folder", "no weights of htdemucs")])
def test_a_wrong_weights_path_is_one_clear_error(tmp_path: Path, given: str, match: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(WeightsMissing, match=match):
        find_weights(model_info("htdemucs"), tmp_path / given)


def test_unknown_models_and_stems_are_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"did you mean htdemucs_ft\?"):
        model_info("htdemucs-ft")
    with pytest.raises(UsageError, match=r"did you mean vocals\?"):
        check_stems(("vocal",), "htdemucs", ("drums", "vocals"))


def test_every_model_has_its_facts() -> None:
    for info in CATALOG.values():
        assert info.licence
        assert info.licence_source, f"{info.name}: where is its licence stated?"
        assert info.summary
        assert info.weights_from
        assert info.stems
        assert info.memory_gb_per_segment > 0
    for name in ("mdx_extra", "mdx_extra_q"):
        assert CATALOG[name].score is None
        assert any("MUSDB test" in note for note in CATALOG[name].notes)
    assert any("piano is poor" in note for note in CATALOG["htdemucs_6s"].notes)


def test_advice_ranks_by_what_is_published_and_fits() -> None:
    on_gpu = [advice.model.name for advice in recommend((), gpu_memory_gb=24.0)]
    assert on_gpu[:4] == ["bsrnn-simo", "bsrnn-opt", "htdemucs_ft", "htdemucs"]
    assert recommend((), gpu_memory_gb=0.0)[0].model.name == "htdemucs_ft"
    guitar = recommend(("vocals", "guitar"), gpu_memory_gb=8.0)
    assert [advice.model.name for advice in guitar] == ["htdemucs_6s"]
    assert "guitar" in guitar[0].reason
    small = [advice.model.name for advice in recommend((), gpu_memory_gb=2.0)]
    assert "bsrnn-simo" not in small
    assert "htdemucs" in small
    assert all(advice.reason for advice in recommend((), gpu_memory_gb=2.0))
    with pytest.raises(UsageError, match="did you mean guitar"):
        recommend(("gitar",))


@pytest.mark.parametrize("memory_gb", [-1.0, float("nan"), float("inf")])
def test_a_gpu_memory_that_makes_no_sense_is_refused(memory_gb: float) -> None:
    with pytest.raises(UsageError, match="makes no sense"):
        recommend((), gpu_memory_gb=memory_gb)


def test_licences_are_told_truly() -> None:
    """The author of Demucs says that his weights are not under the MIT licence of his code."""
    for info in DEMUCS_MODELS:
        assert info.licence_class is Licence.NON_COMMERCIAL
        assert "issues 327" in info.licence_source
        assert not info.licence.startswith("MIT")
    assert CATALOG["preview"].licence_class is Licence.CLEAR
    assert all(info.licence_class is Licence.UNSTATED for info in CATALOG.values() if info.family == "bsrnn")


def test_generated_table_of_licences_is_that_of_the_catalog() -> None:
    rows = ["| model | class | licence of the weights | stated |", "|---|---|---|---|"]
    for info in CATALOG.values():
        rows.append(f"| `{info.name}` | {info.licence_class} | {info.licence} | {info.licence_source} |")
    check_section("licences.md", "licences", "\n".join(rows))


def test_the_licence_is_shown_wherever_models_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "non-commercial" in lines["htdemucs_ft"] and " clear " in lines["preview"]
    assert main(["models", "info", "htdemucs_ft"]) == 0
    shown = capsys.readouterr().out
    assert "non-commercial: none; their author" in shown and "issues 327" in shown
    assert main(["models", "recommend", "--gpu-memory", "0"]) == 0
    assert "licence non-commercial" in capsys.readouterr().out
    assert any("licence clear" in check.detail for check in doctor.examine() if check.name == "model preview")
