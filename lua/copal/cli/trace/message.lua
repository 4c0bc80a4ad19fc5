-- A datagram's message: decoded by the core, in the fields that a ladder needs.
local core = require "copal_core"
local message = require "copal.message"

local M = {}

local types = { [0] = "CON", "NON", "ACK", "RST" }
local known = {} -- codes that somebody gave a meaning

for number = 0, 255 do
  local name = core.name(core.CODES, number)
  known[number] = number == 0 or not name:match("^%d%.%d%d$")
end

-- Fills d.kind "message" with type, code (a number), mid, token, options ({
-- number, value }...) and payload, or makes it "malformed" with why.
function M.decode(d)
  local m, err = message.decode(d.data)
  if not m then
    d.kind, d.why = "malformed", err.message:gsub("^not CoAP: ", "")
    return d
  end
  local wire = core.msg_wire(m.handle)
  local flat, options = core.options(m.handle), {}
  for i = 1, #flat, 2 do options[#options + 1] = { flat[i], flat[i + 1] } end
  d.kind, d.type, d.mid, d.token = "message", types[wire.type], wire.mid, wire.token
  d.code, d.options, d.payload = core.msg_code(m.handle), options, core.msg_payload(m.handle)
  d.handle = m.handle
  return d
end

function M.option(d, number)
  for _, o in ipairs(d.options) do
    if o[1] == number then return o[2] end
  end
end

function M.uint(value)
  local n = 0
  for i = 1, math.min(#value, 7) do n = n << 8 | value:byte(i) end
  return n
end

function M.class(code)
  return code >> 5
end

function M.is_request(code)
  return code > 0 and code < 32
end

-- Does it look like CoAP, as far as a datagram of unknown ports can? Version,
-- length, options and a code that means something.
function M.is_plausible(data)
  local first, code = data:byte(1, 2)
  if #data < 4 or first >> 6 ~= 1 or first & 15 > 8 or not known[code] then return false end
  return message.decode(data) ~= nil
end

-- Block, and what it says: number, more, size, and whether as many of these go
-- together as there is room for, as by connections (BERT, RFC 8323 6); nil: no
-- such option, or illegal.
function M.block(d, option)
  local value = M.option(d, option)
  if not value or #value > 3 then return nil end
  local bits = M.uint(value)
  local is_bert = bits & 7 == 7
  return bits >> 4, bits & 8 ~= 0, is_bert and 1024 or 1 << ((bits & 7) + 4), is_bert
end

return M
