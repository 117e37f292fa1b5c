-- What all actions share: messages, settings, files, and where things are in either way of installing them.
local lib = {}

local SECTION = "daw-bridge"
local TITLE = "daw-bridge"
local OK, YES_NO, NO = 0, 4, 7
local CONFIG, RUNNER = "daw_bridge_config.lua", "daw_bridge_run.py"

lib.title, lib.section = TITLE, SECTION
lib.folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = lib.folder .. "?.lua;" .. package.path

function lib.say(text)
  reaper.ShowMessageBox(text, TITLE, OK)
end

function lib.ask(text)
  return reaper.ShowMessageBox(text, TITLE, YES_NO) ~= NO
end

-- Settings that outlive REAPER.
function lib.get(key, default)
  local value = reaper.GetExtState(SECTION, key)
  return value and value ~= "" and value or default
end

function lib.set(key, value)
  reaper.SetExtState(SECTION, key, value, true)
end

function lib.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

function lib.write(path, text)
  local file, reason = io.open(path, "wb")
  if not file then return false, reason end
  file:write(text)
  file:close()
  return true
end

function lib.exists(path)
  if reaper.file_exists and reaper.file_exists(path) then return true end
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- Where `reaper setup` writes is the same folder in every installation: <resource path>/Scripts/daw-bridge. ReaPack
-- puts the actions at Scripts/<index>/<category>, one folder deeper.
function lib.places()
  local resource = reaper.GetResourcePath()
  local places = { lib.folder, lib.folder .. "../", lib.folder .. "../../daw-bridge/" }
  if resource and resource ~= "" then table.insert(places, 1, resource .. "/Scripts/daw-bridge/") end
  return places
end

-- The first place that holds the file.
local function place_of(name)
  for _, place in ipairs(lib.places()) do
    if lib.exists(place .. name) then return place end
  end
end

-- Where jobs and what is written for all actions lie.
function lib.home()
  return place_of(CONFIG) or lib.places()[1]
end

-- The Python that a person chose inside REAPER, or that setup wrote down (it takes the choice back); without one what
-- was tried.
function lib.python()
  local tried = {}
  local function good(path)
    if not path or path == "" then return false end
    if lib.exists(path) then return true end
    tried[#tried + 1] = path
    return false
  end
  local chosen = lib.get("python")
  if good(chosen) then return chosen end
  local place = place_of(CONFIG)
  local read, config = pcall(dofile, (place or "") .. CONFIG)
  local written = place and read and type(config) == "table" and config.python
  if good(written) then return written end
  return nil, tried
end

function lib.runner()
  local place = place_of(CONFIG)
  if place and lib.exists(place .. RUNNER) then return place .. RUNNER end
  place = place_of(RUNNER)
  return place and place .. RUNNER
end

-- The folder of the saved project, or nil with what to do; then the project's file.
function lib.project_folder()
  local _, path = reaper.EnumProjects(-1)
  if not path or path == "" then
    return nil, "Save the project first: the stems are kept in a folder beside it."
  end
  return path:match("^(.*)[/\\]"), path
end

-- A folder beside the project that is not there yet; never one that holds the stems of another song.
-- Two items of one name get two folders: what was promised in this run counts as there. REAPER remembers what a folder
-- held until it is asked with -1.
local promised = {}
function lib.new_folder(parent, name)
  local safe = name:gsub('[%c/\\:*?"<>|`\'#;%%$&]+', " "):gsub("^[%s.]+", ""):gsub("[%s.]+$", ""):sub(1, 60)
  if safe == "" then safe = "stems" end
  local number = 1
  while true do
    local path = parent .. "/" .. safe .. " stems" .. (number > 1 and " " .. number or "")
    reaper.EnumerateFiles(path, -1)
    reaper.EnumerateSubdirectories(path, -1)
    local free = not reaper.EnumerateFiles(path, 0) and not reaper.EnumerateSubdirectories(path, 0)
    if free and not lib.exists(path .. "/.daw-bridge") and not promised[path:lower()] then
      promised[path:lower()] = true
      return path
    end
    number = number + 1
  end
end

-- The names in a folder of folders, sorted.
function lib.folders(path)
  local names, index = {}, 0
  reaper.EnumerateSubdirectories(path, -1)
  while true do
    local name = reaper.EnumerateSubdirectories(path, index)
    if not name then break end
    names[#names + 1], index = name, index + 1
  end
  table.sort(names)
  return names
end

function lib.quoted(path)
  if path:find('["%c]') then error("this path cannot be passed on: " .. path, 0) end
  return '"' .. path .. '"'
end

-- Run a program and wait for its answer, at most `limit_ms`: nil when it cannot be started, else exit code and output.
function lib.answer(command, limit_ms)
  local text = reaper.ExecProcess(command, limit_ms)
  if not text then return nil end
  local code, output = text:match("^(%-?%d+)\r?\n?(.*)$")
  return tonumber(code) or -1, (output or text):gsub("%s+$", "")
end

return lib
