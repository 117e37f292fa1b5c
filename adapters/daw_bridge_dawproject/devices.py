"""Effects as DAWproject's built-in devices, in the units of the format, and what it has no word for.

Threshold and gains in dB, times in seconds, a compressor's ratio R as 100 (1 - 1/R) percent. Each importer maps these
devices to its own; that is why docs/adapters.md calls all dynamics approximated.
"""

from __future__ import annotations

from typing import assert_never
from xml.etree import ElementTree as ET

from daw_bridge.adapter import Feature, Losses, feature_of
from daw_bridge.model import (
    BandKind,
    Compressor,
    Delay,
    Effect,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
)
from daw_bridge_dawproject.elements import Builder

BAND_TYPES = {
    BandKind.HIGHPASS: "highPass",
    BandKind.LOWPASS: "lowPass",
    BandKind.LOWSHELF: "lowShelf",
    BandKind.HIGHSHELF: "highShelf",
    BandKind.BELL: "bell",
    BandKind.NOTCH: "notch",
}
_PASS = (BandKind.HIGHPASS, BandKind.LOWPASS, BandKind.NOTCH)


def ratio_to_percent(ratio: float) -> float:
    return 100.0 * (1.0 - 1.0 / ratio)


def percent_to_ratio(percent: float) -> float:
    return 1.0 / (1.0 - percent / 100.0) if percent < 100.0 else float("inf")


class DeviceWriter:
    """Appends devices to a `<Devices>` element; what cannot be expressed there goes to `losses`."""

    def __init__(self, builder: Builder, losses: Losses) -> None:
        self._builder, self._losses = builder, losses

    def write(self, parent: ET.Element, effect: Effect) -> bool:
        """Whether the format has a device for this effect."""
        match effect:
            case Equalizer():
                self._equalizer(parent, effect)
            case Compressor():
                self._compressor(parent, effect)
            case Gate():
                self._gate(parent, effect)
            case Limiter():
                self._limiter(parent, effect)
            case Gain():
                device = self._device(parent, "Equalizer", "Gain", enabled=effect.enabled)
                self._decibel(device, "OutputGain", effect.gain_db)
            case Reverb() | Delay():
                feature = feature_of(effect)
                self._losses.lost(feature, f"the format has no {feature}")
                return False
            case PluginRef():
                what = f"{effect.name}: plug-ins of {effect.daw} cannot be named in this format"
                self._losses.lost(Feature.PLUGIN, what)
                return False
            case _:
                assert_never(effect)
        return True

    def _device(self, parent: ET.Element, tag: str, name: str, *, enabled: bool) -> ET.Element:
        attributes = {"deviceName": name, "deviceRole": "audioFX", "loaded": "true", "name": name}
        device = self._builder.numbered(parent, tag, attributes)
        self._builder.add(device, "Parameters")
        self._builder.flag(device, "Enabled", enabled)
        return device

    def _decibel(self, device: ET.Element, tag: str, value: float, low: float = -24.0, high: float = 24.0) -> None:
        self._builder.real(device, tag, value, "decibel", low, high)

    def _seconds(self, device: ET.Element, tag: str, time_ms: float) -> None:
        self._builder.real(device, tag, time_ms / 1000.0, "seconds", 0.0, 5.0)

    def _equalizer(self, parent: ET.Element, effect: Equalizer) -> None:
        device = self._device(parent, "Equalizer", "Equalizer", enabled=effect.enabled)
        for order, band in enumerate(effect.bands):
            element = self._builder.add(device, "Band", {"type": BAND_TYPES[band.kind], "order": str(order)})
            self._builder.real(element, "Freq", band.frequency_hz, "hertz", 20.0, 20_000.0)
            if band.kind not in _PASS:
                self._decibel(element, "Gain", band.gain_db)
            self._builder.real(element, "Q", band.q, "linear", 0.1, 40.0)
            self._builder.flag(element, "Enabled", band.enabled)

    def _compressor(self, parent: ET.Element, effect: Compressor) -> None:
        device = self._device(parent, "Compressor", "Compressor", enabled=effect.enabled)
        self._seconds(device, "Attack", effect.attack_ms)
        self._builder.flag(device, "AutoMakeup", value=False)
        self._decibel(device, "OutputGain", effect.makeup_db)
        self._builder.real(device, "Ratio", ratio_to_percent(effect.ratio), "percent", 0.0, 100.0)
        self._seconds(device, "Release", effect.release_ms)
        self._decibel(device, "Threshold", effect.threshold_db, -60.0, 0.0)
        if effect.knee_db > 0.0:
            self._losses.bent(Feature.COMPRESSOR, f"the format has no knee: {effect.knee_db:g} dB left out")
        if effect.sidechain_bus is not None:
            self._losses.lost(
                Feature.SIDECHAIN, f"the format has no side-chain: set {effect.sidechain_bus} as key by hand"
            )

    def _gate(self, parent: ET.Element, effect: Gate) -> None:
        device = self._device(parent, "NoiseGate", "Noise Gate", enabled=effect.enabled)
        self._seconds(device, "Attack", effect.attack_ms)
        self._builder.real(device, "Ratio", 100.0, "percent", 0.0, 100.0)
        self._seconds(device, "Release", effect.release_ms)
        self._decibel(device, "Threshold", effect.threshold_db, -80.0, 0.0)
        if effect.hold_ms > 0.0:
            self._losses.bent(Feature.GATE, f"the format has no hold time: {effect.hold_ms:g} ms left out")

    def _limiter(self, parent: ET.Element, effect: Limiter) -> None:
        device = self._device(parent, "Limiter", "Limiter", enabled=effect.enabled)
        self._seconds(device, "Release", effect.release_ms)
        self._decibel(device, "Threshold", effect.ceiling_db, -60.0, 0.0)
        if effect.threshold_db != effect.ceiling_db:
            what = f"the format knows one level: the ceiling of {effect.ceiling_db:g} dB was kept"
            self._losses.bent(Feature.LIMITER, f"{what}, the threshold of {effect.threshold_db:g} dB left out")
