-- CBOR, SenML and typed bodies: what becomes what, and what is refused.
local copal = require "copal"
local check = require "support.check"
local test, equal, throws = check.test, check.equal, check.throws

local cbor, json, senml = copal.cbor, copal.json, copal.senml

local function bytes(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(h)
    return string.char(tonumber(h, 16))
  end))
end

local function hex(s)
  return (s:gsub(".", function(c) return string.format("%02x", c:byte()) end))
end

-- Before Lua 5.3 all numbers are floats.
local has_integers = math.type ~= nil

-- The bytes decode to what is encoded as the same bytes.
local function round_trip(digits)
  local v, why = cbor.decode(bytes(digits), { exact = true })
  assert(v ~= nil, why)
  equal(hex(cbor.encode(v)), digits)
  return v
end

test("integers are exact, those that Lua cannot hold are bignums", function()
  local most = has_integers and "1b7fffffffffffffff" or "1b0020000000000000"
  assert(type(round_trip(most)) == "number")
  equal(round_trip "1b0020000000000000", 2 ^ 53)
  equal(round_trip "3b001fffffffffffff", -2 ^ 53)
  if has_integers then
    equal(round_trip "3b7fffffffffffffff", math.mininteger)
    equal(math.type(round_trip "1b0020000000000001"), "integer")
  else
    equal(round_trip "1b0020000000000001".tag, 2)
  end
  local big = round_trip "1bffffffffffffffff"
  equal(big.tag, 2) equal(big.value, ("\255"):rep(8))
  equal(round_trip "3bffffffffffffffff".tag, 3)
  equal(round_trip "c249010000000000000000".tag, 2)
  -- A bignum that an integer holds is written as one. RFC 8949 3.4.3.
  equal(hex(cbor.encode(cbor.tag(2, "\0\1"))), "01")
end)

test("floats are as short as can be, and stay floats where Lua has both", function()
  if has_integers then equal(math.type(round_trip "f94000"), "float") end
  equal(cbor.decode(bytes "f94000"), 2)
  equal(round_trip "fb3ff199999999999a", 1.1)
  equal(round_trip "f97c00", math.huge)
  equal(1 / round_trip "f98000", -math.huge)
  equal(hex(cbor.encode(0 / 0)), "f97e00")
end)

test("UTF-8 is text, other strings and copal.cbor.bytes are byte strings", function()
  equal(hex(cbor.encode "\195\188"), "62c3bc")
  equal(hex(cbor.encode "\255"), "41ff")
  equal(hex(cbor.encode(cbor.bytes "a")), "4161")
  equal(cbor.decode(bytes "4161"), "a")
  local exact = cbor.decode(bytes "4161", { exact = true })
  assert(cbor.is_bytes(exact))
  equal(tostring(exact), "a") equal(exact.bytes, "a")
  assert(exact == cbor.bytes "a")
  equal(cbor.decode(bytes "7f657374726561646d696e67ff"), "streaming")
end)

test("arrays and maps are told apart, also empty ones", function()
  equal(hex(cbor.encode { 1, 2 }), "820102")
  equal(hex(cbor.encode { a = 1 }), "a1616101")
  equal(hex(cbor.encode {}), "80")
  equal(hex(cbor.encode(cbor.array {})), "80")
  equal(hex(cbor.encode(cbor.map {})), "a0")
  equal(hex(cbor.encode(cbor.map { 5 })), "a10105")
  equal(hex(cbor.encode { [2] = 1 }), "a10201")
  round_trip "80" round_trip "a0" round_trip "82a080"
  equal(json.encode(cbor.decode(bytes "82a080")), "[{},[]]")
  equal(hex(cbor.encode(json.decode "[{},[]]")), "82a080")
end)

