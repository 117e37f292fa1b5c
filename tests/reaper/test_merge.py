"""A plan in a copy of somebody's project: their bytes stay, our routing works there as in a project of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import rpp as independent_rpp

from daw_bridge.adapter import Feature, SessionMerger
from daw_bridge.errors import InputError, OutputError
from daw_bridge_reaper import rpp
from daw_bridge_reaper.adapter import ADAPTER, media_path
from daw_bridge_reaper.layout import lay_out
from daw_bridge_reaper.read import read_project
from tests.reaper.plans import full_plan, neutral_plan

THEIRS = """<REAPER_PROJECT 0.1 "6.80/win64" 1\r
  SAMPLERATE 48000 1 0\r
  TEMPO 140 4 4\r
  STRANGE_NEW_LINE 1 2 "x\r
  MARKER 7 1.5 mine 0 0 1 R\r
  <TRACK {A}\r
    NAME mine\r
\tGROUP_FLAGS 1 0 1\r
    ISBUS 1 1\r
    NCHAN 2\r
  >\r
  <TRACK {B}\r
    NAME "yours"\r
    ISBUS 2 -1\r
    AUXRECV 0 0 1 0 0 0 0 0 0 -1:U 0 -1 ''\r
  >\r
  <EXTENSIONS\r
    <S&M_FOO\r
    >\r
  >\r
