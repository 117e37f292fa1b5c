"""Where templates are found, and that a name never reaches another folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from daw_bridge.errors import TemplateError
from daw_bridge.templates import store as template_store
from daw_bridge.templates.store import find_template, list_templates, load_template, shipped_folder

SHIPPED = ["band", "dj", "drum-kit", "karaoke", "lead-backing", "neutral", "six-stem", "vocal-focus"]


def test_the_shipped_templates_are_found_without_a_folder_of_the_user(tmp_path: Path) -> None:
    found = list_templates(tmp_path / "none")
    assert [template.name for template in found] == SHIPPED
    assert {template.origin for template in found} == {"shipped"}
    assert [load_template(name, tmp_path).name for name in SHIPPED] == SHIPPED


def test_the_wheel_s_own_copy_comes_before_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "_templates"
    packaged.mkdir()
    (packaged / "only.yaml").write_text("buses: {}\n")
    monkeypatch.setattr(template_store, "files", lambda _package: tmp_path)
    assert shipped_folder() == packaged
    assert [template.name for template in list_templates(tmp_path / "none")] == ["only"]


def test_the_user_s_template_comes_first_and_may_hide_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "band.yaml").write_text("description: mine\n")
    (tmp_path / "my song.yml").write_text("description: my own\n")
    found = list_templates(tmp_path)
    assert [(each.name, each.hides_shipped) for each in found[:2]] == [("band", True), ("my song", False)]
    assert [each.name for each in found].count("band") == 1
    assert load_template("band", tmp_path).description == "mine"
    assert load_template("my song", tmp_path).name == "my song"


def test_the_user_s_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path))
    assert template_store.user_folder() == tmp_path / "templates"
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "mine.yaml").write_text("description: mine\n")
    assert load_template("mine").description == "mine"


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "any name.yaml"
    path.write_text("description: here\n")
    assert load_template(str(path)).description == "here"
    with pytest.raises(TemplateError, match=r"none\.yaml: no such file"):
        load_template(str(tmp_path / "none.yaml"))


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(
        TemplateError, match=r"no template called 'vocal-focs' \(did you mean vocal-focus\?\); known: band"
    ):
        find_template("vocal-focs", tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", ".", "", "a/b", "x.yaml", "../x.yaml", ".hidden", "a\0b", "..\\x"]
)
def test_a_name_cannot_leave_the_folders_where_paths_are_not_allowed(name: str, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "secret.yaml").write_text("description: secret\n")
    (tmp_path / "x.yaml").write_text("description: secret\n")
    with pytest.raises(TemplateError):
        load_template(name, own, allow_path=False)


def test_a_link_out_of_the_folder_and_a_hidden_file_are_no_templates(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (tmp_path / "secret.yaml").write_text("description: secret\n")
    (own / "linked.yaml").symlink_to(tmp_path / "secret.yaml")
    (own / ".hidden.yaml").write_text("description: x\n")
    (own / "folder.yaml").mkdir()
    assert [each.name for each in list_templates(own)] == SHIPPED
