-- Items and tracks: what is selected, and the stems below it.
-- A stem is as long as the source's file, so an item becomes a stem's item by exchanging the file in its state:
-- offset, play rate, section, reverse, fades, volume, envelopes and stretch markers stay as they are.
local items = {}

local KEY = "P_EXT:daw_bridge"

local function file_of(take)
  local source = reaper.GetMediaItemTake_Source(take)
  while source do
    local parent = reaper.GetMediaSourceParent(source)
    if not parent then break end
    source = parent
  end
  if not source then return nil end
  local name = reaper.GetMediaSourceFileName(source)
  return name ~= "" and name or nil
end

-- The selected audio items with their files, and what is wrong with the others.
function items.selected()
  local found, wrong = {}, {}
  for index = 0, reaper.CountSelectedMediaItems(0) - 1 do
    local item = reaper.GetSelectedMediaItem(0, index)
    local take = reaper.GetActiveTake(item)
    local file = take and not reaper.TakeIsMIDI(take) and file_of(take)
    if not take then
      wrong[#wrong + 1] = "an empty item"
    elseif reaper.TakeIsMIDI(take) then
      wrong[#wrong + 1] = "a MIDI item: render it to audio first"
    elseif not file then
      wrong[#wrong + 1] = "an item without a file: glue or render it first"
    elseif not reaper.file_exists(file) then
      wrong[#wrong + 1] = "an offline item: " .. file
    else
      local _, guid = reaper.GetSetMediaItemInfo_String(item, "GUID", "", false)
      found[#found + 1] = { item = item, guid = guid, file = file, track = reaper.GetMediaItemTrack(item) }
    end
  end
  return found, wrong
end

-- Items may be gone or moved when the worker is ready: find them again by their ids.
function items.find(guid)
  for index = 0, reaper.CountMediaItems(0) - 1 do
    local item = reaper.GetMediaItem(0, index)
    local _, other = reaper.GetSetMediaItemInfo_String(item, "GUID", "", false)
    if other == guid then return item end
  end
end

local function quoted(path)
  for _, mark in ipairs({ '"', "'", "`" }) do
    if not path:find(mark, 1, true) then return mark .. path .. mark end
  end
  error("REAPER cannot hold this file name: " .. path, 0)
end

-- The state of an item with the file of its active take exchanged and its ids taken out.
function items.with_file(chunk, file, active)
  local out, take, source = {}, 0, nil
  for line in chunk:gmatch("[^\r\n]+") do
    local word = line:match("^%s*(%S+)")
    if word == "TAKE" then take = take + 1 end
    if word == "<SOURCE" then source = #out + 1 end
    if word == "FILE" and take == active and source then
      out[source] = "<SOURCE WAVE"
      line = "FILE " .. quoted(file)
    end
    if word ~= "IGUID" and word ~= "GUID" and word ~= "IID" and word ~= "SEL" then out[#out + 1] = line end
  end
  return table.concat(out, "\n") .. "\n"
end

local function below(track)
  local index = math.floor(reaper.GetMediaTrackInfo_Value(track, "IP_TRACKNUMBER"))
  local depth = 0
  -- Behind the whole folder when the item lies on a folder track.
  for place = index - 1, reaper.CountTracks(0) - 1 do
    depth = depth + reaper.GetMediaTrackInfo_Value(reaper.GetTrack(0, place), "I_FOLDERDEPTH")
    if depth <= 0 then return place + 1, depth end
  end
  return reaper.CountTracks(0), 0
end

-- Every way to be in an edit group, as the documentation of GetSetTrackGroupMembership lists them.
local WAYS = {
  "VOLUME_REVERSE", "PAN_REVERSE", "WIDTH_REVERSE", "NO_LEAD_WHEN_FOLLOW", "VOLUME_VCA_FOLLOW_ISPREFX",
}
for _, what in ipairs({
  "VOLUME", "PAN", "MUTE", "SOLO", "RECARM", "POLARITY", "AUTOMODE", "WIDTH", "VOLUME_VCA", "MEDIA_EDIT",
}) do
  WAYS[#WAYS + 1] = what .. "_LEAD"
  WAYS[#WAYS + 1] = what .. "_FOLLOW"
end
local HALVES = { "GetSetTrackGroupMembership", "GetSetTrackGroupMembershipHigh" } -- groups 1 to 32, 33 to 64

-- The bits of all groups that any track is in, for whatever, by half.
local function used_groups()
  local used = { 0, 0 }
  for index = 0, reaper.CountTracks(0) - 1 do
    local track = reaper.GetTrack(0, index)
    for half, name in ipairs(HALVES) do
      for _, way in ipairs(WAYS) do
        used[half] = used[half] | (math.floor(reaper[name](track, way, 0, 0) or 0) & 0xFFFFFFFF)
      end
    end
  end
  return used
end

-- Join the volumes of the tracks that belong together, in groups that nobody uses. What does not fit stays apart.
local function join(layout, made)
  local used, chosen = nil, {}
  for place, wanted in ipairs(layout) do
    local number = math.floor(wanted.group or 0)
    if number > 0 then
      used = used or used_groups()
      if chosen[number] == nil then
        chosen[number] = false
        for group = 0, 63 do
          local half, bit = group // 32 + 1, 1 << group % 32
          if used[half] & bit == 0 then
            used[half] = used[half] | bit
            chosen[number] = { half = half, bit = bit >= 1 << 31 and bit - (1 << 32) or bit }
            break
          end
        end
      end
      local group = chosen[number]
      if group then
        for _, way in ipairs({ "VOLUME_LEAD", "VOLUME_FOLLOW" }) do
          reaper[HALVES[group.half]](made[place], way, group.bit, group.bit)
        end
      end
    end
  end
end

-- Insert the layout's tracks below `track`; the folders around them stay closed as they were.
local function insert(layout, track, session)
  local start, depth = below(track)
  local last = reaper.GetTrack(0, start - 1)
  local time_base = reaper.GetMediaTrackInfo_Value(track, "C_BEATATTACHMODE")
  local made = {}
  for place, wanted in ipairs(layout) do
    reaper.InsertTrackAtIndex(start + place - 1, false)
    local new = reaper.GetTrack(0, start + place - 1)
    if not new then error("REAPER made no track", 0) end
    if not reaper.SetTrackStateChunk(new, wanted.chunk, false) then error("REAPER did not take a track's state", 0) end
    -- The time base of the track that the stems come from: a change of tempo then moves them as it moves the item.
    reaper.SetMediaTrackInfo_Value(new, "C_BEATATTACHMODE", time_base)
    items.colour(new, wanted.colour)
    reaper.GetSetMediaTrackInfo_String(new, KEY, session .. "/" .. wanted.key, true)
    made[place] = new
  end
  if depth < 0 then
    -- The track above closed folders: it does so no longer, our last track does.
    reaper.SetMediaTrackInfo_Value(last, "I_FOLDERDEPTH", reaper.GetMediaTrackInfo_Value(last, "I_FOLDERDEPTH") - depth)
    local tail = made[#made]
    reaper.SetMediaTrackInfo_Value(tail, "I_FOLDERDEPTH", reaper.GetMediaTrackInfo_Value(tail, "I_FOLDERDEPTH") + depth)
  end
  for place, wanted in ipairs(layout) do
    for _, receive in ipairs(wanted.receives) do
      local index = reaper.CreateTrackSend(made[receive.source + 1], made[place])
      for key, value in pairs(receive.values) do
        reaper.SetTrackSendInfo_Value(made[receive.source + 1], 0, index, key, value)
      end
    end
  end
  join(layout, made)
  return made
end

-- A colour in the order of this system.
function items.colour(track, colour)
  if not colour then return end
  local native = reaper.ColorToNative(math.floor(colour[1]), math.floor(colour[2]), math.floor(colour[3]))
  reaper.SetMediaTrackInfo_Value(track, "I_CUSTOMCOLOR", native | 0x1000000)
end

local function clone(item, track, file)
  local _, chunk = reaper.GetItemStateChunk(item, "", false)
  local active = math.floor(reaper.GetMediaItemInfo_Value(item, "I_CURTAKE"))
  local new = reaper.AddMediaItemToTrack(track)
  if not reaper.SetItemStateChunk(new, items.with_file(chunk, file, active), false) then
    error("REAPER did not take the item of " .. file, 0)
  end
  -- The original may be muted by an earlier run; the stems are what is to be heard.
  reaper.SetMediaItemInfo_Value(new, "B_MUTE", 0)
  return new
end

-- Put the stems of each source below the first of its items, in one undo step; everything or nothing.
function items.place(sources, selected, title)
  reaper.Undo_BeginBlock2(0)
  reaper.PreventUIRefresh(1)
  local good, reason = pcall(function()
    for _, source in ipairs(sources) do
      local targets = {}
      for _, each in ipairs(selected) do
        local item = each.file == source.file and items.find(each.guid)
        if item then targets[#targets + 1] = item end
      end
      if #targets == 0 then error("the item of " .. source.file .. " was deleted meanwhile; its stems are in\n" .. source.folder, 0) end
      local made = insert(source.tracks, reaper.GetMediaItemTrack(targets[1]), source.session)
      for place, wanted in ipairs(source.tracks) do
        for _, file in ipairs(wanted.files) do
          for _, item in ipairs(targets) do clone(item, made[place], file) end
        end
      end
      for _, item in ipairs(targets) do reaper.SetMediaItemInfo_Value(item, "B_MUTE", 1) end
    end
  end)
  reaper.PreventUIRefresh(-1)
  local name = good and title or title .. " (failed " .. tostring(reaper.time_precise()) .. ")"
  reaper.Undo_EndBlock2(0, name, -1)
  if not good and reaper.Undo_CanUndo2(0) == name then reaper.Undo_DoUndo2(0) end
  reaper.TrackList_AdjustWindows(false)
  reaper.UpdateArrange()
  return good, reason
end

-- Tracks that are the bus `name`: made by us with that key, or called so.
function items.buses(name, label)
  local found, called = {}, {}
  for index = 0, reaper.CountTracks(0) - 1 do
    local track = reaper.GetTrack(0, index)
    local _, key = reaper.GetSetMediaTrackInfo_String(track, KEY, "", false)
    local _, title = reaper.GetSetMediaTrackInfo_String(track, "P_NAME", "", false)
    local kind, bus = (key or ""):match("([^/:]+):([^/:]+)$")
    if (kind == "bus" or kind == "return" or kind == "mix") and bus == name then found[#found + 1] = track end
    local lower = title:lower()
    if lower == name:lower() or (label and lower == label:lower()) then called[#called + 1] = track end
  end
  return #found > 0 and found or called
end

-- The chain of a track's state, from its first line to the closing one; nil when it has none.
function items.chain_of(chunk)
  local out, depth, inside = {}, 0, false
  for line in chunk:gmatch("[^\r\n]+") do
    local mark = line:match("^%s*(%S)")
    if mark == "<" then
      depth = depth + 1
      if depth == 2 and line:match("^%s*<FXCHAIN%f[%s%z]") then inside = true end
    end
    if inside then out[#out + 1] = line end
    if mark == ">" then
      if inside and depth == 2 then return table.concat(out, "\n") .. "\n" end
      depth = depth - 1
    end
  end
end

-- A track's state with another chain (nil takes it off); everything else stays line for line.
function items.with_chain(chunk, chain)
  local out, depth, inside = {}, 0, false
  for line in chunk:gmatch("[^\r\n]+") do
    local mark = line:match("^%s*(%S)")
    if mark == "<" then
      depth = depth + 1
      if depth == 2 and line:match("^%s*<FXCHAIN%f[%s%z]") then inside = true end
    end
    local closes = mark == ">"
    if closes and depth == 1 and chain then out[#out + 1] = chain:gsub("\n$", "") end
    if not inside then out[#out + 1] = line end
    if closes then
      if depth == 2 then inside = false end
      depth = depth - 1
    end
  end
  return table.concat(out, "\n") .. "\n"
end

return items
