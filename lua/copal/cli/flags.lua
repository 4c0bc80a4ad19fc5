-- Every flag of the program: parsing and help are made from this one table.
-- Besides these each parameter of COPAL_PARAMS is a flag of its name.
local exit = require "copal.cli.exit"

local M = {}

local ASK = "get put post delete fetch patch ipatch"
local SEE = ASK .. " observe watch"
local ALL = SEE .. " ls ping"
local NET = ALL .. " find"

-- short, long, argument (false: none), commands, help; then what differs:
-- list: may be given several times; count: how often it was given;
-- param: sets this parameter; absent: not built in; kind: of the argument.
local rows = {
  { "f", "print", "FORMAT", SEE .. " ls", "auto json cbor senml link hex raw none; auto: pretty on a terminal, exact bytes on a pipe" },
  { "p", "payload", "TEXT", SEE .. " bench", "what to send" },
  { "t", "format", "CF", SEE .. " bench", "Content-Format of the payload, number or name" },
  { "t", "tree", false, "ls", "as a tree" },
  { "a", "accept", "CF", SEE .. " ls bench", "Content-Format wanted" },
  { "O", "option", "NAME=VALUE", SEE .. " ls bench", "any option; VALUE as text, 0xHEX or =uint", list = true },
  { "X", "code", "0.NN", ASK, "any method code" },
  { "X", "code", "METHOD", "bench", "get (if not given) put post delete fetch patch ipatch, or 0.NN" },
  { "N", "non", false, SEE .. " ls bench", "non-confirmable" },
  { "T", "timeout", "TIME", ALL .. " bench creds", "total deadline: 5s, 500ms, 2m", param = "timeout" },
  { "i", "interface", "IFACE", ALL .. " bench", "leave by this interface", kind = "interface" },
  { nil, "from", "ADDR:PORT", SEE .. " ls", "leave from this address" },
  { nil, "from", "ADDR", "bench", "leave from this address" },
  { nil, "hops", "N", NET .. " bench", "IP hop limit", param = "hops" },
  { nil, "ignore-icmp", false, ALL .. " bench", "a refused port is no verdict", param = "ignore_icmp" },
  { "C", "count", "N", "observe watch ping trace", "stop after so many", kind = "number" },
  { "W", "during", "TIME", "observe watch ping", "stop after so long", kind = "time" },
  { "W", "wait", "TIME", "find", "for answers so long; not given: the 5s that devices may take, and 3s", kind = "time" },
  { nil, "group", "URI", "find", "ask this group, not all CoAP nodes", list = true },
  { "F", "template", "FORMAT", SEE, "%t time %c code %p payload %r rtt %u uri %a who answered %o obs seq" },
  { nil, "json", false, SEE .. " ls ping find trace bench", "one JSON object an event" },
  { nil, "expect", "WHAT", SEE, "2.05, or 'json .t > 20'; exit 9 when false", list = true },
  { "o", "output", "FILE", ASK .. " ls", "write the payload to a file" },
  { nil, "ladder", "KIND", "trace", "text svg html; not given: text" },
  { nil, "follow", "TOKEN", "trace", "only the exchange whose token begins so (hex), with all its blocks" },
  { nil, "path", "PATH", "trace", "only exchanges whose path begins so" },
  { nil, "host", "ADDRESS", "trace", "only messages from or to this address, with or without its port" },
  { nil, "port", "N", "trace", "a UDP port of CoAP, besides 5683", list = true },
  { nil, "stats", false, "trace", "counts of codes, retransmissions, times; --json: as an object" },
  { "o", "output", "FILE", "trace", "write to a file" },
  { "v", "verbose", false, NET .. " serve", "messages on stderr; -vv options, -vvv bytes", count = true },
  { "R", "rate", "N", "bench", "requests a second, whatever became of those before; not given: the next when one is answered", kind = "decimal" },
  { "d", "duration", "TIME", "bench", "so long; 10s if -n is not given either", kind = "time" },
  { "n", "number", "N", "bench", "so many requests (--observe: notifications)", kind = "number" },
  { "W", "window", "N", "bench", "outstanding at most: 64, with -R 16384; --transfer: 4; --observe: how many observers", kind = "number" },
  { "E", "endpoints", "N", "bench", "source endpoints, each with its port and message ids: 64, but no more than -W where each keeps its own", kind = "number" },
  { nil, "observe", false, "bench", "observers, who are told of changes that others make" },
  { nil, "transfer", false, "bench", "bodies: PUT and GET in turns, or what -X says" },
  { nil, "size", "BYTES", "bench", "of a body that goes up: 64K, 1M; if no item is it", kind = "size" },
  { "s", "script", "FILE", "bench", "hooks: what to ask, what came, what of it; see below" },
  { nil, "interval", "TIME", "bench", "a line every so long", kind = "time" },
  { nil, "grace", "TIME", "bench", "for answers when -d is over: 3s", kind = "time" },
  { nil, "listen", "URI", "serve", "accept here; port 0: any free one", list = true },
  { nil, "join", "GROUP", "serve", "hear a group: all (of all CoAP nodes, at the port listened at) or coap://224.0.1.187", list = true },
  { nil, "allow-origin", "ORIGIN", "serve", "pages of that origin, https://example.org, may connect by WebSocket; *: any", list = true },
  { nil, "allow-host", "NAME", "serve", "a name of this host by which its own pages may connect by WebSocket, besides addresses, localhost and names of certificates; *: any", list = true },
  { nil, "reload", false, "serve", "load FILE.lua again when it changes; observers stay" },
  { nil, "test", false, "serve", "the demo and plugtest resources" },
  { nil, "metrics", "PLACE", "serve", "counters for Prometheus, http://PLACE/metrics: 9100 (of this host), 127.0.0.1:9100, [::1]:9100; port 0: any free one" },
  { nil, "trace", "FILE", NET .. " serve", "a line of JSON for each message and decision; -: stderr" },
  { nil, "pcap", "FILE", NET .. " serve", "pcapng of plaintext messages" },
  { nil, "record", "FILE", NET .. " serve", "the flight recorder's last --record-memory bytes (4 MiB if not told), written at the end, when it fails or crashes, and at SIGUSR1; copal replay, copal trace" },
  { "v", "verbose", false, "replay", "the trace as lines of JSON on stdout", count = true },
  { nil, "creds", "FILE", NET .. " serve creds", "credentials; not given: ~/.config/copal/creds.json, if it is there" },
  { nil, "store", "DIR", "creds", "of add: where OSCORE's numbers are kept; not given: beside the file, creds.state" },
  { nil, "store", "DIR", NET .. " serve", "state of coaps and OSCORE that outlives a restart; for one program at a time, workers have DIR.1, DIR.2, ..." },
  { nil, "keylog", "FILE", ALL .. " serve bench creds", "keys of TLS in NSS format; env: to the file that SSLKEYLOGFILE names" },
  { nil, "profile", "NAME", ALL .. " creds", "what devices want: tradfri samsung-ocf shelly thread-sleepy; also \"profile\" of a scope in --creds" },
  { nil, "name", "NAME", "creds", "of pair: what to be called there" },
  { nil, "resume", false, ASK, "go on with a broken transfer", absent = true },
  { nil, "workers", "N", "serve", "as many processes share the port; see below", kind = "number" },
  { "t", "to", "FORMAT", "codec", "cbor diag json senml link text: what to write" },
  { "x", "hex", false, "codec", "CBOR is hexadecimal digits, read and written" },
  { nil, "no-color", false, NET .. " serve trace", "no colour; so does NO_COLOR" },
  { "q", "quiet", false, NET .. " serve trace bench replay creds", "nothing on stderr but errors of usage" },
  { "h", "help", false, NET .. " serve run codec trace bench replay creds", "this" },
}

