-- daw-bridge: Preset: karaoke (the song without its vocals)
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
require("daw_bridge_separation").now({ two_stems = "vocals", stems = "", template = "karaoke" })
