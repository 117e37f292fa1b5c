"""The command line as a whole: every command takes the output options, and a slip gets the help that was meant."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daw_bridge.adapter import Check
from daw_bridge.cli.main import build_parser, main
from daw_bridge.doctor import examine, verdict

ROOT = Path(__file__).resolve().parent.parent


def commands(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that can be run, with its parser."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield path, parser
    for group in groups:
        for name, below in group.choices.items():
            yield from commands(below, f"{path} {name}".strip())


COMMANDS = dict(commands(build_parser()))


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_takes_the_output_options_behind_it(command: str) -> None:
    assert {"-q", "-v", "--json"} <= COMMANDS[command]._option_string_actions.keys()


@pytest.mark.parametrize("arguments", [["completion", "bash", "--json"], ["--json", "completion", "zsh"]])
def test_completion_answers_as_json(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["shell"] in arguments and "daw-bridge" in answer["script"]


@pytest.mark.parametrize("arguments", [["templates", "list", "-q"], ["-q", "models", "list"]])
def test_quiet_lists_are_silent(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "usage", "error"),
    [
        (["biuld", "x"], "usage: daw-bridge [", "no command called 'biuld' (did you mean build?)"),
        (["templates", "chek", "x"], "usage: daw-bridge templates", "no command called 'chek' (did you mean check?)"),
        (["build", "x", "--modle", "y"], "usage: daw-bridge build", "--modle y (did you mean --model?)"),
        (["templates", "show", "x", "y"], "usage: daw-bridge templates show", "unrecognized arguments: y"),
        (["build", "x", "--progress", "bars"], "usage: daw-bridge build", "'bars' (did you mean bar?)"),
    ],
)
def test_a_slip_shows_the_usage_of_its_command_and_the_nearest_name(
    arguments: list[str], usage: str, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    shown = capsys.readouterr().err
    assert caught.value.code == 2 and shown.startswith(usage) and error in shown


@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_verbose_is_about_daw_bridge_and_not_about_other_libraries(
    verbose: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("daw_bridge_reaper").setLevel(logging.NOTSET)  # what an earlier -v in this process has left
    assert main([*verbose, "-q", "templates", "list"]) == 0
    assert logging.getLogger("daw_bridge.cache").isEnabledFor(logging.DEBUG) == bool(verbose)
    assert logging.getLogger("daw_bridge_reaper.live").isEnabledFor(logging.DEBUG) == bool(verbose)
    assert not logging.getLogger("filelock").isEnabledFor(logging.INFO)


def interrupted(code: str) -> subprocess.CompletedProcess[str]:
    """The command line in which Ctrl-C comes when `code` says so, and is swallowed where it comes."""
    setting = (
        "import os, signal, sys, daw_bridge.__main__ as m\n"
        "def press():\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt: raise ImportError('swallowed') from None\n"
    )
    text = f"{setting}{code}\nsys.exit(m.run())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    return subprocess.run(
        [sys.executable, "-c", text, "templates", "list"],
        env=environment, check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


def test_ctrl_c_while_the_program_loads_is_quiet_whatever_swallows_it() -> None:
    ended = interrupted(
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'daw_bridge.cli.build': press()\n"
        "sys.meta_path.insert(0, Finder())"
    )
    assert (ended.returncode, ended.stderr) == (130, "daw-bridge: cancelled\n")


def test_ctrl_c_that_a_library_turns_into_another_error_is_still_a_cancel() -> None:
    ended = interrupted("import daw_bridge.templates.store as t\nt.list_templates = press")
    assert (ended.returncode, ended.stderr) == (130, "daw-bridge: cancelled\n")


def test_ctrl_c_inside_exec_ends_with_the_exit_code_and_not_by_the_signal(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'daw_bridge.templates.store': exec('import os; os.kill(os.getpid(), 2)')\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "adapters")))}
    ended = subprocess.run(
        [sys.executable, "-m", "daw_bridge", "templates", "list"],
        env=environment, check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (130, "daw-bridge: cancelled\n")


@pytest.mark.parametrize(
    ("refused", "code", "said"),
    [
        (OSError(36, "File name too long", "/x/y"), 4, "/x/y: the system refuses it (File name too long)"),
        (ImportError("libopenblas.so: failed to map segment from shared object"), 8, "the memory does not suffice"),
        (MemoryError(), 8, "the memory does not suffice"),
        (ZeroDivisionError("ours"), 1, "unexpected ZeroDivisionError"),
    ],
)
def test_what_the_system_refuses_is_told_in_its_words(
    refused: Exception, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise refused

    monkeypatch.setattr("daw_bridge.templates.store.list_templates", refuse)
    assert main(["templates", "list"]) == code
    assert said in capsys.readouterr().err


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    ended = interrupted("signal.signal(signal.SIGINT, signal.SIG_IGN)\nos.kill(os.getpid(), signal.SIGINT)")
    assert (ended.returncode, "cancelled" in ended.stderr) == (0, False)


def test_doctor_says_that_the_default_model_is_not_here_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DAW_BRIDGE_CACHE", "HF_HOME", "TORCH_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    said = verdict(examine())
    assert "models fetch htdemucs_ft" in said and "--model preview" in said


def test_doctor_counts_what_is_missing_and_is_content_with_what_is_here() -> None:
    default = Check(name="model htdemucs_ft", ok=True, detail="")
    assert verdict([default, Check(name="GPU", ok=False, detail="none")]) == "All that is needed is here."
    assert verdict([default, Check(name="torch", ok=False, detail="", optional=False)]) == "1 needed part(s) missing."
