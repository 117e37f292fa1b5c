-- daw-bridge: Cancel
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")

local job = lib.running_job()
if not job then return lib.say("Nothing is running.") end
lib.write(job .. "/cancel", "")
