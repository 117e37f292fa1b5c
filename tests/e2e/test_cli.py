"""The command line: bad input is one clear line with its exit code and leaves nothing behind; names may be wild."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.cli.main import build_parser, main

from .conftest import MakeMix

ROOT = Path(__file__).resolve().parent.parent.parent
FAST = ["-m", "preview", "-q"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and the one line on stderr."""
    try:
        code = main(list(arguments))
    except SystemExit as exc:
        code = int(exc.code or 0)
    return code, capsys.readouterr().err.strip()


def damaged(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return make


def nan_mix(folder: Path) -> Path:
    audio = np.zeros((1000, 2), dtype=np.float32)
    audio[500, 1] = np.nan
    sf.write(folder / "nan.wav", audio, 44_100, subtype="FLOAT")
    return folder / "nan.wav"


def truncated(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        rng = np.random.default_rng(1)
        sf.write(path, (0.1 * rng.standard_normal((44_100, 2))).astype(np.float32), 44_100)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return make


def six_channels(folder: Path) -> Path:
    sf.write(folder / "surround.wav", np.full((4410, 6), 0.1, dtype=np.float32), 44_100)
    return folder / "surround.wav"


def empty_audio(folder: Path) -> Path:
    sf.write(folder / "zero.wav", np.zeros((0, 2), dtype=np.float32), 44_100)
    return folder / "zero.wav"


BAD_MIXES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "nowhere.wav", "nowhere.wav"),
    "folder": (lambda folder: folder, "folder"),
    "empty file": (damaged("empty.wav", b""), "empty"),
    "text": (damaged("text.wav", b"not audio at all\n" * 50), "text.wav"),
    "truncated wav": (truncated("cut.wav"), "cut.wav"),
    "truncated flac": (truncated("cut.flac"), "cut.flac"),
    "truncated mp3": (truncated("cut.mp3"), "cut.mp3"),
    "zero length": (empty_audio, "zero.wav"),
    "nan": (nan_mix, "nan.wav"),
    "six channels": (six_channels, "--downmix"),
}


@pytest.mark.parametrize("case", BAD_MIXES)
def test_a_bad_mix_is_one_line_and_leaves_nothing(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = BAD_MIXES[case]
    folder = tmp_path / "in"
    folder.mkdir()
    mix = make(folder)
    before = sorted(folder.rglob("*"))
    code, error = run(capsys, "build", str(mix), *FAST)
    assert code == 3, error
    assert error.startswith("daw-bridge: ") and "\n" not in error and words in error
    assert str(tmp_path) in error and "original/" not in error
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-m", "htdemucs_fd"], 6, "did you mean htdemucs_ft"),
        (["-m", "htdemucs"], 6, "--model preview"),
        (["-t", "bnad", *FAST], 5, "did you mean band"),
        (["--daw", "reeper", *FAST], 9, "did you mean reaper"),
        (["--overlap", "0", *FAST], 7, "overlap"),
        (["--overlap", "0.1", *FAST], 7, "overlap"),
        (["--precision", "fp16", *FAST], 7, "fp16 is refused"),
        (["--precision", "int8", *FAST], 2, "precision"),
        (["--residual", "fold:nothing", *FAST], 2, "nothing"),
        (["--stems", "vocals,guitar", *FAST], 2, "guitar"),
        (["--format", "mp3", *FAST], 2, "mp3"),
        (["--channels", "one,two", *FAST], 2, "--channels 1,2"),
        (["--channels", "1,1", *FAST], 2, "--channels 1,1: give two different channels"),
        (["--channels", "0,1", *FAST], 2, "--channels 0,1: give two different channels"),
        (["--device", "cuda", *FAST], 8, "cuda"),
        (["--shifts", "-1", *FAST], 2, "shifts"),
        (["--two-stems", "vocals", "--residual", "none", *FAST], 2, "--stems vocals"),
        (["--daw", ",", *FAST], 2, "--daw"),
        (["--weights", "nowhere.safetensors", *FAST], 6, "nowhere.safetensors"),
        (["--weights", __file__, *FAST], 6, "not the weights"),
        (["--bogus"], 2, "--bogus"),
    ],
)
def test_a_bad_option_is_one_line_and_leaves_nothing(
    arguments: list[str], code: int, words: str, make_mix: MakeMix, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = make_mix(seconds=0.5)
    got, error = run(capsys, "build", str(mix), *arguments)
    assert got == code, error
    assert words in error
    assert not mix.with_name("mix.session").exists()


@pytest.mark.parametrize(
    "name",
    [
        "two words.wav",
        'it\'s "quoted".wav',
        "#1 hit; take `2`.wav",
        "Für 🎹 愛.wav",
        "line\nbreak.wav",
        "-dash.wav",
        "x" * 240 + ".wav",
    ],
)
def test_wild_file_names_work(name: str, make_mix: MakeMix, capsys: pytest.CaptureFixture[str]) -> None:
    mix = make_mix(name, seconds=0.3)
    assert main(["build", "-m", "preview", "--json", "--progress", "none", "--", str(mix)]) == 0
    made = json.loads(capsys.readouterr().out)
    assert Path(made["sessions"]["reaper"]).is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_name_that_is_no_text_is_read_and_printed(make_mix: MakeMix, capfd: pytest.CaptureFixture[str]) -> None:
    mix = make_mix(seconds=0.3)
    mix = mix.rename(mix.with_name("bad\udcff.wav"))
    words = ["-m", "preview", "--json", "--progress", "none", "--daw", "reaper,ardour"]
    assert main(["build", str(mix), *words]) == 0
    assert Path(json.loads(capfd.readouterr().out)["sessions"]["reaper"]).name == "bad.rpp"
    ended = subprocess.run(  # what a terminal gets: the bytes themselves
        [sys.executable, "-m", "daw_bridge", "build", mix.with_name("none\udcfe.wav"), *words],
        cwd=ROOT, check=False, capture_output=True, env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}"},
    )  # fmt: skip
    assert ended.returncode == 3, ended.stderr
    assert b"none\\xfe.wav: there is no such file" in ended.stderr and ended.stderr.count(b"\n") == 1


