"""Which files are meant: one list of what is audio, lists and sheets as people have them, a folder for each song."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile as sf

from daw_bridge.audio.reader import glance, open_audio, probe
from daw_bridge.audio.suffixes import AUDIO_SUFFIXES
from daw_bridge.build_options import BuildOptions
from daw_bridge.control.net.security import MusicFolders
from daw_bridge.errors import InputError
from daw_bridge.files import safe_name
from daw_bridge.progress import CancelToken
from daw_bridge.song import open_song
from daw_bridge.spelling import as_on_disk
from daw_bridge.workflow.batch import estimate, run_batch
from daw_bridge.workflow.chain import build
from daw_bridge.workflow.cue import read_cue
from daw_bridge.workflow.ledger import Ledger
from daw_bridge.workflow.playlists import read_playlist
from daw_bridge.workflow.songs import list_songs, song_folders
from tests.audio.odd_files import encoded, flac, mp3, ogg, song, wav

FAST = BuildOptions(model="preview", template="neutral", daws=())


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    return folder


ENCODED = {
    ".wma": ("asf", "wmav2"),
    ".wv": ("wv", "wavpack"),
    ".tta": ("tta", "tta"),
    ".m4b": ("ipod", "aac"),
    ".mka": ("matroska", "flac"),
    ".mp2": ("mp2", "mp2"),
    ".avi": ("avi", "libmp3lame"),
    ".caf": ("caf", "pcm_s16be"),
    ".au": ("au", "pcm_s16be"),
    ".ac3": ("ac3", "ac3"),
    ".ts": ("mpegts", "aac"),
    ".flv": ("flv", "aac"),
    ".3gp": ("3gp", "aac"),
    ".mov": ("mov", "pcm_s16le"),
    ".mpg": ("mpeg", "mp2"),
}


@pytest.mark.parametrize("suffix", ENCODED)
def test_what_a_folder_takes_for_audio_is_decoded(music: Path, suffix: str) -> None:
    path = music / f"a{suffix}"
    container, codec = ENCODED[suffix]
    path.write_bytes(encoded(container, codec))
    assert list_songs([str(music)]).songs == [path]
    with open_audio(path) as reader:
        assert sum(block.shape[1] for block in reader.blocks()) > 40_000
    assert {suffix, suffix.upper().lower()} <= AUDIO_SUFFIXES


def test_whatever_is_passed_over_is_counted_and_named_once(music: Path) -> None:
    for name in ("a.wav", "._a.wav", ".hidden.wav", "cover.jpg", "a.wav.asd", "b.mp3.part"):
        (music / name).write_bytes(b"x")
    (music / "__MACOSX").mkdir()
    (music / "link.wav").symlink_to("a.wav")
    (music / "gone.wav").symlink_to("nowhere.wav")
    (music / "loop").symlink_to("..")
    listing = list_songs([str(music)])
    assert [path.name for path in listing.songs] == ["a.wav"]
    assert listing.skipped == {
        "what macOS leaves beside files": ["._a.wav", "__MACOSX"],
        "hidden": [".hidden.wav"],
        "no audio by their names": ["a.wav.asd", "b.mp3.part", "cover.jpg"],
        "links that point nowhere": ["gone.wav"],
        "links to songs that are listed": ["link.wav"],
        "linked folders": ["loop"],
    }
    assert "skipped 3, no audio by their names: a.wav.asd, b.mp3.part, cover.jpg" in listing.lines()


def test_a_folder_without_songs_says_what_it_passed_over(music: Path) -> None:
    (music / "notes.docx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"no songs there.*notes\.docx"):
        list_songs([str(music)])


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("plain song.wav", "plain song.wav"),
        ("plain%20song.wav", "plain song.wav"),
        ("100%25.wav", "100%.wav"),
        ("100%.wav", "100%.wav"),
        ("Artist\\song.wav", "Artist/song.wav"),
        (r"D:\Music\Artist\song.wav", "Artist/song.wav"),
        ("/home/other/Music/Artist/song.wav", "Artist/song.wav"),
        ("file:///home/other/Artist/song.wav", "Artist/song.wav"),
        ("./Artist/song.wav", "Artist/song.wav"),
        ("#1 Crush.wav", "#1 Crush.wav"),
        ("  plain song.wav  ", "plain song.wav"),
        ("J\u00f3ga.wav", "Jo\u0301ga.wav"),
        ("J%C3%B3ga.wav", "Jo\u0301ga.wav"),
        ("J%F3ga.wav", "Jo\u0301ga.wav"),
        ("ARTIST\\Song.WAV", "Artist/song.wav"),
        (r'"D:\Music\Artist\song.wav"', "Artist/song.wav"),
        ("'plain song.wav'", "plain song.wav"),
    ],
)
@pytest.mark.parametrize("list_name", ["list.m3u", "list.m3u8", "list.txt"])
def test_a_line_of_a_list_is_understood_as_it_was_meant(music: Path, line: str, name: str, list_name: str) -> None:
    (music / "Artist").mkdir()
    for each in ("plain song.wav", "100%.wav", "Artist/song.wav", "#1 Crush.wav", "Jo\u0301ga.wav"):
        (music / each).write_bytes(b"x")
    (music / list_name).write_text(f"#EXTM3U\n#EXTINF:12,An artist - a title\n{line}\n# a remark\n", "utf-8")
    assert [path.relative_to(music).as_posix() for path in list_songs([str(music / list_name)]).songs] == [name]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_of_every_origin_are_read(music: Path, encoding: str, end: str) -> None:
    (music / "Grüße.wav").write_bytes(b"x")
    (music / "list.m3u").write_bytes(f"#EXTM3U{end}Grüße.wav{end}".encode(encoding))
    assert list_songs([str(music / "list.m3u")]).songs == [music / "Grüße.wav"]


def test_a_list_says_what_is_missing_and_what_lies_on_the_web(music: Path) -> None:
    (music / "list.m3u").write_text("gone.wav\nhttp://radio.example/live\n")
    songs, others = read_playlist(music / "list.m3u")
    assert songs == [music / "gone.wav"]
    assert others == ["http://radio.example/live"]


SHEET = """REM GENRE Rock
PERFORMER "Somebody"
FILE "album.wav" WAVE
  TRACK 01 AUDIO
    TITLE "First/one"
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    TITLE "Grüße"
    INDEX 00 00:00:30
    INDEX 01 00:00:40
