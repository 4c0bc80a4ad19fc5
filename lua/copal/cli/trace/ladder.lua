-- The messages of a file in order, with what is known of each from all others.
-- The file is read once to see who talks and what stays without an answer, and
-- again for whoever writes a ladder.
local exit = require "copal.cli.exit"
local message = require "copal.cli.trace.message"
local model = require "copal.cli.trace.model"
local text = require "copal.cli.text"

local M = {}
local Ladder = {}
Ladder.__index = Ladder

local COAP, COAPS = 5683, 5684
local MOST_OPEN = 100000 -- unanswered ones that are remembered
local MOST_HOSTS = 1000

-- source: of copal.cli.trace.source. want: ports (set of numbers, or nil),
-- follow (how the token begins), path, host.
function M.new(source, want)
  local self = setmetatable({ source = source, want = want or {}, open = {}, open_count = 0,
    hosts = {}, by_name = {}, wanted = {}, count = 0 }, Ladder)
  self.is_guess = source.is_packets and not self.want.ports and not self:has_known_port()
  return self
end

---- Which datagrams are CoAP ----------------------------------------------------

local function either(d, port)
  return d.sport == port or d.dport == port or d.sport_written == port or d.dport_written == port
end

function Ladder:is_known(d)
  if not self.source.is_packets or either(d, COAP) or either(d, COAPS) then return true end
  local ports = self.want.ports
  return ports ~= nil and (ports[d.sport] or ports[d.dport] or false)
end

function Ladder:has_known_port()
  self.source:rewind()
  local d = self.source:next()
  while d do
    if self:is_known(d) then return true end
    d = self.source:next()
  end
  return false
end

-- False: it is nothing of ours.
function Ladder:classify(d)
  local is_known = self:is_known(d)
  if not is_known and not (self.is_guess and d.kind == "datagram" and message.is_plausible(d.data)) then
    return false
  end
  d.is_multicast = d.dst:match("^22[4-9]%.") ~= nil or d.dst:match("^23%d%.") ~= nil
    or d.dst:match("^%[ff") ~= nil
  if d.kind ~= "datagram" then
    return true
  elseif self.source.is_packets and either(d, COAPS) and not either(d, COAP) then
    d.kind = "encrypted"
  elseif d.fault then
    d.kind, d.why = "malformed", d.fault
  else
    message.decode(d)
  end
  return true
end

---- Which of them are wanted ----------------------------------------------------

local function is_host(name, wanted)
  return name == wanted or name:match("^(.*):%d+$") == wanted
    or name == "[" .. wanted .. "]" or name:match("^%[(.*)%]:%d+$") == wanted
end

function Ladder:has_filter()
  return self.want.follow ~= nil or self.want.path ~= nil
end

