"""Where daw-bridge keeps things of its own: stems cache, weights, locks, the user's templates."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache_dir() -> Path:
    """What can be made again: cached stems, weights, locks. `DAW_BRIDGE_CACHE` overrides the system's place."""
    override = os.environ.get("DAW_BRIDGE_CACHE")
    if override:
        return Path(override).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("daw-bridge", appauthor=False)


def user_config_dir() -> Path:
    """What the user made: templates, mappings, profiles. `DAW_BRIDGE_CONFIG` overrides the system's place."""
    override = os.environ.get("DAW_BRIDGE_CONFIG")
    if override:
        return Path(override).expanduser()
    from platformdirs import user_config_path

    return user_config_path("daw-bridge", appauthor=False, roaming=True)
