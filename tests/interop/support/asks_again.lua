-- asks_again.lua CREDS URI COUNT: GETs by one endpoint, and so by one
-- association, one for each line of the standard input; prints what came.
local copal = require "copal"
local creds, uri, count = arg[1], arg[2], tonumber(arg[3])

copal.run(function()
  local coap = assert(copal.endpoint { credentials = creds })
  for _ = 1, count do
    io.read "l"
    local res, err = coap:get(uri, { timeout = 20 })
    print(res and res.text or err)
    io.stdout:flush()
  end
  coap:free()
end)
