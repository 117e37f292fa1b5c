"""Ardour's tools, when they are missing, old, slow or crash: stand-in programs that behave badly on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from daw_bridge.errors import DawError, OutputError
from daw_bridge_ardour.adapter import ADAPTER
from daw_bridge_ardour.program import Ardour, checks, export_session, find_ardour, need_ardour, run_ardour


def script(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "Song-ardour"
    folder.mkdir()
    (folder / "Song.ardour").write_text("<Session/>")
    return folder


def pretend(folder: Path, export: str, version: str = "7.3.0") -> Ardour:
    return Ardour(lua=folder / "lua", export=script(folder, "ardour7-export", export), version=version)


def test_without_ardour_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ardour() is None
    with pytest.raises(DawError, match="apt install ardour"):
        need_ardour()
    program, plugins = ADAPTER.doctor()
    assert not program.ok
    assert "can be written without it" in program.fix
    assert program.optional
    assert plugins.name == "Ardour's ACE plug-ins"


def test_an_old_ardour_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for tool in ("lua", "export"):
        script(tmp_path, f"ardour6-{tool}", "echo 'ardour-lua version 6.9.0'")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DawError, match=r"6\.9\.0 is too old"):
        need_ardour()
    assert "too old" in checks()[0].detail


def test_missing_stock_plugins_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LV2_PATH", str(tmp_path))
    (tmp_path / "a-eq.lv2").mkdir()
    check = checks()[1]
    if check.ok:
        pytest.skip("an Ardour bundle lies in /opt")
    assert check.detail == "not found: a-comp, a-delay, a-exp, a-reverb"
    assert "ardour-lv2-plugins" in check.fix


def test_every_process_gets_the_flag_against_the_avx512_crash(tmp_path: Path) -> None:
    shown = script(tmp_path, "show", 'echo "flags=$ARDOUR_FPU_FLAGS"')
    assert run_ardour([shown], timeout_s=10).strip() == "flags=0"


def test_exports_keep_the_users_settings_but_for_the_port_resampler(
    tmp_path: Path, session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it Ardour now and then aligns sends 16 samples late."""
    own = tmp_path / "settings" / "ardour7" / "config"
    own.parent.mkdir(parents=True)
    options = '<Option name="a" value="b"/><Option name="port-resampler-quality" value="17"/>'
    text = f"<Ardour><Config>{options}</Config></Ardour>"
    own.write_text(text)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    program = pretend(tmp_path, f'cp "$XDG_CONFIG_HOME/ardour7/config" {tmp_path}/used; echo x > "$4"')
    export_session(session, tmp_path / "out.wav", ardour=program)
    used = (tmp_path / "used").read_text()
    assert '<Option name="a" value="b" />' in used
    assert used.count("port-resampler-quality") == 1
    assert '<Option name="port-resampler-quality" value="0" />' in used
    assert own.read_text() == text


def test_a_crash_in_mid_export_leaves_no_file(tmp_path: Path, session: Path) -> None:
    """What 7.3 does on AVX-512: a full-size file is written, then the process aborts."""
    program = pretend(tmp_path, 'echo half > "$4"; echo "malloc(): invalid size" >&2; kill -ABRT $$')
    with pytest.raises(DawError, match=r"ardour7-export crashed \(signal 6\).*malloc\(\): invalid size"):
        export_session(session, tmp_path / "out.wav", ardour=program)
    assert not list(tmp_path.glob("*.wav*"))


def test_a_crash_is_tried_again(tmp_path: Path, session: Path) -> None:
    """Debian's 8.12 aborts in every second run while its threads end."""
    count = tmp_path / "count"
    body = f'echo x >> {count}; echo whole > "$4"; test $(wc -l < {count}) -ge 3 || kill -ABRT $$'
    target = export_session(session, tmp_path / "out.wav", ardour=pretend(tmp_path, body))
    assert target.read_text() == "whole\n"
    assert count.read_text() == "x\n" * 3


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path, session: Path) -> None:
    program = pretend(tmp_path, "echo one; echo two; echo three; echo four; echo five; exit 3")
    with pytest.raises(DawError, match=r"exit code 3\).*two \| three \| four \| five"):
        export_session(session, tmp_path / "out.wav", ardour=program)


def test_a_hanging_export_is_stopped(tmp_path: Path, session: Path) -> None:
    program = pretend(tmp_path, 'echo half > "$4"; echo waiting; exec sleep 30')
    with pytest.raises(DawError, match=r"did not finish within 0\.5 s; its log ends: waiting"):
        export_session(session, tmp_path / "out.wav", ardour=program, timeout_s=0.5)
    assert not list(tmp_path.glob("*.wav*"))


def test_an_export_that_writes_nothing_is_an_error(tmp_path: Path, session: Path) -> None:
    with pytest.raises(DawError, match="wrote nothing"):
        export_session(session, tmp_path / "out.wav", ardour=pretend(tmp_path, "exit 0"))


def test_an_existing_file_is_not_overwritten(tmp_path: Path, session: Path) -> None:
    (tmp_path / "out.wav").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        export_session(session, tmp_path / "out.wav", ardour=pretend(tmp_path, "exit 0"))
    assert (tmp_path / "out.wav").read_text() == "mine"


def test_a_folder_without_a_session_is_named(tmp_path: Path) -> None:
    with pytest.raises(DawError, match="no Ardour session"):
        export_session(tmp_path, tmp_path / "out.wav", ardour=pretend(tmp_path, "exit 0"))


def test_a_program_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DawError, match="cannot be started"):
        run_ardour([tmp_path / "nothing"], timeout_s=1)


@pytest.mark.daw
def test_the_real_ardour_refuses_a_broken_session(ardour: Ardour, session: Path, tmp_path: Path) -> None:
    with pytest.raises(DawError, match=r"export (failed|crashed)"):
        export_session(session, tmp_path / "out.wav", ardour=ardour, timeout_s=60)
    assert not list(tmp_path.glob("*.wav*"))


@pytest.mark.daw
def test_the_doctor_finds_the_real_ardour(ardour: Ardour) -> None:
    assert ardour.version.partition(".")[0].isdigit()
    assert all(check.ok for check in ADAPTER.doctor())
