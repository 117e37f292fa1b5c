"""A run that is killed, that finds the disk full, or whose weights change: nothing is lost and nothing is wrong."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from daw_bridge.errors import Cancelled, OutputError
from daw_bridge.progress import CancelToken, Progress
from daw_bridge.separation.disk.work_folder import WorkFolder
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.families.family import Loaded, LoadModel
from daw_bridge.separation.families.loader import weights_sha256
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.run import ALGORITHM, separate_reference
from tests.separation.kill_target import EVENTS, separate
from tests.separation.test_run import HalfSeparator, write_mix
from tests.separation.test_weights import package
from tests.separation.tiny import noise

ROOT = Path(__file__).resolve().parents[2]


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class Killer:
    """A process that has everything imported and forks a child for each run, so that two dozen runs take seconds."""

    def __init__(self, mix: Path, folder: Path) -> None:
        command = [sys.executable, str(Path(__file__).with_name("kill_target.py")), str(mix), str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )

    def run(self, event: str = "none", number: int = 0) -> int:
        """A run that dies just before the `number`-th `event`; its exit status as `os.waitpid` gives it."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{event} {number}\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_kill_9_at_any_event_gives_the_samples_of_an_uncut_run(tmp_path: Path) -> None:
    """Kills before segments, frames, journal lines and renames, each run going on where the one before was cut off."""
    mix = write_mix(tmp_path / "mix.wav", noise(16_000 * 4), 16_000)
    separate(mix, tmp_path / "whole")
    expected = digests(tmp_path / "whole")
    folder = tmp_path / "cut"
    killer, killed, progress = Killer(mix, folder), set(), [0]
    for event, number in product(EVENTS, range(1, 7)):
        status = killer.run(event, number)
        written = digests(folder) if folder.is_dir() else {}
        if status == 0:  # the rest of this song had fewer such events than that
            assert {name: digest for name, digest in written.items() if not name.endswith(".part")} == expected
            shutil.rmtree(folder)
            continue
        assert os.WTERMSIG(status) == signal.SIGKILL
        killed.add(event)
        assert all(digest == expected[name] for name, digest in written.items() if name in expected)
        progress += [raw.stat().st_size for raw in folder.glob(".work-*/stems.f32")]
    assert killed == set(EVENTS)
    assert max(progress) > 0, "no kill came while samples were being computed"
    assert killer.run() == 0
    killer.close()
    finished = digests(folder)
    assert {name: finished[name] for name in expected} == expected
    others = set(finished) - set(expected)
    assert all(name.endswith(".part") for name in others), "a kill may leave temporary files of ours, nothing else"


def safe_samples(folder: Path) -> int:
    """What a run that begins now would take over."""
    work = WorkFolder(folder, "k", {})
    stems = work.stems(2)
    stems.close()
    work.release(remove=False)
    return stems.done_samples


def test_a_journal_that_was_cut_in_the_middle_of_a_line_is_understood(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path, "k", {"model": "x"})
    stems = work.stems(2)
    stems.append(noise(500)[None])
    stems.flush()
    stems.append(noise(300)[None])
    stems.close()
    work.release(remove=False)
    with (tmp_path / ".work-k" / "journal.jsonl").open("a") as journal:
        journal.write('\n{"done_sam')
    again = WorkFolder(tmp_path, "k", {"model": "y"})
    assert again.header == {"model": "x"}
    stems = again.stems(2)
    assert stems.done_samples == 500, "frames that the journal does not count are thrown away"
    assert stems.raw.length_samples == 500
    stems.append(noise(10)[None])
    stems.flush()
    stems.close()
    again.release(remove=False)
    assert safe_samples(tmp_path) == 510


def test_a_journal_that_counts_more_than_is_there_is_not_believed(tmp_path: Path) -> None:
    """After a power cut the journal may have survived and the frames not."""
    work = WorkFolder(tmp_path, "k", {"model": "x"})
    work.record(10_000)
    work.release(remove=False)
    assert safe_samples(tmp_path) == 0


