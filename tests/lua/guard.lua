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

---- Whatever is asked ---------------------------------------------------------

-- Options in the order of their numbers: { number, value }.
local function encode(kind, code, mid, path, options, payload)
  local all, last = {}, 0
  for _, o in ipairs(options) do all[#all + 1] = o end
  for segment in path:gmatch("[^/]+") do all[#all + 1] = { 11, segment } end
  for i, o in ipairs(all) do o.place = i end
  table.sort(all, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a.place < b.place
  end)
  local bytes = { string.char(kind, code, math.floor(mid / 256) % 256, mid % 256) }
  local function nibble(n)
    if n < 13 then return n, "" end
    if n < 269 then return 13, string.char(n - 13) end
    return 14, string.char(math.floor((n - 269) / 256), (n - 269) % 256)
  end
  for _, o in ipairs(all) do
    local delta, more_delta = nibble(o[1] - last)
    local len, more_len = nibble(#o[2])
    bytes[#bytes + 1] = string.char(delta * 16 + len) .. more_delta .. more_len .. o[2]
    last = o[1]
  end
  if payload then bytes[#bytes + 1] = "\255" .. payload end
  return table.concat(bytes)
end

-- A function each, for encode() marks what it is given.
local function questions()
  local c = string.char
  return {
    function() return {} end,
    function() return { { 6, "" } } end,                        -- Observe 0
    function() return { { 6, c(1) } } end,
    function() return { { 6, "" }, { 23, c(0) } } end,          -- in blocks of 16
    function() return { { 6, "" }, { 15, ("q"):rep(100) } } end,
    function() return { { 6, "" }, { 17, c(60) } } end,         -- Accept
    function() return { { 65000, "?" } } end,                   -- unknown
    function() return { { 65001, "?" } } end,                   -- and critical
    function() return { { 7, "\1\2\3" } } end,                  -- bad Uri-Port
    function() return { { 16, c(0) } } end,                     -- bad Hop-Limit
    function() return { { 23, c(6) } } end,                     -- Block2
    function() return { { 23, c(0x56) } } end,
    function() return { { 23, c(0xff, 0xff, 0xf6) } } end,
    function() return { { 23, c(7) } } end,                     -- reserved
    function() return { { 27, c(8) } }, ("x"):rep(16) end,      -- Block1
    function() return { { 27, c(0x38) } }, ("x"):rep(16) end,
    function() return { { 27, c(0x30) } }, "x" end,
    function() return { { 27, c(7) } }, "x" end,
    function() return { { 31, c(0) } } end,                     -- Q-Block2
    function() return { { 31, c(0x1e) }, { 31, c(0x26) } } end,
    function() return { { 19, c(0x18) }, { 60, c(200) }, { 292, "t" } },
      ("x"):rep(16) end,                                        -- Q-Block1
    function() return { { 28, "" } } end,                       -- Size2
    function() return { { 15, "rt=block" } } end,
    function() return { { 15, "rt=*" } }, "with a body" end,
    function() return { { 35, "coap://elsewhere/" } } end,      -- proxies
    function() return { { 39, "http" } } end,
    function() return { { 5, "" } }, "x" end,                   -- If-None-Match
    function() return { { 1, "" } }, "x" end,
    function() return { { 4, "etag" } } end,
    function() return { { 252, "\1\2\3\4\5\6\7\8" } } end,     -- Echo made up
    function() return { { 258, c(2) } } end,                    -- No-Response
    function() return { { 12, c(0xff, 0xff) } }, "x" end,
  }
end

-- What was sent to each address, and no more than its one request allows. asked:
-- by address its size, and whether it may hear of changes.
local function assert_small(asked, sent)
  for source, s in pairs(sent) do
    local q = assert(asked[source], source .. " did not ask")
    local what = ("%s: %d answers, %d again, %d bytes to %d"):format(q.what,
      s.answers, s.again, s.bytes, q.len)
    assert(s.bytes <= math.max(MOST, 3 * q.len), what)
    assert(s.answers <= 1 and s.empty <= 1, what)
    assert(s.notified + s.again == 0 or q.observes, what)
    assert(not (q.group and s.errors > 0), what)
  end
end

local function listen_to(server)
  local sent = {}
  assert(server:trace("wire", function(ev)
    if ev.ev == "in" or not ev.peer:find("://10.", 1, true) then return end
    local source = ev.peer:match "://([%d.]+)"
    local s = sent[source] or { answers = 0, empty = 0, notified = 0, again = 0,
      bytes = 0, errors = 0 }
    sent[source] = s
    s.bytes = s.bytes + ev.len
    if ev.ev ~= "out" then
      s.again = s.again + 1
    elseif ev.code == "0.00" then
      s.empty = s.empty + 1
    elseif ev.type == "CON" then
      s.notified = s.notified + 1
    else
      s.answers = s.answers + 1
    end
    if ev.code:match "^[45]" then s.errors = s.errors + 1 end
  end))
  return sent
end

for q_block = 0, 1 do
  test("nor does any method, option or block, Q-Block " .. q_block, function()
    local sim = assert(copal.sim { seed = 1 })
    local server = assert(sim:endpoint("server",
      { guard_loopback = 1, q_block = q_block, group_rate = 0 }))
    testsite.mount(server)
    assert(server:join "coap://224.0.1.187")
    local paths = { "/.well-known/core", "/nothing" }
    for _, link in ipairs(server:links()) do
      if not link.href:find("%7B", 1, true) then paths[#paths + 1] = link.href end
    end
    local asked, sent, n = {}, listen_to(server), 0
    local all = questions()
    for _, path in ipairs(paths) do
      for code = 1, 8 do
        for i, question in ipairs(all) do
          n = n + 1
          local options, payload = question()
          local to_group = (code == 1 or code == 5) and i % 2 == 0 and n % 3 == 0
          local kind = (to_group or n % 2 == 0) and NON or CON
          local bytes = encode(kind, code, n, path, options, payload)
          local source = ("10.%d.%d.%d"):format(math.floor(n / 65536),
            math.floor(n / 256) % 256, n % 256)
          asked[source] = { what = ("%s %d, question %d"):format(path, code, i),
            len = #bytes, observes = options[1] and options[1][1] == 6,
            group = to_group }
          assert(sim:inject(source, to_group and "224.0.1.187" or "server", bytes))
          if n % 64 == 0 then sim:run(0) end
        end
      end
    end
    assert(n > 5000, n)
    sim:run(150) -- changes, and all repeats
    local heard = 0
    for _ in pairs(sent) do heard = heard + 1 end
    assert(heard > n / 2, heard)
    assert_small(asked, sent)
    sim:close()
  end)
end

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
