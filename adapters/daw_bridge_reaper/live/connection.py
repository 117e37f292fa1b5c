"""reapy, tamed: imported only here and without its side effects, its failures one line that says what to switch on.

What reapy 0.10.0 does on its own, and what is done about it:

- its import connects to localhost:2307 at once, and may end in a RecursionError: it is imported with its network off;
- a variable `obj` in `__main__` makes it believe that it runs inside REAPER: it is hidden during the import;
- its client waits for an answer without end: ours gives up after `timeout_s`;
- its web lookup recurses until the server has started: ours asks, starts the server once, and waits a few seconds.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from daw_bridge.errors import AdapterMissing, DawUnreachable
from daw_bridge_reaper.live.api import ReaScriptError
from daw_bridge_reaper.live.secret import known_secret
from daw_bridge_reaper.settings import Address

SETUP_HINT = "run 'daw-bridge reaper setup' while REAPER is closed, then start REAPER"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxies of the environment: REAPER is on this machine or on this network."""
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_IMPORT_LOCK = threading.Lock()
_WEB_TIMEOUT_S = 2.0
_START_TIMEOUT_S = 6.0
_MAX_ANSWER_BYTES = 1_048_576


def _no_network(*_args: object, **_kwargs: object) -> Any:
    raise urllib.error.URLError("off while reapy is imported")


def import_reapy() -> Any:
    """The module `reapy.tools.network.client`; AdapterMissing when reapy is not installed."""
    import __main__

    with _IMPORT_LOCK:
        main_globals = vars(__main__)
        inside = "reaper_python" in sys.modules
        hidden = {} if inside or "obj" not in main_globals else {"obj": main_globals.pop("obj")}
        urlopen = urllib.request.urlopen
        urllib.request.urlopen = _no_network
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from reapy.tools.network import client
        except ImportError as exc:
            raise AdapterMissing(
                f"driving REAPER live needs the package {exc.name!r}; install it with: pip install 'daw-bridge[reaper]'"
            ) from exc
        finally:
            urllib.request.urlopen = urlopen
            main_globals.update(hidden)
    return client


class Connection:
    """A connection to reapy's server inside REAPER. Close it, or use it as a context manager."""

    def __init__(self, address: Address, *, timeout_s: float = 20.0) -> None:
        """Raises DawUnreachable with what to switch on, AdapterMissing without reapy."""
        self.address, self.timeout_s = address, timeout_s
        self._client = _connect(address, timeout_s)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        try:
            self._client.close()
        except OSError:
            pass

    def call(self, name: str, *args: str | float | bool) -> Any:
        """See ReaScript.call."""
        function = {"__callable__": True, "module_name": "reapy.reascript_api", "name": name}
        return self._request(function, {"args": list(args), "kwargs": {}}, name)

    def markers(self) -> list[tuple[str, float]]:
        """See ReaScript.markers."""
        rows = (line.split("\t") for line in web_request(self.address, "MARKER").splitlines())
        return [(row[1], float(row[3])) for row in rows if row[0] == "MARKER" and len(row) > 3]

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See ReaScript.hold."""
        self._request("HOLD", None, "holding REAPER")
        try:
            yield
        finally:
            self._request("RELEASE", None, "releasing REAPER")

    def _request(self, function: object, arguments: object, what: str) -> Any:
        from reapy.errors import DistError

        try:
            return self._client.request(function, arguments)
        except DistError as exc:
            raise ReaScriptError(f"{what} failed inside REAPER: {_last_line(str(exc))}") from exc
        except TimeoutError as exc:
            raise DawUnreachable(
                f"REAPER has not answered {what} for {self.timeout_s:g} s; close its open dialogs and try again"
            ) from exc
        except (OSError, ValueError) as exc:
            raise DawUnreachable(
                f"REAPER went away during {what}; start it and try again (nothing of this step was kept)"
            ) from exc


def _last_line(traceback: str) -> str:
    lines = [line.strip() for line in traceback.replace("\\n", "\n").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def _connect(address: Address, timeout_s: float) -> Any:
    client_module = import_reapy()
    port = _server_port(address)
    try:
        return _timed(client_module, port, address.host, timeout_s)
    except OSError as exc:
        if exc.errno not in (errno.ECONNREFUSED, None) and not isinstance(exc, TimeoutError):
            raise DawUnreachable(f"reapy's server at {address.host}:{port} cannot be reached ({exc})") from exc
    # The port is left over from a REAPER that has quit or a script that was stopped: start the server once more.
    _start_server(address)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            return _timed(client_module, _server_port(address), address.host, timeout_s)
        except OSError as exc:
            if time.monotonic() > deadline:
                raise DawUnreachable(
                    f"REAPER is at {address.host}, but reapy's server in it does not start; {SETUP_HINT}"
                ) from exc
            time.sleep(0.2)


def _timed(client_module: Any, port: int, host: str, timeout_s: float) -> Any:
    """reapy's own client, except that it waits for each answer for at most `timeout_s`, and says the secret first."""
    from reapy.errors import DistError

    class TimedClient(client_module.Client):  # type: ignore[misc]  # reapy has no usable types
        def _connect(self, port: int, host: str) -> None:
            self._socket.settimeout(timeout_s)
            try:
                super()._connect(port, host)
                self._say_secret(port, host)
            except (ConnectionAbortedError, ConnectionResetError, UnicodeDecodeError) as exc:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "no reapy server answers there") from exc

        def _say_secret(self, port: int, host: str) -> None:
            """Our server hears programs of REAPER's user only; reapy's own does not know the word, which is no harm."""
            secret = known_secret(port) if host in _THIS_MACHINE else ""
            if secret:
                with suppress(DistError):
                    self.request("SECRET", {"args": [secret], "kwargs": {}})

        def recv(self, timeout: float | None = None) -> Any:
            ready, _, _ = select.select([self._socket], [], [], timeout_s)
            if not ready:
                raise TimeoutError("no answer")
            return super().recv(timeout)

    return TimedClient(port, host)