test("null, undefined, booleans, tags and simple values pass through", function()
  equal(round_trip "f6", copal.null)
  equal(round_trip "f7", copal.undefined)
  equal(json.null, copal.null)
  equal(tostring(copal.undefined), "undefined")
  equal(round_trip "f4", false)
  equal(round_trip "f0".simple, 16)
  equal(round_trip "f8ff".simple, 255)
  local t = round_trip "c11a514b67b0"
  assert(cbor.is_tag(t, 1))
  equal(t.value, 1363896240)
  equal(hex(cbor.encode(cbor.tag(24, cbor.bytes "a"))), "d8184161")
  equal(hex(cbor.encode { copal.null, nil }), "81f6")
end)

test("keys of a map are of any kind, and sorted", function()
  equal(hex(cbor.encode { b = 1, a = 2, [10] = 3, [-1] = 4, [true] = 5, aa = 6 }),
    "a60a03200461610261620162616106f505")
  local v = cbor.decode(bytes "a2 8101 02 f5 03")
  equal(v[true], 3)
end)

test("what CBOR cannot say throws", function()
  throws("CBOR has no function", cbor.encode, print)
  throws("CBOR has no function", cbor.encode, { print })
  local t = {}
  t.t = t
  throws("nested too deeply", cbor.encode, t)
  throws("same key twice", cbor.encode, { [cbor.bytes "a"] = 1, [cbor.bytes "a"] = 2 })
  throws("simple value", cbor.encode, cbor.simple(24))
  throws("integer", cbor.tag, "x")
  throws("string", cbor.bytes, 1)
end)

test("what does not decode says what and where", function()
  for _, digits in ipairs { "", "81", "18", "ff", "0000", "1c", "61ff", "f818",
    "5f6161ff", "bf00ff", "9bffffffffffffffff", "5b7fffffffffffffff00" } do
    local v, why = cbor.decode(bytes(digits))
    equal(v, nil)
    assert(why:find("^CBOR: .* at byte %d+$"), why)
    equal((cbor.diagnostic(bytes(digits))), nil)
  end
  equal(select(2, cbor.decode(bytes "a201020103")),
    "CBOR: a map with the same key twice at byte 5")
  for _, digits in ipairs { "a24161014161f6", "a28101018101f6", "a2c10001c100f6" } do
    local v, why = cbor.decode(bytes(digits), { exact = true })
    equal(v, nil)
    assert(why:find "the same key twice", why)
  end
  assert(select(2, cbor.decode(bytes "a1f97e0001")):find "NaN")
  assert(select(2, cbor.decode(("\129"):rep(65) .. "\0")):find "nested too deeply")
  assert(cbor.decode(("\129"):rep(64) .. "\0"))
  assert(cbor.from_diagnostic(("["):rep(64) .. "0" .. ("]"):rep(64)))
  assert(cbor.from_diagnostic(("1("):rep(64) .. "0" .. (")"):rep(64)))
  assert(select(2, cbor.from_diagnostic(("["):rep(65) .. ("]"):rep(65))):find "nested too deeply")
end)

test("many errors leak nothing and leave the stack alone", function()
  local broken = cbor.encode { { { "x", { a = 1 } } } }:sub(1, -2)
  collectgarbage()
  local before = collectgarbage "count"
  for _ = 1, 2000 do
    cbor.decode(broken)
    pcall(cbor.encode, { { "x", { print } } })
    json.decode '[[1,{"a":'
  end
  collectgarbage()
  collectgarbage()
  assert(collectgarbage "count" < before + 100)
end)

