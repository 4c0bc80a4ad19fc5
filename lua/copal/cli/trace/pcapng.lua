-- pcapng files: sections of either byte order, several interfaces, comments.
-- draft-ietf-opsawg-pcapng-02.
local M = {}

local SECTION, INTERFACE, OLD_PACKET, SIMPLE, PACKET = 0x0a0d0d0a, 1, 2, 3, 6
local LONGEST = 262144 -- bytes of a packet: what tcpdump and Wireshark stop at
local LONGEST_BLOCK = LONGEST + 65536 -- with its options
local MOST_INTERFACES = 4096
local COMMENT, RESOLUTION, OFFSET = 1, 9, 14 -- options

function M.is(magic)
  return magic == "\x0a\x0d\x0d\x0a"
end

-- each(code, value) for every option from byte i of a block's body.
local function each_option(order, body, i, each)
  while i + 3 <= #body do
    local code, len = string.unpack(order .. "I2I2", body, i)
    if code == 0 or i + 3 + len > #body then return end
    each(code, body:sub(i + 4, i + 3 + len))
    i = i + 4 + (len + 3) // 4 * 4
  end
end

---- Time ------------------------------------------------------------------------

-- A function from an interface's units to nanoseconds. resolution: bit 7 says
-- whether it is a power of 2 or of 10, the rest which.
local function clock(resolution, offset)
  local power = resolution & 127
  if resolution & 128 ~= 0 then
    return function(n)
      local low = power < 63 and n & (1 << power) - 1 or 0
      local seconds = power < 63 and n >> power or 0
      return (seconds + offset) * 1000000000 + math.floor(low * 1e9 / 2.0 ^ power)
    end
  elseif power <= 9 then
    local factor = math.tointeger(10 ^ (9 - power))
    return function(n) return n * factor + offset * 1000000000 end
  end
  local divisor = power <= 27 and math.tointeger(10 ^ (power - 9)) or math.maxinteger
  return function(n) return math.ult(n, divisor) and 0 or n // divisor + offset * 1000000000 end
end

local function interface_of(order, body)
  if #body < 8 then return nil end
  local resolution, offset = 6, 0
  each_option(order, body, 9, function(code, value)
    if code == RESOLUTION and #value == 1 then resolution = value:byte() end
    if code == OFFSET and #value == 8 then offset = string.unpack(order .. "i8", value) end
  end)
  return { link = string.unpack(order .. "I2", body),
    snap = string.unpack(order .. "I4", body, 5), clock = clock(resolution, offset) }
end

---- Packets ---------------------------------------------------------------------

local parsers = {}

-- index, t, captured, length, where the data begins
parsers[PACKET] = function(order, body)
  if #body < 20 then return nil end
  local index, high, low, captured, length = string.unpack(order .. "I4I4I4I4I4", body)
  return index, high << 32 | low, captured, length, 21
end

parsers[OLD_PACKET] = function(order, body)
  if #body < 20 then return nil end
  local index, _, high, low, captured, length = string.unpack(order .. "I2I2I4I4I4I4", body)
  return index, high << 32 | low, captured, length, 21
end

parsers[SIMPLE] = function(order, body, interfaces)
  if #body < 4 then return nil end
  local length = string.unpack(order .. "I4", body)
  local snap = interfaces[1] and interfaces[1].snap or 0
  return 0, nil, math.min(length, snap > 0 and snap or length, #body - 4), length, 5
end

-- A packet, or nil and what is wrong.
local function packet_of(order, kind, body, interfaces)
  local index, units, captured, length, at = parsers[kind](order, body, interfaces)
  if not index then return nil, "too short for a packet" end
  local from = interfaces[index + 1]
  if not from then
    return nil, ("interface %d, which no block before it describes"):format(index)
  end
  if captured > #body - at + 1 then
    return nil, ("it claims %d bytes of a packet and holds %d"):format(captured, #body - at + 1)
  end
  local packet = { t = units and from.clock(units), link = from.link, length = length,
    data = body:sub(at, at + captured - 1) }
  if kind == PACKET then
    each_option(order, body, at + (captured + 3) // 4 * 4, function(code, value)
      if code == COMMENT then packet.comment = value end
    end)
  end
  return packet
end

---- Blocks ----------------------------------------------------------------------

local Reader = {}
Reader.__index = Reader

local damaged = "; the file is damaged from there on"

function Reader:broken(what, ...)
  return nil, ("block %d at byte %d: "):format(self.blocks, self.began) .. what:format(...)
end

-- The order of bytes, from what stands behind a section's first 8; nil, why.
function Reader:begin_section()
  local magic = self.stream:read(4)
  if not magic then return self:broken("the section header is cut off") end
  if magic == "\x4d\x3c\x2b\x1a" then self.order = "<"
  elseif magic == "\x1a\x2b\x3c\x4d" then self.order = ">"
  else return self:broken("no byte order that is known" .. damaged) end
  self.interfaces = {}
  return true
end

-- kind, body of the next block; body false: it was skipped. nil: the end; nil
-- and a sentence: it is broken.
function Reader:block()
  local stream = self.stream
  self.began = stream.at
  if stream:left() == 0 then return nil end
  self.blocks = self.blocks + 1
  local head = stream:read(8)
  if not head then
    return self:broken("its header is cut off, %d of 8 bytes; what stands before it is shown", stream:left())
  end
  local is_section = head:sub(1, 4) == "\x0a\x0d\x0d\x0a"
  if is_section then
    local ok, why = self:begin_section()
    if not ok then return nil, why end
  end
  local kind, len = string.unpack(self.order .. "I4I4", head)
  local done = stream.at - self.began
  if len < (is_section and 28 or 12) or len % 4 ~= 0 then
    return self:broken("a length of %d, which no block has%s", len, damaged)
  end
  if len - done > stream:left() then
    return self:broken("it is cut off, %d of %d bytes; what stands before it is shown",
      done + stream:left(), len)
  end
  if parsers[kind] and len > LONGEST_BLOCK then
    return self:broken("a packet of %d bytes, %d at most are possible%s", len, LONGEST_BLOCK, damaged)
  end
  local is_wanted = parsers[kind] or kind == INTERFACE and len <= LONGEST_BLOCK
  local body = is_wanted and stream:read(len - done - 4)
  if not is_wanted then stream:skip(len - done - 4) end
  if stream:read(4) ~= string.pack(self.order .. "I4", len) then
    return self:broken("its length is another at its end%s", damaged)
  end
  return kind, body
end

-- A function that gives packet after packet, as that of copal.cli.trace.pcap;
-- with comment, where a packet has one.
function M.reader(stream)
  local self = setmetatable({ stream = stream, blocks = 0, order = "<", interfaces = {} }, Reader)
  local number, last = 0, 0
  return function()
    while true do
      local kind, body = self:block()
      if not kind then return nil, body end
      if kind == INTERFACE and body then
        local interface = interface_of(self.order, body)
        if not interface then return self:broken("too short for an interface" .. damaged) end
        if #self.interfaces >= MOST_INTERFACES then
          return self:broken("over %d interfaces in a section%s", MOST_INTERFACES, damaged)
        end
        table.insert(self.interfaces, interface)
      elseif parsers[kind] then
        number = number + 1
        local packet, why = packet_of(self.order, kind, body, self.interfaces)
        if not packet then return self:broken("%s%s", why, damaged) end
        packet.number, packet.at, packet.t = number, self.began, packet.t or last
        last = packet.t
        return packet
      end
    end
  end
end

return M
