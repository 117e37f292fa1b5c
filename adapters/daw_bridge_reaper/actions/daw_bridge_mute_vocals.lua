-- daw-bridge: Mute or unmute vocals
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")
local items = require("daw_bridge_items")

local tracks = items.buses("vocals", "Vocals")
if #tracks == 0 then return lib.say("There is no track called Vocals in this project.") end
local muted = true
for _, track in ipairs(tracks) do
  muted = muted and reaper.GetMediaTrackInfo_Value(track, "B_MUTE") ~= 0
end
reaper.Undo_BeginBlock2(0)
for _, track in ipairs(tracks) do reaper.SetMediaTrackInfo_Value(track, "B_MUTE", muted and 0 or 1) end
reaper.Undo_EndBlock2(0, muted and "daw-bridge: unmute vocals" or "daw-bridge: mute vocals", -1)
