-- Handles of the core module survive every misuse: an error, never a crash.
local core = require "copal_core"
local check = require "support.check"
local test, equal, throws = check.test, check.equal, check.throws

local function nothing() end

test("a userdata of someone else is no handle", function()
  throws("endpoint expected", core.run, io.stdout)
  throws("endpoint expected", core.stop, io.stdout)
  throws("message expected", core.msg_code, io.stdout)
  throws("exchange expected", core.cancel, io.stdout)
end)

test("a userdata where a number or text belongs is an error", function()
  local c = core.endpoint()
  throws("number expected", core.msg_new, c, io.stdout)
  throws("string expected", core.listen, c, io.stdout, 0)
  throws("function expected", core.after, c, 1, io.stdout)
  core.free(c)
end)

test("a handle of another kind is refused", function()
  local c = core.endpoint()
  local m = core.msg_new(c, 1)
  throws("endpoint expected", core.run, m)
  throws("message expected", core.msg_code, c)
  throws("exchange expected", core.cancel, m)
  core.free(c)
end)

test("no handle at all is refused", function()
  throws("endpoint expected", core.run, nil)
  throws("message expected", core.msg_code, 1)
  throws("expected 1..1 args", core.msg_code)
  throws("endpoint expected", core.run, {})
end)

test("freeing twice is no mistake, use after it is", function()
  local c = core.endpoint()
  core.free(c)
  core.free(c)
  throws("a closed one", core.run, c)
  throws("a closed one", core.listen, c, "coap://127.0.0.1:0", 0)
end)

test("__gc may run twice, and on anything", function()
  local c = core.endpoint()
  local m = core.msg_new(c, 1)
  local gc = debug.getmetatable(m).__gc
  gc(m)
  gc(m)
  gc(c)
  gc(io.stdout)
  gc(1)
  gc()
  throws("a closed one", core.msg_code, m)
  local gc_endpoint = debug.getmetatable(c).__gc
  gc_endpoint(c)
  gc_endpoint(c)
  throws("a closed one", core.run, c)
end)

test("the metatable is hidden and cannot be replaced", function()
  local c = core.endpoint()
  equal(getmetatable(c), false)
  throws("", setmetatable, c, {})
  core.free(c)
end)

test("a message outlives its endpoint", function()
  local c = core.endpoint()
  local m = core.msg_new(c, 1)
  core.msg_set_uri(m, "coap://127.0.0.1/t")
  core.free(c)
  equal(core.msg_code(m), 1)
  equal(core.msg_uri(m), "coap://127.0.0.1/t")
end)

test("an exchange outlives its endpoint", function()
  local c = core.endpoint()
  local m = core.msg_new(c, 1)
  core.msg_set_uri(m, "coap://127.0.0.1:9/t")
  local ends, failed = 0, nil
  local x = core.request(c, m, function(kind, name)
    if kind == core.END then ends, failed = ends + 1, name end
  end)
  core.free(c)
  equal(ends, 1)
  equal(failed, "ECLOSED")
  local ok, _, name = core.cancel(x)
  equal(ok, nil)
  assert(name == "ESTATE" or name == "ECLOSED", name)
end)

test("integers are integers and exact", function()
  local c = core.endpoint()
  if math.type then equal(math.type(core.now(c)), "integer") end
  local m = core.msg_new(c, 3)
  core.msg_add_uint(m, 60, 4294967295)
  equal(core.msg_uint(m, 60), 4294967295)
  throws("out of range", core.msg_add_uint, m, 60, 2 ^ 40)
  throws("out of range", core.after, c, -1, nothing)
  core.free(c)
end)

test("bytes may contain zeros, text may not", function()
  local c = core.endpoint()
  local m = core.msg_new(c, 3)
  core.msg_set_payload(m, -1, "a\0b")
  equal(core.msg_payload(m), "a\0b")
  core.msg_add(m, 4, "\0\1")
  equal(core.msg_value(m, 4, 0), "\0\1")
  equal(core.msg_value(m, 4, 1), nil)
  throws("zero byte", core.msg_set_uri, m, "coap://h/\0x")
  core.free(c)
end)

test("errors are nil, text, NAME", function()
  local c = core.endpoint()
  core.serve(c, 1, "/x", 0, nothing)
  local ok, text, name = core.serve(c, 1, "/x", 0, nothing)
  equal(ok, nil)
  equal(name, "EEXIST")
  equal(type(text), "string")
  core.free(c)
end)

test("a callback is let go of exactly once", function()
  local c = core.endpoint()
  local weak = setmetatable({}, { __mode = "k" })
  do
    local fn = function() return c and nothing end
    weak[fn] = true
    core.after(c, 100000, fn)
  end
  collectgarbage() collectgarbage()
  assert(next(weak), "the timer holds its function")
  core.free(c)
  c = nil
  collectgarbage() collectgarbage()
  equal(next(weak), nil)
end)

test("a callback of a call that failed is let go of, too", function()
  local c = core.endpoint()
  core.serve(c, 1, "/x", 0, nothing)
  local weak = setmetatable({}, { __mode = "k" })
  do
    local up = {}
    local fn = function() return up end
    weak[fn] = true
    equal(core.serve(c, 1, "/x", 0, fn), nil)
  end
  collectgarbage() collectgarbage()
  equal(next(weak), nil)
  core.free(c)
end)

test("a callback made in a coroutine that died runs", function()
  local c = core.endpoint()
  local seen = 0
  for _ = 1, 100 do
    coroutine.wrap(function()
      core.after(c, 1, function() seen = seen + 1 end)
    end)()
  end
  collectgarbage() collectgarbage()
  core.run(c)
  equal(seen, 100)
  core.free(c)
end)

test("an error in a callback goes to the sink, the loop goes on", function()
  local c = core.endpoint()
  local errors, after = {}, false
  core.on_error(function(e) errors[#errors + 1] = e end)
  core.after(c, 1, function() error("thrown on purpose") end)
  core.after(c, 2, function() after = true end)
  core.run(c)
  equal(#errors, 1)
  assert(errors[1]:find("thrown on purpose", 1, true))
  assert(errors[1]:find("traceback", 1, true))
  assert(after)
  core.on_error(nil)
  core.free(c)
end)

test("freeing the endpoint in a callback takes effect after it", function()
  local c = core.endpoint()
  local went_on = false
  core.after(c, 1, function()
    core.free(c)
    went_on = true
    throws("a closed one", core.stop, c)
  end)
  core.run(c)
  assert(went_on)
end)

test("an endpoint that is only collected calls nobody", function()
  local called = false
  do
    local c = core.endpoint()
    core.after(c, 100000, function() called = true end)
  end
  collectgarbage() collectgarbage()
  equal(called, false)
end)

check.done()
