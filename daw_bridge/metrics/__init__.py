"""How good stems are beside their references: BSS Eval v4, uSDR, SI-SDR, bleed, null depth.

from daw_bridge.metrics import bss_eval, song_sdr_db
bss_eval(references, estimates, 44_100).medians()   # (sources, 4): SDR, ISR, SIR, SAR in dB
"""

from daw_bridge.metrics.bss_eval import BssEval, SilentWindow, bss_eval
from daw_bridge.metrics.evaluation import Bleed, Evaluation, LeftOutWindow, NullDepth, StemScore, evaluate
from daw_bridge.metrics.song_level import si_sdr_db, song_sdr_db
from daw_bridge.metrics.stem_files import StemFiles, find_stem_files

__all__ = [
    "Bleed",
    "BssEval",
    "Evaluation",
    "LeftOutWindow",
    "NullDepth",
    "SilentWindow",
    "StemFiles",
    "StemScore",
    "bss_eval",
    "evaluate",
    "find_stem_files",
    "si_sdr_db",
    "song_sdr_db",
]
