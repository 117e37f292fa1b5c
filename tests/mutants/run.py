"""`make mutants`: applies each mutant of `table` to a copy of the project and runs its tests; all must be killed.

`python -m tests.mutants.run [WORD...]` takes those whose names hold one of the words. Ends with 1 when one survives,
does not apply, or when a named test fails without any mutant.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 300


def copy_project(target: Path) -> None:
    """The files that git tracks or would, as they are now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in listed:
        if name and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def tests_fail(project: Path, tests: str) -> bool:
    """Whether one of the tests fails; an endless run counts as one that does."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{project}{os.pathsep}{project / 'adapters'}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(project / ".hypothesis"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    try:
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"{tests}: had not ended after {LIMIT_S} s", flush=True)
        return True
    if done.returncode not in (0, 1):
        raise SystemExit(f"{tests}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}")
    return done.returncode == 1


def outcome(project: Path, mutant: Mutant) -> str:
    path = project / mutant.file
    whole = path.read_text("utf-8")
    if whole.count(mutant.old) != 1:
        return f"DOES NOT APPLY ({whole.count(mutant.old)} places)"
    path.write_text(whole.replace(mutant.old, mutant.new), "utf-8")
    try:
        return "killed" if tests_fail(project, mutant.tests) else "SURVIVED"
    finally:
        path.write_text(whole, "utf-8")


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        copy_project(project)
        for tests in dict.fromkeys(mutant.tests for mutant in chosen):
            if tests_fail(project, tests):
                print(f"{tests}: fails without any mutant", flush=True)
                bad += 1
        for mutant in chosen:
            started = time.monotonic()
            what = outcome(project, mutant)
            bad += what != "killed"
            print(f"{what:10} {mutant.name} ({time.monotonic() - started:.0f} s)", flush=True)
    print(f"{len(chosen)} mutants, {bad} not killed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
