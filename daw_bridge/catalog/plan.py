"""The plan of a catalog: parquet shards of songs, made once, never changed.

OUT/plan/plan.json                  what to do, and which set of shards is the plan: written last, if absent
OUT/plan/ID/shard-000000.parquet    key, mix, size, etag; 1000 songs each
OUT/songs/ab/KEY/ATTEMPT/...        a whole song folder; ATTEMPT is random, so that attempts never mix
OUT/commits/000000/KEY              put if absent, last: the song is done
OUT/ledger/RUN/part-000000.parquet  what runs did: statistics, never the truth
"""

from __future__ import annotations

import dataclasses
import io
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from daw_bridge.catalog.mixes import LeftOut, mixes_in, mixes_singly
from daw_bridge.catalog.recipe import Recipe, differences, recipe_from, song_key
from daw_bridge.catalog.store import Listed, Store
from daw_bridge.errors import InputError, KeyUnaddressable, UsageError
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress

PLAN_KEY = "plan/plan.json"
SHARD_SONGS = 1000
FORMAT = "daw-bridge catalog 1"
_SCHEMA = pa.schema([("key", pa.string()), ("mix", pa.string()), ("size", pa.int64()), ("etag", pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `plan.json` says. `left_out` are files that look like mixes and cannot be one, `left_out_first` in words."""

    source: str
    songs: int
    shards: int
    shard_songs: int
    folder: str
    recipe: Recipe
    left_out: int = 0
    left_out_first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSong:
    """One mix of the plan."""

    key: str
    shard: int
    mix: str
    size_bytes: int
    etag: str

    @property
    def listed(self) -> Listed:
        return Listed(self.mix, self.size_bytes, self.etag)

    @property
    def commit_key(self) -> str:
        return f"{commit_prefix(self.shard)}/{self.key}"


def make_plan(
    source: Store,
    out: Store,
    recipe: Recipe,
    *,
    shard_songs: int = SHARD_SONGS,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Plan:
    """List the mixes below `source` and write the plan; a plan of the same recipe that is there is given back.

    Constant memory. Raises InputError (nothing there), OutputError, UsageError (another plan lies there), Cancelled.
    """
    cancel = cancel or CancelToken()
    if shard_songs < 1:
        raise UsageError(f"shard_songs {shard_songs}: give 1 or more")
    if (there := read_plan(out)) is not None:
        return _same_or_refused(there, source, recipe, out)
    source.require_source()
    out.require_target()
    folder = f"plan/{secrets.token_hex(6)}"

    def tick(count: int) -> None:
        cancel.check()
        on_progress(Progress(stage="archive", done=count, total=count))

    def write(listing: Callable[[Store, Store, LeftOut], Iterator[Listed]]) -> tuple[int, int, LeftOut]:
        left_out = LeftOut()
        return *_write_shards(listing(source, out, left_out), out, folder, recipe, shard_songs, tick), left_out

    try:
        songs, shards, left_out = write(mixes_in)
    except KeyUnaddressable:
        songs, shards, left_out = write(mixes_singly)  # in place of the shards that were written
    if not songs:
        why = f" ({left_out.first[0]})" if left_out.count else ""
        raise InputError(f"{source.url}: holds no audio{why}; give the folder or bucket of the mixes")
    plan = Plan(
        source=source.url,
        songs=songs,
        shards=shards,
        shard_songs=shard_songs,
        folder=folder,
        recipe=recipe,
        left_out=left_out.count,
        left_out_first=tuple(left_out.first),
    )
    data = json.dumps({"format": FORMAT, **dataclasses.asdict(plan)}, indent=1)
    if not out.put_new(PLAN_KEY, data.encode()):  # somebody planned at the same time and was first
        return _same_or_refused(require_plan(out), source, recipe, out)
    return plan


def _same_or_refused(there: Plan, source: Store, recipe: Recipe, out: Store) -> Plan:
    found = differences(there.recipe, recipe)
    if there.source != source.url:
        found.append(f"mixes from {there.source} there, from {source.url} now")
    if found:
        raise UsageError(f"{out.url}: holds a plan already, and it differs: {'; '.join(found)}; give another target")
    return there


def _write_shards(
    listed: Iterable[Listed], out: Store, folder: str, recipe: Recipe, shard_songs: int, tick: Callable[[int], None]
) -> tuple[int, int]:
    """How many songs and shards. The same call again with a longer listing replaces them."""
    rows = (
        (song_key(each.key, each.size_bytes, each.etag, recipe), each.key, each.size_bytes, each.etag)
        for each in listed
    )
    count = shards = 0
    while some := list(islice(rows, shard_songs)):
        out.put(f"{folder}/shard-{shards:06d}.parquet", _table(some))
        count, shards = count + len(some), shards + 1
        tick(count)
    return count, shards


def _table(rows: Iterable[tuple[str, str, int, str]]) -> bytes:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=_SCHEMA), buffer, compression="zstd")
    return buffer.getvalue()


def read_plan(out: Store) -> Plan | None:
    """The plan; None when there is none. Raises InputError when it was not understood."""
    data = out.get(PLAN_KEY)
    if data is None:
        return None
    try:
        found = json.loads(data)
        if found.pop("format") != FORMAT:
            raise ValueError("another format")
        first = tuple(found.get("left_out_first", ()))
        return Plan(**{**found, "recipe": recipe_from(found["recipe"]), "left_out_first": first})
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(
            f"{out.url}/{PLAN_KEY}: was not understood ({exc}); it is of another program or version"
        ) from exc


def require_plan(out: Store) -> Plan:
    """The plan. Raises InputError when there is none."""
    plan = read_plan(out)
    if plan is None:
        raise InputError(f"{out.url}: holds no plan; make one with: daw-bridge catalog plan SOURCE {out.url}")
    return plan


def shards_of(plan: Plan, part: int | None = None, of: int = 1) -> range:
    """The shards of part I of N; all of them without. Raises UsageError."""
    if part is None:
        return range(plan.shards)
    if of < 1 or not 0 <= part < of:
        raise UsageError(f"part {part} of {of}: parts count from 0 to one less than their number")
    return range(part, plan.shards, of)


def songs_in(out: Store, plan: Plan, shard: int) -> list[PlannedSong]:
    """The songs of one shard. Raises InputError when it is missing."""
    key = f"{plan.folder}/shard-{shard:06d}.parquet"
    data = out.get(key)
    if data is None:
        raise InputError(f"{out.url}/{key}: is missing; the plan is not whole")
    return [
        PlannedSong(key=row["key"], shard=shard, mix=row["mix"], size_bytes=row["size"], etag=row["etag"])
        for row in pq.read_table(io.BytesIO(data)).to_pylist()
    ]


def songs_to_do(out: Store, plan: Plan, shards: Iterable[int]) -> Iterator[PlannedSong]:
    """The songs without a commit: a listing of one prefix and one small file at a time."""
    for shard in shards:
        done = out.names(f"{commit_prefix(shard)}/")
        yield from (song for song in songs_in(out, plan, shard) if song.key not in done)


def commit_prefix(shard: int) -> str:
    """Where the commits of a shard lie."""
    return f"commits/{shard:06d}"
