-- Simulated networks: virtual time, loss that is the same every time.
local copal = require "copal"
local check = require "support.check"
local test, equal, throws = check.test, check.equal, check.throws

local function pair(options)
  local sim = assert(copal.sim(options))
  return sim, assert(sim:endpoint "server"), assert(sim:endpoint "client")
end

test("an hour passes at once", function()
  local sim, _, client = pair()
  local began = os.time()
  client:sleep(3600)
  equal(sim:now(), 3600)
  assert(os.time() - began < 60)
  sim:run(1800)
  equal(sim:now(), 5400)
  sim:close()
end)

test("the same seed gives the same run", function()
  local function transcript(seed)
    local sim, server, client = pair { seed = seed, loss = 40, delay = 0.1, jitter = 0.2 }
    server:serve("/t", function() return "t" end)
    for _ = 1, 5 do client:get("coap://server/t") end
    local text = sim.transcript
    sim:close()
    return text
  end
  local a = transcript(3)
  equal(transcript(3), a)
  assert(transcript(4) ~= a)
end)

test("a path, and what a host loses, may be set", function()
  local sim, server, client = pair()
  server:serve("/t", function() return "t" end)
  assert(sim:set_path { from = "client", to = "server", delay = 0.5 })
  assert(client:get "coap://server/t")
  equal(sim:now(), 0.5)
  assert(sim:lose("server", 1))
  assert(client:get "coap://server/t")
  assert(sim:now() > 3 and sim.transcript:find("(lost)", 1, true))
  throws("unknown key", sim.set_path, sim, { lose = 3 })
  local ok, err = sim:set_path { loss = 101 }
  equal(ok, nil) equal(err.name, "EINVAL")
  sim:close()
end)

test("an answer too long for its connection is a 5.00 at once", function()
  local sim, server = pair()
  local client = assert(sim:endpoint("small", { max_message = 1152 }))
  server:serve("/t", { post = function()
    local path = {}
    for i = 1, 10 do path[i] = ("x"):rep(200) end -- options go in no blocks
    return { code = copal.CREATED, location_path = path }
  end })
  local r, err = client:post("coap+tcp://server/t", "x", { timeout = 20 })
  equal(r and r.code, copal.INTERNAL_ERROR, err)
  equal(sim:now(), 0)
  sim:close()
end)

test("who wants no answer gets true when it is acknowledged, or sent", function()
  local sim, server, client = pair { delay = 0.1 }
  server:serve("/t", function() return "t" end)
  equal(client:put("coap://server/t", "x", { no_response = 26 }), true)
  assert(math.abs(sim:now() - 0.2) < 1e-6)
  equal(client:put("coap://server/t", "x", { no_response = 26, non = true }), true)
  assert(math.abs(sim:now() - 0.2) < 1e-6)
  sim:close()
end)

test("q_block: bodies both ways in sets that nobody confirms", function()
  local sim, server, client = pair()
  server:tune(nil, { q_block = true })
  server:serve("/t", { post = function(req) return req.payload end })
  local body = ("x"):rep(12000)
  local answer = client:post("coap://server/t", body, { non = true, q_block = true })
  equal(answer.payload, body)
  assert(sim.transcript:find("NON 2.31", 1, true))
  assert(sim.transcript:find(" q1:11/0/1024", 1, true))
  assert(sim.transcript:find(" q2:11/0/1024", 1, true))
  sim:close()
end)

test("what is fresh is not asked again, unless the request says no_cache", function()
  local sim, server, client = pair()
  local asked = 0
  server:serve("/t", function()
    asked = asked + 1
    return { payload = tostring(asked), max_age = 10 }
  end)
  local url = "coap://server/t"
  equal(client:get(url).text, "1")
  equal(client:get(url).text, "2")
  client:tune(nil, { cache_memory = 65536 })
  equal(client:get(url).text, "3")
  client:sleep(4)
  local kept = client:get(url)
  equal(kept.text, "3") equal(kept.max_age, 6)
  equal(client:get(url, { no_cache = true }).text, "4")
  equal(client:get(url).text, "4")
  sim:close()
end)

