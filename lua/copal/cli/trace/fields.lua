-- Which bytes of a datagram are what: header, token, each option, payload. All of
-- RFC 7252 3 has one encoding only, so it follows from what was decoded.
local label = require "copal.cli.trace.label"
local text = require "copal.cli.text"

local M = {}

local function extension(n)
  return n < 13 and 0 or n < 269 and 1 or 2
end

-- A list of { from, length, kind, name, value }: from counts from 0; kind "type",
-- "code", "mid", "token", "option" or "payload".
function M.of(d)
  if d.kind ~= "message" then return {} end
  local list, at = {}, 4
  local function add(len, kind, name, value)
    if len > 0 then list[#list + 1] = { at, len, kind, name, value } end
    at = at + len
  end
  list[1] = { 0, 1, "type", "Type", d.type }
  list[2] = { 1, 1, "code", "Code", label.code_name(d.code) }
  list[3] = { 2, 2, "mid", "Message ID", ("%04x"):format(d.mid) }
  add(extension(#d.token) + #d.token, "token", "Token", text.hex(d.token))
  local last = 0
  for _, o in ipairs(d.options) do
    local name, value = label.option(o[1], o[2])
    add(1 + extension(o[1] - last) + extension(#o[2]) + #o[2], "option", name, value)
    last = o[1]
  end
  local size = d.payload_size or #d.payload
  if size > 0 then add(1 + size, "payload", "Payload", size .. (size == 1 and " byte" or " bytes")) end
  return list
end

return M
