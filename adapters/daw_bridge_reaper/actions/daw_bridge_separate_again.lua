-- daw-bridge: Separate again with last settings
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
require("daw_bridge_separation").now()
