-- copal serve workers.lua --workers N [--listen URI]: a note served by N
-- processes at one port. Nothing in Lua is shared by them, so the note is in a
-- file (arguments after FILE.lua: its name); notify() reaches the observers of all.
local copal = require "copal"
local coap, name = ...
name = name or "/tmp/copal-note"

local function read()
  local f = io.open(name, "rb")
  local text = f and f:read "a" or "nothing yet"
  if f then f:close() end
  return text
end

coap:serve("/note", { observable = true, get = read,
  put = function(req)
    local f = assert(io.open(name .. ".new" .. coap.worker, "wb"))
    f:write(req.payload)
    f:close()
    assert(os.rename(name .. ".new" .. coap.worker, name)) -- whole, or not at all
    coap:notify "/note"
    return copal.CHANGED
  end })

coap:serve("/worker", function() return tostring(coap.worker) end)
