"""Where daw-bridge keeps things of its own: stems cache, weights, locks, the user's templates."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_cache_dir() -> Path:
    """What can be made again: cached stems, weights, locks. `DAW_BRIDGE_CACHE` overrides the system's place."""
    override = os.environ.get("DAW_BRIDGE_CACHE")
    if override:
        return Path(override).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "daw-bridge"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "daw-bridge" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daw-bridge"


def user_config_dir() -> Path:
    """What the user made: templates, mappings, profiles. `DAW_BRIDGE_CONFIG` overrides the system's place."""
    override = os.environ.get("DAW_BRIDGE_CONFIG")
    if override:
        return Path(override).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "daw-bridge"
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "daw-bridge"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "daw-bridge"
