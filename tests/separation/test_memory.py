"""Memory runs out at every step of the ladder: samples and finished work stay, a person hears one line a step."""

from __future__ import annotations

import gc
import resource
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from daw_bridge.build_options import BuildOptions
from daw_bridge.errors import DeviceError
from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.engine import memory
from daw_bridge.separation.engine.devices import choose_rungs, usable_devices
from daw_bridge.separation.engine.memory import (
    LARGEST_BATCH,
    USUAL_SHARE,
    Need,
    Rung,
    batch_for,
    cpu_rung,
    ladder,
    usable_cores,
)
from daw_bridge.separation.engine.runners import is_out_of_memory
from daw_bridge.separation.engine.separator import ArraySource
from daw_bridge.separation.engine.speed import kept_memory, plain_attention, strict_fp32
from daw_bridge.separation.families.demucs.bag import Bag
from daw_bridge.separation.families.demucs.separator import DemucsSeparator, Plan
from daw_bridge.workflow.batch import SongOutcome, run_batch
from daw_bridge.workflow.ledger import Ledger
from tests.separation.test_run import write_mix
from tests.separation.test_weights import package
from tests.separation.tiny import noise, run, tiny_bag, tiny_module, tiny_separator
from tests.sweeps import sweep

BESIDE = "cpu:0"
"""The CPU through the code that drives a GPU: batches, moving the networks, the way back to the CPU."""


class Greedy(nn.Module):
    """A network that cannot take more than `most` segments at once, or that fails at given calls."""

    def __init__(
        self, inner: nn.Module, *, most: int = 99, fail_at: Sequence[int] = (), error: type = MemoryError
    ) -> None:
        super().__init__()
        self.inner, self.most, self.fail_at, self.error = inner, most, set(fail_at), error
        self.calls = [0]
        self.batches: list[int] = []

    def __copy__(self) -> Greedy:
        return self  # every worker's replica counts together

    def forward(self, mix: Tensor) -> Tensor:
        self.calls[0] += 1
        if len(mix) > self.most or self.calls[0] in self.fail_at:
            raise self.error("injected")
        self.batches.append(len(mix))
        output: Tensor = self.inner(mix)
        return output


def greedy_separator(rungs: Sequence[Rung], notes: list[str], **limits: Any) -> tuple[DemucsSeparator, Greedy, Bag]:
    bag = tiny_bag([tiny_module("htdemucs")])
    separator = DemucsSeparator("tiny", bag, Plan(), rungs, notes.append)
    greedy = Greedy(separator._modules[0], **limits)
    separator._modules[0] = greedy
    return separator, greedy, bag


MIX = noise(40_000)


@cache
def whole() -> np.ndarray:
    """The stems of a run in which nothing happens."""
    return run(tiny_separator(tiny_bag([tiny_module("htdemucs")])), MIX)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
@pytest.mark.parametrize("most", [4, 2, 1])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(most: int, error: type) -> None:
    notes: list[str] = []
    rungs = ladder(Rung(device=BESIDE, batch_segments=8), cpu_workers=1)
    separator, greedy, _ = greedy_separator(rungs, notes, most=most, error=error)
    assert np.abs(run(separator, MIX) - whole()).max() <= 1e-5
    assert max(greedy.batches) == most
    assert len(notes) == {4: 1, 2: 2, 1: 3}[most]
    assert (
        notes[0] == f"out of memory with {BESIDE}, 8 segment(s) at once; going on with {BESIDE}, 4 segment(s) at once"
    )


