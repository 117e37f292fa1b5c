"""Effects as Live's own devices: EQ Eight and Compressor, in the units of the format.

Thresholds are linear, times in ms, gains in dB. How Live's filters bend against the cookbook's is not known, so both
are approximated. What is neither is left out and said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never
from xml.etree import ElementTree as ET

from daw_bridge.adapter import Feature, Losses, feature_of
from daw_bridge.model import (
    BandKind,
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
)
from daw_bridge.units import db_to_linear
from daw_bridge_liveset.elements import LOUDEST, QUIETEST, Builder, add, fill, routing

BANDS = 8
MODES = {
    BandKind.HIGHPASS: 1,
    BandKind.LOWSHELF: 2,
    BandKind.BELL: 3,
    BandKind.NOTCH: 4,
    BandKind.HIGHSHELF: 5,
    BandKind.LOWPASS: 6,
}
"""EQ Eight's modes; 0 and 7 are the steep cuts of 48 dB/octave."""
_MOST_RATIO = 340282326356119256160033759537265639424.0
TrackOf = Callable[[str], tuple[int, str]]
"""Bus name -> the id of its track, and what it is called."""


class DeviceWriter:
    """Appends devices to a `<Devices>` element; what cannot be expressed goes to `losses`."""

    def __init__(self, builder: Builder, track_of: TrackOf, losses: Losses) -> None:
        self._builder, self._track_of, self._losses = builder, track_of, losses

    def write(self, devices: ET.Element, effect: Effect) -> bool:
        """Whether Live has it."""
        match effect:
            case Equalizer():
                self._losses.bent(Feature.EQUALIZER, "EQ Eight: its curves are Live's own")
                for begin in range(0, max(1, len(effect.bands)), BANDS):
                    self._equalizer(devices, effect.bands[begin : begin + BANDS], enabled=effect.enabled)
            case Gain():
                gain = self._losses.clamp(Feature.GAIN, "gain in dB", effect.gain_db, -12.0, 12.0)
                self._losses.bent(Feature.GAIN, "an EQ Eight without bands, by its output gain")
                self._equalizer(devices, (), enabled=effect.enabled, gain_db=gain)
            case Compressor():
                self._compressor(devices, effect)
            case Gate() | Limiter() | Reverb() | Delay():
                feature = feature_of(effect)
                self._losses.lost(feature, f"is left out: put Live's own {feature} there")
                return False
            case PluginRef():
                self._losses.lost(Feature.PLUGIN, f"{effect.name}: plug-ins of {effect.daw} cannot be named here")
                return False
            case _:
                assert_never(effect)
        return True

    def _device(self, devices: ET.Element, tag: str, *, enabled: bool) -> ET.Element:
        device = add(devices, tag, Id=len(devices))
        self._builder.head(device, on=enabled)
        return device

    def _equalizer(self, devices: ET.Element, bands: Sequence[EqBand], *, enabled: bool, gain_db: float = 0.0) -> None:
        device = self._device(devices, "Eq8", enabled=enabled)
        fill(device, {"OverwriteProtectionNumber": 3072, "Precision": 0, "Mode": 0, "EditMode": False})
        fill(device, {"SelectedBand": 0})
        self._builder.number(device, "GlobalGain", gain_db, -12.0, 12.0)
        self._builder.number(device, "Scale", 1.0, -2.0, 2.0)
        for number in range(BANDS):
            band = bands[number] if number < len(bands) else None
            element = add(device, f"Bands.{number}")
            for side in ("ParameterA", "ParameterB"):
                self._band(add(element, side), band)

    def _band(self, parent: ET.Element, band: EqBand | None) -> None:
        build, clamp = self._builder, self._losses.clamp
        band, on = band or EqBand(kind=BandKind.BELL, frequency_hz=1_000.0), band is not None and band.enabled
        build.switch(parent, "IsOn", on=on)
        build.choice(parent, "Mode", MODES[band.kind])
        frequency = clamp(Feature.EQUALIZER, "frequency in Hz", band.frequency_hz, 10.0, 22_000.0)
        build.number(parent, "Freq", frequency, 10.0, 22_000.0)
        gain = clamp(Feature.EQUALIZER, "gain in dB", band.gain_db, -15.0, 15.0)
        build.number(parent, "Gain", gain, -15.0, 15.0)
        build.number(parent, "Q", clamp(Feature.EQUALIZER, "Q", band.q, 0.1, 18.0), 0.1000000015, 18.0)

    def _compressor(self, devices: ET.Element, effect: Compressor) -> None:
        build, losses, feature = self._builder, self._losses, Feature.COMPRESSOR
        losses.bent(feature, "Live's Compressor: its detector and knee are its own")
        device = self._device(devices, "Compressor2", enabled=effect.enabled)
        fill(device, {"OverwriteProtectionNumber": 3072})
        threshold = losses.clamp(feature, "threshold in dB", effect.threshold_db, -70.0, 6.0)
        build.number(device, "Threshold", db_to_linear(threshold), QUIETEST, LOUDEST)
        build.number(device, "Ratio", effect.ratio, 1.0, _MOST_RATIO)
        build.number(device, "ExpansionRatio", 1.14999998, 1.0, 2.0)
        attack = losses.clamp(feature, "attack in ms", effect.attack_ms, 0.01, 1_000.0)
        build.number(device, "Attack", attack, 0.009999999776, 1_000.0)
        release = losses.clamp(feature, "release in ms", effect.release_ms, 1.0, 3_000.0)
        build.number(device, "Release", release, 1.0, 3_000.0)
        build.switch(device, "AutoReleaseControlOnOff", on=False)
        makeup = losses.clamp(feature, "makeup in dB", effect.makeup_db, -36.0, 36.0)
        build.number(device, "Gain", makeup, -36.0, 36.0)
        build.switch(device, "GainCompensation", on=False)
        build.number(device, "DryWet", 1.0, 0.0, 1.0)
        build.number(device, "Model", 0.0, 0.0, 2.0, modulated=False)
        build.number(device, "LegacyModel", 0.0, 0.0, 2.0, modulated=False)
        build.switch(device, "LogEnvelope", on=True)
        build.number(device, "LegacyEnvFollowerMode", 0.0, 0.0, 2.0, modulated=False)
        build.number(device, "Knee", losses.clamp(feature, "knee in dB", effect.knee_db, 0.0, 18.0), 0.0, 18.0)
        build.number(device, "LookAhead", 0.0, 0.0, 2.0, modulated=False)
        build.switch(device, "SideListen", on=False)
        self._side_chain(add(device, "SideChain"), effect)
        build.switch(device, "SideChainEq_On", on=False)
        build.number(device, "SideChainEq_Mode", 5.0, 0.0, 5.0, modulated=False)
        build.number(device, "SideChainEq_Freq", 80.0, 30.0, 15_000.0)
        build.number(device, "SideChainEq_Q", 0.7071067691, 0.1000000015, 12.0)
        build.number(device, "SideChainEq_Gain", 0.0, -15.0, 15.0)
        fill(
            device,
            {
                "Live8LegacyMode": False,
                "ViewMode": 2,
                "IsOutputCurveVisible": False,
                "RmsTimeShort": 8,
                "RmsTimeLong": 250,
                "ReleaseTimeShort": 15,
                "ReleaseTimeLong": 1500,
                "CrossfaderSmoothingTime": 10,
            },
        )

    def _side_chain(self, parent: ET.Element, effect: Compressor) -> None:
        """The signal behind the fader of the bus that drives the detector."""
        keyed = effect.sidechain_bus is not None
        self._builder.switch(parent, "OnOff", on=keyed)
        source = add(parent, "RoutedInput")
        if effect.sidechain_bus is not None:
            id_, name = self._track_of(effect.sidechain_bus)
            routing(source, "Routable", f"AudioIn/Track.{id_}/TrackOut", name, "Post Mixer")
        else:
            routing(source, "Routable", "AudioIn/None", "No Output")
        self._builder.number(source, "Volume", 1.0, QUIETEST, 15.8489332)
        self._builder.number(parent, "DryWet", 1.0, 0.0, 1.0)
