-- Handlers run from C, in coroutines that are used again: what they may do to the
-- ground they stand on, to each other, and to the coroutine they run in.
local copal = require "copal"
local check = require "support.check"
local test, equal = check.test, check.equal

local told = {}
copal.on_error(function(e) told[#told + 1] = tostring(e) end)

local function world()
  local sim = copal.sim { seed = 5 }
  told = {}
  return sim, sim:endpoint "server", sim:endpoint "client"
end

for _, row in ipairs {
  { "text", function() return "well" end, "2.05", "well" },
  { "a table", function() return { payload = "well", max_age = 5 } end, "2.05", "well" },
  { "a code and text", function() return copal.CHANGED, "well" end, "2.04", "well" },
  { "a code", function() return copal.CHANGED end, "2.04", "" },
  { "nothing", function() end, "2.05", "" },
  { "nils", function() return nil, nil, nil end, "2.05", "" },
  { "an error", function() error "ill" end, "5.00", "" },
} do
  test("a handler that takes its own path away still answers: " .. row[1], function()
    local sim, server, client = world()
    server:serve("/t", function()
      assert(server:unserve "/t")
      collectgarbage()
      return row[2]()
    end)
    local res = assert(client:get "coap://server/t")
    equal(res.code.dotted, row[3])
    equal(res.payload, row[4])
    equal(client:get("coap://server/t").code, copal.NOT_FOUND)
    sim:close()
  end)

  test("a handler that frees its endpoint harms nobody: " .. row[1], function()
    local sim, server, client = world()
    local runs = 0
    server:serve("/t", function()
      runs = runs + 1
      server:free()
      collectgarbage()
      return row[2]()
    end)
    client:get("coap://server/t", function() end)
    sim:run(100)
    equal(runs, 1)
    sim:close()
  end)
end

test("a handler that serves its path anew answers the first request itself", function()
  local sim, server, client = world()
  server:serve("/t", function()
    server:unserve "/t"
    server:serve("/t", function() return "second" end)
    return "first"
  end)
  equal(client:get("coap://server/t").payload, "first")
  equal(client:get("coap://server/t").payload, "second")
  sim:close()
end)

test("what a handler left in its coroutine is gone when that is used again", function()
  local sim, server, client = world()
  local seen = setmetatable({}, { __mode = "k" })
  server:serve("/t", function(req)
    local big = { req.payload }
    seen[big] = true
    return "t", nil, nil, nil, big
  end)
  for _ = 1, 20 do equal(client:get("coap://server/t").payload, "t") end
  sim:run(400)
  collectgarbage() collectgarbage()
  equal(next(seen), nil)
  sim:close()
end)

test("a handler that throws spoils no coroutine for the next", function()
  local sim, server, client = world()
  local n = 0
  server:serve("/t", function()
    n = n + 1
    if n % 2 == 0 then error("number " .. n) end
    return tostring(n)
  end)
  for i = 1, 10 do
    local res = client:get "coap://server/t"
    equal(res.payload, i % 2 == 1 and tostring(i) or "")
  end
  equal(#told, 5)
  assert(told[1]:find("handlers.lua:%d+: number 2\nstack traceback:"), told[1])
  sim:close()
end)

local function many(client, n)
  for _ = 1, n do equal(client:get("coap://server/t").payload, "t") end
end

if _VERSION == "Lua 5.4" then
  test("the generational collector keeps up, too", function()
    local sim, server, client = world()
    server:serve("/t", function() return "t" end)
    sim:keep(1000)
    collectgarbage "generational"
    for _ = 1, 4 do many(client, 1000) sim:run(300) end
    local before = collectgarbage "count"
    for _ = 1, 12 do many(client, 1000) sim:run(300) end
    local grown = collectgarbage "count" - before
    collectgarbage "incremental"
    sim:close()
    assert(grown < 4096, "grew by " .. grown .. " KiB")
  end)

  test("a script that stopped the collector is left alone", function()
    local sim, server, client = world()
    server:serve("/t", function() return "t" end)
    sim:keep(1000)
    collectgarbage()
    collectgarbage "stop"
    local collected = false
    setmetatable({}, { __gc = function() collected = true end })
    many(client, 3000)
    local was = collected
    collectgarbage "restart"
    collectgarbage()
    sim:close()
    equal(was, false)
    equal(collected, true)
  end)
end

test("a request may be kept, and be read after its answer", function()
  local sim, server, client = world()
  local kept = {}
  server:serve("/a/{b}", { put = function(req)
    req.mark = #kept
    kept[#kept + 1] = req
    return "ok"
  end })
  for i = 1, 3 do client:put("coap://server/a/" .. i, "payload " .. i, {}) end
  collectgarbage()
  for i = 1, 3 do
    local req = kept[i]
    equal(req.payload, "payload " .. i)
    equal(req.path[2], tostring(i))
    equal(req.path, req.path)
    equal(req.params.b, tostring(i))
    equal(req.mark, i - 1)
    equal(req.code, copal.PUT)
    equal(req.no_such_field, nil)
  end
  sim:close()
end)

test("a request kept beyond its answer is still one, of a path without names, too", function()
  local sim, server, client = world()
  local kept
  server:serve("/plain", { put = function(req)
    kept = req
    return "ok"
  end })
  client:put("coap://server/plain", "payload", {})
  collectgarbage()
  equal(kept.payload, "payload")
  equal(kept.path.text, "/plain")
  equal(kept.remote.host, "client")
  equal(type(kept.params), "table")
  equal(kept.params.name, nil)
  kept.payload = "mine"
  equal(kept.payload, "mine")
  sim:close()
end)

test("what is asked again is asked as before, and only that", function()
  local sim, server, client = world()
  local seen = {}
  local function note(req)
    seen[#seen + 1] = req.code.name .. " " .. req.path.text
    return "t"
  end
  server:serve("/a", { get = note, delete = note })
  server:serve("/*", note)
  local long = "/" .. ("x"):rep(200)
  local wanted = { "GET /a", "GET /a", "DELETE /a", "GET /b", "GET /a", "GET " .. long, "GET " .. long,
    "GET /a" }
  for _, what in ipairs(wanted) do
    local method, path = what:match "(%u+) (.*)"
    local got
    local request = client[method:lower()](client, "coap://server" .. path, function(res) got = res end)
    sim:run(1)
    equal(got.text, "t")
    equal(request.uri, "coap://server" .. path)
    equal(got.uri, "coap://server" .. path)
  end
  equal(table.concat(seen, ", "), table.concat(wanted, ", "))
  sim:close()
end)

test("what is answered again and again is what was said, whatever came between", function()
  local sim, server, client = world()
  local long, bytes = ("l"):rep(3000), "\255\254"
  local on, off = "on", "off"
  local answers = { on, on, on, off, off, on, on, "", "", "", bytes, bytes, bytes, long, long, long,
    on, on }
  local codes = { "2.05", "2.05", "2.03" }
  local turn = 0
  server:serve("/t", { get = function() return answers[turn] end, put = function()
    return copal.code(codes[turn % 3 + 1]), answers[turn]
  end })
  for i = 1, #answers do
    turn = i
    local res = client:get "coap://server/t"
    equal(res.payload, answers[i])
    equal(res.code.dotted, "2.05")
    equal(res.format and res.format.number, answers[i] ~= "" and (answers[i] == bytes and 42 or 0) or nil)
    collectgarbage()
    res = client:put("coap://server/t", "x")
    equal(res.payload, answers[i])
    equal(res.code.dotted, codes[i % 3 + 1])
  end
  sim:close()
end)

test("a code alone is answered again and again, with text between", function()
  local sim, server, client = world()
  local turn = 0
  local answers = { { "2.04" }, { "2.04" }, { "2.04" }, { "2.02" }, { "2.02", "" }, { "2.02" },
    { "2.02", "well" }, { "2.02", "well" }, { "2.02", "well" }, { "2.04" }, { "2.04" } }
  server:serve("/t", { put = function()
    local code, text = answers[turn][1], answers[turn][2]
    if text then return copal.code(code), text end
    return copal.code(code)
  end })
  for i, answer in ipairs(answers) do
    turn = i
    local res = client:put("coap://server/t", "x")
    equal(res.code.dotted, answer[1])
    equal(res.payload, answer[2] or "")
    collectgarbage()
  end
  sim:close()
end)

test("texts that are made and forgotten are not mistaken for each other", function()
  local sim, server, client = world()
  local n = 0
  server:serve("/t", function()
    n = n + 1
    collectgarbage()
    return "text " .. n
  end)
  for i = 1, 20 do equal(client:get("coap://server/t").payload, "text " .. i) end
  sim:close()
end)

test("a handler that answers the same may take itself away, or its endpoint", function()
  for _, away in ipairs { "unserve", "free" } do
    local sim, server, client = world()
    local runs = 0
    server:serve("/t", function()
      runs = runs + 1
      if runs == 4 then server[away](server, "/t") end
      collectgarbage()
      return "well"
    end)
    for i = 1, 4 do
      client:get("coap://server/t", function(res)
        if i < 4 or away == "unserve" then equal(res.payload, "well") end
      end)
      sim:run(100)
    end
    equal(runs, 4)
    equal(#told, 0)
    sim:close()
  end
end)

-- What a handler does to the path that it was given.
local changes = {
  ["takes of its path"] = function(path) table.remove(path, 1) end,
  ["adds to its path"] = function(path) path[#path + 1] = "more" end,
  ["writes into its path"] = function(path) path[1] = "other" end,
  ["mixes up its path"] = function(path) path[1], path[2] = path[2], path[1] end,
  ["makes its path another thing"] = function(path) setmetatable(path, { __index = table }) end,
}
for what, change in pairs(changes) do
  test("a handler that " .. what .. " leaves that of the next alone", function()
    local sim, server, client = world()
    local seen = {}
    server:serve("/a/b", function(req)
      seen[#seen + 1] = req.path.text .. #req.path
      change(req.path)
      collectgarbage()
      return "well"
    end)
    for i = 1, 3 do
      equal(client:get("coap://server/a/b").payload, "well")
      equal(seen[i], "/a/b2")
    end
    sim:close()
  end)
end

test("what was changed in a path stays there while its handler runs", function()
  local sim, server, client = world()
  server:serve("/a/b", function(req)
    table.remove(req.path, 1)
    return req.path.text
  end)
  for _ = 1, 3 do equal(client:get("coap://server/a/b").payload, "/b") end
  sim:close()
end)

test("a path of no, of many and of empty segments is read again and again", function()
  local sim, server, client = world()
  local many = ("/s"):rep(20)
  local paths = { "/", many, "/a", "/a/", "/a//b" }
  for _, path in ipairs(paths) do
    server:serve(path, function(req) return #req.path .. req.path.text end)
  end
  for _ = 1, 3 do
    for _, path in ipairs(paths) do
      local _, segments = path:gsub("/", "")
      if path == "/" then segments = 0 end
      equal(client:get("coap://server" .. path).payload, segments .. path)
      collectgarbage()
    end
  end
  sim:close()
end)

if coroutine.isyieldable then
  test("handlers that wait and handlers that do not take turns", function()
    local sim, server, client = world()
    local cos = {}
    server:serve("/slow", function(req)
      local own = coroutine.running()
      cos[own] = (cos[own] or 0) + 1
      server:sleep(tonumber(req.query.s))
      equal(coroutine.running(), own)
      return "slow " .. req.query.s
    end)
    server:serve("/fast", function() return "fast" end)
    local answers = {}
    for i = 1, 5 do
      client:get("coap://server/slow?s=" .. i, function(res)
        answers[#answers + 1] = res.payload end)
      client:get("coap://server/fast", function(res) answers[#answers + 1] = res.payload end)
    end
    sim:run(100)
    table.sort(answers)
    equal(table.concat(answers, ","), "fast,fast,fast,fast,fast,slow 1,slow 2,slow 3,slow 4,slow 5")
    for _, n in pairs(cos) do equal(n, 1) end
    equal(#told, 0)
    sim:close()
  end)

  test("a handler that waits has its path to itself", function()
    local sim, server, client = world()
    local said = {}
    server:serve("/a/b", { put = function(req)
      local path = req.path
      server:sleep(tonumber(req.payload))
      table.remove(path, 1)
      said[#said + 1] = req.path.text
      return "well"
    end })
    for i = 1, 3 do client:put("coap://server/a/b", tostring(i), function() end) end
    sim:run(100)
    equal(table.concat(said, ","), "/b,/b,/b")
    sim:close()
  end)

  test("a coroutine of a handler that is over cannot be resumed", function()
    local sim, server, client = world()
    local kept
    server:serve("/t", function() kept = coroutine.running() return "t" end)
    for _ = 1, 3 do
      equal(client:get("coap://server/t").payload, "t")
      equal(coroutine.resume(kept), false)
      if coroutine.close then coroutine.close(kept) end
    end
    sim:close()
  end)

  test("a handler may ask, and be asked meanwhile", function()
    local sim, server, client = world()
    server:serve("/inner", function(req) return "inner " .. req.query.n end)
    server:serve("/outer", function(req)
      local res = assert(server:get("coap://server/inner?n=" .. req.query.n))
      return "outer of " .. res.payload
    end)
    for i = 1, 5 do
      equal(client:get("coap://server/outer?n=" .. i).payload, "outer of inner " .. i)
    end
    equal(#told, 0)
    sim:close()
  end)

  test("a handler that frees its endpoint and then waits is over", function()
    local sim, server, client = world()
    local went_on = false
    server:serve("/t", function()
      server:free()
      local ok, e = pcall(client.get, client, "coap://nobody/", { timeout = 1 })
      went_on = ok or e ~= nil
      return "t"
    end)
    client:get("coap://server/t", { timeout = 5 }, function() end)
    sim:run(400)
    equal(went_on, true)
    sim:close()
  end)
end

test("handlers that wait for others inside simulations of theirs end in an error", function()
  told = {}
  local deepest, failed = 0, false

  local function ask(depth)
    local sim = copal.sim { seed = depth }
    local server, client = sim:endpoint "server", sim:endpoint "client"
    deepest = math.max(deepest, depth)
    server:serve("/t", function()
      ask(depth + 1)
      return "well"
    end)
    client:get("coap://server/t", function(res)
      if res and res.code.dotted == "5.00" then failed = true end
    end)
    sim:run(1)
    sim:close()
  end

  ask(1)
  equal(failed, true)
  equal(deepest > 10 and deepest < 100, true)
  equal(#told > 0, true)
end)

-- Of those that waited the garbage holds request and exchange, which is far more in C
-- than the collector knows of; and where all is refused nothing else would make it work.
test("what handlers that waited left behind keeps nobody from being served", function()
  local sim, server, client = world()
  local pause = collectgarbage("setpause", 1000)
  collectgarbage()
  server:serve("/wait", { fetch = function(req)
    server:sleep(0.02)
    return req.payload
  end })
  server:serve("/t", function() return "well" end)
  assert(server:tune(nil, { max_memory = server:stats().memory + 600000, dedup_memory = 20000 }))
  for i = 1, 600 do
    client:fetch("coap://server/wait", ("x"):rep(1000), { non = true }, function() end)
    if i % 20 == 0 then sim:run(100) end
  end
  local refused = server:stats().limited
  sim:run(2000)
  client:get "coap://server/t" -- is refused, and so the collector begins
  sim:run(2000)
  local res = assert(client:get "coap://server/t")
  collectgarbage("setpause", pause)
  equal(refused > 0, true)
  equal(res.payload, "well")
  sim:close()
end)

check.done()
