-- daw-bridge: Separate again with last settings
DAW_BRIDGE_AGAIN = true
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
dofile(folder .. "daw_bridge_separate.lua")
DAW_BRIDGE_AGAIN = nil
