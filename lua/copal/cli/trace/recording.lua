-- Recordings of the flight recorder: the datagrams that came and went, the rest
-- of what it noted is passed over. All numbers are little-endian:
--   header  MAGIC, u32 version, u32 flags (BARE), i64 ms when it began
--   record  u8 kind, of which the top bit means nothing here, u32 length, body
--   START, TIME   i64 ms since it began, ...
--   IN, OUT       address of the peer, own address, of 28 bytes each, 11 bytes,
--                 u8 flags (1: sent again), datagram; of LOST 4 bytes before that
--   address       16 bytes of IP or of a name, 8 bytes, u16 port, u8 family, u8 0
--   SUM           the last
local ip = require "copal.cli.trace.ip"

local M = {}

local MAGIC, VERSION = "copalrec", 2
local START, TIME, IN, OUT, LOST, SUM = 1, 2, 3, 4, 5, 127
local HEAD, PATH = 5, 68 -- bytes
local LONGEST = 65536 + PATH -- of a datagram's record
local BARE = 1
local IP4, IP6, NAMED = 4, 6, 7

function M.is(magic)
  return magic == MAGIC:sub(1, 4)
end

-- Host and port of the address at i; nil: the system's choice.
local function address(body, i)
  local bytes, port, family = string.unpack("<c16xxxxxxxxI2I1", body, i)
  if family == IP4 then return ("%d.%d.%d.%d"):format(bytes:byte(1, 4)), port end
  if family == IP6 then return "[" .. ip.address(bytes) .. "]", port end
  if family == NAMED then return bytes:match("^[^%z]*"), port end
end

-- One datagram, of the body of an IN, OUT or LOST record.
local function datagram_of(self, kind, body)
  local skipped = kind == LOST and 4 or 0
  if #body < skipped + PATH then return nil end
  local host, port = address(body, skipped + 1)
  local own, own_port = address(body, skipped + 29)
  local flags = body:byte(skipped + PATH)
  own, own_port = own or "*", own_port or 0
  host, port = host or "?", port or 0
  local d = { t = self.t, data = body:sub(skipped + PATH + 1), again = flags & 1 ~= 0 }
  d.size = #d.data
  d.kind = kind == LOST and "lost" or "datagram"
  if kind == IN then d.src, d.sport, d.dst, d.dport = host, port, own, own_port
  else d.src, d.sport, d.dst, d.dport = own, own_port, host, port end
  return d
end

local Reader = {}
Reader.__index = Reader

function Reader:broken(at, what, ...)
  return nil, ("record %d at byte %d: "):format(self.records, at) .. what:format(...)
end

function Reader:next()
  local stream = self.stream
  while true do
    local at = stream.at
    self.records = self.records + 1
    local head = stream:read(HEAD)
    if not head then
      return self:broken(at, "the recording is cut off, its sum is missing; what stands before it is shown")
    end
    local kind, len = string.unpack("<I1I4", head)
    kind = kind & 127
    if len > stream:left() then
      return self:broken(at, "it is cut off, %d of %d bytes; what stands before it is shown",
        stream:left(), len)
    end
    local is_datagram = kind == IN or kind == OUT or kind == LOST
    if is_datagram and len > LONGEST then
      return self:broken(at, "a datagram of %d bytes; the file is damaged from there on", len)
    end
    local wanted = is_datagram and len or (kind == TIME or kind == START) and math.min(len, 8) or 0
    local body = stream:read(wanted)
    stream:skip(len - wanted)
    if kind == SUM then return nil end
    if (kind == TIME or kind == START) and #body == 8 then
      self.t = (string.unpack("<i8", body) & 0xffffffffffff) * 1000000 + self.began
    elseif is_datagram then
      local d = datagram_of(self, kind, body)
      if not d then return self:broken(at, "too short for a datagram; the file is damaged from there on") end
      self.number = self.number + 1
      d.number, d.at = self.number, at
      return d
    end
  end
end

-- A function that gives datagram after datagram, as copal.cli.trace.ip has
-- them, with number, at and t; again where the recorder saw that it was sent
-- again. is_bare: payloads were left out.
function M.reader(stream)
  local head = stream:read(24)
  if not head or head:sub(1, 8) ~= MAGIC then
    return function() return nil, "no whole header of a recording; is the file complete?" end
  end
  local version, flags, began = string.unpack("<I4I4i8", head, 9)
  if version ~= VERSION then
    return function()
      return nil, ("version %d of recordings; this copal reads version %d"):format(version, VERSION)
    end
  end
  local self = setmetatable({ stream = stream, records = 0, number = 0,
    began = (began & 0xffffffffffff) * 1000000, t = 0 }, Reader)
  self.t = self.began
  return function() return self:next() end, flags & BARE ~= 0
end

return M
