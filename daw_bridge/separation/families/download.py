"""Files from the network, within bounds: size, time, https, checksum; stopped at any moment, and resumed.

The bytes come through httpx2 in a process of its own (`transfer`), and what the hub knows about its files through
huggingface_hub. (`huggingface_hub` begins a download that was broken off afresh under another name, and pooch keeps no
beginnings at all; here the next attempt asks only for the rest.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daw_bridge.errors import WeightsCorrupt
from daw_bridge.files import PART_SUFFIX, output_errors, sha256_of_file
from daw_bridge.progress import CancelToken, OnProgress, Progress, ignore_progress
from daw_bridge.separation.families import transfer
from daw_bridge.separation.families.store import record_sha256
from daw_bridge.separation.model_info import ModelInfo, WeightFile
from daw_bridge.units import human_bytes

SLACK_BYTES = 1 << 20
MOST_BYTES_OF_A_LISTING = 1 << 20
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How a family gets the files of one model into `folder`.

    `mirrors` gives another beginning for addresses that begin with a key of it: a test's server, a mirror at home; only
    there plain http is taken. A server that sends less than `least_bytes_per_s` for `patience_s` is given up.
    """

    info: ModelInfo
    folder: Path
    mirrors: Mapping[str, str] = field(default_factory=dict)
    on_progress: OnProgress = ignore_progress
    cancel: CancelToken = field(default_factory=CancelToken)
    least_bytes_per_s: float = 1_000.0
    patience_s: float = 60.0

    def address(self, url: str) -> str:
        """Where to ask instead of `url`."""
        for beginning, mirror in self.mirrors.items():
            if url.startswith(beginning):
                return mirror + url.removeprefix(beginning)
        return url

    @contextmanager
    def get(self, file: WeightFile) -> Iterator[Path]:
        """A temporary file with what is at the first of the addresses that has it; its sha256 is right.

        Raises OSError for the network, WeightsCorrupt for something else than the file, OutputError for the disk. What
        was got of a download that broke off or was cancelled stays beside its place, and is not asked for again.
        """
        part = self.folder / f"{file.name}{PART_SUFFIX}"
        first_that_works(*(_once(self._verified, file, url, part) for url in file.urls))
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)

    def read(self, url: str) -> bytes:
        """What is at an address that lists things."""
        part = self.folder / f"listing{PART_SUFFIX}"
        part.unlink(missing_ok=True)
        try:
            self._transfer(url, part, MOST_BYTES_OF_A_LISTING)
            return part.read_bytes()
        finally:
            part.unlink(missing_ok=True)

    def on_hub(self, hub: str, repository: str, names: list[str]) -> list[WeightFile]:
        """Files of a repository on the Hugging Face hub, as it describes them now.

        Raises OSError when the hub does not answer, or states no sha256 of one.
        """
        answer = self._ask({"repository": repository, "names": names, "endpoint": self.address(hub)}, hub)
        found = []
        for name, about in answer["files"].items():
            file = WeightFile(name=name, urls=(about["url"],), size_bytes=about["size_bytes"], sha256=about["sha256"])
            if len(file.sha256) != 64 or not 0 < file.size_bytes <= self._most_bytes():
                raise OSError(f"{repository}: states no sha256 of {name}, or a size that it cannot have")
            found.append(file)
        return found

    def _most_bytes(self) -> int:
        """How large a file of this model can be at most."""
        return self.info.size_mb * 1_200_000 + SLACK_BYTES

    def _verified(self, file: WeightFile, url: str, part: Path) -> None:
        most = file.size_bytes * 11 // 10 + SLACK_BYTES if file.size_bytes else self._most_bytes()
        resumed = self._transfer(url, part, most)
        found = sha256_of_file(part)
        if resumed and not found.startswith(file.sha256):
            part.unlink()  # the beginning was of something else
            self._transfer(url, part, most)
            found = sha256_of_file(part)
        if not found.startswith(file.sha256):
            part.unlink()
            raise WeightsCorrupt(
                f"{url}: what came has another checksum; its sha256 begins with {found[:8]}, it should be "
                f"{file.sha256[:8]}; try again"
            )

    def _transfer(self, url: str, part: Path, most_bytes: int) -> bool:
        """Let the file grow to its whole length; whether that went on from what was there."""
        parts = [urlsplit(mirror) for mirror in self.mirrors.values()]
        plain = [f"{mirror.scheme}://{mirror.netloc}" for mirror in parts if mirror.scheme == "http"]
        order = {"url": self.address(url), "part": str(part), "plain_hosts": plain}
        answer = self._ask(order, url, part, most_bytes)
        return bool(answer["resumed"])

    def _ask(self, order: dict[str, Any], url: str, part: Path | None = None, most_bytes: int = 0) -> dict[str, Any]:
        """Run `transfer` with one order, watching the file that it writes. Raises Cancelled, OSError, OutputError."""
        host = urlsplit(self.address(url)).hostname or url
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-P", transfer.__file__]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
            try:
                text, complaint = self._watch(process, json.dumps(order) + "\n", part, most_bytes, host)
            finally:
                process.kill()
        try:
            answer: dict[str, Any] = json.loads(text)
        except ValueError:
            raise OSError(f"{host}: {(complaint.strip().splitlines() or ['the download was ended'])[-1]}") from None
        if answer.get("errno") is not None and part is not None:
            with output_errors(part):
                raise OSError(answer["errno"], answer["error"])
        if "error" in answer:
            raise OSError(f"{host}: {answer['error']}")
        return answer

    def _watch(
        self, process: subprocess.Popen[str], order: str, part: Path | None, most_bytes: int, host: str
    ) -> tuple[str, str]:
        """What the process says in the end; an error when it is cancelled, gets too much, or too little in time."""
        mark_s, mark_bytes = time.monotonic(), _size(part)
        to_send: str | None = order
        while True:
            self.cancel.check()
            try:
                return process.communicate(to_send, timeout=_POLL_S)
            except subprocess.TimeoutExpired:
                to_send = None
            done, now_s = _size(part), time.monotonic()
            if part is not None:
                if done > most_bytes:
                    process.kill()
                    part.unlink(missing_ok=True)
                    raise WeightsCorrupt(f"{host}: sends more than the {human_bytes(most_bytes)} that it can be")
                self.on_progress(Progress(stage="load", done=done, total=max(done, most_bytes)))
            if now_s - mark_s >= self.patience_s:
                if done - mark_bytes < self.least_bytes_per_s * self.patience_s:
                    raise OSError(f"{host}: sent {human_bytes(done - mark_bytes)} in {self.patience_s:.0f} s")
                mark_s, mark_bytes = now_s, done


