-- A message in a few words, as the simulator's transcript has them:
--   CON GET /temp?u=C obs=0 2:0/0/64
--   ACK 2.05 obs=12 etag=3f2a "21.5"
local core = require "copal_core"
local message = require "copal.cli.trace.message"
local text = require "copal.cli.text"

local M = {}

local SHOWN = 32 -- characters of a payload
local MISSING_BLOCKS = 272 -- a Content-Format: RFC 9177 5

---- Strangers' text -------------------------------------------------------------

-- Characters that steer: controls, line ends, and those that turn the direction
-- of what follows.
local function steers(code)
  return code < 32 or code >= 127 and code < 160 or code == 0x2028 or code == 0x2029
    or code >= 0x202a and code <= 0x202e or code >= 0x2066 and code <= 0x2069
    or code == 0x200e or code == 0x200f or code == 0xfeff or code >= 0xfff0 and code <= 0xffff
end

local function escaped(s)
  return (s:gsub(".", function(c) return ("\\x%02x"):format(c:byte()) end))
end

-- Valid UTF-8 on one line, whatever s is: all else as "\x1b". Second: nothing had
-- to be changed.
function M.clean(s)
  if not s:find("[^\32-\126]") then return s, true end
  local out, at, is_same = {}, 1, true
  while at <= #s do
    local valid, bad = utf8.len(s, at)
    local stop = valid and #s or bad - 1
    for p, code in utf8.codes(s:sub(at, stop)) do
      local c = utf8.char(code)
      if steers(code) then c, is_same = escaped(c), false end
      out[#out + 1], p = c, p
    end
    if not valid then
      out[#out + 1], is_same = escaped(s:sub(bad, bad)), false
      stop = bad
    end
    at = stop + 1
  end
  return table.concat(out), is_same
end

-- Columns that a character takes: those of East Asia and pictures two, marks upon
-- others none.
local function columns(code)
  if code < 0x300 then return 1 end
  if code < 0x370 or code >= 0xfe00 and code <= 0xfe0f or code == 0x200d or code == 0x200b then return 0 end
  return (code < 0x1100 or code >= 0x2000 and code < 0x2600 and code ~= 0x231a) and 1 or 2
end

function M.width(s)
  if not s:find("[\128-\255]") then return #s end
  local n = 0
  for _, code in utf8.codes(s) do n = n + columns(code) end
  return n
end

-- As much of clean text as n columns hold, with ".." in place of what is cut.
function M.cut(s, n)
  if M.width(s) <= n then return s end
  local room, used = n < 3 and n or n - 2, 0
  for at, code in utf8.codes(s) do
    used = used + columns(code)
    if used > room then
      return s:sub(1, at - 1) .. (n < 3 and "" or "..") .. (" "):rep(room - (used - columns(code)))
    end
  end
  return s
end

---- Parts -----------------------------------------------------------------------

local function code_text(code)
  if code == 0 then return "empty" end
  local name = core.name(core.CODES, code)
  return message.is_request(code) and name or ("%d.%02d"):format(code >> 5, code & 31)
end
M.code = code_text

-- Of a number that is given as code_text() does: "GET", "2.05 Content".
function M.code_name(code)
  return code == 0 and "empty" or core.name(core.CODES, code)
end

-- Path and query of a request, clean.
function M.target(d)
  local path, query = {}, {}
  for _, o in ipairs(d.options) do
    if o[1] == 11 then
      path[#path + 1] = "/" .. M.clean((o[2]:gsub("[%%/?#]", function(c) return ("%%%02X"):format(c:byte()) end)))
    elseif o[1] == 15 then
      query[#query + 1] = M.clean((o[2]:gsub("[%%&#]", function(c) return ("%%%02X"):format(c:byte()) end)))
    end
  end
  local joined = #path > 0 and table.concat(path) or "/"
  if #query > 0 then joined = joined .. "?" .. table.concat(query, "&") end
  return joined
end

local blocks = { { 27, "1" }, { 23, "2" }, { 19, "q1" }, { 31, "q2" } }

local function hex_of(value)
  return #value > 8 and text.hex(value:sub(1, 8)) .. ".." or text.hex(value)
end

local function options_of(d)
  if message.class(d.code) == 7 then return "" end -- signals have options of their own
  local list, observe = {}, message.option(d, 6)
  if observe then list[1] = "obs=" .. message.uint(observe) end
  for _, row in ipairs(blocks) do
    local num, more, size, is_bert = message.block(d, row[1])
    if num then
      list[#list + 1] = ("%s:%d/%d/%d%s"):format(row[2], num, more and 1 or 0, size, is_bert and "+" or "")
    elseif message.option(d, row[1]) then list[#list + 1] = row[2] .. ":?" end
  end
  local etag, tag, echo = message.option(d, 4), message.option(d, 292), message.option(d, 252)
  if etag then list[#list + 1] = "etag=" .. hex_of(etag) end
  if tag then list[#list + 1] = "tag=" .. hex_of(tag) end
  if echo then list[#list + 1] = "echo" end
  if message.option(d, 258) then list[#list + 1] = "no-response" end
  return table.concat(list, " ")
end

-- The blocks that a 4.08 asks for: CBOR numbers one after the other. nil: no list.
local function missing(d)
  local format = message.option(d, 12)
  if d.code ~= 0x88 or not format or message.uint(format) ~= MISSING_BLOCKS then return nil end
  local list = require "copal.cbor".decode(d.payload, { sequence = true })
  if type(list) ~= "table" then return nil end
  local shown = {}
  for i = 1, math.min(#list, 8) do shown[i] = tostring(list[i]) end
  return "missing " .. table.concat(shown, ",") .. (#list > 8 and ".." or "")
end

local function is_block(d)
  local is_request = message.is_request(d.code)
  return message.option(d, is_request and 27 or 23) or message.option(d, is_request and 19 or 31)
end

local function payload_of(d)
  local n = #d.payload
  if n == 0 then return "" end
  local list = missing(d)
  if list then return M.clean(list) end
  local shown, is_text
  if n <= 4096 then shown, is_text = M.clean(d.payload) end
  if not is_text or is_block(d) and n > SHOWN then return "(" .. n .. " bytes)" end
  if utf8.len(shown) <= SHOWN then return '"' .. shown .. '"' end
  return '"' .. shown:sub(1, utf8.offset(shown, SHOWN + 1) - 1) .. '"..'
end

-- "f276", "f276:9c01": the message id, and how its token begins.
local function ids_of(d)
  local ids = ("%04x"):format(d.mid)
  if #d.token == 0 then return ids end
  return ids .. ":" .. text.hex(d.token:sub(1, 2))
end

-- What a datagram is, in words: head ("CON GET /temp"), more (options), payload,
-- ids. Never more than one line of clean text.
function M.parts(d)
  if d.kind == "message" then
    local head = d.type .. " " .. code_text(d.code)
    if message.is_request(d.code) then head = head .. " " .. M.target(d) end
    return { head = head, more = options_of(d), payload = payload_of(d), ids = ids_of(d) }
  end
  local head = {
    malformed = "malformed, " .. d.size .. " bytes",
    encrypted = "encrypted, " .. d.size .. " bytes",
    fragment = d.offset and ("IP fragment at byte %d%s, not read"):format(d.offset, d.more and ", more follow" or ""),
    refused = "ICMP: nothing listens at that port",
    lost = "did not arrive, says the network",
  }
  return { head = head[d.kind], more = "", payload = "", ids = "" }
end

-- Head, options and payload in at most n characters.
function M.line(parts, n)
  local line = parts.head
  for _, part in ipairs { parts.more, parts.payload } do
    if part ~= "" then line = line .. " " .. part end
  end
  return n and M.cut(line, n) or line
end

---- Options, one by one ---------------------------------------------------------

local function extended(n)
  if n < 13 then return n, "" end
  if n < 269 then return 13, string.char(n - 13) end
  return 14, string.pack(">I2", n - 269)
end

local last = {}

-- Name and value of an option as copal prints them elsewhere.
function M.option(number, value)
  if last.number == number and last.value == value then return last.name, last.text end
  local delta, more = extended(number)
  local len, longer = extended(#value)
  local m = require "copal.message".decode("\x40\1\0\0" .. string.char(delta << 4 | len) .. more .. longer .. value)
  local line = m and core.msg_print(m.handle, core.OPTION_LINES) or ""
  local name, shown = line:match("^(.-):%s?(.*)$")
  last = { number = number, value = value, name = M.clean(name or tostring(number)),
    text = (M.clean(shown or text.hex(value))) }
  return last.name, last.text
end

return M
