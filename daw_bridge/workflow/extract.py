"""A session that somebody mixed -> a bus template, through the adapter of its DAW."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from daw_bridge.adapter import Feature, Limit, Losses, OpenSessionReader, ReadReport, SessionReader
from daw_bridge.errors import InputError, UsageError
from daw_bridge.files import output_errors, write_atomic
from daw_bridge.model import MAX_NESTING, Bus, PluginRef, Send, SessionPlan
from daw_bridge.registry import load_adapter
from daw_bridge.templates.bus_template import (
    BusTemplate,
    TemplateBus,
    TemplateMarker,
    TemplateReference,
    template_to_yaml,
)
from daw_bridge.templates.bus_template import parse_template as parse_template_text
from daw_bridge.templates.plugin_state import INLINE_CHARACTERS, state_file
from daw_bridge.templates.stem_names import stem_called
from daw_bridge.templates.yaml_nodes import MAX_BYTES
from daw_bridge.units import samples_to_s

MAX_EFFECTS = 64
MAX_SENDS = 64
MAX_RETURNS = 64
MAX_BUSES = 1000
MAX_STEMS = 32
MAX_MARKERS = 256
MAX_INLINE_BYTES = 128 * 1024
"""A template above this puts the long states of its plug-ins into files beside it."""
MAX_NAME = 64
TEMPO_BPM = (20.0, 400.0)
LONGEST_S = 86_400.0
UNITS = (1, 2, 4, 8, 16, 32)


USUAL_STEMS = {
    "4-stem": ("drums", "bass", "other", "vocals"),
    "6-stem": ("drums", "bass", "other", "vocals", "guitar", "piano"),
}
"""What most models make of a song."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedTemplate:
    """A template, its YAML text, and what the session has that a template cannot say.

    `files` belong beside the YAML file, by their path from its folder: long states of plug-ins.
    """

    template: BusTemplate
    text: str
    files: Mapping[str, str]
    limits: tuple[Limit, ...]

    def save(self, path: Path) -> None:
        """Write the template, its files first. Raises OutputError."""
        for name, content in self.files.items():
            target = path.parent / name
            with output_errors(target):
                target.parent.mkdir(exist_ok=True)
            write_atomic(target, content)
        write_atomic(path, self.text)

    def usage(self) -> str:
        """How many of the buses an ordinary song would use, in words."""
        parts = []
        for kind, stems in USUAL_STEMS.items():
            used = [
                bus.name for bus in self.template.buses if {*map(str.casefold, bus.stems or (bus.name,))} & {*stems}
            ]
            names = f" ({', '.join(used)})" if used else ""
            parts.append(f"a {kind} song would use {len(used)} of its {len(self.template.buses)} buses{names}")
        return "; ".join(parts)


def extract_template(session: Path, *, daw: str | None = None, name: str | None = None) -> ExtractedTemplate:
    """The template of a session file; without `daw` its suffix says whose it is.

    Raises InputError for what is no session, UsageError for a DAW without reader.
    """
    daw = daw or ("dawproject" if session.suffix.lower() == ".dawproject" else "reaper")
    adapter = load_adapter(daw)
    if not isinstance(adapter, SessionReader):
        raise UsageError(f"`daw` {daw}: its sessions cannot be read into a template; reaper and dawproject can")
    return _extracted(adapter.read_plan(session), name or session.stem)


def extract_open_template(*, daw: str = "reaper-live", name: str | None = None) -> ExtractedTemplate:
    """The template of the session that is open in a DAW. Raises DawUnreachable when none answers."""
    adapter = load_adapter(daw)
    if not isinstance(adapter, OpenSessionReader):
        raise UsageError(f"`daw` {daw}: its open session cannot be read; reaper-live can")
    report = adapter.read_open_plan()
    return _extracted(report, name or report.plan.name)


