-- Bodies in pieces: files and functions, both ways, with progress.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal = check.test, check.equal

local SIZE = 1500000 -- over MAX_BODY: it has to stream
local path = os.tmpname()

local function make_file()
  local f = assert(io.open(path, "wb"))
  local line = ("0123456789abcdef"):rep(64)
  local size = 0
  while size < SIZE do
    f:write(line)
    size = size + #line
  end
  f:close()
  return size
end

local size = make_file()

local function with_server(fn)
  copal.run(function(coap)
    assert(coap:listen "coap://127.0.0.1:0")
    fn(coap, coap:addresses()[1])
    coap:stop()
  end)
end

test("a file goes out as a response and comes in piece by piece", function()
  with_server(function(coap, base)
    coap:serve("/file", function() return assert(io.open(path, "rb")) end)
    local got, next_offset, ended = 0, 0, false
    local r = assert(coap:get(base .. "/file", { sink = function(piece, offset, last)
      equal(offset, next_offset)
      next_offset = offset + #piece
      got = got + #piece
      ended = last
    end }))
    equal(r.code, copal.CONTENT)
    equal(got, size)
    equal(ended, true)
  end)
end)

test("a file goes out as a request, with progress", function()
  with_server(function(coap, base)
    local got, last_offset = 0, 0
    coap:serve("/up", { streamed = true, put = function(req)
      for piece in req:chunks() do got = got + #piece end
      return copal.CHANGED
    end })
    local f = assert(io.open(path, "rb"))
    local r, err = coap:put(base .. "/up", f, { progress = function(offset)
      last_offset = offset
    end })
    assert(r, err)
    equal(r.code, copal.CHANGED)
    equal(got, size)
    assert(last_offset > 0)
    f:close()
  end)
end)

test("an upload that breaks off is not taken for the whole", function()
  local sim = assert(copal.sim { seed = 3 })
  local server, client = assert(sim:endpoint "server"), assert(sim:endpoint "client")
  local told, seen, ended, failure, again = {}, 0, false, nil, nil
  copal.on_error(function(e) told[#told + 1] = tostring(e) end)
  server:serve("/up", { streamed = true, put = function(req)
    local next_piece = req:chunks()
    local ok, e = pcall(function()
      for piece in next_piece do seen = seen + #piece end
      ended = true
    end)
    failure = not ok and e
    again = select(2, pcall(next_piece))
    error(e, 0)
  end })
  local request = client:put("coap://server/up", ("x"):rep(20000), { progress = function(done)
    if done > 4000 then client:free() end
  end }, function() end)
  assert(request)
  sim:run(600)
  assert(seen > 4000 and seen < 20000, seen)
  equal(ended, false)
  assert(copal.is_error(failure), tostring(failure))
  equal(again, failure)
  equal(#told, 0)
  sim:close()
end)

test("a function gives a body as it is asked for", function()
  with_server(function(coap, base)
    local text = ("x"):rep(5000)
    coap:serve("/fn", function()
      return { code = "2.05", payload = function(offset, want)
        return text:sub(offset + 1, offset + want), offset + want >= #text
      end }
    end)
    equal(assert(coap:get(base .. "/fn")).payload, text)
  end)
end)

test("a sink that throws ends the request", function()
  with_server(function(coap, base)
    coap:serve("/file", function() return assert(io.open(path, "rb")) end)
    local r, err = coap:get(base .. "/file", { sink = function() error("full", 0) end })
    equal(r, nil)
    assert(tostring(err):find("full", 1, true), tostring(err))
  end)
end)

test("a download that broke off goes on", function()
  with_server(function(coap, base)
    local text, got, etag = ("0123456789"):rep(500), "", nil
    coap:serve("/rest", function() return text end)
    local r = coap:get(base .. "/rest", { sink = function(piece, _, _, response)
      got, etag = got .. piece, response:option "ETag"
      if #got > 2000 then error("enough", 0) end
    end })
    equal(r, nil)
    assert(#got < #text)
    r = assert(coap:get(base .. "/rest", { resume = { #got, etag },
      sink = function(piece, offset)
        equal(offset, #got)
        got = got .. piece
      end }))
    equal(r.code, copal.CONTENT)
    equal(got, text)
    equal(assert(coap:get(base .. "/rest", { resume = { 4321, etag } })).payload, text:sub(4322))
    local other, err = coap:get(base .. "/rest", { resume = { 10, "x" } })
    equal(other, nil) equal(err.name, "ECHANGED")
  end)
end)

test("an upload that broke off goes on", function()
  with_server(function(coap, base)
    local text, got, at, r = ("0123456789"):rep(500), nil, 0, nil
    coap:serve("/up", { put = function(req) got = req.payload return copal.CHANGED end })
    local request
    request = coap:put(base .. "/up", text, { request_tag = "1", progress = function(done)
      at = done
      if done >= 2048 then request:cancel() end
    end }, function() end)
    for _ = 1, 500 do if at < 2048 then coap:sleep(0.01) end end
    r = assert(coap:put(base .. "/up", function(offset, want)
      assert(offset >= at)
      return text:sub(offset + 1, offset + want), offset + want >= #text
    end, { request_tag = "1", resume = at }))
    equal(r.code, copal.CHANGED)
    equal(got, text)
  end)
end)

os.remove(path)
check.done()
