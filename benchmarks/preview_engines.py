"""What one hop of the live model costs on one core, by engine; and how fast a whole song is separated offline.

    python -m benchmarks.preview_engines [--hops 2000] [--song-s 240]

A hop is 512 samples, 11.6 ms: window, FFT, network, inverse FFT, overlap-add, from Python. "wall" is time on the clock,
which other programs on the machine disturb; "CPU" is time that the thread really computed.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from daw_bridge.progress import CancelToken, ignore_progress
from daw_bridge.separation.families.band_split.bundled import WEIGHTS_FOLDER
from daw_bridge.separation.families.band_split.causal import PreviewSeparator, load_look_ahead, load_net
from daw_bridge.separation.families.band_split.onnx_engine import OnnxEngine
from daw_bridge.separation.families.band_split.streaming import Engine, FloatArray, NetworkState, StreamingModel
from daw_bridge.separation.families.band_split.torch_engine import TorchEngine

RATE_HZ = 44_100


class TracedEngine(TorchEngine):
    """The network traced by TorchScript; only here, to be compared."""

    name = "TorchScript"

    def __init__(self) -> None:
        super().__init__(load_net())

        class Step(torch.nn.Module):
            def __init__(self, net: torch.nn.Module) -> None:
                super().__init__()
                self.net = net

            def forward(
                self, spectrum: torch.Tensor, h: torch.Tensor, c: torch.Tensor
            ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
                stems, (h, c) = self.net(spectrum, (h, c))
                return stems, h, c

        h, c = self._net.initial_state()
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            self._traced = torch.jit.trace(Step(self._net), (torch.randn(1, 1, 4, self.config.bins), h, c))

    def run(self, spectrum: FloatArray, state: NetworkState) -> tuple[FloatArray, NetworkState]:
        with torch.inference_mode():
            inputs = (torch.from_numpy(spectrum[None]), torch.from_numpy(state[0]), torch.from_numpy(state[1]))
            estimates, h, c = self._traced(*inputs)
        return estimates[0].numpy(), (h.numpy(), c.numpy())


def eager() -> Engine:
    return TorchEngine(load_net())


def onnx() -> Engine:
    return OnnxEngine(WEIGHTS_FOLDER / "preview.onnx")


def time_hops(engine: Engine, hops: int) -> tuple[np.ndarray, np.ndarray]:
    """(wall, CPU) seconds of each hop, the first twenty left out."""
    model = StreamingModel(engine)
    state = model.initial_state()
    blocks = np.random.default_rng(0).normal(0, 0.1, (hops + 20, 2, model.config.hop_samples)).astype(np.float32)
    wall, cpu = [], []
    for block in blocks:
        wall_start, cpu_start = time.perf_counter(), time.thread_time()
        _, state = model.step(block, state)
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.thread_time() - cpu_start)
    return np.array(wall[20:]), np.array(cpu[20:])


class Noise:
    """A song of noise, made as it is read."""

    def __init__(self, length_samples: int) -> None:
        self.length_samples, self._left = length_samples, length_samples
        self._block = np.random.default_rng(1).normal(0, 0.1, (2, 1 << 18)).astype(np.float32)

    def seek(self, position_samples: int) -> None:
        self._left = self.length_samples - position_samples

    def read(self, count_samples: int) -> FloatArray:
        count = min(count_samples, self._left, 1 << 18)
        self._left -= count
        return self._block[:, :count]


def time_song(song_s: float, threads: int) -> tuple[float, float]:
    """(wall, CPU) seconds to separate a song offline."""
    separator = PreviewSeparator(load_net(), look_ahead=load_look_ahead(), threads=threads)
    wall, cpu = time.perf_counter(), time.process_time()
    source = Noise(int(song_s * RATE_HZ))
    separator.run(source, lambda _: None, on_progress=ignore_progress, cancel=CancelToken())
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hops", type=int, default=2000)
    parser.add_argument("--song-s", type=float, default=240.0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    budget_ms = 512 / RATE_HZ * 1e3
    makers: dict[str, Callable[[], Engine]] = {"torch eager": eager, "TorchScript": TracedEngine, "ONNX Runtime": onnx}
    print(f"| engine, one core, budget {budget_ms:.1f} ms | wall p50 / p99 ms | CPU p50 / p99 ms | RTF (CPU) |")
    print("|---|---|---|---|")
    for name, make in makers.items():
        wall, cpu = (1e3 * times for times in time_hops(make(), args.hops))
        (w50, w99), (c50, c99) = np.percentile(wall, (50, 99)), np.percentile(cpu, (50, 99))
        print(f"| {name} | {w50:.2f} / {w99:.2f} | {c50:.2f} / {c99:.2f} | {cpu.mean() / budget_ms:.3f} |", flush=True)
    for threads in (1, 2):
        wall_s, cpu_s = time_song(args.song_s, threads)
        faster = args.song_s / wall_s
        print(
            f"offline, {args.song_s:.0f} s song, {threads} threads: {wall_s:.1f} s ({faster:.1f} x), CPU {cpu_s:.1f} s"
        )


if __name__ == "__main__":
    main()
