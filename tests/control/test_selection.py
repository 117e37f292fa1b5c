"""What a surface selected: taken by the next job, kept beyond a restart and a kill, given up for another option."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.cli.main import main
from daw_bridge.control.queue.jobs import JobStore
from daw_bridge.control.queue.selection import Selection, Selections
from daw_bridge.errors import InputError
from tests.control.conftest import CATALOG

Make = Callable[..., Any]


def selected(peer: Any) -> tuple[str, ...]:
    """As a new subscriber hears it."""
    peer.send("/dawbridge/subscribe")
    return tuple(peer.wait(lambda each: each.address == "/dawbridge/surface/selected").arguments)


def test_the_next_job_takes_what_was_selected(
    make_daemon: Make, make_peer: Make, make_mix: Make, tmp_path: Path
) -> None:
    make_mix()
    daemon = make_daemon()
    peer = make_peer(daemon.port)
    assert peer.ask("/dawbridge/template/select", "band").arguments[2:] == ("band", "", "")
    assert peer.ask("/dawbridge/model/select", "preview").arguments[2:] == ("band", "preview", "")
    assert "did you mean band" in peer.ask("/dawbridge/template/select", "bond").arguments[2]
    peer.ask("/dawbridge/build", "mix.wav")
    peer.ask("/dawbridge/build", "mix.wav", "neutral")
    daemon.stop()
    store = JobStore(tmp_path / "queue.sqlite")
    first, second = store.get(1), store.get(2)
    store.close()
    assert first is not None and second is not None
    assert (first.arguments["template"], first.arguments["model"]) == ("band", "preview")
    assert (second.arguments["template"], second.arguments["model"]) == ("neutral", "preview")


def test_a_selection_survives_kill_9_of_the_daemon(make_process: Make, make_peer: Make) -> None:
    first = make_process()
    peer = make_peer(first.port)
    for choice, name in (("template", "band"), ("model", "preview"), ("daw", "reaper")):
        assert peer.ask(f"/dawbridge/{choice}/select", name).address == "/dawbridge/reply"
    first.kill()
    assert selected(make_peer(make_process().port)) == ("band", "preview", "reaper")


@pytest.mark.parametrize(
    ("restarts", "template"),
    [
        (["neutral"], "band"),
        (["band"], "band"),
        ([""], ""),
        (["", "neutral"], "neutral"),
    ],
)
def test_a_surfaces_choice_stays_until_serve_is_started_with_another_option(
    tmp_path: Path, restarts: list[str], template: str
) -> None:
    store = JobStore(tmp_path / "q.sqlite")
    Selections(store, CATALOG, Selection(template="neutral")).select("template", "band")
    for option in restarts:
        now = Selections(store, CATALOG, Selection(template=option))
    assert now["template"] == template
    store.close()


def test_a_kept_choice_that_is_gone_is_forgotten_and_a_wrong_option_refused(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "q.sqlite")
    store.keep_selection("template", "deleted since", "")
    assert Selections(store, CATALOG, Selection())["template"] == ""
    with pytest.raises(InputError, match=r"no model called 'prewiev' \(did you mean preview\?\)"):
        Selections(store, CATALOG, Selection(model="prewiev"))
    store.close()


def test_serve_refuses_a_wrong_option_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queue = str(tmp_path / "q.sqlite")
    assert main(["serve", "--music", str(tmp_path), "--queue", queue, "--port", "0", "--template", "bnad"]) == 3
    assert "no template called 'bnad' (did you mean band?)" in capsys.readouterr().err
