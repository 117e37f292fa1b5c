-- daw-bridge: Extract bus template from this project
-- Reads the project file as it was saved last and writes a template beside it.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")

local parent, project = lib.project_folder()
if not parent then return lib.say(project) end
if reaper.IsProjectDirty(0) ~= 0 then
  return lib.say("Save the project first: the template is read from the file.")
end
require("daw_bridge_jobs").ask({ version = 1, kind = "extract", project = project }, function(result)
  local text = "The template is in\n" .. result.template
  if result.notes and #result.notes > 0 then text = text .. "\n\n" .. table.concat(result.notes, "\n") end
  lib.say(text)
end)
