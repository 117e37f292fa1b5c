"""Tiny networks of the community's families as the files that users have: a checkpoint and a YAML config."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from daw_bridge.separation.families.community.config import Config, parse_config
from daw_bridge.separation.families.community.family import CommunityFamily
from daw_bridge.separation.families.mdx23c.family import Mdx23cFamily
from daw_bridge.separation.families.roformer.family import RoformerFamily
from daw_bridge.separation.families.scnet.family import ScnetFamily

FAMILIES: dict[str, CommunityFamily] = {
    "mel": RoformerFamily(),
    "bs": RoformerFamily(),
    "scnet": ScnetFamily(),
    "mdx23c": Mdx23cFamily(),
}

_REST = """
training:
  batch_size: 4
  instruments: [{stems}]
  target_instrument: {target}
  lr: 1.0e-05
  optimizer: adam
  some_new_training_key: !!python/tuple
  - 1
  - 2
augmentations: {{enable: true}}
inference:
  batch_size: 4
  dim_t: 256
  num_overlap: {overlaps}
"""

_MODELS = {
    "mel": """
audio: {chunk_size: 8820, hop_length: 441, num_channels: 2, sample_rate: 44100}
model:
  dim: 16
  depth: 1
  stereo: true
  num_stems: COUNT
  time_transformer_depth: 1
  freq_transformer_depth: 1
  num_bands: 20
  dim_head: 8
  heads: 2
  attn_dropout: 0
  flash_attn: True
  dim_freqs_in: 257
  sample_rate: 44100
  stft_n_fft: 512
  stft_hop_length: 147
  stft_win_length: 512
  stft_normalized: False
  mask_estimator_depth: 2
  multi_stft_resolutions_window_sizes: !!python/tuple
  - 4096
  - 256
""",
    "bs": """
audio: {chunk_size: 8192, num_channels: 2, sample_rate: 44100}
model:
  dim: 16
  depth: 1
  stereo: true
  num_stems: COUNT
  time_transformer_depth: 1
  freq_transformer_depth: 1
  linear_transformer_depth: 0
  freqs_per_bands: !!python/tuple
  - 4
  - 12
  - 113
  dim_head: 8
  heads: 2
  stft_n_fft: 256
  stft_hop_length: 64
  stft_win_length: 256
  mask_estimator_depth: 2
""",
    "scnet": """
audio: {chunk_size: 8192, num_channels: 2, sample_rate: 44100}
model:
  dims: [4, 8, 8, 8]
  nfft: 512
  hop_size: 128
  win_size: 512
  normalized: True
  band_SR: [0.23, 0.37, 0.4]
  band_stride: [1, 4, 4]
  band_kernel: [3, 4, 4]
  conv_depths: [1, 1, 1]
  num_dplayer: 2
""",
    "mdx23c": """
audio: {chunk_size: 8064, dim_f: 128, dim_t: 64, hop_length: 128, n_fft: 512, num_channels: 2, sample_rate: 44100}
model:
  act: gelu
  bottleneck_factor: 4
  growth: 4
  norm: InstanceNorm
  num_blocks_per_scale: 1
  num_channels: 8
  num_scales: 2
  num_subbands: 4
  scale: [2, 2]
""",
}


def config_text(kind: str, stems: tuple[str, ...], *, target: str | None = None, overlaps: int = 2) -> str:
    """A config as the community writes them."""
    count = 1 if target else len(stems)
    rest = _REST.format(stems=", ".join(stems), target=target or "null", overlaps=overlaps)
    return _MODELS[kind].replace("COUNT", str(count)) + rest


def network_of(kind: str, config: Config, *, seed: int = 0, masked: bool = False) -> nn.Module:
    """A network with random weights, as it is before it is made ready."""
    family = FAMILIES[kind]
    torch.manual_seed(seed)
    return family.build(family.read(config), {"pos_embed_f": torch.zeros(1)} if masked else {})


def write_model(
    folder: Path,
    kind: str = "mel",
    stems: tuple[str, ...] = ("vocals", "other"),
    *,
    target: str | None = None,
    overlaps: int = 2,
    seed: int = 0,
    name: str = "tiny",
) -> tuple[Path, Path]:
    """A checkpoint and its config in `folder`."""
    text = config_text(kind, stems, target=target, overlaps=overlaps)
    checkpoint, config = folder / f"{name}.ckpt", folder / f"{name}.yaml"
    config.write_text(text, encoding="utf-8")
    torch.save({"state_dict": network_of(kind, parse_config(text, "tiny"), seed=seed).state_dict()}, checkpoint)
    return checkpoint, config
