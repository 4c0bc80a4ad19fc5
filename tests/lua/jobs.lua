-- The jobs people do with CoAP, as short as they should be.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal, eventually = check.test, check.equal, check.eventually

local function with_server(fn)
  copal.run(function(coap)
    assert(coap:listen "coap://127.0.0.1:0")
    fn(coap, coap:addresses()[1])
    coap:stop()
  end)
end

test("job 1: one GET", function()
  with_server(function(c, host)
    c:serve("/temp", function() return "21.5" end)

    local r = assert(copal.get(host .. "/temp"))
    equal(tostring(r.code) .. " " .. r.text, "2.05 Content 21.5")
  end)
end)

test("jobs 2 and 3: typed data out, decoded by Content-Format", function()
  with_server(function(c, host)
    local kept
    c:serve("/light", {
      put = function(req) kept = req:decode() return copal.CHANGED end,
      get = function() return { payload = { temperature = 21.5 }, format = "cbor" } end })

    assert(assert(copal.put(host .. "/light", { on = true }, { format = "cbor" })):check())
    equal(kept.on, true)
    equal(assert(copal.get(host .. "/light")):decode().temperature, 21.5)
    assert(copal.put(host .. "/light", { on = "json" }))
    equal(kept.on, "json")
  end)
end)

test("job 4: watch, robustly", function()
  local sim = copal.sim { seed = 7 }
  local server, c = sim:endpoint "server", sim:endpoint "client"
  local t = server:value("/temp", 21.5)
  local seen = {}

  for n in c:watch("coap://server/temp", { silence = 90 }) do
    seen[#seen + 1] = n.event
    if n.event == "value" and n.text == "21.5" then server:free() end
    if n.event == "silent" then
      server = sim:endpoint "server"
      t = server:value("/temp", 22)
    end
    if n.event == "value" and n.text == "22" then break end
  end
  equal(table.concat(seen, " "), "value silent resumed value")
  equal(t.value, 22)
  sim:close()
end)

test("job 5: many devices at once, taken as they finish", function()
  with_server(function(c, host)
    c:serve("/{n}", function(req) c:sleep(tonumber(req.params.n) / 100) return "x" end)
    local uris = { host .. "/9", host .. "/1", "coap://127.0.0.1:1/", host .. "/5" }
    c:tune(nil, { nstart = 4 })

    local got, failed = {}, nil
    for uri, r, err in copal.get_all(uris, { limit = 8, timeout = 5 }) do
      if r then got[#got + 1] = uri:sub(-1) else failed = err.name end
    end
    equal(table.concat(got), "159")
    equal(failed, "EREFUSED")
  end)
end)

test("job 5: a loop that was left asks no more", function()
  with_server(function(c, host)
    local asked, uris = 0, {}
    c:serve("/{n}", function() asked = asked + 1 return "x" end)
    for i = 1, 30 do uris[i] = host .. "/" .. i end

    for _ in c:get_all(uris, { limit = 2 }) do break end
    c:sleep(0.2)
    assert(asked <= 2, asked)
  end)
end)

test("job 6: a server", function()
  with_server(function(c, host)
    c:serve("/hello", function(q) return "hi " .. q.remote.hostinfo end)

    assert(assert(c:get(host .. "/hello")).text:find "^hi 127%.0%.0%.1")
  end)
end)

test("job 7: an observable value", function()
  with_server(function(c, host)
    local t = c:value("/temp", 21.5)

    local obs = c:observe(host .. "/temp")
    equal(obs().text, "21.5")
    t.value = 22
    equal(obs().text, "22")
    obs:cancel()
  end)
end)

test("job 10: deadlines and parameters", function()
  local sim = copal.sim {}
  local c = sim:endpoint "client"
  sim:endpoint "sleepy":serve("/t", function() return "t" end)
  sim:set_path { to = "sleepy", loss = 100 }

  local r, err = c:get("coap://sleepy/t", { timeout = 60, ack_timeout = 12, max_retransmit = 2 })
  equal(r, nil) equal(err.name, "ETIMEOUT")
  equal(sim:now(), 60)
  sim:close()
end)

test("job 12: a large file, with progress", function()
  with_server(function(c, host)
    local path, size, told = os.tmpname(), 0, 0
    local f = assert(io.open(path, "wb"))
    f:write(("firmware"):rep(5000)) f:close()
    c:serve("/fw", { streamed = true, put = function(req)
      for piece in req:chunks() do size = size + #piece end
      return copal.CHANGED
    end })

    local app = assert(io.open(path, "rb"))
    assert(copal.put(host .. "/fw", app, { progress = function(n) told = n end }))
    app:close() os.remove(path)
    equal(size, 40000)
    assert(told > 0 and told <= size, told)
  end)
end)

test("job 13: a bridge", function()
  with_server(function(c, host)
    local v = c:value("/room", "20")
    local published = {}
    local mqtt = { publish = function(_, topic, text)
      published[#published + 1] = topic .. "=" .. text
    end }

    local bridge = c:spawn(function()
      for n in c:watch(host .. "/room") do mqtt:publish("room", n.text) end
    end)
    eventually(c, function() return #published == 1 end)
    v.value = "21"
    eventually(c, function() return #published == 2 end)
    equal(table.concat(published, " "), "room=20 room=21")
    bridge:cancel()
  end)
end)

test("job 14: non-standard traffic", function()
  with_server(function(c, host)
    local heard
    local other = copal.endpoint {}
    assert(other:listen("coap://127.0.0.1:0", { reuse_address = true }))
    local group = "coap://224.0.1.187:" .. other:addresses()[1]:match ":(%d+)$"
    assert(other:join(group, "lo"))
    local ok, err = other:join(group, "lo")
    assert(not ok and err.name == "EEXIST", tostring(err))
    assert(other:leave(group, "lo"))
    c:serve("*", { ["0.30"] = function(q) return "raw " .. q:option(3332) end })
    c:spawn(function()
      for m in other:strays() do heard = m end
    end)

    local r = assert(c:request { code = "0.30", uri = host .. "/x", options = { [3332] = "v" } })
    equal(r.text, "raw v")
    -- A message nobody asked for: a response out of nowhere.
    local m = assert(c:message("2.05", nil, { payload = "boo", options = { [3332] = "w" } }))
    assert(c:send(m, other:addresses()[1]))
    eventually(c, function() return heard end)
    equal(heard.text, "boo") equal(heard:option(3332), "w")
    equal(heard:option "Uri-Path", nil)
    other:free()
  end)
end)

test("job 15: a program tested without a network", function()
  local sim = copal.sim { seed = 7, loss = 20 }
  local server, client = sim:endpoint "server", sim:endpoint "client"
  server:serve("/t", function() server:sleep(5) return "worth the wait" end)

  equal(assert(client:get "coap://server/t").text, "worth the wait")
  assert(sim:now() >= 5)
  assert(sim.transcript:find("client > server CON GET 0001 /t", 1, true))
  sim:close()
end)

check.done()
