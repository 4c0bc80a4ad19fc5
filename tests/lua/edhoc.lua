-- EDHOC from scripts, over loopback.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal, throws = check.test, check.equal, check.throws

if not copal.make_edhoc "P-256" then
  print "skipped: built without GnuTLS"
  os.exit(77)
end

local function keys(curve, method, suite)
  local c, of_c = copal.make_edhoc(curve, "the client", "c")
  local s, of_s = copal.make_edhoc(curve, "the server", "s")
  return { method = method, suite = suite, private_key = c, credential = of_c, peer_credential = of_s },
    { method = method, suite = suite, private_key = s, credential = of_s, peer_credential = of_c }
end

local function serve(given)
  local server = assert(copal.endpoint { edhoc = { ["*"] = given } })
  server:serve("/who", { secure = true, get = function(req) return req.identity end })
  assert(server:listen "coap://127.0.0.1:0")
  return server, server:addresses()[1]
end

test("the first request brings keys, and handlers see who asks", function()
  local ours, theirs = keys("P-256", 3, 2)
  local server, base = serve(theirs)
  local client = assert(copal.endpoint())
  assert(client:use_edhoc(base .. "/", ours))
  local res = assert(client:get(base .. "/who"))
  equal(res.text, "the client")
  equal(res.identity, "the server")
  assert(client:forget(base .. "/"))
  equal(assert(client:get(base .. "/who")).code, copal.UNAUTHORIZED)
  client:free()
  server:free()
end)

test("peers may be added one by one", function()
  local ours, theirs = keys("Ed25519", 0, 0)
  local peer = theirs.peer_credential
  theirs.peer_credential = nil
  local server, base = serve(theirs)
  local client = assert(copal.endpoint { edhoc = { [base .. "/"] = ours } })
  local res, err = client:get(base .. "/who")
  equal(res, nil) equal(err.name, "EAUTH")
  assert(server:use_edhoc("*", { peer_credential = peer }))
  equal(assert(client:get(base .. "/who")).text, "the client")
  client:free()
  server:free()
end)

test("mistakes are told", function()
  local ours = keys("P-256", 3, 2)
  local c = assert(copal.endpoint())
  local ok, err = c:use_edhoc("http://h", ours)
  equal(ok, nil) equal(err.name, "EINVAL")
  ours.suite = 0
  ok, err = c:use_edhoc("coap://h", ours)
  equal(ok, nil) equal(err.name, "EINVAL")
  throws("no field", c.use_edhoc, c, "*", { key = "x" })
  throws("table", c.use_edhoc, c, "*", "secret")
  ok, err = copal.make_edhoc "P-521"
  equal(ok, nil) equal(err.name, "EINVAL")
  c:free()
end)

check.done()