local function belongs(row, command)
  return (" " .. row[4] .. " "):find(" " .. command .. " ", 1, true) ~= nil
end

---- Values --------------------------------------------------------------------

local units = { ms = 0.001, s = 1, m = 60, h = 3600, [""] = 1 }

-- "2s", "500ms", "1.5m", "2": seconds; nil if it is no time.
function M.seconds(text)
  local n, unit = text:match("^(%d+%.?%d*)(%a*)$")
  local factor = units[unit]
  return n and factor and tonumber(n) * factor or nil
end

local function number_of(flag, text)
  local n = text:match("^%d+$") and tonumber(text)
  if not n then exit.usage(flag .. " wants a number, got '" .. text .. "'") end
  return n
end

-- "0.5", "5000"
local function decimal_of(flag, text)
  local n = text:match("^%d*%.?%d+$") and tonumber(text)
  if not n or n == 0 then exit.usage(flag .. " wants a number above 0, got '" .. text .. "'") end
  return n + 0.0
end

local sizes = { [""] = 1, k = 1024, m = 1048576 }

-- "64K", "1M", "1000": bytes.
local function size_of(flag, text)
  local n, unit = text:match("^(%d+)([kKmM]?)i?B?$")
  if not n then exit.usage(flag .. " wants a size like 64K or 1M, got '" .. text .. "'") end
  return tonumber(n) * sizes[unit:lower()]
end

local function interface_index(name)
  if name:match("^%d+$") then return tonumber(name) end
  local f = not name:find("/", 1, true)
    and io.open("/sys/class/net/" .. name .. "/ifindex")
  if not f then exit.fail(exit.NO_ROUTE, "no interface '" .. name .. "'") end
  local index = f:read("n")
  f:close()
  return index
end

local function param_value(flag, name, text)
  local p = require "copal.value".params()[name]
  if p.is_time then
    local n = M.seconds(text)
    if not n then
      exit.usage(flag .. " wants a time like 5s or 500ms, got '" .. text .. "'")
    end
    return n
  end
  return number_of(flag, text)
end

