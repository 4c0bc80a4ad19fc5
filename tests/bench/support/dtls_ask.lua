-- The client of dtls.py: handshakes URI N | requests URI N | idle URI N, with
-- credentials of the file before. Says "done" when it has; idle then waits.
local creds, what, uri, n = ...
local copal = require "copal"
n = tonumber(n)

local function endpoint()
  local c = assert(copal.endpoint())
  assert(c:use_file(creds))
  return c
end

local function ask(c)
  local res = assert(c:get(uri))
  assert(res.code.cls == 2, tostring(res.code))
end

local work = {}

function work.handshakes()
  local c = endpoint()
  for _ = 1, n do
    ask(c)
    c:disconnect()
  end
end

function work.requests()
  local c = endpoint()
  for _ = 1, n do ask(c) end
end

function work.idle()
  local all = {}
  for i = 1, n do
    all[i] = endpoint()
    ask(all[i])
  end
  io.write("done\n")
  io.flush()
  io.read "l"
  os.exit(0)
end

work[what]()
print "done"
