-- daw-bridge: Preset: 4 stems
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
require("daw_bridge_separation").now({ model = "htdemucs_ft", stems = "", template = "band" })
