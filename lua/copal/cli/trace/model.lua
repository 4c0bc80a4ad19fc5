-- What belongs together in a row of datagrams: who answers whom, what was sent
-- again, what was never answered. It looks back only as far as messages can
-- have to do with each other, so that it is as large for a capture of an hour
-- as for one of a year.
local label = require "copal.cli.trace.label"
local message = require "copal.cli.trace.message"

local M = {}
local Model = {}
Model.__index = Model

local LIFETIME = 247 * 1000000000 -- ns: EXCHANGE_LIFETIME, RFC 7252 4.8.2
local MOST = 32768 -- in a generation of what is remembered

-- on_open(number, what): the datagram of that number had in its time no "answer",
-- or no "ack". nil: nobody asks. has_groups false: nobody asks for groups.
function M.new(on_open, has_groups)
  return setmetatable({ on_open = on_open, has_groups = has_groups, groups = 0, size = 0, since = nil,
    new = { sent = {}, asked = {}, transfers = {} },
    old = { sent = {}, asked = {}, transfers = {} } }, Model)
end

---- Two generations -------------------------------------------------------------

function Model:find(kind, key)
  local found = self.new[kind][key]
  if found then return found end
  found = self.old[kind][key]
  if found then -- in use: it stays
    self.old[kind][key], self.new[kind][key] = nil, found
    self.size = self.size + 1
  end
  return found
end

function Model:put(kind, key, value)
  local of_kind = self.new[kind]
  if of_kind[key] == nil then self.size = self.size + 1 end
  of_kind[key] = value
end

local function close(self, generation)
  for _, s in pairs(generation.sent) do self:closed(s) end
  for _, a in pairs(generation.asked) do self:closed(a) end
end

-- Forgets the older generation where the newer is old or large enough.
function Model:age(t)
  self.since = self.since or t
  if self.size < MOST and t - self.since < LIFETIME then return end
  close(self, self.old)
  self.old, self.new = self.new, { sent = {}, asked = {}, transfers = {} }
  self.size, self.since = 0, t
end

function Model:closed(x)
  if x.is_open and self.on_open then self.on_open(x.number, x.what) end
  x.is_open = false
end

-- The end of the file: what is open now stays so.
function Model:finish()
  close(self, self.old)
  close(self, self.new)
end

---- Groups: what one exchange, with all its blocks, consists of -----------------

function Model:new_group(path)
  self.groups = self.groups + 1
  return { id = self.groups, path = path }
end

local function block_number(d)
  local number
  for _, option in ipairs { 27, 23, 19, 31 } do
    local n = message.block(d, option)
    if n then number = math.max(number or 0, n) end
  end
  return number
end

-- Of a request: that of the transfer that it goes on with, or of the same token
-- (an observation that is renewed or ended), else a new one.
function Model:group_of_request(d, asked)
  local target = label.target(d)
  local number = block_number(d)
  local key = table.concat({ d.from, d.to, d.code, target, message.option(d, 292) or "" }, "\0")
  local going_on = self:find("transfers", key)
  local group = asked and asked.group.path == target and asked.group
    or number and number > 0 and going_on or self:new_group(target)
  self:put("transfers", key, group)
  return group
end

---- Messages --------------------------------------------------------------------

local function note_again(d, before)
  before.count = before.count + 1
  d.again, d.after = before.count, d.t - before.t
  d.group, d.first = before.group, before
  before.number, before.last = d.number, d.t
end

-- An ACK or RST closes what it is about.
function Model:note_reply(d)
  local about = self:find("sent", d.to .. "\0" .. d.from .. "\0" .. d.mid)
  if not about then return end
  d.about = about
  d.group = d.group or about.group
  d.rtt = about.count == 1 and d.t - about.t or nil
  if about.what == "ack" then about.is_open = false end
  if d.type == "RST" and about.asked then about.asked.is_open = false end
end

local function wants_no_answer(d)
  return message.option(d, 258) ~= nil
end

function Model:note_request(d, sent)
  local key = d.from .. "\0" .. d.to .. "\0" .. d.token
  local asked = self:find("asked", key)
  d.group = self.has_groups and self:group_of_request(d, asked) or nil
  if asked then self:closed(asked) end
  asked = { number = d.number, t = d.t, group = d.group, is_open = not wants_no_answer(d),
    what = "answer", is_group = d.is_multicast }
  self:put("asked", key, asked)
  if d.is_multicast then self:put("asked", d.from .. "\0*\0" .. d.token, asked) end
  sent.asked = asked
  if d.type == "CON" then sent.is_open = false end -- the answer is what counts
end

function Model:note_response(d)
  local asked = self:find("asked", d.to .. "\0" .. d.from .. "\0" .. d.token)
    or self:find("asked", d.to .. "\0*\0" .. d.token)
  if not asked then
    d.is_stray = true
    return
  end
  d.group, d.request = asked.group, asked
  d.is_separate = d.type ~= "ACK" and asked.acked or false
  if not asked.answered then d.took = d.t - asked.t end
  asked.answered, asked.is_open = true, false
end

-- Fills what is known so far of a decoded datagram: again (which transmission),
-- after (ns since the first), took (ns from request to response), rtt (ns from
-- what it acknowledges), group, is_separate, is_stray.
function Model:note(d)
  self:age(d.t)
  if d.kind ~= "message" or message.class(d.code) == 7 then return end -- signals answer nobody
  if d.type == "ACK" or d.type == "RST" then
    if d.code ~= 0 then self:note_response(d) end
    self:note_reply(d)
    if d.about and d.about.asked and d.code == 0 and d.type == "ACK" then
      d.about.asked.acked = true
    end
  end
  local key = d.from .. "\0" .. d.to .. "\0" .. d.mid
  if d.type == "ACK" or d.type == "RST" then key = key .. d.type end
  local before = self:find("sent", key)
  if before and before.token == d.token and before.code == d.code and d.t - before.t < LIFETIME then
    note_again(d, before)
    if before.asked then before.asked.number = d.number end
    return
  end
  local sent = { number = d.number, t = d.t, count = 1, token = d.token, code = d.code, what = "ack",
    is_open = d.type == "CON" }
  if d.type == "CON" or d.type == "NON" then
    if message.is_request(d.code) then self:note_request(d, sent)
    elseif d.code ~= 0 then self:note_response(d) end
  end
  if before then self:closed(before) end
  sent.group = d.group
  self:put("sent", key, sent)
end

return M
