"""Draw a finished song folder as a DAW would show it: each stem on its bus, in its colour, with its chain.

python examples/picture.py demo-output/Demo.session docs/demo.png     (needs matplotlib)
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from daw_bridge.audio.reader import open_audio
from daw_bridge.cli.build import null_text
from daw_bridge.model import Bus, SessionPlan, Track
from daw_bridge.plan_json import plan_from_json
from daw_bridge.song import open_song

COLUMNS = 1600
PAPER, INK, FAINT = "#15181d", "#e8eaed", "#8a919c"
HEADER_SHARE = 0.27


def envelope(path: Path) -> np.ndarray:
    """Lowest and highest sample in each of COLUMNS slices, shape (2, COLUMNS)."""
    with open_audio(path) as audio:
        mono = np.concatenate([block.mean(0) for block in audio.blocks()])
    edges = np.linspace(0, len(mono), COLUMNS + 1).astype(int)[:-1]
    return np.stack([np.minimum.reduceat(mono, edges), np.maximum.reduceat(mono, edges)])


def chain(bus: Bus) -> str:
    """The bus's inserts and sends in a few words."""
    words = [type(effect).__name__ for effect in bus.effects]
    short = {"Equalizer": "EQ", "Compressor": "Comp"}
    inserts = "  ·  ".join(short.get(word, word) for word in words) or "no inserts"
    sends = ", ".join(f"{send.to} {send.gain_db:+.0f} dB" for send in bus.sends)
    return f"{inserts}" + (f"   → {sends}" if sends else "")


def draw(folder: Path, target: Path) -> None:
    """One lane per stem, then the muted reference."""
    song = open_song(folder)
    plan = plan_from_json(song.sessions[-1].plan, folder)
    lanes: list[Track] = [*plan.tracks, *([plan.reference] if plan.reference else [])]
    figure, axes = plt.subplots(len(lanes), 1, figsize=(12, 0.95 * len(lanes) + 0.7), facecolor=PAPER)
    figure.subplots_adjust(left=0.01, right=0.99, top=1 - 0.5 / (len(lanes) + 0.7), bottom=0.01, hspace=0.08)
    envelopes = [envelope(track.clips[0].path) for track in lanes]
    full = max(float(np.abs(each).max()) for each in envelopes)
    for axis, track, each in zip(axes, lanes, envelopes, strict=True):
        lane(axis, plan, track, each / full)
    null = null_text(song.separation.null_depth_db)
    figure.text(0.012, 0.965, f"{song.name}.rpp", color=INK, fontsize=13, weight="bold", va="center")
    caption = f"template {plan.template}   ·   model {song.separation.model}   ·   null {null}"
    figure.text(0.988, 0.965, caption, color=FAINT, fontsize=10, va="center", ha="right")
    figure.savefig(target, dpi=110, facecolor=PAPER)


def lane(axis: Axes, plan: SessionPlan, track: Track, bounds: np.ndarray) -> None:
    """Header with the bus on the left, the waveform on the right."""
    bus = None if track.output == "master" else plan.bus(track.output)
    colour = track.colour.hex() if track.colour else FAINT
    low, high = bounds
    x = np.linspace(HEADER_SHARE, 1, COLUMNS)
    axis.set(xlim=(0, 1), ylim=(-1, 1), facecolor="#1e2228")
    axis.fill_between(x, low * 0.95, high * 0.95, color=colour, alpha=0.35 if track.mute else 0.95, linewidth=0.4)
    axis.add_patch(Rectangle((0, -1), HEADER_SHARE - 0.006, 2, color="#262b33"))
    axis.add_patch(Rectangle((0, -1), 0.006, 2, color=colour))
    label = bus.label if bus else f"{track.name.upper()} (muted)"
    axis.text(0.014, 0.32, label, color=INK, fontsize=11, weight="bold", va="center")
    detail = chain(bus) if bus else "the decoded mix, around the mix bus"
    axis.text(0.014, -0.42, detail, color=FAINT, fontsize=8, va="center")
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_visible(False)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