def _extracted(report: ReadReport, name: str) -> ExtractedTemplate:
    losses = Losses(limits=list(report.limits))
    template = template_of(report.plan, _name(name, "extracted"), losses)
    files: dict[str, str] = {}
    text = template_to_yaml(template)
    if len(text.encode("utf-8", "replace")) > MAX_INLINE_BYTES:
        text = template_to_yaml(template, files)
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise InputError(
            f"{name}: its mixer makes a template of {size // 1024} kB, and {MAX_BYTES // 1024} kB is the most: "
            "take tracks out that are no buses, or put the buses into one folder"
        )
    # What is given to the user must be right, or fail here, not in the next build.
    short = _short_states(template)
    if parse_template_text(template_to_yaml(short), f"the template of {name}") != short:
        raise InputError(f"{name}: its template does not read back as it was written; please report this session")
    return ExtractedTemplate(template=template, text=text, files=files, limits=tuple(losses.limits))


def _short_states(template: BusTemplate) -> BusTemplate:
    """The template with the names of their files in the place of long states, so that it is one text."""

    def short(bus: TemplateBus) -> TemplateBus:
        effects = (
            replace(effect, state=state_file(effect.state))
            if isinstance(effect, PluginRef) and len(effect.state) > INLINE_CHARACTERS
            else effect
            for effect in bus.effects
        )
        return replace(bus, effects=tuple(effects))

    return replace(
        template,
        buses=tuple(short(bus) for bus in template.buses),
        returns=tuple(short(bus) for bus in template.returns),
        mix_bus=short(template.mix_bus),
    )


def template_of(plan: SessionPlan, name: str, losses: Losses) -> BusTemplate:
    """The mixer of a plan as a template; what does not fit is added to `losses`."""
    returns = plan.returns[:MAX_RETURNS]
    for bus in plan.returns[MAX_RETURNS:]:
        losses.at(bus.name).lost(Feature.RETURNS, f"a template has {MAX_RETURNS} returns")
    for bus in plan.buses[MAX_BUSES:]:
        losses.at(bus.name).lost(Feature.BUSES, f"a template has {MAX_BUSES} buses")
    kept = {bus.name for bus in plan.buses[:MAX_BUSES]}
    plan = replace(plan, buses=tuple(_nested(bus, plan, kept, losses) for bus in plan.buses if bus.name in kept))
    return_names = [bus.name for bus in returns]
    stems = _stems(plan, losses)
    reference = plan.reference
    return BusTemplate(
        name=name,
        tempo_bpm=min(max(plan.tempo_bpm, TEMPO_BPM[0]), TEMPO_BPM[1]),
        time_signature=_time_signature(plan.time_signature, losses),
        buses=tuple(
            replace(_bus(bus, losses), stems=stems[bus.name], sends=_sends(bus, return_names, losses))
            for bus in plan.buses
        ),
        returns=tuple(replace(_bus(bus, losses), solo=False) for bus in returns),
        mix_bus=replace(_bus(plan.mix_bus, losses), name="mix", solo=False, group=None),
        reference=TemplateReference(include=reference is not None)
        if reference is None
        else TemplateReference(name=_name(reference.name, "Reference"), colour=reference.colour),
        markers=tuple(_markers(plan, losses)),
    )


def _nested(bus: Bus, plan: SessionPlan, kept: set[str], losses: Losses) -> Bus:
    """The bus in the nearest other one that a template can have it in."""
    above = plan.above(bus)
    possible = [outer for outer in above[-MAX_NESTING:] if outer.name in kept]
    if possible != [*above]:
        losses.at(bus.name).bent(Feature.NESTING, f"a template has at most {MAX_NESTING} buses around one")
    return replace(bus, parent=possible[0].name if possible else None)


def _name(text: str, fallback: str) -> str:
    """One line of at most 64 characters without control characters."""
    flat = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]+", " ", text).strip()
    return flat[:MAX_NAME].strip() or fallback


