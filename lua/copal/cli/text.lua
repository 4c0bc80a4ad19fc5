-- Text for people on a terminal: colour, numbers, and what strangers sent.
local host = require "copal.host"

local M = {}

local function colour_wanted(flags)
  return not flags["no-color"] and (os.getenv("NO_COLOR") or "") == ""
    and os.getenv("TERM") ~= "dumb"
end

-- A function paint(colour, text) for stdout (1) or stderr (2).
function M.painter(flags, fd)
  if not host.isatty(fd) or not colour_wanted(flags) then
    return function(_, text) return text end
  end
  local codes = { good = "32", bad = "31", dim = "2", bold = "1" }
  return function(colour, text)
    return "\27[" .. codes[colour] .. "m" .. text .. "\27[0m"
  end
end

-- Control characters may steer a terminal: only newline and tab pass.
function M.visible(s)
  return (s:gsub("[%c\127]", function(c)
    if c == "\n" or c == "\t" then return c end
    return string.format("\\x%02x", c:byte())
  end):gsub("\194([\128-\159])", function(c)
    return string.format("\\xc2\\x%02x", c:byte())
  end))
end

-- Without white space at its end; in one pass, where "%s+$" tries each run of it
-- from each of its places.
function M.trimmed(s)
  return s:match("^.*%S") or ""
end

function M.hex(s)
  return (s:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

-- The bytes of pairs of digits.
function M.from_hex(digits)
  return (digits:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

-- 16 bytes a line: offset, hex, printable characters.
function M.dump(s, indent)
  local lines = {}
  for i = 1, #s, 16 do
    local row = s:sub(i, i + 15)
    local hex = row:gsub(".", function(c) return string.format("%02x ", c:byte()) end)
    local seen = row:gsub("[^\32-\126]", ".")
    lines[#lines + 1] = string.format("%s%04x  %-48s %s", indent or "", i - 1,
      hex, seen)
  end
  return table.concat(lines, "\n")
end

local function is_text(s)
  return utf8.len(s) ~= nil and not s:find("[%z\1-\8\11\12\14-\31]")
end
M.is_text = is_text

-- "41 ms", "0.4 ms"
function M.ms(seconds)
  local ms = seconds * 1000
  return string.format(ms < 10 and "%.1f ms" or "%.0f ms", ms)
end

-- The short name of a Content-Format: "text", "json", "senml+cbor".
function M.format(f)
  if not f then return nil end
  if f.number == 0 then return "text" end
  if f.number == 40 then return "link" end
  if f.number == 42 then return "octets" end
  return (f.name:gsub("^application/", ""))
end

return M
