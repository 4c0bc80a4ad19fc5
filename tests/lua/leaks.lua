-- Nothing is left behind: 20,000 requests in each style, or COPAL_LEAKS of them
-- (COPAL_LEAKS=100000), in a simulated network. When what the protocol has to
-- remember has run out, the endpoints' memory is to the byte what it was after
-- the first 15,000, and so is Lua's and the process's but for the garbage that lies
-- about in between: by then there has once been as much of it as there ever is.
local copal = require "copal"
local check = require "support.check"
local test, equal = check.test, check.equal

local MANY = tonumber(os.getenv "COPAL_LEAKS") or 20000
local REST = 5000        -- requests between pauses: message ids come back
local PAUSE = 300        -- seconds: EXCHANGE_LIFETIME and some more
local GROWTH = 2 ^ 20    -- bytes, of Lua and of the process

-- Of the process, in bytes, without what is in files, which the system takes away
-- and brings back as it likes; nil where there is no /proc.
local function resident()
  local file = io.open "/proc/self/statm"
  if not file then return nil end
  local pages, of_files = file:read "*a":match "^%d+ (%d+) (%d+)"
  file:close()
  return (tonumber(pages) - tonumber(of_files)) * 4096
end

local function collect()
  collectgarbage() collectgarbage()
  return collectgarbage "count" * 1024
end

local sim = copal.sim { seed = 3 }
sim:keep(1000)
local server, client = sim:endpoint "server", sim:endpoint "client"
server:serve("/t", { get = function() return "21.5" end,
  put = function(req) return req.payload end })
server:serve("/throws", function() error "on purpose" end)
if coroutine.isyieldable then
  server:serve("/slow", function() server:sleep(0.01) return "slow" end)
end
copal.on_error(function() end)

local T = "coap://server/t"

local function measured()
  sim:run(PAUSE)
  local lua = collect()
  return { lua = lua, resident = resident(), server = server:stats().memory,
    client = client:stats().memory, open = client:stats().exchanges_open }
end

-- many(n) makes n requests.
local function flat(style, many)
  test(style .. " leaves nothing behind", function()
    for _ = 1, 3 do
      many(REST)
      sim:run(PAUSE)
    end
    local before = measured()
    for _ = 1, MANY / REST do
      many(REST)
      sim:run(PAUSE)
    end
    local after = measured()
    equal(after.client, before.client)
    equal(after.server, before.server)
    equal(after.open, 0)
    assert(after.lua - before.lua < GROWTH, "Lua grew by " .. after.lua - before.lua)
    if not before.resident then return end
    local grown = after.resident - before.resident
    print(string.format("%-28s %6d requests: core %d + %d bytes, Lua %+d, process %+d",
      style, MANY, after.client, after.server, after.lua - before.lua, grown))
    assert(grown < GROWTH, "the process grew by " .. grown)
  end)
end

flat("waiting in the main chunk", function(n)
  for _ = 1, n do equal(client:get(T).payload, "21.5") end
end)

flat("a body each way", function(n)
  local body = ("x"):rep(500)
  for _ = 1, n do equal(client:put(T, body, {}).payload, body) end
end)

flat("callbacks, 32 at a time", function(n)
  local begun, done = 0, 0
  local function begin()
    if begun == n then return end
    begun = begun + 1
    client:get(T, function(res)
      equal(res.payload, "21.5")
      done = done + 1
      begin()
    end)
  end
  for _ = 1, 32 do begin() end
  while done < n do sim:run(1) end
end)

flat("callbacks, cancelled", function(n)
  for i = 1, n do
    equal(client:get(T, function() end):cancel(), true)
    if i % 50 == 0 then sim:run(1) end
  end
end)

flat("bad URIs", function(n)
  for _ = 1, n do equal(client:get "coap://server:99999/", nil) end
end)

flat("handlers that throw", function(n)
  for _ = 1, n do equal(client:get("coap://server/throws").code, copal.INTERNAL_ERROR) end
end)

if coroutine.isyieldable then
  flat("coroutines, 8 at a time", function(n)
    local tasks = {}
    for i = 1, 8 do
      tasks[i] = client:spawn(function()
        for _ = 1, n / 8 do equal(client:get(T).payload, "21.5") end
      end)
    end
    for i = 1, 8 do tasks[i]:join() end
  end)

  flat("a coroutine each", function(n)
    for _ = 1, n do
      client:spawn(function() client:get(T) end):join()
    end
  end)

  flat("handlers that wait", function(n)
    for _ = 1, n do equal(client:get("coap://server/slow").payload, "slow") end
  end)
end

check.done()
