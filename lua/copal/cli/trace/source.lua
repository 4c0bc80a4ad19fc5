-- A file as datagrams, whatever its format: who sent what to whom, and when.
local exit = require "copal.cli.exit"
local ip = require "copal.cli.trace.ip"
local link = require "copal.cli.trace.link"
local stream = require "copal.cli.trace.stream"

local M = {}
local Source = {}
Source.__index = Source

local formats = { "pcapng", "pcap", "recording" }
local compressed = {
  ["\x1f\x8b"] = "gzip -dc", ["BZ"] = "bzip2 -dc", ["\xfd7"] = "xz -dc", ["\x28\xb5"] = "zstd -dc",
}
local COAP, HERE = 5683, "here"
local LOOKED_AT, MOST_PEERS = 1000, 1000 -- datagrams, hosts
local MOST_FRAGMENTED = 64 -- datagrams of which the first fragment is remembered

local function format_of(s)
  local magic = s:read(math.min(4, s:left()))
  s:rewind()
  for _, name in ipairs(formats) do
    local format = require("copal.cli.trace." .. name)
    if format.is(magic) then return format, name end
  end
  local what = s.size == 0 and "it is empty"
    or ("it begins with %s"):format((magic:gsub(".", function(c) return ("%02x "):format(c:byte()) end)):sub(1, -2))
  local how = compressed[magic:sub(1, 2)]
  exit.fail(exit.DECODE, ("%s: neither pcapng nor pcap nor a recording (byte 0): %s; %s"):format(
    s.name, what, how and how .. " " .. s.name .. " | copal trace -"
      or "give what tcpdump -w, Wireshark or copal --pcap wrote"))
end

-- Of the file at path ("-": standard input), from its beginning.
function M.open(path)
  local s = stream.open(path)
  local format, name = format_of(s)
  local self = setmetatable({ stream = s, format = format, is_packets = name ~= "recording",
    name = name, own = {}, own_count = 0 }, Source)
  self:rewind()
  self:learn()
  self:rewind()
  return self
end

function Source:rewind()
  self.stream:rewind()
  self.next_raw, self.is_bare = self.format.reader(self.stream)
  self.skipped = { other = 0, tcp = 0, cut = 0, links = {} }
  self.firsts, self.first_ids = {}, {}
end

---- Names -----------------------------------------------------------------------

-- Host and port of "server:5683"; without a port it is 0, not known yet.
local function name_and_port(s)
  local name, port = s:match("^(.-):(%d+)$")
  if name then return name, tonumber(port) end
  return s, 0
end

-- What copal writes into a packet's comment is nearer to the truth than the
-- packet's own addresses, which it made up: "client:5683 to server:5683".
local function named(d, comment)
  if not comment or #comment > 200 then return end
  local from, to = comment:match("^([%w.:%%%[%]*_-]+) to ([%w.:%%%[%]*_-]+)$")
  if not from then return end
  d.src, d.sport = name_and_port(from)
  d.dst, d.dport = name_and_port(to)
end

local function host(name, port)
  return port == COAP and name or name .. ":" .. port
end

-- An endpoint that captures itself does not know its own address until it is
-- answered.
local function is_unknown(name, port)
  return port == 0 or name == "*" or name == "0.0.0.0" or name == "[::]"
end

-- Looks ahead for the own address of who captured, as far as it is needed.
function Source:learn()
  local open, seen = 0, 0
  local d = self:next()
  while d and (seen < LOOKED_AT or open > 0) do
    seen = seen + 1
    local from_unknown = d.from == HERE
    if from_unknown and self.own[d.to] == nil and self.own_count < MOST_PEERS then
      self.own[d.to], self.own_count, open = false, self.own_count + 1, open + 1
    elseif not from_unknown and self.own[d.from] == false then
      self.own[d.from], open = d.to, open - 1
      self.own_any = self.own_any or d.to
    end
    d = self:next()
  end
end

-- Later fragments have no ports: those of the first are theirs.
function Source:join_fragments(d)
  local key = d.src .. " " .. d.dst .. " " .. tostring(d.id)
  if d.offset == 0 then
    if not self.firsts[key] then
      table.insert(self.first_ids, key)
      if #self.first_ids > MOST_FRAGMENTED then
        self.firsts[table.remove(self.first_ids, 1)] = nil
      end
    end
    self.firsts[key] = { d.sport, d.dport }
    return true
  end
  local ports = self.firsts[key]
  if not ports then return false end
  d.sport, d.dport = ports[1], ports[2]
  return true
end

---- Datagrams -------------------------------------------------------------------

function Source:of_packet(packet)
  local skipped = self.skipped
  if not link.is_known(packet.link) then
    skipped.links[packet.link] = (skipped.links[packet.link] or 0) + 1
    return nil
  end
  local version, at = link.ip(packet.link, packet.data)
  if not version then
    skipped.other = skipped.other + 1
    return nil
  end
  local d = ip.parse(version, packet.data, at, packet.length)
  if d.kind == "tcp" then
    local is_coap = d.sport == 5683 or d.dport == 5683 or d.sport == 5684 or d.dport == 5684
    skipped[is_coap and "tcp" or "other"] = skipped[is_coap and "tcp" or "other"] + 1
    return nil
  elseif d.kind == "cut" or d.kind == "other" or d.kind == "fragment" and not self:join_fragments(d) then
    skipped[d.kind == "other" and "other" or "cut"] = skipped[d.kind == "other" and "other" or "cut"] + 1
    return nil
  end
  d.sport_written, d.dport_written = d.sport, d.dport
  named(d, packet.comment)
  d.number, d.at, d.t = packet.number, packet.at, packet.t
  return d
end

-- The next datagram: kind "datagram", "fragment", "refused" or "lost"; t (ns),
-- from and to (names with ports), size, data, number and at in the file, fault
-- (a sentence: it is not whole). nil: the end; nil and a sentence: the file is
-- broken there.
function Source:next()
  while true do
    local raw, why = self.next_raw()
    if not raw then return nil, why and self.stream.name .. ": " .. why end
    local d = raw
    if self.is_packets then d = self:of_packet(raw) end
    if d then
      d.to = host(d.dst, d.dport)
      d.from = is_unknown(d.src, d.sport) and (self.own[d.to] or self.own_any or HERE)
        or host(d.src, d.sport)
      return d
    end
  end
end

function Source:close()
  self.stream:close()
end

return M
