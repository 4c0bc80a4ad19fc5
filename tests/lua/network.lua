-- Client and server in one process, over loopback.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal, eventually = check.test, check.equal, check.eventually

local errors = {}
copal.on_error(function(e) errors[#errors + 1] = tostring(e) end)

-- fn(endpoint, base URI), with an endpoint that serves and asks itself.
local function with_server(fn)
  copal.run(function(coap)
    assert(coap:listen "coap://127.0.0.1:0")
    fn(coap, coap:addresses()[1])
    coap:stop()
  end)
end

test("T26 what a handler returns is the answer", function()
  with_server(function(coap, base)
    coap:serve("/body", function() return "hello" end)
    coap:serve("/code", function() return copal.NOT_FOUND, "gone" end)
    coap:serve("/json", function() return { on = true } end)
    coap:serve("/full", function()
      return { code = "2.05", payload = "x", format = "octets", max_age = 7, etag = "ab" }
    end)
    coap:serve("/nothing", { post = function() end })
    coap:serve("/hello/{name}", function(req) return "hello " .. req.params.name end)

    local r = assert(coap:get(base .. "/body"))
    equal(tostring(r.code), "2.05 Content")
    equal(r.payload, "hello") equal(r.text, "hello")
    equal(r.format, copal.TEXT) equal(r.uri, base .. "/body")
    r = assert(coap:get(base .. "/code"))
    equal(r.code, copal.NOT_FOUND) equal(r.payload, "gone")
    equal(assert(coap:get(base .. "/json")):json().on, true)
    r = assert(coap:get(base .. "/full"))
    equal(r.format, copal.OCTETS) equal(r.max_age, 7) equal(r.etag, "ab")
    equal(assert(coap:post(base .. "/nothing")).code, copal.CHANGED)
    equal(assert(coap:get(base .. "/hello/you%2Fme")).payload, "hello you/me")
    equal(assert(coap:get(base .. "/none")).code, copal.NOT_FOUND)
    equal(assert(coap:post(base .. "/body")).code, copal.METHOD_NOT_ALLOWED)
  end)
end)

test("a socket changes hands, and what comes with it", function()
  with_server(function(coap, base)
    local heir = assert(copal.endpoint())
    heir:serve("/t", function() return "heir" end)
    local none, err = coap:hand_over(2)
    equal(none, nil)
    equal(err.name, "ENOENT")
    assert(heir:take_over(assert(coap:hand_over(1))))
    equal(heir:addresses()[1], base)
    equal(assert(coap:get(base .. "/t", { timeout = 20 })).text, "heir")
    none, err = heir:take_over(0)
    equal(none, nil)
    equal(err.name, "EINVAL")
    heir:free()
  end)
end)

test("T12 everything of a response can be read", function()
  with_server(function(coap, base)
    coap:serve("/x", function() return "x" end)
    local r = assert(coap:get(base .. "/x"))
    equal(r.type, "ACK")
    equal(type(r.mid), "number") equal(type(r.token), "string")
    equal(r.remote.uri, base) equal(r.remote.scheme, "coap")
    equal(r.remote.hostinfo, base:match("://(.*)"))
    equal(r.remote.is_multicast, false)
    assert(r.local_address)
    equal(r.identity, nil)
  end)
end)

test("a handler sees the whole request", function()
  with_server(function(coap, base)
    local seen
    coap:serve("/x", { put = function(req) seen = req return copal.CHANGED end })
    assert(coap:put(base .. "/x?a=1&b", "a\0b", { format = 42, options = { [65000] = "q" } }))
    equal(seen.payload, "a\0b") equal(seen.format, copal.OCTETS)
    equal(seen.query.a, "1") equal(seen.query.b, true)
    equal(seen.code, copal.code "PUT") equal(seen:option(65000), "q")
    equal(tostring(seen.path), "/x")
  end)
end)

test("a handler that waits answers separately", function()
  with_server(function(coap, base)
    coap:serve("/slow", function() coap:sleep(0.4) return "slow" end)
    local r = assert(coap:get(base .. "/slow"))
    equal(r.payload, "slow")
    equal(r.type, "CON")
  end)
end)

test("a handler that throws answers 5.00 at once", function()
  with_server(function(coap, base)
    coap:serve("/bug", function() error "handler bug" end)
    coap:serve("/late", function() coap:sleep(0.01) error "late bug" end)
    coap:serve("/code", function() error(copal.FORBIDDEN, 0) end)
    errors = {}
    equal(assert(coap:get(base .. "/bug")).code, copal.INTERNAL_ERROR)
    assert(errors[1]:find("handler bug", 1, true))
    equal(assert(coap:get(base .. "/late")).code, copal.INTERNAL_ERROR)
    equal(assert(coap:get(base .. "/code")).code, copal.FORBIDDEN)
    equal(#errors, 2)
  end)
end)

test("T22 check() turns 4.xx into an error with the response", function()
  with_server(function(coap, base)
    local r, err = assert(coap:get(base .. "/none")):check()
    equal(r, nil)
    equal(err.response.code, copal.NOT_FOUND)
    assert(tostring(err):find("4.04", 1, true))
  end)
end)

test("T21 failures are nil and an error that says why", function()
  copal.run(function(coap)
    for uri, name in pairs {
      ["localhost/x"] = "EURI", ["coap:///x"] = "EURI",
      ["coap://h:99999/"] = "EURI", ["coap://h/%zz"] = "EURI",
      ["coap://h/#x"] = "EURI", ["http://h/"] = "EURI",
      ["coap://127.0.0.1:1/x"] = "EREFUSED",
    } do
      local r, err = coap:get(uri)
      equal(r, nil)
      if err.name ~= name then error(uri .. ": " .. err.name .. " " .. err.message) end
      assert(#tostring(err) > 10)
      assert(err.code < 0 and err.hint)
    end
  end)
end)

test("a deadline ends a request", function()
  with_server(function(coap, base)
    coap:serve("/never", function() coap:sleep(100) end)
    local r, err = coap:get(base .. "/never", { timeout = 0.05 })
    equal(r, nil)
    equal(err.name, "ETIMEOUT")
  end)
end)

test("callback style: the last argument decides", function()
  local coap = copal.endpoint { ack_timeout = 0.5 }
  assert(coap:listen "coap://127.0.0.1:0")
  local base = coap:addresses()[1]
  coap:serve("/x", { get = function() return "x" end,
    put = function(req) return copal.CHANGED, req.payload end })
  local got = {}
  local req = coap:get(base .. "/x", function(res, err)
    got[#got + 1] = err or res.payload
  end)
  assert(tostring(req):find("request", 1, true))
  coap:put(base .. "/x", "y", function(res) got[#got + 1] = res.payload end)
  coap:get("nonsense", function(_, err) got[#got + 1] = err.name end)
  eventually(coap, function() return #got == 3 end)
  table.sort(got)
  equal(table.concat(got, " "), "EURI x y")
  coap:free()
end)

test("a request is cancelled, also from inside a callback", function()
  with_server(function(coap, base)
    coap:serve("/never", function() coap:sleep(100) end)
    coap:serve("/x", function() return "x" end)
    coap:tune(nil, { nstart = 2 })
    local failed
    local req = coap:get(base .. "/never", function(_, err) failed = err end)
    coap:get(base .. "/x", function()
      equal(req:cancel(), true)
      equal(req:cancel(), false)
    end)
    eventually(coap, function() return failed end)
    equal(failed.name, "ECANCEL")
  end)
end)

test("cancelling a task cancels its request", function()
  with_server(function(coap, base)
    coap:serve("/never", function() coap:sleep(100) end)
    local t = coap:spawn(function() return coap:get(base .. "/never") end)
    coap:sleep(0.02)
    t:cancel()
    coap:sleep(0.02)
    equal(t.done, true) equal(t.ok, false)
  end)
end)

test("T13 outside a coroutine get runs the loop", function()
  local coap = copal.endpoint {}
  assert(coap:listen "coap://127.0.0.1:0")
  coap:serve("/x", function() return "x" end)
  equal(assert(coap:get(coap:addresses()[1] .. "/x")).payload, "x")
  coap:free()
end)

test("two endpoints in one program talk to each other", function()
  local server, client = copal.endpoint {}, copal.endpoint {}
  assert(server:listen "coap://127.0.0.1:0")
  server:serve("/x", function() return "x" end)
  equal(assert(client:get(server:addresses()[1] .. "/x")).payload, "x")
  server:free()
  client:free()
end)

test("the shortcuts work inside run and outside", function()
  local server = copal.endpoint {}
  assert(server:listen "coap://127.0.0.1:0")
  server:serve("/x", function() return "x" end)
  local uri = server:addresses()[1] .. "/x"
  equal(assert(copal.get(uri)).payload, "x")
  equal(copal.run(function() return copal.get(uri).payload end), "x")
  server:free()
end)

test("T20 get_all gives answers as they come", function()
  with_server(function(coap, base)
    coap:serve("/slow", function() coap:sleep(0.05) return "slow" end)
    coap:serve("/a", function() return "a" end)
    coap:serve("/b", function() return "b" end)
    coap:tune(nil, { nstart = 4 })
    local order = {}
    for uri, r, err in coap:get_all { base .. "/slow", base .. "/a", base .. "/b" } do
      assert(r, err)
      equal(r.uri, uri)
      order[#order + 1] = r.payload
    end
    equal(#order, 3)
    equal(order[3], "slow")
  end)
end)

test("T23 observing gives every value; leaving the loop deregisters", function()
  with_server(function(coap, base)
    local n = 0
    coap:serve("/n", { observable = true, get = function() return tostring(n) end })
    local timer = coap:every(0.01, function()
      n = n + 1
      coap:notify "/n"
    end)
    local seen = {}
    local obs = coap:observe(base .. "/n")
    for note in obs do
      -- A busy machine may leave values out, but never goes back.
      local v = tonumber(note.payload)
      assert(#seen == 0 or v > seen[#seen])
      seen[#seen + 1] = v
      if #seen == 4 then break end
    end
    equal(#seen, 4)
    obs:cancel()
    eventually(coap, function() return coap:stats().observers == 0 end)
    timer:cancel()
  end)
end)

-- Elsewhere it is collection that ends what was left.
test("leaving the loop over an observation deregisters in the end", function()
  with_server(function(coap, base)
    coap:value("/v", 21.5)
    for note in coap:observe(base .. "/v") do
      equal(note.payload, "21.5")
      break
    end
    eventually(coap, function()
      if not check.has_close then collectgarbage() end
      return coap:stats().observers == 0
    end)
  end)
end)

test("observing with a callback, and cancel", function()
  with_server(function(coap, base)
    local v = coap:value("/v", 21.5)
    local seen = {}
    local obs = coap:observe(base .. "/v", function(note, err)
      seen[#seen + 1] = note and note.payload or err and err.name
    end)
    eventually(coap, function() return #seen == 1 end)
    v.value = 22
    eventually(coap, function() return #seen == 2 end)
    equal(v.value, 22)
    obs:cancel()
    eventually(coap, function() return #seen == 3 end)
    equal(table.concat(seen, " "), "21.5 22 ECANCEL")
  end)
end)

test("a watch tells values as events", function()
  with_server(function(coap, base)
    local v = coap:value("/v", 1)
    local seen = {}
    for n in coap:watch(base .. "/v", { silence = 90 }) do
      equal(n.event, "value")
      seen[#seen + 1] = n.payload
      if #seen == 2 then break end
      v.value = 2
    end
    equal(table.concat(seen, " "), "1 2")
  end)
end)

test("T24 large bodies go both ways", function()
  with_server(function(coap, base)
    local kept = ("0123456789abcdef"):rep(300)
    coap:serve("/big", { get = function() return kept end,
      put = function(req) kept = req.payload return copal.CHANGED end })
    equal(#assert(coap:get(base .. "/big")).payload, 4800)
    local body = ("fedcba98"):rep(1000)
    equal(assert(coap:put(base .. "/big", body)).code, copal.CHANGED)
    equal(kept, body)
    equal(assert(coap:get(base .. "/big")).payload, body)
  end)
end)

test("a ping is answered, and refused", function()
  with_server(function(coap, base)
    equal(coap:ping(base), true)
    local ok, err = coap:ping "coap://127.0.0.1:1"
    equal(ok, nil)
    equal(err.name, "EREFUSED")
  end)
end)

test("T2 resources are listed with their attributes", function()
  with_server(function(coap, base)
    coap:serve("/t", { rt = "temp", ["if"] = "sensor", observable = true, ct = "json",
      get = function() return "{}", "json" end })
    coap:serve("/secret", { unlisted = true, get = function() return "" end })
    local links = assert(assert(coap:get(base .. "/.well-known/core")):links())
    local t = links:filter { href = "/t" }[1]
    equal(t.rt, "temp") equal(t["if"], "sensor") equal(t.obs, true) equal(t.ct, "50")
    equal(#links:filter { href = "/secret" }, 0)
    equal(#assert(coap:get(base .. "/.well-known/core?rt=temp")):links(), 1)
  end)
end)

test("unserve takes a path away", function()
  with_server(function(coap, base)
    coap:serve("/x", function() return "x" end)
    assert(coap:unserve "/x")
    equal(assert(coap:get(base .. "/x")).code, copal.NOT_FOUND)
    local ok, err = coap:unserve "/x"
    equal(ok, nil) equal(err.name, "ENOENT")
  end)
end)

test("T28 closing ends what is pending with an error", function()
  local coap = copal.endpoint {}
  assert(coap:listen "coap://127.0.0.1:0")
  coap:serve("/never", function() coap:sleep(100) end)
  local failed
  coap:get(coap:addresses()[1] .. "/never", function(_, err) failed = err end)
  coap:sleep(0.05)
  coap:free()
  -- Inside a callback, freeing takes effect after it.
  eventually(copal.default(), function() return failed end)
  equal(failed.name, "ECLOSED")
end)

test("T28 closing in a task waits for what is owed, so long and no longer", function()
  local coap, failed, took = copal.endpoint {}, nil, nil
  copal.run(function(main)
    assert(coap:listen "coap://127.0.0.1:0")
    coap:serve("/never", function() coap:sleep(100) end)
    coap:get(coap:addresses()[1] .. "/never", function(_, err) failed = err end)
    main:sleep(0.05)
    local before = main:now()
    coap:close(0.3)
    took = main:now() - before
  end)
  -- Inside a callback, freeing takes effect after it.
  eventually(copal.default(), function() return failed end)
  equal(failed.name, "ECLOSED")
  assert(took >= 0.25 and took < 2, took)
end)

test("any number of endpoints take turns", function()
  local servers, client = {}, assert(copal.endpoint())
  for i = 1, 20 do
    servers[i] = assert(copal.endpoint { listen = "coap://127.0.0.1:0" })
    servers[i]:serve("/i", function() return tostring(i) end)
  end
  for i, server in ipairs(servers) do
    equal(assert(client:get(server:addresses()[1] .. "/i")).text, tostring(i))
  end
  for _, server in ipairs(servers) do server:free() end
  client:free()
end)

test("a listening address in use is an error that names it", function()
  local a, b = copal.endpoint {}, copal.endpoint {}
  assert(a:listen "coap://127.0.0.1:0")
  local uri = a:addresses()[1]
  local ok, err = b:listen(uri)
  equal(ok, nil) equal(err.name, "EINUSE")
  assert(err.message:find(uri:match(":(%d+)$"), 1, true), err.message)
  a:free()
  b:free()
end)

collectgarbage()
collectgarbage()
test("messages are captured until told", function()
  local sim = assert(copal.sim())
  local server, client = assert(sim:endpoint "server"), assert(sim:endpoint "client")
  local path = os.tmpname()
  server:serve("/t", function() return "t" end)
  assert(client:log_to("capture", path))
  client:get "coap://server/t"
  assert(client:log_to "capture")
  local f = assert(io.open(path, "rb"))
  local kept = f:read "*a"
  f:close()
  os.remove(path)
  equal(kept:sub(1, 4), "\10\13\13\10")
  assert(kept:find("server:5683 to client:5683", 1, true))
  local ok, err = client:log_to("capture", "/no/such/folder")
  equal(ok, nil) equal(err.name, "ENOENT")
  sim:close()
end)

collectgarbage()
test("a recording is run again", function()
  local sim = assert(copal.sim())
  local server = assert(sim:endpoint "server")
  local client = assert(sim:endpoint("client", { record_memory = 65536 }))
  local path, heard = os.tmpname(), {}
  server:serve("/t", function() return "22.5 C" end)
  local ok, err = server:log_to("recording", path)
  equal(ok, nil) equal(err.name, "ESTATE")
  client:get "coap://server/t"
  assert(client:log_to("recording", path))
  assert(copal.replay(path, function(ev) heard[#heard + 1] = ev.ev end))
  equal(heard[1], "out") equal(heard[2], "in") equal(heard[3], "replay")
  ok, err = pcall(copal.replay, path, function() error("from within", 0) end)
  equal(ok, false) equal(err, "from within")
  ok, err = copal.replay "/no/such/file"
  equal(ok, nil) equal(err.name, "ENOENT")
  local f = assert(io.open(path, "ab"))
  f:write "x"
  f:close()
  ok, err = copal.replay(path)
  equal(ok, nil) equal(err.name, "EFORMAT")
  os.remove(path)
  sim:close()
end)

check.done()
