"""One load of a model for many songs: while one song computes, another may be decoded or written."""

from __future__ import annotations

import threading
from dataclasses import replace

from daw_bridge.separation.families.family import Loaded, Note
from daw_bridge.separation.families.loader import load
from daw_bridge.separation.options import SeparationOptions, loading_settings


class ModelKeeper:
    """`load` with a memory of one model. Songs that share it compute one after the other; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._key: dict[str, object] | None = None
        self._loaded: Loaded | None = None

    def __call__(self, options: SeparationOptions, note: Note) -> Loaded:
        """The model of the options; only a change of what the model depends on loads again. Raises as `load`."""
        key = loading_settings(options)
        with self._lock:
            if self._loaded is None or key != self._key:
                if self._loaded is not None:
                    from daw_bridge.separation.engine.speed import return_free_memory

                    self._loaded = None  # the old weights go before the new ones come
                    return_free_memory()
                self._loaded = replace(load(options, note), turn=self._turn)
                self._key = key
            return self._loaded
