-- The states of tracks and items as text: what is exchanged is exchanged, everything else stays line for line.
local chunks = {}

-- Lines that begin a take of an item; what stands before the first of them belongs to the item.
local OF_A_TAKE = { TAKE = true, NAME = true, VOLPAN = true, SOFFS = true, PLAYRATE = true, CHANMODE = true, GUID = true }
OF_A_TAKE["<SOURCE"] = true
local IDS = { IGUID = true, IID = true, GUID = true, SEL = true }

local function word_of(line)
  return line:match("^%s*(%S+)") or ""
end

local function quoted(text)
  for _, mark in ipairs({ '"', "'", "`" }) do
    if not text:find(mark, 1, true) then return mark .. text .. mark end
  end
  return nil
end

local function quoted_path(path)
  return quoted(path) or error("REAPER cannot hold this file name: " .. path, 0)
end

local function number(value)
  return (string.format("%.14f", value):gsub(",", "."):gsub("0+$", ""):gsub("%.$", ""))
end

-- An item's state in parts: the lines of the item, and those of each take (without its TAKE line).
function chunks.item_parts(chunk)
  local head, takes, depth = {}, {}, 0
  for line in chunk:gmatch("[^\r\n]+") do
    local word = word_of(line)
    local opens, closes = word:sub(1, 1) == "<", word == ">"
    if closes then depth = depth - 1 end
    if depth == 1 and word == "TAKE" then
      takes[#takes + 1] = {}
    elseif depth >= 1 then
      if #takes == 0 and depth == 1 and OF_A_TAKE[word] then takes[1] = {} end
      local part = takes[#takes] or head
      part[#part + 1] = line
    end
    if opens then depth = depth + 1 end
  end
  return head, takes
end

-- The lines of a take with another file, called `name`. `start_s` is where in the old file the new one begins.
local function with_file(take, wanted, item_gain)
  local out, sources, depth, found, wrapped, named = {}, {}, 0, false, false, false
  local name = quoted(wanted.name) or quoted((wanted.name:gsub("`", "'")))
  for _, line in ipairs(take) do
    local word, keep = word_of(line), true
    local fields = {}
    for field in line:gmatch("%S+") do fields[#fields + 1] = field end
    if word == ">" then
      if sources[#sources] and sources[#sources].depth == depth then sources[#sources] = nil end
      depth = depth - 1
    end
    local inside = sources[#sources]
    if depth == 0 then
      if word == "NAME" then line, named = "NAME " .. name, true end
      if word == "TAKEVOLPAN" then
        line = "VOLPAN " .. table.concat({ item_gain, fields[2] or "0", fields[3] or "1", fields[4] or "-1" }, " ")
      end
      keep = not IDS[word]
    elseif inside and inside.depth == depth then
      if word == "FILE" then
        line, found = "FILE " .. quoted_path(wanted.file), true
        out[inside.at] = "<SOURCE WAVE"
      elseif word == "STARTPOS" and wanted.start_s > 0 then
        line = "STARTPOS " .. number(tonumber((fields[2]:gsub(",", "."))) - wanted.start_s)
      end
    end
    if word == "<SOURCE" and inside then wrapped = true end
    if keep then out[#out + 1] = line end
    if word:sub(1, 1) == "<" then
      depth = depth + 1
      if word == "<SOURCE" then sources[#sources + 1] = { depth = depth, at = #out } end
    end
  end
  if not found then error("an item without a file", 0) end
  if not named then table.insert(out, 1, "NAME " .. name) end
  if wanted.start_s > 0 and not wrapped then
    for place, line in ipairs(out) do
      local offset = line:match("^%s*SOFFS%s+([%d%.,%-]+)")
      if offset then
        out[place] = "SOFFS " .. number(tonumber((offset:gsub(",", "."))) - wanted.start_s)
        break
      end
    end
  end
  return out
end

-- The gain of an item, which stands in front of its first take's pan and gain.
local function gain_of_item(takes)
  for _, line in ipairs(takes[1] or {}) do
    local gain = line:match("^%s*VOLPAN%s+(%S+)")
    if gain then return gain end
  end
  return "1"
end

-- The state of an item that plays `wanted.file` as its active take did, without its other takes and its ids.
function chunks.with_file(chunk, wanted, active)
  local head, takes = chunks.item_parts(chunk)
  local out = { "<ITEM" }
  for _, line in ipairs(head) do
    local word = word_of(line)
    if wanted.start_s > 0 and word == "LOOP" then line = "LOOP 0" end
    if not IDS[word] then out[#out + 1] = line end
  end
  local take = with_file(takes[active + 1] or {}, wanted, gain_of_item(takes))
  out[#out + 1] = table.concat(take, "\n")
  out[#out + 1] = ">"
  return table.concat(out, "\n") .. "\n"
end

-- The state of an item with a take more for each of `wanted`, that plays it as the active take plays its file.
function chunks.with_takes(chunk, wanted, active)
  local _, takes = chunks.item_parts(chunk)
  local body = chunk:gsub("%s*>%s*$", "")
  local out = { body }
  for _, each in ipairs(wanted) do
    out[#out + 1] = "TAKE"
    for _, line in ipairs(with_file(takes[active + 1] or {}, each, "1")) do
      local pan, gain, law = line:match("^%s*VOLPAN%s+%S+%s+(%S+)%s*(%S*)%s*(%S*)")
      if pan then
        line = table.concat({ "TAKEVOLPAN", pan, gain ~= "" and gain or "1", law ~= "" and law or "-1" }, " ")
      end
      out[#out + 1] = line
    end
  end
  return table.concat(out, "\n") .. "\n>\n"
end

-- The chain of a track's state, from its first line to the closing one; nil when it has none.
function chunks.chain_of(chunk)
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
function chunks.with_chain(chunk, chain)
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

return chunks
