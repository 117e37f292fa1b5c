"""What the page gets of a song: exact samples, peaks that hold them, pictures, strips, downloads."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.manifest import read_manifest, write_manifest
from daw_bridge.music import SongMusic
from daw_bridge.tempo_map import TempoEvent
from tests.web.conftest import Answer, Web
from tests.web.song_folder import RATE_HZ, STEMS, make_song

Form = Literal["NFC", "NFD"]
SONG = "/api/songs/Demo.session"


def test_the_page_and_its_helper_start_without_what_only_separation_and_rendering_need() -> None:
    program = "import sys, daw_bridge.web.app; print(*{'torch', 'scipy', 'av', 'demucs'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == ""


def pcm(answer: Answer, stems: int) -> np.ndarray:
    assert answer.status == 200, answer.body
    return np.frombuffer(answer.body, "<f4").reshape(stems, 2, -1)


def mix(template: str = "band", **more: object) -> str:
    return quote(json.dumps({"template": template, **more}))


def test_all_stems_of_a_stretch_come_in_one_body_bit_for_bit(web: Web, song: Path) -> None:
    names = [*STEMS, "reference"]
    found = pcm(web.ask(f"{SONG}/pcm?from=12345&count=1000&stems={','.join(names)}"), len(names))
    for name, block in zip(names, found, strict=True):
        samples, _ = sf.read(song / "audio" / f"Demo_{name}.wav", dtype="float32")
        assert np.array_equal(block, samples[12345:13345].T)
    end = pcm(web.ask(f"{SONG}/pcm?from={6 * RATE_HZ - 7}&count=1000&stems=vocals"), 1)
    assert end.shape == (1, 2, 7)


def test_sixteen_bits_are_rounded_and_clipped(steady_web: Web) -> None:
    exact = pcm(steady_web.ask(f"{SONG}/pcm?from=0&count=500&stems=drums"), 1)[0]
    answer = steady_web.ask(f"{SONG}/pcm?from=0&count=500&stems=drums&format=i16")
    rounded = np.frombuffer(answer.body, "<i2").reshape(2, -1) / 32767.0
    assert np.abs(rounded - exact).max() <= 0.5 / 32767.0 + 1e-9


@pytest.mark.parametrize(
    "query",
    [
        "from=0&count=0&stems=drums",
        f"from=0&count={12 * RATE_HZ + 1}&stems=drums",
        "from=999999999&count=10&stems=drums",
        "from=-1&count=10&stems=drums",
        "from=0&count=10&stems=" + ",".join(["drums"] * 33),
        "from=1e3&count=10&stems=drums",
        "count=10&stems=drums",
        "from=0&count=10&stems=drums&format=mp3",
        "from=²&count=10&stems=drums",
    ],
)
def test_a_stretch_out_of_bounds_is_refused(steady_web: Web, query: str) -> None:
    assert steady_web.ask(f"{SONG}/pcm?{quote(query, safe='=&,')}").status == 400


@pytest.mark.parametrize("stem", ["nothing", "../manifest.json", "/etc/passwd", "Demo_drums.wav", ""])
def test_stems_are_found_by_their_names_only(steady_web: Web, stem: str) -> None:
    assert steady_web.ask(f"{SONG}/pcm?from=0&count=10&stems={quote(stem, safe='')}").status == 404


@pytest.mark.parametrize("song_id", ["..", "../..", "%2e%2e/%2e%2e/etc", "/etc", "nothing.session", "%00"])
def test_songs_are_found_in_the_music_folders_only(steady_web: Web, song_id: str) -> None:
    assert steady_web.ask(f"/api/songs/{song_id}/pcm?from=0&count=10&stems=drums").status == 404


def test_a_song_through_a_link_out_of_the_music_folder_is_not_found(web: Web, music: Path, tmp_path: Path) -> None:
    make_song(tmp_path / "elsewhere" / "Other.session", seconds=1)
    (music / "Link.session").symlink_to(tmp_path / "elsewhere" / "Other.session")
    assert web.ask("/api/songs/Link.session").status == 404
    assert web.ask("/api/songs").json()["songs"] == []


@pytest.mark.parametrize(("on_disk", "asked"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_song_is_found_however_its_accents_are_spelled(web: Web, music: Path, on_disk: Form, asked: Form) -> None:
    """macOS keeps an e and an accent, browsers and other machines send é: the same name."""
    name = "Jóga (été).session"
    make_song(music / unicodedata.normalize(on_disk, name), seconds=1)
    assert web.ask(f"/api/songs/{quote(unicodedata.normalize(asked, name))}").status == 200
    assert web.ask(f"/api/songs/{quote('Joga (ete).session')}").status == 404


def test_the_list_names_songs_and_mixes_and_no_path_of_this_machine(web: Web, song: Path, music: Path) -> None:
    (music / "later").mkdir()
    (music / "later" / "take 2.flac").write_bytes(b"x")
    (music / "notes.txt").write_text("x", "utf-8")
    answer = web.ask("/api/songs")
    listed = answer.json()
    assert [entry["id"] for entry in listed["songs"]] == ["Demo.session"]
    assert [entry["id"] for entry in listed["mixes"]] == ["later/take 2.flac"]
    assert str(music).encode() not in answer.body
    assert b"/secret/mix" not in web.ask(SONG).body


def test_peaks_hold_every_sample_at_every_level(steady_web: Web) -> None:
    detail = steady_web.ask(SONG).json()
    samples = pcm(steady_web.ask(f"{SONG}/pcm?from=0&count={detail['frames']}&stems=bass"), 1)[0]
    levels, at = [], 0
    body = np.frombuffer(steady_web.ask(f"{SONG}/peaks/bass").body, np.int8)
    for size in detail["levels"]:
        levels.append(body[at : at + 2 * size].reshape(-1, 2) / 127.0)
        at += 2 * size
    assert at == len(body)
    for depth, level in enumerate(levels):
        width = detail["level_base"] * detail["level_factor"] ** depth
        for column in range(0, len(level), 37):
            part = samples[:, column * width : (column + 1) * width]
            assert level[column, 0] <= part.min() <= level[column, 0] + 1 / 127 + 1e-9
            assert level[column, 1] >= part.max() >= level[column, 1] - 1 / 127 - 1e-9
    one = steady_web.ask(f"{SONG}/peaks/bass?level=0").body
    assert one == body[: 2 * detail["levels"][0]].tobytes()


def png_rows(body: bytes) -> np.ndarray:
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", body[16:24])
    data, at = b"", 8
    while at < len(body):
        size, kind = struct.unpack(">I4s", body[at : at + 8])
        assert zlib.crc32(body[at + 4 : at + 8 + size]) == struct.unpack(">I", body[at + 8 + size : at + 12 + size])[0]
        data += body[at + 8 : at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, width + 1)[:, 1:]


def test_a_spectrogram_shows_a_tone_at_its_place_and_level(web: Web, song: Path) -> None:
    time_s = np.arange(6 * RATE_HZ) / RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * 1000.0 * time_s) * (time_s >= 3.0)
    path = song / "audio" / "Demo_bass.wav"
    path.chmod(0o644)
    sf.write(path, np.stack([tone, tone], 1).astype(np.float32), RATE_HZ, subtype="FLOAT")
    rows = png_rows(web.ask(f"{SONG}/spectrogram/bass.png?from=0&to={6 * RATE_HZ}").body)[::-1]
    edges = np.geomspace(30.0, RATE_HZ / 2.0, rows.shape[0] + 1)
    loudest = int(rows[:, rows.shape[1] * 3 // 4].argmax())
    assert edges[loudest] <= 1010.0 and edges[loudest + 1] >= 990.0
    level_db = rows[loudest, rows.shape[1] * 3 // 4] * 96.0 / 255.0 - 96.0
    assert level_db == pytest.approx(-6.0, abs=1.5)
    assert rows[:, rows.shape[1] // 4].max() == 0


def test_measures_are_those_of_the_file(steady_web: Web) -> None:
    found = steady_web.ask(f"{SONG}/measures?stem=vocals").json()
    assert -40.0 < found["lufs"] < -10.0
    assert -30.0 < found["dbtp"] < 0.0


def test_strips_come_with_their_filters_and_stems(steady_web: Web) -> None:
    strips = {strip["name"]: strip for strip in steady_web.ask(f"{SONG}/plan?mix={mix()}").json()["strips"]}
    assert list(strips)[-1] == "mix"
    assert strips["vocals"]["stems"] == ["vocals"]
    assert strips["room"]["kind"] == "return"
    kinds = [effect["type"] for effect in strips["drums"]["effects"]]
    assert kinds == ["equalizer", "compressor"]
    b0, b1, b2, a0, a1, a2 = strips["drums"]["sections"][0][0]
    at_dc, at_nyquist = (b0 + b1 + b2) / (a0 + a1 + a2), (b0 - b1 + b2) / (a0 - a1 + a2)
    assert abs(at_dc) < 1e-9 and at_nyquist == pytest.approx(1.0)  # band's first: a high-pass


def test_a_neutral_template_sounds_exactly_like_the_mix(steady_web: Web) -> None:
    size = steady_web.ask(SONG).json()["cell"]
    cell = np.frombuffer(steady_web.ask(f"{SONG}/render?from={3 * size}&mix={mix('neutral')}").body, "<f4").reshape(
        2, -1
    )
    original = pcm(steady_web.ask(f"{SONG}/pcm?from={3 * size}&count={size}&stems=reference"), 1)[0]
    assert 20 * np.log10(np.abs(cell - original).max() + 1e-12) < -130.0


def test_the_mix_as_wav_is_what_the_cells_hold(steady_web: Web) -> None:
    wanted: dict[str, Any] = {"template": "band", "strips": {"vocals": {"mute": True}, "drums": {"gain_db": -6}}}
    link = steady_web.post(f"{SONG}/tickets", {"what": "balance", "mix": wanted}).json()
    body = steady_web.ask(link["url"], secret="").body
    samples, rate = sf.read(io.BytesIO(body), dtype="float32")
    assert (rate, len(samples)) == (RATE_HZ, 6 * RATE_HZ)
    size = steady_web.ask(SONG).json()["cell"]
    text = mix(strips=wanted["strips"])
    cell = np.frombuffer(steady_web.ask(f"{SONG}/render?from={2 * size}&mix={text}").body, "<f4").reshape(2, -1)
    assert np.array_equal(samples[2 * size : 3 * size].T, cell)
    assert steady_web.ask(link["url"], secret="").status == 404


def test_the_zip_holds_session_and_audio_and_nothing_else(web: Web, song: Path, tmp_path: Path) -> None:
    (song / "diary.txt").write_text("mine", "utf-8")
    link = web.post(f"{SONG}/tickets", {"what": "zip"}).json()
    answer = web.ask(link["url"], secret="")
    assert "Demo.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        for name in names:
            assert archive.read(name) == (song.parent / name).read_bytes()
    assert "Demo.session/Demo.rpp" in names and "Demo.session/audio/Demo_vocals.wav" in names
    assert not [name for name in names if "diary" in name]


def test_a_single_stem_is_the_file(web: Web, song: Path) -> None:
    link = web.post(f"{SONG}/tickets", {"what": "stem", "stem": "bass"}).json()
    assert web.ask(link["url"], secret="").body == (song / "audio" / "Demo_bass.wav").read_bytes()
    assert web.post(f"{SONG}/tickets", {"what": "stem", "stem": "../manifest"}).status == 404
    assert web.post(f"{SONG}/tickets", {"what": "everything"}).status == 400


def test_a_song_that_is_deleted_while_it_plays_is_an_error_in_words(web: Web, song: Path) -> None:
    assert web.ask(f"{SONG}/render?from=0&mix={mix()}").status == 200
    shutil.rmtree(song)
    for path in (
        "pcm?from=0&count=10&stems=bass",
        f"render?from=16384&mix={mix()}",
        "peaks/bass",
        "measures?stem=bass",
    ):
        answer = web.ask(f"{SONG}/{path}")
        assert answer.status == 404
        assert answer.json()["message"]


def test_only_a_page_on_this_computer_learns_paths(steady_web: Web) -> None:
    assert steady_web.ask(SONG).json()["path"].endswith("Demo.session")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "{",
        "[" * 5000,
        '{"template": "band", "strips": {"vocals": {"gain_db": "loud"}}}',
        '{"template": "band", "strips": {"vocals": {"gain_db": NaN}}}',
        '{"template": "band", "strips": {"vocals": {"gain_db": 99}}}',
        '{"template": "band", "strips": {"vocals": {"mute": 1}}}',
        '{"template": "band", "strips": {"nobody": {"mute": true}}}',
        '{"template": "nothing"}',
        '{"template": "../../etc/passwd"}',
        '{"template": "/etc/passwd.yaml"}',
        '{"template": "band", "strips": {"vocals": {"effects": [{"type": "compressor"}]}}}',
        '{"template": "band", "strips": {"vocals": {"effects": [{"type": "gain", "gain_db": 1e9, "enabled": true}]}}}',
        '{"template": "band", "strips": {"vocals": {"effects": [1]}}}',
    ],
)
def test_a_mix_that_is_none_is_refused_in_words(steady_web: Web, text: str) -> None:
    for path in (f"{SONG}/plan?mix={quote(text)}", f"{SONG}/render?from=0&mix={quote(text)}"):
        answer = steady_web.ask(path)
        assert answer.status in (400, 404, 422), answer.body
        assert "unexpected" not in answer.json()["message"]


def test_a_mix_is_kept_as_a_template_that_sounds_the_same(web: Web, song: Path, tmp_path: Path) -> None:
    effects = [{"type": "gain", "gain_db": -3.0, "enabled": True}]
    moved = {
        "vocals": {"gain_db": -4.5, "pan": 0.25, "effects": effects},
        "residual": {"mute": True},
        "mix": {"gain_db": -1},
    }
    wanted = {"template": "band", "strips": moved}
    assert web.post(f"{SONG}/template", {"name": "my band", "mix": wanted}).json() == {"name": "my band"}
    assert (tmp_path / "config" / "templates" / "my band.yaml").is_file()
    before = web.ask(f"{SONG}/render?from=16384&mix={mix(strips=moved)}")
    after = web.ask(f"{SONG}/render?from=16384&mix={mix('my band')}")
    assert before.status == 200 and before.body == after.body
    again = web.post(f"{SONG}/template", {"name": "my band", "mix": wanted})
    assert again.status == 409
    assert web.post(f"{SONG}/template", {"name": "my band", "mix": wanted, "replace": True}).status == 201
    assert web.post(f"{SONG}/template", {"name": "band", "mix": wanted}).status == 409
    for name in ("../x", "", "a/b", ".hidden", "x" * 80):
        assert web.post(f"{SONG}/template", {"name": name, "mix": wanted}).status == 400


def test_bars_stand_where_the_tempo_map_has_them(web: Web, song: Path) -> None:
    assert web.ask(f"{SONG}/plan?mix={mix()}").json()["bars"] == []  # nobody has found a tempo
    events = (
        TempoEvent(bar=0, tempo_bpm=120.0, time_signature=(4, 4)),
        TempoEvent(bar=1, tempo_bpm=60.0, time_signature=(2, 4)),
    )
    manifest = read_manifest(song)
    assert manifest is not None
    music = SongMusic(asked="auto", tempo_events=events, key="A minor")
    write_manifest(song, replace(manifest, music=music))
    plan = web.ask(f"{SONG}/plan?mix={mix()}").json()
    assert plan["bars"] == [0, 2 * RATE_HZ, 4 * RATE_HZ]
    assert plan["markers"][0]["name"] == "Key: A minor"


def test_a_licence_that_asks_is_accepted_once(web: Web) -> None:
    models = {model["name"]: model for model in web.ask("/api/models").json()}
    assert models["preview"]["licence_class"] == "clear" and not models["preview"]["asks"]
    assert models["kar_aufr33"]["licence_class"] == "unstated" and models["kar_aufr33"]["asks"]
    assert web.post("/api/models/kar_aufr33/licence", {}).status == 400
    assert "nobody" in web.post("/api/models/nobody/licence", {"accept": True}).json()["message"]
    assert web.post("/api/models/kar_aufr33/licence", {"accept": True}).status == 200
    again = {model["name"]: model["asks"] for model in web.ask("/api/models").json()}
    assert not again["kar_aufr33"] and again["kar_anvuew"]


def test_buses_in_buses_are_kept_in_a_template_of_the_page(web: Web, song: Path) -> None:
    """A chain made drums and bass of a stem `rhythm`: the strip of that bus can be moved, and the mix kept."""
    manifest = json.loads((song / "manifest.json").read_text())
    inner = [{"name": "drums"}, {"name": "bass"}]
    manifest["separation"]["settings"]["tree"] = {"name": "mix", "children": [{"name": "rhythm", "children": inner}]}
    (song / "manifest.json").write_text(json.dumps(manifest))
    moved = {"rhythm": {"gain_db": -6.0}, "drums": {"gain_db": 2.0}}
    strips = web.ask(f"{SONG}/plan?mix={mix('neutral', strips=moved)}").json()["strips"]
    assert {strip["name"]: strip["parent"] for strip in strips if strip["parent"]} == {
        "drums": "rhythm",
        "bass": "rhythm",
    }
    wanted = {"template": "neutral", "strips": moved}
    assert web.post(f"{SONG}/template", {"name": "nested", "mix": wanted}).json() == {"name": "nested"}
    before = web.ask(f"{SONG}/render?from=0&mix={mix('neutral', strips=moved)}")
    assert before.status == 200
    assert before.body == web.ask(f"{SONG}/render?from=0&mix={mix('nested')}").body
    assert before.body != web.ask(f"{SONG}/render?from=0&mix={mix('neutral', strips={'drums': {'gain_db': 2.0}})}").body


def test_a_reading_error_of_the_song_list_is_no_reason_to_stop(make_web: Callable[..., Web], music: Path) -> None:
    make_song(music / "Good.session", seconds=1)
    damaged = music / "Bad.session"
    damaged.mkdir()
    (damaged / "manifest.json").write_text('{"format": "daw-bridge manifest", "version": 1, "stems": 7}', "utf-8")
    assert [entry["id"] for entry in make_web().ask("/api/songs").json()["songs"]] == ["Good.session"]
