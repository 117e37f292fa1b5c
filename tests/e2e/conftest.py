"""Small mixes and a private cache for tests that run the whole chain with the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

MakeMix = Callable[..., Path]


@pytest.fixture(autouse=True)
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or fills the cache and the configuration of the person who runs it."""
    monkeypatch.setenv("DAW_BRIDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DAW_BRIDGE_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def make_mix(tmp_path: Path) -> MakeMix:
    """Writes a noisy little mix and gives its path."""

    def make(
        name: str = "mix.wav",
        *,
        seconds: float = 2.0,
        rate_hz: int = 44_100,
        channels: int = 2,
        subtype: str | None = None,
        gain_linear: float = 0.3,
    ) -> Path:
        rng = np.random.default_rng(7)
        time_s = np.arange(int(seconds * rate_hz)) / rate_hz
        tone = np.sin(2 * np.pi * 110.0 * time_s) * 0.4
        audio = gain_linear * (tone[:, None] + 0.3 * rng.standard_normal((len(time_s), channels)))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sf.write(path, audio.astype(np.float32), rate_hz, subtype=subtype)
        return path

    return make