test("a sequence is a list", function()
  local list = cbor.decode(bytes "01820203", { sequence = true })
  equal(#list, 2) equal(list[2][2], 3)
  equal(#cbor.decode("", { sequence = true }), 0)
  equal(cbor.diagnostic(bytes "0102", { sequence = true }), "1\n2")
end)

test("diagnostic notation is written and read back", function()
  for _, text in ipairs { "1", "-1.5", "1.0e+300", "h'00ff'", '{1: [2, 3], "a": {}}',
    "1(1363896240)", "simple(99)", "18446744073709551615", "-18446744073709551616",
    "2(h'010000000000000000')", "NaN", "-Infinity", "undefined", '"\195\188"', "[]", "-0.0" } do
    local v, why = cbor.from_diagnostic(text)
    assert(v ~= nil, why)
    equal(cbor.diagnostic(cbor.encode(v)), text)
  end
  if math.type then -- integers of 64 bits
    equal(hex(cbor.encode(cbor.from_diagnostic "18446744073709551615(1)")),
      "dbffffffffffffffff01")
  end
  equal(hex(cbor.encode(cbor.from_diagnostic "18446744073709551616")),
    "c249010000000000000000")
  equal(hex(cbor.encode(cbor.from_diagnostic "-18446744073709551617")),
    "c349010000000000000000")
  equal(hex(cbor.encode(cbor.from_diagnostic "[_ 1_0, (_ h'01', b64'Ag'), / x / 'a']")),
    "83014201024161")
  for _, bad in ipairs { "", "[", "[1", "[1,]", "{1}", "h'0'", "01", "1(2", "x", "1 2",
    '"', "'", "simple(", ("["):rep(1000), "1e999x", "\255" } do
    local v, why = cbor.from_diagnostic(bad)
    equal(v, nil)
    assert(why:find "^diagnostic notation: ", why)
  end
end)

test("JSON keeps its integers and refuses what it cannot keep", function()
  if has_integers then
    equal(json.decode "9223372036854775807", math.maxinteger)
    equal(json.encode(json.decode "[-9223372036854775808]"), "[-9223372036854775808]")
  end
  equal(json.encode(json.decode "[9007199254740991,1.5,-0.1]"), "[9007199254740991,1.5,-0.1]")
  equal(json.decode "18446744073709551616", nil)
  equal(json.decode "1e999", nil)
  equal(json.decode '"\255"', nil)
  equal(json.decode '"a\\u0000b"', "a\0b")
  equal(json.decode(("["):rep(201) .. ("]"):rep(201)), nil)
  assert(json.decode(("["):rep(200) .. ("]"):rep(200)))
  throws("UTF-8", json.encode, "\255")
  throws("JSON has no bytes", json.encode, { cbor.bytes "a" })
  local t = {}
  t[1] = t
  throws("nested too deeply", json.encode, t)
end)

---- SenML ---------------------------------------------------------------------

test("SenML's base fields are applied to what follows them", function()
  -- RFC 8428 5.1.3 and 6, the CBOR of which is that of 5.1.2.
  local list = assert(senml.decode([[
    [{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,
      "n":"voltage","u":"V","v":120.1},
     {"n":"current","t":-5,"v":1.2},
     {"bn":"x","bv":10,"v":0.5},
     {"bs":1,"s":2}]
  ]], "json"))
  equal(#list, 4)
  equal(list[1].name, "urn:dev:ow:10e2073a0108006:voltage")
  equal(list[1].unit, "V") equal(list[1].value, 120.1)
  equal(list[1].time, 1276020076.001)
  equal(list[2].unit, "A") equal(list[2].time, 1276020071.001)
  equal(list[3].name, "x") equal(list[3].value, 10.5)
  equal(list[4].sum, 3)
  list = assert(senml.decode(cbor.encode { { [-2] = "a:", [0] = "t", [2] = cbor.tag(4, { -2, 27315 }) },
    { [0] = "d", [8] = cbor.bytes "\1\2" } }, "cbor"))
  equal(list[1].name, "a:t") equal(list[1].value, 273.15)
  equal(list[2].vd, "\1\2") equal(list[2].value, "\1\2")
end)

test("SenML's other values are told apart", function()
  local list = assert(senml.decode(
    '[{"n":"a","vs":"x"},{"n":"b","vb":false},{"n":"c","vd":"AQI","ut":5}]', "json"))
  equal(list[1].vs, "x") equal(list[1].value, "x")
  equal(list[2].vb, false) equal(list[2].value, false)
  equal(list[3].vd, "\1\2") equal(list[3].update_time, 5)
end)

test("SenML that is not as RFC 8428 wants it is refused", function()
  for text, what in pairs {
    ["{}"] = "not an array", ["[1]"] = "not a map", ['[{"v":1}]'] = "no name",
    ['[{"n":"a"}]'] = "no value", ['[{"n":"a","v":1,"vs":"x"}]'] = "more than one",
    ['[{"n":"a","v":"1"}]'] = "not a number", ['[{"n":"a","v":1,"x_":2}]'] = "understood",
    ['[{"bver":11,"n":"a","v":1}]'] = "version", ['[{"n":"a","vd":"?"}]'] = "base64",
    ["["] = "JSON",
  } do
    local list, why = senml.decode(text, "json")
    equal(list, nil)
    assert(why:find(what, 1, true), why)
  end
  equal(#senml.decode("[]", "json"), 0)
  equal(#senml.decode('[{"bn":"a"}]', "json"), 0)
end)

test("SenML is written from labels and from names", function()
  equal(senml.encode({ { name = "a", unit = "V", value = 1.5 }, { n = "b", vs = "x" },
    { name = "c", value = true, time = 5 } }, "json"),
    '[{"n":"a","u":"V","v":1.5},{"n":"b","vs":"x"},{"n":"c","t":5,"vb":true}]')
  equal(hex(senml.encode({ n = "a", vd = "\1" }, "cbor")), "81a2006161084101")
  throws("v is not a number", senml.encode, { { n = "a", v = "x" } }, "json")
end)

---- Messages ------------------------------------------------------------------

if not coroutine.isyieldable then check.done() os.exit(0) end -- cannot wait

test("bodies are written and read by their Content-Format", function()
  copal.run(function(coap)
    assert(coap:listen "coap://127.0.0.1:0")
    local base = coap:addresses()[1]
    local seen
    coap:serve("/x", { put = function(req)
      seen = req
      return copal.CHANGED
    end, get = function(req)
      return { code = copal.CONTENT, payload = { on = true, t = 21.5 },
        format = req.query[1] }
    end })
    local function put(body, format)
      local res = assert(copal.put(base .. "/x", body, { format = format }))
      equal(res.code, copal.CHANGED)
      return seen:decode()
    end
    equal(put({ on = true }, "cbor").on, true)
    equal(seen.format, copal.CBOR)
    equal(hex(seen.payload), "a1626f6ef5")
    equal(seen:cbor().on, true)
    equal(put({ on = true }, "json").on, true)
    equal(seen.payload, '{"on":true}')
    equal(put({ on = true }).on, true)
    equal(seen.format, copal.JSON)
    equal(put(42, "cbor"), 42)
    equal(put(42), "42")
    equal(put("plain", "text"), "plain")
    equal(put({ { n = "t", v = 1 } }, "senml+cbor")[1].value, 1)
    equal(hex(seen.payload), "81a20061740201")
    equal(put({ { n = "t", v = 1 } }, "senml+json")[1].name, "t")
    equal(put("</a>;obs", "link")[1].href, "/a")
    equal(copal.get(base .. "/x?cbor"):decode().t, 21.5)
    equal(copal.get(base .. "/x?json"):decode().on, true)
    local v, e = copal.put(base .. "/x", { f = print }, { format = "cbor" })
    equal(v, nil) assert(tostring(e):find("CBOR has no function", 1, true))
    v, e = copal.put(base .. "/x", {}, { format = "application/xml" })
    equal(v, nil) assert(copal.is_error(e, "ENOTSUP"))
    v, e = put("\130", "cbor")
    equal(v, nil) assert(copal.is_error(e, "EFORMAT"), tostring(e))
    coap:stop()
  end)
end)

check.done()
