-- Work for daw-bridge in a process of its own: one job after the other, watched without blocking REAPER.
--
-- A job is a folder: job.json says what to do, `started` that its worker was started, progress.json and result.json come
-- from the worker. So a job outlives the action that made it: whoever comes next goes on with it, also in the next run of
-- REAPER. Each action runs in a Lua of its own; one of them watches, the others only add to the queue.
local jobs = {}

local lib = require("daw_bridge_lib")
local json = require("daw_bridge_json")
local python = require("daw_bridge_python")

local STALLED_S = 120 -- the worker writes a heartbeat each second; this long without one means that it is gone
local SLOW_START_S = 4 -- a worker that gives no sign for so long is said to be slow,
local START_S = 60 -- and for so long is given up
local POLL_S = 0.25
local WATCHING_S = 10 -- a watcher says each second that it is there
local MOST_STARTS = 2
local FILES = { "job.json", "started", "progress.json", "result.json", "placing.json", "cancel", "worker.log" }

local function now()
  return reaper.time_precise() or os.clock()
end

local function root()
  return lib.home() .. "jobs"
end

local function decoded(path)
  local good, value = pcall(json.decode, lib.read(path) or "")
  return good and type(value) == "table" and value or nil
end

-- A finished job leaves nothing behind.
function jobs.forget(folder)
  for _, name in ipairs(FILES) do os.remove(folder .. "/" .. name) end
  os.remove(folder)
end

local made = 0
local function new_job(job, prefix)
  made = made + 1
  local stamp = math.floor(now() * 1000) % 1000000
  local folder = string.format("%s/%s%s-%06d-%03d", root(), prefix, os.date("%Y%m%d-%H%M%S"), stamp, made)
  reaper.RecursiveCreateDirectory(folder, 0)
  job.at = os.time()
  local wrote, reason = lib.write(folder .. "/job.json", json.encode(job))
  if wrote then return folder end
  lib.say("Cannot write the job: " .. tostring(reason))
end

-- Start the worker; false with the reason when it cannot be started.
local function start(folder)
  local path = python.require()
  if not path then return false end
  local runner = lib.runner()
  if not runner then return false, "daw_bridge_run.py is missing beside the actions; install them again." end
  local good, command = pcall(function()
    return lib.quoted(path) .. " " .. lib.quoted(runner) .. " reaper job " .. lib.quoted(folder .. "/job.json")
  end)
  if not good then return false, command end
  local before = decoded(folder .. "/started")
  lib.write(folder .. "/started", json.encode({ at = os.time(), count = (before and before.count or 0) + 1 }))
  for _, name in ipairs({ "progress.json", "placing.json" }) do os.remove(folder .. "/" .. name) end
  if not reaper.ExecProcess(command, -2) then
    return false, "Cannot start " .. path .. ".\nRun the action 'Find the Python for daw-bridge' or 'daw-bridge reaper setup' in a terminal."
  end
  return true
end

-- Why a worker gave no sign: what its Python answers when it is only asked for a version.
local function why_silent()
  local path = lib.python() or "Python"
  local version, reason = python.version(path)
  local answer = version and "asked for its version it answered " .. version .. ": something keeps programs from running in the background"
    or reason
  return path .. " gave no sign of life for " .. START_S .. " s; " .. answer .. ".\nSee 'daw-bridge reaper doctor' in a terminal."
end

local function last_line(folder)
  local log = (lib.read(folder .. "/worker.log") or ""):gsub("%s+$", "")
  if log ~= "" then lib.write(root() .. "/last.log", log .. "\n") end
  return log:match("[^\r\n]*$")
end

