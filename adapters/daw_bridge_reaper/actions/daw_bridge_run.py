"""Runs the jobs of the actions inside REAPER: gives a first sign of life, and answers whatever happens."""

import json
import os
import pathlib
import sys
import time

ROOTS: list[str] = []  # written by 'daw-bridge reaper setup'


def run(arguments: list[str]) -> int:
    """The command line; what it prints goes into a log beside the job, where a windowless program has no terminal."""
    job = pathlib.Path(arguments[-1])
    if job.name != "job.json":
        job = pathlib.Path(os.devnull)
    elif not job.is_file():
        return 0  # cancelled before we began
    else:
        sign = {"beat": 0, "at": int(time.time()), "share": 0.0, "text": "Loading daw-bridge", "left": ""}
        (job.parent / "progress.json").write_text(json.dumps(sign), encoding="utf-8")
        sys.stdout = sys.stderr = (job.parent / "worker.log").open("w", encoding="utf-8", errors="replace", buffering=1)
    sys.path[:0] = ROOTS
    try:
        from daw_bridge.cli.main import main

        return main(arguments)
    except BaseException as error:
        result = job.parent / "result.json"
        if job.name == "job.json" and not result.exists():
            text = f"daw-bridge cannot run with {sys.executable}: {error!r}"
            result.write_text(json.dumps({"ok": False, "error": text}), encoding="utf-8")
        raise


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
