-- In a cqueues controller.
local check = require "support.check"
check.needs_coroutines()
local cqueues = check.needs "cqueues"
local copal = require "copal"
local attach = require "copal.cqueues"
local test, equal = check.test, check.equal

-- A server in a controller of its own, and fn in a coroutine beside it.
local function with_server(fn)
  local cq, coap = cqueues.new(), copal.endpoint {}
  assert(coap:listen "coap://127.0.0.1:0")
  attach(coap, cq)
  cq:wrap(function()
    fn(coap, coap:addresses()[1], cq)
    coap:free()
  end)
  assert(cq:loop(5))
  equal(cq:empty(), true)
end

test("a coroutine of the controller waits, others go on", function()
  with_server(function(coap, base, cq)
    local ticks, client = 0, copal.endpoint {}
    coap:serve("/slow", function() coap:sleep(1) return "slow" end)
    cq:wrap(function()
      for _ = 1, 5 do cqueues.sleep(0.01) ticks = ticks + 1 end
    end)
    equal(assert(client:get(base .. "/slow")).text, "slow")
    equal(ticks, 5)
    client:free()
  end)
end)

test("many slow answers at once", function()
  with_server(function(coap, base)
    coap:tune(nil, { nstart = 64 })
    coap:serve("/slow", function() coap:sleep(0.2) return "slow" end)
    local uris = {}
    for i = 1, 40 do uris[i] = base .. "/slow?" .. i end
    local n, began = 0, cqueues.monotime()
    for _, r, err in coap:get_all(uris, { limit = 40 }) do
      equal(assert(r, err).text, "slow")
      n = n + 1
    end
    equal(n, 40)
    assert(cqueues.monotime() - began < 4) -- one after the other: 8
  end)
end)

test("observing in a loop", function()
  with_server(function(coap, base)
    local v, seen = coap:value("/v", 1), {}
    local obs = coap:observe(base .. "/v")
    for note in obs do
      seen[#seen + 1] = note.text
      if #seen == 3 then break end
      v.value = #seen + 1
    end
    obs:cancel()
    equal(table.concat(seen, " "), "1 2 3")
  end)
end)

test("an endpoint is what cqueues polls", function()
  local coap, text = copal.endpoint {}, nil
  coap:serve("/x", function() return "x" end)
  assert(coap:listen "coap://127.0.0.1:0")
  coap:get(coap:addresses()[1] .. "/x", function(res) text = res.text end)
  local cq = cqueues.new()
  cq:wrap(function()
    while not text do
      cqueues.poll(coap)
      assert(coap:step())
    end
  end)
  assert(cq:loop(5))
  equal(text, "x")
  coap:free()
end)

check.done()
