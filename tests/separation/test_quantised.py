"""Weights that the real package diffq quantised come back bit for bit, without it; broken ones are one clear error."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daw_bridge.errors import ModelError, WeightsCorrupt
from daw_bridge.separation.catalog import model_info
from daw_bridge.separation.families.demucs.bag import bag_of, find_weights, load_bag
from daw_bridge.separation.families.demucs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from daw_bridge.separation.families.demucs.networks import build_network
from daw_bridge.separation.families.demucs.quantised import _unpacked
from daw_bridge.separation.families.pickle_data import Named
from tests.separation.test_weights import package
from tests.separation.tiny import noise, run, tiny_separator

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "diffq"
EXPECTED: dict[str, str] = json.loads((GOLDEN / "expected.json").read_text())


def built(checkpoint: Checkpoint) -> Any:
    return build_network(checkpoint.family, checkpoint.args, checkpoint.kwargs, checkpoint.state).module


def digest_of(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for parameter in module.parameters():
        digest.update(np.ascontiguousarray(parameter.detach().numpy()).tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_weights_equal_those_that_diffq_restores(name: str) -> None:
    """Packed in 64-bit words as tensors and as NumPy arrays, in 16-bit words, unpacked, and with one width for all."""
    module = built(read_checkpoint(GOLDEN / f"{name}.th"))
    assert digest_of(module) == EXPECTED[name]
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert "diffq" not in sys.modules


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_legacy_file_becomes_safetensors_that_give_the_same(tmp_path: Path, name: str) -> None:
    """`models fetch` stores what it gets from the legacy server in the form that demucs 4.1 publishes."""
    from demucs.hf import _unflatten_state
    from safetensors import safe_open

    write_checkpoint(read_checkpoint(GOLDEN / f"{name}.th"), tmp_path / "x.safetensors")
    assert digest_of(built(read_checkpoint(tmp_path / "x.safetensors"))) == EXPECTED[name]
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        structure = json.loads(file.metadata()["structure"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
    assert structure["_dict"][-1] == ["__quantized", True]
    for _, node in [pair for pair in structure["_dict"] if pair[0] == "meta"]:
        node["_dict"] = [pair for pair in node["_dict"] if pair[0] != "klass"]  # demucs would import diffq
    assert len(_unflatten_state(tensors, structure)["quantized"]) == 2


@pytest.mark.parametrize("model", ["mdx_q", "mdx_extra_q"])
def test_the_quantised_models_load_and_separate(tmp_path: Path, model: str) -> None:
    """The whole way by their published names: found, read, built, run."""
    info = model_info(model)
    for signature in info.signatures:
        (tmp_path / f"{signature}.th").write_bytes((GOLDEN / "diffq_0.2.0.th").read_bytes())
    bag = load_bag(find_weights(info, tmp_path), model)
    assert [digest_of(network.module) for network in bag.networks] == [EXPECTED["diffq_0.2.0"]] * 4
    one = bag_of([read_checkpoint(GOLDEN / "diffq_0.2.0.th")], model)
    stems = run(tiny_separator(one), noise(9_000))
    assert stems.shape == (4, 2, 9_000)
    assert np.isfinite(stems).all()
    assert np.abs(stems).max() > 1e-3


@pytest.mark.parametrize(("count", "bits"), [(1, 1), (31, 3), (2_048, 7), (2_049, 15), (5_000, 16)])
@pytest.mark.parametrize("word", [torch.int64, torch.int16])
def test_packed_numbers_are_found_where_the_format_says(count: int, bits: int, word: torch.dtype) -> None:
    """Against a plain loop over the bits."""
    numbers = np.random.default_rng(count).integers(0, 1 << bits, count)
    width = torch.iinfo(word).bits
    columns = 32 if word == torch.int64 else -(-count // width)
    blocks = -(-count // (width * columns))
    words = np.zeros((blocks, bits, columns), dtype=f"u{width // 8}")
    for place, number in enumerate(numbers):
        block, inside = divmod(place, width * columns)
        for bit in range(bits):
            words[block, bit, inside % columns] |= words.dtype.type(int(number) >> bit & 1) << words.dtype.type(
                inside // columns
            )
    packed = torch.from_numpy(words.view(f"i{width // 8}"))
    assert _unpacked(packed if word == torch.int64 else packed[0], count).tolist() == numbers.tolist()


def damaged(change: str) -> Checkpoint:
    whole = read_checkpoint(GOLDEN / "diffq_0.2.4.th")
    state = dict(whole.state)
    if change == "a tensor is missing":
        state["others"] = state["others"][:-1]
    elif change == "a tensor too many":
        state["others"] = [*state["others"], state["others"][0]]
    elif change == "levels are missing":
        entry = state["quantized"][0]
        state["quantized"] = [([None] * 14, *entry[1:]), *state["quantized"][1:]]
    elif change == "another quantiser":
        state["meta"] = {**state["meta"], "klass": Named("diffq.lsq.LSQ")}
    elif change == "no description":
        del state["meta"]
    elif change == "other groups":
        state["meta"] = {**state["meta"], "init_kwargs": {**state["meta"]["init_kwargs"], "group_size": 5}}
    elif change == "exclusions":
        state["meta"] = {**state["meta"], "init_kwargs": {**state["meta"]["init_kwargs"], "exclude": ["x"]}}
    return Checkpoint(family=whole.family, args=whole.args, kwargs=whole.kwargs, state=state, sha256=whole.sha256)


@pytest.mark.parametrize(
    "change",
    [
        "a tensor is missing",
        "a tensor too many",
        "levels are missing",
        "another quantiser",
        "no description",
        "other groups",
        "exclusions",
    ],
)
def test_a_broken_state_is_one_clear_error(change: str) -> None:
    with pytest.raises(ModelError, match=r"do not fit their network \(.+\); fetch them again"):
        built(damaged(change))


def test_a_quantised_file_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    """Allowing NumPy's arrays allows nothing else."""

    class Evil:
        def __reduce__(self) -> Any:
            return (np.load, (str(tmp_path / "x.npy"), None, True))

    content = package("hdemucs")
    content["state"] = {"__quantized": True, "quantized": [Evil()], "others": [], "float16": [], "meta": {}}
    torch.save(content, tmp_path / "evil.th")
    with pytest.raises(WeightsCorrupt, match="read safely"):
        read_checkpoint(tmp_path / "evil.th")
