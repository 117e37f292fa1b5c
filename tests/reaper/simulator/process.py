"""The simulator as a process: REAPER's web interface, and reapy's unmodified server run by our own server script.

    python -m tests.reaper.simulator.process --web-port 2307 --server-port 2306 --hz 30

What REAPER gives to a Python ReaScript is given here: `obj` and `RPR_defer` in `__main__`, the module `reaper_python`.
Paths under /_sim/ are the test's own: state, calls, fail/N, hang/SECONDS.
"""

from __future__ import annotations

import argparse
import ctypes
import http.server
import json
import sys
import threading
import time
import types
import urllib.parse
from pathlib import Path
from typing import Any

from tests.reaper.simulator.functions import KINDS, Functions
from tests.reaper.simulator.model import World

SCRIPT = Path(__file__).parents[3] / "adapters" / "daw_bridge_reaper" / "actions" / "daw_bridge_server.py"
ACTION = "_DAWBRIDGE_SERVER"
obj = object()  # what makes reapy believe that it is inside REAPER
world = World()
functions = Functions(world)
started = threading.Event()
deferred: list[str] = []


def RPR_defer(code: str) -> None:  # REAPER's name
    deferred.append(code)


def RPR_atexit(code: str) -> None:  # REAPER's name
    del code


def _make_module() -> None:
    module = types.ModuleType("reaper_python")
    for name in KINDS:

        def call(*arguments: Any, _name: str = name) -> Any:
            return functions.call(_name, *arguments)

        call.__name__ = call.__qualname__ = f"RPR_{name}"
        call.__module__ = "reaper_python"
        setattr(module, f"RPR_{name}", call)
    kept = ctypes.CFUNCTYPE(ctypes.c_byte, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_char_p)(lambda *_: 1)
    module.__dict__.update(
        _ft={"ValidatePtr2": ctypes.cast(kept, ctypes.c_void_p).value},
        _kept=kept,
        rpr_packp=lambda _kind, _value: 0,
        rpr_packsc=lambda value: ctypes.c_char_p(str(value).encode()),
    )
    sys.modules["reaper_python"] = module


class Web(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        return None

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path)
        body = self._answer(path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, path: str) -> str:
        if path.startswith("/_/GET/EXTSTATE/"):
            section, key = path.removeprefix("/_/GET/EXTSTATE/").split("/", 1)
            return f"EXTSTATE\t{section}\t{key}\t{world.ext_state.get((section, key), '')}\n"
        if path == "/_/MARKER":
            rows = [f"MARKER\t{each[3]}\t1\t{each[1]}\t0" for each in world.content.markers if not each[0]]
            return "\n".join(["MARKER_LIST", *rows, "MARKER_LIST_END", ""])
        if path == "/_/TRACK":
            return web_tracks(world)
        if path == f"/_/{ACTION}":
            started.set()
        elif path == "/_sim/state":
            return json.dumps(
                {
                    "content": world.content.plain(),
                    "undo": [title for title, _ in world.project.undo],
                }
            )
        elif path == "/_sim/calls":
            return json.dumps(world.calls)
        elif path.startswith("/_sim/fail/"):
            world.calls.clear()
            world.fail_at = int(path.rpartition("/")[2])
        elif path.startswith("/_sim/hang/"):
            world.hang_s = float(path.rpartition("/")[2])
        return ""


def web_tracks(world: World) -> str:
    """What REAPER's web interface says to TRACK, by the documentation in its `main.js`: the master first."""
    content = world.content
    rows = ["TRACK\t0\tMASTER\t0\t1.000000\t0.000000\t-1500\t-1500\t1.000000\t3\t0\t0\t1\t0"]
    for number, track in enumerate(content.tracks, 1):
        values = track.values
        flags = (values["I_FOLDERDEPTH"] == 1) * 1 | bool(track.fx) * 4
        flags |= bool(values["B_MUTE"]) * 8 | bool(values["I_SOLO"]) * 16 | (values["I_SOLO"] == 2) * 32
        sends = sum(send.source is track for send in content.sends)
        receives = sum(send.target is track for send in content.sends)
        name = track.texts["P_NAME"]
        head = f"TRACK\t{number}\t{name}\t{flags}\t{values['D_VOL']:.6f}\t{values['D_PAN']:.6f}"
        rows.append(f"{head}\t-1500\t-1500\t1.000000\t3\t{sends}\t{receives}\t0\t0")
    return "\n".join([*rows, ""])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--web-port", type=int, required=True)
    parser.add_argument("--server-port", type=int, required=True)
    parser.add_argument("--owners-unknown", action="store_true")
    parser.add_argument("--hz", type=float, default=30.0)
    parser.add_argument("--no-action", action="store_true")
    parser.add_argument("--dead-action", action="store_true")
    args = parser.parse_args()
    _make_module()
    if not args.no_action:
        world.ext_state["reapy", "activate_reapy_server"] = json.dumps(ACTION)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", args.web_port), Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    print("ready", flush=True)
    running = False
    while True:
        if started.is_set() and not running and not args.dead_action:
            running = True
            code = SCRIPT.read_text().replace("SERVER_PORT = 2306", f"SERVER_PORT = {args.server_port}")
            if args.owners_unknown:  # as on Windows and macOS
                code = code.replace("/proc/net/tcp", "/nowhere/tcp")
            exec(compile(code, str(SCRIPT), "exec"), {"__name__": "daw_bridge_server"})  # noqa: S102  # as REAPER does
        codes, deferred[:] = list(deferred), []
        for code in codes:
            exec(code, {})  # noqa: S102  # as REAPER does
        time.sleep(1.0 / args.hz)


if __name__ == "__main__":
    main()
