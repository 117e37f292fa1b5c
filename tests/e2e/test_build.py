"""From a mix to a session folder: it nulls, it is sample-exact, it repeats, it loses nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.adapter import WriteReport
from daw_bridge.errors import InputError
from daw_bridge.manifest import read_manifest, write_manifest
from daw_bridge.registry import load_adapter
from daw_bridge.workflow import build, rebuild, separate
from daw_bridge_reaper import rpp
from daw_bridge_reaper.read import read_project

from .conftest import MakeMix
from .results import FAST, null_depth_db, read


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(44_100, 2), (48_000, 2), (96_000, 1), (22_050, 2), (8_000, 1), (192_000, 2)]
)
def test_stems_null_and_keep_rate_channels_and_length(make_mix: MakeMix, rate_hz: int, channels: int) -> None:
    mix = make_mix(rate_hz=rate_hz, channels=channels, seconds=1.237)
    result = build(mix, FAST)
    for stem in result.manifest.stems:
        info = sf.info(result.folder / stem.file)
        assert (info.samplerate, info.channels, info.frames) == (rate_hz, channels, sf.info(mix).frames)
    assert null_depth_db(result.folder) <= -120.0


@pytest.mark.parametrize(("rate_hz", "samples"), [(44_056, 4_000), (44_100, 1), (11_025, 7)])
def test_odd_rates_and_a_single_sample_arrive_in_every_session(make_mix: MakeMix, rate_hz: int, samples: int) -> None:
    mix = make_mix()
    sf.write(mix, 0.3 * np.random.default_rng(3).standard_normal((samples, 2)), rate_hz, subtype="FLOAT")
    result = build(mix, replace(FAST, daws=("reaper", "ardour", "dawproject", "render")))
    assert null_depth_db(result.folder) <= -120.0
    opened = {report.adapter: report.session_path for report in result.reports}
    text = opened["reaper"].read_text("utf-8")
    assert re.search(rf"SAMPLERATE {rate_hz} ", text)
    lengths = {round(float(length) * rate_hz, 3) for length in re.findall(r"^\s+LENGTH (\S+)", text, re.MULTILINE)}
    assert lengths == {samples}
    with zipfile.ZipFile(opened["dawproject"]) as container:
        root = ET.fromstring(container.read("project.xml"))  # noqa: S314
    audio = {
        (node.get("sampleRate"), round(float(node.get("duration", "0")) * rate_hz, 3)) for node in root.iter("Audio")
    }
    assert audio == {(str(rate_hz), samples)}
    assert re.search(r'sample-rate="\d+"', next(opened["ardour"].glob("*.ardour")).read_text("utf-8"))
    assert np.abs(read(opened["render"]) - read(mix)).max() <= 1e-6


def test_the_neutral_session_sums_to_the_reference(make_mix: MakeMix) -> None:
    result = build(make_mix(), FAST)
    project = result.reports[0].session_path
    tracks = read_project(rpp.parse(project.read_text("utf-8"))).tracks
    heard = [track for track in tracks if not track.mute]
    assert all(track.gain_linear == 1.0 and track.pan == 0.0 and not track.fx for track in heard)
    items = [item for track in heard for item in track.items]
    assert all(item.position_s == 0.0 for item in items)
    total = sum(read(project.parent / item.path) for item in items)
    assert result.manifest.reference is not None
    assert np.abs(total - read(result.folder / result.manifest.reference.file)).max() <= 1e-6


def test_the_original_is_kept_bit_exact_and_the_folder_tells_how_it_was_made(make_mix: MakeMix) -> None:
    mix = make_mix("My Song.flac")
    result = build(mix, replace(FAST, template="band"))
    assert result.folder == mix.with_name("My Song.session")
    manifest = json.loads((result.folder / "manifest.json").read_text("utf-8"))
    original = result.folder / manifest["original"]["file"]
    assert original.read_bytes() == mix.read_bytes()
    assert manifest["original"]["sha256"] == hashlib.sha256(mix.read_bytes()).hexdigest()
    assert manifest["separation"]["model"] == "preview"
    assert manifest["separation"]["licence_class"] == "clear"
    assert manifest["sessions"][0]["template"] == "band"
    for stem in manifest["stems"]:
        assert hashlib.sha256((result.folder / stem["file"]).read_bytes()).hexdigest() == stem["sha256"]
    assert not list(result.folder.rglob("*.part")) and not list(result.folder.rglob(".work*"))


def test_the_same_mix_gives_the_same_bytes(make_mix: MakeMix, tmp_path: Path) -> None:
    mix = make_mix()
    folders = [build(mix, replace(FAST, output=tmp_path / name, use_cache=False)).folder for name in ("a", "b")]
    files = sorted(path.relative_to(folders[0]) for path in (folders[0] / "audio").iterdir())
    for file in [*files, Path("mix.rpp")]:
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes(), file


def test_another_template_runs_no_model_and_keeps_a_session_that_the_user_changed(make_mix: MakeMix) -> None:
    first = build(make_mix(), FAST)
    project = first.reports[0].session_path
    second = rebuild(first.folder, template="band")
    assert second.reports[0].session_path == project  # unchanged since we wrote it: replaced
    project.write_text(project.read_text("utf-8").replace("\n  TEMPO", "\n  TEMPO", 1) + "\n", "utf-8")
    mine = project.read_bytes()
    third = rebuild(first.folder, template="karaoke")
    assert third.reports[0].session_path.name == "mix (2).rpp"
    assert project.read_bytes() == mine
    assert third.manifest.stems == first.manifest.stems


def test_the_cache_gives_the_same_stems_without_a_model(make_mix: MakeMix, tmp_path: Path) -> None:
    mix = make_mix()
    first = build(mix, FAST)
    second = build(mix, replace(FAST, output=tmp_path / "again", template="dj"))
    assert second.manifest.separation is not None and second.manifest.separation.from_cache
    assert [stem.sha256 for stem in second.manifest.stems] == [stem.sha256 for stem in first.manifest.stems]
    assert null_depth_db(second.folder) <= -120.0


def test_separate_makes_no_session_and_rebuild_adds_one(make_mix: MakeMix) -> None:
    result = separate(make_mix(), FAST)
    assert not result.reports and not list(result.folder.glob("*.rpp"))
    assert rebuild(result.folder, template="band").reports[0].session_path.is_file()


@pytest.mark.parametrize("seconds", [3.0, 0.05])
def test_short_mixes_work(make_mix: MakeMix, seconds: float) -> None:
    result = build(make_mix(seconds=seconds), FAST)
    assert null_depth_db(result.folder) <= -120.0


def test_a_silent_mix_works_and_says_so(make_mix: MakeMix) -> None:
    result = build(make_mix(gain_linear=0.0), FAST)
    assert result.manifest.reference is not None and result.manifest.reference.silent
    assert result.manifest.separation is not None
    assert any("silent" in note for note in result.manifest.separation.notes)


def test_a_rebuild_needs_the_stems_as_long_as_they_were(make_mix: MakeMix) -> None:
    made = build(make_mix(seconds=2.0), FAST)
    stem = made.folder / made.manifest.stems[0].file
    stem.chmod(0o644)
    sf.write(stem, np.zeros((441, 2), np.float32), 44_100, subtype="FLOAT")
    with pytest.raises(InputError, match=r"has 441 samples.*`force`"):
        rebuild(made.folder, template="band")


def test_an_ardour_session_that_nobody_touched_is_replaced_and_a_used_one_stays(make_mix: MakeMix) -> None:
    made = build(make_mix(seconds=0.5), replace(FAST, daws=("ardour",)))
    for template in ("dj", "neutral"):
        again = rebuild(made.folder, template=template)
        assert [path.name for path in made.folder.glob("*-ardour")] == ["mix-ardour"]
    assert len(again.manifest.sessions) == 1
    (made.folder / "mix-ardour" / "export" / "mixdown.wav").write_bytes(b"the user's")
    rebuild(made.folder, template="dj")
    assert sorted(path.name for path in made.folder.glob("*-ardour")) == ["mix (2)-ardour", "mix-ardour"]
    assert (made.folder / "mix-ardour" / "export" / "mixdown.wav").read_bytes() == b"the user's"


def test_a_daw_that_refuses_costs_no_stems(make_mix: MakeMix, monkeypatch: pytest.MonkeyPatch) -> None:
    """REAPER's session, written before, is kept in the manifest."""
    mix = make_mix(seconds=0.5)

    def refuse(*_args: object) -> WriteReport:
        raise InputError("Ardour cannot play this")

    with monkeypatch.context() as patched, pytest.raises(InputError, match=r"Ardour.*are kept, 'daw-bridge rebuild"):
        patched.setattr(type(load_adapter("ardour")), "write", refuse)
        build(mix, replace(FAST, daws=("reaper", "ardour", "dawproject")))
    manifest = read_manifest(mix.with_name("mix.session"))
    assert manifest is not None and manifest.state == "complete"
    assert [record.adapter for record in manifest.sessions] == ["reaper"]
    rebuild(mix.with_name("mix.session"), daws=("reaper",))
    assert [path.name for path in mix.with_name("mix.session").glob("*.rpp")] == ["mix.rpp"]


