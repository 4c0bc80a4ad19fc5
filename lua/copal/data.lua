-- Values that CBOR and JSON have and Lua has no word for.
--
--   null, undefined             one value each
--   array { 1, 2 }              a table that is an array also when empty; what
--                               is decoded is marked so
--   object { a = 1 }            one that is a map, also when empty
--   bytes "\1\2"                a byte string, be it UTF-8 or not: .bytes
--   tag(1, 1363896240)          an item with a tag: .tag, .value
--   simple(99)                  an unassigned simple value: .simple
--
-- A table without a mark is an array if its keys are 1 to n: so is an empty
-- one.
local core = require "copal_core"

local M = {}

local function word(text)
  return setmetatable({}, { __tostring = function() return text end })
end
M.null, M.undefined = word "null", word "undefined"

local Array, Object = { __name = "array" }, { __name = "object" }
local Bytes, Tag, Simple = { __name = "bytes" }, { __name = "tag" }, { __name = "simple" }

core.data_kinds { M.null, M.undefined, Array, Object, Bytes, Tag, Simple }

function M.array(t)
  return setmetatable(t or {}, Array)
end

function M.object(t)
  return setmetatable(t or {}, Object)
end

function M.is_array(t)
  return getmetatable(t) == Array
end

function M.is_object(t)
  return getmetatable(t) == Object
end

function M.bytes(s)
  if type(s) ~= "string" then
    error("copal: bytes are made of a string, got " .. type(s), 2)
  end
  return setmetatable({ bytes = s }, Bytes)
end

function M.is_bytes(x)
  return getmetatable(x) == Bytes
end

function Bytes.__tostring(b)
  return b.bytes
end

function Bytes.__eq(a, b)
  return a.bytes == b.bytes
end

function Bytes.__len(b)
  return #b.bytes
end

function M.tag(number, value)
  if type(number) ~= "number" or number % 1 ~= 0 then
    error("copal: a tag's number is an integer, got " .. tostring(number), 2)
  end
  return setmetatable({ tag = number, value = value }, Tag)
end

function M.is_tag(x, number)
  return getmetatable(x) == Tag and (number == nil or x.tag == number)
end

function M.simple(n)
  return setmetatable({ simple = n }, Simple)
end

function M.is_simple(x)
  return getmetatable(x) == Simple
end

-- A table that stands for something else than its fields.
function M.is_special(t)
  return t == M.null or t == M.undefined or M.is_bytes(t) or M.is_tag(t)
    or M.is_simple(t)
end

-- The keys are 1 .. n and nothing else.
function M.is_list(t)
  local n = 0
  for k in pairs(t) do
    if type(k) ~= "number" then return false end
    n = n + 1
  end
  return n == #t
end

---- Base64 with the alphabet for URLs, without padding (RFC 4648 5) ------------

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
local values = { [("+"):byte()] = 62, [("/"):byte()] = 63 }
for i = 1, 64 do values[alphabet:byte(i)] = i - 1 end

local function digit(n)
  return alphabet:sub(n + 1, n + 1)
end

function M.base64url(s)
  local out = {}
  for i = 1, #s, 3 do
    local a, b, c = s:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    out[#out + 1] = digit(math.floor(n / 262144))
      .. digit(math.floor(n / 4096) % 64)
      .. (b and digit(math.floor(n / 64) % 64) or "")
      .. (c and digit(n % 64) or "")
  end
  return table.concat(out)
end

-- The bytes; nil if it is neither this alphabet nor that of RFC 4648 4.
function M.from_base64(text)
  local digits = text:gsub("=*$", "")
  local out, n, count = {}, 0, 0
  if #digits % 4 == 1 then return nil end
  for i = 1, #digits do
    local v = values[digits:byte(i)]
    if not v then return nil end
    n, count = n * 64 + v, count + 6
    if count >= 8 then
      count = count - 8
      local rest = n % 2 ^ count
      out[#out + 1] = string.char(math.floor((n - rest) / 2 ^ count))
      n = rest
    end
  end
  return table.concat(out)
end

---- What JSON can say ----------------------------------------------------------

-- The value as JSON can hold it, by RFC 8949 6.1: bytes as base64url, tags as
-- what they hold, NaN and the infinities and what is no value as null, keys as
-- text.
function M.for_json(v)
  if type(v) == "number" and (v ~= v or v == math.huge or v == -math.huge) then
    return M.null
  elseif type(v) == "string" and not core.is_utf8(v) then
    return M.base64url(v)
  elseif type(v) ~= "table" or v == M.null then
    return v
  elseif M.is_bytes(v) then
    return M.base64url(v.bytes)
  elseif M.is_tag(v) then
    local prefix = v.tag == 3 and "~" or "" -- of a negative bignum
    local inner = v.value
    if type(inner) == "string" and (v.tag == 2 or v.tag == 3) then
      return prefix .. M.base64url(inner)
    end
    inner = M.for_json(inner)
    return type(inner) == "string" and prefix .. inner or inner
  elseif v == M.undefined or M.is_simple(v) then
    return M.null
  end
  local out = setmetatable({}, getmetatable(v))
  for key, item in pairs(v) do
    if type(key) == "table" then key = tostring(M.for_json(key)) end
    if type(key) == "string" and not core.is_utf8(key) then key = M.base64url(key) end
    out[key] = M.for_json(item)
  end
  return out
end

return M