def _size(part: Path | None) -> int:
    with suppress(OSError):
        return part.stat().st_size if part is not None else 0
    return 0


def _once(call: Callable[[WeightFile, str, Path], None], file: WeightFile, url: str, part: Path) -> Callable[[], None]:
    return lambda: call(file, url, part)


def fetch_files(info: ModelInfo, download: Download) -> None:
    """The files that the catalog lists for a model, each from the first address that has it with the right sha256.

    Raises OSError when no address answers, WeightsCorrupt when one sent something else.
    """
    for file in info.files:
        target = download.folder / file.name
        if target.is_file() and sha256_of_file(target) == file.sha256:
            continue  # an earlier fetch got so far
        with download.get(file) as part, output_errors(download.folder):
            part.replace(target)
    record_sha256(download.folder, {file.name: file.sha256 for file in info.files})


def first_that_works(*ways: Callable[[], None]) -> None:
    """Try one way after the other; the first WeightsCorrupt, or OSError with all reasons, when none works."""
    reasons: list[str] = []
    corrupt: WeightsCorrupt | None = None
    for way in ways:
        try:
            way()
        except WeightsCorrupt as exc:
            corrupt = corrupt or exc
        except (OSError, ValueError) as exc:
            reasons.append(str(exc)[:200])
        else:
            return
    if corrupt is not None:
        raise corrupt
    raise OSError("; ".join(dict.fromkeys(reasons)))
