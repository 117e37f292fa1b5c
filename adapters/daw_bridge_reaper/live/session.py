"""The open project as a scriptable session: audio onto its buses by name or number, each import one undo step."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from daw_bridge.adapter import PROJECT_START, place_s
from daw_bridge.audio.reader import probe
from daw_bridge.errors import DawError, InputError, UsageError, did_you_mean
from daw_bridge.units import samples_to_s
from daw_bridge_reaper.layout import storable_name
from daw_bridge_reaper.live.api import Pointer, Project, ReaScript, ReaScriptError
from daw_bridge_reaper.live.build import undo_step
from daw_bridge_reaper.live.place import ID_KEY, add_item
from daw_bridge_reaper.session import STEREO_BALANCE, UNITY_LAW, ReaperItem

IMPORT_MARK = "import"


class ReaperLiveSession:
    """See LiveSession. The buses are those that daw-bridge made; without any, the tracks that hold no audio."""

    def __init__(self, connection: AbstractContextManager[ReaScript]) -> None:
        self._connection = connection
        self._script = connection.__enter__()

    def close(self) -> None:
        self._connection.__exit__(None, None, None)

    def __enter__(self) -> ReaperLiveSession:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def buses(self) -> tuple[str, ...]:
        """See LiveSession.buses."""
        with self._script.hold():
            return tuple(name for name, _ in _buses(Project(self._script)))

    def import_audio(
        self,
        path: Path | str,
        *,
        target_bus: str | int,
        align_to: str | float = PROJECT_START,
        name: str | None = None,
    ) -> str:
        """See LiveSession.import_audio."""
        path = Path(path).absolute()
        info = probe(path)
        if info.length_samples is None:
            raise InputError(f"{path}: its exact length is not known; convert it to WAV first")
        item = ReaperItem(
            path=str(path),
            name=storable_name(name or path.stem),
            position_s=place_s(align_to, lambda: dict(reversed(self._script.markers()))),
            length_s=samples_to_s(info.length_samples, info.sample_rate_hz),
        )
        with self._script.hold():
            project = Project(self._script)
            bus = _find(project, _buses(project), target_bus)
            try:
                with undo_step(project, f"daw-bridge: import {item.name}"):
                    track = _track_inside(project, bus)
                    project.set_text(track, "P_NAME", item.name)
                    project.set_value(track, "D_PANLAW", UNITY_LAW)
                    project.set_value(track, "I_PANMODE", STEREO_BALANCE)
                    project.set_value(track, "C_BEATATTACHMODE", 0)
                    add_item(project, track, item, IMPORT_MARK)
                    project.require_same()
            except ReaScriptError as exc:
                raise DawError(f"importing {path}: {exc}; the project is as it was before") from exc
        return item.name


def _buses(project: Project) -> list[tuple[str, Pointer]]:
    """Names and tracks, in the order of the mixer."""
    tracks = list(project.tracks())
    marks = [project.text(track, ID_KEY).rpartition("/")[2].partition(":") for track in tracks]
    ours = [(name, track) for (kind, _, name), track in zip(marks, tracks, strict=True) if kind == "bus"]
    if ours:
        return ours
    empty = [track for track in tracks if not project.call("CountTrackMediaItems", track)]
    return [(project.text(track, "P_NAME"), track) for track in empty]


def _find(project: Project, buses: list[tuple[str, Pointer]], target: str | int) -> Pointer:
    """By number, else by name, else by what the track is called in REAPER; upper and lower case are the same."""
    if isinstance(target, int):
        if not 1 <= target <= len(buses):
            raise UsageError(f"bus {target}: the open project has buses 1 to {len(buses)}")
        return buses[target - 1][1]
    wanted = target.strip().casefold()
    found = [track for name, track in buses if name.casefold() == wanted]
    found = found or [track for _, track in buses if project.text(track, "P_NAME").casefold() == wanted]
    if not found:
        names = [name for name, _ in buses]
        raise UsageError(f"no bus called {target!r}{did_you_mean(target, names)}; there are: {', '.join(names)}")
    if len(found) > 1:
        raise UsageError(f"several tracks of the open project are called {target!r}; give the number of one")
    return found[0]


def _track_inside(project: Project, bus: Pointer) -> Pointer:
    """A new track as the first one inside `bus`, which becomes a folder when it was none."""
    index = next(place for place, track in enumerate(project.tracks()) if track == bus)
    depth = int(project.value(bus, "I_FOLDERDEPTH"))
    project.call("InsertTrackAtIndex", index + 1, False)
    track = Pointer(project.call("GetTrack", project.id, index + 1))
    if track.is_null:
        raise ReaScriptError("REAPER made no track")
    if depth <= 0:
        project.set_value(bus, "I_FOLDERDEPTH", 1)
        project.set_value(track, "I_FOLDERDEPTH", depth - 1)
    return track
