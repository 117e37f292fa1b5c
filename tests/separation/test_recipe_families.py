"""Chains and ensembles across the families: Demucs, BSRNN, the preview and the community's networks together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daw_bridge.audio.null import null_depth_db
from daw_bridge.build_options import BuildOptions
from daw_bridge.cli.main import main
from daw_bridge.errors import GuardRefused
from daw_bridge.manifest import read_manifest
from daw_bridge.separation.engine.memory import Rung
from daw_bridge.separation.families.bsrnn.chunks import Fader
from daw_bridge.separation.families.bsrnn.separator import BsrnnSeparator
from daw_bridge.separation.families.demucs.separator import DemucsSeparator, Plan
from daw_bridge.separation.families.family import Loaded, Note
from daw_bridge.separation.families.loader import load
from daw_bridge.separation.options import SeparationOptions, wanted_stems
from daw_bridge.separation.separate import separate
from daw_bridge.workflow.batch import run_batch
from daw_bridge.workflow.ledger import Ledger
from tests.separation import tiny, tiny_bsrnn
from tests.separation.test_recipe import DEEPEST_DB, FOUR, made, mix, models, options, samples_of
from tests.sweeps import sweep

__all__ = ["made", "models"]  # fixtures

RUNGS = [Rung(device="cpu")]


@pytest.fixture(scope="module")
def tiny_weights() -> Callable[[SeparationOptions, Note], Loaded]:
    """`load`, with tiny random networks in the place of the weights of htdemucs and bsrnn-simo."""
    module = tiny.tiny_module("htdemucs", seed=4)
    network = tiny_bsrnn.make_network(tiny_bsrnn.SIMO)

    def load_tiny(given: SeparationOptions, note: Note) -> Loaded:
        stems = wanted_stems(given)
        if given.model == "htdemucs":
            wanted = tuple(name for name in FOUR if stems is None or name in stems)
            bag = tiny.tiny_bag([module])
            return Loaded(
                separator=DemucsSeparator("htdemucs", bag, Plan(stems=wanted), RUNGS, note), weights_sha256="h"
            )
        if given.model == "bsrnn-simo":
            chunking = Fader(segment_s=0.5)
            separator = BsrnnSeparator("bsrnn-simo", [network], RUNGS, stems=stems, chunking=chunking, note=note)
            return Loaded(separator=separator, weights_sha256="b")
        return load(given, note)

    return load_tiny


@pytest.mark.parametrize(
    ("given", "names"),
    sweep(
        [
            ({"model": "preview", "chain": ("drums:kit", "kick:lead:lead")}, None),
            ({"ensemble": "vocals=voice,drums=htdemucs,bass=bsrnn-simo"}, ["vocals", "drums", "bass", "residual"]),
            (
                {"ensemble": "htdemucs,bsrnn-simo", "chain": ("drums:kit:snare",)},
                ["snare", "drums-rest", "bass", "other", "vocals", "residual"],
            ),
        ],
        [
            (
                {"model": "htdemucs", "chain": ("drums:kit", "vocals:lead")},
                ["kick", "snare", "toms", "drums-rest", "bass", "other", "lead", "vocals-rest", "residual"],
            ),
            (
                {"model": "voice", "chain": ("instrumental:htdemucs:drums+bass+other",)},
                ["vocals", "drums", "bass", "other", "instrumental-rest"],
            ),
            (
                {"model": "bsrnn-simo", "chain": ("drums:kit:kick",)},
                ["vocals", "bass", "kick", "drums-rest", "other", "residual"],
            ),
            ({"ensemble": "htdemucs,bsrnn-simo:2,band"}, ["drums", "bass", "other", "vocals", "residual"]),
            ({"ensemble": "median:htdemucs,bsrnn-simo,preview"}, ["drums", "bass", "other", "vocals", "residual"]),
        ],
    ),
    ids=str,
)
def test_the_families_go_together_and_the_whole_nulls(
    models: Path, tmp_path: Path, given: dict[str, Any], names: list[str] | None, tiny_weights: Any
) -> None:
    song = mix(tmp_path, samples=40_003)
    result = separate(song, tmp_path / "out", options(**given), load_model=tiny_weights)
    if names is not None:
        assert [stem.name for stem in result.stems.stems] == names
    assert {stem.length_samples for stem in result.stems.stems} == {40_003}
    assert result.null_depth_db <= DEEPEST_DB
    assert null_depth_db(song, [stem.path for stem in result.stems.stems]) <= DEEPEST_DB


def test_members_of_several_families_are_averaged_with_their_weights(
    models: Path, tmp_path: Path, tiny_weights: Any
) -> None:
    song = mix(tmp_path, samples=40_003)
    alone = {
        name: samples_of(separate(song, tmp_path / name, options(model=name, residual="none"), load_model=tiny_weights))
        for name in ("htdemucs", "bsrnn-simo", "band")
    }
    given = options(ensemble="htdemucs:3,bsrnn-simo,band", stems=("bass", "vocals"))
    both = samples_of(separate(song, tmp_path / "all", given, load_model=tiny_weights))
    for stem in ("bass", "vocals"):
        expected = (3 * alone["htdemucs"][stem] + alone["bsrnn-simo"][stem] + alone["band"][stem]) / 5
        assert np.abs(both[stem] - expected).max() < 1e-6


def test_a_member_without_a_stem_leaves_it_to_those_that_have_it(
    models: Path, tmp_path: Path, tiny_weights: Any
) -> None:
    """voice gives vocals alone: the other stems are those of the one that has them."""
    song = mix(tmp_path, samples=40_003)
    band = samples_of(separate(song, tmp_path / "band", options(model="htdemucs"), load_model=tiny_weights))
    both = samples_of(separate(song, tmp_path / "all", options(ensemble="htdemucs,voice"), load_model=tiny_weights))
    assert list(both) == ["drums", "bass", "other", "vocals", "residual"]
    for stem in ("drums", "bass", "other"):
        assert np.abs(both[stem] - band[stem]).max() < 1e-6
    assert np.abs(both["vocals"] - band["vocals"]).max() > 1e-3


@pytest.fixture
def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "songs"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        mix(folder / name, samples=4_410)
    return folder


@pytest.mark.parametrize(
    "asked",
    [
        ["-m", "drumsep5"],
        ["-m", "preview", "--chain", "drums:drumsep5"],
        ["--ensemble", "preview,scnet_xl_ihf"],
    ],
    ids=" ".join,
)
def test_a_licence_that_was_not_accepted_stops_a_batch_before_its_first_song(
    songs: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(songs.rglob("*"))
    assert main(["batch", str(songs), *asked, "--stems-only"]) == GuardRefused.exit_code
    error = capsys.readouterr().err
    assert "not clearly free to use" in error and "--accept-licence" in error
    assert error.count("\n") == 1, "said once, and not for each song"
    assert sorted(songs.rglob("*")) == before


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["-m", "preview", "--stems", "piano"], "has no stem"),
        (["-m", "preview", "--chain", "piano:drumsep5", "--accept-licence"], "no stem called 'piano'"),
        (["--ensemble", "preview,mel_kim", "--stems", "guitar"], "has no stem"),
        (["--ensemble", "mel_kim,drumsep5", "--accept-licence"], "share no stem"),
    ],
    ids=str,
)
def test_stems_that_nobody_gives_stop_a_batch_before_its_first_song(
    songs: Path, asked: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["batch", str(songs), *asked, "--stems-only"]) != 0
    assert words in capsys.readouterr().err
    assert not list(songs.rglob("*.session"))


def test_a_batch_of_chains_records_the_tree_and_puts_the_pieces_into_their_bus(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    song = mix(tmp_path)
    given = BuildOptions(model="band", chain=("drums:kit",), device="cpu", daws=("reaper", "ardour", "dawproject"))
    [outcome] = run_batch([song], given, Ledger(tmp_path / "ledger.sqlite"))
    assert outcome.error == "" and outcome.folder is not None
    manifest = read_manifest(outcome.folder)
    assert manifest is not None and manifest.separation is not None
    assert manifest.separation.null_depth_db <= DEEPEST_DB
    plans = [record.plan for record in manifest.sessions]
    for plan in plans:
        parents = {bus["name"]: bus["parent"] for bus in plan["buses"]}
        assert parents["kick"] == parents["snare"] == parents["drums-rest"] == "drums"
