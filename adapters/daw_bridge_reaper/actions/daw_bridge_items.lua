-- Items and tracks of the open project: what is selected, what of it can be separated, and what is where.
local items = {}

items.KEY = "P_EXT:daw_bridge"
items.MARK = "P_EXT:daw_bridge_stems"
local KEY = items.KEY
local WHOLE = 0.9 -- an item that plays this much of its file is separated whole
local NEAR_S = 20.0 -- parts of one file that lie closer than this are separated together

-- The source that holds the file of a take, and the section around it (nil without one, false for several).
local function file_of(take)
  local source, section = reaper.GetMediaItemTake_Source(take), nil
  while source do
    local parent = reaper.GetMediaSourceParent(source)
    if not parent then break end
    section = section == nil and source or false
    source = parent
  end
  if not source then return nil end
  local name = reaper.GetMediaSourceFileName(source)
  return name and name ~= "" and name or nil, source, section
end

-- Which seconds of its file an item plays, on whole samples; nil when it is (nearly) all, or not to be told.
local function part_of(item, take, source, section)
  local length_s, in_quarters = reaper.GetMediaSourceLength(source)
  local rate_hz = reaper.GetMediaSourceSampleRate(source)
  if in_quarters or not length_s or length_s <= 0 or not rate_hz or rate_hz <= 0 then return nil end
  if section == false or reaper.GetTakeNumStretchMarkers(take) > 0 then return nil end
  local from, to
  if section then
    local good, offset_s, section_s = reaper.PCM_Source_GetSectionInfo(section)
    if not good then return nil end
    from, to = offset_s, offset_s + section_s
  else
    from = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS")
    to = from + reaper.GetMediaItemInfo_Value(item, "D_LENGTH") * reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE")
    if to > length_s + 0.5 / rate_hz and reaper.GetMediaItemInfo_Value(item, "B_LOOPSRC") ~= 0 then return nil end
  end
  from, to = math.max(from, 0.0), math.min(to, length_s)
  if to <= from or to - from >= WHOLE * length_s then return nil end
  return { math.floor(from * rate_hz + 1e-6) / rate_hz, math.ceil(to * rate_hz - 1e-6) / rate_hz }, length_s
end

-- Where the time selection cuts an item, from its start on; nil when it takes the whole of it, false when nothing.
local function cut_of(item)
  local from, to = reaper.GetSet_LoopTimeRange(false, false, 0, 0, false)
  local start, length = reaper.GetMediaItemInfo_Value(item, "D_POSITION"), reaper.GetMediaItemInfo_Value(item, "D_LENGTH")
  from, to = math.max(from - start, 0.0), math.min(to - start, length)
  if to - from < 1e-9 then return false end
  if from < 1e-9 and to > length - 1e-9 then return nil end
  return { from, to }
end

local function with_cut(part, cut, item, take, source, section)
  if not cut then return part end
  local rate = reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE")
  local rate_hz = reaper.GetMediaSourceSampleRate(source)
  local length_s, in_quarters = reaper.GetMediaSourceLength(source)
  if section ~= nil or in_quarters or reaper.GetTakeNumStretchMarkers(take) > 0 then return part end
  local offset = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS")
  local from, to = math.max(offset + cut[1] * rate, 0.0), math.min(offset + cut[2] * rate, length_s)
  if to <= from then return part end -- a looped item behind its first round
  return { math.floor(from * rate_hz + 1e-6) / rate_hz, math.ceil(to * rate_hz - 1e-6) / rate_hz }
end

