"""`reaper setup` and `undo`: REAPER's own files keep every line that is not ours, and come back as they were."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daw_bridge.cli.main import main
from daw_bridge.errors import Busy, InputError, OutputError
from daw_bridge_reaper.configure import host, setup
from daw_bridge_reaper.configure.changes import SetupOptions
from daw_bridge_reaper.configure.doctor import examine
from daw_bridge_reaper.configure.host import running_programs
from daw_bridge_reaper.configure.ini_text import IniText
from daw_bridge_reaper.settings import read_settings

REAPER_INI = (
    b'; mine\r\n[REAPER]\r\nlastproject=C:\\x=y.rpp\r\nCSURF_0=OSC "iPad" 7 9000 "10.0.0.2" 8000 1024 2 ""\r\n'
    b"csurf_cnt=1\r\nreascript=0\r\nLastProject=twice\r\n\r\n[verbosity]\r\nreascript=9\r\n"
) + "name=caf\xe9\r\n".encode("latin-1")
KEYS = b'KEY 5 90 40001 0\nSCR 4 0 RSabc "Custom: mine.lua" "mine.lua"\nACT 1 0 "x" "Custom: y" 40001'


@pytest.fixture(autouse=True)
def closed_reaper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(host, "running_programs", lambda: ["bash", "reaper-helper"])


@pytest.fixture
def resource(tmp_path: Path) -> Path:
    folder = tmp_path / "REAPER é"
    folder.mkdir()
    (folder / "reaper.ini").write_bytes(REAPER_INI)
    (folder / "reaper-kb.ini").write_bytes(KEYS)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".before-daw-bridge" not in path.name)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def options(resource: Path, *, live: bool = True, dry_run: bool = False) -> SetupOptions:
    return SetupOptions(resource_path=resource, live=live, dry_run=dry_run)


def everything(folder: Path) -> dict[str, bytes | None]:
    """All files with their bytes and all folders, backups included."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


