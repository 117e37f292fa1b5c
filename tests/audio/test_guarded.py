"""Files of strangers are decoded in a process with limits: what a file does to it costs one line, never the run."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daw_bridge.audio import decode, guarded, reader
from daw_bridge.errors import Cancelled, DawBridgeError, InputError
from daw_bridge.progress import CancelToken, Progress
from tests.audio.signals import encode, noise, write_wav

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="limits need fork")


def children(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == process:
                found.append(int(entry.name))
    return found


def decoders(process: int | None = None) -> list[int]:
    """The processes in which a file is being decoded for a process, this one by default."""
    return [decoder for worker in children(process or os.getpid()) for decoder in children(worker)]


@pytest.fixture
def own_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Workers whose limits a line of Python has changed."""

    def changed(line: str) -> None:
        program = f"from daw_bridge.audio import decode_worker as worker; {line}; worker.main()"
        monkeypatch.setattr(guarded, "COMMAND", (sys.executable, "-c", program))

    monkeypatch.setattr(guarded, "_idle", [])
    yield changed
    guarded._close_all()


def long_mix(folder: Path, seconds: int = 1200) -> Path:
    """Minutes of zeros that take no room on the disk."""
    path, size = folder / "long.wav", seconds * 48_000 * 4
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 48_000, 48_000 * 4, 4, 16)
    with path.open("wb") as handle:
        handle.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVE" + form + b"data" + struct.pack("<I", size))
        handle.truncate(size + 44)
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a"])
def test_what_comes_out_is_what_comes_out_without_the_process(tmp_path: Path, name: str) -> None:
    kinds = {"a.flac": ("FLAC", "PCM_24"), "a.mp3": ("MP3", "MPEG_LAYER_III"), "a.wav": ("WAV", "PCM_16")}
    if name in kinds:
        container, subtype = kinds[name]
        source = write_wav(tmp_path / name, noise(30_000), 48_000, format=container, subtype=subtype)
    else:
        source = encode(tmp_path / name, noise(30_000), 48_000, "aac", bit_rate=128_000)
    events: list[Progress] = []
    here = decode.decode_to_reference(source, tmp_path / "here.wav", gain_db=-3.0)
    there = guarded.decode_to_reference(source, tmp_path / "there.wav", gain_db=-3.0, on_progress=events.append)
    assert there == here
    assert (tmp_path / "there.wav").read_bytes() == (tmp_path / "here.wav").read_bytes()
    assert events[-1] == Progress(stage="decode", done=here.length_samples, total=here.length_samples)
    assert guarded.probe(source) == reader.probe(source)
    assert guarded.examine(source) == decode.examine(source)


def test_refusals_are_the_same_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp3").write_text("not music")
    whole = write_wav(tmp_path / "whole.wav", noise(20_000), 48_000).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:60_000])
    (tmp_path / "music").mkdir()
    for name in ("text.mp3", "cut.wav", "music", "gone.wav"):
        with pytest.raises(DawBridgeError) as here:
            decode.decode_to_reference(Path(name), tmp_path / "out.wav")
        with pytest.raises(DawBridgeError) as there:
            guarded.decode_to_reference(Path(name), tmp_path / "out.wav")
        assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


@linux
@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGSEGV, r"crashed on it \(signal 11\)"), (signal.SIGKILL, "takes more memory than a file of its size")],
)
def test_a_decoder_that_dies_is_one_line_and_the_next_file_is_decoded(tmp_path: Path, number: int, said: str) -> None:
    folder, source = tmp_path / "out", long_mix(tmp_path)
    folder.mkdir()

    def kill(_event: Progress) -> None:
        for decoder in decoders():
            with contextlib.suppress(ProcessLookupError):  # a report from before its end, read after it
                os.kill(decoder, number)

    with pytest.raises(InputError, match=said) as told:
        guarded.decode_to_reference(source, folder / "out.wav", on_progress=kill)
    assert str(told.value).startswith(f"{source}: ") and "\n" not in str(told.value)
    assert list(folder.iterdir()) == []
    short = write_wav(tmp_path / "a.wav", noise(1000), 48_000)
    assert guarded.probe(short).length_samples == 1000


@linux
def test_a_cancelled_decoding_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    folder, cancel = tmp_path / "out", CancelToken()
    seen: list[int] = []
    folder.mkdir()

    def stop(_event: Progress) -> None:
        seen.extend(decoders())
        cancel.cancel()

    with pytest.raises(Cancelled):
        guarded.decode_to_reference(long_mix(tmp_path), folder / "out.wav", on_progress=stop, cancel=cancel)
    assert seen
    assert list(folder.iterdir()) == []
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in seen))


@linux
def test_nothing_goes_on_when_the_run_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from daw_bridge.audio.guarded import examine\n"
        "examine(Path(sys.argv[1]), on_progress=lambda event: print(event.done, flush=True))"
    )
    run = subprocess.Popen([sys.executable, "-c", program, long_mix(tmp_path, 6000)], stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.readline()
    left = [*children(run.pid), *decoders(run.pid)]
    assert len(left) == 2
    run.kill()
    run.wait()
    run.stdout.close()
    until(lambda: not any(Path(f"/proc/{process}").exists() for process in left))


@forks
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "worker.LEAST_MEMORY_BYTES, worker.MEMORY_PER_BYTE = 1 << 20, 0",
            "takes more memory than a file of its size may",
        ),
        (  # as on macOS, which does not heed the limit
            "worker.LEAST_MEMORY_BYTES, worker.MEMORY_PER_BYTE, worker.WATCHES_MEMORY = 1 << 20, 0, True; "
            "worker._PARENT_POLL_S, worker._limit = 0.02, lambda _: None",
            "takes more memory than a file of its size may",
        ),
        ("worker.LEAST_CPU_S, worker.CPU_S_PER_MB = 1, 0", "takes longer than a file of its size may"),
        ("worker.LEAST_OUTPUT_BYTES, worker.OUTPUT_PER_BYTE = 1 << 20, 0", "unpacks to far more than a file of its"),
    ],
)
def test_a_file_that_takes_too_much_is_refused(
    tmp_path: Path, own_workers: Callable[[str], None], change: str, said: str
) -> None:
    own_workers(change)
    with pytest.raises(InputError, match=said):
        guarded.decode_to_reference(long_mix(tmp_path, 6000), tmp_path / "out.wav")
    assert not list(tmp_path.glob("out*"))


@forks
def test_an_index_of_a_hundred_million_samples_in_ten_kilobytes_is_refused(tmp_path: Path) -> None:
    """FFmpeg would take gigabytes for it."""
    data = bytearray(encode(tmp_path / "a.m4a", noise(30_000), 48_000, "aac", bit_rate=128_000).read_bytes())
    count = struct.pack(">I", 1 << 27)
    sizes, chunks, times = (data.find(name) for name in (b"stsz", b"stsc", b"stts"))
    data[sizes + 8 : sizes + 16] = struct.pack(">I", 1) + count
    data[chunks + 16 : chunks + 20] = count
    data[times + 12 : times + 16] = count
    path = tmp_path / "bomb.m4a"
    path.write_bytes(data)
    with pytest.raises(InputError):
        guarded.probe(path)
    with pytest.raises(InputError):
        guarded.examine(path, accept_damaged=True)


def test_the_process_loads_no_torch() -> None:
    program = "import sys, daw_bridge.audio.decode_worker; print('torch' in sys.modules or 'scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