local function draw(watch, waiting)
  local progress = watch.progress
  local share = progress.share or 0
  local text = progress.text or "Starting"
  if not progress.text and now() - watch.begun > SLOW_START_S then
    text = "Starting: Python has not answered yet (first start, virus scanner, slow disk?)"
  end
  gfx.set(0.15, 0.15, 0.15)
  gfx.rect(0, 0, gfx.w, gfx.h)
  gfx.set(0.25, 0.55, 0.85)
  gfx.rect(10, 40, (gfx.w - 20) * share, 20)
  gfx.set(1, 1, 1)
  gfx.x, gfx.y = 10, 12
  gfx.drawstr(string.format("%s  %d %%  %s", text, math.floor(share * 100), progress.left or ""))
  gfx.x, gfx.y = 10, 72
  local queue = waiting > 0 and string.format("%d more waiting. ", waiting) or ""
  gfx.drawstr(queue .. "Close this window to cancel; go on working meanwhile.")
  gfx.update()
end

local function open_window()
  gfx.init(lib.title, 480, 100)
end

local function new_watch(folder)
  local t = now()
  return { folder = folder, begun = t, seen = t, next_look = 0, progress = {} }
end

-- The worker's answer when there is one, also when it died without one; nil while it works.
local function look(watch)
  local folder, t = watch.folder, now()
  if t < watch.next_look then return nil end
  watch.next_look = t + POLL_S
  if lib.exists(folder .. "/result.json") then
    return decoded(folder .. "/result.json") or { ok = false, error = "The worker's answer cannot be read." }
  end
  if not lib.exists(folder .. "/job.json") then return { ok = false, cancelled = true } end -- somebody else ended it
  local state = decoded(folder .. "/progress.json")
  if state and state.beat ~= watch.beat then
    watch.beat, watch.seen, watch.progress = state.beat, t, state
  end
  if not watch.beat and t - watch.begun > START_S then return { ok = false, error = why_silent() } end
  if watch.beat and t - watch.seen > STALLED_S then
    local line = last_line(folder)
    local said = line and line ~= "" and "\nIts last words: " .. line or ""
    return { ok = false, error = "The worker has stopped without an answer." .. said }
  end
end

local function show(watch, waiting)
  if watch.cancelled then watch.progress.text, watch.progress.left = "Cancelling", "" end
  draw(watch, waiting)
  if gfx.getchar() == -1 then
    lib.write(watch.folder .. "/cancel", "")
    open_window()
    watch.cancelled = true
  end
end

-- Started again while it runs, an action is ended and starts anew, without a question of REAPER's; whoever comes next
-- goes on with the queue. (Since REAPER 7; earlier ones ask, and either answer loses nothing.)
local function restart_when_started_again()
  if reaper.set_action_options then reaper.set_action_options(1 | 2) end
end

-- Ask the worker something that takes a moment, beside the queue, and call `done(result)`; failures are said.
function jobs.ask(job, done)
  local folder = new_job(job, "ask-")
  if not folder then return end
  local started, reason = start(folder)
  if not started then
    jobs.forget(folder)
    if reason then lib.say(reason) end
    return
  end
  restart_when_started_again()
  open_window()
  local watch = new_watch(folder)
  local function step()
    local result = look(watch)
    if not result then
      show(watch, 0)
      return reaper.defer(step)
    end
    gfx.quit()
    if not result.ok then last_line(folder) end
    jobs.forget(folder)
    if watch.cancelled or result.cancelled then return end
    if result.ok then return done(result) end
    lib.say(result.error or "That failed.")
  end
  step()
end

-- Is an action watching the queue now?
local function watched()
  local at = tonumber(lib.get("watching", ""))
  return at ~= nil and os.time() - at < WATCHING_S
end

local function alive(folder)
  local state = decoded(folder .. "/progress.json") or decoded(folder .. "/started")
  return state and os.time() - (state.at or 0) <= STALLED_S
end