def test_an_edited_stem_never_reaches_another_song_folder(make_mix: MakeMix, tmp_path: Path) -> None:
    mix = make_mix(seconds=1.0)
    first = build(mix, replace(FAST, output=tmp_path / "one"))
    stem = first.folder / first.manifest.stems[0].file
    stem.chmod(0o644)
    audio, rate_hz = sf.read(stem, dtype="float32")
    sf.write(stem, audio * 0, rate_hz, subtype="FLOAT")
    os.utime(stem, ns=(0, 0))  # another time, however quick this was
    second = build(mix, replace(FAST, output=tmp_path / "two"))
    assert null_depth_db(second.folder) <= -120.0
    third = build(mix, replace(FAST, output=tmp_path / "three"))
    assert third.manifest.separation is not None and third.manifest.separation.from_cache
    assert (third.folder / "audio" / stem.name).stat().st_ino != (second.folder / "audio" / stem.name).stat().st_ino


def test_the_null_of_cached_stems_is_measured_on_these_very_files(make_mix: MakeMix, tmp_path: Path) -> None:
    """A cached file changed with size and time kept: it is separated again. Its record changed, too: it is measured."""
    mix = make_mix(seconds=0.5)
    first = build(mix, replace(FAST, output=tmp_path / "one"))
    stem = first.folder / first.manifest.stems[0].file
    kept = stem.stat()
    data = bytearray(stem.read_bytes())
    data[-4000:] = bytes(4000)
    stem.chmod(0o644)
    with stem.open("r+b") as handle:
        handle.write(data)
    os.utime(stem, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    second = build(mix, replace(FAST, output=tmp_path / "two"))
    assert second.manifest.separation is not None and not second.manifest.separation.from_cache
    assert second.manifest.stems == tuple(
        replace(new, sha256=old.sha256) for new, old in zip(second.manifest.stems, first.manifest.stems, strict=True)
    )
    (entry,) = (tmp_path / "cache" / "stems").glob("*/entry.json")
    told = json.loads(entry.read_text("utf-8"))
    told["record"]["separation"]["null_depth_db"] = -150.0
    drums = entry.with_name("drums.wav")
    drums.unlink()
    drums.write_bytes(bytes(data))
    found = drums.stat()
    told["files"]["drums.wav"] = [found.st_size, found.st_mtime_ns, hashlib.sha256(bytes(data)).hexdigest()]
    entry.write_text(json.dumps(told), "utf-8")
    third = build(mix, replace(FAST, output=tmp_path / "three"))
    assert third.manifest.separation is not None and third.manifest.separation.null_depth_db <= -120.0
    assert null_depth_db(third.folder) <= -120.0


@pytest.mark.parametrize(
    "file", ["audio", "original", "manifest.json", "audio/mix_vocals.wav", ".replacement", "mix.txt"]
)
def test_a_strangers_session_record_deletes_no_stems(make_mix: MakeMix, file: str) -> None:
    made = build(make_mix(seconds=0.3), FAST)
    (made.folder / "mix.txt").write_text("the user's notes")
    (made.folder / "mix.rpp").unlink()
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    target = made.folder / file
    inside = sorted(path for path in target.rglob("*") if path.is_file()) if target.is_dir() else [target]
    record = replace(
        made.manifest.sessions[0],
        file=file,
        files=tuple(path.relative_to(made.folder).as_posix() for path in inside),
        sha256=hashlib.sha256(inside[0].read_bytes()).hexdigest() if inside and inside[0].is_file() else "0",
    )
    write_manifest(made.folder, replace(made.manifest, sessions=(record,)))
    if file == "mix.txt":
        rebuild(made.folder, template="band", daws=("reaper",))
    else:
        with pytest.raises(InputError, match="which it cannot be"):
            rebuild(made.folder, template="band", daws=("reaper",))
    del before[made.folder / "manifest.json"]
    assert {path: path.read_bytes() for path in before} == before
