"""How the files beside this one were made, with the real package diffq; not run by any test.

diffq is CC BY-NC 4.0 and no dependency: install it into a virtual environment of its own, with demucs and torch; then

    python make_golden.py              # with diffq 0.2.4, then again with 0.2.0

`NAME.th` is what demucs.states.serialize_model makes of a network whose weights are quantised; expected.json holds the
sha256 over the float32 bytes of all parameters, in order, after diffq's own `restore_quantized_state`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import diffq  # type: ignore[import-not-found]  # not installed here: its licence
import numpy as np
import torch
from demucs.hdemucs import HDemucs

SOURCES = ["drums", "bass", "other", "vocals"]
SHAPE: dict[str, Any] = {"channels": 4, "depth": 3, "nfft": 64, "samplerate": 8000, "segment": 0.7, "cac": False}
HERE = Path(__file__).resolve().parent
MIN_SIZE_MB = 0.003
EXPECTED = HERE / "expected.json"


def network() -> Any:
    torch.manual_seed(5)
    module = HDemucs(SOURCES, **SHAPE)
    for name, parameter in module.named_parameters():
        if name.endswith(".scale"):
            parameter.data.fill_(0.3)
    return module


def save(name: str, module: Any, state: dict[str, Any]) -> None:
    """The checkpoint, and what diffq itself makes of it in a fresh network."""
    args, kwargs = module._init_args_kwargs
    state["__quantized"] = True
    torch.save({"klass": HDemucs, "args": args, "kwargs": kwargs, "state": state}, HERE / f"{name}.th")
    fresh = network()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    diffq.restore_quantized_state(fresh, state)
    digest = hashlib.sha256()
    for parameter in fresh.parameters():
        digest.update(np.ascontiguousarray(parameter.detach().float().numpy()).tobytes())
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    EXPECTED.write_text(json.dumps({**expected, name: digest.hexdigest()}, indent=1, sort_keys=True) + "\n")


def diffq_state(*, float16: bool, **how: bool) -> tuple[Any, dict[str, Any]]:
    """Groups of 4 to 10 bits, as training leaves them (diffq loses groups of 15 bits when it packs them)."""
    module = network()
    quantiser = diffq.DiffQuantizer(module, min_size=MIN_SIZE_MB, group_size=4, float16=float16)
    for entry in quantiser._qparams:
        with torch.no_grad():
            entry.logit.copy_(torch.linspace(-1.6, 0.6, entry.logit.numel()).view_as(entry.logit))
    return module, quantiser.get_quantized_state(**how)


def main() -> None:
    release = version("diffq") if len(sys.argv) < 2 else sys.argv[1]
    save(f"diffq_{release}", *diffq_state(float16=False))
    if release == "0.2.4":
        save("diffq_16_bit_words", *diffq_state(float16=True, torch_pack=True))
        save("diffq_unpacked", *diffq_state(float16=False, packed=False))
        module = network()
        quantiser = diffq.UniformQuantizer(module, bits=6, min_size=MIN_SIZE_MB)
        save("uniform", module, quantiser.get_quantized_state())


if __name__ == "__main__":
    main()
