"""Who is listening: subscribers with a lease and a bound, and sends that never wait for a slow one."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Protocol

from daw_bridge.osc import Message

MAX_SUBSCRIBERS = 64
LEASE_S = 3600.0
"""A UDP subscriber of which nothing was heard for so long is dropped; any message of its host renews it."""


class Client(Protocol):
    """One peer. `send` never blocks and never raises; what cannot go out is dropped and counted."""

    @property
    def host(self) -> str:
        """Its address."""
        ...

    @property
    def key(self) -> str:
        """Equal for equal peers."""
        ...

    @property
    def lasting(self) -> bool:
        """Whether the transport itself tells when the peer is gone (TCP), so that it needs no lease."""
        ...

    def send(self, message: Message) -> None:
        """Hand one message to the transport, which writes it in its own way."""
        ...


class Subscribers:
    """The bounded table of subscribers; the one that was silent longest makes place for a new one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clients: OrderedDict[str, tuple[Client, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: Client) -> None:
        """Add or renew."""
        self._clients.pop(client.key, None)
        self._clients[client.key] = (client, self._clock())
        if len(self._clients) > MAX_SUBSCRIBERS:
            self._clients.popitem(last=False)

    def renew(self, host: str) -> None:
        """Something was heard of this host."""
        now = self._clock()
        for key, (client, _) in list(self._clients.items()):
            if client.host == host:
                self._clients[key] = (client, now)
                self._clients.move_to_end(key)

    def remove(self, client: Client) -> None:
        """This peer, and no other."""
        self._clients.pop(client.key, None)

    def remove_host(self, host: str) -> int:
        """All of a host; how many there were."""
        keys = [key for key, (client, _) in self._clients.items() if client.host == host]
        for key in keys:
            del self._clients[key]
        return len(keys)

    def of_host(self, host: str) -> Iterator[Client]:
        """The subscribers of one host."""
        return (client for client, _ in list(self._clients.values()) if client.host == host)

    def broadcast(self, message: Message) -> None:
        """To all."""
        oldest = self._clock() - LEASE_S
        for key, (client, heard) in list(self._clients.items()):
            if not client.lasting and heard < oldest:
                del self._clients[key]
            else:
                client.send(message)
