"""Starts reapy's server inside REAPER, for programs on this machine only.

reapy's own script listens on every network interface and runs whatever it is sent; this one listens on 127.0.0.1,
waits for nobody, runs REAPER's API only, and hears programs of REAPER's own user only.
Installed by `daw-bridge reaper setup`, which fills in where reapy lies.
"""

import hmac
import json as plain_json
import os
import secrets
import stat
import sys
import tempfile
import time
from pathlib import Path
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
MOST_CONNECTIONS = 32
MODULES = ("reapy.reascript_api", "reapy.core")


class LoopbackServer(Server):
    """reapy's server, except that it can be reached from this machine only, and that no peer can stop REAPER.

    REAPER's main thread waits for a request that has begun for PATIENCE_S and no longer, for a client that holds it
    for HOLD_S; it takes requests of MOST_BYTES, and of all functions only ReaScript's and reapy's own.
    """

    def bind(self, address: tuple[str, int]) -> None:
        super().bind(("127.0.0.1", address[1]))

    def accept(self, *args: Any, **kwargs: Any) -> Any:
        """Take a connection, unless another user of this machine is at its other end, as far as the system tells."""
        found = super().accept(*args, **kwargs)
        if found is not None:
            address = found[1]
            mine = is_mine(int(address[1]), SERVER_PORT)
            if mine:
                KNOWN.add(address)
            strangers = [each for each in self.connections if each not in KNOWN]
            if mine is False or len(strangers) > MOST_CONNECTIONS:
                self.drop(address if mine is False else strangers[0])
        return found

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
                if request is not None and says_secret(request, address):
                    self._send_result(connection, {"type": "result", "value": None})
                elif request is not None:
                    self._send_result(connection, self._process_request(request, address))
            except Exception as error:  # noqa: BLE001  whatever a peer sends, REAPER goes on
                self.drop(address)
                if not isinstance(error, ConnectionError):
                    reapy.print(f"daw-bridge: a connection was dropped ({error})")

    def drop(self, address: Any) -> None:
        KNOWN.discard(address)
        connection = self.connections.pop(address, None)
        try:
            if connection is not None:
                connection.close()
        except OSError:
            pass


HELD: set[Any] = set()
KNOWN: set[Any] = set()
"""The connections whose program is known to be of REAPER's user."""


def is_mine(port: int, server_port: int) -> Any:
    """Whether this user's program has `port` at the other end of a connection; None where the system does not tell."""
    told, owners = False, set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [line.split() for line in Path(table).read_text("ascii").splitlines()][1:]
        except (OSError, UnicodeDecodeError):
            continue
        told = True
        ends = (port, server_port)
        owners |= {
            int(row[7]) for row in rows if len(row) > 7 and tuple(int(row[at][-4:], 16) for at in (1, 2)) == ends
        }
    user = os.getuid() if hasattr(os, "getuid") else -1
    return owners <= {user, 0} and bool(owners) if told else None


def published_secret() -> str:
    """A new secret, in a file that only this user can read; where no such file can be made, nobody knows it."""
    made = secrets.token_urlsafe(32)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"daw-bridge-{user}"
    if runtime and Path(runtime).is_dir():
        folder = Path(runtime) / "daw-bridge"
    path = folder / f"reaper-{SERVER_PORT}.token"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        others = hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077)
        if others or not stat.S_ISDIR(found.st_mode):
            raise PermissionError(f"{folder} is open to others")
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(made)
    except OSError as error:
        reapy.print(f"daw-bridge: no secret for this machine's programs ({error})")
    return made


def says_secret(request: Any, address: Any) -> bool:
    """Whether a request is the secret; ConnectionAbortedError for any other one of a program that is not known."""
    if request.get("function") == "SECRET":
        said = str((request.get("input") or {}).get("args", [""])[0])
        if hmac.compare_digest(said.encode("utf-8", "replace"), SECRET.encode()):
            KNOWN.add(address)
    if address not in KNOWN:
        raise ConnectionAbortedError("did not say the secret")
    return bool(request.get("function") == "SECRET")


def check(request: Any) -> None:
    """ConnectionAbortedError for what is no call of REAPER's API: reapy would look up and run any function at all."""
    if not isinstance(request, dict):
        raise ConnectionAbortedError("no request of reapy's")
    function = request.get("function")
    if function in ("HOLD", "RELEASE", "SECRET"):
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
SECRET = published_secret()
reapy.set_ext_state("reapy", "server_port", str(SERVER_PORT))
reapy.at_exit(reapy.delete_ext_state, "reapy", "server_port")
loop()