-- Every job that is not a question, oldest first.
function jobs.all()
  local found = {}
  for _, name in ipairs(lib.folders(root())) do
    local folder = root() .. "/" .. name
    if not lib.exists(folder .. "/job.json") then
      os.remove(folder)
    elseif not name:find("^ask%-") then
      found[#found + 1] = folder
    elseif not alive(folder) and lib.exists(folder .. "/started") then
      jobs.forget(folder) -- a question whose action was ended
    end
  end
  return found
end

-- Take the first job that can be gone on with: a finished one, one whose worker lives, or the next to start.
local function take_next(later)
  local waiting, chosen = 0, nil
  for _, folder in ipairs(jobs.all()) do
    if not later[folder] then
      if chosen then waiting = waiting + 1 else chosen = folder end
    end
  end
  if not chosen then return nil, 0 end
  local started = decoded(chosen .. "/started")
  if lib.exists(chosen .. "/result.json") or started and alive(chosen) then return chosen, waiting end
  if started and (started.count or 1) >= MOST_STARTS then
    lib.say("A separation stopped twice without an answer and is given up." .. (last_line(chosen) or ""))
    jobs.forget(chosen)
    return take_next(later)
  end
  local good, reason = start(chosen)
  if not good then
    if reason then lib.say(reason) end
    jobs.forget(chosen)
    return take_next(later)
  end
  return chosen, waiting
end

-- What a job's end means. `place` puts stems into the project: it says "later" when their project is not open.
local function finish(folder, result, place, origins, later)
  local job = decoded(folder .. "/job.json")
  if result.cancelled or not job then return jobs.forget(folder) end
  if result.ok then
    -- Whoever renames it places it: two actions may look at the same job.
    if not os.rename(folder .. "/result.json", folder .. "/placing.json") then return end
    local good, answer = pcall(place, job, result, origins[folder])
    if not good then lib.say("Nothing was changed: " .. tostring(answer)) end
    if answer == "later" then
      later[folder] = true
      os.rename(folder .. "/placing.json", folder .. "/result.json")
      return
    end
    return jobs.forget(folder)
  end
  if result.licence and not job.accept_licence then
    if lib.ask(result.licence .. "\n\nUse it?") then
      job.accept_licence = true
      lib.write(folder .. "/job.json", json.encode(job))
      for _, name in ipairs({ "started", "progress.json", "result.json" }) do os.remove(folder .. "/" .. name) end
      return
    end
    return jobs.forget(folder)
  end
  last_line(folder)
  jobs.forget(folder)
  lib.say(result.error or "The separation failed.")
end

-- Work off the queue; `place(job, result, origin)` is called for each that succeeds.
function jobs.work(place, origins)
  if watched() then return end
  restart_when_started_again()
  reaper.atexit(function() reaper.DeleteExtState(lib.section, "watching", false) end)
  local later, watch, waiting, next_sign = {}, nil, 0, 0
  local function step()
    if now() >= next_sign then
      next_sign = now() + 1
      reaper.SetExtState(lib.section, "watching", tostring(os.time()), false)
    end
    if not watch then
      local folder
      folder, waiting = take_next(later)
      if not folder then
        return reaper.DeleteExtState(lib.section, "watching", false)
      end
      watch = new_watch(folder)
      open_window()
    end
    local result = look(watch)
    if result then
      gfx.quit()
      finish(watch.folder, result, place, origins or {}, later)
      watch = nil
    else
      show(watch, waiting)
    end
    reaper.defer(step)
  end
  step()
end

-- Go on with what is there already, for an action that adds nothing after all.
function jobs.resume(place)
  if #jobs.all() > 0 then jobs.work(place) end
end

-- Add a job to the queue and see that somebody works it off; `origin` is the project that it comes from.
function jobs.submit(job, place, origin)
  if not python.require() then return end
  local folder = new_job(job, "")
  if folder then jobs.work(place, { [folder] = origin }) end
end

-- Stop what runs and take away what waits; how many that were. What is finished stays.
function jobs.cancel()
  local count = 0
  for _, folder in ipairs(jobs.all()) do
    if not lib.exists(folder .. "/result.json") and not lib.exists(folder .. "/placing.json") then
      count = count + 1
      if lib.exists(folder .. "/started") and alive(folder) then
        lib.write(folder .. "/cancel", "")
      else
        jobs.forget(folder)
      end
    end
  end
  return count
end

return jobs
