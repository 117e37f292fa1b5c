"""Who may speak to the daemon, how fast, and which files they may name.

Loopback by default. A network address needs `--allow` (source addresses) or a token; UDP source addresses can be
forged, so the token is the stronger of the two and both together are best. Nothing here is encrypted: the daemon
belongs on a studio network, never on the internet.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from daw_bridge.errors import InputError, UsageError
from daw_bridge.spelling import as_on_disk

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOSTS = 256
RATE_PER_S = 2000.0
BURST = 2000.0
ERRORS_PER_S = 20.0
SHARE_PER_S = 100.0
"""What every sender may send however busy the others are."""
MIN_TOKEN_CHARACTERS = 16


@lru_cache(MAX_HOSTS)
def is_loopback(host: str) -> bool:
    """Whether an address (or `localhost`) is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(MAX_HOSTS)
def sender_of(host: str) -> str:
    """Whom an address belongs to: in IPv6 a single machine has as many addresses as it likes, of one /64."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4 or address.ipv4_mapped is not None:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False))


def both_loopbacks(host: str) -> tuple[str, ...]:
    """An address to listen at and, where it is this machine's own, the same of the other family."""
    if host in ("localhost", "127.0.0.1"):
        return ("127.0.0.1", "::1")
    return ("::1", "127.0.0.1") if host == "::1" else (host,)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks in CIDR notation; UsageError for anything else."""
    try:
        return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    except ValueError as exc:
        raise UsageError(f"`allow`: {exc}; write a network as 192.168.1.0/24") from exc


@dataclass(slots=True, kw_only=True)
class AccessPolicy:
    """Which senders are heard. Loopback always is; others by `networks`, by `token`, or by both when both are set.

    `local_secret` is what a connection from this machine has to say first (a datagram need not).
    """

    bind_host: str = "127.0.0.1"
    networks: tuple[Network, ...] = ()
    token: str = ""
    local_secret: str = ""

    def __post_init__(self) -> None:
        if self.token and len(self.token) < MIN_TOKEN_CHARACTERS:
            raise UsageError(f"the token is too short; at least {MIN_TOKEN_CHARACTERS} characters, chosen at random")
        if not is_loopback(self.bind_host) and not self.networks and not self.token:
            raise UsageError(
                f"`bind` {self.bind_host} opens the daemon to the network; "
                "say who may use it with `allow` 192.168.1.0/24 or a `token_file`"
            )

    def admits(self, host: str) -> bool:
        """Whether packets from this address are looked at."""
        if is_loopback(host):
            return True
        if is_loopback(self.bind_host):
            return False
        if not self.networks:
            return True
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self.networks)

    def needs_token(self, host: str) -> bool:
        """Whether this address must say the token first. Loopback need not."""
        return bool(self.token) and not is_loopback(host)

    def token_matches(self, given: str, host: str = "") -> bool:
        """Whether it is the token or, from this machine, the daemon's own secret. Compared in constant time."""
        known = [self.token, self.local_secret if is_loopback(host) else ""]
        said = given.encode("utf-8", "surrogatepass")
        return any(bool(secret) and hmac.compare_digest(said, secret.encode()) for secret in known)


class RateLimiter:
    """A token bucket for each sender, for at most `MAX_HOSTS` of them."""

    def __init__(
        self,
        per_s: float = RATE_PER_S,
        burst: float = BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, host: str) -> bool:
        """Take one message from the sender's bucket; False when it is empty."""
        now = self._clock()
        left, since = self._buckets.pop(host, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_s)
        allowed = left >= 1.0
        self._buckets[host] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > MAX_HOSTS:
            self._buckets.popitem(last=False)
        return allowed


@dataclass(frozen=True, slots=True)
class MusicFolders:
    """The folders that commands from outside may name files in."""

    roots: tuple[Path, ...]

    @classmethod
    def of(cls, folders: Sequence[Path]) -> MusicFolders:
        """From existing folders; InputError when one is missing."""
        roots = []
        for folder in folders:
            if not folder.is_dir():
                raise InputError(f"{folder}: no such folder; give an existing one (`music`)")
            roots.append(folder.resolve())
        return cls(tuple(roots))

    def resolve(self, text: str, kind: Literal["file", "folder", "any"]) -> Path:
        """The real path of an existing file or folder inside a root, links followed; InputError otherwise.

        Relative paths are tried in each root. The message is the same for what is outside and what does not exist, so
        that nobody can ask which files there are.
        """
        wanted = {"file": "a file", "folder": "a folder", "any": "anything"}[kind]
        refused = InputError(f"{text[:200]!r}: {wanted} of that name is not found in a music folder (`music`)")
        if not text or any(ord(mark) < 32 for mark in text):
            raise refused
        for root in self.roots:
            try:
                path = as_on_disk(root / text).resolve(strict=True)
            except (OSError, RuntimeError, ValueError):
                continue
            if not path.is_relative_to(root):
                continue
            if path.is_file() if kind == "file" else path.is_dir() if kind == "folder" else path.exists():
                return path
        raise refused


@dataclass(slots=True)
class Counters:
    """What came in, went out and was dropped, by reason. A fixed set of names, so it cannot grow."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, amount: int = 1) -> None:
        self.counts[name] += amount

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def text(self) -> str:
        """`name=count` for all, sorted."""
        return " ".join(f"{name}={count}" for name, count in sorted(self.counts.items()))
