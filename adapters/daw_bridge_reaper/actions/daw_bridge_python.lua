-- Which Python has daw-bridge: looks where the usual installers put it, and says what to do when there is none.
local python = {}

local lib = require("daw_bridge_lib")
local PATIENCE_MS = 30000
local VERSIONS = { "3.14", "3.13", "3.12", "3.11" }

local function windows(found)
  local home, app, here = os.getenv("USERPROFILE"), os.getenv("APPDATA"), os.getenv("LOCALAPPDATA")
  if home then
    found[#found + 1] = home .. "\\pipx\\venvs\\daw-bridge\\Scripts\\python.exe"
    found[#found + 1] = home .. "\\daw-bridge\\.venv\\Scripts\\python.exe"
  end
  if app then found[#found + 1] = app .. "\\uv\\tools\\daw-bridge\\Scripts\\python.exe" end
  for _, version in ipairs(VERSIONS) do
    local short = version:gsub("%.", "")
    if here then found[#found + 1] = here .. "\\Programs\\Python\\Python" .. short .. "\\python.exe" end
    found[#found + 1] = "C:\\Program Files\\Python" .. short .. "\\python.exe"
    found[#found + 1] = "C:\\Python" .. short .. "\\python.exe"
  end
  for _, name in ipairs({ "miniconda3", "anaconda3", "miniforge3" }) do
    if home then found[#found + 1] = home .. "\\" .. name .. "\\python.exe" end
  end
end

local function unix(found, mac)
  local home = os.getenv("HOME")
  if home then
    for _, place in ipairs({
      "/.local/share/pipx/venvs/daw-bridge", "/.local/pipx/venvs/daw-bridge", "/.local/share/uv/tools/daw-bridge",
      "/daw-bridge/.venv", "/.venv",
    }) do
      found[#found + 1] = home .. place .. "/bin/python"
    end
  end
  for _, version in ipairs(VERSIONS) do
    if mac then
      found[#found + 1] = "/Library/Frameworks/Python.framework/Versions/" .. version .. "/bin/python3"
      found[#found + 1] = "/opt/homebrew/bin/python" .. version
    end
    found[#found + 1] = "/usr/local/bin/python" .. version
    found[#found + 1] = "/usr/bin/python" .. version
  end
  found[#found + 1] = "/usr/local/bin/python3"
  found[#found + 1] = "/usr/bin/python3"
  for _, name in ipairs({ "miniconda3", "anaconda3", "miniforge3" }) do
    if home then found[#found + 1] = home .. "/" .. name .. "/bin/python" end
  end
end

-- Paths where this system's installers put a Python, the likeliest first.
function python.candidates()
  local found, system = {}, reaper.GetOS() or ""
  if system:find("^Win") then windows(found) else unix(found, system:find("^OSX") or system:find("^macOS")) end
  return found
end

-- The version of daw-bridge that this Python has; nil with the reason when it has none.
function python.version(path)
  local made, command = pcall(lib.quoted, path)
  if not made then return nil, command end
  local code, output = lib.answer(command .. " -m daw_bridge --version", PATIENCE_MS)
  if not code then return nil, "it does not start" end
  if code == 0 and output:find("%d") then return output:match("[^\r\n]*$") end
  return nil, output:match("[^\r\n]*$") ~= "" and output:match("[^\r\n]*$") or "it ended with code " .. code
end

local function explain(tried)
  local how = "Install daw-bridge (in a terminal: pipx install daw-bridge) and run this again, or, when it is installed "
    .. "somewhere else, run there: daw-bridge reaper setup"
  if #tried == 0 then return "There is no Python where it usually is.\n\n" .. how end
  return "No Python here has daw-bridge:\n" .. table.concat(tried, "\n") .. "\n\n" .. how
end

-- Look for a Python with daw-bridge and keep it as a setting: its path, or nil with why there is none.
function python.search()
  local tried = {}
  for _, path in ipairs(python.candidates()) do
    if lib.exists(path) then
      local version, reason = python.version(path)
      if version then
        lib.set("python", path)
        return path, version
      end
      tried[#tried + 1] = path .. ": " .. reason
    end
  end
  return nil, explain(tried)
end

-- The Python to use, looked for when none is known; says what is wrong and returns nil when there is none.
function python.require()
  local path, missing = lib.python()
  if path then return path end
  local what = missing and #missing > 0 and "Cannot start " .. table.concat(missing, ", ") .. ": it is not there any more."
    or "The actions do not know which Python has daw-bridge yet."
  if not lib.ask(what .. "\n\nLook for it now?") then return nil end
  local found, reason = python.search()
  if not found then lib.say(reason) end
  return found
end

return python
