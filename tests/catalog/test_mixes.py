"""What a plan takes and what it leaves out: never without a word, and never the rest for the sake of one odd name."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.catalog.mixes import LeftOut, mixes_in, mixes_singly
from daw_bridge.catalog.plan import make_plan, require_plan, songs_in
from daw_bridge.catalog.recipe import Recipe
from daw_bridge.catalog.store import Store
from daw_bridge.cli.main import main
from daw_bridge.errors import InputError

RECIPE = Recipe(options={}, weights_sha256="")
PLAIN = ("one.wav", "pct%2F.flac", "sub/it's.mp3", "sub/🎛 two.wav")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Four mixes and what is none."""
    folder = tmp_path / "music"
    for name in (*PLAIN, "notes.txt", ".hidden.wav", "old.session/stem.wav"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never read")
    (folder / "sub" / "empty.wav").touch()
    return folder


def planned_mixes(music: Path, out: Path) -> tuple[list[str], int, tuple[str, ...]]:
    made = make_plan(Store(music), Store(out), RECIPE)
    assert require_plan(Store(out)) == made
    return sorted(each.mix for each in songs_in(Store(out), made, 0)), made.left_out, made.left_out_first


def test_a_mix_without_bytes_is_left_out_by_name(music: Path, tmp_path: Path) -> None:
    mixes, left_out, first = planned_mixes(music, music / "out")
    assert mixes == sorted(PLAIN)
    assert (left_out, first) == (1, ("sub/empty.wav: has no bytes",))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_no_store_can_address_cost_only_themselves(music: Path) -> None:
    for odd in (b"new\nline.wav", b"latin \xe9.wav", b"bell\x07.txt"):
        Path(os.fsdecode(os.fsencode(music) + b"/" + odd)).write_bytes(b"x")
    (music / "tab\t").mkdir()
    (music / "sub" / "up").symlink_to("..")  # a circle
    mixes, left_out, first = planned_mixes(music, music / "out")
    assert mixes == sorted(PLAIN)
    assert left_out == 4
    assert sorted(line.partition(": ")[0] for line in first) == [
        "latin \\xe9.wav",
        "new\\x0aline.wav",
        "sub/empty.wav",
        "tab\\x09/",
    ]


def test_both_ways_of_listing_find_the_same(music: Path, tmp_path: Path) -> None:
    """Sizes and etags too, on which the keys of songs hang."""
    for listing in (mixes_in, mixes_singly):
        left_out = LeftOut()
        found = {(each.key, each.size_bytes, each.etag) for each in listing(Store(music), Store(tmp_path), left_out)}
        assert {key for key, _, _ in found} == set(PLAIN)
        assert left_out.count == 1
        assert found == {
            (each.key, each.size_bytes, each.etag) for each in mixes_in(Store(music), Store(tmp_path), LeftOut())
        }


def test_nothing_but_empty_files_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=r"holds no audio \(a\.wav: has no bytes\)"):
        make_plan(Store(tmp_path), Store(tmp_path / "out"), RECIPE)


def test_the_command_names_the_first_and_counts_all(music: Path, tmp_path: Path, capsys: Any) -> None:
    for number in range(30):
        (music / f"empty{number:02d}.wav").touch()
    words = ["catalog", "plan", str(music), str(tmp_path / "out"), "-m", "preview"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "31 left out:" in said
    assert said.count(": has no bytes") == 20
    assert "and 11 more" in said
    assert main([*words, "--json"]) == 0  # the plan that is there tells it again
    found = json.loads(capsys.readouterr().out)
    assert (found["songs"], found["left_out"], len(found["left_out_first"])) == (4, 31, 20)
