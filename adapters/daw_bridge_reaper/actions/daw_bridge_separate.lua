-- daw-bridge: Separate selected items into stems...
-- Asks for model, template and stems, separates in the background, and puts the stems on buses below the items.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")
local items = require("daw_bridge_items")
local json = require("daw_bridge_json")

local selected, wrong = items.selected()
if #selected == 0 then
  local reason = wrong[1] and "The selection holds " .. wrong[1] .. "." or "Select one or several audio items first."
  return lib.say(reason)
end
local parent, project = lib.project_folder()
if not parent then return lib.say(project) end

local settings = { lib.get("model", "htdemucs_ft"), lib.get("template", "band"), lib.get("stems", "") }
if not DAW_BRIDGE_AGAIN then
  local ok, answer = reaper.GetUserInputs(
    "Separate into stems", 3,
    "Model,Bus template (name or .yaml),Only these stems (empty: all),extrawidth=160,separator=|",
    table.concat(settings, "|")
  )
  if not ok then return end
  settings = {}
  for part in (answer .. "|"):gmatch("([^|]*)|") do settings[#settings + 1] = part:match("^%s*(.-)%s*$") end
  for index, key in ipairs({ "model", "template", "stems" }) do lib.set(key, settings[index] or "") end
end

local job = {
  version = 1, kind = "separate", model = settings[1], template = settings[2], stems = settings[3] or "",
  sources = json.list(),
}
local known = {}
for _, each in ipairs(selected) do
  if not known[each.file] then
    known[each.file] = true
    local name = each.file:match("([^/\\]+)$"):gsub("%.[^.]*$", "")
    job.sources[#job.sources + 1] = { file = each.file, folder = lib.new_folder(parent, name) }
  end
end

lib.run(job, function(result)
  local _, now = reaper.EnumProjects(-1)
  if now ~= project then
    return lib.say("Another project is open now. The stems are in\n" .. result.sources[1].folder .. "\nOpen the project again and drag them in.")
  end
  local good, reason = items.place(result.sources, selected, "daw-bridge: separate into stems")
  if not good then return lib.say("Nothing was changed: " .. tostring(reason)) end
  local notes = table.concat(result.notes or {}, "\n")
  if #wrong > 0 then notes = notes .. "\nLeft out: " .. table.concat(wrong, ", ") end
  if notes ~= "" then lib.say(notes) end
end)
