"""Peak host memory of an ensemble of three against each of its members alone, bar 1.1 of the slowest.

    python -m benchmarks.ensemble_memory [--seconds 15] [--only scnet,ensemble] [--small]

The members have the published widths, bands and chunks, which decide the memory, and random weights; SCNet and the
RoFormer have fewer layers than published, which only decide the time. `--small` takes tiny networks: it shows that the
program runs. Each run is a process of its own with one thread, and the figure is its peak resident size (VmHWM).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BAR = 1.1
CHILD = """
import re, sys, time
from pathlib import Path
import torch
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.separate import separate
torch.set_num_threads(1)
given = {"ensemble": sys.argv[1]} if "," in sys.argv[1] else {"model": sys.argv[1]}
result = separate(Path(sys.argv[2]), Path(sys.argv[3]), SeparationOptions(device="cpu", batch_segments=1, **given))
assert result.null_depth_db <= -120.0, result.null_depth_db
peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024.0
print(peak, time.process_time())
"""
_REST = """
training: {instruments: [drums, bass, other, vocals], target_instrument: null}
inference: {num_overlap: 2}
"""
CONFIGS = {
    "scnet": """
audio: {chunk_size: 485100, num_channels: 2, sample_rate: 44100}
model:
  dims: [4, 64, 128, 256]
  band_SR: [0.23, 0.37, 0.4]
  band_stride: [1, 4, 4]
  band_kernel: [3, 4, 4]
  conv_depths: [3, 3, 3]
  num_dplayer: 2
""",
    "mel": """
audio: {chunk_size: 352800, num_channels: 2, sample_rate: 44100}
model:
  dim: 384
  depth: 1
  stereo: true
  num_stems: 4
  time_transformer_depth: 1
  freq_transformer_depth: 1
  num_bands: 60
  dim_head: 64
  heads: 8
  stft_hop_length: 441
  mask_estimator_depth: 2
""",
    "mdx23c": """
audio: {chunk_size: 261632, dim_f: 1024, dim_t: 512, hop_length: 512, n_fft: 2048, num_channels: 2, sample_rate: 44100}
model:
  act: gelu
  bottleneck_factor: 4
  growth: 128
  norm: InstanceNorm
  num_blocks_per_scale: 1
  num_channels: 128
  num_scales: 5
  num_subbands: 4
  scale: [2, 2]
""",
}


def make_models(folder: Path, *, small: bool) -> list[str]:
    """Three models of one's own in the settings of `folder`; their names."""
    import torch

    from daw_bridge.separation.families.community.config import parse_config
    from daw_bridge.separation.families.community.family import CommunityFamily
    from daw_bridge.separation.families.mdx23c.family import Mdx23cFamily
    from daw_bridge.separation.families.own import add_own_model
    from daw_bridge.separation.families.roformer.family import RoformerFamily
    from daw_bridge.separation.families.scnet.family import ScnetFamily
    from daw_bridge.separation.model_info import Licence

    families: dict[str, CommunityFamily] = {"scnet": ScnetFamily(), "mel": RoformerFamily(), "mdx23c": Mdx23cFamily()}
    for kind, text in CONFIGS.items():
        if small:
            from tests.separation.tiny_community import config_text

            text = config_text(kind, ("drums", "bass", "other", "vocals"))  # noqa: PLW2901
        else:
            text += _REST  # noqa: PLW2901
        torch.manual_seed(0)
        network = families[kind].build(families[kind].read(parse_config(text, kind)), {})
        checkpoint, config = folder / f"{kind}.ckpt", folder / f"{kind}.yaml"
        config.write_text(text)
        torch.save(network.state_dict(), checkpoint)
        add_own_model(kind, checkpoint, config, licence_class=Licence.CLEAR)
    return [*CONFIGS]


def measured(models: str, mix: Path, folder: Path) -> tuple[float, float]:
    """Peak resident MB and processor seconds of a separation in a process of its own."""
    command = [sys.executable, "-c", CHILD, models, str(mix), str(folder / "out" / models)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak_mb, seconds = done.stdout.split()[-2:]
    return float(peak_mb), float(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0, help="length of the mix")
    parser.add_argument("--only", default="", help="some of scnet, mel, mdx23c, ensemble; no ratio then")
    parser.add_argument("--small", action="store_true", help="tiny networks")
    args = parser.parse_args()
    import numpy as np

    from daw_bridge.audio.writer import AudioWriter

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["DAW_BRIDGE_CONFIG"] = str(folder / "settings")
        names = make_models(folder, small=args.small)
        mix = folder / "mix.wav"
        sound = np.random.default_rng(0).normal(0.0, 0.1, (2, int(args.seconds * 44_100))).astype(np.float32)
        with AudioWriter(mix, sample_rate_hz=44_100, channels=2) as writer:
            writer.write(sound)
        found: dict[str, tuple[float, float]] = {}
        for name in args.only.split(",") if args.only else [*names, "ensemble"]:
            found[name] = measured(",".join(names) if name == "ensemble" else name, mix, folder)
            row = {"model": name, "peak_mb": round(found[name][0]), "cpu_s": round(found[name][1], 1)}
            print(json.dumps(row), flush=True)
    if args.only:
        return 0
    slowest = max(names, key=lambda name: found[name][1])
    ratio = found["ensemble"][0] / found[slowest][0]
    print(json.dumps({"slowest": slowest, "ratio": round(ratio, 3), "bar": BAR}))
    return 1 if ratio > BAR else 0


if __name__ == "__main__":
    sys.exit(main())
