-- site.lua ORIGIN: what the page asks; pages of ORIGIN may.
local copal = require "copal"

copal.run(function(coap)
  coap:serve("/hello", function() return "hello, page" end)
  local count = coap:value("/count", 0)
  coap:every(0.2, function() count.value = count.value + 1 end)
  assert(coap:allow_origin(arg[1]))
  assert(coap:listen "coap+ws://127.0.0.1:0")
  print("listening on " .. coap:addresses()[1])
  io.stdout:flush()
end)
