-- daw-bridge: Preset: 6 stems
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
require("daw_bridge_separation").now({ model = "htdemucs_6s", stems = "", template = "six-stem" })
