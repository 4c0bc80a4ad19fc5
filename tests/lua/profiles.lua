-- Profiles of devices, each against a device that insists on it.
local copal = require "copal"
local profiles = require "copal.profiles"
local check = require "support.check"
check.needs_coroutines()
local test, equal = check.test, check.equal

-- fn(client, device, sim); client's parameters are those of the profile.
local function with_device(name, fn)
  local sim = assert(copal.sim { seed = 11, delay = 0.01 })
  local device, client = assert(sim:endpoint "device"), assert(sim:endpoint "client")
  assert(client:profile("coap://device", name))
  fn(client, device, sim)
  sim:close()
end

local function ask(client, request)
  return assert(client:request(request))
end

test("a node that sleeps for ten seconds is asked once", function()
  with_device("thread-sleepy", function(client, device, sim)
    local body, sizes = ("x"):rep(200), {}
    device:serve("/t", { get = function() return "21.5" end, put = function(req)
      sizes[#sizes + 1] = #req.payload
      return copal.CHANGED
    end })
    sim:set_path { delay = 10 / 2 }
    equal(ask(client, { uri = "coap://device/t" }).text, "21.5")
    equal(select(2, sim.transcript:gsub("GET", "")), 1)
    equal(client:stats().retransmissions, 0)
    assert(client:put("coap://device/t", body))
    equal(table.concat(sizes, " "), "200")
    assert(sim.transcript:find("Block1 3/0/64", 1, true)
      or sim.transcript:find("1:3/0/64", 1, true), sim.transcript)
  end)
end)

test("a refusal of a router on the way to it is no verdict", function()
  with_device("thread-sleepy", function(client, device, sim)
    device:serve("/t", function() return "21.5" end)
    sim:refuse("device", true)
    client:spawn(function() client:sleep(5) sim:refuse("device", false) end)
    equal(ask(client, { uri = "coap://device/t" }).text, "21.5")
  end)
end)

test("an OCF device gets its Content-Format and version", function()
  with_device("samsung-ocf", function(client, device)
    assert(device:understand(2049))
    assert(device:understand(2053))
    local function serve(req)
      local version, of_payload
      for _, option in ipairs(req.options) do
        if option.number == 2049 then version = option.value end
        if option.number == 2053 then of_payload = option.value end
      end
      if not version then return copal.NOT_ACCEPTABLE end
      if req.payload ~= "" and not of_payload then return copal.UNSUPPORTED_FORMAT end
      return { payload = "\160", format = 10000,
        options = { { 2053, 2048 } } } -- critical, and understood
    end
    device:serve("/oic/d", { ct = 10000, get = serve, post = serve })
    equal(ask(client, { uri = "coap://device/oic/d" }).code, copal.CONTENT)
    equal(client:get("coap://device/oic/d", { accept = "json" }).code, copal.NOT_ACCEPTABLE)
    equal(ask(client, { code = "post", uri = "coap://device/oic/d", payload = "\160" }).code, copal.CHANGED)
  end)
end)

test("what the user says goes before what a profile says", function()
  with_device("samsung-ocf", function(client, device)
    local seen
    assert(device:understand(2049))
    device:serve("/oic/d", { get = function(req)
      seen = tostring(req.options)
      return ""
    end })
    ask(client, { uri = "coap://device/oic/d", accept = 60, options = { { 2049, 4096 } } })
    assert(seen:find("Accept: 60", 1, true), seen)
    assert(seen:find("2049: 1000", 1, true), seen)
    assert(not seen:find("0800", 1, true), seen)
    -- Elsewhere nothing is said, and here no more.
    assert(client:profile("coap://device/oic/d", "shelly"))
    ask(client, { uri = "coap://device/oic/d" })
    assert(not seen:find("2049", 1, true), seen)
    assert(client:profile("coap://device/oic/d", nil))
    assert(client:profile("coap://device", nil))
    ask(client, { uri = "coap://device/oic/d" })
    assert(not seen:find("2049", 1, true), seen)
  end)
end)

test("there are four, and no other", function()
  equal(table.concat(profiles.names(), " "), "samsung-ocf shelly thread-sleepy tradfri")
  local sim = assert(copal.sim { seed = 1 })
  local client = assert(sim:endpoint "client")
  local ok, err = client:profile(nil, "nonsense")
  equal(ok, nil) equal(err.name, "EINVAL")
  for _, name in ipairs(profiles.names()) do
    assert(err.message:find(name, 1, true), err.message)
    assert(client:profile(nil, name))
  end
  sim:close()
end)

test("a Shelly is asked without confirmation", function()
  with_device("shelly", function(client, device, sim)
    device:serve("/cit/s", function() return '{"G":[[0,3101,21.5]]}', "json" end)
    local res = ask(client, { uri = "coap://device/cit/s" })
    equal(res:json().G[1][3], 21.5)
    assert(sim.transcript:find("NON GET", 1, true), sim.transcript)
    assert(not sim.transcript:find("CON GET", 1, true), sim.transcript)
    ask(client, { uri = "coap://device/cit/s", non = false })
    assert(sim.transcript:find("CON GET", 1, true), sim.transcript)
  end)
end)

-- The gateway: one identity for the code that is printed on it, which may do
-- nothing but ask for another.
local function gateway(device, code)
  local given = {}
  assert(device:use_psk("*", "Client_identity", code))
  device:serve("/15011/9063", { post = function(req)
    if req.identity ~= "Client_identity" then return copal.FORBIDDEN end
    local name = req:json()["9090"]
    if given[name] then return copal.BAD_REQUEST end
    given[name] = "key of " .. name
    assert(device:use_psk("*", name, given[name]))
    return copal.CREATED, copal.json.encode { ["9091"] = given[name], ["9029"] = "1.3.14" }
  end })
  device:serve("/15001", { secure = true, get = function(req)
    if not given[req.identity] then return copal.FORBIDDEN end
    return "[65536]", "json"
  end })
  assert(device:listen "coaps://*")
end

test("a TRADFRI gateway gives a key of one's own", function()
  with_device("tradfri", function(client, device)
    local ok, err = client:use_psk("coaps://device", "x", "y")
    if not ok and err.name == "ENOTSUP" then return end
    client:forget "coaps://device"
    gateway(device, "printed below")
    local key = assert(profiles.pair(client, "tradfri", "coaps://device", "printed below", "me"))
    equal(key, "key of me")
    assert(client:use_psk("coaps://device", "me", key))
    equal(assert(client:get "coaps://device/15001").text, "[65536]")
    client:disconnect()
    local none, why = profiles.pair(client, "tradfri", "coaps://device", "printed below", "me")
    equal(none, nil) assert(why:find("choose another", 1, true), why)
    none, why = profiles.pair(client, "tradfri", "coaps://device", "another", "you")
    equal(none, nil) equal(why.name, "EAUTH")
    none, why = profiles.pair(client, "shelly", "coaps://device", "x", "you")
    equal(none, nil) assert(why:find("no such exchange", 1, true), why)
  end)
end)

check.done()
