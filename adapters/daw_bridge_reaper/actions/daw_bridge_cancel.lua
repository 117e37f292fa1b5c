-- daw-bridge: Cancel
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")

if require("daw_bridge_jobs").cancel() == 0 then lib.say("Nothing is running.") end
