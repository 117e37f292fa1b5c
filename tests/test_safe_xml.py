"""XML from outside: no document type in any encoding, no growth, one line of why; the readers of sessions use it."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge import safe_xml
from daw_bridge.errors import InputError
from daw_bridge.safe_xml import parse_xml
from daw_bridge_dawproject import container
from daw_bridge_dawproject.read import read_project

BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>'


def test_elements_attributes_and_text_are_read() -> None:
    root = parse_xml(b'<?xml version="1.0"?><a x="1"><!-- c --><b>t\xc3\xa9xt</b>tail</a>')
    assert (root.tag, root.get("x"), root.findtext("b"), root[0].tail) == ("a", "1", "téxt", "tail")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_a_document_type_is_refused_in_every_encoding(encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-le").removesuffix("-be")}"?>'
    with pytest.raises(ValueError, match=r"document type|damaged"):
        parse_xml((head + " " * 2_000 + BOMB).encode(encoding))


@pytest.mark.parametrize("text", [b"", b"<a>", b"<a></b>", b"<a/><b/>", b"\xff\xfe<", b'<a x="&nope;"/>', b"no"])
def test_what_is_damaged_is_one_line(text: bytes) -> None:
    with pytest.raises(ValueError, match="damaged") as caught:
        parse_xml(text)
    assert "\n" not in str(caught.value)


def test_depth_and_number_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="in one another"):
        parse_xml(b"<a>" * 100_000)
    monkeypatch.setattr(safe_xml, "MOST_ELEMENTS", 1_000)
    with pytest.raises(ValueError, match="more than 1000 elements"):
        parse_xml(b"<a>" + b"<b/>" * 1_000 + b"</a>")


@given(st.binary(max_size=80))
def test_any_bytes_are_xml_or_refused(data: bytes) -> None:
    for text in (data, b"<a>" + data + b"</a>"):
        try:
            parse_xml(text)
        except ValueError:
            pass


def dawproject(path: Path, project: bytes, metadata: bytes = b"<MetaData/>") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("project.xml", project)
        made.writestr("metadata.xml", metadata)
    return path


def test_a_dawproject_whose_xml_is_too_large_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dawproject(tmp_path / "x.dawproject", b"<Project>" + b" " * 100_000 + b"</Project>")
    monkeypatch.setattr(container, "LARGEST_XML_BYTES", 99_999)
    with pytest.raises(InputError, match="more than 99999 are not read"):
        read_project(path)


def test_a_container_that_lies_about_itself_is_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("project.xml", b" " * 5_000_000)
        made.writestr("metadata.xml", "<M/>")
    entry = buffer.getvalue().find(b"PK\1\2")
    for at, form, value in ((24, "<I", 1_000), (8, "<H", 1), (10, "<H", 99), (16, "<I", 7)):
        raw = bytearray(buffer.getvalue())
        struct.pack_into(form, raw, entry + at, value)
        (tmp_path / "x.dawproject").write_bytes(raw)
        with pytest.raises(InputError, match="not a DAWproject"):
            read_project(tmp_path / "x.dawproject")


@pytest.mark.parametrize(
    "change",
    [
        ('sampleRate="44100"', 'sampleRate="x"'),
        ('channels="2"', 'channels="x"'),
        ('numerator="4"', 'numerator="x"'),
        ('sampleRate="44100"', 'sampleRate="0"'),
    ],
)
def test_a_value_that_is_none_is_one_line(tmp_path: Path, change: tuple[str, str]) -> None:
    text = (
        '<Project version="1.0"><Application name="x" version="1"/><Transport><Tempo value="120"/>'
        '<TimeSignature numerator="4" denominator="4"/></Transport><Structure><Track id="\'"><Channel id="\'" '
        'destination="\'" role="regular"/></Track></Structure><Arrangement><Audio sampleRate="44100" channels="2" '
        'duration="1"><File path="audio/a.wav"/></Audio></Arrangement></Project>'
    )
    with pytest.raises(InputError) as caught:
        read_project(dawproject(tmp_path / "x.dawproject", text.replace(*change).encode()))
    assert "\n" not in str(caught.value)
