-- ardourN-lua load_and_save.lua DIR NAME: open a session and save it again, as a user would.
local session = load_session (arg[1], arg[2])
assert (session, "the session does not load")
sleep (0.5)
assert (session:save_state ("") == 0, "the session does not save")
session = nil
collectgarbage ()
close_session ()
