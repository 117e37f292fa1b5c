-- daw-bridge EQ: biquads of the RBJ Audio EQ Cookbook for what Ardour's ACE EQ cannot express (pass filters, notches,
-- shelves with another slope). It travels inside the session file, so nothing has to be installed.
ardour {
	["type"]    = "dsp",
	name        = "daw-bridge EQ",
	category    = "EQ",
	license     = "MIT",
	author      = "daw-bridge",
	description = [[Four biquad bands: high-pass, low-pass, shelves, bell, notch (RBJ Audio EQ Cookbook)]]
}

local BANDS = 4
local PER_BAND = 5 -- type, frequency, Q, gain, on
local KINDS = { "HighPass", "LowPass", "LowShelf", "HighShelf", "Peaking", "Notch" }

function dsp_ioconfig ()
	return { { audio_in = -1, audio_out = -1 } }
end

function dsp_params ()
	local points = { ["High-pass"] = 0, ["Low-pass"] = 1, ["Low shelf"] = 2, ["High shelf"] = 3, ["Bell"] = 4, ["Notch"] = 5 }
	local list = {}
	for b = 1, BANDS do
		local n = "Band " .. b .. " "
		table.insert (list, { ["type"] = "input", name = n .. "Type", min = 0, max = 5, default = 4, enum = true, scalepoints = points })
		table.insert (list, { ["type"] = "input", name = n .. "Frequency", min = 5, max = 20000, default = 1000, unit = "Hz", logarithmic = true })
		table.insert (list, { ["type"] = "input", name = n .. "Q", min = 0.05, max = 40, default = 0.707, logarithmic = true })
		table.insert (list, { ["type"] = "input", name = n .. "Gain", min = -40, max = 40, default = 0, unit = "dB" })
		table.insert (list, { ["type"] = "input", name = n .. "On", min = 0, max = 1, default = 0, toggled = true })
	end
	table.insert (list, { ["type"] = "input", name = "Enable", min = 0, max = 1, default = 1, bypass = true, toggled = true })
	return list
end

local rate = 48000
local filters = {} -- [channel][band]
local seen = {}    -- the control values that the coefficients were computed from

function dsp_init (sample_rate)
	rate = sample_rate
end

function dsp_configure (ins, outs)
	assert (ins:n_audio () == outs:n_audio ())
	filters = {}
	seen = {}
	for c = 1, ins:n_audio () do
		filters[c] = {}
		for b = 1, BANDS do
			filters[c][b] = ARDOUR.DSP.Biquad (rate)
		end
	end
	collectgarbage ()
end

local function update (ctrl)
	for b = 1, BANDS do
		local at = (b - 1) * PER_BAND
		local changed = false
		for p = 1, 4 do
			if seen[at + p] ~= ctrl[at + p] then
				seen[at + p] = ctrl[at + p]
				changed = true
			end
		end
		if changed then
			local kind = ARDOUR.DSP.BiquadType[KINDS[math.floor (ctrl[at + 1] + 0.5) + 1]]
			for c = 1, #filters do
				filters[c][b]:compute (kind, ctrl[at + 2], ctrl[at + 3], ctrl[at + 4])
			end
		end
	end
end

function dsp_run (ins, outs, n_samples)
	local ctrl = CtrlPorts:array ()
	update (ctrl)
	for c = 1, #outs do
		if ins[c] ~= outs[c] then
			ARDOUR.DSP.copy_vector (outs[c], ins[c], n_samples)
		end
		if ctrl[BANDS * PER_BAND + 1] > 0 then
			for b = 1, BANDS do
				if ctrl[b * PER_BAND] > 0 then
					filters[c][b]:run (outs[c], n_samples)
				end
			end
		end
	end
end
