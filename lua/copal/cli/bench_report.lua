-- What copal bench prints: warnings, a line an interval, the summary.
local json = require "copal.json"

local M = {}
local Report = {}
Report.__index = Report

local LIFETIME = { con = 247, non = 145 } -- seconds; RFC 7252 4.8.2
local IDS = 65536
local WIDE = 40 -- columns of a bar
local BOUND = 0.9 -- of a core; its time is told exactly after LONG seconds
local LONG = 0.2

function M.new(out, plan)
  return setmetatable({ out = out, plan = plan }, Report)
end

function Report:close()
  self.out:close()
end

---- Numbers as people read them -----------------------------------------------

-- Three digits: "0.813", "18", "2310".
local function short(n)
  if n >= 100 then return string.format("%.0f", n) end
  return (string.format("%.3g", n))
end

local function bytes(n)
  for _, unit in ipairs { "B", "KiB", "MiB" } do
    if n < 1024 then return short(n) .. " " .. unit end
    n = n / 1024
  end
  return short(n) .. " GiB"
end

local function rate(n, seconds)
  return seconds > 0 and n / seconds or 0
end

---- Message ids ---------------------------------------------------------------

function Report:lifetime()
  return self.plan.flags ~= 0 and LIFETIME.non or LIFETIME.con
end

-- Endpoints for so many messages a second, so that no id comes again while a
-- server may know it.
function Report:needed(per_second)
  return math.max(1, math.ceil(per_second * self:lifetime() / IDS))
end

function Report:warn_of(what, per_second)
  local needed = self:needed(per_second)
  self.out:say(what .. " within " .. self:lifetime() .. " s, in which a server may take "
    .. "a request for the repeat of an old one"
    .. (needed > self.plan.endpoints and "; -E " .. needed .. " would do" or ""))
end

-- Before: where the rate is known.
function Report:forecast()
  local plan = self.plan
  if not plan.rate then return end
  local span = math.min(plan.duration or math.huge, self:lifetime())
  local most = math.min(plan.rate * span, plan.count or math.huge)
  if most / plan.endpoints > IDS then
    self:warn_of("message ids will repeat", plan.rate)
    self.forewarned = true
  end
end

function Report:reuse()
  if not self.forewarned then
    self.out:say("message ids repeat, from now on; the summary says how many endpoints (-E) would do")
  end
end

---- A line an interval ---------------------------------------------------------

local function latency_words(l)
  return ("p50 %s  p90 %s  p99 %s  p99.9 %s  max %s ms"):format(short(l.p50),
    short(l.p90), short(l.p99), short(l.p99_9), short(l.max))
end