@pytest.mark.parametrize("live", [False, True])
def test_undo_says_what_it_deletes_and_leaves_nothing(
    resource: Path, live: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (resource / "Data").mkdir()
    before = everything(tmp_path)
    setup.setup(options(resource, live=live))
    assert everything(tmp_path) != before
    # What the actions leave: a job that was never placed, and their settings, which REAPER writes when it quits.
    job = resource / "Scripts" / "daw-bridge" / "jobs" / "20260101-000000-000001-001"
    job.mkdir(parents=True)
    (job / "job.json").write_text("{}")
    states = resource / "reaper-extstate.ini"
    states.write_text((states.read_text() if states.is_file() else "") + "[daw-bridge]\nmodel=preview\npython=/x\n")
    assert main(["reaper", "undo", "--dry-run", "--resource-path", str(resource)]) == 0
    would = capsys.readouterr().out
    assert f"would delete {job / 'job.json'}" in would and "would delete " in would
    assert main(["reaper", "undo", "--resource-path", str(resource)]) == 0
    out = capsys.readouterr().out
    for name in ("reaper-kb.ini.before-daw-bridge-1", "Scripts/daw-bridge/daw_bridge_lib.lua", "reaper-extstate.ini"):
        assert f"deleted {resource / name}\n" in out
    assert f"wrote {resource / 'reaper-kb.ini'}\n" in out
    assert everything(tmp_path) == before | {"config": None}
    with pytest.raises(InputError, match="nothing to undo"):
        setup.undo(resource_path=resource, dry_run=False)


def test_undo_keeps_what_somebody_put_among_ours(resource: Path) -> None:
    setup.setup(options(resource, live=False))
    theirs = resource / "Scripts" / "daw-bridge" / "theirs.lua"
    theirs.write_text("mine")
    (resource / "reaper-extstate.ini").write_text("[other]\na=1\n[daw-bridge]\nmodel=x\n\n[last]\nb=2\n")
    setup.undo(resource_path=resource, dry_run=False)
    assert theirs.read_text() == "mine"
    assert (resource / "reaper-extstate.ini").read_text() == "[other]\na=1\n[last]\nb=2\n"


def test_settings_of_the_actions_alone_are_taken_away_too(resource: Path) -> None:
    states = resource / "reaper-extstate.ini"
    states.write_text("[daw-bridge]\npython=/x\n")
    assert setup.undo(resource_path=resource, dry_run=False).deleted == (states,)


def test_setup_takes_back_a_python_that_was_chosen_inside_reaper(resource: Path) -> None:
    states = resource / "reaper-extstate.ini"
    states.write_text("[daw-bridge]\npython=/old\nmodel=x\n")
    setup.setup(options(resource, live=False))
    assert states.read_text() == "[daw-bridge]\nmodel=x\n"


def test_a_bundle_holds_what_a_helper_needs_and_nobodys_home(
    resource: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    setup.setup(options(resource, live=False))
    jobs = resource / "Scripts" / "daw-bridge" / "jobs"
    jobs.mkdir()
    (jobs / "last.log").write_text(f"no memory at {tmp_path}/x")
    target = tmp_path / "help.zip"
    assert main(["reaper", "doctor", "--bundle", str(target)]) == 0
    with zipfile.ZipFile(target) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {"system.txt", "doctor.txt", "jobs/last.log", "reaper-kb.ini", "daw_bridge_config.lua"} <= set(texts)
    assert texts["jobs/last.log"] == "no memory at ~/x"
    assert "DAWBRIDGE_SEPARATE" in texts["reaper-kb.ini"] and "mine.lua" not in texts["reaper-kb.ini"]
    assert "lastproject" not in texts["reaper.ini"]
    assert not any(str(tmp_path) in text for text in texts.values())
    assert main(["reaper", "doctor", "--bundle", str(target)]) != 0


def test_the_written_lines_are_what_reaper_reads(resource: Path) -> None:
    setup.setup(options(resource))
    ini = IniText.parse((resource / "reaper.ini").read_bytes().decode("latin-1"))
    assert ini.newline == "\r\n"
    assert ini.control_surfaces()[0].startswith('OSC "iPad"')
    assert ini.control_surfaces()[1] == "HTTP 0 2307 '' 'index.html' 0 ''"
    assert (ini.get("REAPER", "csurf_cnt"), ini.get("REAPER", "reascript")) == ("2", "1")
    assert ini.get("verbosity", "reascript") == "9"
    keys = (resource / "reaper-kb.ini").read_text().splitlines()
    assert keys[:3] == KEYS.decode().splitlines()
    assert (
        'SCR 4 0 DAWBRIDGE_SEPARATE "Custom: daw-bridge: Separate selected items into stems..." '
        '"daw-bridge/daw_bridge_separate.lua"' in keys
    )
    for action in (*setup.ACTIONS, setup.SERVER):
        assert (resource / "Scripts" / "daw-bridge" / action.file).is_file()
    state = (resource / "reaper-extstate.ini").read_text()
    assert state == '[reapy]\nactivate_reapy_server="_DAWBRIDGE_SERVER"\n'
    script = (resource / "Scripts" / "daw-bridge" / "daw_bridge_server.py").read_text()
    assert "@SITE_PACKAGES@" not in script
    compile(script, "daw_bridge_server.py", "exec")


def test_a_second_setup_changes_nothing_and_undo_still_knows_the_first_state(resource: Path) -> None:
    before = contents(resource)
    setup.setup(options(resource))
    once = contents(resource)
    assert setup.setup(options(resource)).changed == ()
    assert contents(resource) == once
    setup.undo(resource_path=resource, dry_run=False)
    assert contents(resource)["reaper.ini"] == before["reaper.ini"]


def test_undo_keeps_what_reaper_wrote_meanwhile(resource: Path) -> None:
    setup.setup(options(resource))
    ini = (resource / "reaper.ini").read_bytes()
    (resource / "reaper.ini").write_bytes(ini.replace(b"lastproject=C:\\x=y.rpp", b"lastproject=new.rpp"))
    setup.undo(resource_path=resource, dry_run=False)
    assert (resource / "reaper.ini").read_bytes() == REAPER_INI.replace(b"C:\\x=y.rpp", b"new.rpp")


def test_backups_hold_the_old_bytes(resource: Path) -> None:
    report = setup.setup(options(resource))
    backup = resource / "reaper.ini.before-daw-bridge-1"
    assert backup.read_bytes() == REAPER_INI
    assert any(str(backup) in note for note in report.notes)


def test_a_dry_run_writes_nothing(resource: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    before = contents(tmp_path)
    assert main(["reaper", "setup", "--live", "--dry-run", "--resource-path", str(resource)]) == 0
    out = capsys.readouterr().out
    assert "+csurf_1=HTTP 0 2307" in out and "would write" in out
    assert contents(tmp_path) == before


def test_nothing_is_written_while_reaper_runs(resource: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "running_programs", lambda: ["reaper"])
    before = contents(resource)
    with pytest.raises(Busy, match="close it"):
        setup.setup(options(resource))
    with pytest.raises(Busy):
        setup.undo(resource_path=resource, dry_run=False)
    assert contents(resource) == before


def test_running_programs_are_seen() -> None:
    assert running_programs()
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        while "sleep" not in running_programs():  # its name comes a moment after it has begun
            assert process.poll() is None
        process.kill()


def test_a_failure_in_the_middle_puts_everything_back(resource: Path) -> None:
    (resource / "reaper-extstate.ini").mkdir()
    before = contents(resource)
    with pytest.raises((OutputError, InputError)):
        setup.setup(options(resource))
    assert contents(resource) == before
    assert not list(resource.glob("*.before-daw-bridge*"))


def test_a_folder_without_reaper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="start REAPER once"):
        setup.setup(SetupOptions(resource_path=tmp_path))


def test_a_port_of_their_own_is_remembered(resource: Path) -> None:
    setup.setup(SetupOptions(resource_path=resource, web_port=8123, live=True))
    assert read_settings().address.web_port == 8123
    assert read_settings().address.host == "127.0.0.1"


def test_a_forged_journal_deletes_nothing_else(resource: Path, tmp_path: Path) -> None:
    setup.setup(options(resource))
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    journal = tmp_path / "config" / "reaper-setup.json"
    raw = json.loads(journal.read_text())
    raw["created"] += [str(victim), str(resource / "Scripts" / "daw-bridge" / ".." / ".." / "reaper.ini")]
    journal.write_text(json.dumps(raw))
    setup.undo(resource_path=resource, dry_run=False)
    assert victim.read_text() == "mine" and (resource / "reaper.ini").is_file()


def test_the_doctor_names_each_missing_link(resource: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daw_bridge_reaper.configure.doctor.default_resource_path", lambda: tmp_path / "nowhere")
    assert [(check.name, check.ok) for check in examine()] == [("REAPER", False)]
    monkeypatch.setattr("daw_bridge_reaper.configure.doctor.default_resource_path", lambda: resource)
    assert {check.name: check.ok for check in examine()}["REAPER actions"] is False
    setup.setup(options(resource))
    checks = {check.name: check.ok for check in examine()}
    assert checks["REAPER actions"] and checks["REAPER live: web"] and checks["REAPER live: server"]
    assert not checks["REAPER live: answers"]
    assert all(check.fix for check in examine() if not check.ok)


def test_the_osc_patterns_are_ones_that_reaper_knows(resource: Path) -> None:
    """REAPER refuses a pattern file with an unknown key, or a pattern that has no flag in front of its address."""
    lines = (Path(setup.__file__).parents[1] / "actions" / "DawBridge.ReaperOSC").read_text().splitlines()
    for line in lines:
        if not line or line.startswith("#"):
            continue
        key, *patterns = line.split()
        if key.startswith(("DEVICE_", "REAPER_")) and "/" not in patterns[0]:
            assert patterns[0].isdigit() or patterns[0] in ("REAPER", "DEVICE", "INSERT")
            continue
        assert all(pattern[0] in "nfbtrsi" and pattern[1] == "/" for pattern in patterns), line
    for action in setup.ACTIONS:
        assert any(f"/action/_{action.id} " in line and action.title in line for line in lines), action.id


NAMES = st.sampled_from(["a", "B", "csurf_0", "reascript", "c d"])
LINES = st.lists(st.one_of(st.builds("{}={}".format, NAMES, st.text("ab =;", max_size=5)), st.just("[x]"), st.just("")))


@settings(deadline=None)
@given(LINES, NAMES, st.text("abc=", min_size=1, max_size=5))
def test_setting_and_removing_a_new_key_leaves_the_text(lines: list[str], key: str, value: str) -> None:
    text = "".join(f"{line}\n" for line in ["[REAPER]", *lines])
    ini = IniText.parse(text)
    if ini.get("REAPER", key) is not None:
        return
    ini.set("REAPER", key, value)
    assert ini.get("REAPER", key) == value
    ini.set("REAPER", key, None)
    assert str(ini) == text
