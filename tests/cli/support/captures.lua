-- captures.lua DIR: captures for trace.sh, always the same. Those of the
-- simulator, whose seed decides about ids and losses, and one by hand of what
-- nobody should send.
local copal = require "copal"
local dir = ...

local function scene(name, fn)
  local sim = copal.sim { seed = 41, delay = 0.02 }
  local server, client = sim:endpoint "server", sim:endpoint "client"
  fn(sim, server, client, function(e) assert(e:log_to("capture", dir .. "/" .. name .. ".pcapng")) end)
  sim:close()
end

scene("lossy", function(sim, server, client, log)
  server:value("/temp", 21.5)
  log(client)
  sim:lose("client", 1)
  assert(client:get "coap://server/temp?u=Cel")
  sim:set_path { loss = 100 }
  client:get("coap://server/temp", { timeout = 5 })
end)

scene("mixed", function(_, server, client, log)
  server:serve("/slow", function() server:sleep(7) return "worth the wait" end)
  server:serve("/fw", { put = function(req) return #req.payload .. " bytes" end })
  local temp = server:value("/temp", 20)
  log(client)
  assert(client:get "coap://server/slow")
  assert(client:get "coap://server/no/such")
  assert(client:put("coap://server/fw", ("x"):rep(40), { block_size = 16 }))
  local n = 0
  for _ in client:observe "coap://server/temp" do
    n = n + 1
    if n == 3 then break end
    temp.value = 20 + n
  end
  client:sleep(1)
end)

scene("three", function(sim, server, _, log)
  server:value("/temp", 21.5)
  log(server)
  for i = 1, 3 do assert(sim:endpoint("client" .. i):get("coap://server/temp?i=" .. i)) end
end)

---- By hand -----------------------------------------------------------------------

local packets = {}

-- Ethernet, IPv4, UDP; big-endian pcap.
local function packet(coap, from_client, port)
  local sport, dport = from_client and 40000 or 5683, from_client and (port or 5683) or 40000
  local hosts = "\xc0\0\2\1\xc0\0\2\2"
  if not from_client then hosts = "\xc0\0\2\2\xc0\0\2\1" end
  local udp = string.pack(">I2I2I2I2", sport, dport, #coap + 8, 0) .. coap
  local ip = string.pack(">I2I2I2I2I2I2", 0x4500, 20 + #udp, 1, 0, 0x4011, 0) .. hosts .. udp
  local frame = ("\2"):rep(12) .. "\8\0" .. ip
  packets[#packets + 1] = string.pack(">I4I4I4I4", 1700000000, #packets * 1000, #frame, #frame) .. frame
end

local function option(delta, value)
  return string.char(delta << 4 | 13, #value - 13) .. value
end

packet("\x42\1\0\1ab" .. option(11, "<script>alert(1)</script>") .. option(4, "a=\"'><b onclick=x>&amp;"), true)
packet("\x62\x45\0\1ab\xff</script><script>alert(2)</script>", false)
packet("\x40\2\0\2" .. option(11, "\27[31mred\0\7\xff\xfe\xc3....") .. "\xff\xe2\x80\xae]]> --> <!--", true)
packet("\x60\xa0\0\2", false)
packet("\x40\1\0\3\xff", true)
packet("\x40\1\0\4" .. option(11, "\xe6\xb8\xa9\xe5\xba\xa6 \xe2\x82\xac \xef\xbf\xbe \xed\xa0\x80"), true)
packet("\x17\xfe\xfd" .. ("\0"):rep(40), true, 5684)
local f = assert(io.open(dir .. "/hostile.pcap", "wb"))
f:write("\xa1\xb2\xc3\xd4\0\2\0\4", ("\0"):rep(8), "\0\0\xff\xff\0\0\0\1", table.concat(packets))
f:close()