def test_weights_swapped_midway_start_afresh(tmp_path: Path) -> None:
    """The second run has other weights: nothing of the first one's work may get into its stems."""
    weights = tmp_path / "htdemucs.th"
    mix = write_mix(tmp_path / "mix.wav", noise(24_000), 8_000)
    options = SeparationOptions(model="htdemucs", weights=weights, device="cpu")
    torch.save(package("htdemucs", 1), weights)
    token = CancelToken()

    def stop_halfway(event: Progress) -> None:
        if event.stage == "separate" and event.done > event.total // 2:
            token.cancel()

    with pytest.raises(Exception, match="cancelled"):
        separate_reference(mix, tmp_path / "out", options, on_progress=stop_halfway, cancel=token)
    first = weights_sha256(options)
    torch.save(package("htdemucs", 2), weights)
    assert weights_sha256(options) != first
    swapped = separate_reference(mix, tmp_path / "out", options)
    clean = separate_reference(mix, tmp_path / "clean", options)
    assert swapped.resumed_at_s == 0.0
    assert swapped.weights_sha256 == clean.weights_sha256 == weights_sha256(options)
    expected = digests(tmp_path / "clean")
    assert digests(tmp_path / "out") == expected
    assert not list((tmp_path / "out").glob(".work-*")), "the first run's work is of no use to anyone"


CARD = Rung(device="cuda", batch_segments=8)


@pytest.mark.parametrize(
    ("rung", "batch_segments", "algorithm", "goes_on"),
    [
        (CARD, None, ALGORITHM, True),
        (replace(CARD, batch_segments=4), None, ALGORITHM, True),
        (CARD, 4, ALGORITHM, False),
        (replace(CARD, device="cuda:1"), None, ALGORITHM, False),
        (Rung(device="cpu", workers=2), None, ALGORITHM, False),
        (CARD, None, "another way to compute", False),
    ],
)
def test_a_run_goes_on_only_where_the_last_bits_are_rounded_as_before(
    rung: Rung, batch_segments: int | None, algorithm: str, goes_on: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    """A run is cut off on a GPU and begun again; one with less free memory repeats the batch that the first one had."""
    mix, token = write_mix(tmp_path / "mix.wav", noise(40_000), 44_100), CancelToken()
    repeated: list[Rung] = []

    def stop_halfway(event: Progress) -> None:
        if event.stage == "separate":
            token.cancel()

    def on(used: Rung) -> LoadModel:
        made = HalfSeparator()
        return lambda *_: Loaded(separator=made, weights_sha256="a" * 64, rung=used, repeat=repeated.append)

    with pytest.raises(Cancelled):
        separate_reference(
            mix, tmp_path / "out", SeparationOptions(), load_model=on(CARD), on_progress=stop_halfway, cancel=token
        )
    monkeypatch.setattr("daw_bridge.separation.run.ALGORITHM", algorithm)
    again = SeparationOptions(batch_segments=batch_segments)
    repeated.clear()
    result = separate_reference(mix, tmp_path / "out", again, load_model=on(rung))
    assert (result.resumed_at_s > 0) == goes_on
    if goes_on:
        assert repeated == [CARD]
    assert not list((tmp_path / "out").glob(".work-*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("this machine does not allow mounting a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_said_before_the_work(small_disk: Path, tmp_path: Path) -> None:
    mix = write_mix(tmp_path / "mix.wav", noise(44_100 * 5), 44_100)
    with pytest.raises(OutputError, match=r"need .* MB here .* are free"):
        separate_reference(mix, small_disk, SeparationOptions(), separator=HalfSeparator())


@pytest.mark.parametrize("when", ["while computing", "while writing"])
def test_a_disk_that_fills_up_midway_is_one_clear_error_and_loses_nothing(
    small_disk: Path, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program takes the space that was free when the run began."""
    monkeypatch.setattr("daw_bridge.separation.run.check_space", lambda *_: None)
    seconds = 0.9 if when == "while computing" else 0.55
    mix = write_mix(tmp_path / "mix.wav", noise(int(44_100 * seconds)), 44_100)
    hog = small_disk / "hog"
    hog.write_bytes(bytes(300_000))
    with pytest.raises(OutputError, match="the disk is full"):
        separate_reference(mix, small_disk, SeparationOptions(), separator=HalfSeparator())
    assert not list(small_disk.glob("*.wav"))
    assert not list(small_disk.glob("*.part"))
    hog.unlink()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    result: Any = separate_reference(mix, small_disk, SeparationOptions(), separator=HalfSeparator())
    assert result.null_depth_db <= -120.0
    if when == "while writing":
        assert result.resumed_at_s == pytest.approx(seconds, abs=0.001), "the computed stems were kept"
