"""Every example of README and docs: commands parse, README's commands run, Python runs and is typed strictly."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.main import build_parser, main
from daw_bridge.errors import WeightsMissing

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS_A_DAW = ("Session.connect(",)
"""Python that is compiled and typed here, and run against REAPER's simulator elsewhere."""


def commands_of(page: Path) -> list[str]:
    """The lines of fenced blocks that call daw-bridge, without comments, redirections and marks of what is optional."""
    found = []
    for language, _, body in FENCE.findall(page.read_text("utf-8")):
        if language in ("", "sh", "console"):
            for line in body.splitlines():
                if line.startswith("daw-bridge "):
                    plain = re.split(r"\s+#|\s{3,}|\s>\s", line)[0]
                    found.append(plain.replace("[", "").replace("]", ""))
    return found


def python_of(page: Path) -> list[str]:
    """The Python blocks of a page that stand alone; titled ones are files of a worked example, tested as such."""
    return [
        body for language, title, body in FENCE.findall(page.read_text("utf-8")) if language == "python" and not title
    ]


ALL_COMMANDS = [(page.name, command) for page in PAGES for command in commands_of(page)]
ALL_PYTHON = [
    pytest.param(body, id=page.stem)
    for page in PAGES
    if page.stem != "write-a-model-family"  # run as a whole in tests/separation/test_families.py
    for body in python_of(page)
]


@pytest.mark.parametrize(("page", "command"), ALL_COMMANDS)
def test_every_command_of_the_docs_is_understood(page: str, command: str) -> None:
    build_parser().parse_args(shlex.split(command)[1:])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name, no network, and nobody's cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    noise = np.random.default_rng(3).standard_normal((44_100, 2)) * 0.1
    for name in ("song", "vocals", "pad", "choir"):
        soundfile.write(tmp_path / f"{name}.wav", noise, 44_100, subtype="FLOAT")
    return tmp_path


def test_every_command_of_the_readme_runs(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the page. What asks for the production model says, on this offline machine, how to get it."""
    for command in commands_of(ROOT / "README.md"):
        arguments = shlex.split(command)[1:]
        if arguments[0] == "web":
            continue  # a server that runs until Ctrl-C: tests/web starts it
        separates = arguments[0] in ("build", "separate")
        default_model = separates and "preview" not in arguments
        if separates:
            shutil.rmtree(desk / "song.session", ignore_errors=True)  # the page shows alternatives, not one sitting
        code = main(arguments)
        errors = capsys.readouterr().err
        assert code == (WeightsMissing.exit_code if default_model else 0), (command, errors)
        assert not default_model or "daw-bridge models fetch htdemucs_ft" in errors


@pytest.mark.parametrize("body", ALL_PYTHON)
@pytest.mark.usefixtures("desk")
def test_every_python_example_runs(body: str) -> None:
    code = compile(body, "example", "exec")
    if any(words in body for words in NEEDS_A_DAW):
        return
    noise = np.random.default_rng(4).standard_normal((4, 2, 132_300)).astype(np.float32)
    given = {
        "block": noise[0],
        "references": noise,
        "estimates": noise * 0.9,
        "reference": noise[0],
        "estimate": noise[1],
    }
    exec(code, given)  # noqa: S102  # our own docs


def test_the_examples_pass_the_type_checker_strictly(tmp_path: Path) -> None:
    files = []
    for number, body in enumerate([*python_of(ROOT / "README.md"), *python_of(ROOT / "docs" / "api.md")]):
        files.append(tmp_path / f"example_{number}.py")
        files[-1].write_text(body, "utf-8")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        str(ROOT / "pyproject.toml"),
        *map(str, files),
    ]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_the_adapter_of_the_docs_keeps_the_contract(tmp_path: Path) -> None:
    """The worked example of write-an-adapter.md, file by file, run by pytest as its reader would."""
    page = (ROOT / "docs" / "write-an-adapter.md").read_text("utf-8")
    for _, title, body in FENCE.findall(page):
        if name := re.search(r'title="(.+?)"', title):
            (tmp_path / name[1]).write_text(body, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": ""}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout
