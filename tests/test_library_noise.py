"""What C libraries print below Python never stands among our own lines; with -v it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daw_bridge.cli.library_noise import kept_off_stderr

ROOT = Path(__file__).resolve().parent.parent
NOISY = """
import os, sys
from daw_bridge.cli import main as cli, console
import daw_bridge.audio.guarded as guarded
whole = guarded.examine
def noisy(path, **how):
    os.write(2, b"[src/libmpg123/parse.c:1] error: Giving up resync\\n")
    print("a library's line from C", end="", file=open(2, "w", closefd=False))
    return whole(path, **how)
guarded.examine = noisy
sys.exit(cli.main(sys.argv[1:]))
"""


def run(*arguments: str, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", NOISY, *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'adapters'}"}
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, env=environment, check=False, timeout=120)


@pytest.mark.parametrize("option", [(), ("-q",), ("--json",)])
def test_an_error_stays_one_line_whatever_a_library_prints(tmp_path: Path, option: tuple[str, ...]) -> None:
    (tmp_path / "x.mp3").write_bytes(b"<html>" * 99)
    ended = run("probe", *option, "--progress", "none", str(tmp_path / "x.mp3"))
    assert ended.returncode == 3
    assert len(ended.stderr.splitlines()) == 1 and ended.stderr.startswith(b"daw-bridge: ")


def test_with_verbose_it_is_heard(tmp_path: Path) -> None:
    (tmp_path / "x.mp3").write_bytes(b"<html>" * 99)
    assert b"Giving up resync" in run("-v", "probe", str(tmp_path / "x.mp3")).stderr


def test_stderr_is_as_before_behind_it(capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stderr
    with kept_off_stderr(verbose=False):
        os.write(2, b"from C\n")
    assert sys.stderr is before
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_a_program_without_stderr_keeps_its_files(tmp_path: Path) -> None:
    """Where it is closed, the next file that is opened is descriptor 2."""
    code = f"""
import os, sys
from daw_bridge.cli.library_noise import kept_off_stderr
assert sys.stderr is None
handle = os.open({str(tmp_path / "f")!r}, os.O_WRONLY | os.O_CREAT)
assert handle == 2
with kept_off_stderr(verbose=False):
    os.write(2, b"kept")
"""
    script = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(script, check=False, env=environment, timeout=240).returncode == 0
    assert (tmp_path / "f").read_bytes() == b"kept"
