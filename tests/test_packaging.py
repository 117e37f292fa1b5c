"""What users install: the wheel made from the sdist carries templates, weights, adapters and actions, and works."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from daw_bridge.registry import BUILT_IN

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the sdist, unpacked where nothing else of the project is."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    target = folder / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(unpacked: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_wheel_carries_every_data_file(unpacked: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "daw_bridge", "adapters", "templates"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    names = [
        name.removeprefix("adapters/").replace("templates/", "daw_bridge/_templates/", 1)
        if name.startswith(("adapters/", "templates/"))
        else name
        for name in tracked
    ]
    missing = [name for name in names if not (unpacked / name).is_file()]
    assert not missing


def test_templates_and_adapters_are_found_from_the_wheel(unpacked: Path) -> None:
    listed = run(unpacked, "-m", "daw_bridge", "templates", "list")
    assert all(name in listed for name in ("band", "dj", "karaoke", "neutral", "six-stem", "vocal-focus"))
    code = "from daw_bridge.registry import *; print(*[load_adapter(name).name for name in BUILT_IN], sep='\\n')"
    assert run(unpacked, "-c", code).split("\n")[:-1] == list(BUILT_IN)


def test_the_bundled_model_loads_from_the_wheel(unpacked: Path) -> None:
    code = "from daw_bridge.separation.families.band_split.causal import load_net as f; print(*f().config.sources)"
    assert "vocals" in run(unpacked, "-c", code)


def test_the_wheel_names_those_whose_sounds_the_bundled_model_has_learnt_from(unpacked: Path) -> None:
    (text,) = [path.read_text("utf-8") for path in unpacked.glob("*.dist-info/licenses/THIRD_PARTY.md")]
    assert "Lars Muldjord" in text
    assert "CC-BY-4.0" in text
    assert "Redistribution and use in source and binary forms" in text
