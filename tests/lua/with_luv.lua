-- On luv's loop: luv is loaded first, then the first endpoint is made.
local check = require "support.check"
check.needs_coroutines()
local uv = check.needs "luv"
local copal = require "copal"
local test, equal = check.test, check.equal

-- The copal program has made its endpoint before: two loops.
if not copal.use_loop "luv" then
  local ok, err = copal.use_loop "luv"
  equal(ok, nil) equal(err.name, "ESTATE")
  print("in the copal program the loop is its own")
  os.exit(77)
end

test("requests and luv's timers share the loop", function()
  local coap = copal.endpoint {}
  assert(coap:listen "coap://127.0.0.1:0")
  local base = coap:addresses()[1]
  coap:serve("/slow", function() coap:sleep(0.05) return "slow" end)
  local order, timer = {}, uv.new_timer()
  timer:start(10, 0, function()
    order[#order + 1] = "timer"
    timer:close()
    coroutine.wrap(function()
      order[#order + 1] = assert(coap:get(base .. "/slow")).text
      coap:free()
    end)()
  end)
  uv.run()
  equal(table.concat(order, " "), "timer slow")
end)

test("outside a coroutine waiting runs luv's loop", function()
  local coap, ticks, timer = copal.endpoint {}, 0, uv.new_timer()
  timer:start(1, 1, function() ticks = ticks + 1 end)
  coap:serve("/slow", function() coap:sleep(0.05) return "slow" end)
  assert(coap:listen "coap://127.0.0.1:0")
  equal(assert(coap:get(coap:addresses()[1] .. "/slow")).text, "slow")
  assert(ticks > 3, ticks)
  timer:close()
  coap:free()
end)

test("run works as ever", function()
  equal(copal.run(function(coap)
    coap:value("/v", 1)
    assert(coap:listen "coap://127.0.0.1:0")
    local text = coap:get(coap:addresses()[1] .. "/v").text
    coap:stop()
    return text
  end), "1")
end)

test("closing in an orderly way ends within its time", function()
  local coap = copal.endpoint {}
  assert(coap:listen "coap://127.0.0.1:0")
  coap:close(0.05)
  uv.run()
  equal(coap.handle, nil)
end)

test("its own ways to run are refused with a reason", function()
  local coap = copal.endpoint {}
  local fd, err = coap:pollfd()
  equal(fd, nil) equal(err.name, "ESTATE")
  coap:free()
end)

-- What is left open when the program ends is closed before luv's loop is.
left = copal.endpoint {}
assert(left:listen "coap://127.0.0.1:0")
left:get(left:addresses()[1] .. "/never", function() end)
left:every(1, function() end)

check.done()
