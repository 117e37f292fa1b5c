"""Memory: what a batch needs, how large a batch may be, and the ladder that is climbed down when it was too much.

The figure of a model is the peak of one segment's activations; a batch of B segments takes B times that, beside the
weights. The ladder halves the batch (on the CPU: the workers), then moves to the CPU, then gives up.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daw_bridge.errors import DeviceError

SONGS_IN_FLIGHT = 3
"""On a GPU: while one song computes, the next is decoded and the last one written."""
GIB = 1024.0**3
SPARE_GB = 0.6
"""What CUDA's context, cuDNN's workspace and fragmentation take beside the tensors."""

LARGEST_BATCH = 16
"""More segments at once gain nothing: the card is busy long before."""

USUAL_SHARE = 0.75
"""A batch is as large as this share of a card's memory lets it be, whatever else lies there today: another batch rounds
the last bits in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way to compute: `batch_segments` at once on a GPU, or as many segments as `workers` on the CPU.

    A worker is one thread and takes one segment at a time: sums that are split among threads, or over a batch, are
    rounded in another order, and the samples would hang on how much memory and how many cores are free.
    """

    device: str
    batch_segments: int = 1
    workers: int = 1

    def describe(self) -> str:
        if self.device == "cpu":
            return f"CPU, {self.workers} worker(s)"
        return f"{self.device}, {self.batch_segments} segment(s) at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a run takes, in GB (2**30 bytes)."""

    weights_gb: float
    per_segment_gb: float

    def of(self, batch_segments: int) -> float:
        return self.weights_gb + batch_segments * self.per_segment_gb


