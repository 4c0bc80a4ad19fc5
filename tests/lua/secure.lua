-- Credentials, and CoAP over TLS with them.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal, throws = check.test, check.equal, check.throws

do
  local probe, err = copal.endpoint { psk = { ["coaps://h"] = { "me", "key" } } }
  if not probe and err.name == "ENOTSUP" then
    print "skipped: built without GnuTLS"
    os.exit(77)
  end
  probe:free()
end

local KEY = "0123456789abcdef"

-- fn(client, base) with a server that has these credentials.
local function with_server(config, fn)
  copal.run(function(coap)
    local server = assert(copal.endpoint(config))
    server:serve("/who", function(req) return req.identity or "nobody" end)
    server:serve("/secret", { get = function() return "treasure" end, secure = true })
    assert(server:listen "coaps+tcp://127.0.0.1:0")
    fn(server:addresses()[1], server)
    server:free()
    coap:stop()
  end)
end

test("job 8: a key and its name, and nothing else", function()
  with_server({ psk = { ["*"] = { me = KEY, you = "another key" } } }, function(base)
    local c = assert(copal.endpoint { psk = { [base] = { "me", KEY } } })
    equal(assert(c:get(base .. "/who")).text, "me")
    equal(assert(c:get(base .. "/secret")).text, "treasure")
    c:free()
    c = assert(copal.endpoint { psk = { [base] = { "me", "wrong" } } })
    local res, err = c:get(base .. "/who")
    equal(res, nil) equal(err.name, "EAUTH")
    c:free()
  end)
end)

test("job 9: a server that looks keys up, which may take a while", function()
  local asked = {}
  with_server({}, function(base, server)
    assert(server:use_lookup("psk", function(id)
      asked[#asked + 1] = id
      server:sleep(0.01)
      return id == "me" and KEY or nil
    end))
    local c = assert(copal.endpoint { psk = { [base] = { "me", KEY } } })
    equal(assert(c:get(base .. "/who")).text, "me")
    c:free()
    c = assert(copal.endpoint { psk = { [base] = { "you", KEY } } })
    local res, err = c:get(base .. "/who")
    equal(res, nil) equal(err.name, "EAUTH")
    c:free()
    equal(table.concat(asked, " "), "me you")
  end)
end)

test("job 9: given at birth", function()
  with_server({ psk = function() return KEY end }, function(base)
    local c = assert(copal.endpoint { psk = { [base] = { "anybody", KEY } } })
    equal(assert(c:get(base .. "/who")).text, "anybody")
    c:free()
  end)
end)

test("a function that throws opens nothing", function()
  copal.on_error(function() end)
  with_server({ psk = function() error "broken" end }, function(base)
    local c = assert(copal.endpoint { psk = { [base] = { "me", KEY } } })
    local res, err = c:get(base .. "/who")
    equal(res, nil) equal(err.name, "EAUTH")
    c:free()
  end)
end)

test("what is forgotten is gone, and mistakes are told", function()
  local c = assert(copal.endpoint())
  assert(c:use_psk("coaps://h", "me", KEY))
  assert(c:forget "coaps://h")
  local ok, err = c:forget "coaps://h"
  equal(ok, nil) equal(err.name, "ENOENT")
  ok, err = c:use_psk("coap://h", "me", KEY)
  equal(ok, nil) equal(err.name, "EINVAL")
  ok, err = c:use_cert("*", { cert = "junk", key = "junk" })
  equal(ok, nil) equal(err.name, "EFORMAT")
  ok, err = c:use_file "/no/such/file"
  equal(ok, nil) equal(err.name, "ENOENT")
  throws("psk", c.use_lookup, c, "oscore", print)
  throws("function", c.use_lookup, c, "psk", "key")
  c:free()
  c, err = copal.endpoint { credentials = "/no/such/file" }
  equal(c, nil) equal(err.name, "ENOENT")
end)

test("a directory for state is one endpoint's alone", function()
  local dir = os.tmpname()
  os.remove(dir)
  local one = assert(copal.endpoint { store = dir })
  local other, err = copal.endpoint { store = dir }
  equal(other, nil) equal(err.name, "EINUSE")
  assert(tostring(err):find(dir, 1, true), tostring(err))
  local ok, again = one:store(dir)
  equal(ok, nil) equal(again.name, "EEXIST")
  one:free()
  one = assert(copal.endpoint())
  throws("get, put and delete", one.store, one, { get = print })
  throws("get, put and delete", one.store, one, 7)
  assert(one:store(dir))
  one:free()
  os.remove(dir .. "/lock")
  os.remove(dir)
end)

test("state may be kept by functions, and outlives the endpoint", function()
  local kept, calls, server = {}, {}, nil
  local keeper = {
    get = function(path)
      calls[#calls + 1] = "get"
      return kept[path]
    end,
    put = function(path, bytes)
      calls[#calls + 1] = "put"
      server:sleep(0.01) -- it may wait
      kept[path] = bytes
    end,
    delete = function(path)
      calls[#calls + 1] = "delete"
      kept[path] = nil
    end,
  }
  local sim = copal.sim { seed = 5 }
  local function start()
    server = sim:endpoint "server"
    assert(server:use_psk("*", "me", KEY))
    assert(server:store(keeper))
    server:serve("/who", function(req) return req.identity end)
    assert(server:listen "coaps://*")
  end
  local client = sim:endpoint "client"
  assert(client:use_psk("coaps://server", "me", KEY))
  start()
  equal(assert(client:get "coaps://server/who").text, "me")
  sim:run(1)
  local path = next(kept)
  assert(path:match "^dtls/%x+$", path)
  for _ = 1, 2 do
    server:free()
    start()
    equal(assert(client:get "coaps://server/who").text, "me")
    equal(server:metrics_text():match 'handshakes_total{result="saved"} (%d)', "1")
    equal(server:metrics_text():match 'handshakes_total{result="done"} (%d)', "0")
  end
  equal(table.concat(calls, " "):match "^put get put", "put get put")
  equal(next(kept), path) equal(next(kept, path), nil)
end)

check.done()
