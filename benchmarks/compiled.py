"""Does torch.compile pay on the CPU? One htdemucs segment (7.8 s), our eager network against the compiled one.

    python -m benchmarks.compiled [--repeats 3]

Eager is the network as the engine prepares it; compiled is the demucs package's own, whose operations the compiler is
left to fuse. Both on one thread, in turn; processor time does not depend on what else the machine does. The figure that
decides: how much audio must be separated before the compilation has paid for itself.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

from benchmarks.peer_models import RATE_HZ, network
from daw_bridge.separation.engine.speed import kept_memory, plain_attention, strict_fp32
from daw_bridge.separation.families.demucs.networks import Network, prepare

SEGMENT_S = 7.8
STRIDE_S = SEGMENT_S * 0.75


def cpu_s(work: Callable[[], object]) -> float:
    """Processor seconds of this process and of the compilers that it has waited for."""
    import os

    before = os.times()
    work()
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    prepared = Network.of(network("htdemucs", 0))
    prepare(prepared)
    module = prepared.module
    stock = network("htdemucs", 0).eval()
    mix = torch.randn(1, 2, int(SEGMENT_S * RATE_HZ))
    with strict_fp32(), plain_attention(), kept_memory(), torch.inference_mode():
        compiled = torch.compile(stock)
        began = time.monotonic()
        compile_cpu_s = cpu_s(lambda: compiled(mix))
        compile_wall_s = time.monotonic() - began
        worst = float((compiled(mix) - module(mix)).abs().max())
        pairs = [(cpu_s(lambda: module(mix)), cpu_s(lambda: compiled(mix))) for _ in range(args.repeats)]
    eager_s, compiled_s = (statistics.median(times) for times in zip(*pairs, strict=True))
    saved_s = eager_s - compiled_s
    result = {
        "eager_cpu_s": [round(pair[0], 2) for pair in pairs],
        "compiled_cpu_s": [round(pair[1], 2) for pair in pairs],
        "ratio_of_medians": round(eager_s / compiled_s, 3),
        "compile_cpu_s": round(compile_cpu_s, 1),
        "compile_wall_s": round(compile_wall_s, 1),
        "pays_after_minutes_of_audio": round(compile_cpu_s / saved_s * STRIDE_S / 60, 1) if saved_s > 0 else None,
        "largest_difference": worst,
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