def test_a_name_longer_than_the_disk_takes_is_one_clear_line(
    make_mix: MakeMix, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = make_mix()
    code, error = run(capsys, "build", str(mix.with_name("y" * 300 + ".wav")), *FAST)
    assert code == 3 and "\n" not in error


def test_stems_are_never_separated_again(make_mix: MakeMix, capsys: pytest.CaptureFixture[str]) -> None:
    mix = make_mix(seconds=0.5)
    assert main(["separate", str(mix), "-m", "preview", "--json", "--progress", "none"]) == 0
    made = json.loads(capsys.readouterr().out)
    stem = made["stems"]["vocals"]
    code, error = run(capsys, "build", stem, *FAST)
    assert code == 7 and "--allow-stems" in error
    moved = mix.with_name("renamed.wav")
    moved.write_bytes(Path(stem).read_bytes())
    assert run(capsys, "build", str(moved), *FAST)[0] == 7
    assert run(capsys, "build", str(moved), *FAST, "--allow-stems")[0] == 0


def test_an_output_folder_that_is_not_ours_is_refused(
    make_mix: MakeMix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holiday = tmp_path / "holiday"
    holiday.mkdir()
    (holiday / "photo.jpg").write_bytes(b"x")
    code, error = run(capsys, "build", str(make_mix()), "-o", str(holiday), "--force", *FAST)
    assert code == 4 and "not a daw-bridge song folder" in error
    code, error = run(capsys, "build", str(make_mix()), "-o", "/proc/nowhere/song", *FAST)
    assert code == 4 and "-o" in error


def test_an_option_that_changes_nothing_with_this_model_is_said(
    make_mix: MakeMix, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["separate", str(make_mix(seconds=0.3)), "-m", "preview", "--overlap", "0.5", "--batch", "2"]
    assert main(arguments) == 0
    assert "Note:    --overlap, --batch: changes nothing with preview" in capsys.readouterr().out


def test_a_surprise_is_one_line_and_a_traceback_only_with_v(
    make_mix: MakeMix, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr("daw_bridge.workflow.build", surprise)
    code, error = run(capsys, "build", str(make_mix(seconds=0.3)), *FAST)
    assert code == 1 and "unexpected ZeroDivisionError" in error and "\n" not in error
    with pytest.raises(ZeroDivisionError):
        main(["build", "mix.wav", "-v", *FAST])


def test_ctrl_c_while_the_program_loads_is_no_traceback() -> None:
    code = (
        "import sys, daw_bridge.__main__ as m\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'daw_bridge.cli.build': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder()); sys.exit(m.run())"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert ended.returncode == 130 and ended.stderr == "daw-bridge: cancelled\n"


def test_help_and_importing_load_nothing_heavy() -> None:
    code = "import sys, daw_bridge, daw_bridge.cli.main as m; m.build_parser().format_help(); " + (
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'reapy', 'demucs', 'av')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_every_command_has_help_and_completion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    assert "daw-bridge" in capsys.readouterr().out


def test_every_command_takes_the_output_options_behind_it() -> None:
    """docs/cli.md promises it, for the commands inside commands too."""

    def leaves(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
        inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        return [leaf for action in inner for child in action.choices.values() for leaf in leaves(child)] or [parser]

    found = leaves(build_parser())
    assert len(found) > 30
    lacking = [leaf.prog for leaf in found if not {"-q", "-v", "--json"} <= set(leaf._option_string_actions)]
    assert lacking == []
