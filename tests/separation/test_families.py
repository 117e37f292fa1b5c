"""Families of networks: all keep one contract, none needs another, and a new one is a folder and a row."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import soundfile

from daw_bridge.separation.catalog import CATALOG
from daw_bridge.separation.families.family import Family
from daw_bridge.separation.families.table import FAMILIES
from daw_bridge.testing import check_family
from tests.separation.small_net import make_net
from tests.separation.test_weights import repository
from tests.separation.tiny_bsrnn import SIMO, make_network, save_network
from tests.separation.tiny_community import write_model

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "write-a-model-family.md"


def demucs_weights(folder: Path) -> dict[str, Path]:
    return {"htdemucs": repository(folder / "htdemucs", "htdemucs")}


def bsrnn_weights(folder: Path) -> dict[str, Path]:
    return {"bsrnn-simo": save_network(folder / "separator.safetensors", make_network(replace(SIMO, hop_samples=32)))}


def band_split_weights(folder: Path) -> dict[str, Path]:
    net = make_net()
    path = folder / "mine.safetensors"
    safetensors.torch.save_file(net.state_dict(), path, {"config": json.dumps(net.config.to_json())})
    return {"preview": path}


WEIGHTS = {"demucs": demucs_weights, "bsrnn": bsrnn_weights, "band_split": band_split_weights}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_the_contract(name: str, tmp_path: Path) -> None:
    """Families whose networks have no small form in the catalog are tried by checkpoints in test_recipe.py."""
    assert {info.family for info in FAMILIES[name].models} == {name}
    check_family(FAMILIES[name], weights=WEIGHTS[name](tmp_path) if name in WEIGHTS else None)


def test_a_family_that_forgets_what_it_was_asked_for_is_found_out(tmp_path: Path) -> None:
    class Forgetful(type(FAMILIES["band_split"])):  # type: ignore[misc]
        def sha256(self, *_arguments: object) -> str:
            return "0" * 64

    family: Family = Forgetful()
    with pytest.raises(AssertionError, match=r"preview: sha256\(\): takes weights that are not there"):
        check_family(family, weights=band_split_weights(tmp_path))


def test_every_model_has_its_family_and_a_name_of_its_own() -> None:
    assert set(CATALOG) == {info.name for family in FAMILIES.values() for info in family.models}
    assert len(CATALOG) == sum(len(family.models) for family in FAMILIES.values())


def modules_after(code: str, cwd: Path = ROOT) -> set[str]:
    """The modules that are loaded in a fresh interpreter after `code`."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}"}
    program = f"import sys\n{code}\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return set(run.stdout.splitlines()[-1].split())


def test_the_catalog_needs_neither_torch_nor_a_downloader() -> None:
    loaded = modules_after("from daw_bridge.separation.catalog import CATALOG")
    assert not loaded & {"torch", "demucs", "numpy.fft", "safetensors", "huggingface_hub", "httpx2", "yaml"}


def asked_of(name: str, folder: Path) -> str:
    """The options, as code, that run a small network of a family."""
    if name in WEIGHTS:
        ((model, path),) = WEIGHTS[name](folder).items()
        return f"model={model!r}, weights=Path({str(path)!r})"
    checkpoint, config = write_model(folder, {"roformer": "mel"}.get(name, name))
    return f"checkpoint=Path({str(checkpoint)!r}), config=Path({str(config)!r})"


