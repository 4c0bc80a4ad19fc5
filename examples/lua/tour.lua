-- tour.lua [--creds FILE] URI [URI6]: T8 to T26 and T28 of the guided tour in
-- Lua, against "copal serve --test" at URI, and at URI6 the same over IPv6. By
-- coaps and the like FILE says who we are, as client and as server. The lines it
-- shows are its own. Exits with 1 if anything was not so; examples/tour.sh
-- runs it. With "copal run", or with lua5.4, lua5.3 and luajit.
local copal = require "copal"
local creds, uri, uri6
if ... == "--creds" then
  creds, uri, uri6 = select(2, ...)
else
  uri, uri6 = ...
end
assert(uri, "usage: tour.lua [--creds FILE] URI [URI6]")
local scheme = uri:match "^[^:]+"
local port = ({ ["coap+ws"] = 80, coaps = 5684, ["coaps+tcp"] = 5684,
  ["coaps+ws"] = 443 })[scheme] or 5683
local broken, source = 0, {}

---- How the tour speaks --------------------------------------------------------

for line in io.lines((debug.getinfo(1, "S").source:gsub("^@", ""))) do
  source[#source + 1] = line
end

local function print(...)
  local words = { ... }
  for i = 1, select("#", ...) do words[i] = tostring(words[i]) end
  for line in table.concat(words, "  "):gmatch "[^\n]+" do
    io.write("     ", line, "\n")
  end
  io.flush()
end

-- A fact that has to hold. It is not among the lines that are shown.
local function ok(fact, sentence)
  io.write(fact and "  ok: " or "  NOT SO: ", sentence, "\n")
  if not fact then broken = broken + 1 end
end

local function step(number, title, fn)
  local lines = debug.getinfo(fn, "S")
  io.write(("\n%-4s %s\n"):format(number, title))
  local unclosed = 0 -- parentheses of a fact
  for i = lines.linedefined + 1, lines.lastlinedefined - 1 do
    local shown = source[i]:gsub("^  ", "")
    if unclosed > 0 or shown:match "^ *ok%(" then
      unclosed = unclosed + select(2, shown:gsub("%(", ""))
        - select(2, shown:gsub("%)", ""))
    else
      io.write("   | ", shown, "\n")
    end
  end
  io.flush()
  fn()
end

---- T8 to T10: a message, before anything is sent ------------------------------

local coap = assert(copal.endpoint { credentials = creds })
copal.set_default(coap) -- of copal.get() and the like
local request, response, m

step("T8", "Build a message from code and URI, print it", function()
  m = coap:message("GET", "coap://localhost/other/separate")
  print(m)
  ok(tostring(m) == "GET coap://localhost/other/separate",
    "one line, the same in every language")
end)

step("T9", "Print its options", function()
  print(m.options)
  ok(tostring(m.options) == "Uri-Host: localhost\nUri-Path: other / separate",
    "a line for each option, in the order of the wire")
end)

step("T10", "The path, segment by segment", function()
  print(#m.path, m.path[1], m.path[2])
  ok(#m.path == 2 and m.path[1] == "other" and m.path[2] == "separate",
    "the path is a table")
  m.uri = "coap://localhost/caf%C3%A9/"
  print(#m.path, m.path[1], '"' .. m.path[2] .. '"')
  ok(#m.path == 2 and m.path[1] == "café" and m.path[2] == "",
    "percent-decoded; a slash at the end is an empty last segment")
  m.path = { "a/b", "c" }
  print(m.path, m)
  ok(tostring(m.path) == "/a%2Fb/c",
    "it can be assigned; a slash within a segment stays within it")
end)

---- T11 to T14: requests, the endpoint -----------------------------------------

step("T11", "A request returns at once", function()
  request = coap:get(uri .. "/time", function(res, err)
    response = assert(res, err)
  end)
  print(request)
  ok(tostring(request):match "/time %(waiting%)$",
    "the handle tells what was asked, and that it waits")
  ok(response == nil, "nothing was answered before it returned")
end)

step("T12", "Wait for it: the whole response", function()
  coap:run()
  print("code       ", response.code)
  print("remote     ", response.remote)
  print("payload    ", response.payload)
  print("type       ", response.type)
  print("message id ", response.mid)
  print("token      ", #response.token, "bytes")
  print(request)
  ok(response.code == copal.CONTENT and #response.payload == 16,
    "a time of 16 characters")
  ok(#response.token > 0 and (response.type == "ACK" and response.mid
    or not uri:find "^coaps?:"), -- connections confirm nothing
    "piggybacked on the ACK, if it came by UDP")
end)

step("T13", "Ways to wait", function()
  local order = {}
  -- In a coroutine get() suspends it, and others go on.
  coap:spawn(function()
    assert(coap:get(uri .. "/separate"))
    table.insert(order, "slow")
  end)
  coap:spawn(function()
    assert(coap:get(uri .. "/link1"))
    table.insert(order, "quick")
  end)
  coap:run()
  print(order[1], order[2])
  ok(order[1] == "quick" and order[2] == "slow",
    "the quick one did not wait for the slow one")
  -- Outside of coroutines it runs the loop itself.
  print(assert(copal.get(uri .. "/link1")).payload)
  -- run() makes an endpoint, starts a coroutine and runs the loop.
  local text = copal.run(function(c)
    if creds then assert(c:use_file(creds)) end
    return c:get(uri .. "/link2").payload
  end)
  print(text)
  ok(text == "link2", "copal.run() gives what the function returned")
end)

step("T14", "One endpoint: cheap, reused, client and server in one", function()
  local began = coap:now()
  for _ = 1, 100 do copal.endpoint():free() end
  print(("a hundred endpoints: %.3f s"):format(coap:now() - began))
  ok(coap:now() - began < 1, "an endpoint is made within milliseconds")
  local own, asked = copal.endpoint { credentials = creds }, 0
  own:serve("/hello", function()
    asked = asked + 1
    return "hello"
  end)
  if not own:listen(scheme .. "://127.0.0.1") then
    assert(own:listen(scheme .. "://127.0.0.1:0"))
  end
  local base, res = own:addresses()[1], nil
  for _ = 1, 100 do res = assert(own:get(base .. "/hello")) end
  print(res, asked)
  ok(asked == 100 and res.payload == "hello",
    "one endpoint asked and answered a hundred times")
  ok(tostring(res.remote) == base:gsub(":" .. port .. "$", ""),
    "T16: the port is shown only if it is not the scheme's own")
  own:free()
end)

---- T15 to T19: what a response tells ------------------------------------------

step("T15", "Its code", function()
  local code = coap:get(uri .. "/time").code
  print(code, code.number, code.dotted, code.cls, code.detail, code.is_successful)
  ok(tostring(code) == "2.05 Content" and code.number == 69
    and code.dotted == "2.05",
    "2.05 is the number 69 and is called Content")
  ok(code.cls == 2 and code.detail == 5 and code.is_successful,
    "class 2, detail 5: a success")
  print(copal.code "2.30")
  ok(tostring(copal.code "2.30") == "2.30", "a code nobody named shows its number")
end)

step("T16", "Who answered, and where to", function()
  for _, base in ipairs { uri, uri6 } do
    local res = assert(coap:get(base .. "/time"))
    print(res.remote, res.remote.hostinfo, res.remote.scheme)
    print(res.local_address, res.local_address.hostinfo)
    ok(tostring(res.remote) == base and res.remote.scheme == base:match "^[^:]+",
      "the remote prints as the server's base URI")
    ok(res.local_address.scheme == res.remote.scheme and res.local_address.uri ~= base,
      "the local address is ours")
  end
end)

step("T17", "Is it multicast", function()
  local four = coap:message("GET", "coap://224.0.1.187/")
  local six = coap:message("GET", "coap://[ff02::fd]/")
  local res = coap:get(uri .. "/time")
  print(res.remote.is_multicast, four.remote.is_multicast, six.remote.is_multicast)
  ok(res.remote.is_multicast == false, "a response comes from one server")
  ok(four.remote.is_multicast and six.remote.is_multicast,
    "the two are groups: all CoAP nodes")
end)

step("T18", "Its payload", function()
  local res = coap:get(uri .. "/link1")
  print(res.payload, #res.payload, res.text, res:decode())
  ok(res.payload == "link1" and res.text == "link1" and res:decode() == "link1",
    "a string, and decoded by its Content-Format")
  res = coap:get(uri .. "/.well-known/core?href=/time")
  print(res:decode()[1].href, res:decode()[1].obs)
  ok(res:decode()[1].href == "/time" and res:decode()[1].obs == true,
    "links become a table")
  local json = coap:message("PUT", uri, { payload = '{"on":true}', format = "json" })
  print(json.format, json:json().on, json:decode().on)
  ok(json:json().on == true and json:decode().on == true, "so does JSON")
  local cbor = coap:message("PUT", uri, { payload = { on = true }, format = "cbor" })
  print(cbor.format, #cbor.payload, cbor:cbor().on, cbor:decode().on)
  ok(cbor:cbor().on == true and cbor:decode().on == true and #cbor.payload == 5,
    "and CBOR")
end)

step("T19", "Its Content-Format", function()
  local format = coap:get(uri .. "/link1").format
  print(format, format.number, format == copal.TEXT)
  ok(format == copal.TEXT and format.number == 0
    and tostring(format) == "text/plain;charset=utf-8",
    "0 is text/plain;charset=utf-8")
end)

---- T20 to T22: several at once, and what goes wrong ---------------------------

step("T20", "Three requests at once, taken as they finish", function()
  local uris = { uri .. "/other/separate", uri .. "/time?as=typed", uri .. "/link%31" }
  local began, came, same = coap:now(), {}, true
  for asked, res, err in coap:get_all(uris) do
    print(("%.3f s"):format(coap:now() - began), asked, res and res.code or err)
    came[#came + 1] = asked
    same = same and res and res.uri == asked
  end
  ok(#came == 3 and came[3] == uris[1], "the slow one is last")
  ok(same, "a response's uri is its request's, as typed")
end)

local failures = {
  { scheme .. "://127.0.0.1:1/", "EREFUSED", "nothing listens" },
  -- A name in the DNS has no label this long, so that no server is asked.
  { scheme .. "://" .. ("long"):rep(16) .. "/", "ERESOLVE", "not known" },
  { "127.0.0.1/time", "EURI", "scheme" },
  { scheme .. ":///time", "EURI", "host" },
  { scheme .. "://127.0.0.1:99999/", "EURI", "port" },
  { scheme .. "://127.0.0.1/%zz", "EURI", "%" },
  { scheme .. "://127.0.0.1/#part", "EURI", "fragment" },
  { "http://127.0.0.1/", "EURI", "proxy" },
}

step("T21", "Errors: nil, and an object that prints as a sentence", function()
  for _, f in ipairs(failures) do
    local began = coap:now()
    local res, err = coap:get(f[1])
    print(err.name, err)
    ok(not res and err.name == f[2] and tostring(err):find(f[3], 1, true)
      and #err.hint > 0 and coap:now() - began < 1,
      f[1])
  end
end)

step("T22", "4.xx and 5.xx are responses; check() makes them errors", function()
  local res = assert(coap:get(uri .. "/others/separate"))
  print(res)
  ok(res.code == copal.NOT_FOUND and not res.code.is_successful,
    "not there is an answer")
  local checked, err = res:check()
  print(checked, err)
  ok(checked == nil and err.name == "4.04" and err.response == res,
    "the error carries the response")
  print(coap:get(uri .. "/time"):check())
  print(coap:delete(uri .. "/time"))
  ok(coap:delete(uri .. "/time").code == copal.METHOD_NOT_ALLOWED,
    "not allowed is an answer, too")
end)

---- T23 to T25: observing, large bodies, who one is to the server --------------

step("T23", "Observe /time: the first value, and one every 5 s", function()
  local began, times = coap:now(), {}
  local obs = coap:observe(uri .. "/time")
  for note in obs do
    times[#times + 1] = coap:now() - began
    print(("%6.3f s"):format(times[#times]), note.payload)
    if #times == 3 then break end
  end
  obs:cancel() -- in Lua 5.4 leaving "for note in coap:observe(uri)" does it
  ok(#times == 3 and times[1] < 1, "the first value came at once")
  ok(times[3] - times[2] > 4 and times[3] - times[2] < 6,
    "the others 5 s apart, also when the text is the same")
end)

step("T23", "Who leaves is taken off the server's list", function()
  local server = copal.endpoint { credentials = creds }
  assert(server:listen(scheme .. "://127.0.0.1:0"))
  local counter = server:value("/counter", 0)
  local obs = coap:observe(server:addresses()[1] .. "/counter")
  local most = 0
  for note in obs do
    most = math.max(most, server:stats().observers)
    if note.payload == "2" then break end
    counter.value = counter.value + 1 -- tells every observer
  end
  obs:cancel()
  coap:sleep(0.2)
  print("observers:", most, "and then:", server:stats().observers)
  ok(most == 1 and server:stats().observers == 0, "the server's count returns to 0")
  server:free()
end)

step("T24", "PUT, then GET a body of several blocks", function()
  local text, before = ("abcdefghi\n"):rep(300), coap:stats().datagrams_out
  print(coap:put(uri .. "/other/block", text))
  local res = coap:get(uri .. "/other/block")
  local sent = coap:stats().datagrams_out - before
  print(res.code, #res.payload, "bytes;", sent, "datagrams went out")
  ok(res.payload == text, "it came back the same")
  ok(sent >= 6 or uri:find("+", 1, true),
    "in blocks of 1,024 bytes, unseen, or whole by a connection")
end)

step("T25", "Who am I to the server", function()
  for _, base in ipairs { uri, uri6 } do
    local res = coap:get(base .. "/whoami")
    print(res.payload)
    ok(res.payload:match "scheme: +([^\n]+)" == base:match "^[^:]+"
      and (res.payload:match "identity: +none" ~= nil) == (creds == nil),
      "the scheme, and who we have proved to be, if anybody")
    ok(res.payload:find(res.local_address.hostinfo, 1, true)
      and res.payload:find(res.remote.hostinfo, 1, true),
      "the server sees our address, and its own, as we do")
  end
end)

---- T26, T28: a server, and its end --------------------------------------------

step("T26", "Write a server", function()
  local server = copal.endpoint { credentials = creds }
  server:serve("/time", { observable = true, rt = "clock",
    get = function() return os.date "%H:%M:%S" end })
  server:every(1, function() server:notify "/time" end)
  server:serve("/hello/{name}", function(req)
    return "Hello, " .. req.params.name .. "!"
  end)
  assert(server:listen(scheme .. "://127.0.0.1:0"))

  local base = server:addresses()[1]
  local hello = coap:get(base .. "/hello/Anne").payload
  print(hello)
  ok(hello == "Hello, Anne!", "it answers, with what the path says")
  local obs, seen = coap:observe(base .. "/time"), 0
  for note in obs do
    print(note.payload)
    seen = seen + 1
    if seen == 2 then break end
  end
  obs:cancel()
  ok(seen == 2, "and tells of changes")
  local list = coap:get(base .. "/.well-known/core").payload
  print(list)
  ok(list:find('</time>;rt="clock";obs', 1, true)
    and list:find("</hello/%7Bname%7D>", 1, true), "both are listed")
  server:free()
end)

step("T28", "Shut down", function()
  local ended, c = {}, copal.endpoint { credentials = creds }
  for _, path in ipairs { "/other/separate", "/other/separate?2" } do
    c:get(uri .. path, function(_, err) ended[#ended + 1] = err end)
  end
  coap:sleep(0.3)
  local began = coap:now()
  c:free()
  print(("%.1f s"):format(coap:now() - began), c)
  for _, err in ipairs(ended) do print(err.name, err) end
  ok(#ended == 2 and ended[1].name == "ECLOSED" and ended[2].name == "ECLOSED",
    "requests under way end with ECLOSED")
  ok(coap:now() - began < 3, "and it takes less than three seconds")
  local held = setmetatable({ c }, { __mode = "v" })
  c = nil
  coap:free()
  collectgarbage()
  collectgarbage()
  print(coap, held[1])
  ok(held[1] == nil, "nothing is left of it")
end)

if broken > 0 then os.exit(1) end
