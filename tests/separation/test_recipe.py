"""Models of one's own, chains and ensembles, from the options to files that null."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daw_bridge.audio.null import null_depth_db
from daw_bridge.audio.reader import open_audio
from daw_bridge.audio.writer import AudioWriter
from daw_bridge.errors import Cancelled, DawBridgeError, GuardRefused, ModelError, UsageError, WeightsMissing
from daw_bridge.plan import make_plan
from daw_bridge.progress import CancelToken, Progress
from daw_bridge.separation.catalog import chosen_model, model_info
from daw_bridge.separation.engine.separator import FloatArray
from daw_bridge.separation.families.family import Loaded, Note
from daw_bridge.separation.families.loader import load
from daw_bridge.separation.families.own import add_own_model
from daw_bridge.separation.licence import require_accepted
from daw_bridge.separation.model_info import Licence
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.separation.recipe import read_recipe, weights_of
from daw_bridge.separation.run import SeparationResult
from daw_bridge.separation.separate import separate
from daw_bridge.templates.bus_template import read_template
from daw_bridge.templates.store import find_template
from tests.separation.tiny_community import write_model

FOUR = ("drums", "bass", "other", "vocals")
DEEPEST_DB = -120.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of one's own, remembered once for all tests: a voice, two bands, a kit, a lead voice, a voice's room."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAW_BRIDGE_CONFIG", str(folder / "settings"))
        for name, kind, stems, target in (
            ("voice", "mel", ("vocals", "other"), "vocals"),
            ("band", "scnet", FOUR, None),
            ("band2", "bs", FOUR, None),
            ("kit", "mdx23c", ("kick", "snare", "toms"), None),
            ("lead", "bs", ("lead", "backing"), "lead"),
            ("room", "mel", ("dry", "reverb"), None),
        ):
            files = write_model(folder, kind, stems, target=target, name=name, seed=len(name))
            add_own_model(name, *files, licence_class=Licence.CLEAR)
    return folder


@pytest.fixture
def models(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(made / "settings"))
    return made


@pytest.fixture(scope="module")
def alone(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, FloatArray]]:
    """What three of the models give of `mix` by themselves."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAW_BRIDGE_CONFIG", str(made / "settings"))
        song = mix(folder)
        return {
            name: samples_of(separate(song, folder / name, options(model=name))) for name in ("band", "band2", "voice")
        }


Alone = dict[str, dict[str, FloatArray]]


def mix(folder: Path, *, samples: int = 12_011, rate_hz: int = 44_100, level: float = 0.1) -> Path:
    path = folder / "mix.wav"
    sound = np.random.default_rng(3).normal(0.0, level, (2, samples)).astype(np.float32)
    with AudioWriter(path, sample_rate_hz=rate_hz, channels=2) as writer:
        writer.write(sound)
    return path


def read(path: Path) -> FloatArray:
    with open_audio(path) as reader:
        return np.concatenate(list(reader.blocks()), axis=1)


def options(**given: Any) -> SeparationOptions:
    return SeparationOptions(device="cpu", **given)


def samples_of(result: SeparationResult) -> dict[str, FloatArray]:
    return {stem.name: read(stem.path) for stem in result.stems.stems}


def test_a_checkpoint_of_ones_own_keeps_length_and_nulls_at_another_rate(models: Path, tmp_path: Path) -> None:
    song = mix(tmp_path, samples=14_001, rate_hz=48_000)
    given = options(checkpoint=models / "voice.ckpt", config=models / "voice.yaml")
    result = separate(song, tmp_path / "out", given)
    assert [stem.name for stem in result.stems.stems] == ["vocals", "instrumental"]
    assert {stem.length_samples for stem in result.stems.stems} == {14_001}
    assert null_depth_db(song, [stem.path for stem in result.stems.stems]) <= DEEPEST_DB
    assert result.model == "voice"
    assert any("sha256" in note for note in result.notes)


def test_an_added_model_is_found_by_its_name_and_a_changed_file_is_refused(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = model_info("voice")
    assert (info.family, info.stems, info.licence_class) == ("roformer", ("vocals",), Licence.CLEAR)
    files = write_model(tmp_path, "mel", ("vocals", "other"), target="vocals", name="mine")
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "settings"))
    add_own_model("mine", *files)
    write_model(tmp_path, "mel", ("vocals", "other"), target="vocals", name="mine", seed=99)
    with pytest.raises(WeightsMissing, match="another file than the one"):
        separate(mix(tmp_path), tmp_path / "out", options(model="mine"))


@pytest.mark.parametrize("name", ["mel_kim", "a b", "x:y", "../x", ""])
def test_a_name_that_is_taken_or_cannot_be_one_is_refused(models: Path, name: str) -> None:
    with pytest.raises(UsageError):
        add_own_model(name, models / "voice.ckpt", models / "voice.yaml")


def test_a_config_of_another_network_is_refused_when_a_model_is_added(models: Path) -> None:
    with pytest.raises(DawBridgeError, match=r"do not belong together; \d+ missing: "):
        add_own_model("mixed", models / "voice.ckpt", models / "band2.yaml")