def test_families_that_need_no_demucs_never_import_it(tmp_path: Path) -> None:
    """One after the other in one interpreter, which tells after each what is loaded."""
    soundfile.write(
        tmp_path / "mix.wav", np.random.default_rng(0).normal(size=(9_000, 2)) * 0.1, 8_000, subtype="FLOAT"
    )
    code = [
        "from pathlib import Path",
        "from daw_bridge.separation.options import SeparationOptions",
        "from daw_bridge.separation.run import separate_reference",
    ]
    for name in FAMILIES:
        if name != "demucs":
            (tmp_path / name).mkdir()
            code += [
                f"options = SeparationOptions({asked_of(name, tmp_path / name)}, device='cpu')",
                f"separate_reference(Path('mix.wav'), Path('stems-{name}'), options)",
                "wrong = [each for each in sys.modules if each.split('.')[0] in ('demucs', 'diffq', 'julius')]",
                f"assert not wrong, ({name!r}, wrong)",
            ]
    loaded = modules_after("\n".join(code), tmp_path)
    assert "torch" in loaded
    assert not [module for module in loaded if module.startswith("daw_bridge.separation.families.demucs.separator")]


def worked_example() -> dict[str, str]:
    """The titled code blocks of the page, by title."""
    blocks = re.findall(r'```python title="([\w.]+)"\n(.*?)```', PAGE.read_text("utf-8"), re.DOTALL)
    return dict(blocks)


@pytest.fixture(scope="module")
def with_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the page's family: its folder, and one row (and its import) of the table."""
    copy = tmp_path_factory.mktemp("branch")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "daw_bridge", copy / "daw_bridge", ignore=ignored)
    shutil.copytree(ROOT / "templates", copy / "templates", ignore=ignored)
    example = worked_example()
    families = copy / "daw_bridge" / "separation" / "families"
    (families / "shares").mkdir()
    (families / "shares" / "__init__.py").write_text("")
    for name in ("models.py", "family.py"):
        (families / "shares" / name).write_text(example[name])
    table = (families / "table.py").read_text()
    imported = "from daw_bridge.separation.families.shares.family import SharesFamily\n\nFAMILIES:"
    table = table.replace("\nFAMILIES:", imported, 1).replace('\n}\n"""', f'\n{example["row"]}}}\n"""', 1)
    (families / "table.py").write_text(table)
    (copy / "quarters.json").write_text('{"drums": 0.25, "bass": 0.25, "other": 0.25, "vocals": 0.25}\n')
    return copy


def in_branch(copy: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(copy), "DAW_BRIDGE_CACHE": str(copy / "cache")}
    run = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_new_family_is_its_folder_and_one_row(with_toy: Path) -> None:
    """The whole of the difference; and the family is listed, separates, nulls, and keeps the contract."""
    touched = [
        path.relative_to(with_toy).as_posix()
        for path in sorted((with_toy / "daw_bridge").rglob("*.py"))
        if not (ROOT / path.relative_to(with_toy)).is_file()
        or (ROOT / path.relative_to(with_toy)).read_bytes() != path.read_bytes()
    ]
    families = "daw_bridge/separation/families"
    mine = [f"{families}/shares/{name}" for name in ("__init__.py", "family.py", "models.py")]
    assert touched == [*mine, f"{families}/table.py"]
    listed = json.loads(in_branch(with_toy, "-m", "daw_bridge", "models", "list", "--json"))
    row = next(model for model in listed["models"] if model["name"] == "quarters")
    assert (row["family"], row["weights_here"]) == ("shares", False)
    mix = np.random.default_rng(0).normal(size=(30_001, 2)) * 0.1
    soundfile.write(with_toy / "mix.wav", mix, 44_100, subtype="FLOAT")
    command = ["-m", "daw_bridge", "separate", "mix.wav", "-m", "quarters", "--weights", "quarters.json", "--json"]
    made = json.loads(in_branch(with_toy, *command))
    assert made["null_depth_db"] < -120
    vocals, _ = soundfile.read(with_toy / made["stems"]["vocals"])
    np.testing.assert_allclose(vocals, mix / 4, atol=1e-6)
    code = (
        "from pathlib import Path\n"
        "from daw_bridge.separation.families.shares.family import SharesFamily\n"
        "from daw_bridge.testing import check_family\n"
        "check_family(SharesFamily(), weights={'quarters': Path('quarters.json')})"
    )
    in_branch(with_toy, "-c", code)
