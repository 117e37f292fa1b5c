"""How far a catalog is: on the terminal, as JSON, as a table of nodes, and as metrics that Prometheus would read."""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.catalog.ledger import RunLedger
from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import make_plan, require_plan, songs_in
from daw_bridge.catalog.recipe import Recipe
from daw_bridge.catalog.report import prometheus_text, write_table
from daw_bridge.catalog.status import CatalogStatus, NodeStatus, status
from daw_bridge.catalog.store import Store
from daw_bridge.cli.main import main
from daw_bridge.errors import UsageError


@pytest.fixture
def half_done(tmp_path: Path) -> Path:
    """Ten planned songs: six done by two nodes, one failed, three left."""
    music = tmp_path / "music"
    music.mkdir()
    for number in range(10):
        (music / f"{number}.wav").write_bytes(b"never read")
    out = Store(tmp_path / "out")
    plan = make_plan(Store(music), out, Recipe(options={}, weights_sha256=""), shard_songs=4)
    songs = [song for shard in range(plan.shards) for song in songs_in(out, plan, shard)]
    ledger = RunLedger(out, part_rows=3)
    for number, song in enumerate(songs[:7]):
        done = Outcome(song=song, state="done", host=f"node{number % 2}", elapsed_s=30.0, worker_s=10.0, audio_s=60.0)
        if number < 6:
            out.put_new(song.commit_key, b"{}")
        ledger.add(done if number < 6 else replace(done, state="failed", error="x"))
    ledger.flush()
    return tmp_path / "out"


def test_the_name_of_a_node_moves_no_cursor(half_done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = Store(half_done)
    plan = require_plan(out)
    song = next(iter(songs_in(out, plan, 0)))
    RunLedger(out, part_rows=1).add(Outcome(song=song, state="failed", host="no\x1b[2Jde\nx", error="x", worker_s=1.0))
    assert "no [2Jde x" in {node.host for node in status(out).nodes}
    assert main(["catalog", "status", str(half_done)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_songs_are_counted_by_commits_and_costs_by_the_ledger(half_done: Path) -> None:
    found = status(Store(half_done))
    assert (found.songs, found.done, found.failed, found.left) == (10, 6, 1, 3)
    assert [(node.host, node.done, node.failed) for node in found.nodes] == [("node0", 3, 1), ("node1", 3, 0)]
    assert found.worker_s_per_song == pytest.approx(70.0 / 6)  # what failed was paid for, too
    assert found.cost_per_song(3.6) == pytest.approx(70.0 / 6 / 1000)
    assert found.songs_per_hour == pytest.approx(6 / 30.0 * 3600, rel=0.2)
    assert found.songs_per_hour is not None
    assert found.eta_s == pytest.approx(3 / found.songs_per_hour * 3600.0)


def test_a_song_that_failed_and_was_done_later_is_no_failure(half_done: Path) -> None:
    out = Store(half_done)
    (song,) = songs_in(out, require_plan(out), 1)[2:3]
    assert status(out).failed == 1
    out.put_new(song.commit_key, b"{}")
    assert (status(out).failed, status(out).done) == (0, 7)


def test_the_command_gives_a_table_json_and_files(half_done: Path, tmp_path: Path, capsys: Any) -> None:
    table, metrics = tmp_path / "nodes.parquet", tmp_path / "catalog.prom"
    more = ["--cost-per-hour", "3.6", "--table", str(table), "--prometheus", str(metrics)]
    assert main(["catalog", "status", str(half_done), *more]) == 0
    said = capsys.readouterr().out
    assert "6 of 10 songs done, 1 failed, 3 left" in said
    assert re.search(r"^node0 +3 +1 +13\.3 ", said, re.MULTILINE)
    assert pq.read_table(table).column("done").to_pylist() == [3, 3]
    assert f'daw_bridge_catalog_songs_done{{catalog="{half_done}"}} 6\n' in metrics.read_text()
    assert main(["catalog", "status", str(half_done), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left"] == 3


def test_a_live_status_redraws_a_terminal_until_nothing_is_left(half_done: Path, monkeypatch: Any) -> None:
    ours, theirs = os.openpty()
    terminal = os.fdopen(theirs, "w")
    monkeypatch.setattr("sys.stdout", terminal)
    seen: list[str] = []

    def read() -> None:
        out = Store(half_done)
        while True:
            try:
                seen.append(os.read(ours, 10_000).decode())
            except OSError:
                return
            if "3 left" in seen[-1]:
                plan = require_plan(out)
                for shard in range(plan.shards):
                    for song in songs_in(out, plan, shard):
                        out.put_new(song.commit_key, b"{}")
            if "0 left" in seen[-1]:
                return

    reader = threading.Thread(target=read)
    reader.start()
    assert main(["catalog", "status", str(half_done), "--watch", "--every", "0.05"]) == 0
    reader.join()
    terminal.close()
    text = "".join(seen)
    assert "3 left" in text
    assert "10 of 10 songs done, 0 failed, 0 left" in text
    assert text.count("\x1b[H\x1b[J") >= 2
    os.close(ours)


@pytest.mark.parametrize(
    ("arguments", "reason"), [(["--every", "0"], "more than 0"), (["--table", "x.xls"], ".csv or .parquet")]
)
def test_bad_options_are_one_line(half_done: Path, arguments: list[str], reason: str, capsys: Any) -> None:
    assert main(["catalog", "status", str(half_done), *arguments]) == 2
    assert reason in capsys.readouterr().err


_NODE = NodeStatus(host="n", done=1, failed=0, worker_s=1.5, audio_s=2.0, size_bytes=3, last_at_unix_s=4.0)
_LINE = re.compile(r'[a-z_]+\{catalog="(?:[^"\\\n]|\\["\\n])*"(?:,node="(?:[^"\\\n]|\\["\\n])*")?\} [-0-9.e+]+')


@given(st.text(), st.text())
def test_metrics_are_of_prometheus_grammar_whatever_names_hold(catalog: str, host: str) -> None:
    found = CatalogStatus(songs=2, done=1, failed=0, songs_per_hour=3.0, nodes=(replace(_NODE, host=host),))
    for line in prometheus_text(found, catalog, cost_per_song=0.1).split("\n")[:-1]:
        assert line.startswith("# ") or _LINE.fullmatch(line), line


def test_a_table_of_nodes_as_csv(tmp_path: Path) -> None:
    found = CatalogStatus(songs=2, done=1, failed=0, songs_per_hour=3.0, nodes=(_NODE,))
    write_table(found, tmp_path / "nodes.csv")
    assert pyarrow.csv.read_csv(tmp_path / "nodes.csv").to_pylist()[0]["worker_s"] == 1.5
    with pytest.raises(UsageError):
        write_table(found, tmp_path / "nodes.txt")
