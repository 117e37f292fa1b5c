"""The ReaPack index of the actions: what a person adds in REAPER under Extensions > ReaPack > Import repositories.

Format: github.com/cfillion/reapack/wiki (index version 1): scripts are put at Scripts/<index>/<category>/, a source of
the type `data` below Data/. The actions find their Python through the file that `daw-bridge reaper setup` writes, or by
the action "Find the Python for daw-bridge".
"""

from __future__ import annotations

from importlib.resources import files
from xml.sax.saxutils import escape, quoteattr

from daw_bridge.errors import UsageError
from daw_bridge_reaper.configure.setup import ACTIONS, LIBRARIES

AUTHOR = "daw-bridge"
DESCRIPTION = "daw-bridge: separate items into stems on processed buses"


def index_xml(base_url: str, version: str) -> str:
    """The index for actions that lie at `base_url`; the same version and address give the same text."""
    if not base_url.startswith("https://") or any(mark in base_url for mark in ' \t\n"<>'):
        raise UsageError(f"--base-url {base_url}: ReaPack downloads over https only; give an https address")
    base = base_url.rstrip("/")
    sources = [(action.file, ' main="main"') for action in ACTIONS] + [(name, "") for name in LIBRARIES]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<index version="1" name={quoteattr(AUTHOR)}>',
        '  <category name="daw-bridge">',
        f'    <reapack name="daw-bridge.lua" type="script" desc={quoteattr(DESCRIPTION)}>',
        f"      <version name={quoteattr(version)} author={quoteattr(AUTHOR)}>",
        *(
            f"        <source{main} file={quoteattr(name)}>{escape(f'{base}/{name}')}</source>"
            for name, main in sources
            if (files("daw_bridge_reaper") / "actions" / name).is_file()
        ),
        *(
            f'        <source type="data" file={quoteattr(f"toolbar_icons/{action.icon}")}>'
            f"{escape(f'{base}/toolbar_icons/{action.icon}')}</source>"
            for action in ACTIONS
            if action.icon
        ),
        "      </version>",
        "    </reapack>",
        "  </category>",
        "</index>",
    ]
    return "\n".join(lines) + "\n"
