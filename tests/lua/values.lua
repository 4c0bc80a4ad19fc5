-- Codes, formats, messages, JSON, link format: what needs no network.
local copal = require "copal"
local check = require "support.check"
local test, equal, throws = check.test, check.equal, check.throws

local c = copal.endpoint {}

test("T15 a code prints and compares", function()
  local code = copal.code(69)
  equal(tostring(code), "2.05 Content")
  equal(code, copal.CONTENT)
  equal(code, copal.code "2.05")
  equal(code, copal.code "2.05 Content")
  equal(code.number, 69) equal(code.dotted, "2.05")
  equal(code.cls, 2) equal(code.detail, 5)
  equal(code.is_successful, true)
  equal(tostring(copal.code "get"), "GET")
  equal(tostring(copal.code "0.30"), "0.30")
  equal(copal.code "0.30".number, 30)
  equal(copal.code "nonsense", nil)
  equal(copal.code "9.99", nil)
end)

test("T19 a format prints and compares", function()
  equal(tostring(copal.TEXT), "text/plain;charset=utf-8")
  equal(copal.TEXT.number, 0)
  equal(copal.format "cbor", copal.CBOR)
  equal(copal.format "application/json", copal.JSON)
  equal(copal.format(50), copal.JSON)
  equal(copal.format "no/such", nil)
end)

test("T8 a message is built from code and URI, and prints as one line", function()
  local m = c:message("GET", "coap://localhost/other/separate")
  equal(m.code, copal.code "GET")
  equal(m.uri, "coap://localhost/other/separate")
  assert(tostring(m):find("GET", 1, true))
  assert(not tostring(m):find("\n"))
end)

test("T9 options print one a line in a stable order", function()
  local m = c:message("GET", "coap://localhost/other/separate")
  assert(tostring(m.options):find("Uri-Path: other / separate", 1, true),
    tostring(m.options))
end)

