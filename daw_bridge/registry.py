"""Name -> adapter. Built-ins are a table of strings, so nothing loads early; third parties use entry points."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import cast

from daw_bridge.adapter import SessionAdapter
from daw_bridge.errors import AdapterMissing, did_you_mean
from daw_bridge.mixer import MixerAddress, MixerControl

ENTRY_POINT_GROUP = "daw_bridge.adapters"

BUILT_IN = {
    "reaper": "daw_bridge_reaper.adapter:ADAPTER",
    "reaper-sends": "daw_bridge_reaper.adapter:SEND_ADAPTER",
    "ardour": "daw_bridge_ardour.adapter:ADAPTER",
    "dawproject": "daw_bridge_dawproject.adapter:ADAPTER",
    "reaper-live": "daw_bridge_reaper.live.adapter:LIVE_ADAPTER",
    "aaf": "daw_bridge_aaf.adapter:ADAPTER",
    "live": "daw_bridge_liveset.adapter:ADAPTER",
    "nistem": "daw_bridge_nistem.adapter:ADAPTER",
    "nistem-alac": "daw_bridge_nistem.adapter:ALAC_ADAPTER",
    "render": "daw_bridge_render.adapter:ADAPTER",
}
"""Adapter name -> `module:attribute`, where the attribute is a SessionAdapter."""


OSC_MIXER = "daw_bridge_osc.mixer:open_mixer"
OSC_PROFILES = ("daw_bridge_osc", "profiles")
"""Package and folder of the OSC profiles: each file there is a mixer."""

MIXERS = {
    "reaper-live": "daw_bridge_reaper.live.mixer:open_mixer",
    "live": "daw_bridge.control.mixer.live_preview:open_mixer",
}
"""Mixers that are no OSC profile -> `module:function`: (name, MixerAddress) -> MixerControl."""


def adapter_packages() -> list[str]:
    """The packages of the adapters that come with daw-bridge."""
    return sorted({target.partition(".")[0] for target in (*BUILT_IN.values(), OSC_MIXER)})


def adapter_names() -> list[str]:
    """All names that `load_adapter` takes, built-ins first."""
    third_party = sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))
    return [*BUILT_IN, *(name for name in third_party if name not in BUILT_IN)]


def load_adapter(name: str) -> SessionAdapter:
    """The adapter of that name; AdapterMissing when it is unknown or an extra that it needs is not installed."""
    target = BUILT_IN.get(name)
    if target is None:
        found = [point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == name]
        if not found:
            known = adapter_names()
            hint = did_you_mean(name, known)
            raise AdapterMissing(f"no adapter called {name!r}{hint}; known: {', '.join(known)}")
        target = found[0].value
    module, _, attribute = target.partition(":")
    try:
        return cast("SessionAdapter", getattr(importlib.import_module(module), attribute))
    except ImportError as exc:
        raise AdapterMissing(
            f"adapter {name!r} needs the package {exc.name!r}; install it with: pip install 'daw-bridge[{name}]'"
        ) from exc


def mixer_names() -> list[str]:
    """All DAWs that can be bound without a profile of one's own, in the order of the alphabet."""
    package, folder = OSC_PROFILES
    shipped = [Path(each.name) for each in (files(package) / folder).iterdir()]
    return sorted({*MIXERS, *(each.stem for each in shipped if each.suffix == ".yaml")})


def require_mixer(name: str, address: MixerAddress | None = None) -> str:
    """Where the mixer of that name is made: `module:function`. With a profile in `address` any name will do.

    Raises AdapterMissing for an unknown name.
    """
    if name in MIXERS:
        return MIXERS[name]
    known = mixer_names()
    if name not in known and (address is None or address.profile is None):
        raise AdapterMissing(f"no live mixer called {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    return OSC_MIXER


def open_mixer(name: str, address: MixerAddress | None = None) -> MixerControl:
    """The mixer of a running DAW, connected. Raises AdapterMissing, DawUnreachable, TemplateError (its profile)."""
    module, _, attribute = require_mixer(name, address).partition(":")
    try:
        factory = getattr(importlib.import_module(module), attribute)
    except ImportError as exc:
        raise AdapterMissing(f"the live mixer {name!r} needs the package {exc.name!r}; reinstall daw-bridge") from exc
    return cast("Callable[[str, MixerAddress], MixerControl]", factory)(name, address or MixerAddress())
