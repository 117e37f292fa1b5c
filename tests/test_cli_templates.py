"""`daw-bridge templates`: what a person and a machine get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from daw_bridge.cli.main import main


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration folder."""
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path))
    folder = tmp_path / "templates"
    folder.mkdir(parents=True)
    return folder


def test_list_shows_every_template_and_survives_a_broken_one(
    own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_folder / "broken.yaml").write_text("busses: {}\n")
    assert main(["templates", "list"]) == 0
    shown = capsys.readouterr()
    assert "vocal-focus" in shown.out
    assert "broken.yaml:1:1: unknown key 'busses'" in shown.out
    assert str(own_folder) in shown.err
    assert main(["--json", "templates", "list"]) == 0
    rows = json.loads(capsys.readouterr().out)["templates"]
    names = "broken band dj drum-kit karaoke lead-backing neutral six-stem vocal-focus"
    assert [row["name"] for row in rows] == names.split()
    assert "error" in rows[0]
    assert rows[1]["description"]


def test_show_prints_the_file_as_it_is(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "# mine\ndescription: 4:1\n"
    (own_folder / "mine.yaml").write_text(text)
    assert main(["templates", "show", "mine"]) == 0
    assert capsys.readouterr().out == text
    assert main(["templates", "show", "mine", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["text"], shown["content"]) == ("mine", text, {"description": "4:1"})


def test_check_says_what_is_wrong_in_each_file(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = own_folder / "bad.yaml"
    bad.write_text("buses:\n  drums: {gian_db: 1}\n")
    assert main(["templates", "check", str(bad), "band"]) == 5
    shown = capsys.readouterr()
    assert f"{bad}:2:11: unknown key 'gian_db' in bus (did you mean gain_db?)" in shown.err
    assert "band: right (4 buses, 2 returns, 13 effects)" in shown.out
    assert main(["templates", "check", "--json", str(bad), "band"]) == 5
    results = json.loads(capsys.readouterr().out)["results"]
    assert [(row["ok"], row.get("line"), row.get("column")) for row in results] == [(False, 2, 11), (True, None, None)]
    assert [row.get("notes") for row in results] == [None, []]
    assert main(["-q", "templates", "check", "band"]) == 0
    assert capsys.readouterr().out == ""


def test_an_unknown_template_is_exit_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["templates", "show", "bnd"]) == 5
    assert "no template called 'bnd' (did you mean band?)" in capsys.readouterr().err


def test_schema_prints_a_valid_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["templates", "schema"]) == 0
    Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


def test_check_lists_all_that_is_wrong_in_a_file(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = own_folder / "bad.yaml"
    bad.write_text(
        "tempo_bpm: 5\nbusses: 1\nbuses:\n  drums:\n    gain_db: loud\n    effects:\n      - compresser: {}\n"
        "      - gate: {threshold_db: 99}\n  bass: {pan: 3}\n"
    )
    assert main(["templates", "check", str(bad)]) == 5
    lines = capsys.readouterr().err.splitlines()
    assert [line.removeprefix(f"daw-bridge: {bad}:").partition(" ")[0] for line in lines] == [
        "1:12:", "2:1:", "5:14:", "7:9:", "8:30:", "9:15:",
    ]  # fmt: skip
    bad.write_text("buses:\n  drums: {sends: [{to: hall}]}\n  mix: {}\n  Drums: {}\n")
    assert main(["templates", "check", str(bad)]) == 5
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(set(lines)) > 1 and "hall" in "".join(lines) and "kept for the session" in lines[0]


def test_check_warns_of_strips_that_look_the_same(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_folder / "twins.yaml").write_text("buses:\n  lead: {label: Voice}\n  choir: {label: VOICE}\n  mix_bus: {}\n")
    assert main(["templates", "check", "twins"]) == 0
    shown = capsys.readouterr().out
    assert "'lead' and 'choir' have the same label" in shown
    assert "'mix_bus' and 'mix' have the same label" in shown
