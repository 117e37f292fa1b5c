"""An evaluation as a picture: SDR over time, the scores, the bleed. Needs the extra `plot` (matplotlib)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daw_bridge.errors import OutputError, UsageError
from daw_bridge.files import atomic_path
from daw_bridge.metrics.evaluation import Evaluation
from daw_bridge.units import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".png", ".svg", ".pdf")
_INK, _FAINT, _GRID = "#22262b", "#6b7480", "#e3e6ea"
_PALETTE = ("#c2492f", "#2f6fb0", "#7a5195", "#3d8f5f", "#b8860b", "#3a9ca6", "#8c564b", "#66717e")
_CEILING_DB = 40.0
_SHOWN_BLEED_DB = -60.0
_SCORES = (("cSDR", "sdr_db"), ("ISR", "isr_db"), ("SIR", "sir_db"), ("SAR", "sar_db"), ("uSDR", "song_sdr_db"))
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": _INK,
    "axes.labelcolor": _FAINT,
    "axes.edgecolor": _GRID,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "svg.hashsalt": "daw-bridge",
}


def check_plot_path(path: Path) -> None:
    """Refuse early, before minutes of measuring: UsageError for another format, OutputError without matplotlib."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"`plot` {path}: cannot draw this format; name it .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent}: there is no such folder for the plot; make it first")
    try:
        import matplotlib  # noqa: F401
    except ImportError as exc:
        raise OutputError("`plot` needs matplotlib; install it with: pip install 'daw-bridge[plot]'") from exc


def write_plot(evaluation: Evaluation, path: Path, *, title: str) -> None:
    """Draw to a PNG, SVG or PDF, whole or not at all; no display is needed."""
    check_plot_path(path)
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12.0, 7.2), dpi=150, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplot_mosaic([["time", "time"], ["scores", "bleed"]], width_ratios=[1.8, 1.0])
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        _draw_time(axes["time"], evaluation)
        _draw_scores(axes["scores"], evaluation)
        _draw_bleed(axes["bleed"], evaluation)
        with atomic_path(path) as part:
            figure.savefig(part, format=path.suffix.lower().removeprefix("."), metadata=_metadata(path))


def _metadata(path: Path) -> dict[str, Any]:
    return {"Date": None} if path.suffix.lower() == ".svg" else {}


def _colours(evaluation: Evaluation) -> dict[str, str]:
    return {stem.name: _PALETTE[index % len(_PALETTE)] for index, stem in enumerate(evaluation.stems)}


def _clip(values: list[float | None]) -> list[float]:
    """Values that fit a plot: nan leaves a gap, infinity stops at the ceiling."""
    return [math.nan if value is None else min(value, _CEILING_DB) for value in values]


def _draw_time(axes: Axes, evaluation: Evaluation) -> None:
    edges_s = np.arange(evaluation.windows + 1) * evaluation.window_s
    shown = [stem for stem in evaluation.stems if len(stem.window_sdr_db) == evaluation.windows > 0]
    for stem in shown:
        values = _clip([*stem.window_sdr_db, stem.window_sdr_db[-1]])
        axes.step(edges_s, values, where="post", color=_colours(evaluation)[stem.name], linewidth=1.3, label=stem.name)
    for index, window in enumerate(evaluation.left_out):
        end_s = window.start_s + evaluation.window_s
        label = "left out (a stem is silent)" if index == 0 else None
        axes.axvspan(window.start_s, end_s, color="#f1f2f4", linewidth=0, zorder=0, label=label)
    counted = [value for stem in shown for value in _clip(list(stem.window_sdr_db)) if math.isfinite(value)]
    if counted:
        # A few windows with next to no signal would flatten all others.
        axes.set_ylim(max(min(counted), float(np.percentile(counted, 2)) - 3.0), max(counted) + 2.0)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False)
    else:
        axes.text(0.5, 0.5, "no window counts", transform=axes.transAxes, ha="center", color=_FAINT)
    axes.set_xlim(0.0, max(1.0, evaluation.windows * evaluation.window_s))
    axes.xaxis.set_major_formatter(lambda value, _position: clock(value))
    axes.set_ylabel("SDR of each 1 s window, dB")
    axes.set_title("SDR over time (BSS Eval v4)")
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_scores(axes: Axes, evaluation: Evaluation) -> None:
    stems, width = evaluation.stems, 0.8 / len(evaluation.stems)
    for row, stem in enumerate(stems):
        exact = [getattr(stem, field) for _, field in _SCORES]
        places = [column + (row - (len(stems) - 1) / 2) * width for column in range(len(_SCORES))]
        heights = _clip(exact)
        axes.bar(places, heights, width * 0.9, color=_colours(evaluation)[stem.name], label=stem.name)
        for place, value, height in zip(places, exact, heights, strict=True):
            if value is None:
                continue
            text = "∞" if value == math.inf else f"{value:.1f}"
            offset = (0, 2 if height >= 0 else -2)
            align = "bottom" if height >= 0 else "top"
            where: dict[str, Any] = {"xytext": offset, "textcoords": "offset points", "ha": "center", "va": align}
            axes.annotate(text, (place, height), fontsize=6.0, **where)
    axes.axvline(len(_SCORES) - 1.5, color=_FAINT, linewidth=0.8, linestyle=":")
    axes.axhline(0.0, color=_FAINT, linewidth=0.8)
    axes.set_xticks(range(len(_SCORES)), [f"{name}\nwhole song" if name == "uSDR" else name for name, _ in _SCORES])
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.1)
    axes.set_ylabel("dB")
    axes.set_title("Scores (medians of 1 s windows; uSDR apart)")
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _draw_bleed(axes: Axes, evaluation: Evaluation) -> None:
    names = [stem.name for stem in evaluation.stems]
    levels = np.full((len(names), len(names)), np.nan)
    for bleed in evaluation.bleed:
        levels[names.index(bleed.source), names.index(bleed.into)] = bleed.level_db
    axes.set_title("Bleed: row heard in column, dB")
    image = np.ma.masked_invalid(levels)
    axes.imshow(image, cmap="YlOrRd", vmin=_SHOWN_BLEED_DB, vmax=0.0, aspect="auto")
    for (row, column), level in np.ndenumerate(levels):
        text = "·" if math.isnan(level) else f"{level:.0f}"
        colour = "white" if level > 0.4 * _SHOWN_BLEED_DB else _INK
        axes.text(column, row, text, ha="center", va="center", color=colour if text != "·" else _FAINT)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
