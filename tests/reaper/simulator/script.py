"""The simulator called directly, in the place of a connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from daw_bridge_reaper.live.api import ReaScriptError
from tests.reaper.simulator.functions import Functions
from tests.reaper.simulator.model import World


class SimulatedScript:
    """A ReaScript without sockets, for the tests that need thousands of builds."""

    def __init__(self, world: World) -> None:
        self.world, self.functions, self.held = world, Functions(world), False

    def __enter__(self) -> SimulatedScript:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def call(self, name: str, *args: str | float | bool) -> Any:
        assert self.held, f"{name} outside of a hold"
        try:
            return self.functions.call(name, *args)
        except RuntimeError as exc:
            raise ReaScriptError(f"{name} failed inside REAPER: {exc}") from exc

    def markers(self) -> list[tuple[str, float]]:
        return [(marker[3], marker[1]) for marker in self.world.content.markers if not marker[0]]

    @contextmanager
    def hold(self) -> Iterator[None]:
        assert not self.held
        self.held = True
        try:
            yield
        finally:
            self.held = False
