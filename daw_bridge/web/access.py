"""Who may use the page: the daemon's rules for addresses, and a secret that every request has to say.

The secret is `serve --token-file`'s where there is one, else a file of the user's own, so that neither another user of
this machine nor a program without it reaches the songs. It travels in the fragment of the link that is opened, in
`Authorization` and in the socket's first message; never in a cookie, which all ports of a host would share.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from daw_bridge.control.net.security import AccessPolicy
from daw_bridge.errors import OutputError
from daw_bridge.files import output_errors, write_atomic
from daw_bridge.paths import user_config_dir

TICKET_S = 60.0
MAX_TICKETS = 256
SECRET_NAME = "web-token"  # noqa: S105  # the name of a file

Value = TypeVar("Value")


def own_secret(folder: Path | None = None) -> str:
    """The secret of this user's page, made at the first use in a file that only the user can read."""
    path = (folder or user_config_dir()) / SECRET_NAME
    try:
        known = path.read_text("utf-8").strip()
    except FileNotFoundError:
        known = ""
    except (OSError, UnicodeDecodeError) as exc:
        raise OutputError(f"{path}: cannot be read ({exc}); delete it, a new one is made") from exc
    if len(known) >= 32:
        return known
    made = secrets.token_urlsafe(32)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)  # `write_atomic` keeps the mode of what it replaces
    write_atomic(path, made + "\n")
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAccess:
    """The rule for one request."""

    policy: AccessPolicy
    secret: str

    @classmethod
    def of(cls, policy: AccessPolicy, host: str) -> WebAccess:
        """For a page that listens on `host`: the daemon's networks, and its token or else the user's own secret."""
        secret = policy.token or own_secret()
        return cls(policy=AccessPolicy(bind_host=host, networks=policy.networks, token=secret), secret=secret)

    def says_secret(self, given: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.secret.encode())

    def admits_request(self, authorization: str) -> bool:
        """Whether an `Authorization` header holds the secret."""
        kind, _, given = authorization.partition(" ")
        return kind.lower() == "bearer" and self.says_secret(given.strip())


class Tickets(Generic[Value]):
    """One-use, short-lived names for downloads: a link cannot carry a header, and a secret does not belong into one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._issued: OrderedDict[str, tuple[Value, float]] = OrderedDict()

    def issue(self, value: Value) -> str:
        """A new ticket; the oldest goes when there are too many."""
        ticket = secrets.token_urlsafe(24)
        self._issued[ticket] = (value, self._clock() + TICKET_S)
        while len(self._issued) > MAX_TICKETS:
            self._issued.popitem(last=False)
        return ticket

    def redeem(self, ticket: str) -> Value | None:
        """What the ticket is for, once; None for one that is unknown, used or too old."""
        value, until = self._issued.pop(ticket, (None, 0.0))
        return value if self._clock() <= until else None
