"""The generator of training arrangements, on a training pack of sines and noise built here: physics, not taste."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.separation.recipe_modules import RECIPE, module

RATE_HZ = 44_100
FloatArray = NDArray[np.float32]


def tone(hz: float, seconds: float, *, level: float = 0.5) -> FloatArray:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    wave = level * np.sin(2 * np.pi * hz * t) * np.exp(-t)
    return np.tile(wave.astype(np.float32), (2, 1))


def hz_of(x: FloatArray) -> float:
    spectrum = np.abs(np.fft.rfft(x[0] * np.hanning(x.shape[1]), 8 * RATE_HZ))
    return float(np.argmax(spectrum)) / 8


def midi_file(channels: dict[int, int]) -> bytes:
    """Eight seconds in which every channel plays its key twice a second."""
    track = mido.MidiTrack()
    for _ in range(16):
        for channel, key in channels.items():
            track.append(mido.Message("note_on", channel=channel, note=key, velocity=100))
        for index, (channel, key) in enumerate(channels.items()):
            track.append(mido.Message("note_off", channel=channel, note=key, time=480 if index == 0 else 0))
    file, out = mido.MidiFile(tracks=[track], ticks_per_beat=480), io.BytesIO()
    file.save(file=out)
    return out.getvalue()


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of every kind that the generator plays, two of them held out."""
    folder = tmp_path_factory.mktemp("pack")
    noise: FloatArray = np.tile(np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32), (2, 1))
    keys = (40, 52, 64, 76)
    reel: list[list[object]] = [[float(start), 1.0, key, 1.0] for start, key in enumerate(keys)]
    notes: FloatArray = np.concatenate([tone(440 * 2 ** ((key - 69) / 12), 1.0) for key in keys], 1)
    kit: list[list[object]] = [[0.0, 0.5, "kick", 1.0], [0.5, 0.5, "snare", 1.0]]
    files: list[tuple[str, str, str, FloatArray, list[list[object]]]] = [
        ("drums/muldjord-dry.kit", "drums", "drumkit", noise, kit),
        ("bass/plain.reel", "bass", "multisample", notes, reel),
        ("vocals/held-vowel.reel", "vocals", "multisample", notes, reel),
        ("vocals/phrase", "vocals", "song", noise, []),
        ("vocals/vocadito_1", "vocals", "song", noise, []),
        ("vocals/hall", "vocals", "choir", noise, []),
        ("vocals/talk", "vocals", "speech", noise, []),
        ("drums/e3m4_drums", "drums", "rendered-song", noise, []),
        ("ir/room", "ir", "ir", tone(900, 0.1), []),
    ]
    files += [(f"other/{n}.reel", "other", "multisample", notes, reel) for n in sorted(instruments_of(RECIPE))]
    entries = []
    for path, role, kind, audio, table in files:
        target = folder / f"{path}.ogg"
        target.parent.mkdir(exist_ok=True)
        soundfile.write(target, audio.T, RATE_HZ)
        entries.append({"path": f"{path}.ogg", "role": role, "kind": kind, "notes": table})
    (folder / "index.json").write_text(json.dumps({"entries": entries}))
    archives = {
        "freedoom+freedoom/midi/freedoom_midi.zip": {
            "musics/d_one.mid": {0: 64, 1: 40, 9: 36},
            "musics/d_e3m4.mid": {},
        },
        "zharry29+drums-with-llm/midi/groove_drummers1-8.zip": {"groove/1_rock_120_beat_4-4.mid": {9: 38}},
    }
    for name, songs in archives.items():
        (folder / name).parent.mkdir(parents=True)
        with zipfile.ZipFile(folder / name, "w") as archive:
            for song, channels in songs.items():
                archive.writestr(song, midi_file(channels))
    return folder


def instruments_of(recipe: Path) -> set[str]:
    assert recipe.is_dir()
    families = module("arrange")._FAMILIES
    return {name for _, names in families for name in names if name != "synth"}


@pytest.fixture(scope="module")
def arrangements(pack: Path) -> Iterator[list[FloatArray]]:
    arrange = module("arrange")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrange.shutil, "which", lambda name: None)  # no speaker: the test must not need espeak-ng
        studio = arrange.Studio.open(pack)
    yield [arrange.arrangement(studio, number, 6.0) for number in (0, 1, 2, 3, 0)]


def test_an_arrangement_is_decided_by_its_number(arrangements: list[FloatArray]) -> None:
    np.testing.assert_array_equal(arrangements[0], arrangements[4])
    assert not np.array_equal(arrangements[0], arrangements[1])


def test_arrangements_are_four_finite_stems_that_sound(arrangements: list[FloatArray]) -> None:
    for stems in arrangements:
        assert stems.shape == (4, 2, 6 * RATE_HZ) and stems.dtype == np.float32
        assert np.isfinite(stems).all() and np.abs(stems.sum(0)).max() < 1.1
        assert np.abs(stems).max() > 0.05


