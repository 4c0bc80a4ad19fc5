-- Classic pcap files, of either byte order, in microseconds or nanoseconds.
-- draft-ietf-opsawg-pcap-04.
local M = {}

local LONGEST = 262144 -- bytes of a packet: what tcpdump and Wireshark stop at

local orders = {
  ["\xd4\xc3\xb2\xa1"] = { "<", 1000 }, ["\xa1\xb2\xc3\xd4"] = { ">", 1000 },
  ["\x4d\x3c\xb2\xa1"] = { "<", 1 }, ["\xa1\xb2\x3c\x4d"] = { ">", 1 },
}

function M.is(magic)
  return orders[magic] ~= nil
end

-- A function that gives packet after packet, { number, t, link, data, length,
-- at }: t in nanoseconds since 1970, length what it was on the wire. nil: the
-- end; nil and a sentence: the file is broken there.
function M.reader(stream)
  local magic = stream:read(4)
  local order, unit = orders[magic][1], orders[magic][2]
  local head = stream:read(20)
  if not head then
    return function()
      return nil, "the file header at byte 4 is cut off: it has " .. stream:left()
        .. " of 20 bytes; the capture holds nothing, make it again"
    end
  end
  local major, _, _, _, _, network = string.unpack(order .. "I2I2I4I4I4I4", head)
  local link, number = network & 0xffff, 0 -- what is above tells of checksums

  local function broken(at, what)
    return nil, ("packet %d at byte %d: %s"):format(number, at, what)
  end

  return function()
    local at = stream.at
    if stream:left() == 0 then return nil end
    number = number + 1
    if major ~= 2 then
      return nil, ("version %d of pcap; 2 is what is read; convert it: editcap -F pcapng OLD NEW"):format(major)
    end
    local record = stream:read(16)
    if not record then
      return broken(at, ("its header is cut off, %d of 16 bytes; what stands before it is shown")
        :format(stream:left()))
    end
    local seconds, fraction, captured, length = string.unpack(order .. "I4I4I4I4", record)
    if captured > LONGEST then
      return broken(at, ("it claims %d bytes, %d at most are possible; the file is damaged from there on")
        :format(captured, LONGEST))
    end
    local data = stream:read(captured)
    if not data then
      return broken(at, ("it is cut off, %d of %d bytes; what stands before it is shown")
        :format(stream:left(), captured))
    end
    return { number = number, t = seconds * 1000000000 + fraction * unit,
      link = link, data = data, length = length, at = at }
  end
end

return M
