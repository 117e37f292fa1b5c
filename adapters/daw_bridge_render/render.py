"""The plan as sound: tracks into buses, buses into sends, other buses and the mix bus, block by block."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from daw_bridge.adapter import Losses, RenderReport
from daw_bridge.audio.loudness import LoudnessMeter
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError, OutputError
from daw_bridge.model import MIX_BUS, Bus, SessionPlan, Track, find_bus
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.units import db_to_linear
from daw_bridge_render.blocks import BLOCK_SAMPLES, Block
from daw_bridge_render.strips import BusStrip, TrackPlayer

PROVENANCE = "daw-bridge render"


def render_plan(
    plan: SessionPlan,
    target: Path,
    *,
    bus: str | None = None,
    reference: bool = False,
    gain_db: float = 0.0,
    overwrite: bool = False,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> RenderReport:
    """Write what the session plays to `target`, a float32 WAV of the session's rate and length.

    `bus` renders one bus or return alone, behind its effects and fader, whether muted or not; `reference` the
    reference track alone. `gain_db` is added at the end. The file is mono when all audio is and nothing in the
    session could make it stereo. Whole or not at all; an existing file is replaced only with `overwrite`.

    Raises UsageError for an unknown bus, InputError for media that are missing or don't fit, OutputError, Cancelled.
    """
    if not overwrite and (target.exists() or target.is_symlink()):
        raise OutputError(f"{target}: exists already; choose another name")
    token = cancel or CancelToken()
    with ExitStack() as stack:
        losses = Losses()
        session = Session(plan, stack, losses, bus=bus, reference=reference)
        channels = 1 if _is_mono(plan) and not session.widens else 2
        meter = LoudnessMeter(plan.sample_rate_hz, channels)
        writer = AudioWriter(
            target, sample_rate_hz=plan.sample_rate_hz, channels=channels, provenance=f"{PROVENANCE} of {plan.name}"
        )
        with writer:
            for begin in range(0, plan.length_samples, BLOCK_SAMPLES):
                token.check()
                length = min(BLOCK_SAMPLES, plan.length_samples - begin)
                block = session.play(begin, length)[:channels] * db_to_linear(gain_db)
                samples = block.astype(np.float32)
                meter.add(samples)
                writer.write(samples)
                on_progress(Progress(stage="render", done=begin + length, total=plan.length_samples))
    loudness = meter.result()
    return RenderReport(
        path=target,
        channels=channels,
        sample_rate_hz=plan.sample_rate_hz,
        length_samples=plan.length_samples,
        integrated_lufs=loudness.integrated_lufs,
        true_peak_dbtp=loudness.true_peak_dbtp,
        limits=tuple(losses.limits),
    )


def _is_mono(plan: SessionPlan) -> bool:
    """Whether no file and no fader makes left and right differ."""
    tracks = [*plan.tracks, *([plan.reference] if plan.reference else [])]
    strips: list[Bus | Track] = [*plan.buses, *plan.returns, plan.mix_bus, *tracks]
    panned = any(strip.pan != 0.0 for strip in strips)
    return all(clip.channels == 1 for track in tracks for clip in track.clips) and not panned


class Session:
    """The signal flow of a plan; `play` gives one block after another."""

    def __init__(
        self, plan: SessionPlan, stack: ExitStack, losses: Losses, *, bus: str | None, reference: bool
    ) -> None:
        rate = plan.sample_rate_hz
        self._alone = _known_bus(plan, bus)
        self._buses = _in_order(plan, [BusStrip(each, rate, losses) for each in plan.buses])
        self._returns = [BusStrip(each, rate, losses) for each in plan.returns]
        self._mix = BusStrip(plan.mix_bus, rate, losses)
        solo_tracks = any(track.solo for track in plan.tracks)
        whole, passing = _soloed(plan)
        heard = [] if reference else [t for t in plan.tracks if not t.mute and (t.solo or not solo_tracks)]
        self._tracks = [TrackPlayer(track, rate, stack) for track in heard if track.output not in passing]
        self._silent = {each.name for each in plan.buses if each.mute or each.name not in whole | passing}
        self._silent |= {each.name for each in plan.returns if each.mute}
        self._silent |= {MIX_BUS} if plan.mix_bus.mute else set()
        self._silent.discard(self._alone or "")
        wanted = plan.reference is not None and (reference or not plan.reference.mute)
        self._reference = TrackPlayer(plan.reference, rate, stack) if plan.reference and wanted else None
        if reference and self._reference is None:
            raise InputError(f"{plan.name}: this session has no reference track")

    def seek(self, position_samples: int) -> None:
        """Play from there on; effects keep what they remember. Raises InputError where a file cannot be sought."""
        for track in (*self._tracks, *([self._reference] if self._reference else [])):
            track.seek(position_samples)

    @property
    def widens(self) -> bool:
        """Whether an effect makes left and right differ."""
        return any(strip.widens for strip in (*self._buses, *self._returns, self._mix))

    def play(self, begin: int, length: int) -> Block:
        """The next block, shape (2, length): the master, or the one bus that was asked for."""
        silence = np.zeros((2, length))
        inputs = {strip.bus.name: silence.copy() for strip in (*self._buses, *self._returns, self._mix)}
        for track in self._tracks:
            inputs[track.output] += track.read(begin, length)
        outputs: dict[str, Block] = {}
        for strip in (*self._buses, *self._returns):
            outputs[strip.bus.name] = self._strip(strip, inputs, outputs)
            inputs[strip.bus.parent or MIX_BUS] += outputs[strip.bus.name]
        outputs[MIX_BUS] = self._strip(self._mix, inputs, outputs)
        if self._alone is not None:
            return outputs[self._alone]
        return outputs[MIX_BUS] + (self._reference.read(begin, length) if self._reference else 0.0)

    def _strip(self, strip: BusStrip, inputs: dict[str, Block], outputs: dict[str, Block]) -> Block:
        """The output of a bus; its sends are added to the inputs of the returns."""
        inserted = strip.inserted(inputs[strip.bus.name], outputs)
        if strip.bus.name in self._silent:
            return np.zeros_like(inserted)
        faded = strip.faded(inserted)
        for send in strip.bus.sends:
            inputs[send.to] += (inserted if send.pre_fader else faded) * db_to_linear(send.gain_db)
        return faded


def _known_bus(plan: SessionPlan, name: str | None) -> str | None:
    return None if name is None else find_bus(name, (*plan.buses, *plan.returns, plan.mix_bus)).name


def _soloed(plan: SessionPlan) -> tuple[set[str], set[str]]:
    """The buses that are heard, and those that only let a soloed bus inside them through."""
    names = {each.name for each in plan.buses}
    if not any(each.solo for each in plan.buses):
        return names, set()
    whole = {each.name for each in plan.buses if each.solo or any(over.solo for over in plan.above(each))}
    return whole, {over.name for each in plan.buses if each.solo for over in plan.above(each)} - whole


def _in_order(plan: SessionPlan, strips: list[BusStrip]) -> list[BusStrip]:
    """Each bus behind those that feed it and those that it listens to; InputError for a circle."""
    done: list[BusStrip] = []
    left = list(strips)
    while left:
        names = {strip.bus.name for strip in done}
        feeding = {strip.bus.name: {each.name for each in plan.children(strip.bus.name)} for strip in left}
        ready = [strip for strip in left if names.issuperset(strip.keys()) and names >= feeding[strip.bus.name]]
        if not ready:
            raise InputError(f"side-chains run in a circle: {', '.join(strip.bus.name for strip in left)}")
        done += ready
        left = [strip for strip in left if strip not in ready]
    return done
