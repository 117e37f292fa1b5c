-- JSON as far as job files need it: objects, lists, texts, numbers, truths. Unknown escapes and bad text are errors.
local json = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local UNESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(mark)
    return ESCAPES[mark] or string.format("\\u%04x", mark:byte())
  end) .. '"'
end

-- A table with [1], or an empty one made by json.list(), is a list.
local LIST = {}
function json.list(values)
  return setmetatable(values or {}, LIST)
end

function json.encode(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "boolean" then return tostring(value) end
  if kind == "number" then
    if value ~= value or value == math.huge or value == -math.huge then error("no number for JSON") end
    return math.type(value) == "integer" and tostring(value) or string.format("%.17g", value):gsub(",", ".")
  end
  if kind ~= "table" then error("cannot write a " .. kind .. " as JSON") end
  local parts = {}
  if getmetatable(value) == LIST or #value > 0 then
    for _, each in ipairs(value) do parts[#parts + 1] = json.encode(each) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = quote(key) .. ":" .. json.encode(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local decode_value

local function fail(place)
  error("bad JSON at byte " .. place, 0)
end

local function skip(text, place)
  return text:find("[^ \t\r\n]", place) or #text + 1
end

local function decode_text(text, place)
  local parts = {}
  local position = place + 1
  while true do
    local start, stop = text:find('^[^"\\]+', position)
    if start then
      parts[#parts + 1] = text:sub(start, stop)
      position = stop + 1
    end
    local mark = text:sub(position, position)
    if mark == '"' then return table.concat(parts), position + 1 end
    if mark ~= "\\" then fail(position) end
    local escape = text:sub(position + 1, position + 1)
    if escape == "u" then
      local code = tonumber(text:match("^%x%x%x%x", position + 2) or fail(position), 16)
      position = position + 6
      if code >= 0xD800 and code < 0xDC00 then
        local low = text:match("^\\u(%x%x%x%x)", position)
        if not low then fail(position) end
        code = 0x10000 + (code - 0xD800) * 0x400 + (tonumber(low, 16) - 0xDC00)
        position = position + 6
      end
      parts[#parts + 1] = utf8.char(code)
    else
      parts[#parts + 1] = UNESCAPES[escape] or fail(position)
      position = position + 2
    end
  end
end

local function decode_members(text, place, closing, read)
  local position = skip(text, place + 1)
  if text:sub(position, position) == closing then return position + 1 end
  while true do
    position = skip(text, read(position))
    local mark = text:sub(position, position)
    if mark == closing then return position + 1 end
    if mark ~= "," then fail(position) end
    position = skip(text, position + 1)
  end
end

function decode_value(text, place)
  local mark = text:sub(place, place)
  if mark == '"' then return decode_text(text, place) end
  if mark == "{" or mark == "[" then
    local result = mark == "[" and json.list() or {}
    local stop = decode_members(text, place, mark == "{" and "}" or "]", function(position)
      if mark == "[" then
        local value, after = decode_value(text, position)
        result[#result + 1] = value
        return after
      end
      if text:sub(position, position) ~= '"' then fail(position) end
      local key, after = decode_text(text, position)
      after = skip(text, after)
      if text:sub(after, after) ~= ":" then fail(after) end
      local value
      value, after = decode_value(text, skip(text, after + 1))
      result[key] = value
      return after
    end)
    return result, stop
  end
  for word, value in pairs({ ["true"] = true, ["false"] = false }) do
    if text:sub(place, place + #word - 1) == word then return value, place + #word end
  end
  if text:sub(place, place + 3) == "null" then return nil, place + 4 end
  local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", place)
  if not number then fail(place) end
  return tonumber(number), place + #number
end

function json.decode(text)
  local value, place = decode_value(text, skip(text, 1))
  if skip(text, place) <= #text then fail(place) end
  return value
end

return json
