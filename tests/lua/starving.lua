-- Everyday work while Lua's own memory runs out at any one point: an error says
-- so, or a callback's goes where those go; nothing crashes, all that was begun
-- can be let go of, and Lua is as large afterwards as before.
local copal = require "copal"
local check = require "support.check"
local test = check.test

package.cpath = os.getenv "COPAL_BUILD" .. "/tests/lua/?.so;" .. package.cpath
if _VERSION ~= "Lua 5.4" then
  print("skipped: made for Lua 5.4")
  os.exit(77)
end
local starved = require "starved"
copal.on_error(function() end)

local LONG = ("0123456789"):rep(300)

local function told(e)
  return copal.is_error(e) or tostring(e):find("not enough memory", 1, true)
end

-- Each scenario gets a server and a client. What is said is not checked, as
-- anything may have failed, but that all comes to its end.
local scenarios = {}

local function note(res)
  if res then return res.code and tostring(res.code) .. res.payload end
end

function scenarios.asking(server, client)
  server:serve("/t", { get = function() return "21.5" end,
    put = function(req) return req.payload end })
  client:get("coap://server/t", { query = { "a=b" }, accept = 0 }, note)
  client:put("coap://server/t", LONG, { format = "text" }, note)
  client:get("coap://server/t", { etag = "1", query = { a = 1 } }, note)
  client:request({ code = "PUT", uri = "coap://server/t", payload = { a = { 1, 2 } },
    format = "json" }, note)
  client:get("coap://nowhere/", note)
end

-- Who waits gets a response or learns that there was no memory for it.
function scenarios.waiting(server, client)
  server:serve("/t", { get = function() return "21.5" end,
    put = function(req) return req.payload end })
  local function ended(res, err)
    assert(res == nil and told(err) or copal.is_message(res), tostring(res))
  end
  ended(client:get "coap://server/t")
  ended(client:put("coap://server/t", LONG, { format = "text" }))
  local pieces = {}
  ended(client:get("coap://server/t", { sink = function(piece)
    pieces[#pieces + 1] = piece
  end }))
  ended(client:get "coap://nowhere/")
end

function scenarios.observing(server, client)
  local value = server:value("/v", 1)
  client:observe("coap://server/v", note)
  client:after(5, function() value.value = 2 end)
  client:after(9, function() client:free() end)
end

function scenarios.serving(server, client)
  server:serve("/{name}/x", function(req) return { a = req.path } end)
  server:serve("/bug", function() error { "no text" } end)
  server:serve("/junk", function() return function() end end)
  client:get("coap://server/bug", note)
  client:get("coap://server/junk", note)
  client:get("coap://server/b/x", function(r) return r and r:decode() end)
  client:get("coap://server/.well-known/core", note)
end

-- Plays it with the nth allocation failing; 0: none.
local function play(scenario, n)
  local sim = assert(copal.sim { seed = 5, delay = 0.01 })
  local function all()
    local server = assert(sim:endpoint "server")
    local client = assert(sim:endpoint "client")
    scenario(server, client)
    sim:run(400)
  end
  starved.fail_at(n)
  local ok, e = pcall(all)
  local _, failed = starved.fail_at(0)
  assert(ok or told(e), e)
  sim:run(400)
  sim:close()
  return failed
end

local function collect()
  collectgarbage() collectgarbage()
  return collectgarbage "count" * 1024
end

for _, name in ipairs { "asking", "waiting", "observing", "serving" } do
  test(name .. " survives any failed allocation", function()
    local scenario = scenarios[name]
    play(scenario, 0) play(scenario, 0)
    local before, n = collect(), 0
    repeat n = n + 1 until not play(scenario, n)
    print(("%s: %d allocations failed in turn"):format(name, n - 1))
    assert(n > 100)
    local after = collect()
    assert(after < before + 65536, ("%d bytes are left"):format(after - before))
  end)
end

-- A message that C has made when there is no room for Lua's handle of it.
test("messages survive any failed allocation and none is left", function()
  local sim = assert(copal.sim { seed = 5 })
  local client = assert(sim:endpoint "client")
  local function make()
    local m = assert(client:message("PUT", "coap://server/t", { payload = LONG }))
    assert(m:copy().payload == LONG)
  end
  local function left()
    collect()
    return client:stats().memory
  end
  make()
  local before, n, failed = left(), 0, nil
  repeat
    n = n + 1
    starved.fail_at(n)
    local ok, e = pcall(make)
    failed = select(2, starved.fail_at(0))
    assert(ok or told(e), e)
    assert(left() == before, ("%d bytes are left of the %dth"):format(left() - before, n))
  until not failed
  assert(n > 10)
  sim:close()
end)

check.done()
