-- One menu for all settings: the models that are on this machine, templates, stems, how much, and where to.
local menu = {}

local lib = require("daw_bridge_lib")
local place = require("daw_bridge_place")

menu.DEFAULTS = { model = "htdemucs_ft", template = "band", stems = "", extent = "item", layout = "buses" }
local EXTENTS = {
  { "item", "The items only" }, { "file", "The whole files of the items" }, { "time", "The time selection" },
}
local LAYOUTS = {
  { "buses", "On buses below the item" }, { "children", "As children of the item's track (its fader, FX and sends stay)" },
  { "lanes", "In lanes of one track (REAPER 7)" }, { "takes", "As takes of the item" },
}

-- The settings of the last run.
function menu.last()
  local settings = {}
  for key, default in pairs(menu.DEFAULTS) do settings[key] = lib.get(key, default) end
  return settings
end

function menu.keep(settings)
  for key in pairs(menu.DEFAULTS) do lib.set(key, settings[key]) end
end

local function plain(text)
  return (text:gsub("[|\r\n]", " "):gsub("^[#!<>]+", ""))
end

-- The text for gfx.showmenu, and what each number it answers means: separators and titles of submenus have none.
local function composed(groups)
  local parts, meanings = {}, {}
  for _, group in ipairs(groups) do
    if group.title then parts[#parts + 1] = ">" .. plain(group.title) end
    for number, entry in ipairs(group) do
      local mark = group.title and number == #group and "<" or ""
      mark = mark .. (entry.off and "#" or "") .. (entry.on and "!" or "")
      parts[#parts + 1] = mark .. plain(entry.text)
      meanings[#meanings + 1] = entry
    end
    if group.line then parts[#parts + 1] = "" end
  end
  return table.concat(parts, "|"), meanings
end

local function choices_of(list, key, settings)
  local group = {}
  for _, each in ipairs(list) do
    group[#group + 1] = { text = each[2], key = key, value = each[1], on = settings[key] == each[1], off = each.off }
  end
  return group
end

local function models_of(choices, settings)
  local list = {}
  for _, here in ipairs({ true, false }) do
    for _, model in ipairs(choices.models) do
      if model.here == here then list[#list + 1] = { model.name, model.name .. "  (" .. model.text .. ")" } end
    end
  end
  local group = choices_of(list, "model", settings)
  group.title = "Model: " .. settings.model
  return group
end

local function templates_of(choices, settings)
  local list, known = {}, false
  for _, each in ipairs(choices.templates) do
    list[#list + 1] = { each.name, each.name .. "  (" .. each.text .. ")" }
    known = known or each.name == settings.template
  end
  if not known then list[#list + 1] = { settings.template, settings.template } end
  local group = choices_of(list, "template", settings)
  group[#group + 1] = { text = "A file...", file = true }
  group.title = "Bus template: " .. settings.template
  return group
end

local function wanted_stems(settings)
  local wanted = {}
  for name in settings.stems:gmatch("[^,%s]+") do wanted[name] = true end
  return wanted
end

local function stems_of(choices, settings)
  local wanted = wanted_stems(settings)
  local group = { { text = "All stems", key = "stems", value = "", on = settings.stems == "" } }
  for _, model in ipairs(choices.models) do
    for _, stem in ipairs(model.name == settings.model and model.stems or {}) do
      group[#group + 1] = { text = stem, stem = stem, on = wanted[stem] }
    end
  end
  group.title = "Stems: " .. (settings.stems == "" and "all" or settings.stems)
  return group
end

local function groups_of(choices, settings, title)
  local layouts = choices_of(LAYOUTS, "layout", settings)
  for _, each in ipairs(layouts) do each.off = each.value == "lanes" and not place.has_lanes() end
  local extents = choices_of(EXTENTS, "extent", settings)
  extents.title, layouts.title = "Separate: ", "Stems go: "
  for _, group in ipairs({ extents, layouts }) do
    for _, each in ipairs(group) do
      if each.on then group.title = group.title .. each.text end
    end
  end
  local groups = { { { text = title, go = true }, line = true }, models_of(choices, settings) }
  groups[#groups + 1] = templates_of(choices, settings)
  groups[#groups + 1] = stems_of(choices, settings)
  groups[#groups + 1] = extents
  groups[#groups + 1] = layouts
  return groups
end

local function toggle(settings, stem)
  local wanted, names = wanted_stems(settings), {}
  wanted[stem] = not wanted[stem] or nil
  for name in pairs(wanted) do names[#names + 1] = name end
  table.sort(names)
  settings.stems = table.concat(names, ",")
end

-- Ask for one entry of `groups`; nil when the menu was closed.
function menu.pick(groups)
  local x, y = reaper.GetMousePosition()
  gfx.init(lib.title, 240, 40, 0, x or 100, y or 100)
  gfx.x, gfx.y = 0, 0
  local text, meanings = composed(groups)
  local answer = gfx.showmenu(text)
  gfx.quit()
  return meanings[math.floor(answer)]
end

-- Change `settings` until the person says so; false when nothing is to be done.
function menu.choose(choices, settings)
  while true do
    local picked = menu.pick(groups_of(choices, settings, "Separate now"))
    if not picked then return false end
    if picked.go then return true end
    if picked.stem then
      toggle(settings, picked.stem)
    elseif picked.file then
      local chosen, path = reaper.GetUserFileNameForRead("", "Bus template", "yaml")
      if chosen then settings.template = path end
    else
      if picked.key == "model" and picked.value ~= settings.model then settings.stems = "" end
      settings[picked.key] = picked.value
    end
  end
end

-- One bus template of those that are there, or of a file; nil when none was chosen.
function menu.template(choices, settings)
  local group = templates_of(choices, settings)
  group.title = nil
  local picked = menu.pick({ group })
  if not picked then return nil end
  if not picked.file then return picked.value end
  local chosen, path = reaper.GetUserFileNameForRead("", "Bus template", "yaml")
  return chosen and path or nil
end

return menu
