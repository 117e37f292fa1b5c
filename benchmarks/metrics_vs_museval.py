"""How much faster than museval our BSS Eval v4 is, and how far the two are apart.

    python -m benchmarks.metrics_vs_museval [--seconds 60]

Four stereo stems of coloured noise at 44.1 kHz, BSS Eval v4 with 1 s windows; both programs get the same arrays and
the same number of threads. The bar is 10x at the same numbers (0.01 dB).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings

import numpy as np
import scipy.signal

from daw_bridge.metrics import bss_eval

RATE_HZ = 44_100


def main() -> None:
    """Print one JSON object: seconds of both, ratio, worst difference in dB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    seconds = parser.parse_args().seconds
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((4, 2, seconds * RATE_HZ))
    references = np.stack([scipy.signal.lfilter([1.0], [1.0, 0.6 - 0.3 * i], part) for i, part in enumerate(noise)])
    estimates = scipy.signal.lfilter([1.0, 0.1, -0.05], [1.0], references) + 0.05 * references.sum(axis=0)
    estimates += 0.01 * rng.standard_normal(estimates.shape)

    began_s = time.perf_counter()
    ours = bss_eval(references, estimates, RATE_HZ)
    ours_s = time.perf_counter() - began_s
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from museval.metrics import bss_eval as museval_bss_eval

        swapped = [np.ascontiguousarray(signals.transpose(0, 2, 1)) for signals in (references, estimates)]
        began_s = time.perf_counter()
        theirs = museval_bss_eval(*swapped, window=RATE_HZ, hop=RATE_HZ)[:4]
        theirs_s = time.perf_counter() - began_s
    pairs = zip((ours.sdr_db, ours.isr_db, ours.sir_db, ours.sar_db), theirs, strict=True)
    result = {
        "audio_s": seconds,
        "ours_s": round(ours_s, 2),
        "museval_s": round(theirs_s, 2),
        "ratio": round(theirs_s / ours_s, 1),
        "worst_difference_db": float(max(np.abs(left - right).max() for left, right in pairs)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
