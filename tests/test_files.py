"""Files come into being whole or not at all; names and paths stay where they belong."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.errors import InputError, OutputError
from daw_bridge.files import atomic_path, confined, link_or_copy, output_errors, safe_name, write_atomic
from daw_bridge.paths import user_cache_dir, user_config_dir

DEVICES = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    "CONIN$",
    "CONOUT$",
    *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10)),
}


def test_a_failing_writer_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    target = tmp_path / "session.rpp"
    write_atomic(target, "old")
    with pytest.raises(RuntimeError, match="killed"), atomic_path(target) as part:
        part.write_text("half")
        raise RuntimeError("killed")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_name_that_is_no_text_survives_json(tmp_path: Path) -> None:
    write_atomic(tmp_path / "made.json", json.dumps({"of": "bad\udcff é.wav"}, ensure_ascii=False))
    assert json.loads((tmp_path / "made.json").read_bytes()) == {"of": "bad\udcff é.wav"}


def test_replacing_a_file_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "notes.txt"
    write_atomic(target, "one")
    target.chmod(0o640)
    write_atomic(target, "two")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_text() == "two"


def test_a_new_file_is_readable_like_any_other(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_atomic(tmp_path / "new.txt", "x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new.txt").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("number", "words"), [(28, "the disk is full"), (30, "not allowed to write"), (13, "not allowed"), (36, "too long")]
)
def test_system_errors_say_what_to_do(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(OutputError, match=words) as caught, output_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert "-o" in str(caught.value)


@given(st.text(max_size=400))
def test_a_safe_name_is_one_component_that_every_system_takes(text: str) -> None:
    name = safe_name(text)
    assert name and Path(name).name == name
    assert len(name) <= 80 and len(name.encode()) <= 200
    assert not set(name) & set('/\\:*?"<>|\n\r\t\0')
    assert name.partition(".")[0].strip().upper() not in DEVICES
    assert name == name.strip(" .")
    assert safe_name(name) == name


def test_letters_of_any_script_and_emoji_stay() -> None:
    assert safe_name("Für Elise 🎹 (rémix)") == "Für Elise 🎹 (rémix)"


@pytest.mark.parametrize("name", ["Don't Stop", "100%", "a&b", "a`b", "#1; $5 + {x} [y] = ~z^ @!,", ";", "Mr. & Mrs."])
def test_every_mark_that_all_systems_take_stays(name: str) -> None:
    assert safe_name(name) == name.rstrip(".")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('it\'s "q"', "it's q"),
        ("AC/DC: live?", "AC DC live"),
        ("a<b>|c*\\d", "a b c d"),
        ("etc...", "etc"),
        ("bad\udcff name", "bad name"),
        ("con", "con_"),
        ("Aux.mix", "Aux_.mix"),
        ("COM1", "COM1_"),
        ("conga", "conga"),
        ("...", "song"),
    ],
)
def test_only_what_some_system_refuses_is_changed(text: str, name: str) -> None:
    assert safe_name(text) == name


@pytest.mark.parametrize("escape", ["../outside.wav", "/etc/passwd", "audio/../../outside.wav", "link/outside.wav"])
def test_paths_never_leave_their_folder(tmp_path: Path, escape: str) -> None:
    folder = tmp_path / "song"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out of"):
        confined(folder, escape)
    assert confined(folder, "audio/vocals.wav") == folder.resolve() / "audio" / "vocals.wav"


def test_a_linked_file_has_the_same_bytes(tmp_path: Path) -> None:
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    source.write_bytes(b"abc")
    target.write_bytes(b"old")
    link_or_copy(source, target)
    assert target.read_bytes() == b"abc"


@pytest.mark.skipif(sys.platform != "linux", reason="the places of the XDG specification")
def test_our_own_folders_are_where_the_system_wants_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DAW_BRIDGE_CACHE", "DAW_BRIDGE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "f"))
    assert user_cache_dir() == tmp_path / "c" / "daw-bridge"
    assert user_config_dir() == tmp_path / "f" / "daw-bridge"
    monkeypatch.setenv("DAW_BRIDGE_CACHE", "~/elsewhere")
    assert user_cache_dir() == Path.home() / "elsewhere"