def _bus(bus: Bus, losses: Losses) -> TemplateBus:
    if len(bus.effects) > MAX_EFFECTS:
        losses.at(bus.name).lost(Feature.PLUGIN, f"a chain has {MAX_EFFECTS} effects; the rest is left out")
    label = _name(bus.label, bus.name)
    return TemplateBus(
        name=bus.name,
        label=None if label == bus.name.replace("_", " ").upper() else label,
        colour=bus.colour,
        group=bus.group,
        parent=bus.parent,
        gain_db=bus.gain_db,
        pan=bus.pan,
        mute=bus.mute,
        solo=bus.solo,
        effects=bus.effects[:MAX_EFFECTS],
    )


def _sends(bus: Bus, returns: list[str], losses: Losses) -> tuple[Send, ...]:
    kept = tuple(send for send in bus.sends if send.to in returns)
    if len(kept) > MAX_SENDS:
        losses.at(bus.name).lost(Feature.SENDS, f"a bus has {MAX_SENDS} sends; the rest is left out")
    return kept[:MAX_SENDS]


def _stems(plan: SessionPlan, losses: Losses) -> dict[str, tuple[str, ...]]:
    """Which stems each bus takes. A stem is on one bus: that whose own name says so, else the first that holds it.

    A bus takes the stem of its own name, the one that its title means (`DRM BUS` is `drums`), and those of the tracks
    in it, by their names and by what they mean.
    """
    owners: dict[str, str] = {}
    found: dict[str, list[str]] = {bus.name: [] for bus in plan.buses}

    def claim(bus: str, stem: str | None) -> bool:
        if not stem or bus not in found:
            return False
        owner = owners.setdefault(stem.casefold(), bus)
        if owner == bus and stem.casefold() not in map(str.casefold, found[bus]):
            found[bus].append(stem)
        return owner == bus

    names = {bus.name: _name(bus.name, "bus") for bus in plan.buses}
    for bus in plan.buses:
        if stem_called(bus.label) == bus.name.casefold():
            claim(bus.name, names[bus.name])
    for bus in plan.buses:
        claim(bus.name, stem_called(bus.label))
    for bus in plan.buses:
        claim(bus.name, names[bus.name])
    for track in plan.tracks:
        name = _name(track.name, track.output)
        if not claim(track.output, name):
            owner = owners.get(name.casefold())
            losses.at(track.output).lost(Feature.CLIPS, f"the stem {name!r} is on {owner!r}")
    for track in plan.tracks:
        claim(track.output, stem_called(track.name))
    for bus in plan.buses:
        # Without a stem of its own a bus takes the one of its name, unless that is somebody else's.
        if not found[bus.name]:
            found[bus.name].append(f"{names[bus.name][: MAX_NAME - 7]} (none)")
        if len(found[bus.name]) > MAX_STEMS:
            losses.at(bus.name).lost(Feature.CLIPS, f"a bus takes {MAX_STEMS} stems; the rest is left out")
    return {bus: () if stems == [bus] else tuple(stems[:MAX_STEMS]) for bus, stems in found.items()}


def _time_signature(wanted: tuple[int, int], losses: Losses) -> tuple[int, int]:
    if 1 <= wanted[0] <= 32 and wanted[1] in UNITS:
        return wanted
    losses.at("project").lost(Feature.TEMPO, f"the time signature {wanted[0]}/{wanted[1]}")
    return (4, 4)


def _markers(plan: SessionPlan, losses: Losses) -> Iterable[TemplateMarker]:
    if len(plan.markers) > MAX_MARKERS:
        losses.at("project").lost(Feature.MARKERS, f"a template has {MAX_MARKERS} markers")
    for number, marker in enumerate(plan.markers[:MAX_MARKERS], start=1):
        start_s = samples_to_s(marker.position_samples, plan.sample_rate_hz)
        length_s = samples_to_s(marker.length_samples, plan.sample_rate_hz)
        yield TemplateMarker(
            name=_name(marker.name, f"{'Region' if length_s else 'Marker'} {number}"),
            position_s=min(start_s, LONGEST_S),
            length_s=min(length_s, LONGEST_S) or None,
            colour=marker.colour,
        )
