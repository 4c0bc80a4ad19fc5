-- slow [URI]: /slow answers after three seconds. The library acknowledges the
-- request in time; the answer goes out in a message of its own.
local copal = require "copal"
local where = ... or "coap://*"

copal.run(function(coap)
  coap:serve("/slow", function()
    coap:sleep(3) -- this handler waits, nobody else does
    return "worth the wait"
  end)
  assert(coap:listen(where))
  io.stderr:write("listening on ", coap:addresses()[1], "\n")
end)
