"""Whatever lies in the files that a command reads, it ends with one line of our own: never with `unexpected ...`."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.cli.main import main
from daw_bridge.workflow import BuildOptions, build
from tests.fuzz.targets import seeds
from tests.kill.steps import shares

CASES = int(os.environ.get("DAW_BRIDGE_FUZZ_CASES", "40"))
"""A few in each test run; thousands by hand."""
ODD: list[Any] = [
    *(None, True, 0, -1, 1, 2**63, 1e308, float("inf"), float("nan"), "", "x", "..", ".", "../x", "/etc/passwd"),
    *("audio", "audio/..", "a\0b", "\ud800", "a\nb", "9" * 5000, "manifest.json", "original/mix.wav"),
    *([], {}, [1], {"a": 1}, [[]] * 50),
]


@pytest.fixture(scope="module")
def gold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished song with a REAPER session."""
    folder = tmp_path_factory.mktemp("gold")
    noise = (0.2 * np.random.default_rng(3).standard_normal((3_000, 2))).astype(np.float32)
    sf.write(folder / "mix.wav", noise, 44_100)
    options = BuildOptions(model="preview", template="neutral", device="cpu", output=folder / "song", use_cache=False)
    build(folder / "mix.wav", options, load_model=shares)
    return folder


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in pairs:
        yield from places(below, (*path, key))


def mutated(manifest: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """Its structure with odd values, missing and unknown keys, mostly near the top."""
    made = copy.deepcopy(manifest)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        every = list(places(made))
        *parents, last = chance.choice([path for path in every if len(path) <= 3 or chance.random() < 0.3] or every)
        target: Any = made
        for key in parents:
            target = target[key]
        way = chance.random()
        if way < 0.75:
            target[last] = copy.deepcopy(chance.choice(ODD))
        elif way < 0.85 or not isinstance(target, list):
            del target[last]
        else:
            target.append(copy.deepcopy(target[last]))
    return made


def ends_well(capsys: pytest.CaptureFixture[str], *argv: str) -> None:
    code = main(argv)
    said = capsys.readouterr().err
    assert code != 1 and "unexpected" not in said, (argv, said)
    if code:
        assert len([line for line in said.splitlines() if line.startswith("daw-bridge: ")]) >= 1, (argv, said)


def test_a_strangers_song_folder(gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance, manifest = random.Random(20), json.loads((gold / "song" / "manifest.json").read_text())
    outside = tmp_path / "outside.wav"
    outside.write_bytes(b"mine")
    for number in range(CASES):
        folder = tmp_path / str(number)
        shutil.copytree(gold / "song", folder, symlinks=True)
        (folder / "manifest.json").write_text(json.dumps(mutated(manifest, chance)))
        ends_well(capsys, "rebuild", str(folder), "-q")
        ends_well(capsys, "build", str(gold / "mix.wav"), "-m", "preview", "-o", str(folder), "-q", "--weights", "gone")
        shutil.rmtree(folder)
    assert outside.read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["outside.wav"]


@pytest.mark.parametrize(
    ("seed", "name", "command"),
    [
        ("template", "in.yaml", ["templates", "check", "FILE"]),
        ("rpp", "in.rpp", ["templates", "extract", "FILE", "-o", "out.yaml"]),
        ("dawproject", "in.dawproject", ["templates", "extract", "FILE", "-o", "out.yaml"]),
        ("audio", "in.wav", ["probe", "FILE", "-q"]),
        ("audio", "in.txt", ["batch", "FILE", "-m", "preview", "--dry-run", "-q"]),
        ("template", "in.cue", ["batch", "FILE", "-m", "preview", "--dry-run", "-q"]),
        ("legacy_file", "in.th", ["separate", "MIX", "-m", "htdemucs", "--weights", "FILE", "-q"]),
        ("template", "in.safetensors", ["separate", "MIX", "-m", "preview", "--weights", "FILE", "-q"]),
        ("template", "in.json", ["reaper", "job", "FILE"]),
    ],
)
def test_a_damaged_file(
    gold: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seed: str,
    name: str,
    command: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    chance, path = random.Random(name), tmp_path / name
    for number in range(max(4, CASES // 4)):
        data = bytearray(chance.choice(seeds()[seed]))
        for _ in range(0 if number == 0 else chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(bytes(data[: chance.randint(1, len(data))] if number > 2 else data))
        words = [{"FILE": str(path), "MIX": str(gold / "mix.wav")}.get(word, word) for word in command]
        ends_well(capsys, *words)
        for left in tmp_path.iterdir():
            if left != path:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
