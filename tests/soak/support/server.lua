-- What soak.c asks, at a free port; a library in a program of its own, in a
-- plain interpreter.
local copal = require "copal"

local coap = assert(copal.endpoint { guard_loopback = 1, max_observers = 10000 })
local ticks = 0
coap:serve("/test", function() return "a small answer" end)
coap:serve("/large", function() return ("x"):rep(1300) end)
coap:serve("/large-update", { put = function() return copal.CHANGED end,
  post = function() error "on purpose: strangers make this throw" end })
coap:serve("/obs", { observable = true, get = function() return "tick " .. ticks end })
coap:serve("/separate", function()
  coap:sleep(1)
  return "a second later"
end)
coap:every(1, function()
  ticks = ticks + 1
  coap:notify "/obs"
end)
assert(coap:listen "coap://127.0.0.1:0")
print("metrics at http://127.0.0.1:" .. assert(coap:metrics(0)) .. "/metrics")
print("listening on " .. coap:addresses()[1])
io.stdout:flush()
coap:run()
