"""What a project says and a template cannot: each thing in words, by track, so that nothing gets lost in silence."""

from __future__ import annotations

from daw_bridge.adapter import Feature, Losses
from daw_bridge.model import MIX_BUS
from daw_bridge.units import linear_to_db
from daw_bridge_reaper import rpp
from daw_bridge_reaper.chain import chain_parts, strays
from daw_bridge_reaper.desk import Desk, stem_tracks
from daw_bridge_reaper.lines import automation, group_losses, is_envelope, item_losses, law_text, track_losses
from daw_bridge_reaper.rpp import Chunk
from daw_bridge_reaper.session import PROJECT_LAW, STEREO_BALANCE, UNITY_LAW, ReaperTrack

_MIXER = Feature.GAIN_PAN_MUTE_SOLO
CLASSIC, STEREO_PAN, DUAL_PAN = 0, 5, 6
_MODES = {CLASSIC: "classic pan", STEREO_PAN: "stereo pan", DUAL_PAN: "dual pan"}


def report_losses(desk: Desk, document: rpp.Document) -> None:
    """Add everything to the desk's limits."""
    root = document.root
    project_mode = root.int("PANMODE", 0, STEREO_BALANCE)
    for index, chunk in enumerate(root.chunks("TRACK")):
        notes = desk.notes(index)
        _lines(chunk, notes)
        _panning(chunk, desk.track(index), project_mode, notes)
        _place(desk, index, notes)
    _project(root, any(track.pan_law == PROJECT_LAW for track in desk.project.tracks), Losses("project", desk.limits))
    _master(desk, root, Losses("master", desk.limits))


def _lines(chunk: Chunk, notes: Losses) -> None:
    for loss in track_losses(chunk):
        notes.lost(Feature.PLUGIN if "effects" in loss else _MIXER, loss)
    group = group_losses(chunk)
    if group:
        notes.bent(Feature.GROUPS, group)
    for item in chunk.chunks("ITEM"):
        for loss in item_losses(item):
            notes.lost(Feature.CLIPS, loss)
    chain = chunk.chunk("FXCHAIN")
    if chain is not None:
        chain_losses(chain, notes)


def chain_losses(chain: Chunk, notes: Losses) -> None:
    """What stands in a chain and is neither translated nor kept with a plug-in."""
    for fx in chain_parts(chain):
        name = " ".join(fx.chunk.tokens[1:2]) or fx.chunk.name
        for parameter in fx.envelopes:
            notes.lost(Feature.PLUGIN, f"the automation of parameter {parameter} of {name} (<PARMENV)")
        for line in fx.unknown:
            notes.lost(Feature.PLUGIN, f"a line of {name} that is not known: {line}")
        if fx.offline:
            notes.bent(Feature.PLUGIN, f"{name} is offline; it is bypassed")
    for line in strays(chain):
        notes.lost(Feature.PLUGIN, f"a line of its chain that is not known: {line}")


def _panning(chunk: Chunk, track: ReaperTrack, project_mode: int, notes: Losses) -> None:
    """Laws and modes of its own: a template's pan is a balance with 0 dB in the centre."""
    if track.pan_law not in (PROJECT_LAW, UNITY_LAW):
        notes.bent(_MIXER, f"its pan law of {law_text(track.pan_law)}; a template's is 0 dB")
    mode = project_mode if track.pan_mode is None else track.pan_mode
    width = chunk.float("VOLPAN", 4, 1.0)
    if mode == DUAL_PAN:
        sides = f"{chunk.float('VOLPAN', 3, -1.0):g} and {width:g}"
        notes.bent(_MIXER, f"its dual pan ({sides}); a template has one pan")
    elif mode == STEREO_PAN and (width != 1.0 or track.pan):
        notes.bent(_MIXER, f"its stereo pan of {track.pan:g} with a width of {width:g}; it became a balance")
    elif mode not in (STEREO_BALANCE, STEREO_PAN) and track.pan:
        notes.bent(_MIXER, f"its {_MODES.get(mode, f'pan mode {mode}')} of {track.pan:g} became a balance")
    if chunk.int("MUTESOLO", 2):
        notes.lost(_MIXER, "its solo defeat")
    if chunk.int("MAINSEND", 1):
        notes.lost(Feature.BUSES, f"it feeds channel {chunk.int('MAINSEND', 1) + 1} and up of its parent")


