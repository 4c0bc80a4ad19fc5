-- The amplification limit (RFC 9175 2.4): what the resources of `copal serve
-- --test` send to who may not be there, and that a client notices nothing.
local copal = require "copal"
local testsite = require "copal.testsite"
local check = require "support.check"
check.needs_coroutines()
local test, equal = check.test, check.equal

local MOST = 136 -- bytes

-- GET of path, by options: "\nlongtest".
local function datagram(kind, mid, path)
  local bytes, last = { string.char(kind, 1, math.floor(mid / 256), mid % 256) }, 0
  for segment in path:gmatch("[^/]+") do
    assert(#segment < 269)
    local delta = (11 - last) * 16
    bytes[#bytes + 1] = #segment < 13 and string.char(delta + #segment)
      or string.char(delta + 13, #segment - 13)
    bytes[#bytes + 1] = segment
    last = 11
  end
  return table.concat(bytes)
end

local CON, NON = 0x40, 0x50

test("nothing of the test server makes a forged request worth while", function()
  local sim = assert(copal.sim { seed = 1 })
  local server = assert(sim:endpoint("server", { guard_loopback = 1 }))
  testsite.mount(server)
  local asked, answers = {}, {}
  assert(server:trace("wire", function(ev)
    if ev.ev == "in" or not ev.peer:find("192.0.", 1, true) then return end
    local a = answers[ev.peer] or { count = 0, empty = 0, longest = 0 }
    answers[ev.peer] = a
    assert(ev.ev == "out", "sent again to " .. ev.peer)
    assert(ev.code == "0.00" or ev.type ~= "CON", "a confirmable one")
    a.count = a.count + (ev.code == "0.00" and 0 or 1)
    a.empty = a.empty + (ev.code == "0.00" and 1 or 0)
    a.longest = math.max(a.longest, ev.len)
  end))
  local paths = { "/", "/nothing/there", "/" .. ("a-long-name"):rep(20) }
  for _, link in ipairs(server:links()) do
    local path = link.href
    if not path:find("%7B", 1, true) then paths[#paths + 1] = path end
  end
  assert(#paths > 20, "only " .. #paths)
  for i, path in ipairs(paths) do
    for _, kind in ipairs { CON, NON } do
      local source = "192.0." .. (kind == CON and 2 or 3) .. "." .. i
      local request = datagram(kind, i, path)
      asked[source] = { path = path, len = #request, kind = kind }
      assert(sim:inject(source, "server", request))
    end
  end
  sim:run(400)
  for source, request in pairs(asked) do
    local a = assert(answers["coap://" .. source], request.path .. ": no answer")
    local most = math.max(MOST, 3 * request.len)
    if a.count ~= 1 or a.longest > most or a.empty > (request.kind == CON and 1 or 0) then
      error(("%s: %d answers, %d bytes to %d"):format(request.path, a.count,
        a.longest, request.len))
    end
  end
  sim:close()
end)

test("a client of a guarded simulator gets all of it", function()
  local sim = assert(copal.sim { seed = 1, delay = 0.01 })
  local server = assert(sim:endpoint("server", { guard_loopback = 1 }))
  local client = assert(sim:endpoint "client")
  testsite.mount(server)
  assert(#assert(client:get "coap://server/large").payload >= 1280)
  assert(assert(client:get "coap://server/.well-known/core"):links())
  local _, echoes = sim.transcript:gsub(" echo", "")
  equal(echoes, 2)
  sim:close()
end)

test("over a real port, too", function()
  copal.run(function(coap)
    assert(coap:tune(nil, { guard_loopback = 1, echo_factor = 2 }))
    local body, asked = ("0123456789"):rep(10000), 0
    coap:serve("/big", function() asked = asked + 1 return body end)
    assert(coap:listen "coap://127.0.0.1:0")
    local r = assert(coap:get(coap:addresses()[1] .. "/big"))
    equal(r.payload, body)
    equal(asked, 2) -- the beginning of it, and once known to be there all
    coap:stop()
  end)
end)
