-- leave.lua URI COUNT: observes, takes leave after COUNT notifications (the
-- first answer is one) and stays a while: what still comes stands on standard
-- error after "-- let go".
local copal = require "copal"
local uri, count = arg[1], tonumber(arg[2])

copal.run(function(coap)
  require "copal.cli.wire".attach(coap, { verbose = 1 })
  for note in coap:observe(uri) do
    io.stdout:write(note.payload, "\n")
    io.stdout:flush()
    count = count - 1
    if count == 0 then break end
  end
  coap:sleep(0.3) -- leave-taking is a round trip
  io.stderr:write("-- let go\n")
  io.stderr:flush()
  coap:sleep(2)
end)
