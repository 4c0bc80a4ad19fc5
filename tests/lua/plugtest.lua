-- The resources of `copal serve --test` answer as the ETSI plugtest
-- descriptions ask: each test carries the numbers of theirs. Proxies (CORE 24
-- to 28) are not built in.
local copal = require "copal"
local testsite = require "copal.testsite"
local check = require "support.check"
check.needs_coroutines()
local test, equal = check.test, check.equal

-- fn(client, seen, sim): seen() is the transcript since it was called last.
local function plugtest(sentence, fn)
  test(sentence, function()
    local sim = assert(copal.sim { seed = 3, delay = 0.01 })
    testsite.mount(assert(sim:endpoint "server"))
    local at = 0
    local function seen()
      local new = sim.transcript:sub(at + 1)
      at = #sim.transcript
      return new
    end
    fn(assert(sim:endpoint "client"), seen, sim)
    sim:close()
  end)
end

local function has(text, ...)
  for _, what in ipairs { ... } do
    if not text:find(what, 1, true) then
      error("no '" .. what .. "' in\n" .. text, 2)
    end
  end
end

local function hasnt(text, what)
  if text:find(what, 1, true) then error("'" .. what .. "' in\n" .. text, 2) end
end

-- All values of a repeatable option.
local function values(r, option, separator)
  local list = {}
  while r:option(option, #list + 1) do list[#list + 1] = r:option(option, #list + 1) end
  return table.concat(list, separator)
end

local BASE = "coap://server"
local methods = {
  { "get", "GET", "2.05" }, { "delete", "DELETE", "2.02" },
  { "put", "PUT", "2.04" }, { "post", "POST", "2.01" },
}

---- CORE ------------------------------------------------------------------------

plugtest("CORE 01 to 04: the four methods, confirmable", function(client, seen)
  for _, m in ipairs(methods) do
    local r = assert(client:request { code = m[2], uri = BASE .. "/test",
      payload = (m[2] == "PUT" or m[2] == "POST") and "x" or nil })
    equal(r.code.dotted, m[3])
    equal(r.type, "ACK")
    has(seen(), "client > server CON " .. m[2], "server > client ACK " .. m[3])
  end
end)

plugtest("CORE 05 to 08: the same, non-confirmable", function(client, seen)
  for _, m in ipairs(methods) do
    local r = assert(client:request { code = m[2], uri = BASE .. "/test", non = true,
      payload = (m[2] == "PUT" or m[2] == "POST") and "x" or nil })
    equal(r.code.dotted, m[3])
    equal(r.type, "NON")
    has(seen(), "client > server NON " .. m[2], "server > client NON " .. m[3])
  end
end)

plugtest("CORE 09, 11, 17: separate answers, to CON and NON", function(client, seen)
  assert(client:get(BASE .. "/separate"))
  has(seen(), "server > client ACK empty", "server > client CON 2.05",
    "client > server ACK empty")
  assert(client:get(BASE .. "/separate", { non = true }))
  local text = seen()
  has(text, "server > client NON 2.05")
  hasnt(text, "ACK")
end)

plugtest("CORE 10, 12: the token comes back, also an empty one", function(client, _, sim)
  assert(client:get(BASE .. "/test"))
  -- GET /test with no token, and with one of three bytes, made by hand.
  assert(sim:inject("192.0.2.9", "server", "\64\1\18\52\180test"))
  assert(sim:inject("192.0.2.9", "server", "\67\1\18\53abc\180test"))
  client:sleep(1)
  has(sim.transcript, "server > 192.0.2.9 ACK 2.05")
end)

plugtest("CORE 13, 14: segments and queries", function(client)
  assert(assert(client:get(BASE .. "/seg1/seg2/seg3")):check())
  local r = assert(client:get(BASE .. "/query?first=1&second=2&third=3"))
  equal(r.text, "first=1\nsecond=2\nthird=3")
end)

plugtest("CORE 15, 16: lossy, piggybacked and separate", function(client, seen, sim)
  sim:lose("client", 1)
  assert(client:get(BASE .. "/test"))
  sim:lose("server", 1)
  assert(client:get(BASE .. "/test"))
  seen()
  sim:lose("server", 2) -- the empty ACK and the answer
  local r = assert(client:get(BASE .. "/separate"))
  equal(r.code.dotted, "2.05")
end)

plugtest("CORE 18, 19: Location-Path and Location-Query", function(client)
  local r = assert(client:post(BASE .. "/test", "x"))
  equal(values(r, "Location-Path", "/"), "location1/location2/location3")
  assert(assert(client:get(BASE .. "/location1/location2/location3")):check())
  r = assert(client:post(BASE .. "/location-query", "x"))
  equal(values(r, "Location-Query", "&"), "first=1&second=2")
end)

plugtest("CORE 20: Accept chooses the format", function(client)
  equal(assert(client:get(BASE .. "/multi-format", { accept = 0 })).format, copal.TEXT)
  equal(assert(client:get(BASE .. "/multi-format", { accept = 41 })).format, copal.XML)
  equal(assert(client:get(BASE .. "/multi-format", { accept = 50 })).code,
    copal.NOT_ACCEPTABLE)
end)

plugtest("CORE 21: ETag, 2.03 and a new one after an update", function(client)
  local uri = BASE .. "/validate"
  local first = assert(client:get(uri)):option "ETag"
  equal(assert(client:get(uri, { etag = first })).code, copal.VALID)
  assert(client:put(uri, "two"))
  local r = assert(client:get(uri, { etag = first }))
  equal(r.code, copal.CONTENT)
  assert(r:option "ETag" ~= first)
end)

plugtest("CORE 22: If-Match", function(client)
  local uri = BASE .. "/validate"
  local etag = assert(client:get(uri)):option "ETag"
  equal(assert(client:put(uri, "two", { if_match = etag })).code, copal.CHANGED)
  equal(assert(client:put(uri, "three", { if_match = etag })).code,
    copal.PRECONDITION_FAILED)
  equal(assert(client:get(uri)).text, "two")
end)

plugtest("CORE 23: If-None-Match", function(client)
  local uri = BASE .. "/create1"
  equal(assert(client:put(uri, "x", { if_none_match = true })).code, copal.CREATED)
  equal(assert(client:put(uri, "y", { if_none_match = true })).code,
    copal.PRECONDITION_FAILED)
end)

plugtest("CORE 31: a ping is reset", function(client, seen)
  assert(client:ping(BASE))
  has(seen(), "client > server CON empty", "server > client RST empty")
end)

---- LINK ------------------------------------------------------------------------

local function listed(client, query)
  local r = assert(client:get(BASE .. "/.well-known/core" .. (query or "")))
  equal(r.format, copal.LINKS)
  return r.text
end

plugtest("LINK 01: what there is is listed", function(client)
  has(listed(client), "</test>", "</link1>", "</obs>", "</large>")
end)

plugtest("LINK 02 to 08: filters", function(client)
  local filters = {
    { "?rt=Type1", "link1 link3" },
    { "?rt=*", "link1 link2 link3 test" },
    { "?rt=Type2", "link1 link2" },
    { "?if=If*", "link1 link2" },
    { "?sz=*", "large" },
    { "?href=/link1", "link1" },
    { "?href=/link*", "link1 link2 link3" },
  }
  for _, f in ipairs(filters) do
    local text = listed(client, f[1])
    for name in f[2]:gmatch "%S+" do has(text, "</" .. name .. ">") end
    for _, name in ipairs { "link1", "link2", "link3" } do
      if not f[2]:find(name, 1, true) then hasnt(text, "</" .. name .. ">") end
    end
    hasnt(text, "</seg1/seg2/seg3>")
  end
end)

plugtest("LINK 09, 11: a list of lists, and an alternate", function(client)
  has(listed(client, "?ct=40"), "</path>")
  local r = assert(client:get(BASE .. "/path"))
  equal(r.format, copal.LINKS)
  has(r.text, "</path/sub1>", "</path/sub2>", "</path/sub3>")
  for i = 1, 3 do assert(assert(client:get(BASE .. "/path/sub" .. i)):check()) end
  has(listed(client, "?rel=alternate"), "</alternate>", 'anchor="/"')
end)

---- BLOCK -----------------------------------------------------------------------

local LONG = ("a line of text\n"):rep(100)

plugtest("BLOCK 01, 02: GET with early and late negotiation", function(client, seen)
  local r = assert(client:get(BASE .. "/large", { block_size = 64 }))
  assert(#r.payload >= 1280)
  has(seen(), "2:0/0/64", "2:0/1/64", "2:19/0/64")
  assert(#assert(client:get(BASE .. "/large")).payload >= 1280)
  has(seen(), "2:0/1/1024", "2:1/0/1024")
end)

plugtest("BLOCK 03 to 05: PUT, POST, and both ways", function(client, seen)
  equal(assert(client:put(BASE .. "/large-update", LONG)).code, copal.CHANGED)
  has(seen(), "1:0/1/1024", "ACK 2.31", "1:1/0/1024")
  equal(assert(client:get(BASE .. "/large-update")).payload, LONG)
  local r = assert(client:post(BASE .. "/large-create", LONG))
  equal(r.code, copal.CREATED)
  local child = BASE .. "/" .. values(r, "Location-Path", "/")
  equal(assert(client:get(child)).payload, LONG)
  seen()
  r = assert(client:post(BASE .. "/large-post", LONG))
  equal(r.code, copal.CHANGED)
  assert(#r.payload >= 1280)
  has(seen(), "1:1/0/1024", "2:0/1/1024", "2:1/0/1024")
end)

plugtest("BLOCK 06: from the middle", function(client, seen)
  local r = assert(client:get(BASE .. "/large", { options = { Block2 = 2 * 16 + 4 } }))
  equal(r.code, copal.CONTENT)
  has(seen(), "2:2/1/256")
  equal(#r.payload, 256)
end)

---- OBS -------------------------------------------------------------------------

-- Observes path; gives the list that its notifications go to, and the object.
local function observing(client, path)
  local got = {}
  local obs = client:observe(BASE .. path, function(n) got[#got + 1] = n end)
  client:sleep(1)
  return got, obs
end

plugtest("OBS 01, 02: notified confirmable and non-confirmable", function(client, seen)
  for path, kind in pairs { ["/obs"] = "CON", ["/obs-non"] = "NON" } do
    local got, obs = observing(client, path)
    client:sleep(11)
    assert(#got >= 3, #got)
    equal(got[2].type, kind)
    obs:cancel()
    client:sleep(1)
  end
  has(seen(), "server > client NON 2.05", "server > client CON 2.05")
end)

plugtest("OBS 03: the client deregisters, and hears no more", function(client, seen)
  local got, obs = observing(client, "/obs")
  obs:cancel()
  client:sleep(1)
  has(seen(), "obs=1")
  local count = #got
  client:sleep(30)
  equal(#got, count)
  hasnt(seen(), "2.05")
end)

plugtest("OBS 04, 05: one side is gone; the other sees it", function(client, _, sim)
  local got = observing(client, "/obs")
  client:free()
  sim:run(200)
  local before = #sim.transcript
  sim:run(60) -- the server gave up on the client
  hasnt(sim.transcript:sub(before + 1), "> client")
  assert(#got > 0)
end)

plugtest("OBS 06: a client that rebooted resets", function(client, seen, sim)
  observing(client, "/obs")
  client:free()
  local again = assert(sim:endpoint "client")
  seen()
  again:sleep(6)
  has(seen(), "client > server RST empty")
  again:sleep(20)
  hasnt(seen(), "> client")
end)

plugtest("OBS 07: a resource that is deleted tells so", function(client, seen)
  local got = observing(client, "/obs")
  equal(assert(client:delete(BASE .. "/obs")).code, copal.DELETED)
  client:sleep(1)
  equal(got[#got].code, copal.NOT_FOUND)
  has(seen(), "CON 4.04")
end)

plugtest("OBS 08: another format ends the observation", function(client)
  local got = observing(client, "/obs")
  assert(client:put(BASE .. "/obs", "{}", { format = "json" }))
  client:sleep(1)
  equal(got[#got].code.cls, 4)
end)

plugtest("OBS 09: an update is notified", function(client)
  local got = observing(client, "/obs")
  assert(client:put(BASE .. "/obs", "new", { format = "text" }))
  client:sleep(1)
  equal(got[#got].text, "new")
end)

plugtest("OBS 10: a GET beside it changes nothing", function(client)
  local got = observing(client, "/obs")
  assert(client:get(BASE .. "/obs"))
  local count = #got
  client:sleep(11)
  assert(#got >= count + 2)
end)

plugtest("OBS 12 to 15: large, reset by POST, pumped by PUT", function(client)
  local got = observing(client, "/obs-large")
  client:sleep(6)
  assert(#got >= 2 and #got[#got].payload >= 1280)
  got = observing(client, "/obs-reset")
  assert(client:post(BASE .. "/obs-reset", "x"))
  client:sleep(1)
  equal(got[#got].code, copal.NOT_FOUND)
  got = observing(client, "/obs-pumping")
  for i = 1, 5 do assert(client:put(BASE .. "/obs-pumping", tostring(i))) end
  client:sleep(5)
  equal(got[#got].text, "5")
end)

check.done()