function Report:interval(row)
  local last = self.last or { at = 0, ok = 0, notifications = 0, bytes = 0 }
  local mode, span = self.plan.mode, row.at - last.at
  local what = mode == "observe" and "notifications" or mode == "transfer" and "bytes" or "ok"
  local speed = rate(row[what] - last[what], span)
  self.last = row
  if self.out.json then
    self.out:write(json.encode(json.object { event = "interval", at = row.at,
      sent = row.sent, ok = row.ok, rate = speed, outstanding = row.busy,
      latency = json.object(row.latency) }) .. "\n")
    io.stdout:flush()
    return
  end
  local words = { ("%6.1f s  sent %d  ok %d"):format(row.at, row.sent, row.ok) }
  words[#words + 1] = what == "bytes" and bytes(speed) .. "/s" or short(speed) .. "/s"
  words[#words + 1] = "outstanding " .. row.busy
  if row.latency.count > 0 then words[#words + 1] = latency_words(row.latency) end
  self.out:write(table.concat(words, "  ") .. "\n")
  io.stdout:flush()
end

---- The summary ----------------------------------------------------------------

local plain = { "sent", "ok", "client_errors", "server_errors", "timeouts", "resets",
  "failed", "unanswered", "unsent", "delayed", "retransmissions", "duplicates",
  "late", "strays", "bytes_in", "bytes_out", "datagrams_in", "datagrams_out",
  "reused_ids", "interrupted", "elapsed", "error" }

local function latency_of(lane)
  local l = json.object(lane.latency)
  l.bars = json.array(l.bars)
  return l
end

local function transfers_of(lane, elapsed)
  return json.object { transfers = lane.done, bytes = lane.bytes, blocks = lane.blocks,
    bytes_per_second = rate(lane.bytes, elapsed),
    blocks_per_second = rate(lane.blocks, elapsed), latency = latency_of(lane) }
end

-- The fields of --json, from what copal.load gives.
function Report:fields(res)
  local plan = self.plan
  local s = json.object { event = "summary", mode = plan.mode, uri = plan.uri,
    target_rate = plan.rate, window = plan.window, endpoints = plan.endpoints,
    reason = res.why }
  for _, name in ipairs(plain) do s[name] = res[name] end
  s.rate = rate(res.sent, res.elapsed)
  s.cpu = rate(res.cpu, res.elapsed)
  s.generator_bound = s.cpu > BOUND and res.elapsed > LONG
  s.retransmitted_percent = 100 * rate(res.retransmissions, res.datagrams_out)
  local messages = plan.mode == "transfer" and res.down.blocks + res.up.blocks or res.sent
  s.endpoints_needed = self:needed(rate(messages, res.elapsed))
  if plan.mode == "observe" then
    s.observe = json.object { notifications = res.notifications, gaps = res.gaps,
      rate = rate(res.notifications, res.elapsed) }
  elseif plan.mode == "transfer" then
    s.transfer = json.object { down = plan.down and transfers_of(res.down, res.elapsed),
      up = plan.up and transfers_of(res.up, res.elapsed) }
  end
  if plan.mode ~= "transfer" then s.latency = latency_of(res.down) end
  return s
end

local function counts_line(s)
  local words = { ("sent %d  ok %d  4.xx %d"):format(s.sent, s.ok, s.client_errors) }
  local function add(name, n)
    if n > 0 then words[#words + 1] = name .. " " .. n end
  end
  add("5.xx", s.server_errors)
  words[#words + 1] = "timeout " .. s.timeouts
  add("reset", s.resets)
  add("failed", s.failed)
  add("unanswered", s.unanswered)
  add("never sent", s.unsent)
  words[#words + 1] = ("retransmitted %.2f%%"):format(s.retransmitted_percent)
  return table.concat(words, "  ") .. ("   %d source endpoint%s"):format(s.endpoints,
    s.endpoints == 1 and "" or "s")
end

local function traffic_line(s)
  local words = { ("%s/s in %s s"):format(short(s.rate), short(s.elapsed)),
    "out " .. bytes(s.bytes_out), "in " .. bytes(s.bytes_in) }
  for _, name in ipairs { "duplicates", "late", "strays", "delayed" } do
    if s[name] > 0 then words[#words + 1] = name .. " " .. s[name] end
  end
  return table.concat(words, "  ")
end

local eighths = { "▏", "▎", "▍", "▌", "▋", "▊", "▉" }

local function bar_of(part)
  local n = math.floor(part * WIDE * 8 + 0.5)
  return ("█"):rep(n // 8) .. (eighths[n % 8] or "")
end

local function bars(lines, l)
  local most = 0
  for _, bar in ipairs(l.bars) do most = math.max(most, bar.count) end
  for _, bar in ipairs(l.bars) do
    lines[#lines + 1] = ("%7s ▏%s"):format(short(bar.upto), bar_of(bar.count / most))
  end
end

local function latency_lines(lines, l, note)
  if l.count == 0 then return end
  lines[#lines + 1] = "latency  " .. latency_words(l) .. note
  bars(lines, l)
end

local function transfer_lines(lines, way, t)
  if not t then return end
  lines[#lines + 1] = ("%-4s  %d bodies  %s/s  %s blocks/s"):format(way, t.transfers,
    bytes(t.bytes_per_second), short(t.blocks_per_second))
  latency_lines(lines, t.latency, "   (a body)")
end

function Report:text(s)
  local lines = { counts_line(s), traffic_line(s) }
  if s.observe then
    lines[2] = ("%d notifications  %s/s in %s s  gaps %d"):format(s.observe.notifications,
      short(s.observe.rate), short(s.elapsed), s.observe.gaps)
    latency_lines(lines, s.latency, "   (from the time in the payload)")
  elseif s.transfer then
    transfer_lines(lines, "up", s.transfer.up)
    transfer_lines(lines, "down", s.transfer.down)
  else
    latency_lines(lines, s.latency, s.target_rate and "   (from intended start time)" or "")
  end
  return " " .. table.concat(lines, "\n ") .. "\n"
end

-- Prints it, and gives its fields.
function Report:summary(res)
  local s = self:fields(res)
  if self.out.json then
    self.out:write(json.encode(s) .. "\n")
  elseif not s.error or s.datagrams_in > 0 then
    self.out:write(self:text(s))
  end
  io.stdout:flush()
  if s.reused_ids then
    self:warn_of("message ids repeated", rate(
      s.transfer and res.down.blocks + res.up.blocks or s.sent, s.elapsed))
  end
  if s.generator_bound then
    self.out:say(("this generator was the limit, not the server: it had %.0f%% of a core"):format(s.cpu * 100))
  end
  return s
end

return M
