-- bench-server.lua PORT: answers made once, for any number of requests.
-- NOTIFY_CON=1 in the environment makes notifications confirmable.
local copal = require "copal"
local port = ... or "5683"

copal.run(function(coap)
  local kilobyte = ("\0"):rep(1024)
  local version = 0
  local non = not os.getenv "NOTIFY_CON"
  local value

  local function set_value()
    value = { payload = ("value %06d"):format(version % 1000000), non = non }
    version = version + 1
  end
  set_value()

  coap:serve("/hello", function() return "hello, world" end)
  coap:serve("/big", function() return kilobyte end)
  coap:serve("/sink", { put = function() return copal.CHANGED end })
  coap:serve("/obs", { observable = true,
    get = function() return value end,
    put = function()
      set_value()
      coap:notify "/obs"
      return copal.CHANGED
    end })
  assert(coap:listen("coap://*:" .. port))
end)
