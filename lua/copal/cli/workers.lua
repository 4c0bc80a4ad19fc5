-- copal serve --workers N: looks after N processes, each with a Lua state, an
-- endpoint and a loop of its own, that share a port by SO_REUSEPORT. This one
-- serves nothing: it starts them, starts one that died again, passes
-- notifications on, and never waits for any of them.
--
-- It keeps a copy of each worker's sockets. So the system's choice of a worker by
-- a client's address stays the same whoever dies, and what comes meanwhile waits.
--
-- On the channel, by the first letter; from a worker: L URI and the sockets it
-- opened for it, S a line to be shown, T it is ready to listen in place of
-- another, R it serves, N a path of which observers are to be told, Q all are to
-- end. To a worker: G go on and listen, N, E end, X end in favour of the next.
local exit = require "copal.cli.exit"
local host = require "copal.host"
local outlet = require "copal.cli.outlet"
local process = require "copal.process"

local M = {}

local MOST = 256
local FIRST_DELAY, LONGEST_DELAY = 0.1, 5 -- seconds before one is started again
local STEADY = 10  -- seconds after which a death is not one in a row
local PATIENCE = 5 -- seconds for an orderly end

local is_quiet

local function say(text)
  if not is_quiet then io.stderr:write("copal: ", text, "\n") end
end

local Crew = {}
Crew.__index = Crew

---- Starting ------------------------------------------------------------------

-- In the new process: nothing of what belongs to the others stays open, or they
-- would not learn that this one's parent is gone.
local function become(self, place, bus, is_heir)
  process.unsignalled()
  for _, p in pairs(self.processes) do process.close(p.bus) end
  for _, other in ipairs(self.places) do
    for _, sockets in pairs(other ~= place and other.kept or {}) do
      for _, s in ipairs(sockets) do
        if s.fd then process.close(s.fd) end
      end
    end
  end
  math.randomseed(process.pid(), math.floor(host.clock() * 1e6))
  return require "copal.cli.worker".new {
    number = place.number, count = #self.places, bus = bus, kept = place.kept,
    bound = self.bound, is_heir = is_heir,
  }
end

-- In the new process this gives what it is to be.
local function start(self, place, is_heir)
  local ours, theirs = process.pair()
  local pid, why = nil, theirs
  if ours then pid, why = process.fork() end
  if pid == 0 then
    process.close(ours)
    return become(self, place, theirs, is_heir)
  end
  if ours then process.close(theirs) end
  if not pid then
    if ours then process.close(ours) end
    say("worker " .. place.number .. ": cannot be started: " .. why)
    place.delay = math.min((place.delay or FIRST_DELAY) * 2, LONGEST_DELAY)
    place.due = not is_heir and host.clock() + place.delay or nil
    return nil
  end
  local p = { pid = pid, bus = ours, out = outlet.new(ours), place = place }
  self.processes[pid] = p
  place[is_heir and "heir" or "current"] = p
  place.due = nil
  return nil
end

local function all_ready(self)
  for _, place in ipairs(self.places) do
    if not place.current or not place.current.ready then return false end
  end
  return true
end

local function announce(self)
  self.announced = true
  for _, line in ipairs(self.lines) do print(line) end
  for _, uri in ipairs(self.addresses) do print("listening on " .. uri) end
  io.stdout:flush()
  self.lines = {}
end

-- The others listen where the first one does.
local function start_rest(self)
  for _, place in ipairs(self.places) do
    if not place.current and not place.due then
      local worker = start(self, place)
      if worker then return worker end
    end
  end
end

---- Ending --------------------------------------------------------------------

local function give_notice(p, kind)
  p.out:send(kind)
  p.deadline = p.deadline or host.clock() + PATIENCE
end

local function end_all(self, status)
  if self.ending then -- the first was not heard: mean it
    for pid in pairs(self.processes) do process.kill(pid) end
    self.status = exit.INTERRUPTED
    return
  end
  self.ending, self.status = true, status
  for _, p in pairs(self.processes) do give_notice(p, "E") end
end

---- One after the other (HUP) --------------------------------------------------

-- The next one that is at work gets an heir; one that is not is started anew
-- anyway.
local function renew_next(self)
  while self.renewing do
    local place = table.remove(self.renewing, 1)
    if not place then
      self.renewing = nil
      say("workers: each was started anew")
    elseif place.current and place.current.ready and not place.heir then
      self.renewed = place
      return start(self, place, true)
    end
  end
end

local function renew_all(self)
  if not self.announced or self.ending then return end
  local is_under_way = self.renewing ~= nil
  self.renewing = { table.unpack(self.places) }
  if not is_under_way then return renew_next(self) end
end

---- What workers say ------------------------------------------------------------

local heard = {}