>\r
"""


def removed(merged: str, original: str) -> list[str]:
    """The lines that were added; fails when the rest is not the original."""
    old, added = original.split("\n"), []
    for line in merged.split("\n"):
        if old and line == old[0]:
            old.pop(0)
        else:
            added.append(line)
    assert old == []
    return added


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.rpp"
    path.write_bytes(THEIRS.encode())
    return path


def test_the_project_stays_byte_for_byte(theirs: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.rpp"
    ADAPTER.merge(full_plan(tmp_path), theirs, target)
    merged = target.read_bytes().decode()
    assert theirs.read_bytes().decode() == THEIRS
    added = removed(merged, THEIRS)
    assert all(line.endswith("\r") for line in added)


def test_our_sends_are_counted_from_the_end_of_the_project(theirs: Path, tmp_path: Path) -> None:
    plan, target = full_plan(tmp_path), tmp_path / "new.rpp"
    ADAPTER.merge(plan, theirs, target)
    project = read_project(rpp.load(target))
    ours, _limits = lay_out(plan, lambda path: media_path(path, tmp_path))
    assert [track.name for track in project.tracks[:2]] == ["mine", "yours"]
    assert project.tracks[1].receives[0].source == 0
    for track, wanted in zip(project.tracks[2:], ours.tracks, strict=True):
        moved = tuple(replace(receive, source=receive.source + 2) for receive in wanted.receives)
        # Their group 1 is taken, so ours is the next one.
        assert track == replace(wanted, receives=moved, group_mask=wanted.group_mask << 1)
    assert [marker.name for marker in project.markers] == ["mine", "Start", "Chorus 'x'"]
    # (The independent parser stops at the unclosed quote of the line that we do not know.)
    root = independent_rpp.loads(target.read_text(encoding="utf-8").replace('"x\n', '"x"\n'))
    assert len(root.findall("./TRACK")) == len(project.tracks)


def test_what_stays_the_projects_is_said(theirs: Path, tmp_path: Path) -> None:
    report = ADAPTER.merge(neutral_plan(tmp_path, ("a",)), theirs, tmp_path / "new.rpp")
    assert {limit.feature for limit in report.limits} == {Feature.TEMPO, Feature.CLIPS}
    assert isinstance(ADAPTER, SessionMerger)


def test_merging_twice_gives_other_guids(theirs: Path, tmp_path: Path) -> None:
    plan = neutral_plan(tmp_path, ("a",))
    once, twice = tmp_path / "1.rpp", tmp_path / "2.rpp"
    ADAPTER.merge(plan, theirs, once)
    ADAPTER.merge(plan, once, twice)
    ids = [line.split()[1] for line in twice.read_text().split("\n") if line.strip().startswith("TRACKID")]
    assert len(ids) == len(set(ids)) == 8


def test_existing_targets_and_bad_projects_are_refused(theirs: Path, tmp_path: Path) -> None:
    plan = neutral_plan(tmp_path, ("a",))
    with pytest.raises(OutputError, match="exists already"):
        ADAPTER.merge(plan, theirs, theirs)
    damaged = tmp_path / "damaged.rpp"
    damaged.write_text("<REAPER_PROJECT 0.1\n  <TRACK\n")
    template = tmp_path / "drums.RTrackTemplate"
    template.write_text("<TRACK\n>\n<TRACK\n>\n")
    chain = tmp_path / "drums.RfxChain"
    chain.write_text('BYPASS 0 0 0\n<JS loser/3BandEQ ""\n  0\n>\n')
    cases = (
        (damaged, "damaged"),
        (template, "is a track template, not a REAPER project"),
        (chain, "is an FX chain, not a REAPER project"),
        (tmp_path / "no.rpp", "cannot read"),
    )
    for path, message in cases:
        with pytest.raises(InputError, match=message):
            ADAPTER.merge(plan, path, tmp_path / "new.rpp")
    assert not (tmp_path / "new.rpp").exists()


def test_relative_media_forbid_another_folder(tmp_path: Path) -> None:
    path = tmp_path / "theirs.rpp"
    path.write_text(
        '<REAPER_PROJECT 0.1\n  <TRACK\n    <ITEM\n      <SOURCE WAVE\n        FILE "a.wav"\n      >\n    >\n  >\n>\n'
    )
    (tmp_path / "sub").mkdir()
    plan = neutral_plan(tmp_path, ("a",))
    with pytest.raises(OutputError, match="give -o a file in that folder"):
        ADAPTER.merge(plan, path, tmp_path / "sub" / "new.rpp")
    path.write_text(path.read_text().replace("a.wav", "D:\\audio\\a.wav"))
    ADAPTER.merge(plan, path, tmp_path / "sub" / "new.rpp")


@pytest.mark.shared
def test_real_projects_survive_merging(shared_dir: Path, tmp_path: Path) -> None:
    plan = full_plan(tmp_path)
    for path in sorted((shared_dir / "rpp").glob("*.[rR][pP][pP]")):
        if path.name.startswith("7.18"):
            with pytest.raises(InputError, match="damaged"):
                ADAPTER.merge(plan, path, tmp_path / "new.rpp")
            continue
        copy, target = tmp_path / path.name, tmp_path / f"{path.name}.new.rpp"
        copy.write_bytes(path.read_bytes())
        ADAPTER.merge(plan, copy, target)
        before = read_project(rpp.load(copy))
        after = read_project(rpp.load(target))
        assert after.tracks[: len(before.tracks)] == before.tracks
        assert len(after.tracks) == len(before.tracks) + 11
        removed(
            target.read_bytes().decode("utf-8", "surrogateescape"), path.read_bytes().decode("utf-8", "surrogateescape")
        )


def test_a_master_and_solos_that_change_what_is_heard_are_said(theirs: Path, tmp_path: Path) -> None:
    text = theirs.read_text("utf-8").replace(
        "  STRANGE",
        "  MASTERMUTESOLO 0\n  MASTER_VOLUME 0.5 0 -1 -1 1\n  <MASTERFXLIST\n    "
        'BYPASS 0 0 0\n    <JS loser/3BandEQ ""\n'
        '      0 0\n    >\n    BYPASS 1 0 0\n    <JS off ""\n      0\n    >\n  >\n  STRANGE',
    )
    theirs.write_text(text.replace("NAME mine", "NAME mine\n    MUTESOLO 0 1 0"), "utf-8")
    plan = full_plan(tmp_path)
    said = " ".join(limit.what for limit in ADAPTER.merge(plan, theirs, tmp_path / "out.rpp").limits)
    assert "master is not at 0 dB" in said
    assert "master has 1 effect(s)" in said
    assert "1 track(s) of the project are soloed (mine)" in said


def test_a_plain_project_has_nothing_to_be_said_of_its_master(theirs: Path, tmp_path: Path) -> None:
    report = ADAPTER.merge(full_plan(tmp_path), theirs, tmp_path / "out.rpp")
    assert not [limit for limit in report.limits if "master" in limit.what or "soloed" in limit.what]