test("a 4.29 is the answer until its Max-Age is over", function()
  local sim, server, client = pair()
  local asked = 0
  server:serve("/t", function()
    asked = asked + 1
    return asked == 1 and { code = "4.29", payload = "slowly", max_age = 10 } or "done"
  end)
  local url = "coap://server/t"
  equal(client:get(url).code, copal.TOO_MANY_REQUESTS)
  client:sleep(4)
  local kept = client:get(url)
  equal(kept.text, "slowly") equal(kept.max_age, 6) equal(asked, 1)
  client:sleep(6)
  equal(client:get(url).text, "done")
  sim:close()
end)

test("a problem says what went wrong", function()
  local sim, server, client = pair()
  local given = {}
  server:serve("/t", function() return { code = "4.09", problem = given.problem } end)
  local function asked(problem)
    given.problem = problem
    return client:get "coap://server/t"
  end
  local r = asked { title = "taken", detail = "try the 4th", instance = "/log/7",
    response_code = "4.09", base_uri = "coap://h", base_lang = "en-GB",
    base_direction = "ltr", options = { 9, 21 },
    entries = { [4711] = { [0] = "x" }, ["tag:a"] = { b = { 1, 2 } }, [-20] = true } }
  equal(r.format, copal.PROBLEM)
  local p = r.problem
  equal(p.title, "taken") equal(p.detail, "try the 4th") equal(p.instance, "/log/7")
  equal(p.response_code, copal.CONFLICT) equal(p.base_uri, "coap://h")
  equal(p.base_lang, "en-GB") equal(p.base_direction, "ltr")
  equal(#p.options, 2) equal(p.options[2], 21)
  equal(p.entries[4711][0], "x") equal(p.entries["tag:a"].b[2], 2)
  equal(p.entries[-20], true) equal(p.entries[-1], nil)
  equal(tostring(p), "taken: try the 4th")
  local ok, err = r:check()
  equal(ok, nil)
  equal(tostring(err), "4.09 Conflict: coap://server/t: taken: try the 4th")

  p = asked("taken").problem
  equal(p.title, "taken") equal(p.detail, nil) equal(next(p.entries), nil)
  p = asked { detail = "\215\169", detail_lang = "he", detail_direction = "rtl" }.problem
  equal(p.detail, "\215\169") equal(p.detail_lang, "he") equal(p.detail_direction, "rtl")
  equal(asked { options = { 9 } }.problem.options[1], 9)
  sim:close()
end)

test("a problem is returned with its format, or as it was read", function()
  local sim, server, client = pair()
  local given
  server:serve("/t", function() return given() end)
  local function asked(fn)
    given = fn
    return client:get "coap://server/t"
  end
  local r = asked(function()
    return copal.BAD_REQUEST, { title = "too hot", options = { 9 } }, copal.PROBLEM
  end)
  equal(r.code, copal.BAD_REQUEST) equal(r.problem.title, "too hot")
  local read = r.problem
  r = asked(function() return copal.CONFLICT, read end)
  equal(r.code, copal.CONFLICT) equal(r.problem.options[1], 9)
  r = asked(function()
    return { code = "4.00", payload = { detail = "d" }, format = copal.PROBLEM }
  end)
  equal(r.format, copal.PROBLEM) equal(r.problem.detail, "d")
  r = asked(function() return copal.BAD_REQUEST, { [-1] = "by number" }, copal.PROBLEM end)
  equal(r.problem.title, "by number")
  r = client:put("coap://server/t", { titel = "x" }, { format = copal.PROBLEM })
  equal(r, nil)
  sim:close()
end)

test("what a handler returns amiss is told in words that help", function()
  local sim, server, client = pair()
  local told, given = nil, nil
  copal.on_error(function(e) told = tostring(e) end)
  server:serve("/t", function() return given() end)
  local bad = {
    { "one table", function() return copal.CONTENT, "v1", { max_age = 30 } end },
    { "one table", function() return "v1", { max_age = 30 } end },
    { "one table", function() return copal.CONTENT, { payload = 1 }, { max_age = 30 } end },
    { "no titel", function() return copal.BAD_REQUEST, { titel = "t" }, copal.PROBLEM end },
  }
  for _, row in ipairs(bad) do
    given, told = row[2], nil
    equal(client:get("coap://server/t").code, copal.INTERNAL_ERROR)
    assert(told and told:find(row[1], 1, true), row[1] .. ": " .. tostring(told))
  end
  sim:close()
end)

test("errors about messages say what to do, once", function()
  local sim, _, client = pair()
  local _, err = client:put("coap://server/t", ("x"):rep(4000), { resume = 10 })
  equal(tostring(err), "resume: an upload goes on where PROGRESS said, or at another multiple of 16")
  _, err = client:get("coap://server/t", { q_block = 7 })
  equal(tostring(err), "q_block: 7 is out of range, 0 to 1")
  _, err = sim:endpoint("other", { q_block = 7 })
  equal(tostring(err), "q_block: 7 is out of range, 0 to 1")
  local m = client:message("GET", "coap://server/t")
  _, err = m:add("ETag", "too long for one")
  equal(err.name, "EINVAL")
  assert(err.message:find "ETag", err.message)
  sim:close()
end)

test("an interface is named wherever there is one", function()
  local sim, _, client = pair()
  local _, err = client:get("coap://server/t", { interface = "nosuch0" })
  equal(err.name, "ENOENT")
  equal(tostring(err), "interface: nosuch0: this host has no such network interface, or it is down")
  equal(select(2, client:tune(nil, { interface = "nosuch0" })).name, "ENOENT")
  sim:close()
  local real = assert(copal.endpoint())
  local all = real:interfaces()
  if #all > 0 then
    assert(real:message("GET", "coap://localhost/t", { interface = all[#all].name }))
    assert(real:tune(nil, { interface = all[#all].name }))
    assert(copal.endpoint { interface = all[#all].name }):free()
  end
  real:free()
end)

test("what is no problem is not sent as one, nor taken for one", function()
  local sim, server, client = pair()
  local errors, given = {}, nil
  copal.on_error(function(e) errors[#errors + 1] = tostring(e) end)
  server:serve("/t", function() return given end)
  local bad = {
    { { title = "t" }, "needs a code", true },
    { {}, "title" }, { { title = 7 }, "title" }, { { titel = "t" }, "titel" },
    { { title = "t", title_lang = "?" }, "languages" },
    { { title = "t", base_direction = "up" }, "direction" },
    { { title = "t", response_code = "4.04" }, "response_code" },
    { { entries = { [5] = 1 } }, "tables" }, { 7, "table" },
  }
  for i, row in ipairs(bad) do
    given = { code = not row[3] and "4.00" or nil, problem = row[1] }
    equal(client:get("coap://server/t").code, copal.INTERNAL_ERROR)
    assert(errors[i] and errors[i]:find(row[2], 1, true), row[2] .. ": " .. tostring(errors[i]))
  end
  given = { code = "4.00", payload = "\160", format = copal.PROBLEM }
  local r = client:get "coap://server/t"
  equal(r.problem, nil)
  equal(select(2, r:check()).name, "4.00")
  given = { code = "4.00", payload = "text" }
  equal(client:get("coap://server/t").problem, nil)
  local m = assert(client:message("4.00"))
  m.payload = "as it was"
  assert(not pcall(function() m.problem = {} end))
  equal(m.payload, "as it was")
  sim:close()
end)

test("a handler sees the address of a host that moved", function()
  local sim, server, client = pair()
  local seen = {}
  server:serve("/who", function(req) seen[#seen + 1] = req.remote.uri return "" end)
  client:get "coap://server/who"
  assert(sim:move "client")
  client:get "coap://server/who"
  assert(seen[2] and seen[1] ~= seen[2], tostring(seen[2]))
  sim:close()
end)

test("freeing an endpoint is a crash, making it anew a reboot", function()
  local sim, server, client = pair()
  server:serve("/t", function() return "first" end)
  local again, err = sim:endpoint "server"
  equal(again, nil) equal(err.name, "EEXIST")
  server:free()
  local r, failed = client:get("coap://server/t", { timeout = 10 })
  equal(r, nil) assert(failed.name)
  server = assert(sim:endpoint "server")
  server:serve("/t", function() return "second" end)
  equal(assert(client:get "coap://server/t").text, "second")
  sim:close()
end)

test("an endpoint tells what it lists, parsed and filtered", function()
  local sim, server = pair()
  server:serve("/t", { rt = "temperature", ct = 0, get = function() end })
  server:serve("/n", { rt = 'say "n"', observable = true, get = function() end })
  equal(#server:links(), 3) -- with /.well-known/core
  equal(server:links { rt = "temp*" }[1].href, "/t")
  equal(#server:links { obs = true }, 1)
  equal(tostring(server:links { href = "/n" }), [[</n>;rt="say \"n\"";obs]])
  equal(tostring(server:links { ct = 0 }):match("ct=[^;]*"), "ct=0")
  sim:close()
end)

test("what is freed is gone, and says so", function()
  local sim, server, client = pair()
  local ended
  server:serve("/never", function() end)
  sim:lose("client", 99)
  client:get("coap://server/never", function(_, err) ended = err end)
  sim:close()
  sim:close()
  equal(ended and ended.name, "ECLOSED")
  throws("closed", client.get, client, "coap://server/t")
  throws("expected", sim.run, sim, 1)
end)

test("a simulation nobody knows is collected with its endpoints", function()
  for _ = 1, 5 do
    local _, server, client = pair()
    server:value("/v", 1)
    client:get("coap://server/v", function() end)
  end
  collectgarbage() collectgarbage()
end)

test("callbacks come while time passes", function()
  local sim, server, client = pair()
  local seen
  server:serve("/t", function() return "t" end)
  client:get("coap://server/t", function(res) seen = res.text end)
  equal(seen, nil)
  sim:run(1)
  equal(seen, "t")
  sim:close()
end)

test("what cannot come is not waited for", function()
  local sim, _, client = pair()
  throws("nothing is left", client.forever, client)
  sim:close()
end)

if coroutine.isyieldable then
  test("tasks in a simulation take turns", function()
    local sim, server, client = pair()
    local order = {}
    server:serve("/slow", function() server:sleep(3) return "slow" end)
    local a = client:spawn(function()
      local text = client:get("coap://server/slow").text
      order[#order + 1] = text
      return sim:now()
    end)
    local b = client:spawn(function()
      client:sleep(1)
      order[#order + 1] = "early"
    end)
    equal(a:join(), 3)
    b:join()
    equal(table.concat(order, " "), "early slow")
    sim:close()
  end)

  test("a coroutine outside the simulation moves its clock", function()
    local sim, server, client = pair()
    server:serve("/t", function() return "t" end)
    local text
    copal.run(function() text = client:get("coap://server/t").text end)
    equal(text, "t")
    sim:close()
  end)

  test("time cannot be moved from inside", function()
    local sim, _, client = pair()
    local ok, e = client:spawn(function()
      client:sleep(1)
      sim:run(1)
    end):wait()
    equal(ok, false)
    assert(tostring(e):find("inside the simulation", 1, true), tostring(e))
    sim:close()
  end)
end

test("the helper for busted gives every test its own", function()
  local hooks = {}
  local net = require "copal.busted"({ seed = 2 }, {
    before_each = function(fn) hooks.before = fn end,
    after_each = function(fn) hooks.after = fn end })
  throws("only while a test runs", function() return net.transcript end)
  for _ = 1, 2 do
    hooks.before()
    net:endpoint "server":serve("/t", function() return "21.5" end)
    equal(net:endpoint "client":get("coap://server/t").text, "21.5")
    equal(net:now(), 0)
    hooks.after()
  end
end)

check.done()
