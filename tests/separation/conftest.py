"""Fixtures that several files of this folder use."""

from __future__ import annotations

from tests.separation.fetch_server import server

__all__ = ["server"]
