"""A remote control of forty lines with python-osc: set a fader of the bound DAW, and print what the daemon says.

Start `daw-bridge serve`, then: python examples/osc_remote.py ardour vocals -6 [PORT]
python-osc comes with `pip install 'daw-bridge[osc]'`.
"""

from __future__ import annotations

import sys
import time

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer
from pythonosc.udp_client import SimpleUDPClient

HOST = "127.0.0.1"
PATIENCE_S = 20.0


def main(daw: str, stem: str, gain_db: float, port: int = 9129) -> int:
    """0 once the DAW confirmed the level, 1 when the daemon said why not or nothing came."""
    done: list[int] = []

    def said(address: str, *values: object) -> None:
        print(address, *values, flush=True)
        if address == "/dawbridge/error" or (address == "/dawbridge/reply" and values[0] == "fader"):
            done.append(int(address == "/dawbridge/error"))
        elif address == "/dawbridge/reply" and values[0] == "open":
            client.send_message(f"/dawbridge/stem/{stem}/gain_db", [gain_db, "#fader"])

    dispatcher = Dispatcher()
    dispatcher.set_default_handler(said)
    with BlockingOSCUDPServer((HOST, 0), dispatcher) as server:
        client = SimpleUDPClient(HOST, port)
        client.send_message("/dawbridge/subscribe", [server.server_address[1]])
        client.send_message("/dawbridge/session/open", [daw, "#open"])
        server.timeout = 0.1
        end_s = time.monotonic() + PATIENCE_S
        while not done and time.monotonic() < end_s:
            server.handle_request()
    return done[0] if done else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), *map(int, sys.argv[4:5])))
