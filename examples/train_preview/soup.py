"""Average the weights of several moments of one run, which often separate better than each of them.

    python examples/train_preview/soup.py RUN/best.safetensors RUN/average.safetensors --target RUN/soup.safetensors

After M. Wortsman and others, "Model soups" (ICML 2022, arXiv 2203.05482). Only for weights that descend from the same
ones; `export.py --run RUN --weights soup.safetensors` ships the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--target", type=Path, required=True)
    args = parser.parse_args()
    moments = [load_file(path) for path in args.weights]
    save_file({name: torch.stack([each[name] for each in moments]).mean(0) for name in moments[0]}, args.target)


if __name__ == "__main__":
    main()
