"""A catalog in a bucket: of two runs that race each song is done once, and each fault of a bucket is one line."""

from __future__ import annotations

import io
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from daw_bridge.catalog.store import Store
from tests.cluster.bucket import LOST, MOTO, Answer, Request, bucket_server, environment, faulty, put
from tests.cluster.songs import OPTIONS, ROOT, SONGS, catalog, command, run_here, surroundings

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # for a machine that does much else
    pytest.mark.skipif(not MOTO.exists(), reason="no bucket server: make cluster"),
]


@dataclass
class Bucket:
    """The server, with a bucket `music` of three songs with odd names, and an empty bucket for each target."""

    port: int

    def new(self, name: str) -> str:
        put(self.port, f"/{name}")
        return f"s3://{name}"


def wave(seed: int) -> bytes:
    """A quarter of a second of noise."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).standard_normal((11_025, 2)) * 0.1
    soundfile.write(buffer, noise, 44_100, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


ODD_KEYS = ("lib/a#b?c %25 é+=~.wav", "lib/it's [two] & 'Ω' {3}.wav", "lib/ 🎛 ..wav")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with bucket_server(tmp_path_factory.mktemp("moto") / "log") as port:
        found = Bucket(port)
        found.new("music")
        for seed, key in enumerate(ODD_KEYS):
            put(port, f"/music/{key}", wave(seed))
        put(port, "/music/lib/empty.wav")
        yield found


def test_two_runs_that_race_on_one_bucket_do_each_song_once(
    bucket: Bucket, music: Path, expected: dict[str, set[str]], tmp_path: Path
) -> None:
    out, env = bucket.new("race"), environment(bucket.port)
    catalog("plan", music, out, *OPTIONS, env=env)
    runs = [
        subprocess.Popen(
            command("run", out, "--scratch", tmp_path / f"scratch{each}"),
            env=env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in range(2)
    ]
    counts = [json.loads(run.communicate(timeout=900)[0].splitlines()[-1]) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum(each.get("done", 0) for each in counts) == SONGS
    first = catalog("verify", out, "--full", "--sweep", env=env)
    assert (first["committed"], first["problems"]) == (SONGS, [])
    second = catalog("verify", out, "--full", "--sweep", env=env)
    assert (second["committed"], second["stray_attempts"], second["problems"]) == (SONGS, 0, [])
    assert stems_in(out, env) == expected


def stems_in(out: str, env: dict[str, str]) -> dict[str, set[str]]:
    """Mix -> sha256 of the stems that its manifest names, of every commit; each mix once."""
    found: dict[str, set[str]] = {}
    with surroundings(env):
        store = Store(out)
        for each in store.list("commits"):
            record = json.loads(store.get(each.key) or b"")
            stems = json.loads(store.get(f"{record['folder']}/manifest.json") or b"")["stems"]
            assert all(record["sha256"][stem["file"]] == stem["sha256"] for stem in stems)
            assert record["mix"] not in found
            found[record["mix"]] = {stem["sha256"] for stem in stems}
    return found


def test_a_store_that_throttles_and_keys_of_any_kind_cost_no_song(bucket: Bucket, tmp_path: Path) -> None:
    def every_third(request: Request) -> Answer | None:
        return (503, "SlowDown") if request.number % 3 == 0 else None

    with faulty(bucket.port, every_third) as port:
        env, out = environment(port), bucket.new("throttled")
        planned = catalog("plan", "s3://music/lib", out, *OPTIONS, "--keep", "stems", "--format", "flac", env=env)
        assert planned["songs"] == len(ODD_KEYS)
        assert run_here(out, tmp_path, env) == {"done": len(ODD_KEYS)}
    assert set(stems_in(out, environment(bucket.port))) == {key.removeprefix("lib/") for key in ODD_KEYS}


def test_a_bucket_that_takes_put_if_absent_for_a_plain_put_is_refused(bucket: Bucket) -> None:
    def forgets(request: Request) -> None:
        for name in request.if_absent:
            del request.headers[name]

    with faulty(bucket.port, forgets) as port:
        said = catalog("plan", "s3://music/lib", bucket.new("forgets"), *OPTIONS, code=4, env=environment(port))
    assert "does not honour put-if-absent" in said["error"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((403, "AccessDenied"), "access is refused"),
        ((403, "RequestTimeTooSkewed"), "the clock of this machine differs"),
        ((403, "InvalidAccessKeyId"), "the credentials are not accepted"),
        ((501, "NotImplemented"), "does not know this request"),
    ],
)
def test_what_a_store_refuses_is_one_line(bucket: Bucket, answer: Answer, reason: str) -> None:
    with faulty(bucket.port, lambda *_: answer) as port:
        said = catalog("plan", "s3://music/lib", "s3://nowhere", *OPTIONS, code=3, env=environment(port))["error"]
    assert reason in said
    assert said.count("\n") == 1


def test_a_bucket_that_is_not_there_and_credentials_that_are_missing_are_named(bucket: Bucket) -> None:
    env = environment(bucket.port)
    assert "no such bucket" in catalog("plan", "s3://nothing", "s3://music", *OPTIONS, code=3, env=env)["error"]
    assert "no such bucket" in catalog("plan", "s3://music/lib", "s3://nothing", *OPTIONS, code=4, env=env)["error"]
    del env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    with faulty(bucket.port, lambda *_: (404, "NoSuchBucket")) as port:  # the address where a machine asks for its role
        env["AWS_METADATA_ENDPOINT"] = f"http://127.0.0.1:{port}"
        assert "there are no credentials" in catalog("plan", "s3://music", "s3://x", *OPTIONS, code=3, env=env)["error"]


def test_keys_that_no_path_can_name_cost_only_themselves(bucket: Bucket, tmp_path: Path) -> None:
    source, env = bucket.new("odd"), environment(bucket.port)
    for key in ("a/../b.wav", "c//d.wav", "tab\t.wav", "e/empty.wav"):
        put(bucket.port, f"/odd/{key}", b"" if "empty" in key else b"x")
    for key in ("a/good.wav", "z.wav"):
        put(bucket.port, f"/odd/{key}", wave(1))
    out = bucket.new("even")
    planned = catalog("plan", source, out, *OPTIONS, env=env)
    assert (planned["songs"], planned["left_out"]) == (2, 4)
    named = sorted(line.partition(": ")[0] for line in planned["left_out_first"])
    assert named == ["a/../", "c//", "e/empty.wav", "tab\\x09.wav"]
    assert run_here(out, tmp_path, env) == {"done": 2}


def test_an_answer_that_is_lost_is_no_race_that_was_lost(bucket: Bucket, tmp_path: Path) -> None:
    """S3 may have done what it then answers with an error; the second request finds the first one's object."""
    tries: Counter[str] = Counter()

    def loses_the_first(request: Request) -> Answer | None:
        if request.if_absent:
            tries[request.path] += 1
            return LOST if tries[request.path] == 1 else None
        return None

    with faulty(bucket.port, loses_the_first) as port:
        env, out = environment(port), bucket.new("lossy")
        catalog("plan", "s3://music/lib", out, *OPTIONS, "--keep", "stems", env=env)
        assert run_here(out, tmp_path, env) == {"done": len(ODD_KEYS)}
    found = catalog("verify", out, "--full", env=environment(bucket.port))
    assert (found["committed"], found["stray_attempts"], found["problems"]) == (len(ODD_KEYS), 0, [])
    assert min(tries.values()) >= 2


