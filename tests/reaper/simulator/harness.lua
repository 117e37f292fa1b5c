-- Runs one action of REAPER: the table `reaper` asks the simulator through the pipes, `defer` keeps it alive.
local script = arg[1]
local root = arg[0]:match("^(.*)[/\\]tests[/\\]")
package.path = root .. "/adapters/daw_bridge_reaper/actions/?.lua;" .. package.path
local json = require("daw_bridge_json")
package.loaded["daw_bridge_json"] = nil

local function ask(name, ...)
  local arguments = { ... }
  for place = 1, select("#", ...) do
    if arguments[place] == nil then error("nil passed to " .. name) end
  end
  io.stdout:write("\1", json.encode({ f = name, a = json.list(arguments) }), "\n")
  io.stdout:flush()
  local answer = json.decode(io.stdin:read("l"))
  if answer.e then error(answer.e, 3) end
  local values = {}
  for place, value in ipairs(answer.r) do
    if type(value) ~= "table" then values[place] = value end -- a table stands for nil, which JSON's lists lose here
  end
  return table.unpack(values, 1, 7)
end

local deferred, at_exit = {}, {}
local closed = false

reaper = setmetatable({
  defer = function(call) deferred[#deferred + 1] = call end,
  atexit = function(call) at_exit[#at_exit + 1] = call end,
}, {
  __index = function(_, name) return function(...) return ask(name, ...) end end,
})

gfx = {
  w = 420, h = 100, x = 0, y = 0, open = false,
  init = function() gfx.open = true; closed = false end,
  quit = function() gfx.open = false end,
  set = function() assert(gfx.open, "drawn without a window") end, rect = function() end, update = function() end,
  drawstr = function(text) ask("drawn", text) end,
  getchar = function() return closed and -1 or 0 end,
  showmenu = function(text) assert(gfx.open, "a menu without a window"); return ask("showmenu", text) end,
}

dofile(script)
while #deferred > 0 do
  local calls = deferred
  deferred = {}
  local what = ask("tick")
  if what == "terminate" then
    for _, call in ipairs(at_exit) do call() end
    os.exit(0)
  end
  if what then closed = true end
  for _, call in ipairs(calls) do call() end
end
for _, call in ipairs(at_exit) do call() end
assert(not gfx.open, "a window was left open")
