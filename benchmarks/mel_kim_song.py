"""A 48 kHz mix of odd length through Kim's published config with random weights: exact length, and how deep it nulls.

    python -m benchmarks.mel_kim_song [--samples 60001]

The published weights are not at hand; the network has their size, the config is the one that is published with them.
About 70 processor seconds: one chunk of 8 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

BAR_DB = -120.0
CONFIG = """
audio: {chunk_size: 352800, dim_f: 1024, dim_t: 256, hop_length: 441, n_fft: 2048, num_channels: 2, sample_rate: 44100,
  min_mean_abs: 0.000}
model:
  dim: 384
  depth: 6
  stereo: true
  num_stems: 1
  time_transformer_depth: 1
  freq_transformer_depth: 1
  num_bands: 60
  dim_head: 64
  heads: 8
  attn_dropout: 0
  ff_dropout: 0
  flash_attn: True
  dim_freqs_in: 1025
  sample_rate: 44100
  stft_n_fft: 2048
  stft_hop_length: 441
  stft_win_length: 2048
  stft_normalized: False
  mask_estimator_depth: 2
  multi_stft_resolution_loss_weight: 1.0
  multi_stft_resolutions_window_sizes: !!python/tuple
  - 4096
  - 2048
  multi_stft_hop_size: 147
  multi_stft_normalized: False
training: {batch_size: 1, instruments: [vocals, other], target_instrument: vocals, lr: 1.0e-05}
inference: {batch_size: 1, dim_t: 256, num_overlap: 2}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=60_001)
    args = parser.parse_args()
    import numpy as np
    import torch

    from daw_bridge.audio.null import null_depth_db
    from daw_bridge.audio.writer import AudioWriter
    from daw_bridge.separation.families.community.config import parse_config
    from daw_bridge.separation.families.roformer.family import RoformerFamily
    from daw_bridge.separation.options import SeparationOptions
    from daw_bridge.separation.separate import separate

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        checkpoint, config, mix = folder / "kim.ckpt", folder / "kim.yaml", folder / "mix.wav"
        config.write_text(CONFIG)
        family = RoformerFamily()
        torch.manual_seed(0)
        torch.save(family.build(family.read(parse_config(CONFIG, "kim")), {}).state_dict(), checkpoint)
        sound = np.random.default_rng(0).normal(0.0, 0.1, (2, args.samples)).astype(np.float32)
        with AudioWriter(mix, sample_rate_hz=48_000, channels=2) as writer:
            writer.write(sound)
        begun = time.process_time()
        result = separate(
            mix, folder / "out", SeparationOptions(device="cpu", checkpoint=checkpoint, config=config, batch_segments=1)
        )
        depth_db = null_depth_db(mix, [stem.path for stem in result.stems.stems])
        lengths = sorted({stem.length_samples for stem in result.stems.stems})
        names = [stem.name for stem in result.stems.stems]
    row = {"stems": names, "samples": lengths, "null_db": round(depth_db, 1), "bar_db": BAR_DB}
    print(json.dumps({**row, "cpu_s": round(time.process_time() - begun, 1)}))
    return 0 if depth_db <= BAR_DB and lengths == [args.samples] else 1


if __name__ == "__main__":
    sys.exit(main())