def test_a_checkpoint_without_its_config_is_refused() -> None:
    with pytest.raises(UsageError, match="without a config"):
        options(checkpoint="a.ckpt")
    with pytest.raises(UsageError, match="without a checkpoint"):
        options(config="a.yaml")
    with pytest.raises(UsageError, match="leave `model`"):
        options(checkpoint="a.ckpt", config="a.yaml", model="htdemucs")


def test_a_chain_of_three_levels_nulls_as_a_whole(models: Path, tmp_path: Path) -> None:
    song = mix(tmp_path)
    given = options(model="band", chain=("vocals:lead", "lead:voice", "drums:kit:kick+snare"))
    events: list[Progress] = []
    result = separate(song, tmp_path / "out", given, prefix="song_", on_progress=events.append)
    names = [stem.name for stem in result.stems.stems]
    assert names == [
        "kick",
        "snare",
        "drums-rest",
        "bass",
        "other",
        "vocals",
        "instrumental",
        "vocals-rest",
        "residual",
    ]
    assert null_depth_db(song, [stem.path for stem in result.stems.stems]) <= DEEPEST_DB
    assert result.null_depth_db <= DEEPEST_DB
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"song_{name}.wav" for name in names)
    tree = result.settings["tree"]
    drums = next(child for child in tree["children"] if child["name"] == "drums")
    assert (drums["model"], [child["name"] for child in drums["children"]]) == ("kit", ["kick", "snare", "drums-rest"])
    voice = next(child for child in tree["children"] if child["name"] == "vocals")
    assert [child["name"] for child in voice["children"][0]["children"]] == ["vocals", "instrumental"]
    done = [event.done / event.total for event in events if event.stage == "separate"]
    assert done == sorted(done)


def test_each_parent_of_a_chain_is_the_sum_of_its_children(models: Path, tmp_path: Path, alone: Alone) -> None:
    song, parent = mix(tmp_path), alone["band"]["drums"]
    parts = samples_of(separate(song, tmp_path / "b", options(model="band", chain=("drums:kit",))))
    total = sum(parts[name] for name in ("kick", "snare", "toms", "drums-rest"))
    assert np.abs(total - parent).max() < 1e-6
    assert "drums" not in parts


def test_a_chain_in_24_bits_nulls_too(models: Path, tmp_path: Path) -> None:
    song = mix(tmp_path, level=0.001)
    result = separate(song, tmp_path / "out", options(model="band2", chain=("drums:kit",), encoding="pcm24"))
    assert null_depth_db(song, [stem.path for stem in result.stems.stems]) <= DEEPEST_DB


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (("piano:kit",), "no stem called 'piano'"),
        (("drum:kit",), "did you mean drums"),
        (("drums:kit", "drums:lead"), "separated twice"),
        (("drums:kit:kik",), "did you mean kick"),
        (("drums",), "write STEM:MODEL"),
        (("drums:kat",), "no model called 'kat'"),
    ],
)
def test_a_chain_that_cannot_be_is_refused_before_anything_is_computed(
    models: Path, tmp_path: Path, chain: tuple[str, ...], message: str
) -> None:
    with pytest.raises((UsageError, ModelError), match=message):
        separate(mix(tmp_path), tmp_path / "out", options(model="band", chain=chain))
    assert not (tmp_path / "out").exists()


def test_an_ensemble_is_the_weighted_mean_of_its_members(models: Path, tmp_path: Path, alone: Alone) -> None:
    song, one, two = mix(tmp_path), alone["band"], alone["band2"]
    both = separate(song, tmp_path / "c", options(ensemble="band:3,band2"))
    assert [stem.name for stem in both.stems.stems] == [*FOUR, "residual"]
    for name, sound in samples_of(both).items():
        if name in FOUR:
            assert np.abs(sound - (3 * one[name] + two[name]) / 4).max() < 1e-6
    assert both.null_depth_db <= DEEPEST_DB
    assert both.settings["ensemble"]["way"] == "mean"
    assert [path.name for path in (tmp_path / "c").iterdir() if path.name.startswith(".")] == []


def test_each_stem_may_come_from_the_model_that_is_best_at_it(models: Path, tmp_path: Path, alone: Alone) -> None:
    song, band, voice = mix(tmp_path), alone["band"], alone["voice"]
    best = samples_of(separate(song, tmp_path / "c", options(ensemble="vocals=voice,drums=band,bass=band")))
    assert list(best) == ["vocals", "drums", "bass", "residual"]
    assert np.abs(best["vocals"] - voice["vocals"]).max() < 1e-7
    assert np.abs(best["bass"] - band["bass"]).max() < 1e-7


@pytest.mark.parametrize("way", ["median", "min", "max"])
def test_all_ways_null_and_the_spectral_ones_warn(models: Path, tmp_path: Path, way: str) -> None:
    result = separate(mix(tmp_path), tmp_path / "out", options(ensemble=f"{way}:band,band2", two_stems="vocals"))
    assert [stem.name for stem in result.stems.stems] == ["vocals", "no_vocals"]
    assert result.null_depth_db <= DEEPEST_DB
    assert any("+0.2 dB" in note for note in result.notes) == (way != "median")


