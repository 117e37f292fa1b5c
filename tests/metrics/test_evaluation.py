"""Folders of stems in, scores out: pairing by name, silence, mismatches, the command and its picture."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from daw_bridge.cli.main import main
from daw_bridge.errors import Cancelled, InputError
from daw_bridge.metrics import Evaluation, bss_eval, evaluate, find_stem_files, song_sdr_db
from daw_bridge.metrics.report import to_json, to_table
from daw_bridge.progress import CancelToken, Progress, ignore_progress
from tests.metrics.songs import RATE_HZ, make_estimates, make_sources, write_stems

NAMES = ("vocals", "drums")


def write_song(folder: Path, *, seconds: float = 4.0, silence_s: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """`ref/vocals.wav ...`, `est/Song_Vocals.wav ...`; the arrays as they are in the files."""
    references = make_sources(2, channels=1, seconds=seconds)
    references[0, :, : round(silence_s * RATE_HZ)] = 0.0
    estimates = make_estimates(references)
    write_stems(folder / "ref", dict(zip(NAMES, references, strict=True)))
    write_stems(folder / "est", {f"Song_{n.title()}": e for n, e in zip(NAMES, estimates, strict=True)})
    return references.astype(np.float32), estimates.astype(np.float32)


def evaluate_folder(folder: Path, mix: Path | None = None) -> Evaluation:
    files = find_stem_files(folder / "est", folder / "ref")
    return evaluate(
        files.estimates,
        files.references,
        on_progress=ignore_progress,
        cancel=CancelToken(),
        mix=mix or files.mix,
        extra=files.extra,
    )


def test_files_score_as_their_arrays_do(tmp_path: Path) -> None:
    references, estimates = write_song(tmp_path)
    result = evaluate_folder(tmp_path)
    expected = bss_eval(references, estimates, RATE_HZ).medians()
    for stem in result.stems:
        row = NAMES.index(stem.name)
        assert [stem.sdr_db, stem.isr_db, stem.sir_db, stem.sar_db] == pytest.approx(list(expected[row]), abs=1e-9)
        assert stem.song_sdr_db == pytest.approx(song_sdr_db(references[row], estimates[row]), abs=1e-9)


def test_windows_that_are_left_out_are_named_with_the_reason(tmp_path: Path) -> None:
    write_song(tmp_path, silence_s=2.0)
    result = evaluate_folder(tmp_path)
    assert [(w.start_s, w.silent_references) for w in result.left_out] == [(0.0, ("vocals",)), (1.0, ("vocals",))]
    assert all(stem.window_sdr_db[:2] == (None, None) for stem in result.stems)
    assert "2 of 4 windows left out" in to_table(result)
    assert "reference vocals silent: 0:00-0:02" in to_table(result)


def test_a_stem_that_is_silent_throughout_costs_the_others_nothing(tmp_path: Path) -> None:
    references, estimates = write_song(tmp_path)
    silent = np.zeros_like(references[0])
    write_stems(tmp_path / "ref", {"bass": silent})
    write_stems(tmp_path / "est", {"bass": silent + 1e-3})
    result = evaluate_folder(tmp_path)
    expected = bss_eval(references, estimates, RATE_HZ).medians()
    scores = {stem.name: stem for stem in result.stems}
    assert scores["drums"].sir_db == pytest.approx(expected[1, 2], abs=1e-9)
    assert scores["bass"].sdr_db is None and scores["bass"].song_sdr_db is None
    assert any("bass: reference silent throughout" in note for note in result.notes)
    body = json.dumps(to_json(result), allow_nan=False)
    assert "NaN" not in body


def test_one_stem_alone_has_no_interference_to_measure(tmp_path: Path) -> None:
    reference = make_sources(1, channels=1, seconds=2)[0]
    write_stems(tmp_path / "ref", {"vocals": reference})
    write_stems(tmp_path / "est", {"vocals": make_estimates(reference[None], leak=0.0)[0]})
    result = evaluate_folder(tmp_path)
    assert result.stems[0].sir_db is None and result.stems[0].sdr_db is not None
    assert any(note.startswith("SIR: needs two stems") for note in result.notes)


def test_an_exact_estimate_is_infinite_in_words(tmp_path: Path) -> None:
    references = make_sources(2, channels=1, seconds=2)
    for folder in ("ref", "est"):
        write_stems(tmp_path / folder, dict(zip(NAMES, references, strict=True)))
    result = evaluate_folder(tmp_path)
    assert all(stem.sdr_db == math.inf == stem.song_sdr_db for stem in result.stems)
    assert json.loads(json.dumps(to_json(result), allow_nan=False))["stems"][0]["sdr_db"] == "inf"


def test_the_null_counts_the_residual_and_not_only_the_stems(tmp_path: Path) -> None:
    _, estimates = write_song(tmp_path)
    mix = make_sources(1, channels=1, seconds=4.0, seed=9)[0].astype(np.float32)
    write_stems(tmp_path / "ref", {"mixture": mix})
    without = evaluate_folder(tmp_path).null
    write_stems(tmp_path / "est", {"Song_residual": mix - estimates.sum(axis=0)})
    with_residual = evaluate_folder(tmp_path).null
    assert without is not None and without.peak_db > -20
    assert with_residual is not None and with_residual.peak_db < -120


def test_a_complement_is_compared_with_the_sum_of_the_others(tmp_path: Path) -> None:
    references = make_sources(3, channels=1, seconds=2).astype(np.float32)
    write_stems(tmp_path / "ref", dict(zip(("vocals", "drums", "bass"), references, strict=True)))
    write_stems(tmp_path / "est", {"vocals": 0.9 * references[0], "no_vocals": 0.9 * (references[1] + references[2])})
    scores = {stem.name: stem for stem in evaluate_folder(tmp_path).stems}
    assert set(scores) == {"vocals", "no_vocals"}
    assert scores["no_vocals"].song_sdr_db == pytest.approx(20.0, abs=0.001)


@pytest.mark.parametrize(
    ("estimate_names", "expected"),
    [
        (("vocals", "drums"), {"vocals": "vocals", "drums": "drums"}),
        (("SONG - Vocals", "SONG - Drums"), {"vocals": "SONG - Vocals", "drums": "SONG - Drums"}),
        (("vocals", "backing_vocals", "drums"), {"vocals": "vocals", "drums": "drums"}),
        (("no_vocals", "vocals", "My.Song.drums"), {"vocals": "vocals", "drums": "My.Song.drums"}),
        (("1_song_(Vocals)", "1_song_(Drums)"), {"vocals": "1_song_(Vocals)", "drums": "1_song_(Drums)"}),
        (
            ("song_(Vocals)_htdemucs_ft", "song_(Drums)_htdemucs_ft"),
            {"vocals": "song_(Vocals)_htdemucs_ft", "drums": "song_(Drums)_htdemucs_ft"},
        ),
        (
            ("2024-abc-drums song_vocals_bs_roformer", "2024-abc-drums song_drums_bs_roformer"),
            {
                "vocals": "2024-abc-drums song_vocals_bs_roformer",
                "drums": "2024-abc-drums song_drums_bs_roformer",
            },
        ),
        (("VOX", "01 DRUMS"), {"vocals": "VOX", "drums": "01 DRUMS"}),
        (("vocals", "song_vocals.flac", "drums"), {"vocals": "vocals", "drums": "drums"}),
        (
            ("song_(Vocals)_UVR", "song_(Instrumental)_UVR"),
            {"vocals": "song_(Vocals)_UVR", "instrumental": "song_(Instrumental)_UVR"},
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_names_are_paired_in_the_spellings_of_the_field(
    tmp_path: Path, estimate_names: tuple[str, ...], expected: dict[str, str], suffix: str
) -> None:
    blip = make_sources(1, channels=1, seconds=0.1)[0]
    write_stems(tmp_path / "ref", dict.fromkeys(NAMES, blip))
    write_stems(tmp_path / "est" / "audio", dict.fromkeys(estimate_names, blip), suffix=suffix)
    (tmp_path / "est" / "audio" / f"._{estimate_names[0]}{suffix}").write_bytes(b"AppleDouble")
    files = find_stem_files(tmp_path / "est", tmp_path / "ref")
    assert {name: path.stem for name, path in files.estimates.items()} == expected
    assert any(line.startswith(f"vocals: {expected['vocals']}{suffix} against vocals") for line in files.lines())


def test_folders_that_do_not_match_are_refused_in_one_line(tmp_path: Path) -> None:
    blip = make_sources(1, channels=1, seconds=0.5)[0]
    write_stems(tmp_path / "ref", dict.fromkeys(NAMES, blip))
    write_stems(tmp_path / "est", {"vocals": blip})
    with pytest.raises(InputError, match=r"no estimate for drums; found vocals; call the files as the references"):
        find_stem_files(tmp_path / "est", tmp_path / "ref")
    with pytest.raises(InputError, match="is not a folder"):
        find_stem_files(tmp_path / "nowhere", tmp_path / "ref")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no reference stems"):
        find_stem_files(tmp_path / "est", tmp_path / "empty")
    write_stems(tmp_path / "est", {"A_drums": blip, "B_drums": blip})
    with pytest.raises(InputError, match=r"A_drums.wav and B_drums.wav both look like drums"):
        find_stem_files(tmp_path / "est", tmp_path / "ref")


@pytest.mark.parametrize(
    ("shorten", "rate_hz", "message"),
    [
        (1, RATE_HZ, "3999 samples, but .* has 4000; .*apad=whole_len=4000,atrim=end_sample=4000"),
        (0, 2 * RATE_HZ, "16000 Hz, but .* has 8000; convert it first: ffmpeg -i FILE -ar 8000"),
    ],
)
def test_lengths_and_rates_must_match(tmp_path: Path, shorten: int, rate_hz: int, message: str) -> None:
    blip = make_sources(1, channels=1, seconds=0.5)[0]
    write_stems(tmp_path / "ref", dict.fromkeys(NAMES, blip))
    write_stems(tmp_path / "est", dict.fromkeys(NAMES, blip))
    write_stems(tmp_path / "est", {"drums": blip[:, shorten:]}, rate_hz=rate_hz)
    with pytest.raises(InputError, match=message):
        evaluate_folder(tmp_path)


@pytest.mark.parametrize(("mono", "way"), [("est", r"pan=stereo\|c0=c0\|c1=c0"), ("ref", "-ac 1")])
def test_mono_beside_stereo_is_refused_with_what_makes_it_fit(tmp_path: Path, mono: str, way: str) -> None:
    blip = make_sources(1, channels=2, seconds=0.5)[0]
    for folder in ("ref", "est"):
        write_stems(tmp_path / folder, dict.fromkeys(NAMES, blip[:1] if folder == mono else blip))
    with pytest.raises(InputError, match=f"channels, but .*; convert it first: ffmpeg .*{way}"):
        evaluate_folder(tmp_path)


def test_a_reference_of_dither_alone_is_said(tmp_path: Path) -> None:
    write_song(tmp_path)
    dither = np.random.default_rng(1).standard_normal((1, 4 * RATE_HZ)) * 2.0**-16
    write_stems(tmp_path / "ref", {"bass": dither})
    write_stems(tmp_path / "est", {"bass": dither})
    assert "bass: its reference is nearly silent, so that its figures say little" in evaluate_folder(tmp_path).notes


def test_samples_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    write_song(tmp_path)
    broken = make_sources(1, channels=1, seconds=4)[0]
    broken[0, 100] = np.inf
    write_stems(tmp_path / "est", {"Song_Vocals": broken})
    with pytest.raises(InputError, match="estimate of vocals has samples that are not numbers"):
        evaluate_folder(tmp_path)


def test_progress_is_monotonic_and_cancellation_is_heard(tmp_path: Path) -> None:
    write_song(tmp_path)
    files = find_stem_files(tmp_path / "est", tmp_path / "ref")
    events: list[Progress] = []
    evaluate(files.estimates, files.references, on_progress=events.append, cancel=CancelToken())
    done = [event.done for event in events]
    assert done == sorted(done) and done[-1] == events[-1].total
    token = CancelToken()
    with pytest.raises(Cancelled):
        evaluate(files.estimates, files.references, on_progress=lambda _event: token.cancel(), cancel=token)


def test_the_command_prints_a_table_or_json_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_song(tmp_path, silence_s=1.0)
    command = ["evaluate", str(tmp_path / "est"), "--reference", str(tmp_path / "ref"), "--progress", "none"]
    assert main([*command, "--plot", str(tmp_path / "plot.png")]) == 0
    printed = capsys.readouterr().out
    assert "cSDR" in printed and "uSDR" in printed and "1 of 4 windows left out" in printed
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert main([*command, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert {stem["name"] for stem in body["stems"]} == set(NAMES)
    assert "not comparable" in body["protocols"]["song_sdr_db"]
    assert len(body["paired"]) >= len(NAMES)


def test_the_command_refuses_what_it_cannot_draw_before_it_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_song(tmp_path)
    command = ["evaluate", str(tmp_path / "est"), "--reference", str(tmp_path / "ref")]
    assert main([*command, "--plot", str(tmp_path / "plot.jpg")]) == 2
    assert main([*command, "--plot", str(tmp_path / "nowhere" / "plot.png")]) == 4
    assert "Measuring" not in capsys.readouterr().err
