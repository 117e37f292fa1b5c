-- daw-bridge: Apply bus template to session...
-- Puts the chains, levels, colours and side-chains of a template on the buses of this project, found by id or by name.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")
local jobs = require("daw_bridge_jobs")
local menu = require("daw_bridge_menu")
local apply = require("daw_bridge_apply")

jobs.ask({ version = 1, kind = "choices" }, function(choices)
  local answer = menu.template(choices, menu.last())
  if not answer then return end
  lib.set("template", answer)
  local project = reaper.EnumProjects(-1)
  jobs.ask({ version = 1, kind = "template", template = answer }, function(result)
    if not reaper.ValidatePtr2(0, project, "ReaProject*") then return lib.say("The project was closed; nothing was changed.") end
    local active = reaper.EnumProjects(-1)
    if project ~= active then reaper.SelectProjectInstance(project) end
    local good, text = pcall(apply.step, result)
    if project ~= active then reaper.SelectProjectInstance(active) end
    lib.say(good and text or "Nothing was changed: " .. tostring(text))
  end)
end)
