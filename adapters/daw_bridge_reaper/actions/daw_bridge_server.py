"""Starts reapy's server inside REAPER, for programs on this machine only.

reapy's own script listens on every network interface and runs whatever it is sent; this one listens on 127.0.0.1,
waits for nobody and runs REAPER's API only.
Installed by `daw-bridge reaper setup`, which fills in where reapy lies.
"""

import json as plain_json
import sys
import time
from typing import Any

SITE_PACKAGES = "@SITE_PACKAGES@"
SERVER_PORT = 2306

if not SITE_PACKAGES.startswith("@") and SITE_PACKAGES not in sys.path:
    sys.path.append(SITE_PACKAGES)

import reapy  # noqa: E402
from reapy.tools import json  # noqa: E402
from reapy.tools.network import Server  # noqa: E402

MOST_BYTES = 1 << 20
PATIENCE_S = 1.0
HOLD_S = 10.0
MODULES = ("reapy.reascript_api", "reapy.core")


class LoopbackServer(Server):
    """reapy's server, except that it can be reached from this machine only, and that no peer can stop REAPER.

    REAPER's main thread waits for a request that has begun for PATIENCE_S and no longer, for a client that holds it
    for HOLD_S; it takes requests of MOST_BYTES, and of all functions only ReaScript's and reapy's own.
    """

    def bind(self, address: tuple[str, int]) -> None:
        super().bind(("127.0.0.1", address[1]))

    def _get_request(self, connection: Any, address: Any) -> Any:
        waited_from = time.monotonic()
        while True:
            try:
                return self._read(connection)
            except TimeoutError:
                if address not in HELD:
                    return None
                if time.monotonic() - waited_from > HOLD_S:
                    raise ConnectionAbortedError("held REAPER and said nothing") from None

    def _read(self, connection: Any) -> Any:
        stream = connection._socket
        stream.settimeout(0.0001)
        head = stream.recv(1)  # a timeout here means: nothing was asked
        stream.settimeout(PATIENCE_S)
        try:
            length = int.from_bytes(head + self._exactly(stream, 7), "little")
            if not 0 < length <= MOST_BYTES:
                raise ConnectionAbortedError("no request of reapy's")
            text = self._exactly(stream, length).decode()
        except TimeoutError:
            raise ConnectionAbortedError("began a request and did not end it") from None
        check(plain_json.loads(text))
        return json.loads(text)

    @staticmethod
    def _exactly(stream: Any, count: int) -> bytes:
        deadline, data = time.monotonic() + PATIENCE_S, b""
        while len(data) < count:
            more = stream.recv(count - len(data))
            if not more or time.monotonic() > deadline:
                raise ConnectionAbortedError("gone or too slow")
            data += more
        return data

    def _hold_connection(self, address: Any) -> Any:
        HELD.add(address)
        try:
            return super()._hold_connection(address)
        finally:
            HELD.discard(address)

    def serve_once(self) -> None:
        """One round over all connections; one that fails is dropped, and the others stay."""
        self.accept()
        for address, connection in list(self.connections.items()):
            try:
                request = self._get_request(connection, address)
                if request is not None:
                    self._send_result(connection, self._process_request(request, address))
            except Exception as error:  # noqa: BLE001  whatever a peer sends, REAPER goes on
                self.drop(address)
                if not isinstance(error, ConnectionError):
                    reapy.print(f"daw-bridge: a connection was dropped ({error})")

    def drop(self, address: Any) -> None:
        connection = self.connections.pop(address, None)
        try:
            if connection is not None:
                connection.close()
        except OSError:
            pass


HELD: set[Any] = set()


def check(request: Any) -> None:
    """ConnectionAbortedError for what is no call of REAPER's API: reapy would look up and run any function at all."""
    if not isinstance(request, dict):
        raise ConnectionAbortedError("no request of reapy's")
    function = request.get("function")
    if function in ("HOLD", "RELEASE"):
        return
    function = function if isinstance(function, dict) else {}
    module = str(function.get("module_name"))
    allowed = any(module == each or module.startswith(each + ".") for each in MODULES)
    if not allowed or not str(function.get("name")).isidentifier() or not isinstance(request.get("input"), dict):
        raise ConnectionAbortedError("no call of REAPER's API")
    if "__callable__" in plain_json.dumps(request["input"]):
        raise ConnectionAbortedError("a function among the values")


def loop() -> None:
    """Serve once and ask REAPER to call again; nothing that a client does may end the server."""
    try:
        SERVER.serve_once()
    except Exception as error:  # noqa: BLE001
        reapy.print(f"daw-bridge: {error}")
    reapy.defer(loop)


SERVER = LoopbackServer(SERVER_PORT)
reapy.set_ext_state("reapy", "server_port", str(SERVER_PORT))
reapy.at_exit(reapy.delete_ext_state, "reapy", "server_port")
loop()
