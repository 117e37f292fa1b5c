"""AAF files read back by pyaaf2, and by OpenTimelineIO as a reader that is not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import aaf2
import mido
import numpy as np
import opentimelineio as otio
import pytest

from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import InputError, OutputError
from daw_bridge.model import Bus, Clip, SessionPlan, Track
from daw_bridge.registry import load_adapter
from daw_bridge.tempo_map import TempoEvent
from daw_bridge.testing import check_adapter, example_plan
from daw_bridge_aaf.adapter import ADAPTER

RATE_HZ = 48_000
SIZE = 5_003


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_adapter(load_adapter("aaf"), tmp_path)


def clip_of(path: Path, audio: np.ndarray, *, position: int = 0, rate_hz: int = RATE_HZ) -> Clip:
    with AudioWriter(path, sample_rate_hz=rate_hz, channels=len(audio)) as writer:
        writer.write(audio.astype(np.float32))
    return Clip(
        path=path,
        name=path.stem,
        sample_rate_hz=rate_hz,
        channels=len(audio),
        length_samples=audio.shape[1],
        position_samples=position,
    )


def plan_of(folder: Path, stems: dict[str, np.ndarray], *, rate_hz: int = RATE_HZ, **buses: Bus) -> SessionPlan:
    """One track and one bus a stem, in stereo or mono, and no reference."""
    folder.mkdir(exist_ok=True)
    tracks = tuple(
        Track(name=name, output=name, clips=(clip_of(folder / f"{name}.wav", audio, rate_hz=rate_hz),))
        for name, audio in stems.items()
    )
    return SessionPlan(
        name="Song",
        sample_rate_hz=rate_hz,
        length_samples=max(audio.shape[1] for audio in stems.values()),
        tracks=tracks,
        buses=tuple(buses.get(name) or Bus(name=name, label=name.upper()) for name in stems),
        mix_bus=buses.get("mix") or Bus(name="mix", label="Mix"),
    )


def noise(channels: int = 2, size: int = SIZE, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(size + channels).uniform(-level, level, (channels, size)).astype(np.float32)


def tracks_in(path: Path) -> dict[str, tuple[float, list[tuple[int, float, np.ndarray]]]]:
    """Track name -> pan from 0 to 1, and each clip's place, gain and 24-bit samples."""
    found = {}
    with aaf2.open(str(path)) as file:
        (mob,) = file.content.toplevel()
        for slot in mob.slots:
            if getattr(slot.segment, "media_kind", "") != "Sound":
                continue
            pan, pieces, at = slot.segment, [], 0
            for component in pan.segments[0].components:
                if isinstance(component, aaf2.components.OperationGroup):
                    source = component.segments[0].mob.slots[0].segment.mob
                    pieces.append((at, value_of(component), samples_of(source)))
                at += component.length
            found[slot.name] = (value_of(pan), pieces)
    return found


def value_of(group: Any) -> float:
    (parameter,) = group.parameters
    return float(parameter.value)


def samples_of(source: Any) -> np.ndarray:
    data = np.frombuffer(source.essence.open("r").read(), np.uint8).reshape(-1, 3)
    padded = np.concatenate([np.zeros((len(data), 1), np.uint8), data], axis=1)
    return np.ascontiguousarray(padded).view("<i4").ravel() >> 8


@pytest.mark.parametrize("rate_hz", [8_000, 96_000])
def test_samples_read_back_as_they_are_in_24_bits(tmp_path: Path, rate_hz: int) -> None:
    stems = {"drums": noise(), "bass": noise(1), "one sample": noise(2, 1)}
    report = ADAPTER.write(plan_of(tmp_path / "a", stems, rate_hz=rate_hz), tmp_path, "Song")
    tracks = tracks_in(report.session_path)
    assert list(tracks) == [f"{name}.{side}" for name in stems for side in "LR"]
    for name, audio in stems.items():
        for channel, side in enumerate("LR"):
            pan, ((at, gain, samples),) = tracks[f"{name}.{side}"]
            wanted = np.round(audio[min(channel, len(audio) - 1)].astype(np.float64) * 2**23)
            assert (pan, at, gain) == (channel, 0, 1.0)
            assert np.array_equal(samples, wanted)
    said = any("Logic" in limit.what for limit in report.limits)
    assert said == (rate_hz == 8_000)


def test_faders_and_pans_on_the_way_to_the_master_are_in_the_clip_gains(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path / "a",
        {"drums": noise(), "bass": noise(1), "quiet": noise()},
        drums=Bus(name="drums", label="D", gain_db=-3.0, pan=0.25),
        bass=Bus(name="bass", label="B", gain_db=6.0, pan=-1.0),
        quiet=Bus(name="quiet", label="Q", mute=True),
        mix=Bus(name="mix", label="M", gain_db=-1.5),
    )
    plan = replace(plan, tracks=(replace(plan.tracks[0], gain_db=0.5, pan=-0.5), *plan.tracks[1:]))
    report = ADAPTER.write(plan, tmp_path, "Song")
    gains = {name: pieces[0][1] for name, (_, pieces) in tracks_in(report.session_path).items()}
    drums = 10 ** ((0.5 - 3.0 - 1.5) / 20)
    bass = 10 ** ((6.0 - 1.5) / 20)
    wanted = {
        "drums.L": drums * 0.75,
        "drums.R": drums * 0.5,
        "bass.L": bass,
        "bass.R": 0.0,
        "quiet.L": 0.0,
        "quiet.R": 0.0,
    }
    assert gains == pytest.approx(wanted, rel=1e-9, abs=0.0)
    assert any(limit.where == "quiet" and "mute" in limit.what for limit in report.limits)


