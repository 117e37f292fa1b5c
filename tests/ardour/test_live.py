"""A real, headless Ardour with OSC on: what we set is what it reports, and what it does not take is an error."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ardour_osc import ardour_with_osc
from daw_bridge.errors import DawError, DawUnreachable
from tests.ardour.installed import need_installed_ardour
from tests.ardour.live_ardour import LiveArdour, fader_to_db
from tests.ardour.osc_link import OscLink
from tests.ardour.plans import full_plan
from tests.ardour.read_back import read_session


@pytest.fixture(scope="module")
def session_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The session file of a running Ardour."""
    ardour = need_installed_ardour()
    folder = tmp_path_factory.mktemp("live")
    with ardour_with_osc(ardour, full_plan(folder), folder) as file:
        yield file


@pytest.fixture(scope="module")
def port(session_file: Path) -> int:
    """The port of that Ardour: it takes the next free one when another program has 3819."""
    for candidate in range(3819, 3829):
        try:
            with LiveArdour(port=candidate, timeout_s=10.0) as connection:
                if "Vocals - lead" in [strip.name for strip in connection.strips()]:
                    return candidate
        except DawUnreachable:
            continue
    raise AssertionError(f"no OSC server has {session_file}")


@pytest.fixture
def live(port: int) -> Iterator[LiveArdour]:
    with LiveArdour(port=port, timeout_s=10.0) as connection:
        yield connection


@pytest.mark.daw
def test_strips_are_listed_with_their_state(live: LiveArdour) -> None:
    strips = {strip.name: strip for strip in live.strips()}
    assert list(strips) == [
        "drums", "a-b- 'v' & (x)", "Bass stem", "Drums", "Bass", "Vocals - lead", "Verb", "Echo", "Mix", "Reference",
    ]  # fmt: skip
    assert strips["drums"].kind == "track"
    assert strips["Drums"].kind == "bus"
    assert strips["Reference"].mute
    assert live.sample_rate_hz == 48_000


@pytest.mark.daw
def test_levels_pans_mutes_and_solos_are_confirmed(live: LiveArdour, session_file: Path) -> None:
    assert live.set_gain("Drums", -4.0) == pytest.approx(-4.0, abs=0.1)
    assert live.set_gain("Drums", -4.0) == pytest.approx(-4.0, abs=0.1), "the same value again"
    assert live.set_pan("Drums", 0.4) == pytest.approx(0.4, abs=0.01)
    assert live.set_mute("Drums", on=True) is True
    assert live.set_mute("Drums", on=False) is False
    assert live.set_solo("Drums", on=True) is True
    assert live.set_solo("Drums", on=False) is False
    assert live.set_master_gain(-3.0) == pytest.approx(-3.0, abs=0.1)
    assert live.set_send_gain("Drums", "Verb", -9.0) == pytest.approx(-9.0, abs=0.1)
    saved_at = session_file.stat().st_mtime_ns
    live.save()
    end = time.monotonic() + 10.0
    while session_file.stat().st_mtime_ns == saved_at and time.monotonic() < end:
        time.sleep(0.05)
    strip = read_session(session_file).strips["Drums"]
    assert strip.gain_linear == pytest.approx(10 ** (-4 / 20), rel=1e-5)
    assert strip.azimuth == pytest.approx(0.7, abs=1e-5)
    assert {send.to: round(send.gain_linear, 4) for send in strip.sends}["Verb"] == round(10 ** (-9 / 20), 4)


@pytest.mark.daw
def test_plugin_values_are_confirmed(live: LiveArdour) -> None:
    assert [plugin.name for plugin in live.plugins("Drums")] == [
        "daw-bridge EQ", "ACE EQ", "ACE Compressor (stereo)", "ACE Expander (stereo)",
    ]  # fmt: skip
    assert live.set_parameter("Drums", 3, "Threshold", -23.5) == pytest.approx(-23.5)
    assert live.set_parameter("Drums", 1, "Band 1 Frequency", 55.0) == pytest.approx(55.0, abs=0.1)
    assert live.set_plugin_active("Drums", 3, on=False) is False
    assert live.plugins("Drums")[2].active is False
    assert live.set_plugin_active("Drums", 3, on=True) is True


@pytest.mark.daw
def test_names_markers_and_transport_are_confirmed(live: LiveArdour) -> None:
    assert live.rename("Echo", "Slap") == "Slap"
    assert live.rename("Slap", "Echo") == "Echo"
    placed = live.add_marker("Bridge", 12_345)
    assert placed == pytest.approx(12_345, abs=16)
    live.locate(100)
    assert live.jump("Bridge", 12_345) == placed
    live.play()
    live.stop()
    assert live.position() >= placed


@pytest.mark.daw
def test_what_ardour_lacks_is_an_error_with_a_hint(live: LiveArdour) -> None:
    with pytest.raises(DawError, match=r"no strip called 'Drumz' \(did you mean Drums\?\)"):
        live.set_gain("Drumz", 0.0)
    with pytest.raises(DawError, match=r"no 'Treshold' \(did you mean Threshold\?\)"):
        live.set_parameter("Drums", 3, "Treshold", -10.0)
    with pytest.raises(DawError, match=r"outside -60\.\.0"):
        live.set_parameter("Drums", 3, "Threshold", 12.0)
    with pytest.raises(DawError, match="no send to 'Mix'"):
        live.set_send_gain("Drums", "Mix", 0.0)
    with pytest.raises(DawError, match=r"outside -1\.\.1"):
        live.set_pan("Drums", 2.0)
    live._timeout_s = 2.0  # what users have; connecting alone may take longer on a busy machine
    with pytest.raises(DawError, match="marker 'nowhere' should be"):
        live.jump("nowhere", 40_000)


@pytest.mark.daw
def test_a_level_that_ardour_clamps_is_not_called_set(live: LiveArdour) -> None:
    live._timeout_s = 2.0
    with pytest.raises(DawError, match="should be 40 and Ardour reports 6"):
        live.set_gain("Drums", 40.0)
    live.set_gain("Drums", 0.0)


def test_without_ardour_the_error_says_what_to_switch_on() -> None:
    with pytest.raises(DawUnreachable, match=r"no Ardour answers at 127\.0\.0\.1:9; .*Open Sound Control"):
        LiveArdour(port=9, timeout_s=0.3)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(DawUnreachable, match="cannot be reached"):
        OscLink("no-such-host.invalid", 3819)


def test_the_fader_law_is_ardours() -> None:
    """Unity is at 0.7815 of the way; -6 dB at 0.607 as Ardour 7.3 reports it."""
    assert fader_to_db((192 / 198) ** 8) == pytest.approx(0.0, abs=1e-9)
    assert fader_to_db(0.606967568397522) == pytest.approx(-6.0, abs=0.01)
