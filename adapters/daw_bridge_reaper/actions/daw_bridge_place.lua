-- Stems into the project: on buses below the item, below its track, in lanes, or as takes; all in one undo step.
-- A stem is as long as what was separated, so an item becomes a stem's item by exchanging the file in its state: offset,
-- play rate, section, reverse, fades, volume, envelopes and stretch markers stay as they are.
local place = {}

local lib = require("daw_bridge_lib")
local items = require("daw_bridge_items")
local chunks = require("daw_bridge_chunks")
local LANES_SINCE = 7

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

-- Insert the layout's tracks below `track`, or inside it; the folders around them stay closed as they were.
local function insert(layout, track, session, inside)
  local start, depth = below(track)
  local last = reaper.GetTrack(0, start - 1)
  if inside then
    start, last = math.floor(reaper.GetMediaTrackInfo_Value(track, "IP_TRACKNUMBER")), track
    depth = math.min(reaper.GetMediaTrackInfo_Value(track, "I_FOLDERDEPTH"), 1) - 1 -- 0 where it is a folder already
  end
  local time_base = reaper.GetMediaTrackInfo_Value(track, "C_BEATATTACHMODE")
  local made = {}
  for number, wanted in ipairs(layout) do
    reaper.InsertTrackAtIndex(start + number - 1, false)
    local new = reaper.GetTrack(0, start + number - 1)
    if not new then error("REAPER made no track", 0) end
    if not reaper.SetTrackStateChunk(new, wanted.chunk, false) then error("REAPER did not take a track's state", 0) end
    -- The time base of the track that the stems come from: a change of tempo then moves them as it moves the item.
    reaper.SetMediaTrackInfo_Value(new, "C_BEATATTACHMODE", time_base)
    items.colour(new, wanted.colour)
    reaper.GetSetMediaTrackInfo_String(new, items.KEY, session .. "/" .. wanted.key, true)
    made[number] = new
  end
  if depth < 0 then
    -- The track above closed folders (or opens one now): it does so no longer, our last track does.
    reaper.SetMediaTrackInfo_Value(last, "I_FOLDERDEPTH", reaper.GetMediaTrackInfo_Value(last, "I_FOLDERDEPTH") - depth)
    local tail = made[#made]
    reaper.SetMediaTrackInfo_Value(tail, "I_FOLDERDEPTH", reaper.GetMediaTrackInfo_Value(tail, "I_FOLDERDEPTH") + depth)
  end
  for number, wanted in ipairs(layout) do
    for _, receive in ipairs(wanted.receives) do
      local source = made[receive.source + 1]
      local index = reaper.CreateTrackSend(source, made[number])
      if index < 0 then error("REAPER made no send", 0) end
      for key, value in pairs(receive.values) do reaper.SetTrackSendInfo_Value(source, 0, index, key, value) end
    end
  end
  join(layout, made)
  return made
end

local function state_of(item)
  local good, chunk = reaper.GetItemStateChunk(item, "", false)
  if not good then error("REAPER does not give the state of an item", 0) end
  return chunk, math.floor(reaper.GetMediaItemInfo_Value(item, "I_CURTAKE"))
end

local function clone(item, track, wanted)
  local chunk, active = state_of(item)
  local new = reaper.AddMediaItemToTrack(track)
  if not reaper.SetItemStateChunk(new, chunks.with_file(chunk, wanted, active), false) then
    error("REAPER did not take the item of " .. wanted.file, 0)
  end
  -- The original may be muted by an earlier run; the stems are what is to be heard.
  reaper.SetMediaItemInfo_Value(new, "B_MUTE", 0)
  return new
end

-- The stems of a source: what is played on which of its tracks.
local function stems_of(source)
  local found = {}
  for number, track in ipairs(source.tracks) do
    for _, file in ipairs(track.files) do
      found[#found + 1] = { file = file, name = track.label, track = number, start_s = source.start_s or 0 }
    end
  end
  return found
end

-- The part of an item between two times of it (from its start), cut out of it.
local function cut_out(item, cut)
  local start, length = reaper.GetMediaItemInfo_Value(item, "D_POSITION"), reaper.GetMediaItemInfo_Value(item, "D_LENGTH")
  if cut[1] > 1e-9 then item = reaper.SplitMediaItem(item, start + cut[1]) or error("REAPER did not split an item", 0) end
  if cut[2] < length - 1e-9 then reaper.SplitMediaItem(item, start + cut[2]) end
  return item
end

local function as_takes(stems, targets)
  for _, item in ipairs(targets) do
    local chunk, active = state_of(item)
    if not reaper.SetItemStateChunk(item, chunks.with_takes(chunk, stems, active), false) then
      error("REAPER did not take the takes of an item", 0)
    end
  end
end

local function as_lanes(source, stems, targets, made)
  local track = made[1]
  if not track then
    local label = source.tracks[1].label
    local one = { chunk = "<TRACK\n>\n", key = "lanes:" .. label, receives = {} }
    track = insert({ one }, reaper.GetMediaItemTrack(targets[1]), source.session, false)[1]
    reaper.GetSetMediaTrackInfo_String(track, "P_NAME", label, true)
    reaper.SetMediaTrackInfo_Value(track, "I_FREEMODE", 2)
  end
  for lane, stem in ipairs(stems) do
    for _, item in ipairs(targets) do
      reaper.SetMediaItemInfo_Value(clone(item, track, stem), "I_FIXEDLANE", lane - 1)
    end
    reaper.GetSetMediaTrackInfo_String(track, "P_LANENAME:" .. (lane - 1), stem.name, true)
    reaper.SetMediaTrackInfo_Value(track, "C_LANEPLAYS:" .. (lane - 1), 2) -- 2: beside the other lanes
  end
  return { track }
end

local function on_tracks(source, stems, targets, made, inside)
  if not made[1] then made = insert(source.tracks, reaper.GetMediaItemTrack(targets[1]), source.session, inside) end
  for _, stem in ipairs(stems) do
    for _, item in ipairs(targets) do clone(item, made[stem.track], stem) end
  end
  return made
end

-- The same tracks hold all parts of a file.
local function key_of(source)
  local keys = {}
  for _, track in ipairs(source.tracks) do keys[#keys + 1] = track.key end
  return source.file .. "\n" .. table.concat(keys, "\n")
end

local function place_all(job, sources, wanted, made)
  for number, source in ipairs(sources) do
    local targets = wanted[number]
    local known = made[key_of(source)] or {}
    local stems, session = stems_of(source), known.session or source.session
    if #targets > 0 and #stems > 0 then
      if job.layout == "takes" then
        as_takes(stems, targets)
        session = ""
      elseif job.layout == "lanes" then
        known = as_lanes(source, stems, targets, known)
      else
        known = on_tracks(source, stems, targets, known, job.layout == "children")
      end
      known.session = session
      made[key_of(source)] = known
      for _, item in ipairs(targets) do
        if job.layout ~= "takes" then reaper.SetMediaItemInfo_Value(item, "B_MUTE", 1) end
        reaper.GetSetMediaItemInfo_String(item, items.MARK, session .. "\t" .. (job.settings or ""), true)
      end
    end
  end
end

-- One undo step; everything or nothing.
function place.step(title, work)
  reaper.Undo_BeginBlock2(0)
  reaper.PreventUIRefresh(1)
  local good, reason = pcall(work)
  reaper.PreventUIRefresh(-1)
  local name = good and title or title .. " (failed " .. tostring(reaper.time_precise()) .. ")"
  reaper.Undo_EndBlock2(0, name, -1)
  if not good and reaper.Undo_CanUndo2(0) == name then reaper.Undo_DoUndo2(0) end
  reaper.TrackList_AdjustWindows(false)
  reaper.UpdateArrange()
  return good, reason
end

-- The open project that has most of the job's items, and whether the one that they came from is open at all. "Save as",
-- another tab in front and a new start of REAPER change what a project is called, but not the ids of its items.
local function project_of(job, origin)
  local best, best_rank, open, index = nil, 0, false, 0
  while true do
    local project, path = reaper.EnumProjects(index)
    if not project then break end
    local rank, same = 0, project == origin or path == job.project
    for _, each in ipairs(job.items) do
      if items.find(project, each.guid) then rank = rank + 2 end
    end
    open = open or same
    if rank > 0 and project == origin then rank = rank + 1 end
    if rank > best_rank then best, best_rank = project, rank end
    index = index + 1
  end
  return best, open
end

local function notes_of(result, missing)
  local notes = {}
  for _, each in ipairs(result.notes or {}) do notes[#notes + 1] = each end
  for _, each in ipairs(result.failed or {}) do notes[#notes + 1] = each end
  for _, each in ipairs(missing) do
    notes[#notes + 1] = "the item of " .. each.file .. " was deleted meanwhile; its stems are in\n" .. each.folder
  end
  return table.concat(notes, "\n")
end

local function place_here(job, result)
  local wanted, missing = {}, {}
  for number, source in ipairs(result.sources) do
    wanted[number] = {}
    local gone = true
    for _, each in ipairs(job.items) do
      local item = each.source == source.number and items.find(0, each.guid)
      if item then
        gone = false
        table.insert(wanted[number], { item = item, cut = each.cut })
      end
    end
    if gone then missing[#missing + 1] = source end
  end
  local good, reason = place.step(job.title, function()
    for number, targets in ipairs(wanted) do
      for place_in_list, each in ipairs(targets) do
        targets[place_in_list] = each.cut and cut_out(each.item, each.cut) or each.item
      end
      wanted[number] = targets
    end
    place_all(job, result.sources, wanted, {})
  end)
  return good, reason, notes_of(result, missing)
end

-- Put the stems of a finished job where its items are. "later" when their project is not open.
function place.finish(job, result, origin)
  local project, open = project_of(job, origin)
  if not project and open then return lib.say(notes_of(result, result.sources)) end
  if not project then
    lib.say(
      "The stems of " .. job.project .. " are ready, but it is not open now.\nOpen it and run the action "
        .. "'Place finished separations'; they are kept until then."
    )
    return "later"
  end
  local active = reaper.EnumProjects(-1)
  if project ~= active then reaper.SelectProjectInstance(project) end
  local called, good, reason, notes = pcall(place_here, job, result)
  if project ~= active then reaper.SelectProjectInstance(active) end
  if not called then error(good, 0) end
  if not good then
    local folder = result.sources[1] and result.sources[1].folder or ""
    return lib.say("Nothing was changed: " .. tostring(reason) .. "\nThe stems are in " .. folder)
  end
  if job.wrong and job.wrong ~= "" then notes = notes .. (notes ~= "" and "\n" or "") .. "Left out: " .. job.wrong end
  if notes ~= "" then lib.say(notes) end
end

function place.has_lanes()
  return (tonumber((reaper.GetAppVersion() or ""):match("^(%d+)")) or 0) >= LANES_SINCE
end

return place
