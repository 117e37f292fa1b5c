"""Run a program (`python -m benchmarks._first_forward PROGRAM ARGUMENT...`) until a Demucs network is about to compute.

Imports nothing that the program would not import itself. See `first_segment`.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MARK = "first segment at"


class StopAtFirstForward(MetaPathFinder):
    """Lets demucs' networks be imported as ever, and ends the process when one of them is about to compute."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in ("demucs.htdemucs", "demucs.hdemucs"):
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for network in ("HTDemucs", "HDemucs"):
                if getattr(getattr(module, network, None), "__module__", "") == name:
                    getattr(module, network).forward = _stop

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _stop(*_: object) -> None:
    used = os.times()
    print(f"\n{MARK} {time.monotonic()} {used.user + used.system}", file=sys.__stderr__, flush=True)
    os._exit(0)


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.meta_path.insert(0, StopAtFirstForward())
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    raise SystemExit("no network computed anything")
