"""Many songs with one load of the model: each is a `build`; what fails is listed and never stops the rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue

from daw_bridge.audio import guarded
from daw_bridge.audio.reader import glance
from daw_bridge.build_options import BuildOptions
from daw_bridge.errors import Busy, Cancelled, DawBridgeError, InputError, OutputError, UsageError
from daw_bridge.files import output_errors
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.engine.memory import SONGS_IN_FLIGHT
from daw_bridge.separation.families.keeper import ModelKeeper
from daw_bridge.separation.options import cuda_device
from daw_bridge.separation.recipe import read_recipe
from daw_bridge.workflow.chain import build
from daw_bridge.workflow.cue import Cut
from daw_bridge.workflow.finished import add_remarks, finished_before, is_finished
from daw_bridge.workflow.ledger import Ledger, default_ledger
from daw_bridge.workflow.songs import Listing, list_songs, song_folders

BUSY_WAIT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SongOutcome:
    """How one song of a batch ended. `error` is empty when it went well; `skipped` when an earlier run did it,
    `busy` while another run works on it."""

    mix: Path
    folder: Path | None = None
    null_depth_db: float | None = None
    elapsed_s: float = 0.0
    error: str = ""
    skipped: bool = False
    busy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a batch would take. `seconds` is None where no earlier song tells how fast this machine is."""

    songs: int
    done_before: int
    audio_s: float
    disk_bytes: int
    seconds: float | None
    unreadable: tuple[str, ...] = ()


def estimate(listing: Listing, options: BuildOptions, ledger: Ledger) -> Estimate:
    """Time and disk that a batch would take; nothing is decoded or written."""
    audio_s, disk, size, unreadable, done = 0.0, 0, 0, [], 0
    files = len(read_recipe(options).stem_names) + 1  # the residual is among them; the reference is one more
    known = ledger.snapshot()
    for mix in listing.songs:
        cut = listing.cuts.get(mix)
        try:
            info = glance(cut.source if cut is not None else mix, otherwise=guarded.probe)
        except InputError as exc:
            unreadable.append(str(exc))
            continue
        if known.folder_of(mix) is not None:
            done += 1
            continue
        whole = info.length_samples or info.estimated_samples or 0
        samples = whole if cut is None else cut.samples_of(whole, info.sample_rate_hz)
        own_bytes = info.path.stat().st_size if cut is None else samples * info.channels * 4
        audio_s += samples / info.sample_rate_hz
        disk += samples * min(info.channels, 2) * 4 * files + own_bytes
        size += own_bytes
    speed = ledger.seconds_per_byte()
    return Estimate(
        songs=len(listing.songs),
        done_before=done,
        audio_s=audio_s,
        disk_bytes=disk,
        seconds=None if speed is None else speed * size,
        unreadable=tuple(unreadable),
    )


def batch(
    sources: Path | str | Sequence[Path | str],
    options: BuildOptions,
    *,
    jobs: int = 1,
    on_progress: OnProgress = ignore_progress,
    on_song: Callable[[SongOutcome], None] = lambda _outcome: None,
    cancel: CancelToken | None = None,
) -> list[SongOutcome]:
    """Build every song of the folders, lists (.txt, .m3u), patterns and files in `sources` with one load of the model.

    A song that fails is an outcome with its `error` and never stops the rest; the same call again goes on after the
    last finished song. Raises InputError when nothing is found, UsageError for jobs below 1, Cancelled.
    """
    named = [str(source) for source in ([sources] if isinstance(sources, (str, Path)) else sources)]
    ledger = Ledger(default_ledger(named, repr(options)))
    return run_batch(
        list_songs(named), options, ledger, jobs=jobs, on_progress=on_progress, on_song=on_song, cancel=cancel
    )


