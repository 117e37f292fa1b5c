-- daw-bridge: Place finished separations
-- Goes on with what an earlier run of REAPER began, and places what is ready for a project that is open now.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
local lib = require("daw_bridge_lib")
local jobs = require("daw_bridge_jobs")

if #jobs.all() == 0 then return lib.say("Nothing is waiting.") end
jobs.work(require("daw_bridge_place").finish)