def test_a_store_that_never_answers_is_ended_by_the_deadline(bucket: Bucket, tmp_path: Path) -> None:
    asked, over = threading.Event(), threading.Event()

    def hangs_once(request: Request) -> None:
        if request.method == "GET" and request.path.startswith("/music/lib/") and not asked.is_set():
            asked.set()
            over.wait()

    with faulty(bucket.port, hangs_once) as port:
        env, out = environment(port), bucket.new("slow")
        catalog("plan", "s3://music/lib", out, *OPTIONS, "--keep", "stems", env=env)
        counts = catalog("run", out, "--scratch", tmp_path, "--deadline", "10", env=env)
        over.set()
    assert counts["done"] == len(ODD_KEYS)
    assert counts["late"] >= 1


def test_a_mix_that_changed_in_its_bucket_since_the_plan_is_a_failed_song(bucket: Bucket, tmp_path: Path) -> None:
    source, env = bucket.new("changes"), environment(bucket.port)
    for number in range(2):
        put(bucket.port, f"/changes/{number}.wav", wave(number))
    out = bucket.new("changed")
    catalog("plan", source, out, *OPTIONS, env=env)
    put(bucket.port, "/changes/0.wav", b"another song")
    assert run_here(out, tmp_path, env) == {"done": 1, "failed": 1}