-- In the first reading: whether d makes its exchange one that is wanted.
function Ladder:notice(d)
  local want, group = self.want, d.group
  if not group or self.wanted[group.id] then return end
  if (not want.follow or d.code ~= 0 and d.token:sub(1, #want.follow) == want.follow)
    and (not want.path or group.path:sub(1, #want.path) == want.path) then
    self.wanted[group.id] = true
  end
end

function Ladder:is_wanted(d)
  if self.want.host and not is_host(d.from, self.want.host) and not is_host(d.to, self.want.host) then
    return false
  end
  if not self:has_filter() then return true end
  return d.group ~= nil and self.wanted[d.group.id] == true
end

---- Readings --------------------------------------------------------------------

function Ladder:add_host(name, asks)
  local h = self.by_name[name]
  if not h then
    if #self.hosts >= MOST_HOSTS then
      self.too_many_hosts = true
      return
    end
    h = { name = name, asks = 0, order = #self.hosts }
    self.by_name[name] = h
    table.insert(self.hosts, h)
  end
  h.asks = h.asks + asks
end

local function role(d)
  if d.kind ~= "message" or d.code == 0 then return 0 end
  return message.is_request(d.code) and 1 or -1
end

-- each(d) for every datagram of ours; the number of each is that in the file.
function Ladder:read(on_open, each)
  local m = model.new(on_open, not on_open or self:has_filter())
  self.source:rewind()
  self.broken, self.other_ports = nil, 0
  local d, why = self.source:next()
  while d do
    if self:classify(d) then
      m:note(d)
      each(d)
      d.handle = nil
    elseif d.sport then
      self.other_ports = self.other_ports + 1
    end
    d, why = self.source:next()
  end
  self.broken = why
  m:finish()
end

-- Clients in the order in which they spoke, then servers, then groups.
local function ordered(hosts)
  table.sort(hosts, function(a, b)
    local x, y = a.asks <= 0, b.asks <= 0
    if x ~= y then return y end
    return a.order < b.order
  end)
  for i, h in ipairs(hosts) do h.column = i end
end

-- The first reading.
function Ladder:survey()
  local has_filter = self:has_filter()
  local function on_open(number, what)
    if self.open_count >= MOST_OPEN then return end
    self.open_count, self.open[number] = self.open_count + 1, what
  end
  self:read(on_open, function(d)
    self.count = self.count + 1
    self:notice(d)
    if d.t % 1000000 ~= 0 then self.has_fractions = true end
    local asks = role(d)
    if not has_filter and self:is_wanted(d) then
      self:add_host(d.from, asks)
      self:add_host(d.to, -asks)
    end
  end)
  if has_filter then self:survey_wanted() end
  ordered(self.hosts)
  return self
end

-- Who takes part in the exchanges that are wanted is known when these are.
function Ladder:survey_wanted()
  self:read(nil, function(d)
    if not self:is_wanted(d) then return end
    local asks = role(d)
    self:add_host(d.from, asks)
    self:add_host(d.to, -asks)
  end)
end

-- The reading for a writer: each(d) for what is wanted, d.ms since the first of
-- them and d.open: "answer" or "ack", which never came. Returns how many. each
-- may return false: enough.
function Ladder:each(each)
  local first, n = nil, 0
  local enough = {}
  local ok, why = pcall(self.read, self, nil, function(d)
    if not self:is_wanted(d) then return end
    first = first or d.t
    n = n + 1
    d.ms, d.open = (d.t - first) / 1000000, self.open[d.number]
    if each(d) == false then error(enough, 0) end
  end)
  if not ok and why ~= enough then error(why, 0) end
  return n
end

---- What there is to say about the file -----------------------------------------

-- Sentences about what was passed over, or had to be guessed.
function Ladder:remarks()
  local list, skipped = {}, self.source.skipped
  local function add(n, one, ...)
    if n > 0 then list[#list + 1] = n .. " " .. one:gsub("%%s", n == 1 and "" or "s"):format(...) end
  end
  if self.is_guess and self.count > 0 then
    list[1] = "no port is CoAP's (5683): shown is what can be read as CoAP; --port N says which port it is"
  end
  if not self.is_guess then
    add(self.other_ports, "UDP datagram%s of other ports not read; --port N reads them")
  end
  add(skipped.tcp, "TCP segment%s of CoAP's ports not read; copal --pcap writes messages by TCP so that they are")
  add(skipped.cut, "IP packet%s not read: cut off, or later fragments whose first is not there")
  for link, n in pairs(skipped.links) do
    add(n, "packet%s of link type " .. require "copal.cli.trace.link".name(link)
      .. " not read; Ethernet, Linux cooked, raw IP and loopback are")
  end
  if self.too_many_hosts then list[#list + 1] = "over " .. MOST_HOSTS .. " hosts; --host ADDRESS shows one" end
  if self.source.is_bare then list[#list + 1] = "the recording was made without payloads: they are zeroes" end
  return list
end

-- Why there is nothing to see, and the exit code for it.
function Ladder:nothing()
  local want = self.want
  if self.count > 0 then
    local what = want.follow and "token " .. text.hex(want.follow) or want.path and "path " .. want.path
      or "host " .. tostring(want.host)
    return exit.USAGE, ("no message of %s among %d"):format(what, self.count)
  end
  return exit.DECODE, "no CoAP message in it"
end

return M
