-- A client in Lua with the program's manners: client.lua VERB URI [BODY|COUNT],
-- BODY a text or @FILE. 0: success; 4: a 4.xx, which standard error names.
local copal = require "copal"
local verb, uri, what = arg[1], arg[2], arg[3]

local function body()
  if what:sub(1, 1) ~= "@" then return what, { format = "text" } end
  local file <close> = assert(io.open(what:sub(2), "rb"))
  return file:read "a", { format = "octets" }
end

local function show(res, err)
  if not res then
    io.stderr:write("copal: ", tostring(err), "\n")
    os.exit(8, true)
  end
  io.stdout:write(res.payload)
  if res.code.is_successful then return end
  io.stderr:write("copal: ", tostring(res.code), "\n")
  os.exit(4, true)
end

local verbs = {}

function verbs.get(c) show(c:get(uri)) end
function verbs.delete(c) show(c:delete(uri)) end
function verbs.put(c) show(c:put(uri, body())) end
function verbs.post(c) show(c:post(uri, body())) end

function verbs.ls(c)
  local links = assert(assert(c:get(uri .. "/.well-known/core")):links())
  for _, link in ipairs(links) do print(link.href) end
end

function verbs.observe(c)
  local left = tonumber(what)
  for note in c:observe(uri) do
    io.stdout:write(note.payload, "\n")
    io.stdout:flush()
    left = left - 1
    if left == 0 then break end
  end
end

function verbs.ping(c)
  assert(c:ping(uri))
  print "answered"
end

-- By callback, eight at a time.
function verbs.many(c)
  local left, same = tonumber(what), 0
  for _ = 1, left do
    c:get(uri, function(res)
      left = left - 1
      if res and res.payload ~= "" then same = same + 1 end
      if left == 0 then c:stop() end
    end)
  end
  c:forever()
  print(same)
end

copal.run(verbs[verb])
