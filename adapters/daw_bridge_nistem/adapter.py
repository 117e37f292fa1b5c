"""The NI Stems adapter: `NAME.stem.mp4` with the mix first and the four stems behind it.

AAC at 256 kbit/s is the default, because Traktor on Windows cannot read ALAC; ALAC holds the samples (24 bit). Faders,
buses and effects have no place in the format: the stems stand as they were separated.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from daw_bridge.adapter import Feature, Losses, Support, WriteReport, new_session
from daw_bridge.errors import InputError, OutputError
from daw_bridge.files import atomic_path
from daw_bridge.model import Clip, SessionPlan
from daw_bridge_nistem.boxes import add_stems
from daw_bridge_nistem.parts import FloatArray, Part, four_parts, require_media, stereo_blocks

FEATURES: Mapping[Feature, Support] = {
    Feature.CLIPS: Support.APPROXIMATED,
    Feature.REFERENCE: Support.EXACT,
    Feature.COLOURS: Support.APPROXIMATED,
}
AAC_BIT_RATE = 256_000
AAC_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
_FULL_SCALE = 1 << 23
_MASTERING: dict[str, object] = {
    "compressor": {
        "enabled": False, "ratio": 3, "output_gain": 0.5, "input_gain": 0.5, "release": 0.3, "attack": 0.003,
        "threshold": 0, "hp_cutoff": 300, "dry_wet": 50,
    },
    "limiter": {"enabled": False, "release": 0.05, "threshold": 0, "ceiling": -0.35},
}  # fmt: skip
_NO_PLACE = {
    Feature.BUSES: "the format has no buses: the stems stand as they were separated",
    Feature.GAIN_PAN_MUTE_SOLO: "the format has no faders",
    Feature.MIX_BUS: "the format has no mix bus",
    Feature.MARKERS: "the format has no markers",
    Feature.TEMPO: "the format has no tempo: the player finds its own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NiStemAdapter:
    """Writes stem files. Stateless."""

    name: str = "nistem"
    title: str = "NI Stems (Traktor, Mixxx)"
    codec: Literal["aac", "alac"] = "aac"

    @property
    def features(self) -> Mapping[Feature, Support]:
        return FEATURES

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.stem.mp4"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """Write `folder/NAME.stem.mp4`; whole or not at all.

        Raises OutputError when it exists or cannot be written, InputError for audio that is gone, for a session
        without a reference or at a rate that AAC does not have, UsageError for a name that is a path.
        """
        target = new_session(self.session_path(folder, name), name, what="a stem file")
        losses = Losses()
        mix = self._mix(plan)
        parts = four_parts(plan, losses)
        _say_what_has_no_place(losses)
        if any(bus.parent for bus in plan.buses):
            losses.lost(Feature.NESTING, "the format has no buses: what was taken out of one stem is one again")
        require_media([*mix, *(clip for part in parts for clip in part.clips)])
        with atomic_path(target) as hidden:
            clipped = self._encode(hidden, plan, mix, parts)
            add_stems(hidden, _manifest(parts))
        if clipped:
            losses.bent(Feature.CLIPS, f"{clipped} samples over full scale are clipped, as ALAC holds integers")
        how = f"load {target.name} into Traktor (2.7 or newer) or Mixxx (2.6 or newer)"
        limits = tuple(losses.limits)
        return WriteReport(adapter=self.name, session_path=target, files=(target,), how_to_open=how, limits=limits)

    def _mix(self, plan: SessionPlan) -> tuple[Clip, ...]:
        if plan.reference is None or not plan.reference.clips:
            raise InputError(
                f"{plan.name}: a stem file begins with the mix, and this session has no reference track; "
                "use a template with one"
            )
        if self.codec == "aac" and plan.sample_rate_hz not in AAC_RATES_HZ:
            raise InputError(f"{plan.name}: AAC has no rate of {plan.sample_rate_hz} Hz; convert the mix to 44100 Hz")
        return plan.reference.clips

    def _encode(self, target: Path, plan: SessionPlan, mix: tuple[Clip, ...], parts: tuple[Part, ...]) -> int:
        """Five streams, a block of each in turn; how many samples were clipped."""
        av: Any = importlib.import_module("av")
        rate, clipped = plan.sample_rate_hz, 0
        with _muxing(target), av.open(str(target), "w", format="mp4") as container:
            container.metadata["title"] = plan.name
            streams = []
            for number, title in enumerate(("Mix", *(part.name for part in parts))):
                stream = container.add_stream(self.codec, rate=rate, layout="stereo")
                stream.format = "fltp" if self.codec == "aac" else "s32p"
                if self.codec == "aac":
                    stream.bit_rate = AAC_BIT_RATE
                stream.metadata["handler_name"] = stream.metadata["title"] = title
                stream.disposition = av.stream.Disposition.default if number == 0 else av.stream.Disposition(0)
                streams.append(stream)
            sources = [stereo_blocks(clips, plan.length_samples) for clips in (mix, *(part.clips for part in parts))]
            position = 0
            for blocks in zip(*sources, strict=True):
                for stream, block in zip(streams, blocks, strict=True):
                    samples, over = (block, 0) if self.codec == "aac" else _integers(block)
                    clipped += over
                    frame = av.AudioFrame.from_ndarray(
                        np.ascontiguousarray(samples), format=stream.format.name, layout="stereo"
                    )
                    frame.rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
                    for packet in stream.encode(frame):
                        container.mux(packet)
                position += blocks[0].shape[1]
            for stream in streams:
                for packet in stream.encode(None):
                    container.mux(packet)
        return clipped


def _integers(block: FloatArray) -> tuple[np.ndarray[Any, np.dtype[np.int32]], int]:
    """24-bit integers in the upper bytes of 32, and how many samples lay over full scale."""
    scaled = np.round(block.astype(np.float64) * _FULL_SCALE)
    inside = np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1)
    return (inside.astype(np.int64) << 8).astype(np.int32), int((scaled != inside).sum())


def _manifest(parts: tuple[Part, ...]) -> dict[str, object]:
    stems = [{"name": part.name, "color": part.colour.hex().upper()} for part in parts]
    return {"mastering_dsp": _MASTERING, "version": 1, "stems": stems}


def _say_what_has_no_place(losses: Losses) -> None:
    for feature, what in _NO_PLACE.items():
        losses.lost(feature, what)
    said = {Feature.CLIPS, Feature.REFERENCE, Feature.COLOURS, *_NO_PLACE}
    losses.bent(Feature.COLOURS, "the four stems have colours, nothing else has")
    for feature in Feature:
        if feature not in said:
            losses.lost(feature, "the format has no place for it")


@contextmanager
def _muxing(target: Path) -> Iterator[None]:
    """FFmpeg's errors as ours."""
    try:
        yield
    except (OSError, ValueError) as exc:
        raise OutputError(f"{target.parent}: the stem file cannot be written ({exc})") from exc


ADAPTER = NiStemAdapter()
ALAC_ADAPTER = NiStemAdapter(name="nistem-alac", title="NI Stems, lossless", codec="alac")