def test_what_is_held_out_is_neither_mixed_nor_played(pack: Path) -> None:
    names = {file.name for file in module("pack").phrases(pack)}
    assert names == {"phrase", "hall", "talk"}
    assert module("midi_songs").song_names(pack) == ["musics/d_one.mid"]
    voices = module("voices").Voices(module("pack").read_index(pack), None)
    assert set(voices.phrases) == {"phrase"}


@given(seed=st.integers(0, 2**32 - 1), level=st.floats(0.01, 30), ceiling=st.floats(0.05, 1))
@settings(max_examples=25, deadline=None)
def test_no_sample_passes_the_limiter_and_its_gain_never_lifts(seed: int, level: float, ceiling: float) -> None:
    mix = (level * np.random.default_rng(seed).standard_normal((2, 3000))).astype(np.float32)
    gain = module("effects").limiter_gain(mix, ceiling)
    assert gain.min() > 0 and gain.max() <= 1
    assert np.abs(mix * gain).max() <= ceiling * (1 + 1e-5)


def test_mastering_gives_every_stem_the_same_gain() -> None:
    rng = np.random.default_rng(1)
    stems = rng.uniform(0.2, 1, (4, 2, RATE_HZ)).astype(np.float32) * np.linspace(0.1, 1, RATE_HZ, dtype=np.float32)
    for seed in range(6):
        out = module("effects").mastered(stems, np.random.default_rng(seed))
        gain = out / stems
        np.testing.assert_allclose(gain, np.broadcast_to(gain[:1, :1], gain.shape), rtol=1e-5)


def test_stems_of_a_coded_mix_sum_to_what_the_decoder_gives_in_place() -> None:
    effects = module("effects")
    t = np.arange(2 * RATE_HZ)
    stems = np.stack([tone(hz, 2.0, level=0.2) for hz in (90, 220, 700, 1500)])
    stems[1] += np.where(t % 8000 < 40, np.float32(0.3), np.float32(0))
    for seed in range(6):
        out = effects.coded(stems, np.random.default_rng(seed)).sum(0)
        error = float(np.square(out - stems.sum(0)).sum() / np.square(stems.sum(0)).sum())
        assert 0 < error < 0.02, "a codec's delay was left in"
    sent = stems.sum(0)
    np.testing.assert_array_equal(effects.aac(sent, 128_000), effects.aac(sent, 128_000))


def test_an_instrument_plays_the_key_that_is_asked_for(pack: Path) -> None:
    instruments = module("instruments")
    file = next(file for file in module("pack").read_index(pack) if file.name == "plain")
    for key in (40, 47, 55, 69):
        out = instruments.Instrument(file).render([instruments.Note(0.1, 0.8, key, 1.0)], 1.0)
        assert hz_of(out) == pytest.approx(440 * 2 ** ((key - 69) / 12), rel=0.01)
        assert not out[:, : int(0.09 * RATE_HZ)].any()


def test_recordings_that_are_equally_near_take_turns(pack: Path) -> None:
    instruments = module("instruments")
    file = next(file for file in module("pack").read_index(pack) if file.name == "plain")
    player = instruments.Instrument(file)
    player.samples = [(60, 1.0, tone(200, 0.2)), (60, 1.0, tone(300, 0.2))]
    notes = [instruments.Note(start, 0.2, 60, 1.0) for start in (0.0, 0.5, 1.0)]
    out = player.render(notes, 1.5)
    heard = [round(hz_of(out[:, int(s * RATE_HZ) : int((s + 0.2) * RATE_HZ)]), -1) for s in (0.0, 0.5, 1.0)]
    assert heard == [200, 300, 200]


def test_a_voice_is_moved_in_pitch_and_time_apart() -> None:
    voices = module("voices")
    out = voices.moved(tone(220, 2.0), semitones=7.0, speed=1.25)
    assert out.shape[1] == pytest.approx(2.0 * RATE_HZ / 1.25, rel=0.02)
    assert hz_of(out) == pytest.approx(220 * 2 ** (7 / 12), rel=0.02)


def test_dealing_a_batch_loses_no_stem() -> None:
    batch = np.random.default_rng(0).standard_normal((4, 4, 2, 50)).astype(np.float32)
    out = module("mixing").dealt(batch, np.random.default_rng(1))
    assert out.shape == batch.shape and out.dtype == np.float32
    for group in range(4):
        unit = [x / np.linalg.norm(x) for x in batch[:, group]]
        match = [int(np.argmax([np.sum(x * y) for y in unit])) for x in out[:, group]]
        assert sorted(match) == [0, 1, 2, 3]