def run_batch(
    listing: Listing | Sequence[Path],
    options: BuildOptions,
    ledger: Ledger,
    *,
    jobs: int = 1,
    on_progress: OnProgress = ignore_progress,
    on_song: Callable[[SongOutcome], None] = lambda _outcome: None,
    cancel: CancelToken | None = None,
) -> list[SongOutcome]:
    """Build every song; the outcomes in the order of the songs.

    `jobs` above 1 runs that many processes, one per GPU where there are several. Only Cancelled stops a batch, and
    the next run goes on after the last finished song. Raises UsageError for jobs below 1.
    """
    if jobs < 1:
        raise UsageError(f"`jobs` {jobs}: give 1 or more")
    read_recipe(options)  # what is wrong with the models is said before the first song, not at every one
    cancel = cancel or CancelToken()
    listing = listing if isinstance(listing, Listing) else Listing(list(listing))
    songs = listing.songs
    folders = song_folders(songs, options.output, listing.cuts)
    outcomes = _done_before(songs, ledger)
    for outcome in outcomes.values():
        on_song(outcome)
    todo = [mix for mix in songs if mix not in outcomes]

    remarks: dict[Path, tuple[str, ...]] = {}  # about the files that songs were cut out of

    def tell(note: str) -> None:
        on_progress(Progress(stage="separate", done=len(outcomes), total=len(songs), note=note))

    runner = _processes(jobs, options) if jobs > 1 else _threads(options, cancel)
    with runner as submit:
        pending: dict[Future[SongOutcome], Path] = {}
        queue, later = iter(todo), list[Path]()
        while True:
            for mix in queue:  # a bounded queue: never more songs in flight than there is room for
                cut = listing.cuts.get(mix)
                if cut is not None and not mix.exists():
                    made = _cut(mix, cut, options.accept_damaged, tell, cancel)
                    if isinstance(made, SongOutcome):
                        outcomes[mix] = made
                        on_song(made)
                        continue
                    remarks[mix] = made
                pending[submit(mix, replace(options, output=folders[mix]))] = mix
                if len(pending) >= runner.room:
                    break
            if not pending and later:  # another batch, or the daemon, is at the last songs
                time.sleep(BUSY_WAIT_S)
                cancel.check()
                queue, later = iter(later), []
                continue
            if not pending:
                break
            finished, _ = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                mix = pending.pop(future)
                outcome = future.result()
                if outcome.busy:
                    later.append(mix)
                    continue
                outcomes[mix] = outcome
                _note(ledger, outcome, remarks.get(mix, ()))
                on_song(outcome)
                on_progress(Progress(stage="separate", done=len(outcomes), total=len(songs)))
            cancel.check()
    return [outcomes[mix] for mix in songs]


def _done_before(songs: Sequence[Path], ledger: Ledger) -> dict[Path, SongOutcome]:
    """The songs that the ledger knows and whose folders are whole."""
    known = ledger.snapshot()
    folders = {mix: known.folder_of(mix) for mix in songs}
    return {
        mix: SongOutcome(mix=mix, skipped=True)
        for mix, folder in folders.items()
        if folder is not None and is_finished(folder)
    }


def _cut(
    mix: Path, cut: Cut, accept_damaged: bool, tell: Callable[[str], None], cancel: CancelToken
) -> SongOutcome | tuple[str, ...]:
    """Write a song that a CUE sheet cuts out of a file; remarks about that file, or the outcome when it cannot be."""
    try:
        with output_errors(mix):
            mix.parent.mkdir(parents=True, exist_ok=True)
        notes = cut.write(mix, accept_damaged=accept_damaged, cancel=cancel)
    except Cancelled:
        raise
    except DawBridgeError as exc:
        return SongOutcome(mix=mix, error=f"{cut.sheet}: {cut.name}: {exc}")
    for note in notes:
        tell(f"{cut.name}: {note}")
    return notes


def _note(ledger: Ledger, outcome: SongOutcome, remarks: tuple[str, ...]) -> None:
    if outcome.folder is not None:
        if remarks:
            add_remarks(outcome.folder, remarks)
        ledger.done(outcome.mix, outcome.folder, outcome.elapsed_s)
    else:
        ledger.failed(outcome.mix, outcome.error)