@pytest.mark.parametrize("given", [{"ensemble": "band,band2"}, {"model": "band", "chain": ("drums:kit",)}])
def test_a_run_that_was_cut_off_continues_and_gives_the_identical_samples(
    models: Path, tmp_path: Path, given: dict[str, Any]
) -> None:
    song = mix(tmp_path)
    whole = samples_of(separate(song, tmp_path / "whole", options(**given)))
    for after in (1, 3):
        cancel, seen = CancelToken(), list[Progress]()

        def listen(event: Progress, after: int = after, cancel: CancelToken = cancel, seen: Any = seen) -> None:
            if event.stage == "separate":
                seen.append(event)
            if len(seen) >= after:
                cancel.cancel()

        folder = tmp_path / str(after)
        with pytest.raises(Cancelled):
            separate(song, folder, options(**given), on_progress=listen, cancel=cancel)
        again = separate(song, folder, options(**given))
        assert {name: sound.tobytes() for name, sound in samples_of(again).items()} == {
            name: sound.tobytes() for name, sound in whole.items()
        }, after


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        ("band", "two members at least"),
        ("kit,lead", "share no stem"),
        ("band:0,band2", "has to be above 0"),
        ("band:x,band2", "no weight"),
        ("vocals=band,vocals=voice", "given to two models"),
        ("vocals=voice,kick=band", "no stem called 'kick'"),
        ("mean,band", "no model called"),
        ("nothing.yaml", "no such file"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(models: Path, tmp_path: Path, ensemble: str, message: str) -> None:
    with pytest.raises(DawBridgeError, match=message):
        separate(mix(tmp_path), tmp_path / "out", options(ensemble=ensemble))
    assert not (tmp_path / "out").exists()


def test_a_preset_says_what_the_text_says(models: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("method: median\nmembers:\n  - {model: band, weight: 2}\n  - {model: voice, stems: [vocals]}\n")
    recipe = read_recipe(options(ensemble=str(preset)))
    assert recipe.ensemble is not None
    assert recipe.ensemble.way == "median"
    assert recipe.taken == (FOUR, ("vocals",))
    preset.write_text("members:\n  - {modell: band}\n")
    with pytest.raises(DawBridgeError, match=r"mine.yaml:2:6: unknown key 'modell' \(did you mean model\?\)"):
        read_recipe(options(ensemble=str(preset)))


def test_the_presets_of_the_program_are_of_known_models() -> None:
    assert read_recipe(options(ensemble="best-of-two")).name == "ensemble mel_kim+htdemucs_ft"


def test_a_licence_that_is_not_clear_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path))
    require_accepted([model_info("mel_kim"), model_info("htdemucs_ft")], accept=False)
    with pytest.raises(GuardRefused, match=r"drumsep5 \(unstated: .*`accept_licence`"):
        read_recipe(options(model="drumsep5"))
    with pytest.raises(GuardRefused, match="scnet_xl_ihf"):
        read_recipe(options(ensemble="mel_kim,scnet_xl_ihf"))
    read_recipe(options(model="drumsep5", accept_licence=True))
    read_recipe(options(model="htdemucs_ft", chain=("drums:drumsep5",)))


def test_weights_are_one_digest_over_all_models(models: Path) -> None:
    plain = weights_of(options(model="band"))
    chained = weights_of(options(model="band", chain=("drums:kit",)))
    assert len({plain, chained, weights_of(options(ensemble="band,band2"))}) == 3
    assert chosen_model(replace(options(), model="band")).name == "band"


def test_a_long_run_on_a_cpu_is_announced_with_what_would_be_quicker(models: Path, tmp_path: Path) -> None:
    def slow(given: SeparationOptions, note: Note) -> Loaded:
        return replace(load(given, note), cpu_s_per_s=5000.0)

    result = separate(mix(tmp_path), tmp_path / "out", options(model="voice"), load_model=slow)
    assert any("of one core for each second of music; quicker: a GPU" in note for note in result.notes)
    quick = separate(mix(tmp_path), tmp_path / "again", options(model="voice"))
    assert not any("quicker" in note for note in quick.notes)


@pytest.mark.parametrize(
    ("chain", "template", "buses"),
    [
        (("drums:kit",), "drum-kit", {"kick": "kick", "snare": "snare", "toms": "toms", "drums-rest": "drums"}),
        (("vocals:lead",), "lead-backing", {"lead": "lead", "vocals-rest": "backing", "drums": "drums"}),
    ],
)
def test_templates_know_the_stems_of_a_chain(
    models: Path, tmp_path: Path, chain: tuple[str, ...], template: str, buses: dict[str, str]
) -> None:
    result = separate(mix(tmp_path), tmp_path / "out", options(model="band", chain=chain))
    plan = make_plan(result.stems, read_template(find_template(template)), name="song")
    placed = {track.name: track.output for track in plan.tracks}
    assert {name: placed[name] for name in buses} == buses
