-- A file read from front to back and, when asked, once more. No length that
-- stands in a file is believed beyond the file's own size, so that nothing but
-- what is there takes memory.
local exit = require "copal.cli.exit"

local M = {}
local Stream = {}
Stream.__index = Stream

local PIECE = 65536

-- What cannot seek (a pipe, the standard input) is put into a file that has no
-- name, since a capture is read twice.
local function spooled(from)
  local file = assert(io.tmpfile())
  for piece in from:lines(PIECE) do
    if not file:write(piece) then
      exit.fail(exit.INTERNAL, "no room for a copy of what is read from a pipe; write it to a file first")
    end
  end
  return file
end

-- A stream over an open file.
function M.over(file, name)
  local size = file:seek("end")
  if not size then
    file = spooled(file)
    size = file:seek("end")
  end
  file:seek("set", 0)
  return setmetatable({ file = file, name = name, at = 0, size = size }, Stream)
end

-- path "-": the standard input.
function M.open(path)
  if path == "-" then return M.over(spooled(io.stdin), "standard input") end
  local file, why = io.open(path, "rb")
  if file and not file:read(0) and file:seek("end") ~= 0 then
    file, why = nil, path .. ": it cannot be read; is it a folder?"
  end
  if not file then exit.usage(why) end
  return M.over(file, path)
end

function Stream:rewind()
  self.file:seek("set", 0)
  self.at = 0
end

function Stream:left()
  return self.size - self.at
end

-- Exactly n bytes; nil, and nothing is read: there are fewer.
function Stream:read(n)
  if n > self:left() then return nil end
  local s = n == 0 and "" or self.file:read(n)
  if not s or #s < n then return nil end -- it shrank meanwhile
  self.at = self.at + n
  return s
end

-- False: there are fewer.
function Stream:skip(n)
  if n > self:left() then return false end
  self.at = self.at + n
  return self.file:seek("set", self.at) ~= nil
end

function Stream:close()
  self.file:close()
end

return M
