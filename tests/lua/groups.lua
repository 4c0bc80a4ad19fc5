-- Groups: joining, asking all members, and finding who is out there.
local copal = require "copal"
local check = require "support.check"
local test, equal, throws = check.test, check.equal, check.throws

check.needs_coroutines()

local GROUP = "coap://224.0.1.187"

local function with_members(fn)
  local sim = assert(copal.sim { seed = 5 })
  local client = assert(sim:endpoint "client")
  for i = 1, 3 do
    local dev = assert(sim:endpoint("dev" .. i))
    dev:serve("/name", { get = function() return "I am " .. i end, group = true,
      rt = i < 3 and "name" or "lamp" })
    assert(dev:join(GROUP))
    equal(select(2, dev:join(GROUP)).name, "EEXIST")
  end
  fn(client, sim)
  sim:close()
end

local function sorted(list)
  table.sort(list)
  return table.concat(list, " ")
end

test("every member answers", function()
  with_members(function(c)
    local texts = {}
    for res in c:answers(GROUP .. "/name") do
      texts[#texts + 1] = res.remote.hostinfo .. "=" .. res.text
    end
    equal(sorted(texts), "dev1=I am 1 dev2=I am 2 dev3=I am 3")
    local none = c:answers(GROUP .. "/nothing")
    equal(none(), nil)
    equal(none.error.name, "ETIMEOUT")
    local res, err = c:get(GROUP .. "/name")
    equal(res, nil) equal(err.name, "EINVAL")
  end)
end)

test("links are joined to who told them", function()
  with_members(function(c)
    local list = assert(c:get("coap://dev3/.well-known/core")):links { rt = "lamp" }
    equal(list[1].href, "/name") equal(list[1].uri, "coap://dev3/name")
    local m = c:message("POST", "coap://dev3/rd", { payload =
      '<t>,<coap://[::1]/x>;rt="a",<//b/c>', format = "link" })
    equal(m:links()[1].uri, "coap://dev3/t")
    equal(m:links()[2].uri, "coap://[::1]/x")
    equal(m:links()[3].uri, "coap://b/c")
  end)
end)

test("job 11: discovery", function()
  with_members(function(c)
    local uris = {}
    for dev in c:find { wait = 6 } do
      for _, l in ipairs(dev:links { rt = "name" }) do uris[#uris + 1] = l.uri end
      equal(tostring(dev), dev.remote.uri)
    end
    equal(sorted(uris), "coap://dev1/name coap://dev2/name")
    local lamps = {}
    for dev in c:find { rt = "lamp" } do lamps[#lamps + 1] = tostring(dev) end
    equal(sorted(lamps), "coap://dev3")
    equal(c:find { group = "coap://224.0.1.188", wait = 1 } (), nil)
  end)
end)

test("callbacks are told, and of the end", function()
  with_members(function(c, sim)
    local devices, over = 0, false
    c:find({ wait = 6 }, function(dev, err)
      if dev then devices = devices + 1 else over = true equal(err, nil) end
    end)
    sim:run(20)
    equal(devices, 3) equal(over, true)
  end)
end)

test("a search that was given up tells no more", function()
  with_members(function(c, sim)
    local search = c:find {}
    assert(search())
    equal(search:cancel(), true)
    equal(search:cancel(), false)
    while search() do end -- what was there already
    sim:run(20)
  end)
end)

test("what is wrong is said at once", function()
  with_members(function(c)
    throws("unknown key waits", function() c:find { waits = 3 } end)
    throws("no such network interface", function() c:find { interface = "nosuch0" } end)
    throws("URI expected", function() c:answers() end)
    equal(#c:interfaces(), 0)
  end)
end)

check.done()
