-- 16 MiB each way through 5 % loss: the body arrives whole, and neither side
-- holds more of it than a few blocks.
local copal = require "copal"
local check = require "support.check"
check.needs_coroutines()
local test, equal = check.test, check.equal

local SIZE = 16 * 1024 * 1024
local GROWTH = 2 * 1024 * 1024

-- A body that is nowhere in whole: 61 bytes and 1024 have no common divisor,
-- so a block in the wrong place is seen.
local turns = ("The quick brown fox jumps over the lazy dog, 61 bytes a turn."):rep(18)
equal(#turns, 61 * 18)

local function part(offset, want)
  local skip = offset % 61
  return turns:sub(skip + 1, skip + math.min(want, SIZE - offset))
end

local function give(offset, want)
  return part(offset, want), offset + want >= SIZE
end

-- Takes the pieces in their order, each compared with what belongs there.
local function comparer()
  local size = 0
  return function(piece)
    if piece ~= part(size, #piece) then error("another piece at " .. size, 0) end
    size = size + #piece
  end, function() return size end
end

-- Resident memory of this process, bytes; nil where the system does not tell,
-- and under AddressSanitizer, which keeps what was freed.
local function resident()
  local f = not os.getenv "ASAN_OPTIONS" and io.open "/proc/self/statm"
  if not f then return nil end
  local pages = f:read "*a":match "%d+ (%d+)"
  f:close()
  return tonumber(pages) * 4096
end

-- How much it grows behind the first 2 MiB, in which the garbage collector
-- finds its pace: the length of a body makes no difference.
local function watch_memory()
  local count, before, most = 0, nil, 0
  return function()
    count = count + 1
    if count == 2048 then before = resident() end
    if before and count % 256 == 0 then most = math.max(most, resident() - before) end
    return most
  end
end

local function in_the_weather(fn)
  local sim = assert(copal.sim { seed = 5, loss = 5, delay = 0.02 })
  sim:keep(0)
  fn(assert(sim:endpoint "server"), assert(sim:endpoint "client"))
  sim:close()
end

-- Five transmissions in a row are lost once in 100,000 blocks, and here are
-- 16,384: patience instead of luck.
local PATIENCE = 8

test("a download of 16 MiB", function()
  in_the_weather(function(server, client)
    local add, size = comparer()
    local memory = watch_memory()
    server:tune(nil, { max_retransmit = PATIENCE })
    server:serve("/long", function()
      return { code = "2.05", payload = give, etag = "1" }
    end)
    local r = assert(client:get("coap://server/long", {
      max_retransmit = PATIENCE,
      sink = function(piece)
        add(piece)
        memory()
      end }))
    equal(r.code, copal.CONTENT)
    equal(size(), SIZE)
    assert(memory() < GROWTH, ("grew by %d bytes"):format(memory()))
  end)
end)

test("an upload of 16 MiB", function()
  in_the_weather(function(server, client)
    local add, size = comparer()
    local memory = watch_memory()
    server:serve("/long", { streamed = true, put = function(req)
      for piece in req:chunks() do
        add(piece)
        memory()
      end
      return copal.CHANGED
    end })
    local r = assert(client:put("coap://server/long", give, { max_retransmit = PATIENCE }))
    equal(r.code, copal.CHANGED)
    equal(size(), SIZE)
    assert(memory() < GROWTH, ("grew by %d bytes"):format(memory()))
  end)
end)

check.done()
