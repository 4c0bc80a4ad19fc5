-- One JSON object a message, for pipes. Besides what its names say: t and *_ms
-- are milliseconds, t since the first message that is shown; number is that of
-- the packet in the file; open is what never came, "answer" or "ack"; group is
-- the same in all messages of an exchange with its blocks.
local json = require "copal.json"
local label = require "copal.cli.trace.label"
local text = require "copal.cli.text"

local M = {}

local SECOND = 1000000000 -- ns
local DAY = 86400 * SECOND -- what is earlier began with a simulation

-- A number of ms as it is: without ".0" where it is whole.
local function ms(ns)
  return ns and (ns % 1000000 == 0 and ns // 1000000 or ns / 1000000)
end

local function is_text(s)
  local _, is_clean = label.clean((s:gsub("[\n\t]", " ")))
  return is_clean
end

function M.object(d)
  local o = { number = d.number, t = d.ms == math.floor(d.ms) and math.floor(d.ms) or d.ms,
    from = d.from, to = d.to, kind = d.kind, len = d.size, why = d.why and (label.clean(d.why)) }
  if d.t > DAY then
    o.time = os.date("!%Y-%m-%dT%H:%M:%S", d.t // SECOND) .. (".%06dZ"):format(d.t % SECOND // 1000)
  end
  if d.kind ~= "message" then return o end
  o.type, o.mid, o.token = d.type, d.mid, text.hex(d.token)
  o.code = ("%d.%02d"):format(d.code >> 5, d.code & 31)
  o.options = require "copal.data".array {}
  for i, option in ipairs(d.options) do
    local name, shown = label.option(option[1], option[2])
    o.options[i] = { name, shown }
  end
  if d.payload ~= "" then
    if is_text(d.payload) then o.payload = d.payload else o.payload_hex = text.hex(d.payload) end
  end
  o.again, o.after_ms, o.took_ms, o.open = d.again, ms(d.after), ms(d.took), d.open
  o.is_separate, o.is_stray = d.is_separate or nil, d.is_stray
  o.group = d.group and d.group.id
  return o
end

function M.write(ladder, out, count)
  local n = 0
  ladder:each(function(d)
    out(json.encode(M.object(d)) .. "\n")
    n = n + 1
    return not count or n < count
  end)
  return n
end

return M
