-- Callback style, which is all there is in Lua 5.1.
local copal = require "copal"
local check = require "support.check"
local test, equal, throws = check.test, check.equal, check.throws

-- An endpoint that serves and asks itself; fn starts something and stops it.
local function with_server(fn)
  local coap = copal.endpoint {}
  assert(coap:listen "coap://127.0.0.1:0")
  local timer = coap:after(3, function() coap:stop() error("nothing came") end)
  fn(coap, coap:addresses()[1])
  equal(coap:run(), "stopped")
  timer:cancel()
  coap:free()
end

test("a request tells its answer", function()
  local body
  with_server(function(coap, base)
    coap:serve("/x", function(req) return "hello " .. req.query.name end)
    coap:get(base .. "/x?name=you", function(res, err)
      body = assert(res, err).payload
      coap:stop()
    end)
  end)
  equal(body, "hello you")
end)

test("a body goes out, a code comes back", function()
  local code, kept
  with_server(function(coap, base)
    coap:serve("/x", { put = function(req) kept = req.payload return copal.CHANGED end })
    coap:put(base .. "/x", "milk, eggs", { format = "text" }, function(res, err)
      code = assert(res, err).code
      coap:stop()
    end)
  end)
  equal(code, copal.CHANGED) equal(kept, "milk, eggs")
end)

test("an observation tells every value", function()
  local seen = {}
  with_server(function(coap, base)
    local v = coap:value("/v", 1)
    local obs
    obs = coap:observe(base .. "/v", function(note, err)
      if err then return coap:stop() end
      seen[#seen + 1] = note.payload
      if #seen == 3 then obs:cancel() else v.value = #seen + 1 end
    end)
  end)
  equal(table.concat(seen, " "), "1 2 3")
end)

test("a failure is told with its name", function()
  local coap, name = copal.endpoint {}, nil
  coap:get("coap://127.0.0.1:1/", function(_, err) name = err.name end)
  coap:run()
  equal(name, "EREFUSED")
  coap:free()
end)

test("timers call back, and may be cancelled", function()
  local coap, n = copal.endpoint {}, 0
  local timer
  timer = coap:every(0.002, function()
    n = n + 1
    if n == 3 then timer:cancel() end
  end)
  coap:after(0.001, function() n = n + 100 end):cancel()
  coap:run()
  equal(n, 3)
  coap:free()
end)

test("a handler that throws answers 5.00, the next one works", function()
  local codes, told = {}, nil
  copal.on_error(function(e) told = tostring(e) end)
  with_server(function(coap, base)
    coap:serve("/bug", function() error "handler bug" end)
    coap:serve("/fine", function() return "fine" end)
    coap:get(base .. "/bug", function(res)
      codes[1] = tostring(res.code)
      coap:get(base .. "/fine", function(again)
        codes[2] = tostring(again.code)
        coap:stop()
      end)
    end)
  end)
  equal(codes[1], "5.00 Internal Server Error")
  equal(codes[2], "2.05 Content")
  assert(told:find("handler bug", 1, true))
end)

-- Where tables have finalisers. The collector is as busy as it can be, so one is
-- called while the place of a request is made.
if _VERSION ~= "Lua 5.1" then
  test("a finaliser may ask by the endpoint that asks, or free it", function()
    local pause = collectgarbage("setpause", 0)
    local speed = collectgarbage("setstepmul", 1000)
    local sim, freed, asked = copal.sim { seed = 1 }, 0, 0
    local function heard() end
    for i = 1, 40 do
      local client, collected = sim:endpoint("client" .. i), false
      setmetatable({}, { __gc = function()
        collected = true
        if i % 2 == 0 then client:free() return end
        for k = 1, 3 do client:get("coap://server/" .. i .. "/" .. k, heard) end
      end })
      while not collected do
        local request, err = client:get("coap://server/t", heard)
        if request then
          equal(request.uri, "coap://server/t")
        else
          equal(err.name, "ECLOSED")
          freed = freed + 1
        end
        if collected and request and i % 2 == 1 then asked = asked + 1 end
      end
      client:free()
    end
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", speed)
    assert(freed > 0 and asked > 0, freed .. ", " .. asked)
    sim:close()
  end)
end

if not coroutine.isyieldable then
  test("waiting in a coroutine is a clear error in Lua 5.1", function()
    local coap = copal.endpoint {}
    throws("callback style only on Lua 5.1", coroutine.wrap(function()
      coap:get "coap://127.0.0.1:1/"
    end))
    throws("callback style only on Lua 5.1", copal.run, function(c) c:sleep(1) end)
    coap:free()
  end)
end

-- Also where there is no other way, the main chunk may wait.
test("outside a coroutine asking runs the loop", function()
  local coap = copal.endpoint {}
  coap:serve("/x", function() return "x" end)
  assert(coap:listen "coap://127.0.0.1:0")
  equal(assert(coap:get(coap:addresses()[1] .. "/x")).payload, "x")
  coap:free()
end)

check.done()
