"""What REAPER's own plug-ins save, in the field's units: encode and decode.

ReaEQ, ReaLimit and ReaDelay save chunks of their own; for ReaComp, ReaGate and ReaVerbate REAPER saves the list of raw
parameter values, which are also what the live `TrackFX_SetParam` takes. The scales were derived from the states of real
projects and stock presets; the defaults below reproduce the bytes that REAPER writes for a fresh instance.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from daw_bridge.units import db_to_linear, linear_to_db

_LIST_MAGIC = (0xDEADBEEF, 0xDEADF00D)
SILENT_LINEAR = db_to_linear(-150.0)
"""How these plug-ins store -inf dB."""


def encode_parameters(values: Sequence[float]) -> bytes:
    """REAPER's list of raw parameter values."""
    return struct.pack(f"<II{len(values)}f", *_LIST_MAGIC, *values)


def decode_parameters(data: bytes) -> list[float]:
    """The raw values of a list; ValueError when `data` is none."""
    if len(data) < 8 or struct.unpack_from("<II", data) != _LIST_MAGIC:
        raise ValueError("no list of parameters")
    count = (len(data) - 8) // 4
    return list(struct.unpack_from(f"<{count}f", data, 8))


class ReaEqKind(IntEnum):
    """The band types as the chunk numbers them (the live API numbers them differently)."""

    LOW_SHELF = 0
    HIGH_SHELF = 1
    LOW_PASS = 3
    HIGH_PASS = 4
    ALL_PASS = 5
    NOTCH = 6
    BAND_PASS = 7
    BAND = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaEqBand:
    """`kind` is a ReaEqKind where the type is a known one."""

    kind: int
    frequency_hz: float
    gain_db: float = 0.0
    bandwidth_octaves: float = 2.0
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaEq:
    """Up to 64 bands in series, and a gain behind them."""

    bands: tuple[ReaEqBand, ...]
    master_gain_db: float = 0.0

    def encode(self) -> bytes:
        out = struct.pack("<II", 33, len(self.bands))
        for band in self.bands:
            gain_linear = db_to_linear(band.gain_db)
            out += struct.pack(
                "<IIdddB", band.kind, band.enabled, band.frequency_hz, gain_linear, band.bandwidth_octaves, 1
            )
        window = (509, 348)  # pixels; REAPER's default
        return out + struct.pack("<IIdIIII", 1, 1, db_to_linear(self.master_gain_db), 0, *window, 2)

    @classmethod
    def decode(cls, data: bytes) -> ReaEq:
        """From a chunk of REAPER 3 or later; ValueError when it is none."""
        try:
            version, count = struct.unpack_from("<II", data)
            size = 33 if version >= 33 else 32
            rows = [struct.unpack_from("<IIddd", data, 8 + size * index) for index in range(min(count, 1000))]
            (gain_linear,) = struct.unpack_from("<d", data, 8 + size * count + 8)
        except struct.error as exc:
            raise ValueError(f"no ReaEQ state: {exc}") from exc
        bands = tuple(
            ReaEqBand(
                kind=kind,
                frequency_hz=frequency_hz,
                gain_db=linear_to_db(gain),
                bandwidth_octaves=octaves,
                enabled=bool(enabled),
            )
            for kind, enabled, frequency_hz, gain, octaves in rows
        )
        return cls(bands=bands, master_gain_db=linear_to_db(gain_linear))


