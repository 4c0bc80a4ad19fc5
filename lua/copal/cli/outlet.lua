-- One end of a channel between processes, for texts that wait for room: each
-- once, and no more than so many. Who does not read holds nobody up.
local process = require "copal.process"

local M = {}

M.MOST = 16384 -- texts that wait

local Outlet = {}
Outlet.__index = Outlet

function M.new(fd)
  return setmetatable({ fd = fd, queue = {}, first = 1, last = 0, waits = {} }, Outlet)
end

function Outlet:is_waiting()
  return self.first <= self.last
end

-- Sends what waits, as far as there is room.
function Outlet:flush()
  while self:is_waiting() do
    local text = self.queue[self.first]
    local ok, why = process.send(self.fd, text)
    if not ok and why == "again" then return end
    self.queue[self.first], self.waits[text] = nil, nil
    self.first = self.first + 1
  end
end

-- False: it was left out, too many wait.
function Outlet:send(text)
  self:flush()
  if self.waits[text] then return true end
  if not self:is_waiting() then
    local ok, why = process.send(self.fd, text)
    if ok or why == "closed" then return true end
  end
  if self.last - self.first + 1 >= M.MOST then return false end
  self.last = self.last + 1
  self.queue[self.last], self.waits[text] = text, true
  return true
end

return M
