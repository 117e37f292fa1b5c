"""Disks that refuse: without hard links, read-only, full. Real mounts, in a room of their own."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.songs import OPTIONS, ROOT, catalog, command, planned, write_songs

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
needs_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounts need root")


def mounted(kind: str, place: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    """The command, while a tmpfs with these options lies at `place`, for it alone."""
    place.mkdir(exist_ok=True)
    script = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", kind, place, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@needs_root
def test_a_read_only_target_is_said_at_once(music: Path, tmp_path: Path) -> None:
    done = mounted("ro", tmp_path / "out", command("plan", music, tmp_path / "out", *OPTIONS))
    assert done.returncode == 4
    assert "cannot be" in done.stderr
    assert done.stderr.count("\n") == 1


@needs_root
def test_a_full_scratch_disk_costs_tries_and_no_song(tmp_path: Path) -> None:
    music = write_songs(tmp_path / "music", songs=2)
    out = planned(music, tmp_path / "out")
    scratch = tmp_path / "scratch"
    run = command("run", out, "--scratch", scratch, "--progress", "jsonl")
    done = mounted("size=200k", scratch, run)
    assert done.returncode == 11, done.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert [line["state"] for line in lines] == ["failed", "failed"]
    assert all("3 tries: " in line["error"] and "free" in line["error"] for line in lines)
    assert catalog("retry", out, "--failed", "--scratch", scratch) == {"done": 2}
    assert catalog("verify", out, "--full", "--sweep")["stray_attempts"] == 0


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="a filter of system calls")
@pytest.mark.parametrize("answer", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_folder_without_hard_links_is_refused_before_anything_is_done(
    music: Path, tmp_path: Path, answer: int
) -> None:
    words = ["catalog", "plan", str(music), str(tmp_path / "out"), *OPTIONS]
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "cluster" / "no_links.py", str(answer), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "adapters")))},
    )
    assert done.returncode == 4
    assert "knows no hard links" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