def ladder(first: Rung, *, cpu_workers: int) -> list[Rung]:
    """The rungs from `first` down: halve the batch to 1, then the CPU with so many workers, then halve those."""
    rungs = [first]
    while first.device != "cpu" and rungs[-1].batch_segments > 1:
        rungs.append(replace(first, batch_segments=rungs[-1].batch_segments // 2))
    if first.device != "cpu":
        rungs.append(Rung(device="cpu", workers=cpu_workers))
    while rungs[-1].workers > 1:
        rungs.append(replace(rungs[-1], workers=rungs[-1].workers // 2))
    return rungs


class Ladder:
    """The rungs in use. `step_down` says in one line what it does, through `note`."""

    def __init__(self, rungs: Sequence[Rung], note: Callable[[str], None]) -> None:
        self._rungs = list(rungs)
        self._note = note

    @property
    def rung(self) -> Rung:
        return self._rungs[0]

    def step_down(self) -> Rung:
        """The next rung; DeviceError when there is none."""
        if len(self._rungs) < 2:
            raise DeviceError(
                f"out of memory even with {self.rung.describe()}; close other programs, ask for a shorter "
                "`segment_s`, or take a smaller model (`model` htdemucs_6s or preview)"
            )
        before = self._rungs.pop(0)
        self._note(f"out of memory with {before.describe()}; going on with {self.rung.describe()}")
        return self.rung


class OnRungs:
    """A separator that computes on the rungs of a ladder, and can compute as an earlier run did."""

    def __init__(self, rungs: Sequence[Rung]) -> None:
        self.rungs = list(rungs)

    @property
    def rung(self) -> Rung:
        """How the next run begins to compute."""
        return self.rungs[0]

    def repeat(self, rung: Rung) -> None:
        """Compute as an earlier run did, if it used the same device: then a resumed run gives the identical samples."""
        if rung.device == self.rung.device:
            most = max((own.workers for own in self.rungs if own.device == "cpu"), default=1)
            self.rungs = ladder(rung, cpu_workers=most)


def batch_for(need: Need, free_gb: float) -> int:
    """The largest power of two of segments that fits beside the weights, at most `LARGEST_BATCH`; 0 when none does."""
    batch = LARGEST_BATCH
    while batch and need.of(batch) + SPARE_GB > free_gb:
        batch //= 2
    return batch


def usual_batch(need: Need, usual_gb: float, free_gb: float, note: Callable[[str], None]) -> int:
    """The batch of this model on this card (`usual_device_gb`); a smaller one, which is said, where less is free today.

    0 when no segment fits.
    """
    usual, fitting = max(1, batch_for(need, usual_gb)), batch_for(need, free_gb)
    if 0 < fitting < usual:
        note(
            f"{free_gb:.1f} GB of the GPU's memory are free: {fitting} segment(s) at once in place of {usual}; the "
            "last bits of the stems can differ from those of a run with more"
        )
    return min(usual, fitting)


def check_headroom(need: Need, free_gb: float, device: str, *, batch_segments: int) -> None:
    """DeviceError, before anything is computed, when the batch cannot fit."""
    wanted = need.of(batch_segments) + SPARE_GB
    if wanted > free_gb:
        raise DeviceError(
            f"{device}: {batch_segments} segment(s) at once need {wanted:.1f} GB ({need.weights_gb:.1f} weights + "
            f"{batch_segments} x {need.per_segment_gb:.1f} + {SPARE_GB:.1f} spare), {free_gb:.1f} GB are free; "
            "close other programs, ask for less (`batch_segments`, `segment_s`), or use `device` cpu"
        )


def cpu_rung(need: Need, free_gb: float, cores: int) -> Rung:
    """One worker for each core as far as memory allows."""
    room = max(1, int((free_gb * 0.7 - need.weights_gb) / max(need.per_segment_gb, 1e-3)))
    return Rung(device="cpu", workers=max(1, min(cores, room)))


def cpu_time_s(cpu_s_per_s: float, length_s: float, cores: int) -> float:
    """What a run takes that needs so much of one core for each second: cores beside each other gain less than they are,
    for which a factor of 0.8 stands."""
    return cpu_s_per_s * length_s / (1.0 if cores < 2 else 0.8 * cores)


def usable_cores() -> int:
    """Cores that this process may use: by its affinity, by the quota of its control groups, by OMP_NUM_THREADS."""
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    limits = [cores, _quota_cores(Path("/")), _threads_asked(os.environ.get("OMP_NUM_THREADS", ""))]
    return max(1, min(limit for limit in limits if limit is not None))


def _threads_asked(text: str) -> int | None:
    """The first number of OMP_NUM_THREADS (it may be a list, one for each level)."""
    first = text.partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def _quota_cores(root: Path) -> int | None:
    """Whole cores that the control groups of this process (v2 or v1) let it use; None without a limit."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        return None
    limits = []
    for _number, controllers, path in (group for group in groups if len(group) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        place = mount / path.lstrip("/")
        for folder in (place, *place.parents):  # a group is bound by those above it
            limits.append(_quota_of(folder, v1=bool(controllers)))
            if folder == mount:
                break
    found = [limit for limit in limits if limit is not None]
    return max(1, math.floor(min(found) + 1e-9)) if found else None


def _quota_of(folder: Path, *, v1: bool) -> float | None:
    """Cores that one control group may use; None without a limit."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if v1 else ("cpu.max",)
    try:
        quota, period = " ".join((folder / name).read_text("ascii") for name in names).split()
        return float(quota) / float(period) if float(quota) > 0 and float(period) > 0 else None
    except (OSError, ValueError):  # not there, or "max"
        return None


def free_host_gb() -> float:
    """Host memory that can be had without swapping; a safe 4 GB where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024.0 / GIB
    except OSError:
        pass
    return 4.0


def free_device_gb(device: str) -> float:
    """Free memory of a CUDA device; for others the host's."""
    if device.startswith("cuda"):
        import torch

        free, _total = torch.cuda.mem_get_info(torch.device(device))
        return float(free) / GIB
    return free_host_gb()


def usual_device_gb(device: str) -> float:
    """The share of a CUDA device that a batch is made for; for others what counts as free (on Apple's 4 GB, always)."""
    if not device.startswith("cuda"):
        return free_device_gb(device)
    import torch

    _free, total = torch.cuda.mem_get_info(torch.device(device))
    return USUAL_SHARE * float(total) / GIB


def rung_of(recorded: Any) -> Rung | None:
    """The way of computing that a journal recorded, if it is one."""
    try:
        return Rung(
            device=str(recorded["device"]),
            batch_segments=int(recorded["batch_segments"]),
            workers=int(recorded["workers"]),
        )
    except (KeyError, TypeError, ValueError):
        return None
