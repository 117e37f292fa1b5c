-- What the actions share: where things are, one message, starting the worker and watching it.
-- The work is done by daw-bridge in a process of its own; REAPER stays usable, and nothing here waits.
local lib = {}

local SECTION = "daw-bridge"
local TITLE = "daw-bridge"
local STALLED_S = 120 -- the worker writes a heartbeat each second; this long without one means that it is gone
local POLL_S = 0.25

lib.folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") or ""
package.path = lib.folder .. "?.lua;" .. package.path
local json = require("daw_bridge_json")

function lib.say(text)
  reaper.ShowMessageBox(text, TITLE, 0)
end

-- Settings that outlive REAPER.
function lib.get(key, default)
  local value = reaper.GetExtState(SECTION, key)
  return value ~= "" and value or default
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

-- The folder of the saved project, or nil with what to do.
function lib.project_folder()
  local _, path = reaper.EnumProjects(-1)
  if not path or path == "" then
    return nil, "Save the project first: the stems are kept in a folder beside it."
  end
  return path:match("^(.*)[/\\]"), path
end

-- A folder beside the project that is not there yet; never one that holds the stems of another song.
-- Two items of one name get two folders: what was promised in this run counts as there.
local promised = {}
function lib.new_folder(parent, name)
  local safe = name:gsub('[%c/\\:*?"<>|`\'#;%%$&]+', " "):gsub("^[%s.]+", ""):gsub("[%s.]+$", ""):sub(1, 60)
  if safe == "" then safe = "stems" end
  local number = 1
  while true do
    local path = parent .. "/" .. safe .. " stems" .. (number > 1 and " " .. number or "")
    local probe = io.open(path .. "/.daw-bridge", "rb")
    local free = not reaper.EnumerateFiles(path, 0) and not reaper.EnumerateSubdirectories(path, 0)
    if not probe and free and not promised[path:lower()] then
      promised[path:lower()] = true
      return path
    end
    if probe then probe:close() end
    number = number + 1
  end
end

local function quoted(path)
  if path:find('["%c]') then error("this path cannot be passed on: " .. path, 0) end
  return '"' .. path .. '"'
end

-- Start the worker for `job` and call `done(result)` when it is ready, or say what went wrong.
function lib.run(job, done)
  local running = lib.running_job()
  if running then return lib.say("A separation is running already; cancel it or wait for it.") end
  local ok, config = pcall(require, "daw_bridge_config")
  if not ok then return lib.say("Run 'daw-bridge reaper setup' again: the actions do not know which Python to use.") end
  local folder = lib.folder .. "jobs/" .. os.date("%Y%m%d-%H%M%S-") .. tostring(math.floor(reaper.time_precise() * 1000) % 1000000)
  reaper.RecursiveCreateDirectory(folder, 0)
  job.at = os.time()
  local wrote, reason = lib.write(folder .. "/job.json", json.encode(job))
  if not wrote then return lib.say("Cannot write the job: " .. tostring(reason)) end
  local made, command = pcall(function()
    return quoted(config.python) .. " " .. quoted(lib.folder .. "daw_bridge_run.py") .. " reaper job " .. quoted(folder .. "/job.json")
  end)
  if not made then return lib.say(command) end
  if not reaper.ExecProcess(command, -2) then
    lib.forget(folder)
    return lib.say("Cannot start " .. config.python .. ".\nRun 'daw-bridge reaper setup' again.")
  end
  reaper.SetExtState(SECTION, "job", folder, false)
  lib.watch(folder, done)
end

-- The folder of the job that runs now; nil when its worker has ended, or has given no sign of life for long.
function lib.running_job()
  local folder = reaper.GetExtState(SECTION, "job")
  if folder == "" or lib.read(folder .. "/result.json") then return nil end
  local good, state = pcall(json.decode, lib.read(folder .. "/progress.json") or lib.read(folder .. "/job.json") or "")
  if not good or type(state) ~= "table" or os.time() - (state.at or 0) > STALLED_S then return nil end
  return folder
end

-- A finished job leaves nothing behind.
function lib.forget(folder)
  reaper.DeleteExtState(SECTION, "job", false)
  for _, name in ipairs({ "job.json", "progress.json", "result.json", "cancel" }) do os.remove(folder .. "/" .. name) end
  os.remove(folder)
end

local function draw(progress)
  local share = progress.share or 0
  gfx.set(0.15, 0.15, 0.15)
  gfx.rect(0, 0, gfx.w, gfx.h)
  gfx.set(0.25, 0.55, 0.85)
  gfx.rect(10, 40, (gfx.w - 20) * share, 20)
  gfx.set(1, 1, 1)
  gfx.x, gfx.y = 10, 12
  gfx.drawstr(string.format("%s  %d %%  %s", progress.text or "Starting", math.floor(share * 100), progress.left or ""))
  gfx.x, gfx.y = 10, 72
  gfx.drawstr("Close this window to cancel; go on working meanwhile.")
  gfx.update()
end

-- Poll without blocking. There is no fixed time-out: only a worker without a heartbeat is given up.
function lib.watch(folder, done)
  gfx.init(TITLE, 420, 100)
  local beat, seen, next_look = nil, reaper.time_precise(), 0
  local progress, cancelled = {}, false
  local function finish(result)
    gfx.quit()
    lib.forget(folder)
    if result.ok then
      done(result)
    elseif not result.cancelled then
      lib.say(result.error or "The separation failed.")
    end
  end
  local function step()
    local now = reaper.time_precise()
    if now >= next_look then
      next_look = now + POLL_S
      local text = lib.read(folder .. "/result.json")
      if text then
        local good, result = pcall(json.decode, text)
        return finish(good and result or { ok = false, error = "The worker's answer cannot be read." })
      end
      local good, state = pcall(json.decode, lib.read(folder .. "/progress.json") or "")
      if good and state.beat ~= beat then
        beat, seen, progress = state.beat, now, state
      end
      if now - seen > STALLED_S then
        return finish({ ok = false, error = "The worker has stopped without an answer. Try again with 'daw-bridge doctor' in a terminal." })
      end
    end
    if cancelled then progress.text, progress.left = "Cancelling", "" end
    draw(progress)
    if gfx.getchar() == -1 then
      lib.write(folder .. "/cancel", "")
      gfx.init(TITLE, 420, 100)
      cancelled = true
    end
    reaper.defer(step)
  end
  step()
end

return lib
