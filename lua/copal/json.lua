-- JSON (RFC 8259). Objects and arrays come back as tables, marked so that they
-- go out as what they were (copal.data); null is json.null. Integers are exact
-- in 64 bits, larger ones are refused. Object keys are written in sorted order,
-- so that the same value always gives the same text.
local core = require "copal_core"
local data = require "copal.data"

local M = { null = data.null, object = data.object, is_object = data.is_object,
  array = data.array, is_array = data.is_array }

local DEPTH = 200 -- deeper nesting is refused, both ways

---- Writing -------------------------------------------------------------------

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

-- Control characters may steer a terminal, also those beyond ASCII: U+0080 to
-- U+009F.
local function quote(s)
  if not core.is_utf8(s) then error("JSON has no text that is not UTF-8", 0) end
  s = s:gsub('[%c"\\\127]', function(c)
    return escapes[c] or string.format("\\u%04x", c:byte())
  end)
  if s:find("\194", 1, true) then
    s = s:gsub("\194([\128-\159])", function(c)
      return string.format("\\u%04x", c:byte())
    end)
  end
  return '"' .. s .. '"'
end

-- The shortest text that reads back as n.
local function number_text(n)
  if n ~= n or n == math.huge or n == -math.huge then
    error("JSON has no " .. tostring(n), 0)
  end
  if math.type and math.type(n) == "integer"
    or n % 1 == 0 and n > -2 ^ 53 and n < 2 ^ 53 then
    return string.format("%d", n)
  end
  for digits = 15, 16 do
    local text = string.format("%." .. digits .. "g", n)
    if tonumber(text) == n then return text end
  end
  return string.format("%.17g", n)
end

-- An empty table is an array unless made by json.object().
local function is_array(t)
  return data.is_array(t) or not data.is_object(t) and data.is_list(t)
end

local write

local function write_items(out, indent, open, close, each)
  local inner = indent and indent .. "  "
  local first = true
  out[#out + 1] = open
  each(function(prefix, value)
    out[#out + 1] = first and "" or ","
    if inner then out[#out + 1] = "\n" .. inner end
    out[#out + 1] = prefix
    write(out, value, inner)
    first = false
  end)
  if inner and not first then out[#out + 1] = "\n" .. indent end
  out[#out + 1] = close
end

local function write_table(out, t, indent)
  if data.is_special(t) then
    error("JSON has no " .. (t == data.undefined and "undefined"
      or getmetatable(t).__name), 0)
  end
  out.depth = out.depth + 1
  if out.depth > DEPTH then error("nested too deeply for JSON", 0) end
  if is_array(t) then
    write_items(out, indent, "[", "]", function(item)
      for i = 1, #t do item("", t[i]) end
    end)
    out.depth = out.depth - 1
    return
  end
  local keys = {}
  for k in pairs(t) do
    if type(k) ~= "string" and type(k) ~= "number" then
      error("JSON has no key that is a " .. type(k), 0)
    end
    keys[#keys + 1] = k
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  write_items(out, indent, "{", "}", function(item)
    for _, k in ipairs(keys) do
      item(quote(tostring(k)) .. (indent and ": " or ":"), t[k])
    end
  end)
  out.depth = out.depth - 1
end

function write(out, v, indent)
  local kind = type(v)
  if v == nil or v == M.null then
    out[#out + 1] = "null"
  elseif kind == "string" then
    out[#out + 1] = quote(v)
  elseif kind == "number" then
    out[#out + 1] = number_text(v)
  elseif kind == "boolean" then
    out[#out + 1] = tostring(v)
  elseif kind == "table" then
    write_table(out, v, indent)
  else
    error("JSON has no " .. kind, 0)
  end
end

-- pretty: on several lines, indented. Throws for what JSON cannot say.
function M.encode(v, pretty)
  local out = { depth = 0 }
  write(out, v, pretty and "" or nil)
  return table.concat(out)
end

---- Reading -------------------------------------------------------------------

-- The value, or nil and what is wrong where. Throws if s is no string.
M.decode = core.json_decode

return M
