"""`make fuzz`: each target for a minute under atheris, from the corpus; ends with 1 at the first surprise.

`python -m tests.fuzz.run TARGET SECONDS [CORPUS]`. What atheris finds lies in the working directory as `crash-...`; put
it into `tests/fuzz/corpus/TARGET/` with the mending change, and every test run tries it from then on.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).resolve().parent / "corpus"


def main(name: str, seconds: str) -> None:
    atheris: Any = importlib.import_module("atheris")

    with atheris.instrument_imports(include=["daw_bridge", "daw_bridge_reaper", "daw_bridge_dawproject"]):
        from tests.fuzz.targets import TARGETS, seeds

        for each in seeds()[name]:  # imports, instrumented, all that the target needs
            TARGETS[name](each)
    grown = Path(tempfile.mkdtemp(prefix=f"daw-bridge-fuzz-{name}-"))
    for number, seed in enumerate(seeds()[name]):
        (grown / f"seed-{number}").write_bytes(seed)
    found = [str(CORPUS / name)] if (CORPUS / name).is_dir() else []
    options = [
        f"-max_total_time={seconds}",
        "-max_len=4096",
        "-timeout=20",
        "-rss_limit_mb=3000",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(grown), *found], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:3])
