-- daw-bridge: Separate selected items into stems...
-- Asks for everything in one menu, separates in the background, and puts the stems where they are wanted.
local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = folder .. "?.lua;" .. package.path
require("daw_bridge_separation").ask()