def _place(desk: Desk, index: int, notes: Losses) -> None:
    """What hangs on where a track stands."""
    track = desk.track(index)
    if index == desk.reference:
        if not track.mute:
            notes.bent(Feature.REFERENCE, "the reference sounds in the project; a template's is muted")
        if track.fx:
            notes.lost(Feature.PLUGIN, f"{len(track.fx)} plug-in(s) on the reference")
        return
    name = desk.names.get(index)
    if name is None:
        _unnamed(desk, index, notes)
    elif desk.is_unheard(index) and name != MIX_BUS:
        notes.bent(Feature.BUSES, "its main send is off, so that it is not heard in the mix; it is muted")
    if name is not None and track.solo and name in (MIX_BUS, *(desk.names[each] for each in desk.returns)):
        notes.lost(_MIXER, "its solo; a template has solo on buses")
    if track.channels > 2 and not any(receive.target_channel for receive in track.receives):
        notes.lost(Feature.BUSES, f"its {track.channels} channels; a template's tracks have 2")


def _unnamed(desk: Desk, index: int, notes: Losses) -> None:
    """A track that is neither bus nor return: what is set on it is lost, but for the one track of a bus."""
    track = desk.track(index)
    owner = desk.bus_of(index)
    if owner is None or (owner == MIX_BUS and not _is_stem(desk, index)):
        notes.lost(Feature.CLIPS, "stands beside the mix" if owner is None else "holds only sends and is left out")
    headed = any(desk.only_track(bus) == index for bus in desk.buses)
    if track.fx and not headed:
        notes.lost(Feature.PLUGIN, f"{len(track.fx)} plug-in(s) on a single track; a template has chains on buses")
    if track.gain_linear != 1.0 and not headed:
        notes.lost(_MIXER, f"its level of {linear_to_db(track.gain_linear):.1f} dB; a template has levels on buses")
    if track.pan:
        notes.lost(_MIXER, f"its pan of {track.pan:g}; a template has pans on buses")
    if track.mute and owner is not None:
        notes.lost(_MIXER, "it is muted; a template mutes buses")
    if track.solo:
        notes.lost(_MIXER, "its solo; a template has solo on buses")
    if track.group_mask:
        notes.lost(Feature.GROUPS, "its group; a template groups buses")
    if desk.is_unheard(index) and owner is not None:
        notes.lost(Feature.BUSES, "its main send is off, so that it is not heard; a stem on it will be")


def _is_stem(desk: Desk, index: int) -> bool:
    return any(index in stem_tracks(desk, bus) for bus in desk.buses)


def _project(root: Chunk, law_counts: bool, notes: Losses) -> None:
    law = root.float("PANLAW", 0, UNITY_LAW)
    if law != UNITY_LAW and law_counts:
        notes.bent(_MIXER, f"the project's pan law of {law_text(law)}; a template's is 0 dB, so levels differ by it")
    if root.float("PLAYRATE", 0, 1.0) != 1.0:
        notes.lost(Feature.TEMPO, f"the project's play rate of {root.float('PLAYRATE', 0, 1.0):g}")
    tempo = root.chunk("TEMPOENVEX")
    changes = sum(1 for _ in tempo.lines("PT")) if tempo else 0
    if changes > 1:
        notes.lost(Feature.TEMPO, f"its {changes} changes of tempo; a template has one tempo")


def _master(desk: Desk, root: Chunk, notes: Losses) -> None:
    """The master: it is the mix bus of the template, or it stands behind the mix bus, where a template ends."""
    behind = "; a template ends at the mix bus"
    chain = root.chunk("MASTERFXLIST")
    if chain is not None:
        chain_losses(chain, notes)
        if desk.mix is not None and chain_parts(chain):
            notes.lost(Feature.PLUGIN, f"{len(chain_parts(chain))} plug-in(s) on the master{behind}")
    if desk.mix is not None:
        gain_db, pan = linear_to_db(root.float("MASTER_VOLUME", 0, 1.0)), root.float("MASTER_VOLUME", 1)
        if root.float("MASTER_VOLUME", 0, 1.0) != 1.0:
            notes.lost(_MIXER, f"the master's level of {gain_db:.1f} dB{behind}")
        if pan:
            notes.lost(_MIXER, f"the master's pan of {pan:g}{behind}")
    state = root.int("MASTERMUTESOLO")
    if state:
        notes.lost(_MIXER, "the master is muted, in mono or on solo")
    if root.int("MASTER_NCH", 0, 2) > 2:
        notes.lost(Feature.BUSES, f"the master's {root.int('MASTER_NCH', 0, 2)} channels")
    law = root.float("MASTER_VOLUME", 2, PROJECT_LAW)
    if law not in (PROJECT_LAW, UNITY_LAW):
        notes.bent(_MIXER, f"the master's pan law of {law_text(law)}")
    for part in root.chunks():
        if is_envelope(part) and part.name.startswith("MASTER") and automation(part):
            notes.lost(_MIXER, automation(part))
