"""Which device a run computes on, and the ladder of ways to compute on it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from daw_bridge.errors import DeviceError
from daw_bridge.separation.engine.memory import (
    Need,
    Rung,
    check_headroom,
    cpu_rung,
    free_device_gb,
    free_host_gb,
    ladder,
    usable_cores,
    usual_batch,
    usual_device_gb,
)


def choose_rungs(need: Need, device: str, batch_segments: int | None, note: Callable[[str], None]) -> list[Rung]:
    """The ladder for a device ("auto", "cpu", "cuda", "cuda:1", "mps"), after the check of its free memory."""
    cores = usable_cores()
    chosen = pick_device(device)
    if chosen != "cpu":
        free_gb = free_device_gb(chosen)
        batch = batch_segments or usual_batch(need, usual_device_gb(chosen), free_gb, note)
        if batch == 0 and device == "auto":
            note(f"{chosen} has {free_gb:.1f} GB free, {need.of(1):.1f} GB are needed; computing on the CPU")
        else:
            check_headroom(need, free_gb, chosen, batch_segments=max(1, batch))
            workers = cpu_rung(need, free_host_gb(), cores).workers
            return ladder(Rung(device=chosen, batch_segments=batch), cpu_workers=workers)
    free_gb = free_host_gb()
    if need.of(1) > free_gb:
        raise DeviceError(
            f"one segment needs {need.of(1):.1f} GB of memory and {free_gb:.1f} GB are free; "
            "close other programs, ask for a shorter `segment_s`, or take a smaller model"
        )
    first = cpu_rung(need, free_gb, cores)
    if first.workers < cores:
        note(f"{free_gb:.1f} GB of memory are free, enough for {first.workers} of {cores} cores")
    return ladder(first, cpu_workers=first.workers)


def pick_device(device: str) -> str:
    """The device that a name means on this machine ("auto" may be any). Raises DeviceError."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    known = usable_devices(torch.cuda.device_count(), mps=torch.backends.mps.is_available())
    if device not in known:
        raise DeviceError(f"there is no device {device!r} on this machine; usable: auto, {', '.join(known)}")
    return device


def usable_devices(cuda_count: int, *, mps: bool) -> list[str]:
    """The names of the devices of a machine."""
    cuda = ["cuda", *(f"cuda:{index}" for index in range(cuda_count))] if cuda_count else []
    return ["cpu", *cuda, *(["mps"] if mps else [])]
