-- Errors of handlers, which strangers can cause as often as they like, are told
-- in bounds, and what is told has nothing of what they sent. As in Python:
-- tests/python/test_logs.py.
local copal = require "copal"
local check = require "support.check"
local test, equal = check.test, check.equal

local told, left = {}, {}
copal.on_error(function(e, left_out)
  told[#told + 1], left[#left + 1] = tostring(e), left_out
end)

local function world(parameters)
  told, left = {}, {}
  local sim = assert(copal.sim { seed = 1 })
  local server = assert(sim:endpoint("server", parameters))
  server:serve("/bad", function() error "on purpose" end)
  return sim, server
end

-- NON GET /bad, each with a message id of its own.
local function ask(sim, first, count)
  for mid = first, first + count - 1 do
    assert(sim:inject("stranger" .. mid % 7, "server",
      string.char(0x50, 1, math.floor(mid / 256), mid % 256, 0xb3) .. "bad"))
  end
  sim:run(0.001)
end

test("ten are told at once, then one a second, with how many were not", function()
  local sim, server = world()
  ask(sim, 1, 500)
  equal(#told, 10)
  for i = 1, 10 do equal(left[i], 0) end
  ask(sim, 501, 100)
  equal(#told, 10)
  sim:run(1)
  ask(sim, 601, 100)
  equal(#told, 11)
  equal(left[11], 590)
  assert(told[11]:find("on purpose", 1, true))
  sim:run(60)
  ask(sim, 701, 100)
  equal(#told, 21)
  equal(left[12], 99)
  assert(server:metrics_text():find("\ncopal_log_left_out_total 779\n", 1, true))
  sim:close()
end)

test("how many can be said by log_burst and log_rate", function()
  local sim, server = world { log_burst = 3, log_rate = 10 }
  ask(sim, 1, 100)
  equal(#told, 3)
  sim:run(0.5)
  ask(sim, 101, 100)
  equal(#told, 6)
  assert(server:tune(nil, { log_burst = 0 }))
  ask(sim, 201, 100)
  equal(#told, 106)
  sim:close()
end)

test("answers too long for their connection are told in the same bounds", function()
  local sim, server = world()
  local client = assert(sim:endpoint("small", { max_message = 1152 }))
  server:serve("/long", { post = function()
    local path = {}
    for i = 1, 10 do path[i] = ("x"):rep(200) end -- options go in no blocks
    return { code = copal.CREATED, location_path = path }
  end })
  local ends = 0
  for _ = 1, 100 do
    client:post("coap+tcp://server/long", "x", function() ends = ends + 1 end)
  end
  sim:run(0.5)
  equal(ends, 100)
  equal(#told, 10)
  sim:close()
end)

test("tasks and handlers do not take each other's lines", function()
  local sim, server = world()
  ask(sim, 1, 100)
  equal(#told, 10)
  server:after(0, function() error "a task" end)
  sim:run(0.1)
  equal(#told, 11)
  assert(told[11]:find("a task", 1, true))
  sim:close()
end)

check.done()
