"""What a user can ask of a build: a separation, and the sessions to make of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from daw_bridge.errors import UsageError
from daw_bridge.option import Influence, documented, names_in, names_of, number_in, one_of, option, path_of
from daw_bridge.separation.options import SeparationOptions
from daw_bridge.units import seconds_of

DEFAULT_TEMPLATE = "band"
DEFAULT_DAWS = ("reaper",)
WITHOUT_NOTES = ("drums", "drum", "kick", "snare", "toms", "hh", "hihat", "cymbals", "percussion", "residual")
"""Stems without notes: drums were heard right in 7 of 10 cases at best."""
GridChoice = Literal["auto", "constant", "follow", "off"]


def _pair(text: str) -> tuple[int, int]:
    try:
        left, right = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"`channels` {text}: give two channel numbers from 1, as in `channels` 1,2") from None
    return left, right


def _times(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise UsageError(f"`taps_s` {text}: give times in seconds, as in `taps_s` 0.51,1.02,1.52") from None


def _range(text: str) -> tuple[float, float]:
    start_s, end_s = (seconds_of(part) for part in text.partition("-")[::2])
    if start_s is None or end_s is None:
        raise UsageError(f"`range_s` {text}: give it as FROM-TO, as in 90-120 or 1:30-2:00")
    return start_s, end_s


def _daws(text: str) -> tuple[str, ...]:
    names = names_in(text)
    if not names:
        raise UsageError("`daws`: names no DAW; give one, as in `daws` reaper, or use 'daw-bridge separate' for none")
    return names


@documented
@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions(SeparationOptions):
    """A separation and the sessions to make of it.

    A value that makes no sense raises UsageError at once, one that a rule of the field forbids GuardRefused.
    """

    template: str = option(
        DEFAULT_TEMPLATE,
        "bus template: a name or a .yaml file",
        influences=Influence.NOTHING,
        flags=("-t", "--template"),
        metavar="T",
        group="session",
    )
    daws: tuple[str, ...] = option(
        DEFAULT_DAWS,
        "one or several DAWs to make sessions for, as in reaper,ardour",
        influences=Influence.NOTHING,
        flags=("--daw",),
        metavar="NAMES",
        parse=_daws,
        group="session",
    )
    output: Path | None = option(
        None,
        "song folder; by default MIX.session beside the mix",
        influences=Influence.NOTHING,
        flags=("-o", "--output"),
        metavar="DIR",
        parse=Path,
        group="folder",
    )
    name: str | None = option(
        None,
        "name of the session; by default that of the mix",
        influences=Influence.NOTHING,
        flags=("--name",),
        group="folder",
    )
    channels: Literal["downmix"] | tuple[int, int] | None = option(
        None,
        "which two of more than two channels, counted from 1; or downmix",
        influences=Influence.INPUT,
        flags=("--channels",),
        switches={"--downmix": ("downmix", "fold more than two channels to stereo")},
        metavar="L,R",
        parse=_pair,
        late=False,
        group="input",
    )
    gain_db: float = option(
        0.0,
        "gain in dB that is given to the mix when it is decoded; the archived original stays as it is",
        influences=Influence.INPUT,
        flags=("--gain",),
        metavar="DB",
        parse=float,
        group="input",
    )
    accept_damaged: bool = option(
        False,
        "take what decodes of a cut-off or damaged mix, with silence in its holes",
        influences=Influence.INPUT,
        switches={
            "--accept-damaged": (True, "take what decodes of a cut-off or damaged mix, with silence in its holes")
        },
        group="input",
    )
    grid: GridChoice | None = option(
        None,
        "tempo and bars of the session: auto, constant, follow or off; by default the template's, else auto",
        influences=Influence.NOTHING,
        flags=("--grid",),
        metavar="MODE",
        group="music",
    )
    tempo_bpm: float | None = option(
        None,
        "the song's tempo, where you know it better than what is heard",
        influences=Influence.NOTHING,
        flags=("--tempo",),
        metavar="BPM",
        parse=float,
        group="music",
    )
    downbeat_s: float | None = option(
        None,
        "the time of a downbeat in seconds",
        influences=Influence.NOTHING,
        flags=("--downbeat",),
        metavar="S",
        parse=float,
        group="music",
    )
    taps_s: tuple[float, ...] = option(
        (),
        "times of beats in seconds as you tapped them, the first on a downbeat, as in 0.51,1.02,1.52,2.03",
        influences=Influence.NOTHING,
        flags=("--taps",),
        metavar="S,S,...",
        parse=_times,
        group="music",
    )
    beats: str = option(
        "own",
        "who finds the beats: own, or the trained tracker beat_this where it is installed with its weights; "
        "beat_this:FILE.ckpt for a file of weights",
        influences=Influence.NOTHING,
        flags=("--beats",),
        metavar="WHO",
        group="music",
    )
    click: bool = option(
        False,
        "a muted click track that follows the song's tempo",
        influences=Influence.NOTHING,
        switches={"--click": (True, "add a muted click track that follows the song's tempo")},
        group="music",
    )
    midi: tuple[str, ...] = option(
        (),
        "stems whose notes are drafted as MIDI, as in bass,vocals,other; by default the template's",
        influences=Influence.NOTHING,
        flags=("--midi",),
        metavar="STEMS",
        parse=names_in,
        group="music",
    )
    range_s: tuple[float, float] | None = option(
        None,
        "the part of the mix to separate, from and up to these times (in seconds, or 1:30-2:00): the song is that part "
        "then and its stems begin at 0; the manifest says where in the mix that is, and the mix itself is not copied",
        influences=Influence.INPUT,
        flags=("--range",),
        metavar="FROM-TO",
        parse=_range,
        group="input",
    )
    force: bool = option(
        False,
        "replace files that daw-bridge made in that folder",
        influences=Influence.NOTHING,
        switches={"--force": (True, "replace files that daw-bridge made in that folder")},
        group="folder",
    )
    use_cache: bool = option(
        True,
        "use and fill the cache of stems",
        influences=Influence.NOTHING,
        switches={"--no-cache": (False, "neither use nor fill the cache of stems")},
        group="folder",
    )

    def __post_init__(self) -> None:
        """Validate, once and here."""
        super(BuildOptions, self).__post_init__()
        object.__setattr__(self, "daws", names_of("daws", self.daws) or ())
        object.__setattr__(self, "output", path_of("output", self.output))
        number_in("`gain_db`", self.gain_db, -300, 300, unit=" dB")
        _check_channels(self.channels)
        _check_range(self.range_s)
        self._check_music()

    def _check_music(self) -> None:
        if self.grid is not None:
            one_of("grid", self.grid, get_args(GridChoice))
        who, colon, file = self.beats.partition(":")
        if (who, colon) != ("own", "") and (who != "beat_this" or bool(colon) != bool(file)):
            raise UsageError(f"`beats` {self.beats}: give own, beat_this or beat_this:FILE.ckpt")
        if self.tempo_bpm is not None:
            number_in("`tempo_bpm`", self.tempo_bpm, 20.0, 400.0, unit=" BPM")
        if self.downbeat_s is not None:
            number_in("`downbeat_s`", self.downbeat_s, 0.0, 86_400.0, unit=" s")
        taps = tuple(self.taps_s)
        for each in taps:
            number_in("`taps_s`", each, 0.0, 86_400.0, unit=" s")
        if taps and (len(taps) < 3 or any(after - before < 0.1 for before, after in pairwise(taps))):
            raise UsageError(
                "`taps_s`: give at least three times in order, a beat apart, as in `taps_s` 0.51,1.02,1.52"
            )
        object.__setattr__(self, "taps_s", taps)
        object.__setattr__(self, "midi", names_of("midi", self.midi) or ())
        for stem in self.midi:
            if stem.casefold() in WITHOUT_NOTES:
                raise UsageError(f"`midi` {stem}: notes are drafted of pitched stems only; leave it out")


def _check_channels(channels: Any) -> None:
    if channels is None or channels == "downmix":
        return
    if isinstance(channels, (tuple, list)) and all(isinstance(each, int) for each in channels):
        if len(channels) == 2 == len(set(channels)) and min(channels) >= 1:
            return
        channels = ",".join(str(channel) for channel in channels)
    raise UsageError(f"`channels` {channels}: give two different channels counted from 1, as in `channels` 1,2")


def _check_range(range_s: Any) -> None:
    if range_s is None:
        return
    good = isinstance(range_s, (tuple, list)) and len(range_s) == 2
    good = good and all(isinstance(each, (int, float)) for each in range_s)
    if not good or not 0.0 <= range_s[0] < range_s[1] < float("inf"):
        shown = "-".join(f"{each:g}" for each in range_s) if good else range_s
        raise UsageError(f"`range_s` {shown}: give a start of 0 or more and an end behind it, in seconds")
