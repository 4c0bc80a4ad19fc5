-- bench-server.lua PORT: answers made once, for any number of requests.
-- NOTIFY_CON=1 in the environment makes notifications confirmable.
local copal = require "copal"
local port = ... or "5683"

copal.run(function(coap)
  local version, value = 0, nil

  local function answer(code, body, non)
    return assert(coap:message(code, nil, { payload = body, non = non }))
  end

  local function set_value()
    value = answer("2.05", ("value %06d"):format(version % 1000000),
      not os.getenv "NOTIFY_CON")
    version = version + 1
  end

  local hello, big = answer("2.05", "hello, world"), answer("2.05", ("\0"):rep(1024))
  local changed = answer "2.04"
  set_value()

  coap:serve("/hello", function() return hello end)
  coap:serve("/big", function() return big end)
  coap:serve("/sink", { put = function() return changed end })
  coap:serve("/obs", { observable = true,
    get = function() return value end,
    put = function()
      set_value()
      coap:notify "/obs"
      return changed
    end })
  assert(coap:listen("coap://*:" .. port))
end)
