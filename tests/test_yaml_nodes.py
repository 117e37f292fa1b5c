"""YAML nodes: scalars by YAML 1.2, exact places of errors, and files that try to grow."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.errors import TemplateError
from daw_bridge.templates.yaml_nodes import MAX_BYTES, MAX_DEPTH, parse_yaml, read_yaml


def value(text: str) -> object:
    """The plain value behind `v:`."""
    return parse_yaml(f"v: {text}\n", "t.yaml").at("v").plain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4:1", "4:1"),  # YAML 1.1 makes 241 of it
        ("NO", "NO"),  # YAML 1.1 makes False of it
        ("on", "on"),
        ("-.5", -0.5),  # PyYAML makes a text of it
        ("+3", 3),
        ("1e3", 1000.0),
        ("5.", 5.0),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("017", 17),
        ("190:20:30", "190:20:30"),
        ("2001-01-01", "2001-01-01"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"1"', "1"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("[1, a]", [1, "a"]),
        ("{a: 1}", {"a": 1}),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, expected: object) -> None:
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_read_as_written(number: float) -> None:
    assert parse_yaml(repr(number), "t").number() == number


@pytest.mark.parametrize(
    ("text", "reader", "message"),
    [
        ("yes", "flag", "expected true or false, found the text 'yes'"),
        ("1", "flag", "expected true or false, found 1"),
        ("'1'", "number", "expected a number, found the text '1'"),
        ("true", "number", "expected a number, found true"),
        (".inf", "number", "expected a number, found the text '.inf'"),
        ("1e999", "number", "expected a finite number, found 1e999"),
        ("9" * 400, "number", "expected a finite number"),
        ("1.5", "whole", "expected a whole number, found 1.5"),
        ("[1]", "number", "expected a number, found a list"),
        ("808", "text", "expected a text, found 808; write it in quotes if it is meant as text"),
        ("", "text", "expected a text, found nothing"),
        ("{}", "text", "expected a text, found keys with values"),
        ("5", "items", "expected keys with values, found 5"),
        ("5", "elements", "expected a list, found 5"),
        ("{a: 1}", "elements", "expected a list, found keys with values"),
    ],
)
def test_a_wrong_type_says_what_was_found_and_where(text: str, reader: str, message: str) -> None:
    node = parse_yaml(f"top:\n  v: {text}\n", "t.yaml").at("top", "v")
    with pytest.raises(TemplateError) as caught:
        getattr(node, reader)()
    assert message in str(caught.value)
    assert (caught.value.path, caught.value.line, caught.value.column) == ("t.yaml", 2, 6 if text else 5)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", (3, 1), "key 'a' is given twice, first in line 1"),
        ("a: {b: 1, 'b': 2}\n", (1, 11), "key 'b' is given twice, first in line 1"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", (3, 3), "merge keys (<<) are not understood"),
        ("a: !!python/object/apply:os.system ['x']\n", (1, 4), "tags such as"),
        ("a: !!str 5\n", (1, 4), "tags such as"),
        ("a: [1, 2\nb: 3\n", (2, 2), "not valid YAML: while parsing a flow sequence"),
        ("a: 1\n\tb: 2\n", (2, 1), "not valid YAML: while scanning for the next token"),
        ("a: 1\n---\nb: 2\n", (2, 1), "not valid YAML: expected a single document"),
        ("a: *nobody\n", (1, 4), "not valid YAML: found undefined alias"),
        ("a: 1\nb: x\x07y\n", (2, 5), "the character U+0007 is not allowed in YAML"),
        ("? [1]\n: 2\n", (1, 3), "expected a key, found a list"),
        ("~: 2\n", (1, 1), "expected a key, found nothing"),
        ("", (1, 1), "is empty"),
        ("# only a comment\n", (1, 1), "is empty"),
        ("a: &x [1, *x]\n", (1, 4), "contains an alias (*name) to itself"),
        ("a: &x {b: *x}\n", (1, 4), "contains an alias (*name) to itself"),
    ],
)
def test_bad_yaml_is_refused_at_its_place(text: str, where: tuple[int, int], message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_yaml(text, "t.yaml").plain()
    assert str(caught.value).startswith(f"t.yaml:{where[0]}:{where[1]}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aliases_stand_for_whole_values() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x\n", "t").plain() == {"a": [1, 2], "b": [1, 2]}


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(TemplateError, match=r"t\.yaml:5:5: more than 20000 values"):
        parse_yaml("\n".join(lines), "t.yaml")


def test_a_long_chain_of_aliases_is_refused_without_recursion() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 3000)]
    with pytest.raises(TemplateError, match="24 levels with its aliases"):
        parse_yaml("\n".join(lines), "t.yaml")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_deep_nesting_is_refused(opening: str, closing: str) -> None:
    parse_yaml(opening * (MAX_DEPTH - 1) + "1" + closing * (MAX_DEPTH - 1), "t")
    with pytest.raises(TemplateError, match="nested more than 24 deep"):
        parse_yaml(opening * 5000, "t")


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("a: " + "x" * MAX_BYTES)
    with pytest.raises(TemplateError, match="larger than 256 kB"):
        read_yaml(path)
    with pytest.raises(TemplateError, match="larger than 256 kB"):
        parse_yaml("x" * (MAX_BYTES + 1), "t")


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(TemplateError, match=r"latin\.yaml:2:7: not UTF-8"):
        read_yaml(path)


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes("\ufeffa: 1\r\nb: é\r\n".encode())
    assert read_yaml(path).plain() == {"a": 1, "b": "é"}


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(TemplateError, match="is a folder"):
        read_yaml(tmp_path)
    with pytest.raises(TemplateError, match="cannot be read"):
        read_yaml(tmp_path / "a\0b.yaml")


@given(st.text(max_size=60))
def test_any_text_is_yaml_or_a_template_error_with_one_line(text: str) -> None:
    try:
        parse_yaml(text, "t").plain()
    except TemplateError as exc:
        assert len(str(exc).splitlines()) == 1
