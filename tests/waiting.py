"""Waiting for what another program has done, not for a time: the test's own limit bounds each wait."""

from __future__ import annotations

import socket
import time

PATIENCE_S = 240.0
"""For what does come: only a machine with far too much to do takes so long, and the test's own limit is near."""


def wait_until_taken(udp_port: int) -> None:
    """Return when somebody listens on a UDP port of this machine."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("0.0.0.0", udp_port))  # noqa: S104  # only to see whether it is free
            except OSError:
                return
        time.sleep(0.01)


def ended(connection: socket.socket) -> bool:
    """Whether the other side ends the connection without a word."""
    connection.settimeout(30)
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True