def _server_port(address: Address) -> int:
    """The port of reapy's server, which is started when it does not run yet."""
    port = ext_state(address, "server_port")
    if not port:
        _start_server(address)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not port and time.monotonic() < deadline:
            time.sleep(0.1)
            port = ext_state(address, "server_port")
    number = _plain(port)
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise DawUnreachable(f"REAPER is at {address.host}, but reapy's server in it does not start; {SETUP_HINT}")
    return int(number)


def _start_server(address: Address) -> None:
    action = _plain(ext_state(address, "activate_reapy_server"))
    if not action:
        raise DawUnreachable(f"REAPER is at {address.host}, but has no action that starts reapy's server; {SETUP_HINT}")
    web_request(address, urllib.parse.quote(action))


def _plain(text: str) -> str:
    """The ext states are JSON texts: a number, or a quoted action id."""
    try:
        return str(json.loads(text)) if text else ""
    except ValueError:
        return text


def ext_state(address: Address, key: str) -> str:
    """An ext state of the section `reapy`; empty when it is not set. Raises DawUnreachable."""
    answer = web_request(address, f"GET/EXTSTATE/reapy/{key}")
    if not answer.startswith("EXTSTATE\treapy\t"):
        raise DawUnreachable(
            f"port {address.web_port} of {address.host} is in use by something that is not REAPER's web interface; "
            "give that program or REAPER another port ('daw-bridge reaper setup --web-port N')"
        )
    return answer.rstrip("\n").split("\t", 3)[3] if answer.count("\t") >= 3 else ""


def web_request(address: Address, path: str) -> str:
    """Ask REAPER's web interface. Raises DawUnreachable with what to switch on."""
    url = f"http://{address.host}:{address.web_port}/_/{path}"
    try:
        with _OPENER.open(url, timeout=_WEB_TIMEOUT_S) as answer:
            return str(answer.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace"))
    except urllib.error.HTTPError as exc:
        raise DawUnreachable(
            f"port {address.web_port} of {address.host} answers {exc.code}: it is not REAPER's web interface, or it "
            "asks for a password; use 'daw-bridge reaper setup --web-port N'"
        ) from exc
    except TimeoutError as exc:
        raise DawUnreachable(_hangs(address)) from exc
    except urllib.error.URLError as exc:
        if isinstance(exc.reason, TimeoutError | socket.timeout):
            raise DawUnreachable(_hangs(address)) from exc
        raise DawUnreachable(
            f"no REAPER web interface at {address.host}:{address.web_port}: start REAPER; if it runs, {SETUP_HINT}"
        ) from exc
    except (OSError, ValueError) as exc:
        raise DawUnreachable(
            f"port {address.web_port} of {address.host} does not speak HTTP; use 'daw-bridge reaper setup --web-port N'"
        ) from exc


def _hangs(address: Address) -> str:
    return f"REAPER at {address.host}:{address.web_port} does not answer; close its open dialogs and try again"
