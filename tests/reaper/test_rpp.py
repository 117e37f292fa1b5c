"""The project text: what is read comes back byte for byte, what is written reads back as it was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.errors import InputError, OutputError
from daw_bridge_reaper import rpp

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@settings(deadline=None)
@given(TEXTS)
def test_a_quoted_text_stays_one_token_on_one_line(text: str) -> None:
    quoted = rpp.quote(text)
    assert "\n" not in quoted and "\r" not in quoted
    assert len(rpp.split_tokens(quoted)) == 1
    assert rpp.split_tokens(f"NAME {quoted} 1")[1:] == [rpp.split_tokens(quoted)[0], "1"]


@settings(deadline=None)
@given(TEXTS)
def test_a_quoted_text_reads_back_unless_no_quote_is_free(text: str) -> None:
    plain = rpp.printable(text)
    back = rpp.split_tokens(rpp.quote(text))[0]
    all_quotes = all(mark in plain for mark in rpp.QUOTES)
    assert back == (plain if not all_quotes or rpp.is_bare(plain) else plain.replace("`", "'"))


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("", '""'),
        ("#1 vocals", '"#1 vocals"'),
        (";x", '";x"'),
        ('say "a"', "'say \"a\"'"),
        ('it\'s "a"', '`it\'s "a"`'),
        ("a\"b'c`d", "a\"b'c`d"),
        ("a \"b'c`d", "`a \"b'c'd`"),
        ("two\nlines\tand \x7f", '"two lines and  "'),
    ],
)
def test_quoting_follows_wdl(text: str, quoted: str) -> None:
    assert rpp.quote(text) == quoted


@settings(deadline=None)
@given(st.text(st.sampled_from("<>|\"`' \t\n\r#;AB0x\u2028\x0b"), max_size=300))
def test_any_text_with_a_chunk_survives_parsing(text: str) -> None:
    try:
        document = rpp.parse(text)
    except InputError:
        return
    assert rpp.serialise(document) == text


@settings(deadline=None)
@given(st.floats(min_value=-1e6, max_value=1e6))
def test_numbers_have_no_exponent_and_14_decimals(value: float) -> None:
    text = rpp.number(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, abs=1e-14)


def test_a_comment_ends_the_tokens() -> None:
    assert rpp.split_tokens("NAME #1 vocals") == ["NAME"]


def test_new_parts_are_indented_inside_old_ones() -> None:
    document = rpp.parse("<REAPER_PROJECT 0.1\r\n  TEMPO 120 4 4\r\n>\r\n")
    document.root.body.append(rpp.Chunk.of("TRACK", body=[rpp.Line.of("NAME", "a b")]))
    expected = '<REAPER_PROJECT 0.1\r\n  TEMPO 120 4 4\r\n  <TRACK\r\n    NAME "a b"\r\n  >\r\n>\r\n'
    assert rpp.serialise(document) == expected


def test_damage_is_told_with_its_line() -> None:
    document = rpp.parse("<REAPER_PROJECT 0.1\n  <TRACK\n    NAME a\n")
    assert document.problems == ["line 1: <REAPER_PROJECT is never closed", "line 2: <TRACK is never closed"]


def test_a_chunk_nested_deeper_than_the_stack_is_read_and_written() -> None:
    text = "<A\n" * 5000
    assert rpp.serialise(rpp.parse(text)) == text


def test_a_line_longer_than_reaper_reads_is_refused() -> None:
    with pytest.raises(OutputError, match="shorten the name"):
        rpp.Line.of("NAME", "x" * 5000)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\x24\0\0\0WAVE", "a WAV or AVI file"),
        (b"fLaC\0\0\0\x22" + bytes(range(100)), "a FLAC file"),
        (b"ID3\4\0<REAPER", "an MP3 file"),
        (b"\0\0\0\x20ftypM4A ", "an MP4 or M4A file"),
        (b"PK\3\4", "a ZIP archive, as DAWproject files are"),
        (b"<?xml version='1.0'?><Session/>", "an XML file, as Ardour's sessions are"),
        (b"\x7fELF\2\1\1\0", "a binary file"),
    ],
)
def test_a_file_of_another_kind_is_named_and_its_bytes_are_not_shown(tmp_path: Path, head: bytes, kind: str) -> None:
    path = tmp_path / "song.flac"
    path.write_bytes(head + b"\n<\xec\xd9\x02 1\n>\n")
    with pytest.raises(InputError) as caught:
        rpp.load(path)
    assert str(caught.value) == f"{path}: is {kind}, not a REAPER project; choose a .rpp file that REAPER saved"


def test_an_odd_first_chunk_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / "odd.rpp"
    path.write_bytes(b"<\xec\xd9\x02 1\n>\n")
    with pytest.raises(InputError, match=r"it starts with <\\udcec\\udcd9\\x02\)"):
        rpp.load(path)


def test_what_is_no_project_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.rpp"
    path.write_bytes(b"\xff\xfe\x00hello")
    with pytest.raises(InputError, match="not a REAPER project"):
        rpp.load(path)
    with pytest.raises(InputError, match="cannot read"):
        rpp.load(tmp_path / "none.rpp")


def test_a_closing_mark_too_many_loses_nothing_of_the_project(tmp_path: Path) -> None:
    """What follows lies behind the project; it is no newer version of it."""
    path = tmp_path / "early.rpp"
    path.write_bytes(b"<REAPER_PROJECT 0.1\n  TEMPO 120 4 4\n>\n>\n  <TRACK\n    NAME a\n  >\n>\n")
    document = rpp.load(path)
    assert document.root.name == "REAPER_PROJECT" and rpp.to_bytes(document) == path.read_bytes()
    assert any("outside the project" in problem for problem in document.problems) and not document.notes
