-- server [URI]: a clock to observe, a greeting by name, a note to keep.
local copal = require "copal"
local where = ... or "coap://*"

copal.run(function(coap)
  local note = ""

  coap:serve("/time", { observable = true, rt = "clock",
    get = function() return os.date "%c" end })
  coap:every(1, function() coap:notify "/time" end)

  coap:serve("/hello/{name}", function(req)
    return "Hello, " .. req.params.name .. "!"
  end)

  coap:serve("/note", {
    get = function() return note end,
    put = function(req)
      if #req.payload > 4096 then return copal.TOO_LARGE, "at most 4096 bytes" end
      note = req.payload
      return copal.CHANGED
    end })

  assert(coap:listen(where))
  io.stderr:write("listening on ", coap:addresses()[1], "\n")
end)