"""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_cue_sheet_cuts_a_file_into_songs_on_the_sample(music: Path, encoding: str) -> None:
    (music / "album.wav").write_bytes(wav())
    (music / "album.cue").write_bytes(SHEET.encode(encoding))
    for source in (music, music / "album.cue"):
        listing = list_songs([str(source)])
        assert [path.stem for path in listing.songs] == ["01 First one", "02 Grüße"]
        assert listing.skipped == {}
    parts = []
    for path in listing.songs:
        path.parent.mkdir(parents=True)
        listing.cuts[path].write(path, accept_damaged=False, cancel=CancelToken())
        parts.append(sf.read(path, dtype="float32")[0].T)
    assert parts[0].shape[1] == 40 * 588
    assert np.array_equal(np.concatenate(parts, axis=1), song())


def test_a_batch_of_a_cue_sheet_makes_a_folder_for_each_song_beside_the_sheet(music: Path, tmp_path: Path) -> None:
    (music / "album.flac").write_bytes(flac())  # the sheet still says album.wav
    (music / "album.cue").write_text(SHEET, "utf-8")
    listing = list_songs([str(music)])
    ledger = Ledger(tmp_path / "ledger.sqlite")
    told = estimate(listing, FAST, ledger)
    assert told.audio_s == pytest.approx(1.0)
    outcomes = run_batch(listing, FAST, ledger)
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert sorted(path.name for path in music.iterdir()) == [
        "01 First one.session",
        "02 Grüße.session",
        "album.cue",
        "album.flac",
    ]
    assert all(outcome.skipped for outcome in run_batch(list_songs([str(music)]), FAST, ledger))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('FILE "album.wav" WAVE\n TRACK 01 AUDIO\n  INDEX 01 0:0\n', "is no time"),
        (SHEET.replace("00:00:40", "00:00:00"), "track 1 ends before it begins"),
    ],
)
def test_a_wrong_cue_sheet_is_one_line(music: Path, text: str, message: str) -> None:
    (music / "album.wav").write_bytes(wav())
    (music / "album.cue").write_text(text)
    with pytest.raises(InputError, match=message):
        read_cue(music / "album.cue")
    listing = list_songs([str(music)])  # in a folder the file itself is the song then
    assert [path.name for path in listing.songs] == ["album.wav"]
    assert message in str(listing.skipped)


def test_what_lies_before_the_first_track_is_a_hidden_song_and_a_pause_is_none(music: Path) -> None:
    (music / "album.wav").write_bytes(wav())
    for start, names in (("00:04:74", ["01", "02"]), ("00:05:00", ["00 before track 1", "01", "02"])):
        (music / "album.cue").write_text(
            f'FILE "album.wav" WAVE\n TRACK 01 AUDIO\n  INDEX 00 00:00:00\n  INDEX 01 {start}\n'
            " TRACK 02 AUDIO\n  INDEX 01 00:09:00\n TRACK 03 MODE1/2352\n  INDEX 01 1:0:0\n"
        )
        listing = list_songs([str(music)])
        assert [path.stem for path in listing.songs] == names
        starts = [listing.cuts[path].start_frames for path in listing.songs]
        assert starts == sorted(starts) and (starts[0] == 0) == (len(names) == 3)


def test_a_track_that_begins_in_the_file_before_its_own_is_not_lost(music: Path) -> None:
    """As rippers write sheets that keep the pauses: INDEX 00 stands behind one FILE, INDEX 01 behind the next."""
    for name in ("a.wav", "b.wav", "c.wav"):
        (music / name).write_bytes(wav())
    (music / "album.cue").write_text(
        'FILE "a.wav" WAVE\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n TRACK 02 AUDIO\n  TITLE "Two"\n  INDEX 00 00:00:50\n'
        'FILE "b.wav" WAVE\n  INDEX 01 00:00:00\n TRACK 03 AUDIO\n  INDEX 01 00:00:40\n'
        'FILE "c.wav" WAVE\n TRACK 04 AUDIO\n  INDEX 01 00:00:00\n'
    )
    cuts, whole = read_cue(music / "album.cue")
    assert [(cut.name, cut.source.name, cut.start_frames) for cut in cuts] == [
        ("02 Two", "b.wav", 0),
        ("03", "b.wav", 40),
    ]
    assert [path.name for path in whole] == ["a.wav", "c.wav"]
    for source in (music, music / "album.cue", music / "*.cue"):  # every song once, whichever way
        assert sorted(path.stem for path in list_songs([str(source)]).songs) == ["02 Two", "03", "a", "c"]


def test_a_damaged_file_under_a_cue_sheet_can_be_accepted(music: Path, tmp_path: Path) -> None:
    data = flac()
    (music / "album.flac").write_bytes(data[: len(data) * 9 // 10])
    (music / "album.cue").write_text(SHEET, "utf-8")
    listing, ledger, notes = list_songs([str(music)]), Ledger(tmp_path / "ledger.sqlite"), list[str]()
    refused = run_batch(listing, FAST, ledger)
    assert all("cut off at 0:00" in outcome.error and "accept_damaged" in outcome.error for outcome in refused)
    accepting = replace(FAST, accept_damaged=True)
    outcomes = run_batch(listing, accepting, ledger, on_progress=lambda event: notes.append(event.note))
    assert [outcome.error for outcome in outcomes] == ["", ""]
    assert any("cut off" in note for note in notes)
    folder = next(outcome.folder for outcome in outcomes if outcome.mix.stem.startswith("02"))
    assert folder is not None
    assert any("cut off" in note for note in open_song(folder).reference.notes)


def test_a_cue_sheet_of_one_file_a_song_changes_nothing(music: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (music / name).write_bytes(b"x")
    (music / "album.cue").write_text('FILE "a.wav" WAVE\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n')
    assert [path.name for path in list_songs([str(music)]).songs] == ["a.wav", "b.wav"]


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_both_spellings_of_an_accent_are_the_same_file_everywhere(
    music: Path, form: Literal["NFC", "NFD"], other: Literal["NFC", "NFD"]
) -> None:
    folder = music / unicodedata.normalize(form, "Björk")
    folder.mkdir()
    path = folder / unicodedata.normalize(form, "Jóga.wav")
    path.write_bytes(wav())
    asked = music / unicodedata.normalize(other, "Björk") / unicodedata.normalize(other, "Jóga.wav")
    assert as_on_disk(asked) == path
    assert list_songs([str(asked)]).songs == [path]
    text = unicodedata.normalize(other, "Björk/Jóga.wav")
    assert MusicFolders.of([music]).resolve(text, "file") == path.resolve()
    assert build(asked, FAST).manifest.original is not None
    assert as_on_disk(music / "none.wav") == music / "none.wav"


def test_the_spelling_of_names_opens_nothing_outside_a_music_folder(music: Path) -> None:
    (music.parent / unicodedata.normalize("NFD", "é.wav")).write_bytes(b"x")
    with pytest.raises(InputError, match="not found in a music folder"):
        MusicFolders.of([music]).resolve("../é.wav", "file")


def test_a_flac_that_comes_later_beside_an_mp3_gets_a_folder_of_its_own(music: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    (music / "song.mp3").write_bytes(mp3())
    run_batch(list_songs([str(music)]).songs, FAST, ledger)
    (music / "song.flac").write_bytes(flac())
    for known in (ledger, Ledger(tmp_path / "lost.sqlite")):
        outcomes = run_batch(list_songs([str(music)]).songs, FAST, known)
        assert [outcome.error for outcome in outcomes] == ["", ""]
    folders = song_folders(list_songs([str(music)]).songs)
    assert {mix.name: folder.name for mix, folder in folders.items()} == {
        "song.flac": "song (2).session",
        "song.mp3": "song.session",
    }


def test_a_song_whose_place_another_one_holds_gets_the_next(music: Path, tmp_path: Path) -> None:
    """The MP3 was built and thrown away; the FLAC of the same name is another file."""
    (music / "song.mp3").write_bytes(mp3())
    build(music / "song.mp3", FAST)
    (music / "song.mp3").unlink()
    (music / "song.flac").write_bytes(flac())
    outcomes = run_batch(list_songs([str(music)]).songs, FAST, Ledger(tmp_path / "ledger.sqlite"))
    assert [outcome.error for outcome in outcomes] == [""]
    assert (music / "song (2).session").is_dir()


def test_a_folder_that_was_moved_with_its_songs_is_known_again(music: Path, tmp_path: Path) -> None:
    (music / "song.flac").write_bytes(flac())
    build(music / "song.flac", FAST)
    moved = music.rename(tmp_path / "moved")
    assert song_folders(list_songs([str(moved)]).songs)[moved / "song.flac"].name == "song.session"


def test_mixes_of_one_name_keep_their_folders_when_another_one_comes(tmp_path: Path) -> None:
    days = [tmp_path / day / "mix.wav" for day in ("day1", "day2", "day3")]
    for index, path in enumerate(days):
        path.parent.mkdir()
        path.write_bytes(wav(data=bytes([index + 1]) * 4_000))
    out = tmp_path / "out"
    for mixes in (days[1:], days):
        outcomes = run_batch(mixes, BuildOptions(model="preview", daws=(), output=out), Ledger(tmp_path / "l.sqlite"))
        assert [outcome.error for outcome in outcomes] == [""] * len(mixes)
    assert [song_folders(days, out)[day].name for day in days] == ["mix (3).session", "mix.session", "mix (2).session"]


def test_long_names_stay_different_and_meaningful() -> None:
    start = "10 Symphony No. 9 in D minor, Op. 125, Choral - performed by the Philharmonic Orchestra - "
    names = [safe_name(start + end) for end in ("I. Allegro", "II. Molto vivace", "III. Adagio")]
    assert len(set(names)) == 3
    assert all(name.startswith("10 Symphony No. 9 in D minor") and len(name) <= 80 for name in names)
    assert [name.rpartition("- ")[2] for name in names] == ["I. Allegro", "II. Molto vivace", "III. Adagio"]
    for text in ("歌" * 300 + "終", "🎸" * 90 + "z", "x" * 500):
        assert len(safe_name(text).encode()) <= 200
        assert safe_name(text)[-1] == text[-1]


def test_a_glance_is_near_the_truth(music: Path) -> None:
    for name, data in (
        ("a.mp3", mp3()),
        ("v.mp3", mp3(xing=False)),
        ("a.flac", flac()),
        ("a.ogg", ogg()),
        ("a.wav", wav()),
    ):
        path = music / name
        path.write_bytes(data)
        about = glance(path)
        true = probe(path)
        length = about.length_samples or about.estimated_samples or 0
        assert length == pytest.approx(true.length_samples or true.estimated_samples, rel=0.06), name


def test_listing_and_naming_take_time_in_proportion_to_the_songs(tmp_path: Path) -> None:
    """Each song was compared with all others: 384 ms a song at 16,000. CPU time, and a wide margin."""
    songs = [tmp_path / f"album {index // 10}" / f"{index % 10}.wav" for index in range(5_000)]
    began = time.process_time()
    assert len(set(song_folders(songs, tmp_path / "out").values())) == 5_000
    assert len(set(song_folders(songs).values())) == 5_000
    assert time.process_time() - began < 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_folder_that_may_not_be_read_is_named_and_the_others_are_listed(
    music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("open", "locked"):
        (music / name).mkdir()
        (music / name / "a.wav").write_bytes(wav())
    (music / "locked").chmod(0)
    music.chmod(0o755)
    monkeypatch.chdir(music)
    user = os.geteuid()
    try:
        if user == 0:  # root may read everything
            os.seteuid(65_534)
        listing = list_songs(["."])
    finally:
        os.seteuid(user)
        (music / "locked").chmod(0o755)
    assert listing.songs == [Path("open/a.wav")]
    assert listing.lines() == ["skipped 1, folders that cannot be read (Permission denied): locked"]
