-- download URI: writes a body of any size to standard output as it comes.
local copal = require "copal"

local res = assert(copal.get((...), { sink = function(piece)
  io.write(piece)
end }))
assert(res:check())
