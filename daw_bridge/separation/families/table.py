"""Every family of networks by its name in the catalog. A new one is a folder and a row here."""

from __future__ import annotations

from daw_bridge.separation.families.band_split.family import BandSplitFamily
from daw_bridge.separation.families.bsrnn.family import BsrnnFamily
from daw_bridge.separation.families.demucs.family import DemucsFamily
from daw_bridge.separation.families.family import Family

FAMILIES: dict[str, Family] = {
    "demucs": DemucsFamily(),
    "bsrnn": BsrnnFamily(),
    "band_split": BandSplitFamily(),
}
"""In the order in which their models are listed."""
