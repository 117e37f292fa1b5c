"""How the demo song was cut: 24 s of a CC0 song with its four true stems, and the mix as their exact sum.

python examples/demo_song/make.py FOLDER_WITH_THE_SONG   (vocals.ogg, drums.ogg, bass.ogg, other.ogg)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile as sf

BEGIN_S, LENGTH_S = 245, 24
FADE_S = 0.05
STEMS = ("drums", "bass", "other", "vocals")


def main(song: Path, target: Path) -> None:
    """Cut each stem, fade its ends, keep it as Ogg Vorbis; the mix is the sum of what those files decode to."""
    total: np.ndarray | None = None
    for stem in STEMS:
        with sf.SoundFile(song / f"{stem}.ogg") as file:
            rate_hz = file.samplerate
            file.seek(BEGIN_S * rate_hz)
            audio = file.read(LENGTH_S * rate_hz, dtype="float32")
        fade = np.linspace(0.0, 1.0, int(FADE_S * rate_hz), dtype=np.float32)[:, None]
        audio[: len(fade)] *= fade
        audio[-len(fade) :] *= fade[::-1]
        sf.write(target / f"{stem}.ogg", audio, rate_hz, format="OGG", subtype="VORBIS")
        decoded, _ = sf.read(target / f"{stem}.ogg", dtype="float32")
        total = decoded if total is None else total + decoded
    if total is None or np.abs(total).max() >= 1.0:
        raise SystemExit("the excerpt clips; choose another one")
    sf.write(target / "mix.flac", total, rate_hz, subtype="PCM_16")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).resolve().parent)
