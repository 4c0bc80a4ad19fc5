-- JSON (RFC 8259) in plain Lua. Objects come back with their keys in a table;
-- null is json.null. Object keys are written in sorted order, so that the same
-- value always gives the same text.
local M = {}

M.null = setmetatable({}, { __tostring = function() return "null" end })

---- Writing -------------------------------------------------------------------

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f",
  ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(s)
  return '"' .. s:gsub('[%c"\\\127]', function(c)
    return escapes[c] or string.format("\\u%04x", c:byte())
  end) .. '"'
end

-- The shortest text that reads back as n.
local function number_text(n)
  if n ~= n or n == math.huge or n == -math.huge then
    error("JSON has no " .. tostring(n), 0)
  end
  if n % 1 == 0 and n > -2 ^ 53 and n < 2 ^ 53 then
    return string.format("%d", n)
  end
  for digits = 15, 17 do
    local text = string.format("%." .. digits .. "g", n)
    if tonumber(text) == n then return text end
  end
  return string.format("%d", n) -- an integer beyond what a double can hold
end

-- An array: keys 1 .. n and nothing else. An empty table is an array unless
-- made by json.object().
local function is_array(t)
  if M.is_object(t) then return false end
  local n = 0
  for k in pairs(t) do
    if type(k) ~= "number" then return false end
    n = n + 1
  end
  return n == #t
end

local object = { __name = "JSON object" }
function M.object(t)
  return setmetatable(t or {}, object)
end
function M.is_object(t)
  return getmetatable(t) == object
end

local write

local function write_items(out, t, indent, open, close, each)
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
  if is_array(t) then
    return write_items(out, t, indent, "[", "]", function(item)
      for i = 1, #t do item("", t[i]) end
    end)
  end
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  write_items(out, t, indent, "{", "}", function(item)
    for _, k in ipairs(keys) do
      item(quote(tostring(k)) .. (indent and ": " or ":"), t[k])
    end
  end)
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
  local out = {}
  write(out, v, pretty and "" or nil)
  return table.concat(out)
end

---- Reading -------------------------------------------------------------------

local DEPTH = 200 -- deeper nesting is refused, not recursed into

local function fail(at, what)
  error({ json = what .. " at byte " .. at }, 0)
end

local function utf8_char(n)
  if n < 0x80 then return string.char(n) end
  if n < 0x800 then
    return string.char(0xC0 + (n - n % 64) / 64, 0x80 + n % 64)
  end
  if n < 0x10000 then
    local hi = (n - n % 4096) / 4096
    return string.char(0xE0 + hi, 0x80 + (n % 4096 - n % 64) / 64, 0x80 + n % 64)
  end
  return string.char(0xF0 + (n - n % 262144) / 262144,
    0x80 + (n % 262144 - n % 4096) / 4096, 0x80 + (n % 4096 - n % 64) / 64,
    0x80 + n % 64)
end
M.utf8_char = function(n) return utf8_char(n) end

local unescapes = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f",
  n = "\n", r = "\r", t = "\t" }

local function read_unicode(s, i)
  local hex = s:match("^%x%x%x%x", i)
  if not hex then fail(i, "bad \\u escape") end
  local n = tonumber(hex, 16)
  if n >= 0xD800 and n < 0xDC00 then
    local low = s:match("^\\u(%x%x%x%x)", i + 4)
    low = low and tonumber(low, 16)
    if not low or low < 0xDC00 or low > 0xDFFF then
      fail(i, "half a surrogate pair")
    end
    return utf8_char(0x10000 + (n - 0xD800) * 1024 + (low - 0xDC00)), i + 10
  elseif n >= 0xDC00 and n < 0xE000 then
    fail(i, "half a surrogate pair")
  end
  return utf8_char(n), i + 4
end

local function read_string(s, i)
  local out = {}
  i = i + 1
  while true do
    local stop = s:find('["\\%c]', i)
    if not stop then fail(#s, "text without end") end
    out[#out + 1] = s:sub(i, stop - 1)
    local c = s:sub(stop, stop)
    if c == '"' then
      return table.concat(out), stop + 1
    elseif c == "\127" then
      out[#out + 1] = c
      i = stop + 1
    elseif c ~= "\\" then
      fail(stop, "control character in text")
    else
      local e = s:sub(stop + 1, stop + 1)
      if e == "u" then
        out[#out + 1], i = read_unicode(s, stop + 2)
      elseif unescapes[e] then
        out[#out + 1], i = unescapes[e], stop + 2
      else
        fail(stop, "bad escape")
      end
    end
  end
end

local function read_number(s, i)
  local text = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", i)
  if not text then fail(i, "value expected") end
  if text:find("^-?0%d") or text:find("%.$") or text:find("%.[eE]")
    or text:find("[eE+-]$") or not tonumber(text) then
    fail(i, "bad number")
  end
  return tonumber(text), i + #text
end

local function skip(s, i)
  return s:match("^[ \t\r\n]*()", i)
end

local read

local function read_list(s, i, depth)
  local list = {}
  i = skip(s, i + 1)
  if s:sub(i, i) == "]" then return list, i + 1 end
  while true do
    list[#list + 1], i = read(s, i, depth)
    i = skip(s, i)
    local c = s:sub(i, i)
    if c == "]" then return list, i + 1 end
    if c ~= "," then fail(i, "',' or ']' expected") end
    i = skip(s, i + 1)
  end
end

local function read_object(s, i, depth)
  local t = M.object()
  i = skip(s, i + 1)
  if s:sub(i, i) == "}" then return t, i + 1 end
  while true do
    local key
    if s:sub(i, i) ~= '"' then fail(i, "name expected") end
    key, i = read_string(s, i)
    i = skip(s, i)
    if s:sub(i, i) ~= ":" then fail(i, "':' expected") end
    t[key], i = read(s, skip(s, i + 1), depth)
    i = skip(s, i)
    local c = s:sub(i, i)
    if c == "}" then return t, i + 1 end
    if c ~= "," then fail(i, "',' or '}' expected") end
    i = skip(s, i + 1)
  end
end

local words = { t = { "true", true }, f = { "false", false }, n = { "null", M.null } }

function read(s, i, depth)
  local c = s:sub(i, i)
  if depth > DEPTH then fail(i, "nested too deeply") end
  if c == '"' then return read_string(s, i) end
  if c == "{" then return read_object(s, i, depth + 1) end
  if c == "[" then return read_list(s, i, depth + 1) end
  local word = words[c]
  if word and s:sub(i, i + #word[1] - 1) == word[1] then
    return word[2], i + #word[1]
  end
  return read_number(s, i)
end

-- The value, or nil and what is wrong where.
function M.decode(s)
  local ok, v, i = pcall(read, s, skip(s, 1), 1)
  if ok then
    i = skip(s, i)
    if i <= #s then return nil, "something after the value at byte " .. i end
    return v
  end
  if type(v) == "table" and v.json then return nil, "JSON: " .. v.json end
  return nil, tostring(v)
end

return M
