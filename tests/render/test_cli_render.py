"""`daw-bridge render` on a song folder, as a person and as a machine use it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.cli.main import main
from daw_bridge.files import sha256_of_file
from daw_bridge.manifest import (
    Manifest,
    OriginalFile,
    ReferenceFile,
    SeparationRecord,
    SessionRecord,
    StemFile,
    write_manifest,
)
from daw_bridge.plan import make_plan
from daw_bridge.plan_json import plan_to_json
from daw_bridge.templates.store import load_template
from tests.render.sessions import noise, peak_db, stem_set

LENGTH = 44_100


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A song folder with three stems, a residual and one session made with the template `karaoke`."""
    folder = tmp_path / "song.session"
    names = ("drums", "other", "vocals", "residual")
    stems = stem_set(folder, {name: noise(LENGTH, seed=index) for index, name in enumerate(names)})
    plan = make_plan(stems, load_template("karaoke"), name="song")
    reference = ReferenceFile(
        file="audio/reference.wav", audio_sha256="", sample_rate_hz=44_100, channels=2, length_samples=LENGTH,
        channel_choice="", silent=False, integrated_lufs=None, true_peak_dbtp=None,
    )  # fmt: skip
    files = tuple(
        StemFile(name=stem.name, role=stem.role, file=f"audio/{stem.path.name}", sha256="", size_bytes=0)
        for stem in stems.stems
    )
    record = SessionRecord(
        adapter="reaper", file="song.rpp", files=("song.rpp",), sha256="", template="karaoke", template_sha256="",
        plan=plan_to_json(plan, folder),
    )  # fmt: skip
    original = OriginalFile(file="original/mix.wav", sha256="", size_bytes=0, codec="PCM", source_path="mix.wav")
    separation = SeparationRecord(
        model="preview", weights_sha256="", settings={}, versions={}, null_depth_db=-150.0, residual_rms_db=-150.0,
        elapsed_s=1.0, from_cache=False,
    )  # fmt: skip
    made = Manifest(
        name="song",
        daw_bridge="0",
        state="complete",
        request={},
        original=original,
        reference=reference,
        stems=files,
        separation=separation,
        sessions=(record,),
    )
    write_manifest(folder, made)
    return folder


def sound(path: Path) -> np.ndarray:
    return np.asarray(soundfile.read(path)[0].T)


