"""A finished song is a type of its own; a manifest is read with the types of its fields."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from daw_bridge import BuildOptions, InputError, ModelKeeper, open_song, rebuild, render, separate
from daw_bridge.manifest import read_manifest
from daw_bridge.separation.families.family import Loaded, Note
from daw_bridge.separation.families.loader import load
from daw_bridge.separation.options import SeparationOptions


@pytest.fixture(scope="module")
def song_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("song")
    noise = np.random.default_rng(0).normal(size=(9_000, 2)) * 0.1
    soundfile.write(folder / "mix.wav", noise, 44_100, subtype="FLOAT")
    options = BuildOptions(model="preview", use_cache=False, output=folder / "song")
    return separate(folder / "mix.wav", options, source="s3://bucket/mix.wav").folder


def test_a_finished_song_has_everything(song_folder: Path) -> None:
    song = open_song(song_folder)
    assert song.separation.null_depth_db <= -120.0
    assert song.reference.length_samples == 9_000
    assert [stem.name for stem in song.stem_set().stems] == [stem.name for stem in song.stems]
    assert song.original is not None
    assert song.original.source_path == "s3://bucket/mix.wav", "the label, not the place of a scratch copy"


OPENERS: list[Callable[[Path], object]] = [open_song, rebuild, render]


@pytest.mark.parametrize("opened", OPENERS, ids=["open_song", "rebuild", "render"])
def test_what_is_no_finished_song_is_said_in_the_same_words(
    opened: Callable[[Path], object], song_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="there is no such song folder"):
        opened(tmp_path / "none")
    (tmp_path / "photos").mkdir()
    with pytest.raises(InputError, match="is no song folder"):
        opened(tmp_path / "photos")
    body = json.loads((song_folder / "manifest.json").read_text("utf-8"))
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "manifest.json").write_text(json.dumps({**body, "state": "building"}))
    with pytest.raises(InputError, match="was not finished"):
        opened(cut)
    (cut / "manifest.json").write_text(json.dumps({**body, "separation": None}))
    with pytest.raises(InputError, match="is damaged"):
        opened(cut)


def changed(body: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """The manifest with one value replaced; `place` is a path with dots."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    inner: Any = copy
    *path, last = place.split(".")
    for key in path:
        inner = inner[int(key) if key.isdigit() else key]
    inner[last] = value
    return copy


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        ("reference.channels", "2", r"is damaged at reference\.channels \(expected a whole number"),
        ("reference.length_samples", 1.5, r"reference\.length_samples"),
        ("reference.holes", [[1]], r"reference\.holes\[0\]"),
        ("stems.0.role", "singer", r"stems\[0\]\.role \(unknown value"),
        ("stems.0.file", None, r"stems\[0\]\.file"),
        ("separation.null_depth_db", "deep", r"separation\.null_depth_db"),
        ("separation.versions", {"torch": 2}, r"separation\.versions\.torch"),
        ("separation.notes", "one", r"separation\.notes \(expected a list"),
        ("state", "done", r"state \(unknown value"),
        ("sessions", {}, r"sessions \(expected a list"),
        ("original", [], r"original \(expected an object"),
        ("request", None, r"request \(expected an object"),
    ],
)
def test_a_manifest_with_a_wrong_type_is_damaged_at_that_place(
    song_folder: Path, tmp_path: Path, place: str, value: object, match: str
) -> None:
    body = json.loads((song_folder / "manifest.json").read_text("utf-8"))
    (tmp_path / "manifest.json").write_text(json.dumps(changed(body, place, value)))
    with pytest.raises(InputError, match=match):
        read_manifest(tmp_path)


def test_manifests_of_older_and_newer_versions_are_read(song_folder: Path, tmp_path: Path) -> None:
    """What 0.1.0 did not write has its default; what a later version adds is passed over."""
    body = json.loads((song_folder / "manifest.json").read_text("utf-8"))
    for name in ("licence", "licence_class", "licence_source"):
        del body["separation"][name]
    for name in ("claimed_samples", "behind_samples", "holes", "sha256"):
        del body["reference"][name]
    body["mood"] = "blue"
    body["stems"][0]["colour"] = 3
    (tmp_path / "manifest.json").write_text(json.dumps(body))
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest.separation is not None
    assert manifest.separation.licence_class == ""
    assert [stem.name for stem in manifest.stems] == [stem["name"] for stem in body["stems"]]


def test_one_model_serves_several_songs(song_folder: Path, tmp_path: Path) -> None:
    loads: list[str] = []

    class Counting(ModelKeeper):
        def __call__(self, options: SeparationOptions, note: Note) -> Loaded:
            loads.append(options.model)
            return super().__call__(options, note)

    keeper = Counting()
    options = BuildOptions(model="preview", use_cache=False)
    mix = song_folder.parent / "mix.wav"
    made = [separate(mix, replace(options, output=tmp_path / name), load_model=keeper).song for name in ("a", "b")]
    assert loads == ["preview", "preview"]
    assert keeper(options, print).separator is keeper(options, print).separator
    assert [stem.sha256 for stem in made[0].stems] == [stem.sha256 for stem in made[1].stems]
    assert load(options, print).separator is not keeper(options, print).separator
