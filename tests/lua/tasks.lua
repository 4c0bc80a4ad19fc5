-- Tasks, waiting and the loop.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal, throws = check.test, check.equal, check.throws
local eventually = check.eventually

test("a task waits while others go on", function()
  copal.run(function(coap)
    local order = {}
    coap:spawn(function() coap:sleep(0.03) order[#order + 1] = "c" end)
    coap:spawn(function() coap:sleep(0.01) order[#order + 1] = "a" end)
    coap:spawn(function() coap:sleep(0.02) order[#order + 1] = "b" end)
    eventually(coap, function() return #order == 3 end)
    equal(table.concat(order), "abc")
  end)
end)

test("run returns what its function returned", function()
  local a, b, c = copal.run(function() return 1, nil, 3 end)
  equal(a, 1) equal(b, nil) equal(c, 3)
end)

test("run throws what its function threw, with its place", function()
  throws("tasks.lua", copal.run, function(coap)
    coap:sleep(0.001)
    local nothing = nil
    return nothing.x
  end)
end)

test("join gives results and throws errors", function()
  copal.run(function(coap)
    local good = coap:spawn(function() coap:sleep(0.001) return "x" end)
    local bad = coap:spawn(function() coap:sleep(0.02) error("oops", 0) end)
    equal(good:join(), "x")
    throws("oops", bad.join, bad)
    local ok, e = coap:spawn(function() error("at once", 0) end):wait()
    equal(ok, false) equal(e, "at once")
  end)
end)

test("cancelling a task throws ECANCEL where it waits", function()
  copal.run(function(coap)
    local seen
    local t = coap:spawn(function()
      local ok, e = pcall(coap.sleep, coap, 100)
      seen = not ok and e
      error(e, 0)
    end)
    equal(t:cancel(), true)
    equal(t:cancel(), false)
    assert(copal.is_error(seen, "ECANCEL"))
  end)
end)

test("an error nobody waits for goes to on_error", function()
  local seen
  copal.on_error(function(e) seen = tostring(e) end)
  copal.run(function(coap)
    coap:spawn(function() coap:sleep(0.001) error("lost and found") end)
    eventually(coap, function() return seen end)
  end)
  assert(seen:find("lost and found", 1, true))
end)

test("a plain coroutine may wait, too", function()
  copal.run(function(coap)
    local done
    coroutine.wrap(function() coap:sleep(0.002) done = true end)()
    equal(done, nil)
    eventually(coap, function() return done end)
  end)
end)

if coroutine.close then
test("a coroutine closed while it waits is not woken", function()
  local errors = 0
  copal.on_error(function() errors = errors + 1 end)
  copal.run(function(coap)
    local reached = false
    local co = coroutine.create(function() coap:sleep(0.002) reached = true end)
    coroutine.resume(co)
    coroutine.close(co)
    coap:sleep(0.01)
    equal(reached, false)
  end)
  equal(errors, 0)
end)
end

test("a bare yield in a task is reported, not waited for", function()
  throws("coroutine.yield", copal.run, function() coroutine.yield() end)
end)

test("outside a coroutine waiting runs the loop", function()
  local c = copal.endpoint {}
  local before = c:now()
  c:sleep(0.02)
  assert(c:now() - before >= 0.015)
  c:free()
end)

test("waiting inside a callback is a clear error", function()
  local seen
  copal.on_error(function(e) seen = tostring(e) end)
  local c = copal.endpoint {}
  assert(c:ping("coap://127.0.0.1:9", function() c:sleep(1) end))
  copal.run(function(coap) eventually(coap, function() return seen end) end)
  assert(seen:find("inside a callback", 1, true), seen)
  c:free()
end)

-- Inside the task that is a script's main chunk others may still do something.
if not coroutine.isyieldable() then
  test("waiting for what cannot come is an error, not for ever", function()
    throws("cannot come", copal.run, function(coap) coap:forever() end)
  end)
end

test("every repeats until cancelled", function()
  copal.run(function(coap)
    local n = 0
    local timer
    timer = coap:every(0.002, function()
      n = n + 1
      if n == 3 then timer:cancel() end
    end)
    eventually(coap, function() return n >= 3 end)
    coap:sleep(0.02)
    equal(n, 3)
  end)
end)

test("after may be cancelled, and its function may wait", function()
  copal.run(function(coap)
    local a, b
    coap:after(0.001, function() coap:sleep(0.002) a = true end)
    local timer = coap:after(0.001, function() b = true end)
    timer:cancel()
    equal(timer:cancel(), false)
    eventually(coap, function() return a end)
    equal(b, nil)
  end)
end)

test("two endpoints wait side by side", function()
  local a, b = copal.endpoint {}, copal.endpoint {}
  local fired = 0
  a:after(0.005, function() fired = fired + 1 end)
  b:after(0.001, function() fired = fired + 10 end)
  eventually(a, function() return fired == 11 end)
  a:free()
  b:free()
end)

test("run goes on until nothing is left to do", function()
  local c = copal.endpoint {}
  local fired = 0
  c:after(0.002, function() c:sleep(0.002) fired = fired + 1 end)
  equal(c:run(), "idle")
  equal(fired, 1)
  equal(c:run(), "idle")
  c:free()
end)

test("the endpoint of the surrounding run can be run to its rest, too", function()
  copal.run(function(coap)
    local fired
    coap:after(0.002, function() fired = true end)
    equal(coap:run(), "idle")
    equal(fired, true)
  end)
end)

test("one of several endpoints is idle when its last timer or exchange is over", function()
  copal.run(function(coap)
    assert(coap:listen "coap://127.0.0.1:0") -- and so is never idle
    coap:serve("/t", function() return "t" end)
    local other, fired, got = copal.endpoint {}, 0, 0
    other:after(0.002, function() fired = fired + 1 end)
    equal(other:run(), "idle")
    equal(fired, 1)
    local never = other:after(3600, function() fired = fired + 1 end)
    coap:after(0.002, function() never:cancel() end)
    equal(other:run(), "idle")
    equal(fired, 1)
    for _ = 1, 3 do
      other:get(coap:addresses()[1] .. "/t", function() got = got + 1 end)
    end
    equal(other:run(), "idle")
    equal(got, 3)
    other:free()
    coap:stop()
  end)
end)

test("stop ends run", function()
  local c = copal.endpoint {}
  assert(c:listen "coap://127.0.0.1:0")
  c:after(0.002, function() c:stop() end)
  equal(c:run(), "stopped")
  c:free()
  throws("closed", c.get, c, "coap://127.0.0.1/")
end)

-- Lua itself looks for what is left when as much again was allocated, which may be
-- never.
test("thousands who waited at once leave little behind", function()
  local sim = copal.sim { seed = 1 }
  local server, client = sim:endpoint "server", sim:endpoint "client"
  local waiting, most, got = 0, 0, 0
  server:serve("/t", function()
    waiting = waiting + 1
    most = math.max(most, waiting)
    server:sleep(1)
    waiting = waiting - 1
    return "x"
  end)
  for _ = 1, 6000 do
    client:get("coap+tcp://server/t", function() got = got + 1 end)
  end
  sim:run(0.9)
  local during = collectgarbage "count"
  sim:run(20)
  equal(got, 6000)
  assert(most > 1000)
  assert(collectgarbage "count" < during / 2,
    collectgarbage "count" .. " of " .. during .. " kB are still there")
  sim:close()
end)

check.done()
