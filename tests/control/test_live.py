"""The live preview's faders from a surface: the real faders and the real pipe, without a sound card."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from daw_bridge.control.mixer import live_preview as live_mixer
from daw_bridge.control.mixer.live_preview import LiveMixer
from daw_bridge.errors import DawError, DawUnreachable
from daw_bridge.mixer import MixerAddress, MixerChange

Make = Callable[..., Any]

# What `daw-bridge live --remote` does with its faders, less the sound.
HOST = """
import sys
from daw_bridge.live.mixer import Controls
from daw_bridge.live.remote import remote
controls = Controls(["vocals", "drums", "bass", "other"])
with remote(controls, sys.stdin, sys.stdout) as wait:
    try:
        while True:
            wait(0.01)
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture
def live() -> Iterator[LiveMixer]:
    mixer = LiveMixer("live", [sys.executable, "-c", HOST])
    yield mixer
    mixer.close()


def test_faders_move_and_report_what_they_are(live: LiveMixer) -> None:
    assert [channel.name for channel in live.channels()] == ["vocals", "drums", "bass", "other"]
    heard: list[MixerChange] = []
    live.on_change(heard.append)
    assert len(heard) == 12
    live.set("vocals", "mute", 1.0)
    live.set("drums", "gain_db", -6.5)
    live.set("bass", "gain_db", 99.0)  # the top is 12 dB, and that is what is reported
    assert [(each.channel, each.value) for each in heard[12:]] == [("vocals", 1.0), ("drums", -6.5), ("bass", 12.0)]
    with pytest.raises(DawError, match="no stem called 'violin'"):
        live.set("violin", "solo", 1.0)
    # It ends with its daemon: when the pipe closes.
    live.close()
    assert live._process.returncode == 0
    with pytest.raises(DawError, match="the live preview has ended"):
        live.set("vocals", "mute", 1.0)


def test_a_preview_that_does_not_start_says_why() -> None:
    with pytest.raises(DawUnreachable, match="did not start: no card"):
        LiveMixer("live", [sys.executable, "-c", "print('daw-bridge: no card')"])


def test_a_surface_mutes_a_stem_of_the_preview(
    make_daemon: Make, make_peer: Make, make_mix: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = make_mix()
    seen: list[MixerAddress] = []

    def without_card(name: str, address: MixerAddress) -> LiveMixer:
        seen.append(address)
        return LiveMixer(name, [sys.executable, "-c", HOST])

    monkeypatch.setattr(live_mixer, "open_mixer", without_card)
    peer = make_peer(make_daemon().port)
    peer.ask("/dawbridge/subscribe")
    assert "is not running" in peer.ask("/dawbridge/live/stop").arguments[2]
    assert peer.ask("/dawbridge/live/start", "mix.wav").arguments[2:4] == ("bound", "live")
    assert seen[0].song == song
    assert peer.ask("/dawbridge/stem/vocals/mute", 1).arguments[2] == 1
    assert peer.ask("/dawbridge/stem/vocals/mute").arguments[2] == 1
    assert peer.ask("/dawbridge/live/stop").arguments[2] == "closed"
