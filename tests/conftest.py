"""Shared fixtures: where the developers' shared folder is, visible skips for what this machine lacks, what is slow."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from tests import sweeps

# Before torch is loaded, here and in every process that a test starts: the workers of pytest-xdist are the threads, and
# a thread that waits for its turn sleeps. By default OpenMP's spin, which took several times the work of the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Freed memory stays with a worker, as separation keeps its own: faulting in its pages anew was a twentieth of the work.
# Processes that tests start have what users have.
if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
    for option, value in ((-3, 1 << 25), (-1, (1 << 31) - 1), (-2, 1 << 24)):  # mmap and trim threshold, top pad
        ctypes.CDLL(None).mallopt(option, value)

# Containers set this. Here every process that a test starts would compile the whole package again, as no user's does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A script's background job (`nohup`, `&`) ignores Ctrl-C and hands that down; the processes that tests start hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests run beside other work; how long one example takes says nothing about the code. `make sweeps` tries more of them.
settings.register_profile("shared machine", deadline=None, max_examples=300 if sweeps.ALL else 30)
settings.load_profile("shared machine")

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SHARED = ROOT.parent / "shared"

_FOLDERS = (
    *(
        "aaf",
        "analysis",
        "ardour",
        "catalog",
        "cluster",
        "e2e",
        "fuzz",
        "kill",
        "live",
        "metrics",
        "nistem",
        "separation",
    ),
    "web",
)
_FILES = {
    "audio": ("damage", "guarded", "lengths", "loudness_and_null", "reader", "sound_behind"),
    "control": (
        *("ardour", "floods", "garbage", "jobs", "live", "mixer", "reaper_live", "reference", "selection", "strangers"),
    ),
    "dawproject": ("any_plan",),
    "osc": ("apply", "client"),
    "reaper": (
        *("actions", "actions_made", "actions_work", "any_plan", "end_to_end", "every_line", "into", "live"),
        *("live_sockets", "merge", "whole_mixers"),
    ),
    "render": ("cli_render", "playback"),
    "": (
        *("batch", "cli_parser", "docs_examples", "effects_exhaustive", "library_noise", "packaging", "promises"),
        *("range", "song", "songs"),
    ),
}
SLOW = {TESTS / folder for folder in _FOLDERS} | {
    TESTS / folder / f"test_{name}.py" for folder, names in _FILES.items() for name in names
}
"""Folders and files that start processes, servers, DAWs or models: `make test-fast` leaves them out."""


WAITING = ("kill", "web", "live", "reaper", "osc", "control")
"""Folders that wait for processes, sockets and sound cards more than they compute, the longest first."""
COMPUTING = ("catalog", "e2e", "separation", "ardour", "analysis", "test_docs_examples.py", "audio", "metrics")
"""And what computes, the longest first; all other files follow."""


def _is_slow(path: Path) -> bool:
    return path in SLOW or not SLOW.isdisjoint(path.parents)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without the slow tests their files are not even imported, most of which load torch."""
    return True if "not slow" in config.getoption("markexpr") and _is_slow(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow; deal files that wait among files that compute, the longest of both first.

    Workers that all wait leave the cores idle, and a long file that comes last keeps one worker busy alone.
    `--no-loadscope-reorder` keeps this order.
    """
    for item in items:
        if _is_slow(item.path):
            item.add_marker(pytest.mark.slow)
    files = list(dict.fromkeys(item.path for item in items))
    waiting = _in_turn([path for path in files if _turn(path, WAITING) < len(WAITING)], WAITING)
    computing = _in_turn([path for path in files if path not in set(waiting)], COMPUTING)
    place = {path: (nth / len(group), path) for group in (waiting, computing) for nth, path in enumerate(group)}
    items.sort(key=lambda item: place[item.path])


def _in_turn(files: list[Path], names: tuple[str, ...]) -> list[Path]:
    return sorted(files, key=lambda path: _turn(path, names))


def _turn(path: Path, names: tuple[str, ...]) -> int:
    """The place in `names` of a file or of the folder that it is in."""
    name = path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""
    return names.index(name) if name in names else len(names)


def pytest_collection_finish() -> None:
    """What has been imported by now lives to the end: no collection of garbage needs to look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def shared_dir() -> Path:
    """The developers' shared folder; the test skips visibly where there is none."""
    if not SHARED.is_dir():
        pytest.skip("no shared folder beside the checkout")
    return SHARED
