-- What stands around IP in a captured packet, by link type (LINKTYPE_*).
local M = {}

local IP4, IP6 = 0x0800, 0x86dd
local versions = { [IP4] = 4, [IP6] = 6 }
local vlans = { [0x8100] = true, [0x88a8] = true, [0x9100] = true }

-- 4 or 6, and where IP begins; nil: something else.
local function by_type(data, type, at)
  for _ = 1, 3 do -- tags within tags
    if not vlans[type] or #data < at + 3 then break end
    type = string.unpack(">I2", data, at + 2)
    at = at + 4
  end
  local version = versions[type]
  if version then return version, at end
end

local function raw(data)
  local version = #data > 0 and data:byte() >> 4
  if version == 4 or version == 6 then return version, 1 end
end

-- An address family in the order of bytes of whoever captured: 2 is IPv4
-- everywhere, IPv6 is 10, 24, 28 or 30.
local families = { [2] = 4, [10] = 6, [24] = 6, [28] = 6, [30] = 6 }
local function loopback(data)
  if #data < 4 then return nil end
  local version = families[string.unpack("<I4", data)] or families[string.unpack(">I4", data)]
  if version then return version, 5 end
end

local links = {
  [0] = loopback, [108] = loopback,
  [1] = function(data) -- Ethernet
    if #data >= 14 then return by_type(data, string.unpack(">I2", data, 13), 15) end
  end,
  [12] = raw, [14] = raw, [101] = raw, [228] = raw, [229] = raw,
  [113] = function(data) -- Linux "cooked"
    if #data >= 16 then return by_type(data, string.unpack(">I2", data, 15), 17) end
  end,
  [276] = function(data) -- its second version
    if #data >= 20 then return by_type(data, string.unpack(">I2", data), 21) end
  end,
}

local names = { [105] = "IEEE 802.11", [127] = "802.11 with radiotap", [195] = "IEEE 802.15.4",
  [230] = "IEEE 802.15.4", [283] = "IEEE 802.15.4 TAP", [9] = "PPP", [220] = "USB", [189] = "USB" }

function M.is_known(link)
  return links[link] ~= nil
end

function M.name(link)
  return names[link] and names[link] .. " (" .. link .. ")" or tostring(link)
end

-- 4 or 6, and where IP begins in data; nil: no IP.
function M.ip(link, data)
  return links[link](data)
end

return M
