-- A template onto the buses of the open project: chains, levels, colours, and what their side-chains need.
local apply = {}

local items = require("daw_bridge_items")
local chunks = require("daw_bridge_chunks")
local place = require("daw_bridge_place")

local MOST_CHANNELS = 128

local function value(track, key)
  return math.floor(reaper.GetMediaTrackInfo_Value(track, key))
end

-- The tracks that a track's sound goes to next: its folder, and where it sends to.
local function following(track)
  local found = {}
  local parent = reaper.GetParentTrack(track)
  if parent and value(track, "B_MAINSEND") ~= 0 then found[1] = parent end
  for index = 0, reaper.GetTrackNumSends(track, 0) - 1 do
    found[#found + 1] = reaper.GetTrackSendInfo_Value(track, 0, index, "P_DESTTRACK")
  end
  return found
end

local function feeds(source, target, seen)
  if source == target then return true end
  seen = seen or {}
  if seen[source] then return false end
  seen[source] = true
  for _, track in ipairs(following(source)) do
    if feeds(track, target, seen) then return true end
  end
  return false
end

-- Whether anything but `source` uses the channel of a track: its children, or another track's send.
local function taken(track, source, channel)
  for index = 0, reaper.GetTrackNumSends(track, -1) - 1 do
    local from = reaper.GetTrackSendInfo_Value(track, -1, index, "P_SRCTRACK")
    local to = math.floor(reaper.GetTrackSendInfo_Value(track, -1, index, "I_DSTCHAN")) & 1023
    if from ~= source and to + 1 >= channel and to <= channel + 1 then return true end
  end
  for index = 0, reaper.CountTracks(0) - 1 do
    local child = reaper.GetTrack(0, index)
    if reaper.GetParentTrack(child) == track and value(child, "I_NCHAN") > channel then return true end
  end
  return false
end

local function has_send(source, track, channel)
  for index = 0, reaper.GetTrackNumSends(source, 0) - 1 do
    local to = reaper.GetTrackSendInfo_Value(source, 0, index, "P_DESTTRACK")
    local at = math.floor(reaper.GetTrackSendInfo_Value(source, 0, index, "I_DSTCHAN")) & 1023
    if to == track and at == channel then return true end
  end
  return false
end

-- What a side-chain of a track needs: nil when it can be had, else why its compressor listens to the track itself.
local function obstacle(track, receive)
  local sources = items.buses(receive.name, receive.label)
  local channel = math.floor(receive.values.I_DSTCHAN)
  if #sources == 0 then return receive.label .. " is not in this project" end
  if feeds(track, sources[1]) then return receive.label .. " gets its signal already" end
  if channel + 2 > MOST_CHANNELS or taken(track, sources[1], channel) then
    return string.format("its channels %d/%d are in use", channel + 1, channel + 2)
  end
  return nil, sources[1]
end

local function connect(track, source, receive)
  local channel = math.floor(receive.values.I_DSTCHAN)
  if value(track, "I_NCHAN") < channel + 2 then reaper.SetMediaTrackInfo_Value(track, "I_NCHAN", channel + 2) end
  if has_send(source, track, channel) then return end
  local index = reaper.CreateTrackSend(source, track)
  if index < 0 then error("REAPER made no send", 0) end
  for key, each in pairs(receive.values) do reaper.SetTrackSendInfo_Value(source, 0, index, key, each) end
end

local function set_chain(track, chain, label)
  local good, chunk = reaper.GetTrackStateChunk(track, "", false)
  if not good or not reaper.SetTrackStateChunk(track, chunks.with_chain(chunk, chunks.chain_of(chain)), false) then
    error("REAPER did not take the chain of " .. label, 0)
  end
end

local function set_bus(bus, track, notes)
  local why, sources = nil, {}
  for number, receive in ipairs(bus.sidechains) do
    local reason, source = obstacle(track, receive)
    why, sources[number] = why or reason, source
  end
  set_chain(track, why and bus.plain or bus.chunk, bus.label)
  if why then
    notes[#notes + 1] = "The side-chain of " .. bus.label .. " is not connected (" .. why .. "): it listens to itself."
  else
    for number, receive in ipairs(bus.sidechains) do connect(track, sources[number], receive) end
  end
  for key, each in pairs(bus.values) do reaper.SetMediaTrackInfo_Value(track, key, each) end
  items.colour(track, bus.colour)
end

-- Set all buses of a template in one undo step; what was done, in words. An error leaves everything as it was.
function apply.step(result)
  local done, missing, notes = 0, {}, {}
  local good, reason = place.step("daw-bridge: apply template " .. result.template, function()
    for _, bus in ipairs(result.buses) do
      local tracks = items.buses(bus.name, bus.label)
      if #tracks == 0 then missing[#missing + 1] = bus.label end
      for _, track in ipairs(tracks) do
        set_bus(bus, track, notes)
        done = done + 1
      end
    end
  end)
  if not good then error(reason, 0) end
  local text = string.format("%d bus(es) set to %s. Sends to returns stay as they are.", done, result.template)
  if #missing > 0 then text = text .. "\nNot in this project: " .. table.concat(missing, ", ") end
  for _, note in ipairs(notes) do text = text .. "\n" .. note end
  return text
end

return apply
