"""Plans for these tests: a song of noise stems whose sum is the mix, and a session that uses every feature."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.adapter_lab import Audio, noise, write_clip
from daw_bridge.model import (
    BandKind,
    Bus,
    Colour,
    Compressor,
    Delay,
    EqBand,
    Equalizer,
    Gate,
    Limiter,
    Marker,
    Reverb,
    Send,
    SessionPlan,
    Track,
)

STEMS = ("drums", "bass", "other", "vocals", "residual")


def song_plan(folder: Path, *, rate: int, channels: int, seconds: float = 2.0) -> tuple[SessionPlan, dict[str, Audio]]:
    """A neutral session: one bus per stem, an impulse on its own sample in each, the reference muted."""
    length = int(rate * seconds) + 7  # no whole number of ticks, beats or blocks
    audio = {name: noise(channels, length, seed) for seed, name in enumerate(STEMS)}
    audio["reference"] = np.sum([audio[name] for name in STEMS], axis=0, dtype=np.float32)
    clips = {name: write_clip(folder / "audio" / f"{name}.wav", data, rate) for name, data in audio.items()}
    plan = SessionPlan(
        name="song",
        sample_rate_hz=rate,
        length_samples=length,
        tracks=tuple(Track(name=name, output=name, clips=(clips[name],)) for name in STEMS),
        buses=tuple(Bus(name=name, label=name.capitalize()) for name in STEMS),
        mix_bus=Bus(name="mix", label="Mix"),
        reference=Track(name="Reference", output="master", clips=(clips["reference"],), mute=True),
        tempo_bpm=97.53,
    )
    return plan, audio


def full_plan(folder: Path, rate: int = 48_000) -> SessionPlan:
    """A session with everything that a plan can hold."""
    red, blue = Colour.from_hex("#e04030"), Colour.from_hex("#3060e0")
    clip = {name: write_clip(folder / "audio" / f"{name}.wav", noise(2, rate, n), rate) for n, name in enumerate(STEMS)}
    eq = Equalizer(
        bands=(
            EqBand(kind=BandKind.HIGHPASS, frequency_hz=30),
            EqBand(kind=BandKind.BELL, frequency_hz=350, gain_db=-2.5, q=1.2),
            EqBand(kind=BandKind.HIGHSHELF, frequency_hz=9000, gain_db=1.5),
        )
    )
    return SessionPlan(
        name='Song "1" & <2>',
        sample_rate_hz=rate,
        length_samples=rate,
        tracks=(
            Track(name="drums", output="drums", clips=(clip["drums"],), colour=red, gain_db=-1.5),
            Track(name='a/b: "v" & <x>', output="vocals", clips=(clip["vocals"],), colour=blue, pan=0.25),
            Track(name="Bass", output="bass", clips=(clip["bass"],)),
        ),
        buses=(
            Bus(
                name="drums",
                label="Drums",
                colour=red,
                gain_db=-3.0,
                group="Rhythm",
                effects=(eq, Compressor(threshold_db=-18, ratio=4, knee_db=6, makeup_db=2), Gate(threshold_db=-50)),
                sends=(Send(to="verb", gain_db=-12), Send(to="echo", gain_db=-6, pre_fader=True)),
            ),
            Bus(
                name="bass",
                label="Bass",
                group="Rhythm",
                mute=True,
                effects=(Compressor(threshold_db=-20, ratio=3, sidechain_bus="drums", enabled=False),),
            ),
            Bus(name="vocals", label="Vocals / lead", colour=blue, pan=-0.5, solo=True),
        ),
        returns=(
            Bus(name="verb", label="Verb", effects=(Reverb(predelay_ms=20),), gain_db=-4),
            Bus(name="echo", label="Echo", effects=(Delay(time_ms=375),)),
        ),
        mix_bus=Bus(name="mix", label="Mix", effects=(Limiter(),)),
        reference=Track(name="Reference", output="master", clips=(clip["other"],), mute=True),
        markers=(
            Marker(name="Verse & <1>", position_samples=4411),
            Marker(name="Chorus", position_samples=12_000, length_samples=6_000),
        ),
        tempo_bpm=97.5,
        time_signature=(3, 4),
        template="full",
        notes=("made by a test", "seconds count"),
    )