function heard.L(self, p, text, fds)
  local uri, rest = text:match("^([^\n]*)\n?(.*)$")
  local sockets, bound, i = {}, {}, 0
  for how, address in rest:gmatch("([+-])([^\n]+)") do
    if how == "+" then i = i + 1 end
    sockets[#sockets + 1] = { uri = address, fd = how == "+" and fds[i] or nil }
    bound[#bound + 1] = address
    if p.place.number == 1 and not self.announced then
      self.addresses[#self.addresses + 1] = address
    end
  end
  p.place.kept[uri] = sockets
  self.bound[uri] = self.bound[uri] or bound
end

function heard.S(self, _, text)
  if not self.announced then self.lines[#self.lines + 1] = text end
end

function heard.N(self, p, path)
  for _, other in pairs(self.processes) do
    if other ~= p and other.ready and not other.out:send("N" .. path) and not other.was_full then
      other.was_full = true
      say("worker " .. other.place.number .. " is slow: some notifications do not reach its observers")
    end
  end
end

-- The one before it is to read no more; it learns of that by its end.
function heard.T(_, p)
  p.wants_turn = true
  local before = p.place.current
  if before then give_notice(before, "X") else p.out:send("G") end
end

function heard.R(self, p)
  p.ready, p.since = true, host.clock()
  if self.ending then return end
  if self.renewed == p.place and p.place.current == p then
    self.renewed = nil
    return renew_next(self)
  end
  if self.announced then return end
  if all_ready(self) then return announce(self) end
  return start_rest(self)
end

function heard.Q(self)
  if not self.ending then end_all(self, exit.OK) end
end

local function hear(self, p)
  while true do
    local text, fds = process.receive(p.bus)
    if not text then
      p.is_gone = p.is_gone or fds == "closed"
      return
    end
    local worker = heard[text:sub(1, 1)](self, p, text:sub(2), fds)
    if worker then return worker end
  end
end

---- What becomes of them --------------------------------------------------------

local function how_it_ended(how, signal)
  if how == "signal" then return "was ended by signal " .. signal end
  return "ended (exit " .. how .. ")"
end

local function heir_ended(self, p, how, signal)
  p.place.heir = nil
  say("worker " .. p.place.number .. ": the new one " .. how_it_ended(how, signal)
    .. "; the old ones go on")
  self.renewing, self.renewed = nil, nil
end

local function current_ended(self, p, how, signal)
  local place = p.place
  place.current = nil
  if place.heir and place.heir.wants_turn then
    place.current, place.heir = place.heir, nil
    place.current.out:send("G")
    return
  end
  if not self.announced then
    return end_all(self, how == "signal" and exit.INTERNAL or how)
  end
  local lasted = p.since and host.clock() - p.since or 0
  place.delay = lasted > STEADY and FIRST_DELAY
    or math.min((place.delay or FIRST_DELAY / 2) * 2, LONGEST_DELAY)
  place.due = host.clock() + place.delay
  say(string.format("worker %d %s; started again in %.1f s", place.number,
    how_it_ended(how, signal), place.delay))
  if self.renewed == place then
    self.renewed = nil
    return renew_next(self)
  end
end

local function bury(self)
  while true do
    local pid, how, signal = process.reap()
    if not pid then return end
    local p, worker = self.processes[pid], nil
    if p then
      worker = hear(self, p) -- its last words
      if worker then return worker end
      process.close(p.bus)
      self.processes[pid] = nil
      if self.ending then
        p.place.current = nil
      elseif p.place.heir == p then
        heir_ended(self, p, how, signal)
      else
        worker = current_ended(self, p, how, signal)
      end
    end
    if worker then return worker end
  end
end

-- Work that is due; how long until there is more.
local function look_at_clock(self)
  local now, next_due = host.clock(), math.huge
  for pid, p in pairs(self.processes) do
    if p.deadline and p.deadline <= now then
      say("worker " .. p.place.number .. " does not end: it is killed")
      process.kill(pid)
      p.deadline = nil
    end
    next_due = math.min(next_due, p.deadline or math.huge)
  end
  for _, place in ipairs(self.places) do
    if place.due and place.due <= now and not self.ending then
      if place.heir then -- made ready for another reason
        place.current, place.heir, place.due = place.heir, nil, nil
        if place.current.wants_turn then place.current.out:send("G") end
      else
        local worker = start(self, place)
        if worker then return nil, worker end
      end
    end
    next_due = math.min(next_due, not self.ending and place.due or math.huge)
  end
  return next_due < math.huge and math.max(next_due - now, 0) or nil
end

local function heed_signals(self)
  local worker
  for signal in process.signalled do
    if signal == "HUP" then
      worker = renew_all(self)
    elseif signal ~= "CHLD" then
      end_all(self, exit.OK)
    end
    if worker then return worker end
  end
  return bury(self)
end

-- One turn. In a process started by it this gives the worker to be.
local function turn(self)
  local wait, worker = look_at_clock(self)
  if worker then return worker end
  local readers, writers = { self.signals }, {}
  for _, p in pairs(self.processes) do
    if not p.is_gone then readers[#readers + 1] = p.bus end
    if p.out:is_waiting() then writers[#writers + 1] = p.bus end
  end
  local ready = process.poll(wait, readers, writers)
  for _, p in pairs(self.processes) do
    if ready[p.bus] then
      p.out:flush()
      if not p.out:is_waiting() then p.was_full = nil end
      worker = hear(self, p)
      if worker then return worker end
    end
  end
  return heed_signals(self)
end

-- work(worker) is what each process does, in which this returns its result.
-- quiet: what becomes of them is not told.
function M.run(count, quiet, work)
  is_quiet = quiet
  if count < 1 or count > MOST then
    exit.usage("--workers wants a number from 1 to " .. MOST)
  end
  local signals, why = process.signals()
  if not signals then exit.fail(exit.INTERNAL, "--workers: " .. why) end
  local self = setmetatable({ signals = signals, processes = {}, places = {}, bound = {},
    lines = {}, addresses = {} }, Crew)
  for i = 1, count do self.places[i] = { number = i, kept = {} } end
  local worker = start(self, self.places[1])
  if not worker and not self.places[1].current then return exit.INTERNAL end
  while not worker and (not self.ending or next(self.processes)) do
    worker = turn(self)
  end
  if worker then return work(worker) end
  return self.status
end

return M
