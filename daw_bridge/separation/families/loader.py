"""Options -> a loaded `Separator`, whatever the family."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from daw_bridge.errors import ModelError
from daw_bridge.files import output_errors
from daw_bridge.locks import LockHeld, NoLocks, exclusive
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.catalog import chosen_model
from daw_bridge.separation.families.family import Loaded, Note
from daw_bridge.separation.families.imports import import_heavy
from daw_bridge.separation.families.store import missing, weights_home
from daw_bridge.separation.families.table import FAMILIES
from daw_bridge.separation.model_info import ModelInfo
from daw_bridge.separation.options import SeparationOptions

_BETWEEN_TRIES_S = 0.2


def load(options: SeparationOptions, note: Note) -> Loaded:
    """The model of the options in memory; `note` hears what a person should know, a line at a time.

    Raises ModelError, WeightsMissing, WeightsCorrupt, DeviceError, UsageError.
    """
    info = chosen_model(options)
    if options.weights is None:
        fetch(info)
    with _readable(options.weights):
        return FAMILIES[info.family].load(info, options, note)


def weights_sha256(options: SeparationOptions, on_progress: OnProgress = ignore_progress) -> str:
    """The sha256 that `load` would report, without building a network: for asking the cache.

    Fetches the weights when they are not on this machine. Raises ModelError, WeightsMissing, WeightsCorrupt.
    """
    info = chosen_model(options)
    if options.weights is None:
        fetch(info, on_progress=on_progress)
    with _readable(options.weights):
        return FAMILIES[info.family].sha256(info, options)


@contextmanager
def _readable(weights: Path | None) -> Iterator[None]:
    """ModelError where a file of the user's own cannot be read: a pipe, which would be waited for, or not allowed."""
    what = "no weights can be read from it; give a file, or a folder of them"
    if weights is not None and weights.exists() and not (weights.is_file() or weights.is_dir()):
        raise ModelError(f"{weights}: is not a regular file, {what}")
    try:
        yield
    except OSError as exc:
        if weights is None:
            raise
        raise ModelError(f"{weights}: {exc.strerror or exc}, {what}") from exc


def weights_present(info: ModelInfo, *, home: Path | None = None) -> bool:
    """Whether the model could be loaded now, by the names of its files."""
    return FAMILIES[info.family].present(info, home)


def fetch(
    info: ModelInfo,
    *,
    home: Path | None = None,
    mirrors: Mapping[str, str] | None = None,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Path:
    """The folder with the model's weights, downloaded if they are not on this machine yet.

    `mirrors` gives other places for the beginnings of addresses (`Download.mirrors`).
    Raises WeightsMissing (not reachable), WeightsCorrupt (a checksum is wrong), OutputError, Cancelled.
    """
    folder = (home or weights_home()) / info.name
    if weights_present(info, home=home):
        return folder
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise missing(info, "HF_HUB_OFFLINE forbids downloads")
    from daw_bridge.separation.families.download import Download  # a run that has its weights is spared this import

    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    download = Download(
        info=info,
        folder=folder,
        mirrors=mirrors or {},
        on_progress=on_progress,
        cancel=cancel or CancelToken(),
    )
    on_progress(Progress(stage="load", done=0, total=1, note=f"fetching {info.name}, about {info.size_mb} MB"))
    try:
        with _alone(folder, download.cancel):
            if not weights_present(info, home=home):
                FAMILIES[info.family].fetch(info, download)
    except (OSError, ValueError) as exc:
        raise missing(info, f"not reachable: {exc}") from exc
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
    return folder


@contextmanager
def _alone(folder: Path, cancel: CancelToken) -> Iterator[None]:
    """Wait until no other process fetches into this folder; on a disk that knows no locks, hope so."""
    while True:
        cancel.check()
        with ExitStack() as held:
            try:
                held.enter_context(exclusive(folder / "fetch.lock"))
            except LockHeld:
                time.sleep(_BETWEEN_TRIES_S)
                continue
            except NoLocks:
                pass
            yield
            return


def import_ahead(info: ModelInfo) -> None:
    """Begin in a thread what takes most of the time before a first segment, while others read, hash and decode."""
    if "torch" not in sys.modules:
        heavy = FAMILIES[info.family].heavy_import
        threading.Thread(target=import_heavy, args=(heavy,), name="import-networks").start()
