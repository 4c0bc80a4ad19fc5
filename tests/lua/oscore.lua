-- OSCORE from scripts, between two endpoints of a simulator and over loopback.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal, throws = check.test, check.equal, check.throws

if not copal.endpoint():use_oscore("*", { secret = ("x"):rep(16), recipient_id = "c", sender_id = "s",
  rederives = true }) then
  print "skipped: built without GnuTLS"
  os.exit(77)
end

local function keeper()
  local kept = {}
  return {
    get = function(path) return kept[path] end,
    put = function(path, bytes) kept[path] = bytes return true end,
    delete = function(path) kept[path] = nil return true end,
  }
end

local ours = { secret = ("k"):rep(16), salt = "salt", sender_id = "c", recipient_id = "s" }
local theirs = { secret = ("k"):rep(16), salt = "salt", sender_id = "s", recipient_id = "c" }

test("what is asked and answered is protected, and handlers see who asks", function()
  local server = assert(copal.endpoint { store = keeper(), oscore = { ["*"] = theirs } })
  server:serve("/who", { secure = true, get = function(req) return req.identity end })
  assert(server:listen "coap://127.0.0.1:0")
  local base = server:addresses()[1]
  local client = assert(copal.endpoint { store = keeper() })
  assert(client:use_oscore(base .. "/", ours))
  local res = assert(client:get(base .. "/who"))
  equal(res.text, "oscore:63")
  equal(res.identity, "oscore:73")
  local stranger = assert(copal.endpoint())
  equal(assert(stranger:get(base .. "/who")).code, copal.UNAUTHORIZED)
  stranger:free()
  assert(client:forget(base .. "/"))
  equal(assert(client:get(base .. "/who")).code, copal.UNAUTHORIZED)
  client:free()
  server:free()
end)

test("without a store keys are made anew, and that is to be said", function()
  local c = assert(copal.endpoint())
  local ok, err = c:use_oscore("coap://h/", ours)
  equal(ok, nil) equal(err.name, "ESTATE")
  local k = {}
  for name, v in pairs(ours) do k[name] = v end
  k.rederives = true
  assert(c:use_oscore("coap://h/", k))
  c:free()
end)

test("mistakes are told", function()
  local c = assert(copal.endpoint { store = keeper() })
  local ok, err = c:use_oscore("http://h", ours)
  equal(ok, nil) equal(err.name, "EINVAL")
  ok, err = c:use_oscore("*", { secret = "x", sender_id = "a", recipient_id = "a" })
  equal(ok, nil) equal(err.name, "EINVAL")
  throws("no field", c.use_oscore, c, "*", { secret = "x", sender = "a" })
  throws("table", c.use_oscore, c, "*", "secret")
  c:free()
end)

check.done()
