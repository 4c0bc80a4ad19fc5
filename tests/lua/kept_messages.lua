-- Messages that a script keeps when it was told of them: small ones lie there as bytes
-- and are messages again when they are looked at. And requests of its own.
local copal = require "copal"
local check = require "support.check"
local test, equal = check.test, check.equal

local function world()
  local sim = copal.sim { seed = 5 }
  return sim, sim:endpoint "server", sim:endpoint "client"
end

-- All that a request says, as text.
local function said_by(req)
  local said = { tostring(req), req.code.dotted, req.path.text, req.payload, req.text,
    req.uri, req.remote.uri, req.local_address.uri, req.type, req.token, req.mid,
    tostring(req.is_multicast), req.options.text, tostring(req.format),
    tostring(req.identity), tostring(req.query.n), tostring(req:option "Uri-Path") }
  for i, o in ipairs(req.options) do said[#said + 1] = i .. o.name .. tostring(o.value) end
  return table.concat(said, "\n")
end

local sizes = { { "a small one", "hello" }, { "an empty one", "" },
  { "a large one", ("x"):rep(900) }, { "one in blocks", ("y"):rep(3000) } }

for _, row in ipairs(sizes) do
  local what, body = row[1], row[2]

  local function keep(n, look)
    local sim, server, client = world()
    local kept, before = {}, {}
    server:serve("/a/b", { put = function(req)
      kept[#kept + 1] = req
      if look then before[#before + 1] = said_by(req) end
      return "well"
    end })
    local answered = 0
    for i = 1, n do
      client:put("coap://server/a/b?n=" .. i, body, function(res)
        assert(res.payload == "well")
        answered = answered + 1
      end)
      sim:run(100)
    end
    equal(answered, n)
    collectgarbage()
    collectgarbage()
    return sim, kept, before, client
  end

  test("what was read of a request is read again after its answer: " .. what, function()
    local sim, kept, before = keep(20, true)
    for i, req in ipairs(kept) do equal(said_by(req), before[i]) end
    sim:close()
  end)

  test("a request is first read long after its answer: " .. what, function()
    local sim, kept = keep(20, false)
    for i, req in ipairs(kept) do
      equal(req.payload, body)
      equal(req.path[2], "b")
      equal(req.query.n, tostring(i))
      equal(req.code, copal.PUT)
    end
    collectgarbage()
    for i, req in ipairs(kept) do equal(req.query[1], "n=" .. i) end
    sim:close()
  end)

  test("a request outlives everybody who had to do with it: " .. what, function()
    local sim, kept = keep(3, false)
    sim:close()
    sim = nil
    collectgarbage()
    collectgarbage()
    equal(kept[2].payload, body)
    equal(kept[2].uri, "coap://server/a/b?n=2")
    equal(kept[2].remote.host, "client")
    kept = nil
    collectgarbage()
    collectgarbage()
  end)

  test("what a script puts into a request stays there: " .. what, function()
    local sim, server, client = world()
    local kept
    server:serve("/t", { put = function(req)
      req.note = "mine"
      kept = req
      return "well"
    end })
    client:put("coap://server/t", body, function() end)
    sim:run(100)
    collectgarbage()
    equal(kept.note, "mine")
    equal(kept.payload, body)
    collectgarbage()
    equal(kept.note, "mine")
    equal(kept.payload, body)
    sim:close()
  end)

  test("a request is copied, and is an answer, after its own: " .. what, function()
    local sim, server, client = world()
    local last
    server:serve("/t", { put = function(req)
      last = req
      return "well"
    end, get = function() return last:copy() end })
    client:put("coap://server/t", body, function() end)
    sim:run(100)
    collectgarbage()
    local copy = last:copy()
    equal(copy.payload, body)
    equal(copy.path[1], "t")
    copy.payload = "new"
    equal(copy.payload, "new")
    equal(last.payload, body)
    sim:close()
  end)
end

test("a finaliser that looks at a request that goes with it does no harm", function()
  local newproxy = rawget(_G, "newproxy")
  local function on_end(fn)
    if not newproxy then return setmetatable({}, { __gc = fn }) end
    local p = newproxy(true)
    getmetatable(p).__gc = fn
    return p
  end

  for _, read_before in ipairs { false, true } do
    local sim, server, client = world()
    local looked = 0
    server:serve("/t", { put = function(req)
      local holder = { req = req }
      holder.proxy = on_end(function()
        looked = looked + 1
        pcall(function() return holder.req.payload end)
        pcall(tostring, holder.req)
      end)
      server.kept = server.kept or {}
      table.insert(server.kept, holder)
      return "well"
    end })
    for _ = 1, 10 do
      client:put("coap://server/t", "hello", function() end)
      sim:run(100)
    end
    for _, holder in ipairs(server.kept) do
      if read_before then equal(holder.req.payload, "hello") end
    end
    server.kept = nil
    collectgarbage()
    collectgarbage()
    equal(looked, 10)
    collectgarbage()
    sim:close()
  end
end)

for _, row in ipairs(sizes) do
  local what, body = row[1], row[2]

  test("what a response says is the same in its callback and long after: " .. what, function()
    local sim, server, client = world()
    local kept, before = {}, {}
    server:serve("/a/b", function()
      return { payload = body, format = "text/plain", max_age = 5, etag = "tag" }
    end)
    local function said(res)
      local list = { tostring(res), res.code.dotted, res.payload, res.uri, res.remote.uri,
        res.local_address.uri, tostring(res.format), res.etag, tostring(res.max_age),
        tostring(res.token ~= nil), tostring(res.mid), tostring(res.type),
        tostring(res.identity), res.options.text }
      return table.concat(list, "\n")
    end
    for i = 1, 20 do
      client:get("coap://server/a/b?n=" .. i, function(res)
        kept[i] = res
        if i % 2 == 0 then before[i] = said(res) end
      end)
      sim:run(500)
    end
    equal(#kept, 20)
    collectgarbage()
    collectgarbage()
    for i, res in ipairs(kept) do
      equal(res.payload, body)
      equal(res.uri, "coap://server/a/b?n=" .. i)
      equal(res.etag, "tag")
      if before[i] then equal(said(res), before[i]) end
    end
    sim:close()
    sim = nil
    collectgarbage()
    collectgarbage()
    equal(kept[7].uri, "coap://server/a/b?n=7")
    equal(kept[8]:copy().payload, body)
  end)
end

for _, length in ipairs { 1, 57, 58, 200 } do
  local uri = "coap://server/" .. ("u"):rep(length)

  test("a request is told of when its script let go of it: " .. length, function()
    local sim, server, client = world()
    local heard = 0
    server:serve("/{any}", function() return "well" end)
    for _ = 1, 20 do
      client:get(uri, function(res)
        collectgarbage()
        equal(res.payload, "well")
        equal(res.uri, uri)
        heard = heard + 1
      end)
    end
    collectgarbage()
    collectgarbage()
    sim:run(2000)
    equal(heard, 20)
    sim:close()
  end)

  test("a request knows where it went, also when it is over: " .. length, function()
    local sim, server, client = world()
    server:serve("/{any}", function() return "well" end)
    local request, failed
    request = client:get(uri, function(res) failed = res.payload ~= "well" end)
    equal(request.uri, uri)
    equal(request.done, false)
    equal(tostring(request), "copal request " .. uri .. " (waiting)")
    sim:run(500)
    equal(failed, false)
    collectgarbage()
    equal(request.uri, uri)
    equal(request.done, true)
    equal(request:cancel(), false)
    equal(tostring(request), "copal request " .. uri .. " (done)")
    sim:close()
    collectgarbage()
    equal(request.uri, uri)
  end)

  test("requests that wait when their endpoint goes are over: " .. length, function()
    local sim, _, client = world()
    local ends, requests = 0, {}
    for i = 1, 10 do
      local request = client:get(uri, function(res) if not res then ends = ends + 1 end end)
      if i % 2 == 0 then requests[#requests + 1] = request end
    end
    client:free()
    sim:run(10)
    collectgarbage()
    collectgarbage()
    for _, request in ipairs(requests) do
      equal(request.done, true)
      equal(request.uri, uri)
      equal(request:cancel(), false)
    end
    sim:close()
  end)
end

check.done()