test("T10 the path is a table, decoded and assignable", function()
  local m = c:message("GET", "coap://localhost/other/separate")
  equal(#m.path, 2) equal(m.path[1], "other") equal(m.path[2], "separate")
  equal(tostring(m.path), "/other/separate")
  equal(c:message("GET", "coap://localhost/a%20b/").path[1], "a b")
  equal(c:message("GET", "coap://localhost/a%20b/").path[2], "")
  m.path = { "x", "y" }
  equal(m.path[2], "y")
  m.path = "/only"
  equal(#m.path, 1) equal(m.path[1], "only")
  m.path = "/"
  equal(#m.path, 0)
end)

test("query, payload and format are read and assigned", function()
  local m = c:message("POST", "coap://localhost/x?rt=a&b",
    { payload = "hi", format = "text" })
  equal(m.query.rt, "a") equal(m.query.b, true) equal(m.query[1], "rt=a")
  equal(m.payload, "hi") equal(m.format, copal.TEXT)
  m.payload = "a\0b"
  equal(m.payload, "a\0b")
  m.format = 50
  equal(m.format, copal.JSON)
  throws("cannot be assigned", function() m.code = 1 end)
end)

test("options of any number are set and read", function()
  local m = c:message("GET", "coap://localhost/", { accept = "json",
    options = { ["ETag"] = "\1\2", [65000] = "x" } })
  equal(m:uint "Accept", 50)
  equal(m:option(4), "\1\2")
  equal(m:option(65000), "x")
  equal(m:option(65001), nil)
  assert(m:remove "ETag")
  equal(m:option(4), nil)
end)

test("options of signals have names of their own", function()
  local m = c:message(225, "coap://localhost/",
    { options = { [2] = "\1", [4] = "" } })
  local names = {}
  for _, o in ipairs(m.options) do names[o.number] = o.name end
  equal(names[2], "Max-Message-Size")
  equal(names[4], "Block-Wise-Transfer")
end)

test("an option of a signal is found by its name", function()
  local m = c:message(225, "coap://localhost/",
    { options = { ["Max-Message-Size"] = 1152, { "block_wise_transfer", true } } })
  equal(m:uint "max_message_size", 1152)
  equal(m:option "Block-Wise-Transfer", "")
  m:remove "max-message-size"
  equal(m:option(2), nil)
  local pong = c:message(227, "coap://localhost/", { options = { Custody = true } })
  equal(pong:option "custody", "") -- as a Ping's
  throws("no option Hold", function() return pong:option "Hold-Off" end)
  local none, err = c:message("GET", "coap://localhost/", { options = { ["Max-Message-Size"] = 1 } })
  equal(none, nil) equal(err.name, "EINVAL")
end)

test("what cannot go on says so when it is asked for", function()
  local m, err = c:message("GET", "coap://localhost/", { resume = 1024 })
  equal(m, nil) equal(err.name, "EINVAL")
  assert(c:message("GET", "coap://localhost/", { resume = { 1024, "e" } }))
  assert(c:message("PUT", "coap://localhost/", { resume = 1024 }))
end)

test("a table becomes JSON", function()
  local m = c:message("PUT", "coap://localhost/", { payload = { on = true } })
  equal(m.payload, '{"on":true}')
  equal(m.format, copal.JSON)
  equal(m:json().on, true)
end)

test("an unknown parameter or option is an error that names it", function()
  throws("ack_timout", c.message, c, "GET", "coap://h/", { ack_timout = 1 })
  throws("ack_timout", copal.endpoint, { ack_timout = 1 })
end)

test("T17 an address knows whether it is a group", function()
  local function remote(uri) return c:message("GET", uri).remote end
  equal(remote("coap://127.0.0.1/").is_multicast, false)
  equal(remote("coap://224.0.1.187/").is_multicast, true)
  equal(remote("coap://224.example/").is_multicast, false)
  equal(remote("coap://[ff02::fd]/").is_multicast, true)
  equal(remote("coap://[fd00::1]:99/").is_multicast, false)
  equal(remote("coap://[fd00::1]:99/").hostinfo, "[fd00::1]:99")
  equal(remote("coap://[fd00::1]:99/").host, "fd00::1")
  equal(remote("coap://[fd00::1]:99/").port, 99)
  equal(tostring(remote("coap://h:99/x")), "coap://h:99")
end)

test("JSON is read and written", function()
  local json = copal.json
  equal(json.encode { b = { 1, 2.5, "x" }, a = json.null },
    '{"a":null,"b":[1,2.5,"x"]}')
  equal(json.encode {}, "[]")
  equal(json.encode(json.object {}), "{}")
  equal(json.decode '"\\ud83d\\ude00"', "\240\159\152\128")
  equal(json.decode " [1, {\"a\": [true]}] "[2].a[1], true)
  for _, bad in ipairs { "", "[1,", "01", "1.", "tru", '"\\x"', '{"a"}', "1 2",
    '"\1"', ("["):rep(1000) } do
    local v, why = json.decode(bad)
    equal(v, nil)
    equal(type(why), "string")
  end
end)

test("T3 link format is read without any module", function()
  local links = assert(copal.linkformat.parse(
    '</time>;obs;rt="a b";title="x\\"y,;z",</.well-known/core>;ct=40'))
  equal(#links, 2)
  equal(links[1].href, "/time") equal(links[1].obs, true)
  equal(links[1].title, 'x"y,;z')
  equal(links:filter { rt = "b" }[1], links[1])
  equal(#links:filter { href = "/t*" }, 1)
  equal(#links:filter { ct = 40 }, 1)
  equal(copal.linkformat.parse "nonsense", nil)
end)

test("a text of spaces or digits takes no longer than it is long", function()
  local spaces = (" "):rep(1000000)
  local links = assert(copal.linkformat.parse("</a>;b=c" .. spaces .. "d;e=f" .. spaces))
  equal(#links[1].b, 1000002)
  equal(links[1].e, "f")
  equal(copal.cbor.from_diagnostic(("1"):rep(1000000)), nil)
end)

test("a datagram becomes a message as if received", function()
  local m = assert(copal.decode "\65\1\18\52\171\177t\255x")
  equal(m.type, "CON")
  equal(m.code, copal.GET)
  equal(m.mid, 0x1234)
  equal(m.token, "\171")
  equal(tostring(m.path), "/t")
  equal(m.payload, "x")
  equal(m.remote, nil)
  local ok, err = m:add("ETag", "x")
  equal(ok, nil)
  equal(err.name, "ESTATE")
end)

test("what is malformed is told with the byte where", function()
  local m, err = copal.decode "\64\1\0\1\255"
  equal(m, nil)
  equal(err.name, "EFORMAT")
  equal(err.message, "not CoAP: byte 4: a payload marker with no payload behind it")
  check.throws("bytes expected, got nil", copal.decode)
end)

c:free()
check.done()
