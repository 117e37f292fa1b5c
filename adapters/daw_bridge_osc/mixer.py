"""The mixer of a DAW for the daemon: any profile as a MixerControl."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

from daw_bridge.mixer import MIXER_PARAMETERS, MixerAddress, MixerChange, MixerChannel, MixerParameter
from daw_bridge_osc.client import OscDaw
from daw_bridge_osc.profile import Profile
from daw_bridge_osc.profile_file import load_profile
from daw_bridge_osc.reports import Report

_PARAMETERS: dict[str, MixerParameter] = {f"track.{parameter}": parameter for parameter in MIXER_PARAMETERS}
"""Operation -> what it moves."""


def open_mixer(name: str, address: MixerAddress) -> OscMixer:
    """Connect to the DAW of that profile. Raises DawUnreachable, TemplateError, Busy (the reply port is taken)."""
    return OscMixer(load_profile(name, address.profile), address)


class OscMixer:
    """See `daw_bridge.mixer.MixerControl`."""

    def __init__(self, profile: Profile, address: MixerAddress | None = None) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, MixerParameter], float] = {}
        self._early: list[Report] = []
        self._listener: Callable[[MixerChange], None] | None = None
        self._daw: OscDaw | None = None
        self._daw = OscDaw(profile, address, listener=self._heard)
        for report in self._early:
            self._heard(report)
        self._early.clear()

    @property
    def name(self) -> str:
        return self._open.profile.title

    @property
    def _open(self) -> OscDaw:
        return cast("OscDaw", self._daw)

    def channels(self) -> tuple[MixerChannel, ...]:
        return self._open.channels

    def set(self, channel: str, parameter: MixerParameter, value: float) -> None:
        wanted = value if parameter == "gain_db" else value >= 0.5
        self._open.do(f"track.{parameter}", track=channel, value=wanted)

    def on_change(self, listener: Callable[[MixerChange], None]) -> None:
        with self._lock:
            self._listener = listener
            known = dict(self._known)
        for (channel, parameter), value in known.items():
            listener(MixerChange(channel=channel, parameter=parameter, value=value))

    def poll(self) -> None:
        """Ask for the tracks again when the DAW said that they changed."""
        self._open.refresh_if_changed()

    def close(self) -> None:
        self._open.close()

    def _heard(self, report: Report) -> None:
        """A report of the DAW, from the reading thread."""
        parameter, daw = _PARAMETERS.get(report.about), self._daw
        if parameter is None or report.is_answer:
            return
        if daw is None:
            # Names are not known yet while the connection is made.
            if len(self._early) < 10_000:
                self._early.append(report)
            return
        number, value = report.track, report.value
        channel = daw.track_at(int(number), report.bank) if isinstance(number, (int, float)) else None
        if channel is None or not isinstance(value, (int, float)):
            return
        scale = daw.profile.operations[report.about].scale.get("value")
        amount = float(value) if scale is None else scale.from_wire(float(value))
        with self._lock:
            changed = self._known.get((channel, parameter)) != amount
            self._known[channel, parameter] = amount
            listener = self._listener
        if listener is not None and changed:
            listener(MixerChange(channel=channel, parameter=parameter, value=amount))
