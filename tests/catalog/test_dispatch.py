"""Who gets which song: no song is lost, none is charged for a machine, and a poisonous one is set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.catalog.dispatch import MAX_TRIES, Dispatcher, Event
from daw_bridge.catalog.outcome import Outcome
from daw_bridge.catalog.plan import PlannedSong
from daw_bridge.errors import Cancelled, CatalogStopped
from daw_bridge.progress import CancelToken


def song(number: int) -> PlannedSong:
    return PlannedSong(key=f"{number:04d}", shard=0, mix=f"{number}.wav", size_bytes=1, etag="")


class PlayedCrew:
    """Workers without processes: what happens to a song is told by a function of the song and its try."""

    def __init__(self, size: int, fate: Callable[[str, int], str]) -> None:
        self.size, self._fate = size, fate
        self.tries: Counter[str] = Counter()
        self.given: list[str] = []
        self.restarts = 0
        self._events: list[Event] = [Event(worker, "ready") for worker in range(size)]

    def give(self, worker: int, song: PlannedSong) -> None:
        self.tries[song.key] += 1
        self.given.append(song.key)
        fate = self._fate(song.key, self.tries[song.key])
        if fate in ("gone", "node_gone"):
            kind = "gone" if fate == "gone" else "node_gone"
            self._events += [Event(worker, kind), Event(worker, "ready")]  # type: ignore[arg-type]
        elif fate != "hangs":
            self._events.append(Event(worker, "ended", outcome=Outcome(song=song, state=fate, error="x")))  # type: ignore[arg-type]

    def wait(self, timeout_s: float) -> Sequence[Event]:
        events, self._events = self._events, []
        return events

    def restart(self, worker: int) -> None:
        self.restarts += 1
        self._events.append(Event(worker, "ready"))

    def close(self) -> None:
        pass


def run(crew: PlayedCrew, count: int, **options: object) -> tuple[Counter[str], list[Outcome]]:
    outcomes: list[Outcome] = []
    dispatcher = Dispatcher(crew, outcomes.append, **options)  # type: ignore[arg-type]
    return dispatcher.run(iter([song(number) for number in range(count)]), CancelToken()), outcomes


@given(st.integers(1, 4), st.lists(st.sampled_from(["done", "lost", "skipped"]), max_size=30))
def test_every_song_is_settled_once(workers: int, fates: list[str]) -> None:
    counts, outcomes = run(PlayedCrew(workers, lambda key, _: fates[int(key)]), len(fates))
    assert sorted(outcome.song.key for outcome in outcomes) == [f"{number:04d}" for number in range(len(fates))]
    assert sum(counts.values()) == len(fates)


def test_a_machine_that_went_away_is_never_charged_to_its_song() -> None:
    counts, outcomes = run(PlayedCrew(2, lambda key, tries: "node_gone" if tries < 9 else "done"), 3)
    assert [outcome.state for outcome in outcomes] == ["done"] * 3
    assert counts["retried"] == 0


def test_a_song_that_kills_its_worker_is_set_aside_after_three_tries_and_the_rest_goes_on() -> None:
    crew = PlayedCrew(2, lambda key, _: "gone" if key == "0003" else "done")
    counts, outcomes = run(crew, 30)
    assert crew.tries["0003"] == MAX_TRIES
    assert counts["done"] == 29
    assert [outcome.song.key for outcome in outcomes if outcome.state == "failed"] == ["0003"]


def test_a_song_past_its_deadline_is_tried_again_on_a_worker_that_was_started_anew() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 10.0
        return now[0]

    crew = PlayedCrew(1, lambda key, tries: "hangs" if tries == 1 else "done")
    counts, outcomes = run(crew, 1, deadline_s=15.0, clock=clock)
    assert (counts["late"], crew.restarts) == (1, 1)
    assert [outcome.state for outcome in outcomes] == ["done"]


def test_what_every_song_would_meet_ends_the_run_after_five() -> None:
    crew = PlayedCrew(1, lambda key, _: "fatal")
    with pytest.raises(CatalogStopped, match="every song would fail so"):
        run(crew, 100)
    assert len(crew.given) == 5


def test_a_run_in_which_more_than_five_of_a_hundred_fail_is_stopped() -> None:
    with pytest.raises(CatalogStopped, match="of the last 100 songs failed"):
        run(PlayedCrew(1, lambda key, _: "failed" if int(key) % 10 == 0 else "done"), 500)
    counts, _ = run(PlayedCrew(1, lambda key, _: "failed" if int(key) % 25 == 0 else "done"), 500)
    assert counts["failed"] == 20


def test_a_cancelled_run_gives_out_nothing_more() -> None:
    token, crew = CancelToken(), PlayedCrew(1, lambda key, _: "done")
    dispatcher = Dispatcher(crew, lambda _: token.cancel())
    with pytest.raises(Cancelled):
        dispatcher.run(iter([song(number) for number in range(9)]), token)
    assert len(crew.given) <= 2


class SlowCrew:
    """Workers with room for several songs; each wait ends the oldest song of each worker, or kills the worker."""

    def __init__(self, size: int, room: int, poison: str) -> None:
        self.size, self._poison = size, poison
        self._events = [Event(worker, "ready", room=room) for worker in range(size)]
        self._room = room
        self._held: dict[int, list[PlannedSong]] = {worker: [] for worker in range(size)}
        self.beside: dict[str, list[set[str]]] = {}
        self.most = 0
        self.deaths = 0

    def give(self, worker: int, song: PlannedSong) -> None:
        self._held[worker].append(song)
        self.most = max(self.most, len(self._held[worker]))
        self.beside.setdefault(song.key, []).append({each.key for each in self._held[worker]})

    def wait(self, timeout_s: float) -> Sequence[Event]:
        events, self._events = self._events, []
        for worker, held in self._held.items():
            if any(each.key == self._poison for each in held):
                self.deaths += 1
                held.clear()
                events += [Event(worker, "gone"), Event(worker, "ready", room=self._room)]
            elif held:
                events.append(Event(worker, "ended", outcome=Outcome(song=held.pop(0), state="done")))
        return events

    def restart(self, worker: int) -> None:
        raise AssertionError("nothing hangs here")

    def close(self) -> None:
        pass


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 19))
def test_what_was_beside_a_poisonous_song_is_done_since_suspects_go_alone(workers: int, room: int, place: int) -> None:
    crew = SlowCrew(workers, room, f"{place:04d}")
    outcomes: list[Outcome] = []
    Dispatcher(crew, outcomes.append).run(iter([song(number) for number in range(20)]), CancelToken())
    assert sorted(each.song.key for each in outcomes) == [f"{number:04d}" for number in range(20)]
    assert [each.song.key for each in outcomes if each.state == "failed"] == [f"{place:04d}"]
    assert crew.deaths == MAX_TRIES
    assert crew.most <= room
    assert all(beside == {f"{place:04d}"} for beside in crew.beside[f"{place:04d}"][1:])


def test_a_song_that_failed_on_one_machine_is_tried_on_another() -> None:
    class BadDisk(PlayedCrew):
        def give(self, worker: int, song: PlannedSong) -> None:
            state = "retry" if worker == 0 else "done"
            self._events.append(Event(worker, "ended", outcome=Outcome(song=song, state=state, error="full")))  # type: ignore[arg-type]

    counts, _ = run(BadDisk(2, lambda *_: ""), 90)
    assert counts["done"] == 90


@pytest.mark.parametrize("kind", ["unable", "gone"])
def test_workers_that_never_start_end_the_run_and_one_bad_machine_does_not(kind: str) -> None:
    class Bad(PlayedCrew):
        def wait(self, timeout_s: float) -> Sequence[Event]:
            return [Event(0, kind, reason="no GPU"), *super().wait(timeout_s)]  # type: ignore[arg-type]

    with pytest.raises(CatalogStopped, match="no worker can start: no GPU"):
        run(Bad(0, lambda *_: "done"), 3)
    crew = Bad(2, lambda *_: "done")
    crew._events.pop(0)
    counts, _ = run(crew, 50)
    assert counts["done"] == 50
