"""A plan that uses everything a plan can say, over audio that is really there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from daw_bridge.audio.writer import AudioWriter
from daw_bridge.model import (
    BandKind,
    Bus,
    Clip,
    Colour,
    Compressor,
    Delay,
    Effect,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    Marker,
    Note,
    NoteTrack,
    PluginRef,
    Reverb,
    Send,
    SessionPlan,
    Track,
)

_RATE_HZ = 44_100
_LENGTH_SAMPLES = 22_051
_STEMS = ("drums", "bass", "vocals", "other")
_EFFECTS: dict[str, tuple[Effect, ...]] = {
    "drums": (
        Equalizer(
            bands=(
                EqBand(kind=BandKind.HIGHPASS, frequency_hz=40.0),
                EqBand(kind=BandKind.BELL, frequency_hz=300.0, gain_db=-3.0, q=1.4),
                EqBand(kind=BandKind.HIGHSHELF, frequency_hz=8_000.0, gain_db=2.0),
            )
        ),
        Gate(threshold_db=-48.0),
    ),
    "bass": (Compressor(threshold_db=-20.0, ratio=4.0, sidechain_bus="drums"), Gain(gain_db=1.5)),
    "vocals": (Compressor(threshold_db=-18.0, ratio=3.0, knee_db=6.0), Limiter(ceiling_db=-2.0, threshold_db=-4.0)),
    "other": (PluginRef(daw="a DAW that nobody has", name="Its plug-in"),),
}


def example_plan(folder: Path, *, name: str = "Example", neutral: bool = False) -> SessionPlan:
    """A session of four stems and a reference, whose audio (half a second at 44.1 kHz) is written into `folder`/audio.

    Every kind of effect, sends and returns, a bus in a bus, groups, colours, a marker and a region; `neutral` leaves
    all of that out but the routing. Raises OutputError.
    """
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    clips = {stem: _clip(audio / f"{stem}.wav", seed) for seed, stem in enumerate((*_STEMS, "reference"))}
    returns = () if neutral else _returns()
    return SessionPlan(
        name=name,
        sample_rate_hz=_RATE_HZ,
        length_samples=_LENGTH_SAMPLES,
        tracks=tuple(Track(name=stem, output=stem, clips=(clips[stem],)) for stem in _STEMS),
        buses=tuple(_bus(stem, place, neutral=neutral) for place, stem in enumerate(_STEMS)),
        returns=returns,
        mix_bus=Bus(name="mix", label="Mix"),
        reference=Track(name="reference", output="master", clips=(clips["reference"],), mute=True),
        markers=()
        if neutral
        else (
            Marker(name="Verse", position_samples=4_410, length_samples=8_820),
            Marker(name="Hit", position_samples=15_000, colour=Colour.from_hex("#d08020")),
        ),
        tempo_bpm=120.0 if neutral else 97.5,
        time_signature=(4, 4) if neutral else (3, 4),
        note_tracks=() if neutral else (_notes(),),
    )


def _bus(stem: str, place: int, *, neutral: bool) -> Bus:
    if neutral:
        return Bus(name=stem, label=stem.title())
    return Bus(
        name=stem,
        label=stem.title(),
        colour=Colour(red=40 * place + 60, green=90, blue=160),
        gain_db=-1.5 * place,
        pan=0.2 * place - 0.3,
        mute=stem == "other",
        effects=_EFFECTS[stem],
        sends=(Send(to="room", gain_db=-12.0), Send(to="echo", gain_db=-18.0, pre_fader=True)),
        group="rhythm" if stem in ("drums", "bass") else None,
        parent="vocals" if stem == "other" else None,
    )


def _returns() -> tuple[Bus, ...]:
    return (
        Bus(name="room", label="Room", effects=(Reverb(room_size=0.6, damping=0.4),)),
        Bus(name="echo", label="Echo", effects=(Delay(time_ms=250.0, feedback=0.3),)),
    )


def _notes() -> NoteTrack:
    """Two notes of the bass, the second over the end of the first."""
    notes = (
        Note(position_samples=2_205, length_samples=6_000, key=40, velocity=90),
        Note(position_samples=8_000, length_samples=5_000, key=47, velocity=64),
    )
    return NoteTrack(name="bass notes", stem="bass", output="bass", notes=notes)


def _clip(path: Path, seed: int) -> Clip:
    noise = np.random.default_rng(seed).standard_normal((2, _LENGTH_SAMPLES)) * 0.05
    if not path.exists():
        with AudioWriter(path, sample_rate_hz=_RATE_HZ, channels=2) as writer:
            writer.write(noise.astype(np.float32))
    return Clip(path=path, name=path.stem, sample_rate_hz=_RATE_HZ, channels=2, length_samples=_LENGTH_SAMPLES)
