"""The project that is open in REAPER as a mixer of the daemon: moves go in through reapy, what moved is looked up.

reapy has no callbacks, and each of its calls waits for REAPER's next tick (33 ms) or, in a hold, stops REAPER's window.
So what moved in REAPER is read from REAPER's web interface, which reapy's connection needs anyway: one request has all
tracks, and REAPER's own web remote asks for it ten times a second too. Its lines are those that the documentation in
REAPER's `main.js` says (`TRACK number name flags volume pan ...`, a volume of 1 is 0 dB).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from daw_bridge.errors import DawError, DawUnreachable, did_you_mean
from daw_bridge.mixer import MixerAddress, MixerChange, MixerChannel, MixerParameter
from daw_bridge.units import SILENCE_DB, db_to_linear, linear_to_db
from daw_bridge_reaper.live.api import Pointer, Project
from daw_bridge_reaper.live.connection import Connection, web_request
from daw_bridge_reaper.live.place import SOLO_IN_PLACE
from daw_bridge_reaper.settings import Address, read_settings

POLL_S = 0.1
LOST_POLL_S = 1.0
"""Ask so often while REAPER does not answer."""
TIMEOUT_S = 5.0
FOLDER, MUTED, SOLOED = 1, 8, 16
"""Bits of a track's flags on the web interface."""
_KEYS: dict[MixerParameter, str] = {"gain_db": "D_VOL", "mute": "B_MUTE", "solo": "I_SOLO"}
_STEP_LINEAR = 2e-6
"""The web interface prints six decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A track as the web interface tells it; `number` counts from 1. `values` has gains as factors."""

    number: int
    is_bus: bool
    values: dict[MixerParameter, float]


def open_mixer(name: str, address: MixerAddress) -> ReaperMixer:  # noqa: ARG001  # every mixer is made by its name
    """Connect to REAPER; the port is that of its web interface. Raises DawUnreachable, AdapterMissing, InputError."""
    usual = read_settings().address
    return ReaperMixer(Address(host=address.host or usual.host, web_port=address.port or usual.web_port))


class ReaperMixer:
    """See `daw_bridge.mixer.MixerControl`. Channels are the named tracks; of two with one name the bus counts."""

    name = "REAPER, the open project"

    def __init__(self, address: Address, *, timeout_s: float = TIMEOUT_S) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._connection: Connection | None = Connection(address, timeout_s=timeout_s)
        self._rows: dict[str, _Row] = {}
        self._known: dict[tuple[str, MixerParameter], float] = {}
        self._listener: Callable[[MixerChange], None] | None = None
        self._next_poll_s = 0.0
        self._read()

    def channels(self) -> tuple[MixerChannel, ...]:
        rows = self._rows
        return tuple(MixerChannel(name=name, kind="bus" if row.is_bus else "track") for name, row in rows.items())

    def set(self, channel: str, parameter: MixerParameter, value: float) -> None:
        told = _reaper_value(parameter, value)
        try:
            if self._connection is None:
                self._connection = Connection(self._address, timeout_s=self._timeout_s)
            if channel not in self._rows or not self._try_set(self._connection, channel, parameter, told):
                self._read()  # tracks came, went or moved since the last look
                if channel not in self._rows or not self._try_set(self._connection, channel, parameter, told):
                    raise DawError(f"REAPER has no track {channel!r}{did_you_mean(channel, self._rows)}")
        except DawUnreachable:
            self.close()  # REAPER went away: the next move tries to reach it anew
            raise
        self._known[channel, parameter] = told if parameter == "gain_db" else float(told > 0)

    def on_change(self, listener: Callable[[MixerChange], None]) -> None:
        self._listener = listener
        for (channel, parameter), value in self._known.items():
            listener(_change(channel, parameter, value))

    def poll(self) -> None:
        """Look what moved in REAPER, and tell the listener."""
        if time.monotonic() < self._next_poll_s:
            return
        self._next_poll_s = time.monotonic() + LOST_POLL_S
        self._read()
        self._next_poll_s = time.monotonic() + POLL_S

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self) -> None:
        self._rows = _rows(web_request(self._address, "TRACK"))
        for channel, row in self._rows.items():
            for parameter, value in row.values.items():
                known = self._known.get((channel, parameter))
                self._known[channel, parameter] = value
                is_news = known is None or abs(known - value) > _STEP_LINEAR + 1e-4 * value
                if is_news and self._listener is not None:
                    self._listener(_change(channel, parameter, value))
        for key in [key for key in self._known if key[0] not in self._rows]:
            del self._known[key]

    def _try_set(self, connection: Connection, channel: str, parameter: MixerParameter, value: float) -> bool:
        """Set and read back in one go. False, and nothing set, when the track is another one by now."""
        key = _KEYS[parameter]
        with connection.hold():
            project = Project(connection)
            track = Pointer(project.call("GetTrack", project.id, self._rows[channel].number - 1))
            if track.is_null or project.text(track, "P_NAME") != channel:
                return False
            project.set_value(track, key, value)
            now = project.value(track, key)
        if abs(now - value) > _STEP_LINEAR + 1e-4 * value:
            raise DawError(f"{channel}: REAPER reports {key} {now:g} instead of {value:g}")
        return True


def _reaper_value(parameter: MixerParameter, value: float) -> float:
    """REAPER's own number."""
    if parameter == "gain_db":
        return 0.0 if value <= SILENCE_DB else db_to_linear(value)
    # In place: what feeds a bus must sound with it.
    return (float(SOLO_IN_PLACE) if parameter == "solo" else 1.0) if value >= 0.5 else 0.0


def _change(channel: str, parameter: MixerParameter, value: float) -> MixerChange:
    told = max(SILENCE_DB, linear_to_db(value)) if parameter == "gain_db" else value
    return MixerChange(channel=channel, parameter=parameter, value=told)


def _rows(answer: str) -> dict[str, _Row]:
    """The named tracks of the web interface's answer, without the master (number 0), in the order of the mixer."""
    found: dict[str, _Row] = {}
    for line in answer.splitlines():
        cells = line.split("\t")
        if cells[0] != "TRACK" or len(cells) < 12 or not cells[2]:
            continue
        try:
            number, flags, volume, receives = int(cells[1]), int(cells[3]), float(cells[4]), int(cells[11])
        except ValueError:
            continue
        is_bus = bool(flags & FOLDER or receives)
        if number == 0 or (cells[2] in found and not is_bus):
            continue
        values: dict[MixerParameter, float] = {
            "gain_db": volume,
            "mute": float(bool(flags & MUTED)),
            "solo": float(bool(flags & SOLOED)),
        }
        found[cells[2]] = _Row(number=number, is_bus=is_bus, values=values)
    return found
