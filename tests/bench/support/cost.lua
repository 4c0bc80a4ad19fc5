-- As cost.c in Lua, against the simulator: cost.lua MARK serve|ask COUNT, MARK
-- being the library of mark.c. A server's part is what a host does with a datagram
-- that came (cost.sh); what asks has all of it, with a server which has no such
-- path and needs no script for that.
local copal = require "copal"
local mark, what, count = arg[1], arg[2], tonumber(arg[3])
local cost_begin = assert(package.loadlib(mark, "cost_begin"))
local cost_end = assert(package.loadlib(mark, "cost_end"))

local CLIENTS, AT_A_TIME, TURN, WARM_UP = 256, 16, 0.8, 320

local sim = copal.sim { seed = 7 }
local server, done = sim:endpoint "server", 0
sim:keep(0)

server:serve("/hello", { put = function(req)
  assert(req.path[1] == "hello" and #req.payload == 12)
  done = done + 1
  return "hello, world"
end })

local sent = 0

local function serve(n)
  for i = sent, sent + n - 1 do
    local mid, client = i // CLIENTS & 0xffff, i % CLIENTS
    sim:inject("127.1.0." .. client, "server",
      string.pack(">BBI2", 0x44, 3, mid) .. string.pack("<I4", i * 2654435761 & 0xffffffff)
      .. "\xb5hello\xffhello, world")
    if i % AT_A_TIME == AT_A_TIME - 1 then sim:run(TURN) end
  end
  sent = sent + n
end

local client = sim:endpoint("client", { nstart = AT_A_TIME })

local function ask(n)
  local begun = 0
  local function begin()
    if begun == n then return end
    begun = begun + 1
    client:get("coap://server/nothing", function(res)
      assert(res.code == copal.NOT_FOUND)
      done = done + 1
      begin()
    end)
  end
  for _ = 1, AT_A_TIME do begin() end
  sim:run(TURN)
end

local work = what == "serve" and serve or ask
work(WARM_UP)
collectgarbage()
cost_begin()
work(count)
cost_end()
assert(done == WARM_UP + count, done)
