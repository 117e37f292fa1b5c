-- daw-bridge: Preset: drum kit
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
require("daw_bridge_separation").now({ model = "htdemucs_ft", stems = "", chain = "drums:drumsep5", template = "drum-kit" })
