-- daw-bridge: Find or choose the Python for daw-bridge...
-- The first step after an installation by ReaPack: finds the Python that has daw-bridge, or explains what is missing.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")
local python = require("daw_bridge_python")

local function choose()
  local chosen, path = reaper.GetUserFileNameForRead("", "The Python that has daw-bridge", "")
  if not chosen then return end
  local version, reason = python.version(path)
  if not version then return lib.say(path .. " has no daw-bridge: " .. reason) end
  lib.set("python", path)
  lib.say("Python: " .. path .. "\n" .. version .. " is ready. Select an audio item and separate it.")
end

local known = lib.python()
local works = known and python.version(known)
if works then
  if lib.ask("Python: " .. known .. "\n" .. works .. " is ready.\n\nUse another one?") then choose() end
  return
end
local found, text = python.search()
if found then return lib.say("Python: " .. found .. "\n" .. text .. " is ready. Select an audio item and separate it.") end
if lib.ask(text .. "\n\nChoose the Python program yourself?") then choose() end
