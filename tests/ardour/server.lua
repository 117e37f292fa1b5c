-- ardourN-lua server.lua DIR NAME STOP: keep a session open, so that its OSC server answers, until the file STOP exists.
local session = load_session (arg[1], arg[2])
assert (session, "the session does not load")
print ("READY")
io.stdout:flush ()
while true do
	sleep (0.05)
	local stop = io.open (arg[3])
	if stop then
		stop:close ()
		break
	end
end
session = nil
collectgarbage ()
close_session ()
