"""What works on this machine, link by link: Python, torch, GPU, decoders, weights, DAWs, extras."""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from daw_bridge.adapter import Check, Diagnosable
from daw_bridge.errors import DawBridgeError
from daw_bridge.paths import user_cache_dir
from daw_bridge.registry import adapter_names, load_adapter
from daw_bridge.units import human_bytes

EXTRAS = {
    "reaper": ("reapy", "REAPER live through reapy"),
    "midi": ("rtmidi", "MIDI control surfaces"),
    "discovery": ("zeroconf", "surfaces find the daemon"),
    "live": ("sounddevice", "live preview"),
    "torchaudio": ("torchaudio", "resampling on the GPU"),
    "plot": ("matplotlib", "plots of evaluations"),
}
"""Extra -> the module that it brings, and what for."""


def examine() -> list[Check]:
    """All checks; those that are not `optional` must hold for a session to be built."""
    return [*_runtime(), *_audio(), *_models(), *_space(), *_adapters(), *_extras()]


def _runtime() -> list[Check]:
    python = Check(
        name="Python",
        ok=sys.version_info >= (3, 11),
        detail=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        fix="install Python 3.11 or newer",
        optional=False,
    )
    try:
        import torch
    except ImportError as exc:
        missing = Check(
            name="torch", ok=False, detail=str(exc), fix="pip install torch==2.13.0 (the CPU build)", optional=False
        )
        return [python, missing]
    found = Check(
        name="torch", ok=True, detail=f"{torch.__version__}, {torch.get_num_threads()} threads", optional=False
    )
    if not torch.cuda.is_available():
        hint = "a CUDA build of torch and an NVIDIA card make separation 20 to 50 times faster"
        return [python, found, Check(name="GPU", ok=False, detail="none that torch can use; the CPU works", fix=hint)]
    free, total = torch.cuda.mem_get_info()
    detail = f"{torch.cuda.get_device_name()}: {human_bytes(free)} of {human_bytes(total)} free"
    return [python, found, Check(name="GPU", ok=True, detail=detail)]


def _audio() -> list[Check]:
    checks = []
    for module, label, purpose in (
        ("soundfile", "soundfile", "WAV, AIFF, FLAC, OGG, MP3"),
        ("av", "PyAV", "M4A, ALAC, video"),
        ("soxr", "soxr", "sample rates"),
    ):
        try:
            version = getattr(importlib.import_module(module), "__version__", "")
            checks.append(Check(name=label, ok=True, detail=f"{version} ({purpose})", optional=False))
        except (ImportError, OSError) as exc:
            fix = f"pip install {module}"
            checks.append(Check(name=label, ok=False, detail=f"{exc} ({purpose})", fix=fix, optional=False))
    return checks


def _models() -> list[Check]:
    from daw_bridge.separation.catalog import CATALOG
    from daw_bridge.separation.families.loader import weights_present
    from daw_bridge.separation.options import DEFAULT_MODEL

    checks = []
    for model in CATALOG.values():
        ok = weights_present(model)
        detail = "weights are here" if ok else "weights are not here yet"
        detail = f"{detail}; licence {model.licence_class}"
        fix = f"daw-bridge models fetch {model.name}"
        if model.name == DEFAULT_MODEL:
            detail, fix = f"{detail}; the default of build", f"{fix}, or build with --model preview"
        checks.append(Check(name=_check_name(model.name), ok=ok, detail=detail, fix=fix))
    return checks


def _check_name(model: str) -> str:
    return f"model {model}"


def verdict(checks: Sequence[Check]) -> str:
    """The sum of all checks in one sentence: can a session be built here?"""
    from daw_bridge.separation.options import DEFAULT_MODEL

    missing = [check for check in checks if not check.ok and not check.optional]
    if missing:
        return f"{len(missing)} needed part(s) missing."
    if any(check.name == _check_name(DEFAULT_MODEL) and not check.ok for check in checks):
        return (
            f"All that is needed is here but the weights of the default model {DEFAULT_MODEL}: the first build fetches "
            f"them, as 'daw-bridge models fetch {DEFAULT_MODEL}' does now. 'build --model preview' works without them."
        )
    return "All that is needed is here."


def _space() -> list[Check]:
    folder = user_cache_dir()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    fix = "free some space, or set DAW_BRIDGE_CACHE to another disk"
    return [Check(name="cache folder", ok=free > 5e9, detail=f"{folder}, {human_bytes(free)} free", fix=fix)]


def _adapters() -> list[Check]:
    checks = []
    for name in adapter_names():
        try:
            adapter = load_adapter(name)
        except DawBridgeError as exc:
            checks.append(Check(name=f"adapter {name}", ok=False, detail=str(exc)))
            continue
        checks.append(Check(name=f"adapter {name}", ok=True, detail=f"is here: {adapter.title}"))
        if isinstance(adapter, Diagnosable):
            checks += adapter.doctor()
    return checks


def _extras() -> list[Check]:
    return [
        Check(
            name=f"extra {extra}",
            ok=find_spec(module) is not None,
            detail=purpose,
            fix=f"pip install 'daw-bridge[{extra}]'",
        )
        for extra, (module, purpose) in EXTRAS.items()
    ]