def test_stems_over_full_scale_are_lowered_together_and_sound_the_same(tmp_path: Path) -> None:
    stems = {"loud": noise(level=0.1) + 1.5, "soft": noise(1)}
    report = ADAPTER.write(plan_of(tmp_path / "a", stems), tmp_path, "Song")
    for name, (_, ((_, gain, samples),)) in tracks_in(report.session_path).items():
        stem = stems[name.partition(".")[0]]
        truth = stem[min("LR".index(name[-1]), len(stem) - 1)]
        assert gain == pytest.approx(10 ** (4.1 / 20), rel=1e-9)
        assert np.abs(samples).max() < 2**23
        assert np.abs(samples / 2**23 * gain - truth).max() < 2.0**-23
    assert any("lowered by 4.1 dB" in limit.what for limit in report.limits)


def test_another_reader_finds_every_track_clip_and_marker(tmp_path: Path) -> None:
    plan = example_plan(tmp_path, name='Größe "x" / \\ 🎛')
    late = replace(plan.tracks[2].clips[0], position_samples=1_234)
    second = replace(plan.tracks[1], name="a/b 'c' 🥁")
    plan = replace(plan, tracks=(plan.tracks[0], second, replace(plan.tracks[2], clips=(late,)), plan.tracks[3]))
    report = ADAPTER.write(plan, tmp_path, "Song")
    timeline: Any = otio.adapters.read_from_file(str(report.session_path))
    tracks = list(timeline.audio_tracks())
    names = ["drums", "a/b 'c' 🥁", "vocals", "other", "reference"]
    assert timeline.name == plan.name
    wanted = [f"{name}.{side}" for name in names for side in "LR"]
    for track, name in zip(tracks, wanted, strict=True):
        is_late = name.startswith("vocals")
        assert track.name == ("Sequence" if is_late else name)  # how it calls every track that begins with a gap
        (clip,) = [item for item in track if isinstance(item, otio.schema.Clip)]
        assert clip.source_range.duration.value == late.length_samples
        assert clip.range_in_parent().start_time.value == (1_234 if is_late else 0)
    markers = [marker for track in tracks for item in track for marker in item.markers]
    places = {marker.name: marker.marked_range for marker in markers}
    assert {name: place.start_time.value for name, place in places.items()} == {"Verse": 4_410, "Hit": 15_000}
    assert places["Verse"].duration.value == 8_820


def test_clips_that_overlap_get_tracks_of_their_own_and_keep_their_places(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a", {"drums": noise()})
    first = plan.tracks[0].clips[0]
    over = clip_of(tmp_path / "a/over.wav", noise(1, 100), position=SIZE - 1)
    behind = clip_of(tmp_path / "a/behind.wav", noise(1, 200), position=SIZE + 500)
    plan = replace(plan, tracks=(replace(plan.tracks[0], clips=(behind, over, first)),))
    tracks = tracks_in(ADAPTER.write(plan, tmp_path, "Song").session_path)
    places = {name: [(at, len(samples)) for at, _, samples in pieces] for name, (_, pieces) in tracks.items()}
    assert places["drums.L"] == places["drums.R"] == [(0, SIZE), (SIZE + 500, 200)]
    assert places["drums 2.L"] == places["drums 2.R"] == [(SIZE - 1, 100)]


def test_the_tempo_map_lies_beside_it_and_the_same_plan_gives_the_same_files(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a", {"drums": noise()})
    plan = replace(plan, tempo_events=tuple(TempoEvent(bar=bar, tempo_bpm=100.0 + bar) for bar in (0, 1, 2)))
    reports = [ADAPTER.write(plan, folder, "Song") for folder in (tmp_path, tmp_path / "a")]
    aaf, midi = reports[0].files
    assert midi == tmp_path / "Song.mid"
    tempos = [message.tempo for message in mido.MidiFile(midi).tracks[0] if message.type == "set_tempo"]
    assert [round(60e6 / tempo) for tempo in tempos] == [100, 101, 102]
    assert [path.read_bytes() for path in reports[1].files] == [aaf.read_bytes(), midi.read_bytes()]
    aaf.unlink()
    assert ADAPTER.write(plan, tmp_path, "Song").files == (aaf, midi)  # the same tempo map is used again
    aaf.unlink()
    midi.write_bytes(b"somebody's own")
    assert ADAPTER.write(plan, tmp_path, "Song").files == (aaf, tmp_path / "Song 2.mid")
    assert midi.read_bytes() == b"somebody's own"


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a", {"drums": noise(), "bass": noise(1)})
    with pytest.raises(InputError, match="does not exist"):
        ADAPTER.write(replace(plan, buses=()), tmp_path, "Song")
    shorter = replace(plan.tracks[1].clips[0], length_samples=SIZE + 1)
    with pytest.raises(InputError, match="shorter"):
        ADAPTER.write(replace(plan, tracks=(replace(plan.tracks[1], clips=(shorter,)),)), tmp_path, "Song")
    (tmp_path / "a/bass.wav").unlink()
    with pytest.raises(InputError, match=r"bass\.wav: no such"):
        ADAPTER.write(plan, tmp_path, "Song")
    (tmp_path / "Song.aaf").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        ADAPTER.write(replace(plan, tracks=plan.tracks[:1]), tmp_path, "Song")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Song.aaf", "a"]
