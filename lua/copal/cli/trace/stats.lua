-- Counts of a file: codes, what was sent again or stayed without an answer,
-- bytes, and how long answers took.
local label = require "copal.cli.trace.label"
local message = require "copal.cli.trace.message"
local text = require "copal.cli.trace.text"

local M = {}

local MOST_TIMES = 262144

-- Times to take percentiles of. Where they get too many every second is left
-- out, from then on and of those that are there.
local function add_time(s, ns)
  s.seen = s.seen + 1
  if s.seen % s.stride ~= 0 then return end
  s.times[#s.times + 1] = ns
  if #s.times < MOST_TIMES then return end
  local half = {}
  for i = 2, #s.times, 2 do half[#half + 1] = s.times[i] end
  s.times, s.stride = half, s.stride * 2
end

local function count(s, d)
  s.datagrams, s.bytes = s.datagrams + 1, s.bytes + d.size
  s.last = d.ms
  if d.kind ~= "message" then
    s.kinds[d.kind] = (s.kinds[d.kind] or 0) + 1
    return
  end
  s.types[d.type] = (s.types[d.type] or 0) + 1
  if d.again then s.again = s.again + 1
  else s.codes[d.code] = (s.codes[d.code] or 0) + 1 end
  if d.open then s.open[d.open] = s.open[d.open] + 1 end
  if d.again == nil and message.is_request(d.code) then s.requests = s.requests + 1 end
  if d.again == nil then s.payload = s.payload + #d.payload end
  if d.took and d.took >= 0 then add_time(s, d.took) end
end

function M.of(ladder)
  local s = { datagrams = 0, bytes = 0, payload = 0, kinds = {}, types = {}, codes = {}, again = 0,
    requests = 0, open = { answer = 0, ack = 0 }, times = {}, seen = 0, stride = 1, last = 0 }
  ladder:each(function(d) count(s, d) end)
  table.sort(s.times)
  return s
end

local function percentile(times, p)
  return times[math.max(1, math.ceil(#times * p / 100))]
end

local percentiles = { 50, 90, 99, 100 }

local function codes_of(s)
  local list = {}
  for code, n in pairs(s.codes) do list[#list + 1] = { code, n } end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

function M.json(ladder)
  local s, codes, took = M.of(ladder), {}, {}
  for _, row in ipairs(codes_of(s)) do
    codes[("%d.%02d"):format(row[1] >> 5, row[1] & 31)] = row[2]
  end
  for _, p in ipairs(percentiles) do
    if #s.times > 0 then took[p == 100 and "max" or "p" .. p] = percentile(s.times, p) / 1000000 end
  end
  return { datagrams = s.datagrams, bytes = s.bytes, payload_bytes = s.payload, hosts = #ladder.hosts,
    ms = s.last, codes = codes, types = s.types, retransmissions = s.again, requests = s.requests,
    answered = s.seen, unanswered = s.open.answer, unacknowledged = s.open.ack,
    malformed = s.kinds.malformed or 0, encrypted = s.kinds.encrypted or 0,
    fragments = s.kinds.fragment or 0, took_ms = took }
end

function M.lines(ladder)
  local s = M.of(ladder)
  local lines = {}
  local function add(name, ...) lines[#lines + 1] = ("%-27s "):format(name) .. string.format(...) end
  add("datagrams", "%d, %d bytes, %d of payload", s.datagrams, s.bytes, s.payload)
  add("hosts", "%d", #ladder.hosts)
  add("time", "%s", text.duration(math.floor(s.last * 1000000)))
  for _, row in ipairs(codes_of(s)) do add(label.code_name(row[1]), "%d", row[2]) end
  add("sent again", "%d", s.again)
  add("no answer", "%d of %d requests", s.open.answer, s.requests)
  if s.open.ack > 0 then add("no ack", "%d", s.open.ack) end
  for _, kind in ipairs { "malformed", "encrypted", "fragment", "refused", "lost" } do
    if s.kinds[kind] then add(kind, "%d", s.kinds[kind]) end
  end
  if #s.times > 0 then
    local parts = {}
    for i, p in ipairs(percentiles) do
      parts[i] = (p == 100 and "max" or "p" .. p) .. " " .. text.duration(percentile(s.times, p))
    end
    add("answered after", "%s", table.concat(parts, "  "))
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
