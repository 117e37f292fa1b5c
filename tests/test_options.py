"""Options mean one thing, said once: checked when they are made, read by help, command line, keys and docs alike."""

from __future__ import annotations

import ast
import json
import os
import pydoc
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.build_options import BuildOptions
from daw_bridge.cli.main import build_parser, main
from daw_bridge.cli.options import options_from
from daw_bridge.errors import UsageError
from daw_bridge.option import Influence, options_of
from daw_bridge.separation.options import Fold, SeparationOptions, loading_settings, request_settings, sample_settings
from daw_bridge.separation.run import separation_key
from tests.generated_docs import check_section
from tests.option_reference import options_table

ROOT = Path(__file__).resolve().parent.parent

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"residual": "kep"}, r"did you mean keep\?"),
    ({"residual": "fold"}, "fold:STEM"),
    ({"residual": "keep:vocals"}, "fold:STEM"),
    ({"residual": 3}, "fold:STEM"),
    ({"encoding": "flacc"}, r"did you mean flac\?"),
    ({"device": "cdua"}, r"did you mean cuda\?"),
    ({"device": None}, "use auto, cpu"),
    ({"precision": "fp23"}, r"did you mean fp32\?"),
    ({"overlap": "0.5"}, "overlap '0.5' is out of range; use a number"),
    ({"overlap": float("nan")}, "out of range"),
    ({"segment_s": float("inf")}, "segment_s inf"),
    ({"shifts": 1.5}, "a whole number"),
    ({"shifts": True}, "a whole number"),
    ({"batch_segments": 0}, "batch_segments 0"),
    ({"model": ""}, "model"),
    ({"model": None}, "model"),
    ({"two_stems": ""}, "two_stems"),
    ({"stems": "vocals"}, r"give a tuple of names, as in stems=\('vocals',\)"),
    ({"stems": (1,)}, "tuple of names"),
    ({"daws": "reaper"}, r"as in daws=\('reaper',\)"),
    ({"weights": 3}, "give a path"),
    ({"channels": "mono"}, "two different channels"),
    ({"channels": (1, 1)}, "two different channels"),
    ({"channels": (1, 2, 3)}, "two different channels"),
    ({"channels": ("a", "b")}, "two different channels"),
]


@pytest.mark.parametrize(("given", "match"), WRONG, ids=[json.dumps(str(given)) for given, _ in WRONG])
def test_a_value_that_makes_no_sense_fails_when_it_is_given(given: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        BuildOptions(**given)
    assert "--" not in str(caught.value), "a Python caller gave no flag"
    with pytest.raises(UsageError, match=match):
        replace(BuildOptions(), **given)


def test_fold_is_the_text_that_it_stands_for() -> None:
    assert Fold("snare") == "fold:snare"
    assert BuildOptions(residual=Fold("snare")) == BuildOptions(residual="fold:snare")  # type: ignore[arg-type]


def test_tf32_is_one_thing_with_two_names() -> None:
    assert SeparationOptions(precision="tf32") == SeparationOptions(allow_tf32=True)


def test_help_explains_every_option() -> None:
    text = pydoc.plain(pydoc.render_doc(BuildOptions))
    for each in options_of(BuildOptions):
        assert f"{each.name} ({each.default!r}): {each.help}" in text
    assert [each.name for each in options_of(BuildOptions)] == [each.name for each in fields(BuildOptions)]


def test_the_command_line_has_every_option_and_no_defaults_of_its_own() -> None:
    parsed = build_parser().parse_args(["build", "mix.wav"])
    assert options_from(parsed) == BuildOptions()
    for each in options_of(BuildOptions):
        if each.name != "allow_tf32":  # --precision tf32
            assert each.flags or each.switches, f"{each.name} has no flag"


def test_every_flag_sets_its_option() -> None:
    line = (
        "build mix.wav -m preview --weights w --stems vocals,drums --overlap 0.5 --segment 3 --shifts 2 "
        "--residual fold:drums --format flac --device cuda:2 --batch 4 --allow-stems --precision tf32 -t dj --daw "
        "reaper,ardour -o out --name Song --channels 3,4 --force --no-cache"
    )
    assert options_from(build_parser().parse_args(line.split())) == BuildOptions(
        model="preview",
        weights=Path("w"),
        stems=("vocals", "drums"),
        overlap=0.5,
        segment_s=3.0,
        shifts=2,
        residual="fold:drums",
        encoding="flac",
        device="cuda:2",
        batch_segments=4,
        allow_stems=True,
        precision="tf32",
        template="dj",
        daws=("reaper", "ardour"),
        output=Path("out"),
        name="Song",
        channels=(3, 4),
        force=True,
        use_cache=False,
    )
    two = build_parser().parse_args(["separate", "mix.wav", "--two-stems", "vocals", "--downmix"])
    assert options_from(two, daws=()) == BuildOptions(two_stems="vocals", channels="downmix", daws=())


def test_messages_name_options_as_the_reader_knows_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="`two_stems` and a list of stems"):
        BuildOptions(two_stems="vocals", stems=("drums",))
    assert main(["build", "x.wav", "--two-stems", "vocals", "--stems", "drums"]) == 2
    assert "--two-stems and a list of stems" in capsys.readouterr().err


