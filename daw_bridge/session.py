"""The scriptable session: buses from a template, audio put on them by name or number, written for any DAW.

session = Session("My song", template="band", sample_rate_hz=48_000)
session.import_audio("vocals.wav", target_bus="vocals", align_to="project_start")
session.save("out", daw="reaper")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from daw_bridge.adapter import PROJECT_START, Connectable, LiveSession, Reachable, WriteReport, place_s
from daw_bridge.archive import free_session_name
from daw_bridge.audio.decode import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from daw_bridge.audio.guarded import probe
from daw_bridge.errors import InputError, OutputError, UsageError
from daw_bridge.files import output_errors, remove_path, safe_name
from daw_bridge.model import RESERVED_NAMES, Bus, Clip, Colour, Marker, SessionPlan, Track, find_bus
from daw_bridge.plan import empty_plan, neutral_bus
from daw_bridge.plan_json import plan_from_json
from daw_bridge.registry import adapter_names, load_adapter
from daw_bridge.takeover import settled_manifest
from daw_bridge.units import s_to_samples, samples_to_s
from daw_bridge.workflow.sessions import choose_template, load_adapters, write_under_free_name

MAX_CHANNELS = 2


class Session:
    """A session being built. `plan` is always whole and valid; every method that changes it replaces it."""

    def __init__(self, name: str, *, template: str = "neutral", sample_rate_hz: int = 44_100) -> None:
        """An empty session with the template's buses.

        Raises TemplateError for an unknown template, UsageError for a rate outside 8 to 192 kHz.
        """
        if not LOWEST_RATE_HZ <= sample_rate_hz <= HIGHEST_RATE_HZ:
            raise UsageError(
                f"sample_rate_hz={sample_rate_hz}: a session has {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz; "
                "give that of its audio, as in sample_rate_hz=44_100"
            )
        self.plan: SessionPlan = empty_plan(
            choose_template(template).template, name=safe_name(name), sample_rate_hz=sample_rate_hz
        )

    @classmethod
    def open(cls, folder: Path | str) -> Session:
        """The latest session of a song folder; InputError when there is none."""
        folder = Path(folder)
        manifest = settled_manifest(folder) if folder.is_dir() else None
        if manifest is None or not manifest.sessions:
            raise InputError(f"{folder}: holds no session; make one with 'daw-bridge build' or 'daw-bridge rebuild'")
        session = cls.__new__(cls)
        session.plan = plan_from_json(manifest.sessions[-1].plan, folder)
        return session

    @staticmethod
    def connect(daw: str = "reaper") -> LiveSession:
        """The session that is open in a DAW, to import audio into; DawUnreachable when none answers."""
        name = next((each for each in (f"{daw}-live", daw) if each in adapter_names()), daw)
        adapter = load_adapter(name)
        if not isinstance(adapter, Connectable):
            raise UsageError(f"{adapter.title} cannot be driven live; 'reaper' can")
        return adapter.open_session()

    @property
    def buses(self) -> tuple[Bus, ...]:
        """The buses in mixer order; their numbers for `import_audio` count from 1."""
        return self.plan.buses

    def import_audio(
        self,
        path: Path | str,
        *,
        target_bus: str | int,
        align_to: str | float = PROJECT_START,
        name: str | None = None,
    ) -> Track:
        """Put a whole audio file on a new track that feeds `target_bus`.

        `target_bus` is a bus's name or label, whatever its case, or its number from 1. It must be there: `add_bus`
        makes a new one, so that a slip of the pen never does. `align_to` is "project_start", the name of
        a marker, or a time in seconds. Raises UsageError for an unknown bus or marker, InputError for audio that cannot
        be used, has more than two channels or another sample rate than the session.
        """
        path = Path(path)
        bus = self._bus(target_bus)
        info = probe(path)
        if info.sample_rate_hz != self.plan.sample_rate_hz:
            raise InputError(
                f"{path}: has {info.sample_rate_hz} Hz, the session {self.plan.sample_rate_hz} Hz; "
                "make the session with sample_rate_hz of the audio, or convert the file first"
            )
        if info.channels > MAX_CHANNELS:
            raise InputError(f"{path}: has {info.channels} channels, a track takes one or two; mix it down first")
        if info.length_samples is None:
            raise InputError(f"{path}: its exact length is not known; convert it to WAV first")
        clip = Clip(
            path=path.resolve(),
            name=name or path.stem,
            sample_rate_hz=info.sample_rate_hz,
            channels=info.channels,
            length_samples=info.length_samples,
            position_samples=self._position_samples(align_to),
        )
        track = Track(name=self._free_track_name(clip.name), output=bus.name, clips=(clip,), colour=bus.colour)
        end_samples = clip.position_samples + clip.length_samples
        self.plan = replace(
            self.plan,
            tracks=(*self.plan.tracks, track),
            length_samples=max(self.plan.length_samples, end_samples),
        )
        return track

    def add_bus(
        self,
        name: str,
        *,
        label: str | None = None,
        colour: str | None = None,
        gain_db: float = 0.0,
        parent: str | None = None,
    ) -> Bus:
        """A neutral bus behind the others, for `import_audio` to put audio on. `colour` is `#rrggbb`.

        `parent` is the name or label of a bus that it feeds instead of the mix bus. Raises UsageError when a bus or
        return has that name or label already, and for a parent that is not there.
        """
        strips = (*self.plan.buses, *self.plan.returns, self.plan.mix_bus)
        taken = {text.casefold() for bus in strips for text in (bus.name, bus.label)} | set(RESERVED_NAMES)
        if name.strip().casefold() in taken:
            raise UsageError(f"bus {name!r} exists already; choose another name")
        outer = find_bus(parent, self.plan.buses).name if parent is not None else None
        made = neutral_bus(name, label=label or "", colour=Colour.from_hex(colour) if colour else None, gain_db=gain_db)
        made = replace(made, parent=outer)
        try:
            self.plan = replace(self.plan, buses=(*self.plan.buses, made))
        except ValueError as exc:  # too many buses inside one another
            raise UsageError(str(exc)) from exc
        return made

    def add_marker(self, name: str, *, time_s: float, length_s: float = 0.0) -> Marker:
        """A marker, or a region when `length_s` is above 0."""
        if time_s < 0.0 or length_s < 0.0:
            raise UsageError(f"marker {name!r}: a time or length below 0 is before the project start")
        rate_hz = self.plan.sample_rate_hz
        marker = Marker(
            name=name,
            position_samples=s_to_samples(time_s, rate_hz),
            length_samples=s_to_samples(length_s, rate_hz),
        )
        self.plan = replace(self.plan, markers=(*self.plan.markers, marker))
        return marker

    def save(self, folder: Path | str, *, daw: str | Sequence[str] = "reaper") -> tuple[WriteReport, ...]:
        """Write the session into `folder` for one or several DAWs; an existing session is never overwritten.

        All of them or none: when one cannot be written, those that this call wrote before go again (but not what was
        built in a running DAW).
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file; give a folder")
        adapters = load_adapters([daw] if isinstance(daw, str) else daw)
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        reports: list[WriteReport] = []
        try:
            for adapter in adapters:
                reports.append(write_under_free_name(adapter, self.plan, folder))
        except BaseException:
            for adapter, report in zip(adapters, reports, strict=False):
                if not isinstance(adapter, Reachable):
                    remove_path(report.session_path)
            raise
        return tuple(reports)

    def _bus(self, target: str | int) -> Bus:
        if isinstance(target, int):
            if not 1 <= target <= len(self.plan.buses):
                raise UsageError(f"bus {target}: the session has buses 1 to {len(self.plan.buses)}")
            return self.plan.buses[target - 1]
        try:
            return find_bus(target, self.plan.buses)
        except UsageError as exc:
            raise UsageError(f"{exc}; or make it first, with add_bus({target!r})") from None

    def _position_samples(self, align_to: str | float) -> int:
        rate_hz = self.plan.sample_rate_hz

        def markers_s() -> dict[str, float]:
            return {each.name: samples_to_s(each.position_samples, rate_hz) for each in reversed(self.plan.markers)}

        return s_to_samples(place_s(align_to, markers_s), rate_hz)

    def _free_track_name(self, wanted: str) -> str:
        taken = {track.name for track in self.plan.tracks}
        return free_session_name(wanted, taken.__contains__)
