-- A port that nobody has at the moment, and whose next one is free, too.
local copal = require "copal"

copal.run(function()
  for _ = 1, 50 do
    local coap = assert(copal.endpoint {})
    assert(coap:listen "coap://127.0.0.1:0")
    local port = tonumber(coap:addresses()[1]:match ":(%d+)$")
    local is_free = coap:listen(("coap://127.0.0.1:%d"):format(port + 1))
    coap:free()
    if is_free then
      print(port)
      return
    end
  end
  os.exit(1)
end)
