-- Diagnostic notation of CBOR (RFC 8949 8) read back: JSON, with more kinds of
-- values and keys, tags 1(...), simple(99), bytes h'', b64'', b32'' and ''.
-- Encoding indicators ("_", "_1") are read over. Comments between slashes, too.
local core = require "copal_core"
local data = require "copal.data"
local json = require "copal.json"

local M = {}

local DEPTH = 64

local function fail(at, what)
  error({ diagnostic = what .. " at byte " .. at }, 0)
end

local function skip(s, i)
  while true do
    local j = s:match("^[ \t\r\n]*()", i)
    local after = s:match("^/[^/]*/()", j)
    if not after then return j end
    i = after
  end
end

-- "_" and "_3" after an opening bracket or a value
local function skip_indicator(s, i)
  return s:match("^_%w*()", i) or i
end

---- Values that contain no others ----------------------------------------------

-- JSON's rules hold for what stands between double quotes.
local function read_text(s, i)
  local j = i + 1
  while true do
    local c = s:sub(j, j)
    if c == "" then fail(i, "text without end") end
    if c == '"' then break end
    j = j + (c == "\\" and 2 or 1)
  end
  local v = json.decode(s:sub(i, j))
  if v == nil then fail(i, "bad text") end
  return v, j + 1
end

