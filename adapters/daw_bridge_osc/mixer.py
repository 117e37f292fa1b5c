"""The mixer of a DAW for the daemon: any profile as a MixerControl."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

from daw_bridge.mixer import MixerAddress, MixerChange, MixerChannel, MixerParameter
from daw_bridge.osc import Message
from daw_bridge_osc.client import OscDaw
from daw_bridge_osc.messages import FeedbackPattern
from daw_bridge_osc.profile import Profile
from daw_bridge_osc.profile_file import load_profile
from daw_bridge_osc.scaling import Scale

_OPERATIONS: dict[str, MixerParameter] = {"track.gain_db": "gain_db", "track.mute": "mute", "track.solo": "solo"}


def open_mixer(name: str, address: MixerAddress) -> OscMixer:
    """Connect to the DAW of that profile. Raises DawUnreachable, TemplateError, Busy (the reply port is taken)."""
    return OscMixer(load_profile(name, address.profile), address)


class OscMixer:
    """See `daw_bridge.mixer.MixerControl`."""

    def __init__(self, profile: Profile, address: MixerAddress | None = None) -> None:
        self._reports: list[tuple[FeedbackPattern, MixerParameter, Scale | None]] = []
        for operation, parameter in _OPERATIONS.items():
            mapping = profile.operations.get(operation)
            if mapping is not None and mapping.confirm is not None:
                self._reports.append((mapping.confirm.report, parameter, mapping.scale.get("value")))
        self._lock = threading.Lock()
        self._known: dict[tuple[str, MixerParameter], float] = {}
        self._early: list[tuple[Message, int]] = []
        self._listener: Callable[[MixerChange], None] | None = None
        self._daw: OscDaw | None = None
        self._daw = OscDaw(profile, address, listener=self._heard)
        for message, bank in self._early:
            self._heard(message, bank)
        self._early.clear()

    @property
    def name(self) -> str:
        return self._open.profile.title

    @property
    def _open(self) -> OscDaw:
        return cast("OscDaw", self._daw)

    def channels(self) -> tuple[MixerChannel, ...]:
        return self._open.channels

    def set_gain_db(self, channel: str, gain_db: float) -> None:
        self._open.do("track.gain_db", track=channel, value=gain_db)

    def set_mute(self, channel: str, mute: bool) -> None:
        self._open.do("track.mute", track=channel, value=mute)

    def set_solo(self, channel: str, solo: bool) -> None:
        self._open.do("track.solo", track=channel, value=solo)

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

    def _heard(self, message: Message, bank: int) -> None:
        """A report of the DAW, from the reading thread."""
        daw = self._daw
        for pattern, parameter, scale in self._reports:
            values = pattern.match(message)
            if values is None:
                continue
            if daw is None:
                # Names are not known yet while the connection is made.
                if len(self._early) < 10_000:
                    self._early.append((message, bank))
                return
            number, value = values.get("track"), values.get("value")
            channel = daw.track_at(int(number), bank) if isinstance(number, (int, float)) else None
            if channel is None or not isinstance(value, (int, float)):
                return
            amount = float(value) if scale is None else scale.from_wire(float(value))
            with self._lock:
                changed = self._known.get((channel, parameter)) != amount
                self._known[channel, parameter] = amount
                listener = self._listener
            if listener is not None and changed:
                listener(MixerChange(channel=channel, parameter=parameter, value=amount))
            return
