"""Channel strips: clips read a block at a time, effects in order, then fader and pan.

Pan is a balance: unity on both sides at the centre, linear towards silence on the far side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from daw_bridge.adapter import Feature, Losses
from daw_bridge.audio.audio_file import AudioReader
from daw_bridge.audio.reader import open_audio
from daw_bridge.errors import InputError
from daw_bridge.model import (
    Bus,
    Clip,
    Compressor,
    Delay,
    Effect,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    PluginRef,
    Reverb,
    Track,
)
from daw_bridge.units import db_to_linear
from daw_bridge_render.blocks import Block, Blocks, FloatArray, GainBlocks
from daw_bridge_render.dynamics import CompressorBlocks, GateBlocks, LimiterBlocks
from daw_bridge_render.equalizer import EqualizerBlocks
from daw_bridge_render.space import DelayBlocks, ReverbBlocks


def balance(pan: float) -> FloatArray:
    """Gains of left and right, shape (2, 1), for a pan from -1 to 1."""
    return np.array([[min(1.0, 1.0 - pan)], [min(1.0, 1.0 + pan)]])


def make_effect(  # noqa: PLR0911  # one line a type
    effect: Effect, sample_rate_hz: int, losses: Losses
) -> Blocks | None:
    """The effect at work; None for one that is bypassed or that only a DAW has."""
    if not effect.enabled:
        return None
    match effect:
        case Equalizer():
            return EqualizerBlocks(effect, sample_rate_hz)
        case Compressor():
            return CompressorBlocks(effect, sample_rate_hz)
        case Gate():
            return GateBlocks(effect, sample_rate_hz)
        case Limiter():
            return LimiterBlocks(effect, sample_rate_hz)
        case Gain():
            return GainBlocks(db_to_linear(effect.gain_db))
        case Reverb():
            return ReverbBlocks(effect, sample_rate_hz)
        case Delay():
            return DelayBlocks(effect, sample_rate_hz)
        case PluginRef():
            losses.lost(Feature.PLUGIN, f"{effect.name} is a plug-in for {effect.daw}; it is passed by")
            return None
        case _:
            assert_never(effect)


@dataclass(frozen=True, slots=True)
class _Insert:
    blocks: Blocks
    key: str | None


class BusStrip:
    """A bus, a return or the mix bus at work."""

    def __init__(self, bus: Bus, sample_rate_hz: int, losses: Losses) -> None:
        self.bus = bus
        self._fader = balance(bus.pan) * db_to_linear(bus.gain_db)
        self._inserts = [
            _Insert(blocks, effect.sidechain_bus if isinstance(effect, Compressor) else None)
            for effect in bus.effects
            if (blocks := make_effect(effect, sample_rate_hz, losses.at(bus.name))) is not None
        ]

    def keys(self) -> Iterator[str]:
        """The buses that this one listens to."""
        return (insert.key for insert in self._inserts if insert.key is not None)

    @property
    def widens(self) -> bool:
        """Whether an effect makes left and right differ."""
        return any(insert.blocks.widens for insert in self._inserts)

    def inserted(self, block: Block, outputs: dict[str, Block]) -> Block:
        """Behind the effects, before the fader; `outputs` are the buses that are done."""
        for insert in self._inserts:
            block = insert.blocks.process(block, None if insert.key is None else outputs[insert.key])
        return block

    def faded(self, block: Block) -> Block:
        """Behind fader and pan."""
        return np.asarray(block * self._fader)


class TrackPlayer:
    """The clips of a track at their places, a block at a time, behind the track's fader and pan."""

    def __init__(self, track: Track, sample_rate_hz: int, stack: ExitStack) -> None:
        self.output = track.output
        self._fader = balance(track.pan) * db_to_linear(track.gain_db)
        self._clips = [_ClipPlayer(clip, sample_rate_hz, stack) for clip in track.clips if clip.length_samples]

    def seek(self, position_samples: int) -> None:
        """The next read begins there."""
        for clip in self._clips:
            clip.seek(position_samples)

    def read(self, position_samples: int, length_samples: int) -> Block:
        """Shape (2, length_samples)."""
        block = np.zeros((2, length_samples))
        for clip in self._clips:
            clip.add_to(block, position_samples)
        return np.asarray(block * self._fader)


class _ClipPlayer:
    """One file, read on from its beginning or from where it was sought."""

    def __init__(self, clip: Clip, sample_rate_hz: int, stack: ExitStack) -> None:
        self._clip = clip
        self._reader: AudioReader = stack.enter_context(open_audio(clip.path))
        if self._reader.sample_rate_hz != sample_rate_hz:
            raise InputError(f"{clip.path}: has {self._reader.sample_rate_hz} Hz, the session {sample_rate_hz} Hz")
        if self._reader.channels > 2:
            raise InputError(f"{clip.path}: has {self._reader.channels} channels; only mono and stereo can be rendered")

    def seek(self, position_samples: int) -> None:
        """Go to what lies at that sample of the session."""
        inside = position_samples - self._clip.position_samples
        self._reader.seek(min(max(0, inside), self._clip.length_samples))

    def add_to(self, block: Block, position_samples: int) -> None:
        """Add what of the file lies in the block that begins at `position_samples`; mono goes to both sides."""
        begin = max(self._clip.position_samples, position_samples)
        end = min(self._clip.position_samples + self._clip.length_samples, position_samples + block.shape[1])
        if begin >= end:
            return
        found = self._reader.read(end - begin)
        if found.shape[1] < end - begin:
            raise InputError(f"{self._clip.path}: is shorter than the session says; was it changed?")
        block[:, begin - position_samples : end - position_samples] += found
