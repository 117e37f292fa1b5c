"""daw-bridge: from a finished mix to a ready DAW session.

The public API is what `__all__` names, and `dir(daw_bridge)` shows just that. Heavy parts (torch, the DAW adapters)
load when first used, so `import daw_bridge` stays instant.

Do: `build`, `separate`, `rebuild`, `render`, `batch`, `evaluate`, `extract_template`, `Session`,
`load_streaming_model`. Ask: `BuildOptions`, `SeparationOptions`, `RenderOptions`. Watch and stop: `Progress`,
`CancelToken`. Keep a model loaded between songs: `ModelKeeper`. What comes back: the `...Result`, `SongOutcome`,
`Evaluation`. Every error is a `DawBridgeError`; `daw_bridge.errors` draws the tree.
"""

from __future__ import annotations

from daw_bridge.version import __version__

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, without loading typing: Ctrl-C is ours only after this file

if TYPE_CHECKING:
    from daw_bridge.build_options import BuildOptions
    from daw_bridge.errors import (
        AdapterMissing,
        Busy,
        Cancelled,
        CatalogStopped,
        DamagedInput,
        DawBridgeError,
        DawError,
        DawUnreachable,
        DeviceError,
        GuardRefused,
        InputError,
        KeyUnaddressable,
        LicenceNotAccepted,
        ModelError,
        OutputError,
        SongsFailed,
        StoreUnreachable,
        TemplateError,
        UsageError,
        WeightsCorrupt,
        WeightsMissing,
    )
    from daw_bridge.metrics.evaluation import Evaluation
    from daw_bridge.progress import CancelToken, Progress
    from daw_bridge.separation.families.band_split.bundled import load_streaming_model
    from daw_bridge.separation.families.family import LoadModel
    from daw_bridge.separation.families.keeper import ModelKeeper
    from daw_bridge.separation.options import SeparationOptions
    from daw_bridge.session import Session
    from daw_bridge.song import Song, open_song
    from daw_bridge.workflow.batch import SongOutcome, batch
    from daw_bridge.workflow.chain import build, rebuild, separate
    from daw_bridge.workflow.evaluating import evaluate
    from daw_bridge.workflow.extract import ExtractedTemplate, extract_template
    from daw_bridge.workflow.options import BuildResult
    from daw_bridge.workflow.rendering import RenderOptions, RenderResult, render

__all__ = [
    "AdapterMissing",
    "BuildOptions",
    "BuildResult",
    "Busy",
    "CancelToken",
    "Cancelled",
    "CatalogStopped",
    "DamagedInput",
    "DawBridgeError",
    "DawError",
    "DawUnreachable",
    "DeviceError",
    "Evaluation",
    "ExtractedTemplate",
    "GuardRefused",
    "InputError",
    "KeyUnaddressable",
    "LicenceNotAccepted",
    "LoadModel",
    "ModelError",
    "ModelKeeper",
    "OutputError",
    "Progress",
    "RenderOptions",
    "RenderResult",
    "SeparationOptions",
    "Session",
    "Song",
    "SongOutcome",
    "SongsFailed",
    "StoreUnreachable",
    "TemplateError",
    "UsageError",
    "WeightsCorrupt",
    "WeightsMissing",
    "__version__",
    "batch",
    "build",
    "evaluate",
    "extract_template",
    "load_streaming_model",
    "open_song",
    "rebuild",
    "render",
    "separate",
]

_HOME = {
    "BuildOptions": "build_options",
    "BuildResult": "workflow.options",
    "CancelToken": "progress",
    "Evaluation": "metrics.evaluation",
    "ExtractedTemplate": "workflow.extract",
    "LoadModel": "separation.families.family",
    "ModelKeeper": "separation.families.keeper",
    "Progress": "progress",
    "RenderOptions": "workflow.rendering",
    "RenderResult": "workflow.rendering",
    "SeparationOptions": "separation.options",
    "Session": "session",
    "Song": "song",
    "SongOutcome": "workflow.batch",
    "batch": "workflow.batch",
    "build": "workflow.chain",
    "evaluate": "workflow.evaluating",
    "extract_template": "workflow.extract",
    "open_song": "song",
    "load_streaming_model": "separation.families.band_split.bundled",
    "rebuild": "workflow.chain",
    "render": "workflow.rendering",
    "separate": "workflow.chain",
}
"""Public name -> the module below `daw_bridge` where it lives; every other public name is an error."""


def __getattr__(name: str) -> object:
    """The public names, imported on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'daw_bridge' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"daw_bridge.{_HOME.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return list(__all__)