@pytest.mark.parametrize("call", [1, 2, 3])
def test_memory_that_runs_out_midway_repeats_only_what_was_under_way(call: int) -> None:
    """Segments that are finished are not computed again."""
    notes: list[str] = []
    separator, greedy, _ = greedy_separator(
        ladder(Rung(device=BESIDE, batch_segments=2), cpu_workers=1),
        notes,
        fail_at=(call,),
        error=torch.OutOfMemoryError,
    )
    assert np.abs(run(separator, MIX) - whole()).max() <= 1e-5
    assert len(notes) == 1
    segments = -(-MIX.shape[1] // 3000)
    assert sum(greedy.batches) <= segments + 2, "at most the batch under way is done twice"


def test_the_last_step_is_the_cpu() -> None:
    """One segment does not fit on the device either."""
    notes: list[str] = []
    separator, _, _ = greedy_separator(
        ladder(Rung(device=BESIDE, batch_segments=2), cpu_workers=1),
        notes,
        fail_at=(1, 2),
        error=torch.OutOfMemoryError,
    )
    assert np.abs(run(separator, MIX) - whole()).max() <= 1e-5
    assert notes[-1].endswith("going on with CPU, 1 worker(s)")
    assert len(notes) == 2


def test_fewer_workers_before_giving_up_on_the_cpu() -> None:
    notes: list[str] = []
    separator, _, _ = greedy_separator(ladder(Rung(device="cpu", workers=2), cpu_workers=1), notes, fail_at=(2,))
    assert np.abs(run(separator, MIX) - whole()).max() <= 1e-5
    assert notes == ["out of memory with CPU, 2 worker(s); going on with CPU, 1 worker(s)"]


def test_when_nothing_is_left_the_error_says_what_to_do() -> None:
    notes: list[str] = []
    separator, _, _ = greedy_separator(ladder(Rung(device=BESIDE, batch_segments=2), cpu_workers=1), notes, most=0)
    with pytest.raises(DeviceError, match=r"out of memory even with CPU.*`segment_s`.*smaller model"):
        run(separator, MIX)
    assert len(notes) == 2


def test_samples_before_the_failure_are_kept_through_the_ladder() -> None:
    """What was emitted before memory ran out is emitted once, and the rest follows without a gap."""
    blocks: list[Any] = []
    notes: list[str] = []
    separator, greedy, _ = greedy_separator(
        ladder(Rung(device=BESIDE, batch_segments=2), cpu_workers=1), notes, fail_at=(6,)
    )
    counts: list[int] = []

    def emit(block: Any) -> None:
        blocks.append(block)
        counts.append(greedy.calls[0])

    separator.run(ArraySource(MIX), emit, on_progress=ignore_progress, cancel=CancelToken())
    assert counts[0] < 6 < counts[-1]
    assert np.abs(np.concatenate(blocks, -1) - whole()).max() <= 1e-5


def test_other_errors_are_not_taken_for_memory() -> None:
    separator, _, _ = greedy_separator([Rung(device="cpu", workers=2)], [], fail_at=(1,), error=RuntimeError)
    with pytest.raises(RuntimeError, match="injected"):
        run(separator, MIX)


def test_batches_are_as_large_as_the_free_memory_allows() -> None:
    need = Need(weights_gb=0.6, per_segment_gb=0.9)
    assert batch_for(need, 200.0) == LARGEST_BATCH
    assert batch_for(need, 6.0) == 4
    assert batch_for(need, 2.2) == 1
    assert batch_for(need, 2.0) == 0


def test_the_batch_of_a_model_on_a_card_is_the_same_whatever_else_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of 20 GB, said to have so much free: sums over another batch are rounded in another order."""
    devices = "daw_bridge.separation.engine.devices."
    monkeypatch.setattr(devices + "pick_device", lambda _device: "cuda")
    monkeypatch.setattr(devices + "usual_device_gb", lambda _device: USUAL_SHARE * 20.0)
    need, notes = Need(weights_gb=0.6, per_segment_gb=0.9), list[str]()

    def batch(free_gb: float, asked: int | None = None) -> int:
        monkeypatch.setattr(devices + "free_device_gb", lambda _device: free_gb)
        return choose_rungs(need, "auto", asked, notes.append)[0].batch_segments

    assert {batch(free_gb) for free_gb in (20.0, 16.0, 10.0)} == {8} and not notes
    assert batch(20.0, asked=2) == 2 and not notes
    assert batch(6.0) == 4
    assert notes == [
        "6.0 GB of the GPU's memory are free: 4 segment(s) at once in place of 8; the last bits of the stems can "
        "differ from those of a run with more"
    ]
    assert choose_rungs(need, "auto", None, notes.append)[0].device == "cuda"
    monkeypatch.setattr(devices + "free_device_gb", lambda _device: 2.0)
    assert choose_rungs(need, "auto", None, notes.append)[0].device == "cpu", "no segment fits"
    with pytest.raises(DeviceError, match="cuda: 1 segment"):
        choose_rungs(need, "cuda", None, notes.append)


def test_cpu_workers_follow_cores_and_memory() -> None:
    need = Need(weights_gb=0.6, per_segment_gb=0.9)
    assert cpu_rung(need, 64.0, 8) == Rung(device="cpu", workers=8)
    assert cpu_rung(need, 4.0, 8) == Rung(device="cpu", workers=2)
    assert cpu_rung(need, 1.0, 8) == Rung(device="cpu", workers=1)


def test_too_little_host_memory_is_refused_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daw_bridge.separation.engine.devices.free_host_gb", lambda: 1.0)
    with pytest.raises(DeviceError, match=r"needs 1\.5 GB of memory and 1\.0 GB are free"):
        choose_rungs(Need(weights_gb=0.6, per_segment_gb=0.9), "cpu", None, print)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"), True),
        (RuntimeError("NNPACK SpatialConvolution_updateOutput failed"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory"), True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_every_way_to_say_that_memory_ran_out_is_understood(error: Exception, full: bool) -> None:
    assert is_out_of_memory(error) == full


def test_a_gpu_that_is_not_there_is_not_usable() -> None:
    assert usable_devices(2, mps=False) == ["cpu", "cuda", "cuda:0", "cuda:1"]
    assert usable_devices(0, mps=True) == ["cpu", "mps"]


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"no device 'cuda:7'.*usable: auto, cpu"):
        choose_rungs(Need(weights_gb=0.1, per_segment_gb=0.1), "cuda:7", None, print)


class Witness(nn.Module):
    """Writes down the process-wide switches as they stand inside a forward."""

    def __init__(self, inner: nn.Module, seen: list[tuple[object, ...]]) -> None:
        super().__init__()
        self.inner, self.seen = inner, seen

    def forward(self, mix: Tensor) -> Tensor:
        self.seen.append(
            (
                torch.backends.cudnn.allow_tf32,
                torch.backends.cuda.matmul.allow_tf32,
                torch.get_float32_matmul_precision(),
                torch.backends.mha.get_fastpath_enabled(),
                torch.is_inference_mode_enabled(),
            )
        )
        output: Tensor = self.inner(mix)
        return output


@pytest.mark.parametrize("allow_tf32", [False, True])
def test_networks_run_in_strict_float32_and_the_switches_are_put_back(allow_tf32: bool) -> None:
    before = (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision(), torch.get_num_threads())
    assert before[0], "PyTorch's default lets cuDNN use TF32: otherwise this test proves nothing"
    seen: list[tuple[object, ...]] = []
    separator = tiny_separator(tiny_bag([tiny_module("htdemucs")]), allow_tf32=allow_tf32)
    separator._modules[0] = Witness(separator._modules[0], seen)
    run(separator, noise(9_000))
    expected = (allow_tf32, allow_tf32, "high" if allow_tf32 else "highest", False, True)
    assert set(seen) == {expected}
    assert (
        torch.backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision(),
        torch.get_num_threads(),
    ) == before
    assert torch.backends.mha.get_fastpath_enabled()


def test_switches_are_put_back_after_an_error() -> None:
    with pytest.raises(KeyError), strict_fp32(), plain_attention(), kept_memory():
        raise KeyError
    assert torch.backends.cudnn.allow_tf32
    assert torch.backends.mha.get_fastpath_enabled()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the resident size from /proc")
@pytest.mark.parametrize("count", sweep([40], [100]))
def test_memory_does_not_grow_over_the_songs_of_a_batch(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way of a batch, with one load of a Demucs network; the songs differ in length, as songs do."""
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    torch.save(package("htdemucs"), tmp_path / "htdemucs.th")
    songs = [
        write_mix(tmp_path / f"song{number}.wav", noise(3_000 + 90 * (number * 37 % 100), seed=number), 8_000)
        for number in range(count)
    ]
    options = BuildOptions(
        model="htdemucs", weights=tmp_path / "htdemucs.th", device="cpu", daws=(), use_cache=False, template="neutral"
    )
    outcomes: list[SongOutcome] = []
    sizes_mb: list[float] = []

    def weigh(outcome: SongOutcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) % 5 == 0:  # the collection takes longer than the song
            gc.collect()
            sizes_mb.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6)

    run_batch(songs, options, Ledger(tmp_path / "ledger.sqlite"), on_song=weigh)
    assert len(outcomes) == count
    assert not any(outcome.error for outcome in outcomes)
    assert max(sizes_mb[-4:]) - max(sizes_mb[:4]) < 8.0