-- Each parameter, with is_missing where what it tunes is not built in.
local function params()
  local core = require "copal_core"
  local scratch, list = core.endpoint(false), {}
  for _, p in ipairs(require "copal.value".params()) do
    local _, _, name = core.tune(scratch, nil, p.number, p.value + 1)
    list[#list + 1] = setmetatable({ is_missing = name == "ENOTSUP" }, { __index = p })
  end
  core.free(scratch)
  return list
end

---- Parsing -------------------------------------------------------------------

local function by_long(command, name)
  for _, row in ipairs(rows) do
    if row[2] == name and belongs(row, command) then return row end
  end
  local param = name:gsub("-", "_")
  if command ~= "run" and require "copal.value".params()[param] then
    return { nil, name, "N", command, param = param }
  end
end

local function by_short(command, letter)
  for _, row in ipairs(rows) do
    if row[1] == letter and belongs(row, command) then return row end
  end
end

local function set(out, row, flag, text)
  if row.absent then exit.not_built_in("--" .. row[2]) end
  if row.param then
    out.params[row.param] = text and param_value(flag, row.param, text) or 1
  elseif row.kind == "interface" then
    out.params.interface = interface_index(text)
  elseif row.kind == "number" then
    out[row[2]] = number_of(flag, text)
  elseif row.kind == "decimal" then
    out[row[2]] = decimal_of(flag, text)
  elseif row.kind == "size" then
    out[row[2]] = size_of(flag, text)
  elseif row.kind == "time" then
    out[row[2]] = M.seconds(text)
      or exit.usage(flag .. " wants a time like 5s, got '" .. text .. "'")
  elseif row.count then
    out[row[2]] = (out[row[2]] or 0) + 1
  elseif row.list then
    out[row[2]] = out[row[2]] or {}
    table.insert(out[row[2]], text)
  else
    out[row[2]] = text or true
  end
end

local function unknown(command, flag)
  exit.usage("unknown flag " .. flag .. "; see copal help " .. command)
end

-- Flags and words in any order; after "--" only words. Words are in out[1..n].
function M.parse(command, argv)
  local out = { params = {} }
  local i = 1

  local function argument(row, flag, attached)
    if not row[3] then return nil end
    if attached then return attached end
    i = i + 1
    if argv[i] == nil then exit.usage(flag .. " wants " .. row[3]) end
    return argv[i]
  end

  local function short_flags(cluster)
    while cluster ~= "" do
      local letter = cluster:sub(1, 1)
      local row = by_short(command, letter) or unknown(command, "-" .. letter)
      cluster = cluster:sub(2)
      if row[3] then
        set(out, row, "-" .. letter,
          argument(row, "-" .. letter, cluster ~= "" and cluster or nil))
        return
      end
      set(out, row, "-" .. letter)
    end
  end

  while i <= #argv do
    local word = argv[i]
    if word == "--" then
      for j = i + 1, #argv do out[#out + 1] = argv[j] end
      break
    elseif word:match("^%-%-") then
      local name, attached = word:match("^%-%-([^=]+)=(.*)$")
      name = name or word:sub(3)
      local row = by_long(command, name) or unknown(command, "--" .. name)
      if attached and not row[3] then
        exit.usage("--" .. name .. " takes no value")
      end
      set(out, row, "--" .. name, argument(row, "--" .. name, attached))
    elseif word:match("^%-.") then
      short_flags(word:sub(2))
    else
      out[#out + 1] = word
    end
    i = i + 1
  end
  return out
end

---- Help ----------------------------------------------------------------------

-- One line a flag of this command.
function M.help(command)
  local lines = {}
  for _, row in ipairs(rows) do
    if belongs(row, command) then
      local flag = (row[1] and "-" .. row[1] .. ", " or "    ") .. "--" .. row[2]
      if row[3] then flag = flag .. " " .. row[3] end
      lines[#lines + 1] = string.format("  %-26s %s%s", flag, row[5],
        row.absent and " (not built in)" or "")
    end
  end
  return table.concat(lines, "\n")
end

-- The flags of a command that are built in, parameters last:
-- { short =, long =, argument =, help =, list = }.
function M.of(command)
  local out = {}
  for _, row in ipairs(rows) do
    if belongs(row, command) and not row.absent then
      out[#out + 1] = { short = row[1], long = row[2], argument = row[3] or nil,
        help = row[5], list = row.list or row.count }
    end
  end
  if (" " .. NET .. " serve bench "):find(" " .. command .. " ", 1, true) then
    for _, p in ipairs(params()) do
      local long = p.name:gsub("_", "-")
      if not p.is_missing and p.name ~= "timeout" and p.name ~= "hops" and p.name ~= "interface"
        and p.name ~= "ignore_icmp" then
        out[#out + 1] = { long = long, argument = p.is_time and "TIME" or "N", help = p.what }
      end
    end
  end
  return out
end

-- Parameters as flags, with their defaults.
function M.help_params()
  local lines = {}
  for _, p in ipairs(params()) do
    lines[#lines + 1] = string.format("  --%-24s %s (%d)%s",
      (p.name:gsub("_", "-")), p.what, p.value,
      p.is_missing and " (not built in)" or "")
  end
  return table.concat(lines, "\n")
end

return M
