"""Plans for the REAPER tests: one that uses every feature, and a plain one that must null."""

from __future__ import annotations

from pathlib import Path

from daw_bridge.model import (
    MIX_BUS,
    BandKind,
    Bus,
    Clip,
    Colour,
    Compressor,
    Delay,
    EqBand,
    Equalizer,
    Gain,
    Gate,
    Limiter,
    Marker,
    PluginRef,
    Reverb,
    Send,
    SessionPlan,
    Track,
)

RATE_HZ = 44_100


def make_clip(path: Path, *, length_samples: int = RATE_HZ, name: str | None = None) -> Clip:
    return Clip(path=path, name=name or path.stem, sample_rate_hz=RATE_HZ, channels=2, length_samples=length_samples)


def neutral_plan(folder: Path, stems: tuple[str, ...], *, length_samples: int = RATE_HZ) -> SessionPlan:
    """One bus a stem and nothing else, the reference muted."""

    def clip(name: str) -> Clip:
        return make_clip(folder / "audio" / f"{name}.wav", length_samples=length_samples)

    return SessionPlan(
        name="Song",
        sample_rate_hz=RATE_HZ,
        length_samples=length_samples,
        tracks=tuple(Track(name=name, output=name, clips=(clip(name),)) for name in stems),
        buses=tuple(Bus(name=name, label=name.title()) for name in stems),
        mix_bus=Bus(name=MIX_BUS, label="Mix"),
        reference=Track(name="Reference", output="master", mute=True, clips=(clip("mix"),)),
        template="neutral",
    )


def full_plan(folder: Path) -> SessionPlan:
    """Every feature of the model at least once."""
    audio = folder / "audio"
    drums = Bus(
        name="drums",
        label='Drums "A" #1; é 🥁',
        colour=Colour.from_hex("#cc3311"),
        gain_db=-1.5,
        effects=(
            Equalizer(
                bands=(
                    EqBand(kind=BandKind.HIGHPASS, frequency_hz=30.0),
                    EqBand(kind=BandKind.BELL, frequency_hz=300.0, gain_db=-2.5, q=1.4),
                    EqBand(kind=BandKind.HIGHSHELF, frequency_hz=9000.0, gain_db=1.5, enabled=False),
                )
            ),
            Gate(threshold_db=-50.0),
            Compressor(threshold_db=-18.0, ratio=4.0, attack_ms=20.0, release_ms=150.0, knee_db=6.0, makeup_db=8.5),
        ),
        sends=(Send(to="room", gain_db=-12.0),),
        group="rhythm",
    )
    bass = Bus(
        name="bass",
        label="Bass",
        colour=Colour.from_hex("#0077bb"),
        pan=-0.25,
        effects=(
            Compressor(threshold_db=-20.0, ratio=5.0, sidechain_bus="drums"),
            Gain(gain_db=2.0),
            PluginRef(daw="reaper", name="JS: sstillwell/1175", parameters=(("slider1", -18.0), ("2", 6.0))),
            PluginRef(daw="ardour", name="a-EQ"),
        ),
        group="rhythm",
    )
    vocals = Bus(
        name="vocals",
        label="Vocals",
        mute=True,
        solo=True,
        effects=(Equalizer(bands=(EqBand(kind=BandKind.NOTCH, frequency_hz=50.0, q=8.0),), enabled=False),),
        sends=(Send(to="room", gain_db=-6.0, pre_fader=True), Send(to="echo")),
    )
    return SessionPlan(
        name="Full",
        sample_rate_hz=RATE_HZ,
        length_samples=RATE_HZ,
        tracks=(
            Track(name="drums", output="drums", clips=(make_clip(audio / "drums.wav"),)),
            Track(name="bass", output="bass", clips=(make_clip(audio / "bass.flac"),), gain_db=-0.5, pan=0.1),
            Track(name="vocals", output="vocals", clips=(make_clip(audio / "vocals.wav"),)),
            Track(name="residual", output=MIX_BUS, clips=(make_clip(audio / "residual.wav"),)),
        ),
        buses=(drums, bass, vocals),
        returns=(
            Bus(name="room", label="Room", effects=(Reverb(room_size=0.3, predelay_ms=12.0),)),
            Bus(name="echo", label="Echo", effects=(Delay(time_ms=375.0, feedback=0.3),)),
        ),
        mix_bus=Bus(
            name=MIX_BUS,
            label="Mix",
            effects=(Compressor(threshold_db=-10.0, ratio=2.0, sidechain_bus="bass"), Limiter(ceiling_db=-1.0)),
        ),
        reference=Track(name="Reference", output="master", mute=True, clips=(make_clip(audio / "mix.wav"),)),
        markers=(
            Marker(name="Start", position_samples=0),
            Marker(
                name="Chorus 'x'", position_samples=11_025, length_samples=22_050, colour=Colour.from_hex("#112233")
            ),
        ),
        tempo_bpm=96.5,
        time_signature=(3, 4),
        template="full",
        notes=("Stems by a test", "second\nthird " + "x" * 1200),
    )
