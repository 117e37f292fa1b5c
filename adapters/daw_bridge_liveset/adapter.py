"""The Ableton Live adapter: `NAME.als`, a compressed XML file beside the stems that it names. Experimental."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

from daw_bridge.adapter import Feature, Limit, Support, WriteReport, new_session, require_audio
from daw_bridge.files import write_atomic
from daw_bridge.model import SessionPlan
from daw_bridge_liveset.liveset import set_text

FEATURES: Mapping[Feature, Support] = {
    Feature.CLIPS: Support.EXACT,
    Feature.BUSES: Support.EXACT,
    Feature.NESTING: Support.EXACT,
    Feature.GAIN_PAN_MUTE_SOLO: Support.APPROXIMATED,
    Feature.SENDS: Support.APPROXIMATED,
    Feature.RETURNS: Support.APPROXIMATED,
    Feature.MIX_BUS: Support.EXACT,
    Feature.REFERENCE: Support.APPROXIMATED,
    Feature.EQUALIZER: Support.APPROXIMATED,
    Feature.COMPRESSOR: Support.APPROXIMATED,
    Feature.SIDECHAIN: Support.APPROXIMATED,
    Feature.GAIN: Support.APPROXIMATED,
    Feature.COLOURS: Support.APPROXIMATED,
    Feature.MARKERS: Support.APPROXIMATED,
    Feature.TEMPO: Support.EXACT,
}


class LiveSetAdapter:
    """Writes Live sets. Stateless."""

    name = "live"
    title = "Ableton Live 12 (experimental)"
    features = FEATURES

    def session_path(self, folder: Path, name: str) -> Path:
        return folder / f"{name}.als"

    def write(self, plan: SessionPlan, folder: Path, name: str) -> WriteReport:
        """Write `folder/NAME.als`; whole or not at all.

        Raises OutputError when it exists or cannot be written, InputError when a clip's file is missing or a track
        feeds a bus that does not exist, UsageError for a name that is a path.
        """
        target = new_session(self.session_path(folder, name), name, what="a Live set")
        data, limits = set_text(plan, lambda path: _sample(path, folder))
        write_atomic(target, gzip.compress(data, mtime=0))
        how = f"open {target.name} in Ableton Live 12 (experimental: check it against the reference track)"
        return WriteReport(
            adapter=self.name, session_path=target, files=(target,), how_to_open=how, limits=tuple(_once(limits))
        )


def _once(limits: tuple[Limit, ...]) -> list[Limit]:
    return list(dict.fromkeys(limits))


def _sample(path: Path, folder: Path) -> tuple[str, str, int, int]:
    """See SampleOf. InputError for a file that is gone."""
    require_audio(path)
    absolute, base = path.absolute(), folder.absolute()
    relative = absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else ""
    state = path.stat()
    return relative, absolute.as_posix(), state.st_size, int(state.st_mtime)


ADAPTER = LiveSetAdapter()