-- The selected audio items with their files, and what is wrong with the others. `extent` says how much of the file is
-- wanted: "item", "file" or "time" (the time selection).
function items.selected(extent)
  local found, wrong = {}, {}
  for index = 0, reaper.CountSelectedMediaItems(0) - 1 do
    local item = reaper.GetSelectedMediaItem(0, index)
    local take = reaper.GetActiveTake(item)
    local midi = take and reaper.TakeIsMIDI(take)
    local file, source, section
    if take and not midi then file, source, section = file_of(take) end
    local cut
    if extent == "time" then cut = cut_of(item) end
    if not take then
      wrong[#wrong + 1] = "an empty item"
    elseif midi then
      wrong[#wrong + 1] = "a MIDI item: render it to audio first"
    elseif not file then
      wrong[#wrong + 1] = "an item without a file: glue or render it first"
    elseif not reaper.file_exists(file) then
      wrong[#wrong + 1] = "an offline item: " .. file
    elseif cut == false then
      wrong[#wrong + 1] = "an item outside of the time selection"
    else
      local _, guid = reaper.GetSetMediaItemInfo_String(item, "GUID", "", false)
      local part
      if extent ~= "file" then part = with_cut(part_of(item, take, source, section), cut, item, take, source, section) end
      local length_s = reaper.GetMediaSourceLength(source)
      found[#found + 1] = { item = item, guid = guid, file = file, part = part, cut = cut or nil, length_s = length_s }
    end
  end
  return found, wrong
end

-- What to separate for these items: each file once, or once for each part of it that lies apart from the others.
-- Gives each item the number of its source.
function items.sources(selected)
  local by_file, order = {}, {}
  for _, each in ipairs(selected) do
    if not by_file[each.file] then
      by_file[each.file] = {}
      order[#order + 1] = each.file
    end
    table.insert(by_file[each.file], each)
  end
  local sources = {}
  for _, file in ipairs(order) do
    local group, whole = by_file[file], false
    for _, each in ipairs(group) do whole = whole or not each.part end
    if whole then
      sources[#sources + 1] = { file = file, seconds = group[1].length_s }
      for _, each in ipairs(group) do each.source = #sources end
    else
      table.sort(group, function(a, b) return a.part[1] < b.part[1] end)
      for _, each in ipairs(group) do
        local last = sources[#sources]
        if not last or last.file ~= file or each.part[1] > last.range[2] + NEAR_S then
          last = { file = file, range = { each.part[1], each.part[2] } }
          sources[#sources + 1] = last
        end
        last.range[2] = math.max(last.range[2], each.part[2])
        last.seconds = last.range[2] - last.range[1]
        each.source = #sources
      end
    end
  end
  return sources
end

-- Items may be gone or moved when the worker is ready: find them again by their ids, in any project.
function items.find(project, guid)
  for index = 0, reaper.CountMediaItems(project) - 1 do
    local item = reaper.GetMediaItem(project, index)
    local _, other = reaper.GetSetMediaItemInfo_String(item, "GUID", "", false)
    if other == guid then return item end
  end
end

-- Whether an item has the stems of these settings in the project, or is such a stem itself.
function items.is_done(item, settings)
  local track = reaper.GetMediaItemTrack(item)
  local _, key = reaper.GetSetMediaTrackInfo_String(track, KEY, "", false)
  if key and key ~= "" then return true end
  local _, mark = reaper.GetSetMediaItemInfo_String(item, items.MARK, "", false)
  local session, how = (mark or ""):match("^([^\t]*)\t(.*)$")
  if not session or how ~= settings then return false end
  if session == "" then return true end -- takes of the item itself
  for index = 0, reaper.CountTracks(0) - 1 do
    local _, other = reaper.GetSetMediaTrackInfo_String(reaper.GetTrack(0, index), KEY, "", false)
    if other and other:sub(1, #session + 1) == session .. "/" then return true end
  end
  return false
end

-- A colour in the order of this system.
function items.colour(track, colour)
  if not colour then return end
  local native = reaper.ColorToNative(math.floor(colour[1]), math.floor(colour[2]), math.floor(colour[3]))
  reaper.SetMediaTrackInfo_Value(track, "I_CUSTOMCOLOR", native | 0x1000000)
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

return items