def test_the_session_is_rendered_as_its_template_says(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = song.parent / "mix.wav"
    assert main(["render", str(song), "-o", str(target)]) == 0
    expected = sound(song / "audio" / "drums.wav") + sound(song / "audio" / "other.wav")
    assert peak_db(sound(target) - expected) < -140
    shown = capsys.readouterr().out
    assert f"Render:    {target} (0:01, " in shown
    assert "LUFS" in shown


def test_one_bus_alone(song: Path) -> None:
    target = song.parent / "vocals.wav"
    assert main(["-q", "render", str(song), "--bus", "vocals", "-o", str(target)]) == 0
    assert np.array_equal(sound(target), sound(song / "audio" / "vocals.wav"))


@pytest.mark.parametrize(("called", "name"), [("VOCALS", "vocals"), ("MIX BUS", "mix"), ("Mix", "mix")])
def test_a_bus_answers_to_its_label_and_any_case(song: Path, called: str, name: str) -> None:
    assert main(["-q", "render", str(song), "--bus", called]) == 0
    assert [path.name for path in song.glob("*.wav")] == [f"song.karaoke.{name}.wav"]


@pytest.mark.parametrize("more", [[], ["-t", "neutral"]])
def test_a_build_that_was_cut_off_is_said_to_be_unfinished(
    song: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(song, Manifest(name="song", daw_bridge="0", state="building", request={}))
    assert main(["-q", "render", str(song), *more]) == 3
    assert "was not finished; run the 'build' that made it again" in capsys.readouterr().err


def test_the_original_beside_the_render_is_as_loud(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = song.parent / "mix.wav"
    assert main(["render", str(song), "-o", str(target), "--ab", "reference", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    reference = song.parent / "mix.reference.wav"
    assert answer["reference"]["path"] == str(reference)
    assert answer["reference"]["integrated_lufs"] == pytest.approx(answer["render"]["integrated_lufs"], abs=0.01)
    assert answer["reference_gain_db"] < -2
    original = sound(song / "audio" / "reference.wav")
    assert peak_db(sound(reference) - original * 10 ** (answer["reference_gain_db"] / 20)) < -120
    assert answer["difference_db"] == pytest.approx(peak_db(sound(target) - original), abs=0.01)


@pytest.mark.parametrize("gain_db", [-0.04, 0.0, 0.04])
def test_a_reference_that_is_as_loud_is_not_turned_by_minus_nothing(
    song: Path, gain_db: float, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = song / "audio" / "reference.wav"
    audio, rate_hz = soundfile.read(mix)
    soundfile.write(mix, audio * 10 ** (-gain_db / 20), rate_hz, subtype="FLOAT")
    assert main(["render", str(song), "-t", "neutral", "--ab", "reference"]) == 0
    assert "turned by +0.0 dB" in capsys.readouterr().out


def test_another_template_needs_no_session(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = song.parent / "mix.wav"
    args = ["render", str(song / "manifest.json"), "-t", "neutral", "-o", str(target), "--ab", "reference", "--json"]
    assert main(args) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["template"] == "neutral"
    assert answer["difference_db"] is None or answer["difference_db"] < -140
    assert answer["reference_gain_db"] == pytest.approx(0, abs=1e-3)


def test_without_output_each_render_gets_a_name_of_its_own(song: Path) -> None:
    assert main(["-q", "render", str(song)]) == 0
    assert main(["-q", "render", str(song)]) == 0
    assert main(["-q", "render", str(song), "--bus", "drums"]) == 0
    assert sorted(path.name for path in song.glob("*.wav")) == [
        "song.karaoke (2).wav",
        "song.karaoke.drums.wav",
        "song.karaoke.wav",
    ]


def test_only_an_earlier_render_is_replaced_and_only_by_force(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = song.parent / "mix.wav"
    assert main(["-q", "render", str(song), "-o", str(target)]) == 0
    first = sha256_of_file(target)
    assert main(["-q", "render", str(song), "-o", str(target), "-t", "neutral"]) == 4
    assert sha256_of_file(target) == first
    assert main(["-q", "render", str(song), "-o", str(target), "-t", "neutral", "--force"]) == 0
    assert sha256_of_file(target) != first
    stem = song / "audio" / "drums.wav"
    before = sha256_of_file(stem)
    assert main(["-q", "render", str(song), "-o", str(stem), "--force"]) == 4
    assert "was not made by 'daw-bridge render'" in capsys.readouterr().err
    assert sha256_of_file(stem) == before


def test_bad_input_is_one_line_and_leaves_nothing(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = song.parent / "out.wav"
    other = song.parent / "empty"
    other.mkdir()
    cases = {
        (str(song.parent / "none"), str(target)): (3, "no such song folder"),
        (str(other), str(target)): (3, "is no song folder"),
        (str(song), str(target), "--bus", "vocal"): (2, "did you mean vocals?"),
        (str(song), str(target), "-t", "bnd"): (5, "did you mean band?"),
        (str(song), str(song.parent / "out.mp3")): (2, "ends in .wav"),
        (str(song), str(other / "no" / "out.wav")): (4, "no/out.wav"),
    }
    for (session, output, *rest), (code, message) in cases.items():
        assert main(["-q", "render", session, "-o", output, *rest]) == code
        shown = capsys.readouterr().err
        assert message in shown
        assert shown.count("\n") == 1
    (song / "audio" / "drums.wav").unlink()
    assert main(["-q", "render", str(song), "-o", str(target)]) == 3
    assert "drums.wav" in capsys.readouterr().err
    assert sorted(path.name for path in song.parent.iterdir()) == ["empty", "song.session"]
