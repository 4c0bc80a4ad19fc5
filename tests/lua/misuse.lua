-- What goes wrong when copal is used wrongly, row by row: what is done, and how
-- it is told. Never a crash, never silence.
local copal = require "copal"
local core = require "copal_core"
local check = require "support.check"
local test, equal, throws = check.test, check.equal, check.throws

local sim = copal.sim()
-- Each failure is looked at, so none may be left out.
local server, client = sim:endpoint("server", { log_burst = 0 }), sim:endpoint "client"
local T = "coap://server/t"
local function nothing() end

local told = {} -- errors that no code waits for
copal.on_error(function(e) told[#told + 1] = tostring(e) end)

server:serve("/t", { get = function() return "t" end,
  put = function() return copal.CHANGED end })
server:value("/v", 1)

---- Misuse that throws --------------------------------------------------------

-- what is done, part of the sentence, the deed
local thrown = {
  { "no URI", "a URI expected, got nil", function() client:get() end },
  { "a URI that is a number", "a URI expected, got number", function() client:get(5) end },
  { "a URI that is a table", "a URI expected, got table", function() client:put({}, "x") end },
  { "a method called with a dot", "a URI expected, got nil", function() client.get(T) end },
  { "a URI with a zero byte", "zero byte", function() client:get "coap://server/\0t" end },
  { "options that are a number", "a table of options expected", function() client:get(T, 5) end },
  { "options that are text", "a table of options expected", function() client:put(T, "x", "y") end },
  { "a callback that is a number", "a function expected, got number",
    function() client:get(T, {}, 5) end },
  { "a parameter misspelt", "no such option or parameter: ack_timout",
    function() client:get(T, { ack_timout = 1 }) end },
  { "an option's number with a fraction", "integer",
    function() client:get(T, { options = { [1.5] = "x" } }) end },
  { "an option's value with a fraction", "integer", function() client:get(T, { max_age = 1.5 }) end },
  { "a negative Max-Age", "out of range", function() client:get(T, { max_age = -1 }) end },
  { "an option of more than 32 bits", "out of range", function() client:get(T, { size1 = 2 ^ 40 }) end },
  { "a timeout that is text", "timeout is a number, got string",
    function() client:get(T, { timeout = "5" }) end },
  { "a timeout that is no number", "timeout is out of range",
    function() client:get(T, { timeout = 0 / 0 }) end },
  { "a timeout without end", "timeout is out of range",
    function() client:get(T, { timeout = math.huge }) end },
  { "a parameter of 64 bits", "max_retransmit is out of range",
    function() client:get(T, { max_retransmit = 2 ^ 63 }) end },
  { "sleeping backwards", "a time is a number of seconds, got -1", function() client:sleep(-1) end },
  { "sleeping for ever", "a time is a number of seconds", function() client:sleep(math.huge) end },
  { "a timer's time as text", "a time is a number of seconds, got x",
    function() client:after("x", nothing) end },
  { "a timer without a function", "a function expected, got nil", function() client:after(1) end },
  { "an interval without a function", "a function expected", function() client:every(1, {}) end },
  { "a task that is no function", "function", function() client:spawn(5) end },
  { "a request that is a number", "a message or a table expected", function() client:request(5) end },
  { "sending what is no message", "message expected", function() client:send(io.stdout, "coap://server") end },
  { "a message of an unknown code", "unknown code NONSENSE", function() client:message("NONSENSE", T) end },
  { "a message of a code over 255", "unknown code 256", function() client:message(256, T) end },
  { "changing a message that was received", "cannot change any more",
    function() client:get(T).payload = "x" end },
  { "assigning a code", "code cannot be assigned", function() client:message("GET", T).code = 1 end },
  { "an option nobody knows, read", "no option Nope", function() return client:get(T):option "Nope" end },
  { "observing nothing", "a URI expected, got nil", function() client:observe() end },
  { "observing a number", "a URI expected, got number", function() client:observe(5) end },
  { "serving nothing", "a function or a table expected", function() server:serve "/x" end },
  { "serving at no path", "string expected", function() server:serve(nil, nothing) end },
  { "a handler that is text", "get is a function, got string",
    function() server:serve("/x", { get = "text" }) end },
  { "a method of class 2", "2.05 is no method", function() server:serve("/x", { ["2.05"] = nothing }) end },
  { "a code that no method has", "0.99 is no method", function() server:serve("*", { ["0.99"] = nothing }) end },
  { "a misspelt method", "gett is no method", function() server:serve("/x", { gett = nothing }) end },
  { "a path with a zero byte", "zero byte", function() server:serve("/a\0b", nothing) end },
  { "another field of a value", "only .value can be assigned", function() server:value("/w", 1).other = 2 end },
  { "tuning what is not there", "no such parameter: foo", function() client:tune(nil, { foo = 1 }) end },
  { "tracing what is not there", "wire, state or security", function() client:trace("nonsense", nothing) end },
  { "an endpoint of an unknown parameter", "no such parameter: foo", function() copal.endpoint { foo = 1 } end },
  { "a simulation of an unknown key", "unknown key los", function() copal.sim { los = 1 } end },
  { "running what is no function", "function", function() copal.run(5) end },
}

for _, row in ipairs(thrown) do
  test(row[1] .. " throws", function() throws(row[2], row[3]) end)
end

---- Misuse that fails: nil, error ---------------------------------------------

local big = ("x"):rep(300)
local cycle = {}
cycle[1] = cycle

-- what is done, the error's name, part of the sentence, the deed
local failing = {
  { "an empty URI", "EURI", "an empty text is no URI", function() return client:get "" end },
  { "a scheme of the web", "EURI", "only through a proxy", function() return client:get "http://x/" end },
  { "a port over 65535", "EURI", "over 65535", function() return client:get "coap://server:99999/" end },
  { "a URI that is not UTF-8", "EURI", "percent-encode it as %FF",
    function() return client:get "coap://server/\255" end },
  { "half a percent sign", "EURI", "two hexadecimal digits", function() return client:get "coap://server/%z" end },
  { "a segment over 255 bytes", "EURI", "255 at most", function() return client:get("coap://server/" .. big) end },
  { "a fragment", "EURI", "fragment", function() return client:get(T .. "#x") end },
  { "a ping to nobody", "EURI", "the host is missing", function() return client:ping "coap://" end },
  { "a profile nobody knows", "EINVAL", "no profile 'nonsense'; there are samsung-ocf",
    function() return client:profile(T, "nonsense") end },
  { "a URL as the name of a host", "EINVAL", "no name of a host",
    function() return client:allow_host "http://device.example" end },
  { "an option of a signal", "EINVAL", "no option Max-Message-Size",
    function() return client:get(T, { options = { ["Max-Message-Size"] = 1 } }) end },
  { "an unknown option", "EINVAL", "no option Nonsense",
    function() return client:get(T, { options = { Nonsense = "x" } }) end },
  { "an option's number over 65535", "EINVAL", "options",
    function() return client:get(T, { options = { [70000] = "x" } }) end },
  { "an option that is a function", "EINVAL", "cannot be a function",
    function() return client:get(T, { etag = nothing }) end },
  { "an ETag of nine bytes", "EINVAL", "etag", function() return client:get(T, { etag = "123456789" }) end },
  { "an unknown Content-Format", "EINVAL", "unknown Content-Format no/such",
    function() return client:put(T, "x", { format = "no/such" }) end },
  { "a Content-Format over 65535", "EINVAL", "unknown Content-Format 65536",
    function() return client:put(T, "x", { format = 65536 }) end },
  { "a body that is a coroutine", "EINVAL", "cannot be a thread",
    function() return client:put(T, coroutine.create(nothing), {}) end },
  { "a table that holds itself", "EINVAL", "nested too deeply", function() return client:put(T, cycle) end },
  { "a key that JSON cannot have", "EINVAL", "no key that is a table",
    function() return client:put(T, { [{}] = 1 }) end },
  { "a table as XML", "ENOTSUP", "application/xml", function() return client:put(T, {}, { format = "xml" }) end },
  { "a body function that throws", "ECANCEL", "on purpose",
    function() return client:put(T, function() error "on purpose" end, {}) end },
  { "a body function that returns junk", "ECANCEL", "string expected",
    function() return client:put(T, function() return {} end, {}) end },
  { "a sink that throws", "ECANCEL", "on purpose",
    function() return client:get(T, { sink = function() error "on purpose" end }) end },
  { "a sink that is a number", "ECANCEL", "call", function() return client:get(T, { sink = 5 }) end },
  { "a negative timeout", "EINVAL", "timeout", function() return client:get(T, { timeout = -1 }) end },
  { "a block size between sizes", "EINVAL", "block_size",
    function() return client:get(T, { block_size = 100 }) end },
  { "a request with a response's code", "EINVAL", "not a method",
    function() return client:request(client:message("2.05", T)) end },
  { "a request without a URI", "EURI", "no URI", function() return client:request {} end },
  { "tuning out of range", "EINVAL", "1 to 86400000",
    function() return client:tune(nil, { ack_timeout = -5 }) end },
  { "serving twice", "EEXIST", "already served", function() return server:serve("/t", nothing) end },
  { "a path without a slash", "EINVAL", 'begins with "/"', function() return server:serve("x", nothing) end },
  { "a path with half a brace", "EINVAL", "a whole segment", function() return server:serve("/{a", nothing) end },
  { "a star amid a path", "EINVAL", "comes last", function() return server:serve("/*/a", nothing) end },
  { "taking away what is not served", "ENOENT", "nothing is served", function() return server:unserve "/no" end },
  { "notifying of what is not served", "ENOENT", "nothing is served", function() return server:notify "/no" end },
  { "listening at a page of the web", "EURI", "only through a proxy",
    function() return client:listen "http://x" end },
  { "text that is no JSON", "EFORMAT", "JSON", function() return client:get(T):json() end },
  { "text that is no CBOR", "EFORMAT", "CBOR", function() return client:get(T):cbor() end },
  { "more than all of the losses", "EINVAL", "range", function() return copal.sim { loss = 101 } end },
}

for _, row in ipairs(failing) do
  test(row[1] .. " fails with " .. row[2], function()
    local result, err = row[4]()
    equal(result, nil)
    assert(copal.is_error(err, row[2]), "not " .. row[2] .. ": " .. tostring(err))
    assert(tostring(err):find(row[3], 1, true), "no '" .. row[3] .. "' in: " .. tostring(err))
  end)
end

---- Handlers ------------------------------------------------------------------

-- what the handler does, what is told here, the handler
local handlers = {
  { "throws text", "on purpose", function() error "on purpose" end },
  { "throws a table", "table", function() error {} end },
  { "throws nothing", "nil", function() error() end },
  { "yields by itself", "coroutine.yield", function() coroutine.yield() end },
  { "returns a coroutine", "cannot be a thread", function() return coroutine.create(nothing) end },
  { "returns an endpoint", "", function() return client end },
  { "returns a method", "no response code", function() return copal.GET end },
  { "returns an unknown code", "unknown code 9.99", function() return { code = "9.99" } end },
  { "returns a code that is no response's", "no response code", function() return { code = 1 } end },
  { "returns a body that cannot be sent", "cannot be a function", function() return copal.CONTENT, nothing end },
  { "returns an unknown format", "no/such", function() return "x", "no/such" end },
  { "returns an unknown option", "no option Nonsense",
    function() return { payload = "x", options = { Nonsense = "x" } } end },
  { "returns its own request", "no response code", function(req) return req end },
}

for i, row in ipairs(handlers) do
  test("a handler that " .. row[1] .. " is answered 5.00 without text", function()
    local path = "/h" .. i
    assert(server:serve(path, row[3]))
    told = {}
    local res = assert(client:get("coap://server" .. path, { timeout = 100 }))
    equal(res.code, copal.INTERNAL_ERROR)
    equal(res.payload, "")
    equal(#res.options, 0)
    equal(#told, 1)
    assert(told[1]:find(row[2], 1, true), told[1])
  end)
end

test("what a handler threw comes with its traceback, and not on the wire", function()
  server:serve("/secret", function() error "the secret" end)
  told = {}
  client:get "coap://server/secret"
  assert(told[1]:find("misuse.lua:%d+: the secret\nstack traceback:"), told[1])
  assert(sim.transcript:find("ACK 5.00", 1, true))
  assert(not sim.transcript:find("the secret", 1, true))
end)

if coroutine.isyieldable then
  test("a handler that never answers is a timeout", function()
    server:serve("/never", function() server:forever() end)
    local res, err = client:get("coap://server/never", { timeout = 10 })
    equal(res, nil)
    equal(err.name, "ETIMEOUT")
  end)
end

test("a body that is too large is refused with 4.13", function()
  equal(assert(client:put(T, ("x"):rep(2 ^ 21))).code, copal.TOO_LARGE)
end)

test("what callbacks and timers throw is told, and all goes on", function()
  told = {}
  client:get(T, function() error "in callback" end)
  client:after(0, function() error "in timer" end)
  sim:run(1)
  equal(#told, 2)
  local all = table.concat(told)
  assert(all:find("in callback", 1, true) and all:find("in timer", 1, true), all)
  equal(client:get(T).payload, "t")
end)

---- Twice, and after the end --------------------------------------------------

test("an exchange is answered once", function()
  local c, s = sim:endpoint "twice", sim:endpoint "once"
  local first, second, after, kept
  core.serve(s.handle, 1, "/x", 0, function(kind, x)
    if kind ~= core.REQUEST then return end
    first = core.reply(x, 69, core.NO_FORMAT, "1")
    second = { core.reply(x, 69, core.NO_FORMAT, "2") }
    kept = x
  end)
  equal(c:get("coap://once/x").payload, "1")
  assert(first)
  equal(second[1], nil) equal(second[3], "ESTATE")
  after = { core.reply(kept, 69, core.NO_FORMAT, "3") }
  equal(after[1], nil) equal(after[3], "ESTATE")
  s:free()
  after = { core.reply(kept, 69, core.NO_FORMAT, "4") }
  equal(after[1], nil) assert(after[3] == "ESTATE" or after[3] == "ECLOSED", after[3])
  throws("exchange expected", core.reply, io.stdout, 69, core.NO_FORMAT, "5")
  c:free()
end)

test("cancelling twice says false", function()
  local ends = 0
  local request = client:get(T, function() ends = ends + 1 end)
  equal(request:cancel(), true)
  equal(request:cancel(), false)
  sim:run(1)
  equal(ends, 1)
  equal(request:cancel(), false)
  local obs = client:observe "coap://server/v"
  equal(obs:cancel(), true)
  equal(obs:cancel(), false)
  equal(obs(), nil)
  local timer = client:after(1, nothing)
  equal(timer:cancel(), true)
  equal(timer:cancel(), false)
end)

test("what cannot be observed gives its value and ENOTOBS", function()
  local obs = client:observe(T)
  equal(obs().payload, "t")
  equal(obs(), nil)
  equal(obs.error.name, "ENOTOBS")
end)

test("closing twice is no mistake, everything afterwards throws", function()
  local c = sim:endpoint "closed"
  c:close(0)
  c:close(0)
  c:free()
  for name, deed in pairs {
    get = function() c:get(T) end,
    put = function() c:put(T, "x", nothing) end,
    ping = function() c:ping(T) end,
    observe = function() c:observe(T) end,
    serve = function() c:serve("/x", nothing) end,
    value = function() c:value("/x", 1) end,
    unserve = function() c:unserve "/x" end,
    notify = function() c:notify "/x" end,
    listen = function() c:listen "coap://127.0.0.1:0" end,
    addresses = function() c:addresses() end,
    stats = function() c:stats() end,
    metrics = function() c:metrics(0) end,
    metrics_text = function() c:metrics_text() end,
    sleep = function() c:sleep(1) end,
    after = function() c:after(1, nothing) end,
    spawn = function() c:spawn(nothing) end,
    now = function() c:now() end,
    tune = function() c:tune(nil, { nstart = 1 }) end,
    profile = function() c:profile(nil, "shelly") end,
    allow_host = function() c:allow_host "device.example" end,
    strays = function() c:strays() end,
    run = function() c:run() end,
  } do
    local ok, e = pcall(throws, "the endpoint is closed", deed)
    if not ok then error(name .. ": " .. tostring(e)) end
  end
end)

test("a place for metrics that is none, or in a simulation, is an error", function()
  local coap = assert(copal.endpoint())
  local port, err = coap:metrics "nowhere"
  equal(port, nil)
  equal(err.name, "EINVAL")
  assert(err.message:find("127.0.0.1:9100", 1, true))
  assert(assert(coap:metrics(0)) > 0)
  equal(coap:metrics(), 0)
  coap:free()
  port, err = server:metrics(0)
  equal(port, nil)
  equal(err.name, "ESTATE")
end)

check.done()
