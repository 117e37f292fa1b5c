"""Stands for `daw-bridge build` where only the daemon is tested: speaks the same progress lines, exit codes and JSON.

What it does is written in the mix: `steps=20 pause=0.05 then=ok`. `then` is ok, fail, crash, segfault, memory, noise,
busy, or hang. Like the real command it works in pieces, keeps what it has, and continues there when started again.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

mix = Path(sys.argv[1])
orders = dict(pair.split("=") for pair in mix.read_text("utf-8").split())
steps, pause_s, then = int(orders.get("steps", 3)), float(orders.get("pause", 0)), orders.get("then", "ok")
folder = mix.with_suffix(".session")
folder.mkdir(exist_ok=True)


def on_interrupt(_number: int, _frame: object) -> None:
    if then != "hang":
        print("daw-bridge: cancelled; run the same command again to continue", file=sys.stderr)
        sys.exit(130)


signal.signal(signal.SIGINT, on_interrupt)
with (folder / "starts.log").open("a", encoding="utf-8") as log:
    log.write(f"{os.getpid()}\n")
if then == "busy" and not (folder / "was-busy").exists():
    (folder / "was-busy").touch()
    print(f"daw-bridge: {folder}: another run works here", file=sys.stderr)
    sys.exit(10)
for step in range(steps):
    piece = folder / f"{step:03d}.part"
    if not piece.exists():
        piece.write_bytes(bytes([step % 256]) * 1000)
        time.sleep(pause_s)
    line = {"stage": "separate", "done": step + 1, "total": steps, "note": ""}
    print(json.dumps(line), file=sys.stderr, flush=True)
if then == "fail":
    print("daw-bridge: mix.wav: is silent from start to end", file=sys.stderr)
    sys.exit(3)
if then == "memory":
    print("daw-bridge: cuda:0: out of memory with batches of 1; try --device cpu", file=sys.stderr)
    sys.exit(8)
if then == "segfault":
    os.kill(os.getpid(), signal.SIGSEGV)
if then == "noise":
    for stream in (sys.stderr, sys.stdout):
        stream.write("x" * 5_000_000)
        stream.flush()
if then == "crash":
    os.kill(os.getpid(), signal.SIGKILL)
if then == "hang":
    time.sleep(600)
stems = folder / "stems.bin"
stems.write_bytes(b"".join((folder / f"{step:03d}.part").read_bytes() for step in range(steps)))
print(json.dumps({"folder": str(folder), "sessions": {"reaper": str(folder / "mix.rpp")}}))
