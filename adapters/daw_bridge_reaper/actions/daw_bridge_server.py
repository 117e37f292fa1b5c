"""Starts reapy's server inside REAPER, for programs on this machine only.

reapy's own script listens on every network interface and runs whatever it is sent; this one listens on 127.0.0.1.
Installed by `daw-bridge reaper setup`, which fills in where reapy lies.
"""

import sys

SITE_PACKAGES = "@SITE_PACKAGES@"
SERVER_PORT = 2306

if not SITE_PACKAGES.startswith("@") and SITE_PACKAGES not in sys.path:
    sys.path.append(SITE_PACKAGES)

import reapy  # noqa: E402
from reapy.tools.network import Server  # noqa: E402


class LoopbackServer(Server):
    """reapy's server, except that it can be reached from this machine only."""

    def bind(self, address: tuple[str, int]) -> None:
        super().bind(("127.0.0.1", address[1]))


def loop() -> None:
    """Serve once and ask REAPER to call again; a client that vanished must not end the server."""
    try:
        SERVER.accept()
        SERVER.send_results(SERVER.process_requests(SERVER.get_requests()))
    except (OSError, KeyError, ValueError) as error:
        for address, connection in list(SERVER.connections.items()):
            try:
                connection.close()
            except OSError:
                pass
            del SERVER.connections[address]
        reapy.print(f"daw-bridge: a connection was dropped ({error})")
    reapy.defer(loop)


SERVER = LoopbackServer(SERVER_PORT)
reapy.set_ext_state("reapy", "server_port", str(SERVER_PORT))
reapy.at_exit(reapy.delete_ext_state, "reapy", "server_port")
loop()