def test_no_message_of_the_core_speaks_of_flags() -> None:
    """A Python caller has none; a whole command between quotes is for both."""
    found = []
    for path in sorted((ROOT / "daw_bridge").rglob("*.py")):
        if path.is_relative_to(ROOT / "daw_bridge" / "cli"):
            continue
        raised = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Raise)]
        texts = [each.value for node in raised for each in ast.walk(node) if isinstance(each, ast.Constant)]
        said = [re.sub(r"'daw-bridge [^']*", "", text) for text in texts if isinstance(text, str)]
        found += [f"{path.name}: {text}" for text in said if re.search(r"(?<![\w-])--[a-z]", text)]
    assert found == []


def test_generated_table_of_options_is_that_of_the_program() -> None:
    check_section("separation.md", "options", options_table(BuildOptions))


KEYS_OF_0_1_0 = ["4d69ace10a90e8af", "eac74edaab5635e4"]


def test_keys_and_requests_of_older_song_folders_are_still_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As written by version 0.1.0, whose stems lie in the cache by its own algorithm: nothing else sets them apart."""
    assert sample_settings(SeparationOptions()) == {
        "model": "htdemucs_ft",
        "stems": None,
        "two_stems": None,
        "overlap": 0.25,
        "segment_s": None,
        "shifts": 0,
        "allow_tf32": False,
    }
    several = SeparationOptions(stems=("vocals", "drums"), shifts=1, residual="none", encoding="flac")

    def keys() -> list[str]:
        return [separation_key("a" * 64, options, "b" * 64)[:16] for options in (SeparationOptions(), several)]

    assert not set(keys()) & set(KEYS_OF_0_1_0), "other last bits came since: nothing of the two is mixed"
    monkeypatch.setattr("daw_bridge.separation.run.ALGORITHM", "daw-bridge separation 1")
    assert keys() == KEYS_OF_0_1_0
    request = {
        "model": "preview",
        "stems": ["vocals", "drums"],
        "two_stems": None,
        "overlap": 0.25,
        "segment_s": None,
        "shifts": 0,
        "residual": "keep",
        "encoding": "float32",
        "allow_stems": False,
        "allow_tf32": False,
        "channels": [1, 2],
    }
    assert request_settings(BuildOptions(model="preview", stems=("vocals", "drums"), channels=(1, 2))) == request


def test_what_only_loading_depends_on_changes_no_key_but_reloads() -> None:
    usual = SeparationOptions()
    for changed in (replace(usual, device="cpu"), replace(usual, batch_segments=2), replace(usual, weights=Path("w"))):
        assert sample_settings(changed) == sample_settings(usual)
        assert loading_settings(changed) != loading_settings(usual)
    for same in (replace(usual, encoding="flac"), replace(usual, residual="none"), replace(usual, allow_stems=True)):
        assert loading_settings(same) == loading_settings(usual)


NEW_OPTION = '''    zeal: int = option(
        3,
        "how hard it tries",
        influences=Influence.SAMPLES,
        flags=("--zeal",),
        metavar="Z",
        parse=int,
    )

    def __post_init__(self) -> None:
        """Validate, once and here. A list'''


def test_a_new_separation_option_is_one_place(tmp_path: Path) -> None:
    """One field, added in a copy of the package: command line, help, keys, keeper and request know it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "daw_bridge", tmp_path / "daw_bridge", ignore=ignored)
    source = tmp_path / "daw_bridge" / "separation" / "options.py"
    before = source.read_text()
    marker = '    def __post_init__(self) -> None:\n        """Validate, once and here. A list'
    assert before.count(marker) == 1
    source.write_text(before.replace(marker, NEW_OPTION))
    code = (
        "import pydoc\n"
        "from daw_bridge.build_options import BuildOptions\n"
        "from daw_bridge.cli.main import build_parser\n"
        "from daw_bridge.cli.options import options_from\n"
        "from tests.option_reference import options_table\n"
        "from daw_bridge.separation.options import *\n"
        "from daw_bridge.separation.run import separation_key\n"
        "options = options_from(build_parser().parse_args(['build', 'mix.wav', '--zeal', '5']))\n"
        "assert options.zeal == 5\n"
        "assert 'zeal (3): how hard it tries' in pydoc.plain(pydoc.render_doc(BuildOptions))\n"
        "assert '| `--zeal Z` | how hard it tries |' in options_table(BuildOptions)\n"
        "for settings in (sample_settings, file_settings, loading_settings, request_settings):\n"
        "    assert settings(options)['zeal'] == 5, settings\n"
        "    assert 'zeal' not in settings(BuildOptions()), settings\n"
        "print(separation_key('a', options, 'b'), separation_key('a', BuildOptions(), 'b'))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    with_zeal, without = run.stdout.split()
    assert with_zeal != without == separation_key("a", BuildOptions(), "b"), "an old key stays what it was"


def test_influences_are_all_used() -> None:
    assert {each.influences for each in options_of(BuildOptions)} == set(Influence)
