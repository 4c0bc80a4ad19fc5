-- UDP in IPv4 and IPv6, from captured packets. Nothing is put together that was
-- sent in fragments: that they are there is said.
local M = {}

local TCP, UDP, ICMP4, ICMP6, FRAGMENT = 6, 17, 1, 58, 44
local extensions = { [0] = true, [43] = true, [60] = true, [135] = true }

---- Addresses -------------------------------------------------------------------

local function ip4_text(data, at)
  return ("%d.%d.%d.%d"):format(data:byte(at, at + 3))
end

-- RFC 5952: small letters, the first longest run of zeroes is "::".
local function ip6_text(data, at)
  local words = { string.unpack(">I2I2I2I2I2I2I2I2", data, at) }
  local best, len, i = 0, 1, 1
  while i <= 8 do
    local run = 0
    while i + run <= 8 and words[i + run] == 0 do run = run + 1 end
    if run > len then best, len = i, run end
    i = i + run + 1
  end
  local parts = {}
  for k = 1, 8 do parts[k] = ("%x"):format(words[k]) end
  if best == 0 then return table.concat(parts, ":") end
  return table.concat(parts, ":", 1, best - 1) .. "::"
    .. table.concat(parts, ":", best + len, 8)
end

---- Headers ---------------------------------------------------------------------

-- 16 bytes as an address of IPv6.
function M.address(bytes)
  return ip6_text(bytes, 1)
end

-- Each gives { protocol, at, stop, src, dst, id, offset, more }: at is where what
-- it carries begins, stop the last byte that is said to belong to it. nil: no
-- header.
local function ip4(data, at)
  if #data < at + 19 then return nil end
  local first, _, length, id, flags, _, protocol = string.unpack(">I1I1I2I2I2I1I1", data, at)
  local header = (first & 15) * 4
  if first >> 4 ~= 4 or header < 20 then return nil end
  if length == 0 then length = #data - at + 1 end -- the network card was to fill it in
  return { protocol = protocol, at = at + header, stop = at + length - 1,
    src = ip4_text(data, at + 12), dst = ip4_text(data, at + 16), id = id,
    offset = (flags & 0x1fff) * 8, more = flags & 0x2000 ~= 0 }
end

local function ip6(data, at)
  if #data < at + 39 or data:byte(at) >> 4 ~= 6 then return nil end
  local length, protocol = string.unpack(">I2I1", data, at + 4)
  local h = { protocol = protocol, at = at + 40, stop = at + 39 + length,
    src = "[" .. ip6_text(data, at + 8) .. "]", dst = "[" .. ip6_text(data, at + 24) .. "]",
    offset = 0, more = false }
  for _ = 1, 16 do
    if extensions[h.protocol] and #data > h.at then
      local following, len = data:byte(h.at, h.at + 1)
      h.protocol, h.at = following, h.at + (len + 1) * 8
    elseif h.protocol == FRAGMENT and #data >= h.at + 7 then
      local following, _, offset, id = string.unpack(">I1I1I2I4", data, h.at)
      h.protocol, h.at, h.id = following, h.at + 8, id
      h.offset, h.more = offset & 0xfff8, offset & 1 ~= 0
    else
      break
    end
  end
  return h
end

local function header(version, data, at)
  if version == 4 then return ip4(data, at) end
  return ip6(data, at)
end

---- What is in it ---------------------------------------------------------------

-- Of a port that nothing listens at: the datagram that found nobody.
local function refused(h, data)
  local kind, code = data:byte(h.at, h.at + 1)
  local is_port = h.protocol == ICMP4 and kind == 3 and code == 3
    or h.protocol == ICMP6 and kind == 1 and code == 4
  if not is_port or #data < h.at + 8 then return { kind = "other" } end
  local inner = header(h.protocol == ICMP4 and 4 or 6, data, h.at + 8)
  if not inner or inner.protocol ~= UDP or #data < inner.at + 3 then return { kind = "other" } end
  local sport, dport = string.unpack(">I2I2", data, inner.at)
  return { kind = "refused", src = inner.dst, sport = dport, dst = inner.src, dport = sport,
    size = 0, data = "" }
end

local function udp(h, data, length)
  local d = { kind = "datagram", src = h.src, dst = h.dst, id = h.id }
  if h.offset > 0 then
    d.kind, d.size = "fragment", h.stop - h.at + 1
    d.offset, d.more = h.offset, h.more
    return d
  end
  if #data < h.at + 7 then return { kind = "cut" } end
  local len
  d.sport, d.dport, len = string.unpack(">I2I2I2", data, h.at)
  if len == 0 then len = h.stop - h.at + 1 end -- a jumbogram, or left to the card
  d.size = math.max(len - 8, 0)
  if h.more then
    d.kind, d.offset, d.more = "fragment", 0, true
  else
    d.data = data:sub(h.at + 8, math.min(h.at + len - 1, #data))
    if len < 8 or h.at + len - 1 > h.stop then
      d.fault = ("UDP says %d bytes, IP has room for %d"):format(len, h.stop - h.at + 1)
    elseif #d.data < d.size then
      d.fault = ("the capture holds %d of %d bytes%s"):format(#d.data, d.size,
        #data < length and "; capture whole packets (tcpdump -s 0)" or "")
    end
  end
  return d
end

-- What the packet at byte at of data is: a table with kind "datagram" (src, dst,
-- sport, dport, size, data, fault), "fragment", "refused", "tcp" (ports), "cut"
-- or "other". length: what it was on the wire.
function M.parse(version, data, at, length)
  local h = header(version, data, at)
  if not h then return { kind = "cut" } end
  if h.protocol == UDP then return udp(h, data, length) end
  if (h.protocol == ICMP4 or h.protocol == ICMP6) and h.offset == 0 then return refused(h, data) end
  if h.protocol == TCP and h.offset == 0 and #data >= h.at + 3 then
    local sport, dport = string.unpack(">I2I2", data, h.at)
    return { kind = "tcp", sport = sport, dport = dport }
  end
  return { kind = "other" }
end

return M