DETECTOR_MAIN = 0.0
DETECTOR_AUXILIARY = 2.0 / 1084.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaComp:
    """The defaults are REAPER's. `wet_db` is the make-up gain."""

    threshold_db: float = 0.0
    ratio: float = 4.0
    attack_ms: float = 3.0
    release_ms: float = 100.0
    precomp_ms: float = 0.0
    knee_db: float = 0.0
    rms_ms: float = 5.0
    wet_db: float = 0.0
    dry_db: float = -150.0
    lowpass_hz: float = 20_000.0
    highpass_hz: float = 0.0
    auxiliary: bool = False
    auto_makeup: bool = False
    auto_release: bool = False

    def encode(self) -> bytes:
        values = [0.0] * 21
        values[0] = db_to_linear(self.threshold_db)
        values[1] = 1.0 if self.ratio >= 100.0 else (self.ratio - 1.0) / 99.0
        values[2:5] = [self.attack_ms / 500.0, self.release_ms / 5000.0, self.precomp_ms / 250.0]
        values[6:8] = [self.lowpass_hz / 20_000.0, self.highpass_hz / 20_000.0]
        values[8] = DETECTOR_AUXILIARY if self.auxiliary else DETECTOR_MAIN
        values[10:12] = [db_to_linear(self.dry_db), db_to_linear(self.wet_db)]
        values[13:15] = [self.rms_ms / 100.0, self.knee_db / 24.0]
        values[15:18] = [float(self.auto_makeup), float(self.auto_release), 0.25]
        return encode_parameters(values)

    @classmethod
    def decode(cls, data: bytes) -> ReaComp:
        """From the list of REAPER 4 or later; ValueError when it is none."""
        values = decode_parameters(data)
        if len(values) < 17:
            raise ValueError(f"{len(values)} ReaComp parameters")
        return cls(
            threshold_db=linear_to_db(values[0]),
            ratio=math.inf if values[1] >= 1.0 else 1.0 + 99.0 * values[1],
            attack_ms=500.0 * values[2],
            release_ms=5000.0 * values[3],
            precomp_ms=250.0 * values[4],
            lowpass_hz=20_000.0 * values[6],
            highpass_hz=20_000.0 * values[7],
            auxiliary=abs(values[8] - DETECTOR_AUXILIARY) < 0.5 / 1084.0,
            dry_db=linear_to_db(values[10]),
            wet_db=linear_to_db(values[11]),
            rms_ms=100.0 * values[13],
            knee_db=24.0 * values[14],
            auto_makeup=values[15] >= 0.5,
            auto_release=values[16] >= 0.5,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaGate:
    """The defaults are REAPER's: a gate that is always open."""

    threshold_db: float = -150.0
    attack_ms: float = 3.0
    release_ms: float = 100.0
    preopen_ms: float = 0.0
    hold_ms: float = 0.0

    def encode(self) -> bytes:
        values = [0.0] * 21
        values[0] = db_to_linear(self.threshold_db)
        values[1:5] = [self.attack_ms / 500.0, self.release_ms / 5000.0, self.preopen_ms / 250.0, self.hold_ms / 1000.0]
        values[5] = 1.0  # detector low-pass at 20 kHz
        values[9:13] = [SILENT_LINEAR, 1.0, SILENT_LINEAR, 1.0]  # dry, wet, noise, hysteresis 0 dB
        values[16] = 69.0 / 127.0  # the MIDI note that it would send, A4
        return encode_parameters(values)

    @classmethod
    def decode(cls, data: bytes) -> ReaGate:
        values = decode_parameters(data)
        if len(values) < 11:
            raise ValueError(f"{len(values)} ReaGate parameters")
        return cls(
            threshold_db=linear_to_db(values[0]),
            attack_ms=500.0 * values[1],
            release_ms=5000.0 * values[2],
            preopen_ms=250.0 * values[3],
            hold_ms=1000.0 * values[4],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaLimit:
    """Levels above the threshold are raised or held to the ceiling; `release_db_per_s` is a rate, not a time."""

    threshold_db: float = 0.0
    ceiling_db: float = 0.0
    release_db_per_s: float = 15.0

    def encode(self) -> bytes:
        release_linear = db_to_linear(-self.release_db_per_s)
        return struct.pack("<IIddIIdd", 3, 0, self.threshold_db, self.ceiling_db, 2, 0, 0.0, release_linear)

    @classmethod
    def decode(cls, data: bytes) -> ReaLimit:
        try:
            fields = struct.unpack_from("<IIddIIdd", data)
        except struct.error as exc:
            raise ValueError(f"no ReaLimit state: {exc}") from exc
        return cls(threshold_db=fields[2], ceiling_db=fields[3], release_db_per_s=-linear_to_db(fields[7]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaVerbate:
    """`room_size` and `damping` run from 0 to 1, `width` from -1 to 1."""

    wet_linear: float = 1.0
    dry_linear: float = 0.0
    room_size: float = 0.5
    damping: float = 0.5
    width: float = 1.0
    predelay_ms: float = 0.0
    lowpass_hz: float = 20_000.0
    highpass_hz: float = 0.0

    def encode(self) -> bytes:
        return encode_parameters(
            [
                self.wet_linear,
                self.dry_linear,
                self.room_size,
                self.damping,
                (self.width + 1.0) / 2.0,
                self.predelay_ms / 500.0,
                self.lowpass_hz / 20_000.0,
                self.highpass_hz / 20_000.0,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> ReaVerbate:
        values = decode_parameters(data)
        if len(values) < 8:
            raise ValueError(f"{len(values)} ReaVerbate parameters")
        return cls(
            wet_linear=values[0],
            dry_linear=values[1],
            room_size=values[2],
            damping=values[3],
            width=2.0 * values[4] - 1.0,
            predelay_ms=500.0 * values[5],
            lowpass_hz=20_000.0 * values[6],
            highpass_hz=20_000.0 * values[7],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaDelay:
    """One tap in stereo."""

    wet_linear: float = 1.0
    dry_linear: float = 0.0
    time_ms: float = 0.0
    feedback_linear: float = SILENT_LINEAR
    musical: float = 0.0
    """Length in the plug-in's musical unit (0.0078125 is what a fresh instance has); adds to the time."""

    def encode(self) -> bytes:
        # 1 tap of 44 bytes: ?, enabled, time, musical, feedback, low-pass, high-pass, resolution, width, volume, pan
        tap = [0.0, 1.0, self.time_ms / 10_000.0, self.musical, self.feedback_linear, 1.0, 0.0, 1.0, 1.0, 1.0, 0.5]
        return struct.pack("<6I2f11f", 0, 0, 1, 44, 2, 0, self.wet_linear, self.dry_linear, *tap)

    @classmethod
    def decode(cls, data: bytes) -> ReaDelay:
        """The first tap; ValueError when there is not exactly one."""
        try:
            fields = struct.unpack_from("<6I2f11f", data)
        except struct.error as exc:
            raise ValueError(f"no ReaDelay state: {exc}") from exc
        if fields[2] != 1:
            raise ValueError(f"ReaDelay with {fields[2]} taps")
        return cls(
            wet_linear=fields[6],
            dry_linear=fields[7],
            time_ms=10_000.0 * fields[10],
            musical=fields[11],
            feedback_linear=fields[12],
        )