local function from_hex(text)
  if #text % 2 == 1 or text:find("%X") then return nil end
  return (text:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

local function from_base32(text, alphabet)
  local out, n, bits = {}, 0, 0
  for c in text:upper():gsub("=*$", ""):gmatch(".") do
    local v = alphabet:find(c, 1, true)
    if not v then return nil end
    n, bits = n * 32 + v - 1, bits + 5
    if bits >= 8 then
      bits = bits - 8
      local rest = n % 2 ^ bits
      out[#out + 1] = string.char(math.floor((n - rest) / 2 ^ bits))
      n = rest
    end
  end
  return table.concat(out)
end

local decoders = {
  h = from_hex,
  b64 = data.from_base64,
  b32 = function(t) return from_base32(t, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") end,
  h32 = function(t) return from_base32(t, "0123456789ABCDEFGHIJKLMNOPQRSTUV") end,
  [""] = function(t) return t end,
}

local function read_bytes(s, i)
  local prefix, inner, after = s:match("^(%w*)'([^']*)'()", i)
  local decoder = decoders[prefix]
  if not decoder then fail(i, "value expected") end
  if prefix ~= "" then inner = inner:gsub("[ \t\r\n]", "") end
  local bytes = decoder(inner)
  if not bytes then fail(i, "bad bytes") end
  return data.bytes(bytes), after
end

-- A decimal number of any length as a bignum, { tag = 2, value = bytes }.
local function bignum(digits, negative)
  local bytes = {} -- least first
  local function times_and_plus(factor, carry)
    for k = 1, #bytes do
      carry = carry + bytes[k] * factor
      bytes[k] = carry % 256
      carry = math.floor(carry / 256)
    end
    if carry > 0 then bytes[#bytes + 1] = carry end
  end
  for d in digits:gmatch(".") do times_and_plus(10, tonumber(d)) end
  if negative then -- holds -1 - n
    for k = 1, #bytes do
      bytes[k] = bytes[k] - 1
      if bytes[k] >= 0 then break end
      bytes[k] = 255
    end
  end
  local text = {}
  for k = #bytes, 1, -1 do text[#text + 1] = string.char(bytes[k]) end
  return data.tag(negative and 3 or 2, table.concat(text))
end

local function is_exact(n)
  if math.type then return math.type(n) == "integer" end
  return n >= -2 ^ 53 and n <= 2 ^ 53
end

local function read_number(s, i)
  local sign, digits, after = s:match("^(%-?)(%d+)()", i)
  if not digits then fail(i, "value expected") end
  local rest, over = s:match("^(%.?%d*[eE]?[+-]?%d*)()", after)
  local text = sign .. digits .. rest
  if rest ~= "" then
    local n = not rest:find("^[+-]") and tonumber(text)
    if not n then fail(i, "bad number") end
    return n, over -- a float as it is: + 0.0 would make one of -0.0
  end
  if digits:find("^0%d") then fail(i, "bad number") end
  if #digits > 100 then fail(i, "number too long") end
  local n = tonumber(text)
  return is_exact(n) and n or bignum(digits, sign == "-"), after
end

local words = { ["true"] = true, ["false"] = false, null = data.null,
  undefined = data.undefined, NaN = 0 / 0, Infinity = math.huge }

---- Values that contain others --------------------------------------------------

local read

-- Items up to the closing character, each read by one().
local function read_items(s, i, close, one)
  i = skip(s, skip_indicator(s, skip(s, i)))
  if s:sub(i, i) == close then return i + 1 end
  while true do
    i = skip(s, one(i))
    local c = s:sub(i, i)
    if c == close then return i + 1 end
    if c ~= "," then fail(i, "',' or '" .. close .. "' expected") end
    i = skip(s, i + 1)
  end
end

local function read_array(s, i, depth)
  local list = data.array()
  return list, read_items(s, i + 1, "]", function(at)
    list[#list + 1], at = read(s, at, depth)
    return at
  end)
end

local function read_map(s, i, depth)
  local map = data.object()
  return map, read_items(s, i + 1, "}", function(at)
    local key, v
    key, at = read(s, at, depth)
    if key ~= key then fail(at, "NaN as a key") end
    at = skip(s, at)
    if s:sub(at, at) ~= ":" then fail(at, "':' expected") end
    v, at = read(s, skip(s, at + 1), depth)
    if map[key] ~= nil then fail(at, "the same key twice") end
    map[key] = v
    return at
  end)
end

-- (_ "a", "b"): a string in pieces, which are put together
local function read_chunks(s, i, depth)
  local pieces, is_text, after = {}, nil, nil
  after = read_items(s, i + 1, ")", function(at)
    local piece
    piece, at = read(s, at, depth)
    local kind = type(piece) == "string"
    if is_text == nil then is_text = kind end
    if kind ~= is_text or not kind and not data.is_bytes(piece) then
      fail(at, "pieces of one string expected")
    end
    pieces[#pieces + 1] = kind and piece or piece.bytes
    return at
  end)
  local whole = table.concat(pieces)
  return is_text and whole or data.bytes(whole), after
end

-- Beyond what integers hold it is as cbor.decode() gives it: negative, in the
-- same 64 bits. nil: no tag.
local function tag_number(digits)
  if not digits:match("^%d+$") or #digits > 20 then return nil end
  if is_exact(tonumber(digits)) then return tonumber(digits) end
  local bytes = bignum(digits, false).value
  return string.unpack and #bytes == 8 and string.unpack(">i8", bytes) or nil
end

-- 1(...) and simple(...)
local function read_call(s, i, depth)
  local name, j = s:match("^(%w+)()", i)
  j = name and (s:match("^_%w*()", j) or j)
  if not name or s:sub(j, j) ~= "(" then return nil end
  j = j + 1
  local v, after = read(s, skip(s, j), depth)
  after = skip(s, after)
  if s:sub(after, after) ~= ")" then fail(after, "')' expected") end
  if name == "simple" and type(v) == "number" then
    return data.simple(v), after + 1
  end
  local number = tag_number(name)
  if number then
    if (name == "2" or name == "3") and data.is_bytes(v) then v = v.bytes end
    return data.tag(number, v), after + 1
  end
  fail(i, "unknown '" .. name .. "'")
end

local function read_plain(s, i)
  local c = s:sub(i, i)
  if c == '"' then return read_text(s, i) end
  if s:find("^%w*'", i) then return read_bytes(s, i) end
  local word, after = s:match("^(%a+)()", i)
  if words[word] ~= nil then return words[word], after end
  if s:find("^%-Infinity", i) then return -math.huge, i + 9 end
  return read_number(s, i)
end

function read(s, i, depth)
  local c = s:sub(i, i)
  local v, after
  -- What holds nothing may stand in as many as there may be.
  local most = c:find("[%[{(]") and DEPTH or DEPTH + 1
  if depth > most then fail(i, "nested too deeply") end
  if c == "[" then return read_array(s, i, depth + 1) end
  if c == "{" then return read_map(s, i, depth + 1) end
  if c == "(" then return read_chunks(s, i, depth + 1) end
  v, after = read_call(s, i, depth + 1)
  if v == nil then v, after = read_plain(s, i) end
  return v, skip_indicator(s, after)
end

local function read_all(s)
  if not core.is_utf8(s) then fail(1, "text that is not UTF-8") end
  local v, i = read(s, skip(s, 1), 1)
  i = skip(s, i)
  if i <= #s then fail(i, "something after the value") end
  return v
end

-- The value, or nil and what is wrong where.
function M.decode(s)
  local ok, v = pcall(read_all, s)
  if ok then return v end
  if type(v) == "table" and v.diagnostic then
    return nil, "diagnostic notation: " .. v.diagnostic
  end
  error(v, 0)
end

return M
