-- observe URI [COUNT]: prints what a resource says each time it changes, and
-- leaves after COUNT times.
local copal = require "copal"
local uri, left = ..., tonumber((select(2, ...))) or 10

local obs = copal.observe(uri)
for note in obs do
  print(note.payload)
  left = left - 1
  if left == 0 then break end
end
obs:cancel() -- tells the server to forget us; in Lua 5.4 break does it, too
assert(left == 0, obs.error)
