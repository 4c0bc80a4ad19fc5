-- stream FILE [URI]: GET /file sends FILE however large it is, PUT /count takes
-- any body and counts it; neither is ever whole in memory.
local copal = require "copal"
local name, where = ...
local file = assert(io.open(assert(name, "usage: stream.lua FILE [URI]"), "rb"))

copal.run(function(coap)
  coap:serve("/file", function() return file end)

  coap:serve("/count", { streamed = true, put = function(req)
    local size = 0
    for piece in req:chunks() do -- throws if the sender breaks off
      size = size + #piece
    end
    return copal.CHANGED, size .. " bytes came"
  end })

  assert(coap:listen(where or "coap://*"))
  io.stderr:write("listening on ", coap:addresses()[1], "\n")
end)
