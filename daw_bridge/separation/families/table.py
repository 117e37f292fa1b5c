"""Every family of networks by its name in the catalog. A new one is a folder and a row here."""

from __future__ import annotations

from daw_bridge.separation.families.band_split.family import BandSplitFamily
from daw_bridge.separation.families.bsrnn.family import BsrnnFamily
from daw_bridge.separation.families.demucs.family import DemucsFamily
from daw_bridge.separation.families.family import Family
from daw_bridge.separation.families.mdx23c.family import Mdx23cFamily
from daw_bridge.separation.families.roformer.family import RoformerFamily
from daw_bridge.separation.families.scnet.family import ScnetFamily

FAMILIES: dict[str, Family] = {
    "demucs": DemucsFamily(),
    "bsrnn": BsrnnFamily(),
    "roformer": RoformerFamily(),
    "scnet": ScnetFamily(),
    "mdx23c": Mdx23cFamily(),
    "band_split": BandSplitFamily(),
}
"""In the order in which their models are listed."""
