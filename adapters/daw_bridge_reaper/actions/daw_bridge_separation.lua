-- What "Separate ..." does, with a menu, again, or as a preset: which items, which parts of them, into the queue.
local separation = {}

local lib = require("daw_bridge_lib")
local items = require("daw_bridge_items")
local jobs = require("daw_bridge_jobs")
local json = require("daw_bridge_json")
local menu = require("daw_bridge_menu")
local place = require("daw_bridge_place")

local function settings_text(settings)
  local keys, parts = {}, {}
  for key, value in pairs(settings) do
    if value ~= "" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = key .. "=" .. tostring(settings[key]) end
  return (table.concat(parts, ";"):gsub("[\t\r\n]", " "))
end

-- Without the items that have these stems already, unless those are all and the person wants them again.
local function without_done(selected, how)
  local left, done = {}, 0
  for _, each in ipairs(selected) do
    if items.is_done(each.item, how) then done = done + 1 else left[#left + 1] = each end
  end
  if done == 0 then return left, 0 end
  if #left > 0 then return left, done end
  local again = "What is selected has these stems already, or is a stem. Separate it once more?"
  return lib.ask(again) and selected or {}, 0
end

local function job_of(settings, selected, wrong, parent, project)
  local job = {
    version = 1, kind = "separate", model = settings.model, template = settings.template, stems = settings.stems or "",
    two_stems = settings.two_stems, chain = settings.chain, layout = settings.layout, project = project,
    title = "daw-bridge: separate into stems", settings = settings_text(settings), wrong = table.concat(wrong, ", "),
    sources = json.list(), items = json.list(),
  }
  for _, source in ipairs(items.sources(selected)) do
    local name = source.file:match("([^/\\]+)$"):gsub("%.[^.]*$", "")
    source.folder = lib.new_folder(parent, name)
    source.range = source.range and json.list(source.range)
    job.sources[#job.sources + 1] = source
  end
  for _, each in ipairs(selected) do
    local cut = each.cut and json.list(each.cut) or nil
    job.items[#job.items + 1] = { guid = each.guid, source = each.source - 1, cut = cut }
  end
  return job
end

local function run(settings)
  local selected, wrong = items.selected(settings.extent)
  if #selected == 0 then return lib.say("The selection holds " .. (wrong[1] or "no audio item") .. ".") end
  if settings.layout == "lanes" and not place.has_lanes() then return lib.say("Lanes need REAPER 7.") end
  local parent, project = lib.project_folder()
  if not parent then return lib.say(project) end
  local done
  selected, done = without_done(selected, settings_text(settings))
  if #selected == 0 then return end
  if done > 0 then wrong[#wrong + 1] = done .. " item(s) that have their stems" end
  jobs.submit(job_of(settings, selected, wrong, parent, project), place.finish, (reaper.EnumProjects(-1)))
end

-- With what is wrong said before anything is asked.
local function ready()
  local selected, wrong = items.selected("file")
  if #selected == 0 then
    lib.say(wrong[1] and "The selection holds " .. wrong[1] .. "." or "Select one or several audio items first.")
    return false
  end
  local parent, what = lib.project_folder()
  if not parent then lib.say(what) end
  return parent ~= nil
end

-- Ask in a menu and separate. An earlier call of the action may have been ended by this one: its work goes on.
function separation.ask()
  if not ready() then return jobs.resume(place.finish) end
  jobs.ask({ version = 1, kind = "choices" }, function(choices)
    local settings = menu.last()
    if menu.choose(choices, settings) then
      menu.keep(settings)
      run(settings)
    end
    jobs.resume(place.finish)
  end)
end

-- Separate with the last settings, changed by `preset`.
function separation.now(preset)
  if not ready() then return jobs.resume(place.finish) end
  local settings = menu.last()
  for key, value in pairs(preset or {}) do settings[key] = value end
  run(settings)
  jobs.resume(place.finish)
end

return separation