def cgroups(root: Path, lines: str, files: dict[str, str]) -> Path:
    """A root folder with the control groups of this process."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(lines)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("lines", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "250000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/job/step\n", {"job/cpu.max": "400000 100000", "job/step/cpu.max": "max 100000"}, 4),
        ("0::/job/step\n", {"job/cpu.max": "400000 100000", "job/step/cpu.max": "300000 100000"}, 3),
        (
            "4:cpu,cpuacct:/a\n3:memory:/a\n",
            {"cpu/a/cpu.cfs_quota_us": "600000", "cpu/a/cpu.cfs_period_us": "100000"},
            6,
        ),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("nonsense", {}, None),
    ],
)
def test_a_quota_of_the_control_groups_is_known(
    tmp_path: Path, lines: str, files: dict[str, str], cores: int | None
) -> None:
    assert memory._quota_cores(cgroups(tmp_path, lines, files)) == cores


def test_without_control_groups_there_is_no_quota(tmp_path: Path) -> None:
    assert memory._quota_cores(tmp_path) is None


@pytest.mark.parametrize(("asked", "most"), [("1", 1), ("1,4", 1), ("", None), ("many", None), ("0", None)])
def test_omp_num_threads_is_heard(monkeypatch: pytest.MonkeyPatch, asked: str, most: int | None) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    free = usable_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert usable_cores() == (most or free)
