-- What copal trace reads: pcap and pcapng of either byte order, link layers, IP,
-- recordings; and what it says of those that are broken.
local check = require "support.check"
if not pcall(require, "copal.host") then
  print "skipped: copal trace is part of the program"
  os.exit(77)
end
local ladder = require "copal.cli.trace.ladder"
local source = require "copal.cli.trace.source"
local stream = require "copal.cli.trace.stream"
local test, equal = check.test, check.equal

local GET = "\x41\x01\x12\x34\xab\xb1t" -- CON GET /t
local SRC4, DST4 = "\xc0\0\2\1", "\xc0\0\2\2"
local SRC6, DST6 = "\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. "\1", "\xfe\x80" .. ("\0"):rep(13) .. "\2"

local function has(s, part)
  if not tostring(s):find(part, 1, true) then error("no '" .. part .. "' in: " .. tostring(s), 2) end
end

---- Packets ---------------------------------------------------------------------

local function udp(coap, dport)
  return string.pack(">I2I2I2I2", 40000, dport or 5683, 8 + #coap, 0) .. coap
end

local function ip4(payload, flags, protocol)
  return string.pack(">I1I1I2I2I2I1I1I2", 0x45, 0, 20 + #payload, 7, flags or 0, 64, protocol or 17, 0)
    .. SRC4 .. DST4 .. payload
end

local function ip6(payload, following)
  return string.pack(">I4I2I1I1", 0x60000000, #payload, following or 17, 64) .. SRC6 .. DST6 .. payload
end

local function ethernet(ip, type, tags)
  return ("\2"):rep(12) .. (tags or "") .. string.pack(">I2", type or 0x0800) .. ip
end

---- Files -----------------------------------------------------------------------

local function pcap(packets, link, order, nanoseconds)
  order = order or "<"
  local out = { string.pack(order .. "I4I2I2I4I4I4I4", nanoseconds and 0xa1b23c4d or 0xa1b2c3d4, 2, 4, 0, 0, 65535, link) }
  for i, p in ipairs(packets) do
    out[#out + 1] = string.pack(order .. "I4I4I4I4", 100 + i, 5, #p, #p) .. p
  end
  return table.concat(out)
end

local function block(order, kind, body)
  body = body .. ("\0"):rep(-#body % 4)
  return string.pack(order .. "I4I4", kind, #body + 12) .. body .. string.pack(order .. "I4", #body + 12)
end

local function section(order)
  return block(order, 0x0a0d0d0a, string.pack(order .. "I4I2I2I4I4", 0x1a2b3c4d, 1, 0, 0xffffffff, 0xffffffff))
end

local function option(order, code, value)
  return string.pack(order .. "I2I2", code, #value) .. value .. ("\0"):rep(-#value % 4)
end

local function interface(order, link, options)
  return block(order, 1, string.pack(order .. "I2I2I4", link, 0, 0) .. (options or ""))
end

local function enhanced(order, t, p, options)
  return block(order, 6, string.pack(order .. "I4I4I4I4I4", 0, math.floor(t / 2 ^ 32), t % 2 ^ 32, #p, #p)
    .. p .. ("\0"):rep(-#p % 4) .. (options or ""))
end

local function written(bytes)
  local name = os.tmpname()
  local f = assert(io.open(name, "wb"))
  f:write(bytes)
  f:close()
  return name
end

-- All datagrams of a file, and what is wrong with it.
local function read(bytes)
  local name, list = written(bytes), {}
  local s = source.open(name)
  os.remove(name)
  local d, why = s:next()
  while d do
    list[#list + 1] = d
    d, why = s:next()
  end
  return list, why and why:gsub("^.-: ", ""), s
end

local function only(bytes)
  local list, why = read(bytes)
  equal(why, nil)
  equal(#list, 1)
  return list[1]
end

---- Formats ---------------------------------------------------------------------

for _, order in ipairs { "<", ">" } do
  for _, nanoseconds in ipairs { false, true } do
    test("pcap " .. order .. " in " .. (nanoseconds and "ns" or "us"), function()
      local d = only(pcap({ ethernet(ip4(udp(GET))) }, 1, order, nanoseconds))
      equal(d.from, "192.0.2.1:40000")
      equal(d.to, "192.0.2.2")
      equal(d.data, GET)
      equal(d.t, 101 * 1000000000 + (nanoseconds and 5 or 5000))
    end)
  end
  test("pcapng " .. order, function()
    local d = only(section(order) .. interface(order, 101) .. enhanced(order, 1500000, ip4(udp(GET))))
    equal(d.data, GET)
    equal(d.t, 1500000000)
  end)
end

test("an interface says in what its times are, and when they began", function()
  local function t_of(resolution, t, offset)
    local options = option("<", 9, string.char(resolution)) .. (offset and option("<", 14, string.pack("<i8", offset)) or "")
    return only(section "<" .. interface("<", 101, options) .. enhanced("<", t, ip4(udp(GET)))).t
  end
  equal(t_of(9, 1500), 1500)
  equal(t_of(3, 2), 2000000)
  equal(t_of(12, 3000), 3)
  equal(t_of(0x80 + 10, 1536), 1500000000)
  equal(t_of(6, 1, 7), 7000001000)
  equal(t_of(127, 5), 0)
  equal(t_of(0x80 + 127, 5), 0)
end)

test("a second section has its own byte order and interfaces", function()
  local list, why = read(section "<" .. interface("<", 1) .. enhanced("<", 1, ethernet(ip4(udp(GET))))
    .. section ">" .. interface(">", 101) .. enhanced(">", 2, ip4(udp(GET))))
  equal(why, nil)
  equal(#list, 2)
  equal(list[2].data, GET)
end)

test("blocks that are not known are passed over, a comment of copal's is heeded", function()
  local comment = option(">", 1, "client:5683 to server:5683") .. option(">", 0, "")
  local d = only(section ">" .. block(">", 0x80001234, "whatever") .. interface(">", 101)
    .. enhanced(">", 1, ip4(udp(GET)), comment))
  equal(d.from, "client")
  equal(d.to, "server")
end)

test("simple and old packets are read", function()
  local p = ip4(udp(GET))
  equal(only(section "<" .. interface("<", 101) .. block("<", 3, string.pack("<I4", #p) .. p)).data, GET)
  equal(only(section "<" .. interface("<", 101)
    .. block("<", 2, string.pack("<I2I2I4I4I4I4", 0, 0, 0, 9, #p, #p) .. p)).t, 9000)
end)

---- Link layers and IP ----------------------------------------------------------

local p4, p6 = ip4(udp(GET)), ip6(udp(GET))
for sentence, row in pairs {
  ["Ethernet"] = { 1, ethernet(p4) },
  ["Ethernet with IPv6"] = { 1, ethernet(p6, 0x86dd) },
  ["Ethernet with a tag"] = { 1, ethernet(p4, nil, "\x81\0\0\5") },
  ["Ethernet with a tag within a tag"] = { 1, ethernet(p4, nil, "\x88\xa8\0\5\x81\0\0\6") },
  ["raw IPv4"] = { 101, p4 }, ["raw IPv6"] = { 101, p6 },
  ["raw IP by its other numbers"] = { 12, p4 },
  ["IPv4 alone"] = { 228, p4 }, ["IPv6 alone"] = { 229, p6 },
  ["BSD loopback, little-endian"] = { 0, "\2\0\0\0" .. p4 },
  ["BSD loopback, big-endian"] = { 0, "\0\0\0\x1e" .. p6 },
  ["OpenBSD loopback"] = { 108, "\0\0\0\2" .. p4 },
  ["Linux cooked"] = { 113, ("\0"):rep(14) .. "\8\0" .. p4 },
  ["Linux cooked, version 2"] = { 276, "\x86\xdd" .. ("\0"):rep(18) .. p6 },
} do
  test("link: " .. sentence, function()
    local d = only(pcap({ row[2] }, row[1]))
    equal(d.data, GET)
    equal(d.from, row[2]:find(SRC6, 1, true) and "[2001:db8::1]:40000" or "192.0.2.1:40000")
  end)
end

test("headers between IPv6 and UDP are passed over", function()
  equal(only(pcap({ ip6("\x11\0" .. ("\0"):rep(6) .. udp(GET), 0) }, 101)).data, GET)
end)

test("fragments are said, with the ports of the first", function()
  local whole = udp(GET .. ("x"):rep(40))
  local list = read(pcap({ ip4(whole:sub(1, 24), 0x2000), ip4(whole:sub(25), 3) }, 101))
  equal(#list, 2)
  equal(list[1].kind, "fragment")
  equal(list[2].kind, "fragment")
  equal(list[2].from, "192.0.2.1:40000")
  equal(list[2].offset, 24)
  local none, _, s = read(pcap({ ip4(whole:sub(25), 3) }, 101))
  equal(#none, 0)
  equal(s.skipped.cut, 1)
end)

test("a datagram that the capture cut is not taken for whole", function()
  local p = ip4(udp(GET))
  local d = only(pcap({ p:sub(1, -3) }, 101))
  equal(d.fault, "the capture holds 5 of 7 bytes")
end)

test("a port where nobody listens is told by ICMP", function()
  local d = only(pcap({ ip4("\3\3\0\0\0\0\0\0" .. ip4(udp(GET)):sub(1, 28), 0, 1) }, 101))
  equal(d.kind, "refused")
  equal(d.to, "192.0.2.1:40000")
end)

test("every beginning of a packet is read without a fault", function()
  for link, p in pairs { [1] = ethernet(p6, 0x86dd, "\x81\0\0\5"), [101] = p4, [0] = "\2\0\0\0" .. p4,
    [113] = ("\0"):rep(14) .. "\8\0" .. p4, [276] = "\8\0" .. ("\0"):rep(18) .. p4 } do
    for n = 0, #p do
      local _, why = read(pcap({ p:sub(1, n) }, link))
      equal(why, nil)
    end
  end
end)

---- Recordings ------------------------------------------------------------------

local function place(family, port, ip)
  return string.pack("<c16I4I4I2I1x", ip .. ("\0"):rep(16 - #ip), 0, 0, port, family)
end

local function path(flags, is_unbound)
  return place(7, 5683, "server") .. (is_unbound and place(0, 0, "") or place(7, 5683, "client"))
    .. ("\0"):rep(11) .. string.char(flags)
end

local function record(kind, body)
  return string.pack("<I1s4", kind, body)
end

local function recording(records, version)
  return "copalrec" .. string.pack("<I4I4I8", version or 2, 0, 0) .. records .. record(127, ("\0"):rep(8))
end

test("a recording is read, and what else is in it passed over", function()
  local ACK = "\x61\x45\x12\x34\xab"
  local list, why = read(recording(record(2, string.pack("<I8", 20)) .. record(4, path(0, true) .. GET)
    .. record(6, "") .. record(200 - 128, "new") .. record(2, string.pack("<I8", 60)) .. record(3, path(0) .. ACK)))
  equal(why, nil)
  equal(#list, 2)
  equal(list[1].from, "client")
  equal(list[1].to, "server")
  equal(list[1].data, GET)
  equal(list[2].from, "server")
  equal(list[2].t - list[1].t, 40000000)
end)

test("a recording of another version, or without its end, says so", function()
  local _, why = read(recording("", 1))
  equal(why, "version 1 of recordings; this copal reads version 2")
  local bytes = recording(record(4, path(0) .. GET))
  for n = 24, #bytes - 1 do
    _, why = read(bytes:sub(1, n))
    has(why, "record")
  end
end)

---- Broken files ----------------------------------------------------------------

local good = section "<" .. interface("<", 101) .. enhanced("<", 1, p4)
local packet_at = #section "<" + #interface("<", 101)
for what, row in pairs {
  ["a header that is cut off"] = { good .. "\6\0\0\0", "block 4 at byte 116: its header is cut off, 4 of 8 bytes; what stands before it is shown" },
  ["a block that is cut off"] = { good:sub(1, -5), "block 3 at byte " .. packet_at .. ": it is cut off, " .. #good - packet_at - 4 .. " of " .. #good - packet_at .. " bytes; what stands before it is shown" },
  ["a length that no block has"] = { good .. "\6\0\0\0\7\0\0\0\0\0\0\0", "block 4 at byte 116: a length of 7, which no block has; the file is damaged from there on" },
  ["an absurd length"] = { good .. "\6\0\0\0\xfc\xff\xff\xff\0\0\0\0", "block 4 at byte 116: it is cut off, 12 of 4294967292 bytes; what stands before it is shown" },
  ["two lengths"] = { section "<" .. "\5\0\0\0\x0c\0\0\0\x0d\0\0\0", "block 2 at byte 28: its length is another at its end; the file is damaged from there on" },
  ["no interface"] = { section "<" .. enhanced("<", 1, p4), "block 2 at byte 28: interface 0, which no block before it describes; the file is damaged from there on" },
  ["a packet larger than its block"] = { section "<" .. interface("<", 101) .. block("<", 6, string.pack("<I4I4I4I4I4", 0, 0, 0, 500, 500) .. "x"), "block 3 at byte 48: it claims 500 bytes of a packet and holds 4; the file is damaged from there on" },
  ["no byte order"] = { (section "<":gsub("\x4d\x3c%\x2b\x1a", "\0\0\0\0")), "block 1 at byte 0: no byte order that is known; the file is damaged from there on" },
  ["a pcap header that is cut off"] = { pcap({}, 1):sub(1, 20), "the file header at byte 4 is cut off: it has 16 of 20 bytes; the capture holds nothing, make it again" },
  ["a pcap packet that is cut off"] = { pcap({ p4 }, 101):sub(1, -2), "packet 1 at byte 24: it is cut off, " .. #p4 - 1 .. " of " .. #p4 .. " bytes; what stands before it is shown" },
  ["an absurd pcap packet"] = { pcap({}, 101) .. string.pack("<I4I4I4I4", 0, 0, 0x7fffffff, 0), "packet 1 at byte 24: it claims 2147483647 bytes, 262144 at most are possible; the file is damaged from there on" },
} do
  test("broken: " .. what, function()
    local _, why = read(row[1])
    equal(why, row[2])
  end)
end

test("a file cut off anywhere is read up to there", function()
  for n = 29, #good - 1 do
    local list, why = read(good:sub(1, n))
    equal(#list, 0)
    equal(why ~= nil or n == packet_at, true)
  end
end)

test("a stream never reads beyond its file", function()
  local file = assert(io.tmpfile())
  file:write "abcdef"
  local s = stream.over(file, "x")
  equal(s:read(2 ^ 40), nil)
  equal(s:skip(2 ^ 40), false)
  equal(s:read(6), "abcdef")
  equal(s:read(1), nil)
  equal(s:read(0), "")
end)

test("whatever is damaged, no more than a sentence comes of it", function()
  local whole = section "<" .. interface("<", 1, option("<", 9, "\9")) .. enhanced("<", 1, ethernet(p4))
    .. section ">" .. interface(">", 101) .. enhanced(">", 9, p6, option(">", 1, "client to server:1"))
  local seed = 1
  local function random(n)
    seed = (seed * 69069 + 1) % 2 ^ 32
    return math.floor(seed / 65536) % n
  end
  for _ = 1, 400 do
    local s, at = whole, random(#whole) + 1
    if random(2) == 0 then s = s:sub(1, at - 1) .. s:sub(at + 1 + random(5)) end
    for _ = 1, 1 + random(4) do
      at = random(#s) + 1
      s = s:sub(1, at - 1) .. string.char(random(3) == 0 and 255 or random(256)) .. s:sub(at + 1)
    end
    local ok, e = pcall(read, s)
    equal(ok or type(e) == "table" and e.exit == 10, true)
  end
end)

---- Ports -----------------------------------------------------------------------

local function messages(bytes, want)
  local name, list = written(bytes), {}
  local l = ladder.new(source.open(name), want or {}):survey()
  os.remove(name)
  l:each(function(d) list[#list + 1] = d end)
  return list, l:remarks()
end

test("of other ports what looks like CoAP is shown, and it is said", function()
  local list, remarks = messages(pcap({ ip4(udp(GET, 9999)), ip4(udp("\0\1\2\3no", 53)) }, 101))
  equal(#list, 1)
  has(remarks[1], "no port is CoAP's")
end)

test("not beside CoAP's own, unless its port is named", function()
  local bytes = pcap({ ip4(udp(GET, 9999)), ip4(udp(GET)) }, 101)
  local list, remarks = messages(bytes)
  equal(#list, 1)
  equal(remarks[1], "1 UDP datagram of other ports not read; --port N reads them")
  equal(#messages(bytes, { ports = { [9999] = true } }), 2)
end)

test("what DTLS protects is counted, not read", function()
  equal(messages(pcap({ ip4(udp("\x17\xfe\xfd....", 5684)) }, 101))[1].kind, "encrypted")
end)

---- Connections -----------------------------------------------------------------

test("signals answer nobody, and blocks may go together", function()
  local label = require "copal.cli.trace.label"
  local csm = "\x50\xe1\0\1\x23\x10\4\0\x20"
  local put = "\x51\3\0\2\xab\xb1t\xd1\3\x0f\xff" .. ("x"):rep(2048)
  local list = messages(pcap({ ip4(udp(csm)), ip4(udp((csm:gsub("\1", "\3", 1)))), ip4(udp(put)) }, 101))
  equal(#list, 3)
  for i = 1, 2 do
    equal(label.line(label.parts(list[i])), "NON 7.01")
    equal(list[i].is_stray or list[i].again, nil)
  end
  equal(label.line(label.parts(list[3])), "NON PUT /t 1:0/1/1024+ (2048 bytes)")
end)

check.done()
