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
from tests.reaper.simulator.model import Item, Source, Take, Track, World

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
}
"""Functions that are the same in both languages."""


@dataclass
class Reaper:
    """What a person sees and does around an action."""

    world: World
    script: Path
    inputs: list[str | None] = field(default_factory=list)
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
                    answer: dict[str, Any] = {"r": self._call(request["f"], list(request["a"]))}
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
        return 1

    def lua_GetUserInputs(self, title: str, count: int, captions: str, values: str) -> list[Any]:
        answer = self.inputs.pop(0)
        return [False, values] if answer is None else [True, answer or values]

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
        names = sorted(each.name for each in Path(path).iterdir() if each.is_file()) if Path(path).is_dir() else []
        return names[index] if index < len(names) else None

    def lua_EnumerateSubdirectories(self, path: str, index: int) -> str | None:
        names = sorted(each.name for each in Path(path).iterdir() if each.is_dir()) if Path(path).is_dir() else []
        return names[index] if index < len(names) else None

    def lua_file_exists(self, path: str) -> bool:
        return Path(path).is_file()

    def lua_ExecProcess(self, command: str, timeout_ms: int) -> str | None:
        if timeout_ms not in (-1, -2):
            raise WrongCall("ExecProcess would block REAPER")
        arguments = shlex.split(command)
        self.commands.append(arguments)
        if not Path(arguments[0]).is_file():
            return None
        self.workers.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return "0\n"

    # --- the project
    def lua_EnumProjects(self, index: int) -> list[Any]:
        return [self.world.project.pointer, self.world.project.path]

    def lua_IsProjectDirty(self, project: int) -> int:
        return int(self.dirty)

    def _items(self) -> list[Item]:
        return [item for track in self.world.content.tracks for item in track.items]

    def _selected(self) -> list[Item]:
        return [item for item in self._items() if item.values["B_UISEL"]]

    def lua_CountSelectedMediaItems(self, project: int) -> int:
        return len(self._selected())

    def lua_GetSelectedMediaItem(self, project: int, index: int) -> str:
        return self._selected()[index].pointer

    def lua_CountMediaItems(self, project: int) -> int:
        return len(self._items())

    def lua_GetMediaItem(self, project: int, index: int) -> str:
        return self._items()[index].pointer

    def lua_GetMediaItemTrack(self, item: str) -> str:
        found: Item = self._thing("MediaItem*", item)
        return next(track for track in self.world.content.tracks if found in track.items).pointer

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
        raise WrongCall(f"GetSetMediaItemInfo_String {key}")

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