def _before(mix: Path, options: BuildOptions) -> SongOutcome | None:
    """The outcome of a song that is finished already, in the ledger or not."""
    song = finished_before(mix, options)
    if song is None:
        return None
    return SongOutcome(mix=mix, folder=song.folder, null_depth_db=song.separation.null_depth_db, skipped=True)


def build_song(mix: Path, options: BuildOptions, keeper: ModelKeeper, cancel: CancelToken) -> SongOutcome:
    """One song, with whatever goes wrong in its outcome. Raises Cancelled only."""
    try:
        before = _before(mix, options)
        if before is not None:
            return before
        try:
            result = build(mix, options, cancel=cancel, load_model=keeper)
        except OutputError:
            before = _before(mix, options)  # another batch may have come to its end since the question above
            if before is None:
                raise
            return before
    except Cancelled:
        raise
    except Busy:
        return SongOutcome(mix=mix, busy=True)
    except DawBridgeError as exc:
        text = str(exc)  # an error about a folder does not tell which song was meant for it
        return SongOutcome(mix=mix, error=text if str(mix) in text else f"{mix}: {text}")
    except Exception as exc:  # noqa: BLE001  one song's surprise must not end a night's batch; it is reported as such
        return SongOutcome(mix=mix, error=f"{mix}: unexpected {type(exc).__name__}: {exc}; please report this")
    return SongOutcome(
        mix=mix,
        folder=result.folder,
        null_depth_db=result.song.separation.null_depth_db,
        elapsed_s=result.elapsed_s,
    )


class _threads:
    """Songs in this process, sharing one model; three in flight where a GPU computes."""

    def __init__(self, options: BuildOptions, cancel: CancelToken) -> None:
        self.room = SONGS_IN_FLIGHT if _uses_gpu(options.device) else 1
        self._keeper, self._cancel = ModelKeeper(), cancel
        self._pool = ThreadPoolExecutor(self.room, thread_name_prefix="song")

    def __enter__(self) -> Callable[[Path, BuildOptions], Future[SongOutcome]]:
        return lambda mix, options: self._pool.submit(build_song, mix, options, self._keeper, self._cancel)

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        if kind is not None:
            self._cancel.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)


class _processes:
    """One process per job, each with its own model and GPU. A process that dies fails its song and is replaced."""

    def __init__(self, jobs: int, options: BuildOptions) -> None:
        self.room = jobs
        self._free: SimpleQueue[int] = SimpleQueue()
        for slot in range(jobs):
            self._free.put(slot)
        self._pools = [self._new_pool() for _ in range(jobs)]
        self._gpus = _gpu_count() if _uses_gpu(options.device) else 0
        self._threads = ThreadPoolExecutor(jobs, thread_name_prefix="job")

    def __enter__(self) -> Callable[[Path, BuildOptions], Future[SongOutcome]]:
        return lambda mix, options: self._threads.submit(self._one, mix, options)

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        for pool in self._pools:
            if kind is not None:
                for process in list((pool._processes or {}).values()):
                    process.terminate()  # the child's work folder is resumed by the next run
            pool.shutdown(wait=True, cancel_futures=True)
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _one(self, mix: Path, options: BuildOptions) -> SongOutcome:
        slot = self._free.get()
        try:
            if self._gpus:
                options = replace(options, device=cuda_device(slot % self._gpus))
            return self._pools[slot].submit(_in_process, mix, options).result()
        except BrokenProcessPool:
            self._pools[slot] = self._new_pool()
            return SongOutcome(mix=mix, error=f"{mix}: its process died (out of memory?); run the batch again")
        finally:
            self._free.put(slot)

    @staticmethod
    def _new_pool() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


_process = threading.local()


def _in_process(mix: Path, options: BuildOptions) -> SongOutcome:
    if not hasattr(_process, "keeper"):
        _process.keeper = ModelKeeper()
    return build_song(mix, options, _process.keeper, CancelToken())


def _uses_gpu(device: str) -> bool:
    return device.startswith("cuda") or (device == "auto" and _gpu_count() > 0)


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
