-- daw-bridge: Apply bus template to session...
-- Puts the chains, levels and colours of a template on the buses of this project, found by id or by name.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")
local items = require("daw_bridge_items")

local ok, answer = reaper.GetUserInputs("Apply bus template", 1, "Bus template (name or .yaml),extrawidth=160", lib.get("template", "band"))
if not ok then return end
lib.set("template", answer)
local _, project = reaper.EnumProjects(-1)

local function apply(result)
  local done, missing = 0, {}
  for _, bus in ipairs(result.buses) do
    local tracks = items.buses(bus.name, bus.label)
    if #tracks == 0 then missing[#missing + 1] = bus.label end
    for _, track in ipairs(tracks) do
      local _, chunk = reaper.GetTrackStateChunk(track, "", false)
      if not reaper.SetTrackStateChunk(track, items.with_chain(chunk, items.chain_of(bus.chunk)), false) then
        error("REAPER did not take the chain of " .. bus.label, 0)
      end
      for key, value in pairs(bus.values) do reaper.SetMediaTrackInfo_Value(track, key, value) end
      items.colour(track, bus.colour)
      done = done + 1
    end
  end
  return done, missing
end

lib.run({ version = 1, kind = "template", template = answer }, function(result)
  local _, now = reaper.EnumProjects(-1)
  if now ~= project then return lib.say("Another project is open now; nothing was changed.") end
  reaper.Undo_BeginBlock2(0)
  reaper.PreventUIRefresh(1)
  local good, done, missing = pcall(apply, result)
  reaper.PreventUIRefresh(-1)
  local name = "daw-bridge: apply template " .. result.template .. (good and "" or " (failed " .. reaper.time_precise() .. ")")
  reaper.Undo_EndBlock2(0, name, -1)
  if not good then
    if reaper.Undo_CanUndo2(0) == name then reaper.Undo_DoUndo2(0) end
    return lib.say("Nothing was changed: " .. tostring(done))
  end
  reaper.UpdateArrange()
  local text = string.format("%d bus(es) set to %s. Sends and returns stay as they are.", done, result.template)
  if #missing > 0 then text = text .. "\nNot in this project: " .. table.concat(missing, ", ") end
  lib.say(text)
end)
