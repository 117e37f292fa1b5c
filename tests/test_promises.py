"""What nothing else would notice: each of these fails when one line that keeps a promise is taken away."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

from daw_bridge.archive import SongFolder, archive_original, remove_leftovers
from daw_bridge.audio.audio_file import AudioInfo
from daw_bridge.audio.null import null_test
from daw_bridge.audio.reader import probe
from daw_bridge.cli.main import build_parser
from daw_bridge.control.queue.jobs import Job, JobState
from daw_bridge.control.queue.runner import cli_argv
from daw_bridge.errors import InputError, OutputError, WeightsCorrupt
from daw_bridge.files import sha256_of_file, write_atomic
from daw_bridge.manifest import read_manifest
from daw_bridge.progress import CancelToken, OnProgress, Progress
from daw_bridge.separation.disk.work_folder import WorkFolder
from daw_bridge.separation.engine.separator import Emit, SampleSource
from daw_bridge.separation.families.demucs.checkpoint import read_checkpoint
from daw_bridge.takeover import JOURNAL, STAGING, settled_manifest
from daw_bridge.workflow.ingest import ingest
from tests.control.test_security import _own_address
from tests.separation.test_run import HalfSeparator, separate
from tests.separation.test_weights import package
from tests.separation.tiny import noise


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_null_is_as_deep_as_its_largest_error_of_either_sign(tmp_path: Path, sign: float) -> None:
    whole = np.zeros((1_000, 1), np.float32)
    part = whole.copy()
    part[500] = sign * 0.1
    for name, samples in (("whole", whole), ("part", part)):
        sf.write(tmp_path / f"{name}.wav", samples, 44_100, subtype="FLOAT")
    assert null_test(tmp_path / "whole.wav", [tmp_path / "part.wav"]).peak_db == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize(("gain_linear", "noted"), [(0.5, False), (3_000.0, True)])
def test_a_null_above_120_db_is_noted(tmp_path: Path, gain_linear: float, noted: bool) -> None:
    result = separate(tmp_path, noise(5_000) * np.float32(gain_linear), 48_000)
    assert (result.null_depth_db > -120.0) is noted
    assert any("null only to" in note for note in result.notes) is noted
    assert not noted or result.null_depth_db < -65.0, "between the two, so that the threshold itself is tried"


class OneBlockShort(HalfSeparator):
    """Keeps its last block to itself."""

    def run(
        self, source: SampleSource, emit: Emit, *, start_samples: int = 0, on_progress: OnProgress, cancel: CancelToken
    ) -> None:
        blocks: list[Any] = []
        super().run(source, blocks.append, start_samples=start_samples, on_progress=on_progress, cancel=cancel)
        for block in blocks[:-1]:
            emit(block)


def test_a_model_that_gives_too_little_is_an_error_and_no_silence(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gave \d+ samples of 20000"):
        separate(tmp_path, noise(20_000), separator=OneBlockShort())
    assert not list((tmp_path / "audio").glob("*.wav"))


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names in the order in which they were flushed to the disk, and `old -> new` for renames."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("only Linux tells the name of an open file")
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noting_fsync(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def noting_replace(source: Any, target: Any) -> None:
        seen.append(f"{Path(source).name} -> {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noting_fsync)
    monkeypatch.setattr(os, "replace", noting_replace)
    return seen


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_name_after(tmp_path: Path, flushed: list[str]) -> None:
    write_atomic(tmp_path / "manifest.json", "{}")
    part, rename, folder = flushed
    assert part.endswith(".part") and rename == f"{part} -> manifest.json" and folder == tmp_path.name


def test_frames_are_on_the_disk_before_the_journal_counts_them(tmp_path: Path, flushed: list[str]) -> None:
    work = WorkFolder(tmp_path, "k", {"model": "x"})
    stems = work.stems(2)
    flushed.clear()
    stems.append(noise(500)[None])
    stems.flush()
    assert [name for name in flushed if name in ("stems.f32", "journal.jsonl")][:2] == ["stems.f32", "journal.jsonl"]
    stems.close()
    work.release(remove=True)


def test_a_copy_that_is_not_the_source_is_not_kept(tmp_path: Path) -> None:
    source, copy = tmp_path / "mix.wav", tmp_path / "song" / "original" / "mix.wav"
    source.write_bytes(b"changed since its sha256 was taken")
    with pytest.raises(InputError, match="changed while it was being copied"):
        archive_original(source, copy, "0" * 64)
    assert not copy.exists() and not list(copy.parent.iterdir())


def test_another_programs_unfinished_download_stays(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    for name in ("loop.wav.part", "take.checking.wav", "ours.wav.0123abcd.part"):
        (tmp_path / "audio" / name).write_bytes(b"x")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in (tmp_path / "audio").iterdir()) == ["loop.wav.part", "take.checking.wav"]


def test_a_manifest_says_nothing_that_is_not_in_place(tmp_path: Path) -> None:
    from tests.test_archive import finished

    made = finished(tmp_path, vocals=b"v", drums=b"d")
    (tmp_path / STAGING / JOURNAL).write_text(
        json.dumps(
            {
                "placed": [{"file": stem.file, "sha256": stem.sha256, "replaces": ""} for stem in made.stems],
                "gone": [],
                "manifest": json.loads(made.to_json()),
            }
        )
    )
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "Song_drums.wav").write_bytes(b"mine")
    with pytest.raises(OutputError, match="is in the way"):
        settled_manifest(tmp_path)
    assert read_manifest(tmp_path) is None


def test_a_mix_that_changes_while_it_is_decoded_is_refused(tmp_path: Path) -> None:
    """It was copied whole before; only its time tells."""
    mix = tmp_path / "mix.wav"
    sf.write(mix, np.zeros((400_000, 2), np.float32), 44_100)
    song = SongFolder(tmp_path / "song", "mix")
    info: AudioInfo = probe(mix)

    def touch(event: Progress) -> None:
        copy = song.original_dir / "mix.wav"
        while not copy.exists():  # the copy is made beside the decoding
            pass
        os.utime(mix, ns=(1, 1))

    with pytest.raises(InputError, match="changed while it was being read"):
        ingest(
            mix,
            info,
            song,
            mix_sha256=sha256_of_file(mix),
            channels=None,
            on_progress=touch,
            cancel=CancelToken(),
        )


def test_a_path_can_never_be_taken_for_an_option() -> None:
    job = Job(
        number=1,
        command="build",
        arguments={"path": "/music/--force"},
        request_id="",
        state=JobState.QUEUED,
        percent=0,
        detail="",
        attempts=0,
        created_s=0,
        ended_s=0,
    )
    assert cli_argv(job)[-2:] == ["--", "/music/--force"]
    for command in ("build", "separate", "rebuild"):
        asked = build_parser().parse_args(cli_argv(replace(job, command=command))[3:])
        assert "/music/--force" in map(str, vars(asked).values())


@pytest.mark.parametrize(
    "value", [torch.zeros(1), {"a": [torch.zeros(1)]}, [[[[[[[[[[1]]]]]]]]]], 1e12, float("nan"), 10**400, [0] * 5_000]
)
def test_a_network_takes_no_argument_but_plain_values_of_its_size(tmp_path: Path, value: Any) -> None:
    content = package("htdemucs")
    content["kwargs"] = {**content["kwargs"], "segment": value}
    torch.save(content, tmp_path / "x.th")
    with pytest.raises(WeightsCorrupt, match=r"network argument|network's arguments|read safely"):
        read_checkpoint(tmp_path / "x.th")


def test_oscquery_answers_no_stranger() -> None:
    pytest.importorskip("zeroconf")
    from daw_bridge.control.net.discovery import Discovery
    from daw_bridge.control.net.security import AccessPolicy, parse_networks

    own = _own_address()
    with socket.create_server((own, 0)) as probe_socket:
        port = int(probe_socket.getsockname()[1]) - 1
    policy = AccessPolicy(bind_host=own, networks=parse_networks(["203.0.113.0/24"]))

    async def ask() -> bytes:
        discovery = Discovery(own, port, policy)
        discovery._announce = nothing  # type: ignore[method-assign]
        async with discovery:
            reader, writer = await asyncio.open_connection(own, port + 1, local_addr=(own, 0))
            writer.write(b"GET /?HOST_INFO HTTP/1.1\r\n\r\n")
            try:
                return await reader.read()
            except ConnectionError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(ask()) == b""


async def nothing() -> None: ...
