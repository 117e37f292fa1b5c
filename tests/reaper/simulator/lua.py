"""The simulator for Lua actions: a real Lua 5.4 whose `reaper` table asks this model, with Lua's conventions.

Lua gets a function's value first and its out-parameters behind; a null pointer is nil; optional arguments may be left
out. Each call is one JSON line through the pipes of the Lua process.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.reaper.simulator import chunks
from tests.reaper.simulator.functions import Functions, WrongCall
from tests.reaper.simulator.model import Item, Project, Source, Take, Track, World

HARNESS = Path(__file__).with_name("harness.lua")
DIRECT = {
    "InsertTrackAtIndex",
    "PreventUIRefresh",
    "TrackList_AdjustWindows",
    "UpdateArrange",
    "CreateTrackSend",
    "AddMediaItemToTrack",
    "GetMediaItemTake_Source",
    "GetTrack",
    "CountTracks",
    "ColorToNative",
    "SetMediaTrackInfo_Value",
    "GetMediaTrackInfo_Value",
    "SetMediaItemInfo_Value",
    "SetTrackSendInfo_Value",
    "GetSetTrackGroupMembership",
    "GetSetTrackGroupMembershipHigh",
    "Undo_BeginBlock2",
    "Undo_EndBlock2",
    "Undo_CanUndo2",
    "Undo_DoUndo2",
    "SetExtState",
    "GetExtState",
    "DeleteExtState",
    "GetTrackNumSends",
    "SplitMediaItem",
    "GetMediaItemTakeInfo_Value",
}
"""Functions that are the same in both languages."""


@dataclass
class Reaper:
    """What a person sees and does around an action."""

    world: World
    script: Path
    inputs: list[str | None] = field(default_factory=list)
    """What is chosen in menus: `model|template|stem,stem`, or what an entry begins with; None closes the menu."""
    answers: list[int] = field(default_factory=list)
    """To questions: 6 is yes, which is said to all that is not listed here, and 7 no."""
    version: str = "7.42/linux-x86_64"
    system: str = "Other"
    files: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    listed: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    commands: list[list[str]] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    chains: dict[int, str] = field(default_factory=dict)
    dirty: bool = False
    close_window_at: float | None = None
    ticks: int = 0

    def run(self, timeout_s: float = 240.0) -> None:
        """Run the action until it defers nothing any more."""
        command = ["lua5.4", str(HARNESS), str(self.script)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            deadline = time.monotonic() + timeout_s
            for line in process.stdout:
                if not line.startswith("\x01"):
                    raise AssertionError(f"lua: {line}")
                request = json.loads(line[1:])
                try:
                    answers = self._call(request["f"], list(request["a"]))
                    answer: dict[str, Any] = {"r": [{} if each is None else each for each in answers]}
                except (WrongCall, AssertionError, KeyError, IndexError, TypeError) as exc:
                    answer = {"e": f"{request['f']}: {exc!r}"}
                process.stdin.write(json.dumps(answer) + "\n")
                process.stdin.flush()
                if time.monotonic() > deadline:
                    process.kill()
                    raise AssertionError("the action does not end")
            code = process.wait()
        for worker in self.workers:
            worker.wait(timeout=timeout_s)
        if code != 0:
            raise AssertionError("the action ended with an error")

    def _call(self, name: str, arguments: list[Any]) -> list[Any]:
        self.world.alive = None
        if hasattr(self, f"lua_{name}"):
            result = getattr(self, f"lua_{name}")(*arguments)
            return result if isinstance(result, list) else [result]
        if name in DIRECT:
            result = Functions(self.world).call(name, *arguments)
            return [_nil(result)] if not isinstance(result, list) else []
        raise WrongCall(f"{name} is not known to the simulator")

    def _thing(self, kind: str, value: Any) -> Any:
        return Functions(self.world)._thing("lua", kind, value)

    # --- the person
    def lua_get_action_context(self) -> list[Any]:
        return [False, str(self.script), 0, 0, 0, 0, 0.0]

    def lua_ShowMessageBox(self, text: str, title: str, kind: int) -> int:
        self.messages.append(text)
        if kind == 4:
            return self.answers.pop(0) if self.answers else 6
        return 1

    def lua_drawn(self, text: str) -> None:
        self.drawn.append(text)

    def lua_showmenu(self, menu: str) -> int:
        """The number of the wanted entry: separators and titles of submenus are not counted, grey ones are."""
        wanted = self._next_choice()
        entries = [each for each in menu.split("|") if each and not each.startswith(">")]
        self.menus.append(menu)
        if wanted is None:
            return 0
        names = [each.lstrip("<#!") for each in entries]
        for number, name in enumerate(names, start=1):
            if name == wanted or name.startswith((f"{wanted}  ", f"{wanted} (")):
                assert "#" not in entries[number - 1][:3], f"{name} is grey"
                return number
        raise WrongCall(f"the menu has no {wanted!r}: {menu}")

    menus: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)

    def _next_choice(self) -> str | None:
        if not self.choices:
            line = self.inputs.pop(0)
            if line is None:
                return None
            if "|" in line:
                model, template, stems = line.split("|")
                names = [each.strip() for each in stems.split(",") if each.strip()]
                self.choices = [*filter(None, (model, template)), *(names or ["All stems"]), "Separate now"]
            else:
                self.choices = [line]
        return self.choices.pop(0)

    def lua_GetUserFileNameForRead(self, start: str, title: str, extension: str) -> list[Any]:
        return [True, self.files.pop(0)] if self.files else [False, ""]

    def lua_GetMousePosition(self) -> list[Any]:
        return [10, 10]

    def lua_set_action_options(self, flags: int) -> None:
        assert flags == 3

    def lua_GetAppVersion(self) -> str:
        return self.version

    def lua_GetOS(self) -> str:
        return self.system

    def lua_GetResourcePath(self) -> str:
        scripts = next((each for each in self.script.parents if each.name == "Scripts"), self.script.parent)
        return str(scripts.parent)

    def lua_tick(self) -> bool:
        """The harness asks once per defer; whether the window was closed meanwhile."""
        self.ticks += 1
        time.sleep(1 / 60)
        if self.close_window_at is not None and self.ticks >= self.close_window_at:
            self.close_window_at = None
            return True
        return False

    # --- the machine
    def lua_time_precise(self) -> float:
        return time.monotonic()

    def lua_RecursiveCreateDirectory(self, path: str, ignored: int) -> int:
        Path(path).mkdir(parents=True, exist_ok=True)
        return 1

    def lua_EnumerateFiles(self, path: str, index: int) -> str | None:
        return self._enumerate("file", path, index)

    def lua_EnumerateSubdirectories(self, path: str, index: int) -> str | None:
        return self._enumerate("folder", path, index)

    def _enumerate(self, kind: str, path: str, index: int) -> str | None:
        """As documented: what a folder holds is remembered until it is asked for the index -1."""
        if index == -1:
            self.listed.clear()
            return None
        if (kind, path) not in self.listed:
            found = Path(path).iterdir() if Path(path).is_dir() else iter(())
            wanted = Path.is_file if kind == "file" else Path.is_dir
            self.listed[kind, path] = sorted(each.name for each in found if wanted(each))
        names = self.listed[kind, path]
        return names[index] if index < len(names) else None

    def lua_file_exists(self, path: str) -> bool:
        return Path(path).is_file()

    def lua_ExecProcess(self, command: str, timeout_ms: int) -> str | None:
        arguments = shlex.split(command)
        self.commands.append(arguments)
        if timeout_ms not in (-1, -2) and not 0 < timeout_ms <= 30_000:
            raise WrongCall("ExecProcess would block REAPER")
        if not Path(arguments[0]).is_file():
            return None
        if timeout_ms > 0:
            try:
                done = subprocess.run(
                    arguments,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                    timeout=timeout_ms / 1000,
                )
            except (OSError, subprocess.TimeoutExpired):
                return None
            return f"{done.returncode}\n{done.stdout}"
        self.workers.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return "0\n"

    # --- the project
    def lua_EnumProjects(self, index: int) -> list[Any]:
        tabs = self.world.tabs
        if index >= len(tabs):
            return [None, ""]
        found = self.world.project if index < 0 else tabs[index]
        return [found.pointer, found.path]

    def _project(self, project: Any) -> Project:
        found = self._thing("ReaProject*", project)
        assert isinstance(found, Project)
        return found

    def lua_SelectProjectInstance(self, project: str) -> None:
        self.world.select(self._project(project))

    def lua_ValidatePtr2(self, project: Any, pointer: Any, kind: str) -> bool:
        found = self.world.thing(int(str(pointer).rpartition("0x")[2], 16))
        return found is not None and found.kind == kind

    def lua_IsProjectDirty(self, project: int) -> int:
        return int(self.dirty)

    def _items(self) -> list[Item]:
        return [item for track in self.world.content.tracks for item in track.items]

    def _selected(self) -> list[Item]:
        return [item for item in self._items() if item.values["B_UISEL"]]

    def lua_CountSelectedMediaItems(self, project: int) -> int:
        return len(self._selected())

    def lua_GetSelectedMediaItem(self, project: int, index: int) -> str | None:
        found = self._selected()
        return found[index].pointer if index < len(found) else None

    def _items_of(self, project: Any) -> list[Item]:
        return [item for track in self._project(project).content.tracks for item in track.items]

    def lua_CountMediaItems(self, project: Any) -> int:
        return len(self._items_of(project))

    def lua_GetMediaItem(self, project: Any, index: int) -> str | None:
        found = self._items_of(project)
        return found[index].pointer if index < len(found) else None

    def lua_GetSet_LoopTimeRange(self, is_set: bool, loop: bool, start: float, end: float, seek: bool) -> list[Any]:
        assert not is_set
        return list(self.world.time_selection)

    def lua_GetMediaSourceLength(self, source: str) -> list[Any]:
        return [self._thing("PCM_source*", source).length_s, False]

    def lua_GetMediaSourceSampleRate(self, source: str) -> int:
        return int(self._thing("PCM_source*", source).rate_hz)

    def lua_GetTakeNumStretchMarkers(self, take: str) -> int:
        return int(self._thing("MediaItem_Take*", take).values.get("stretch", 0))

    def lua_PCM_Source_GetSectionInfo(self, source: str) -> list[Any]:
        section = self._thing("PCM_source*", source).section
        return [True, *section] if section else [False, 0.0, 0.0, False]

    def lua_GetParentTrack(self, track: str) -> str | None:
        found: Track = self._thing("MediaTrack*", track)
        above: list[Track] = []
        for each in self.world.content.tracks:
            if each is found:
                return above[-1].pointer if above else None
            depth = int(each.values["I_FOLDERDEPTH"])
            if depth > 0:
                above.append(each)
            elif depth:
                del above[max(len(above) + depth, 0) :]
        return None

    def lua_GetTrackSendInfo_Value(self, track: str, category: int, index: int, key: str) -> Any:
        value = Functions(self.world).call("GetTrackSendInfo_Value", track, category, index, key)
        return f"(MediaTrack*)0x{int(value):016X}" if key.startswith("P_") else value

    def lua_GetMediaItemTrack(self, item: str) -> str:
        found: Item = self._thing("MediaItem*", item)
        tracks = (track for tab in self.world.tabs for track in tab.content.tracks)
        return next(track for track in tracks if found in track.items).pointer

    def lua_GetActiveTake(self, item: str) -> str | None:
        found: Item = self._thing("MediaItem*", item)
        return found.takes[int(found.values.get("I_CURTAKE", 0))].pointer if found.takes else None

    def lua_TakeIsMIDI(self, take: str) -> bool:
        found: Take = self._thing("MediaItem_Take*", take)
        return found.source is not None and found.source.type == "MIDI"

    def lua_GetMediaSourceParent(self, source: str) -> str | None:
        found: Source = self._thing("PCM_source*", source)
        return found.parent.pointer if found.parent else None

    def lua_GetMediaSourceFileName(self, source: str) -> str:
        found: Source = self._thing("PCM_source*", source)
        return "" if found.section else found.path

    def lua_GetMediaItemInfo_Value(self, item: str, key: str) -> float:
        found: Item = self._thing("MediaItem*", item)
        return found.values.get(key, 0.0) if key == "I_CURTAKE" else found.values[key]

    def lua_GetSetMediaItemInfo_String(self, item: str, key: str, text: str, is_set: bool) -> list[Any]:
        found: Item = self._thing("MediaItem*", item)
        if key == "GUID" and not is_set:
            return [True, f"{{{found.address:032X}}}"]
        answer = Functions(self.world).call("GetSetMediaItemInfo_String", item, key, text, is_set)
        return [bool(answer[0]), answer[3]]

    def lua_GetSetMediaTrackInfo_String(self, track: str, key: str, text: str, is_set: bool) -> list[Any]:
        answer = Functions(self.world).call("GetSetMediaTrackInfo_String", track, key, text, is_set)
        return [bool(answer[0]), answer[3]]

    def lua_GetItemStateChunk(self, item: str, text: str, undo: bool) -> list[Any]:
        from daw_bridge_reaper import rpp

        return [True, rpp.plain_text(chunks.item_chunk(self._thing("MediaItem*", item)))]

    def lua_SetItemStateChunk(self, item: str, text: str, undo: bool) -> bool:
        from daw_bridge_reaper import rpp

        document = rpp.parse(text)
        assert not document.problems and document.root.name == "ITEM", document.problems
        chunks.set_item(self._thing("MediaItem*", item), document.root)
        return True

    def lua_GetTrackStateChunk(self, track: str, text: str, undo: bool) -> list[Any]:
        found: Track = self._thing("MediaTrack*", track)
        return [True, chunks.track_chunk(found, self.chains.get(found.address, ""))]

    def lua_SetTrackStateChunk(self, track: str, text: str, undo: bool) -> bool:
        found: Track = self._thing("MediaTrack*", track)
        self.chains[found.address] = chunks.set_track(found, text)
        return True


def _nil(value: Any) -> Any:
    return None if isinstance(value, str) and value.endswith("0x0000000000000000") else value
