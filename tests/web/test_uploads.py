"""Mixes from the browser: whole, resumable, bounded, never over a file."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.errors import Busy, InputError
from daw_bridge.web.uploads import DiskFull, TooLarge, Uploads, upload_of
from tests.web.conftest import Web

BODY = os.urandom(300_000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole(web: Web, music: Path) -> None:
    answer = web.ask("/api/uploads/My%20Song.flac", "PUT", BODY)
    assert answer.status == 201
    assert answer.json() == {"id": "My Song.flac", "name": "My Song.flac"}
    assert (music / "My Song.flac").read_bytes() == BODY
    assert names(music) == ["My Song.flac"]


def test_a_file_of_that_name_is_never_replaced(web: Web, music: Path) -> None:
    (music / "a.wav").write_bytes(b"mine")
    answer = web.ask("/api/uploads/a.wav", "PUT", BODY)
    assert (answer.status, (music / "a.wav").read_bytes()) == (409, b"mine")
    assert web.ask("/api/uploads/a.wav", X_Upload_Size="5").status == 409


@pytest.mark.parametrize("name", ["a.exe", "a", ".wav", "a.yaml", "a.rpp", "a.part"])
def test_only_kinds_of_audio_files_are_taken(web: Web, music: Path, name: str) -> None:
    assert web.ask(f"/api/uploads/{name}", "PUT", b"x").status in (404, 201 if name == ".wav" else 404)
    assert not [each for each in names(music) if not each.endswith(".wav")]


@pytest.mark.parametrize(
    "name", ["..%2f..%2fx.wav", "%2e%2e%5cx.wav", "con.wav", "a%00b.wav", "%0d%0ax.wav", "%F0%9F%A5%81.wav"]
)
def test_names_stay_inside_the_music_folder(web: Web, music: Path, name: str) -> None:
    before = names(music.parent)
    assert web.ask(f"/api/uploads/{name}", "PUT", b"x").status in (201, 404)
    assert names(music.parent) == before
    assert all(path.parent == music for path in music.rglob("*"))


def test_an_upload_that_was_cut_off_goes_on(web: Web, music: Path) -> None:
    marks: dict[str, Any] = {"X_Upload_Size": str(len(BODY)), "X_Upload_Mark": "1"}
    cut = socket.create_connection(("127.0.0.1", web.daemon.port))
    head = (
        f"PUT /api/uploads/b.wav HTTP/1.1\r\nHost: {web.host}\r\nOrigin: http://{web.host}\r\nX-Upload-Mark: 1\r\n"
        f"Authorization: Bearer {web.daemon.secret}\r\nX-Upload-Size: {len(BODY)}\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    cut.sendall(head.encode() + BODY[:100_000])
    while web.ask("/api/uploads/b.wav", **marks).json()["received"] < 100_000:
        pass
    cut.close()
    assert names(music)[0].startswith(".b.wav.")
    offset = 100_000
    answer = web.ask("/api/uploads/b.wav", "PUT", BODY[offset:], X_Upload_Offset=str(offset), **marks)
    while answer.status == 409 and "another page" in answer.json()["message"]:  # the cut is not noticed at once
        answer = web.ask("/api/uploads/b.wav", "PUT", BODY[offset:], X_Upload_Offset=str(offset), **marks)
    assert answer.status == 201, answer.body
    assert (music / "b.wav").read_bytes() == BODY
    assert names(music) == ["b.wav"]


def test_another_file_of_that_name_does_not_go_on_where_the_first_stopped(web: Web) -> None:
    size = str(len(BODY))
    assert web.ask("/api/uploads/b.wav", "PUT", BODY[:10], X_Upload_Size=size, X_Upload_Mark="1").status == 400
    assert web.ask("/api/uploads/b.wav", X_Upload_Size=size, X_Upload_Mark="1").json() == {"received": 10}
    assert web.ask("/api/uploads/b.wav", X_Upload_Size=size, X_Upload_Mark="2").json() == {"received": 0}
    wrong = web.ask("/api/uploads/b.wav", "PUT", BODY[5:], X_Upload_Size=size, X_Upload_Mark="1", X_Upload_Offset="5")
    assert wrong.status == 400


def test_what_is_past_the_limit_is_refused_before_it_is_sent(web: Web, music: Path) -> None:
    answer = web.ask("/api/uploads/big.wav", "PUT", b"x", X_Upload_Size="2000000001")
    assert answer.status == 413
    longer = web.ask("/api/uploads/liar.wav", "PUT", BODY, X_Upload_Size="10")
    assert longer.status == 413
    assert web.ask("/api/uploads/liar.wav", "PUT", b"x", X_Upload_Size="-1").status == 400
    assert not (music / "liar.wav").exists()


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_a_disk_without_room_refuses_before_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(DiskFull, match="free"):
        asyncio.run(Uploads(tmp_path).take(upload_of("a.wav", "", "2000"), 0, chunks(b"x" * 2000)))
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_meanwhile_keeps_no_part(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk's end: the system refuses the write in the same place."""
    code = (
        "import asyncio, resource, signal, sys; from pathlib import Path\n"
        "from daw_bridge.web.uploads import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "async def body():\n"
        "    for _ in range(10): yield b'x' * 20_000\n"
        "try: asyncio.run(Uploads(Path(sys.argv[1])).take(upload_of('a.wav', '', '200000'), 0, body()))\n"
        "except DiskFull as exc: print(exc)\n"
    )
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "disk is full" in done.stdout
    assert names(tmp_path) == []


def test_two_pages_do_not_write_into_one_upload(tmp_path: Path) -> None:
    async def both() -> None:
        uploads, upload = Uploads(tmp_path), upload_of("a.wav", "", "8")
        gate = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"1234"
            await gate.wait()
            yield b"5678"

        first = asyncio.create_task(uploads.take(upload, 0, slow()))
        while not list(tmp_path.glob(".a.wav.*")):
            await asyncio.sleep(0.001)
        with pytest.raises(Busy):
            await uploads.take(upload, 0, chunks(b"abcdefgh"))
        gate.set()
        await first

    asyncio.run(both())
    assert (tmp_path / "a.wav").read_bytes() == b"12345678"


def test_a_body_longer_than_said_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        asyncio.run(Uploads(tmp_path).take(upload_of("a.wav", "", "4"), 0, chunks(b"123", b"456", b"7" * 9)))
    assert not (tmp_path / "a.wav").exists()


def test_an_error_of_the_disk_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(InputError, match="cannot be written"):
        asyncio.run(Uploads(tmp_path).take(upload_of("a.wav", "", "3"), 0, chunks(b"123")))


def test_many_uploads_at_once_all_arrive(web: Web, music: Path) -> None:
    def send(number: int) -> None:
        assert web.ask(f"/api/uploads/{number}.wav", "PUT", BODY[: 1000 * number]).status == 201

    threads = [threading.Thread(target=send, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(music / f"{number}.wav").stat().st_size for number in range(1, 9)] == [1000 * n for n in range(1, 9)]


def test_the_part_of_a_week_ago_goes(tmp_path: Path, make_web: Callable[..., Web], music: Path) -> None:
    old, foreign = music / ".a.wav.01234567.part", music / ".firefox.part"
    for path in (old, foreign):
        path.write_bytes(b"x")
        os.utime(path, (1, 1))
    make_web()
    assert not old.exists() and foreign.exists()
