"""daw-bridge: from a finished mix to a ready DAW session.

The public API is what `__all__` names. Heavy parts (torch, the DAW adapters) load when first used, so
`import daw_bridge` stays instant.
"""

from __future__ import annotations

from daw_bridge.version import __version__

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without loading typing: Ctrl-C is ours only after this file

__all__ = ["BuildOptions", "Session", "__version__", "build", "rebuild", "render", "separate"]

_LAZY = {
    "BuildOptions": "daw_bridge.workflow",
    "Session": "daw_bridge.session",
    "build": "daw_bridge.workflow",
    "rebuild": "daw_bridge.workflow",
    "render": "daw_bridge.workflow",
    "separate": "daw_bridge.workflow",
}

if TYPE_CHECKING:
    from daw_bridge.session import Session
    from daw_bridge.workflow import BuildOptions, build, rebuild, render, separate


def __getattr__(name: str) -> object:
    """The public names, imported on first use."""
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'daw_bridge' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
