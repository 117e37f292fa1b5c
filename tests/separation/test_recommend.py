"""Advice by task, licence class and machine, in the words that people ask with."""

from __future__ import annotations

import pytest

from daw_bridge.cli.main import main
from daw_bridge.errors import UsageError
from daw_bridge.separation.model_info import FOUR, SIX, Licence
from daw_bridge.separation.recommend import AskedTask, recommend


@pytest.mark.parametrize(
    ("task", "first", "gives"),
    [
        ("4-stem", "htdemucs_ft", FOUR),
        ("6-stem", "htdemucs_6s", SIX),
        ("vocals", "mel_kim", ("vocals",)),
        ("kit", "drumsep5", ("kick", "snare", "toms")),
        ("karaoke", "kar_aufr33", ()),
        ("dereverb", "dereverb_anvuew", ("dry",)),
        ("denoise", "denoise_aufr33", ()),
    ],
)
def test_every_task_has_its_models(task: AskedTask, first: str, gives: tuple[str, ...]) -> None:
    for memory_gb in (0.0, 24.0):
        advice = recommend(task=task, gpu_memory_gb=memory_gb)
        assert first in [each.model.name for each in advice]
        assert all(set(gives) <= set(each.model.stems) for each in advice)
    on_gpu = 24.0 if task == "vocals" else 0.0  # without one the quick models stay in front
    assert recommend(task=task, gpu_memory_gb=on_gpu)[0].model.name == first


@pytest.mark.parametrize("task", ["4-stem", "vocals"])
def test_only_clear_licences_are_given_where_they_are_asked_for(task: AskedTask) -> None:
    advice = recommend(task=task, only_clear=True, gpu_memory_gb=24.0)
    assert {each.model.licence_class for each in advice} <= {Licence.CLEAR}


def test_a_small_gpu_gets_what_fits_it() -> None:
    assert all(each.model.name != "bs_mega53" for each in recommend(task="vocals", gpu_memory_gb=2.0))


def test_an_unknown_task_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="did you mean 4-stem"):
        recommend(task="4-stems")  # type: ignore[arg-type]


def test_nothing_that_fits_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "recommend", "--task", "dereverb", "--clear"]) == 0
    assert "no model of the catalog" in capsys.readouterr().out
