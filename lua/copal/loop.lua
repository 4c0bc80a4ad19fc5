-- Who lets the loop go on: an endpoint's own, one that is shared with luv, or
-- the virtual time of a simulation.
local compat = require "copal.compat"
local core = require "copal_core"
local errors = require "copal.error"

local M = {}
local unpack = compat.unpack

-- Endpoints alive in this Lua state, by their core handle; those of
-- simulations are not among them. When there are several they take turns,
-- whichever of them is being waited on.
local alive = setmetatable({}, { __mode = "v" })
local driving   -- core handle inside core.run(), true inside another turn
local kicked    -- somebody asked for a look at the conditions

-- Those who drive look at their conditions. endpoint nil: a loop of real time.
local function kick(endpoint)
  local sim = endpoint and endpoint.sim
  if sim then
    if sim.handle then core.sim_stop(sim.handle) end
    return
  end
  kicked = true
  if driving == true then
    core.look()
  elseif driving then
    core.stop(driving)
  end
end
M.kick = kick

-- One of several endpoints may be idle from now on, or somebody waits for that. core
-- notices itself only that the last exchange of one is over.
function M.look()
  if driving == true then core.look() end
end

function M.add(endpoint)
  alive[endpoint.handle] = endpoint
  kick() -- whoever drives has one more to drive
end

function M.remove(handle)
  alive[handle] = nil
  kick()
end

-- Those with loops of their own, endpoint first. Made every turn: a list that
-- stays would keep endpoints that nobody knows any more.
local function others(endpoint)
  local list = { endpoint.handle }
  for h, e in pairs(alive) do
    if e ~= endpoint and not e.shared then
      list[#list + 1] = h
    end
  end
  return list
end

-- Any of those alive, for what belongs to none of them; nil if there is none.
function M.anyone()
  local _, endpoint = next(alive)
  return endpoint
end

-- Whether nothing can happen on an endpoint by itself any more. The core's
-- own timers do not count: it keeps answers for repeats long after.
local function is_idle(endpoint)
  return endpoint.handle == nil or not endpoint.listening
    and endpoint.timers == 0 and core.open_exchanges(endpoint.handle) == 0
end
M.is_idle = is_idle

local function all_idle(list)
  for _, h in ipairs(list) do
    local endpoint = alive[h]
    if endpoint and not is_idle(endpoint) then return false end
  end
  return true
end

local function tell_one(endpoint)
  local wake = endpoint and endpoint.idle_wake
  if wake and is_idle(endpoint) then
    endpoint.idle_wake = nil
    wake()
  end
end

-- Tells those who wait for one of several endpoints to become idle.
local function tell_idle(list)
  for _, h in ipairs(list) do tell_one(alive[h]) end
end

---- The kinds of loop ---------------------------------------------------------

-- Each is a turn(endpoint, rested): ok, "idle" or "more", text.
local turns = {}

function turns.own(endpoint, rested)
  local handle = endpoint.handle
  local list = others(endpoint)
  local ok, text

  if #list == 1 then
    driving = handle
    ok, text = core.run(handle)
    driving = nil
    return ok, kicked and "more" or "idle", text
  end
  local function idle()
    return all_idle(list) or rested and is_idle(endpoint) and rested()
  end
  driving = true
  ok, text = core.wait(idle() and 0 or -1, unpack(list))
  driving = nil
  if ok then tell_idle(list) end
  return ok, ok and not kicked and idle() and "idle" or "more", text
end

-- What else lives on luv's loop may wake who waits, so it is idle when luv
-- says so.
function turns.shared(endpoint, rested)
  driving = true
  local going = endpoint.shared.run("once")
  driving = nil
  for _, e in pairs(alive) do
    if e.shared then tell_one(e) end
  end
  local idle = not going or rested and is_idle(endpoint) and rested()
  return true, idle and not kicked and "idle" or "more"
end

local DAY = 24 * 3600 -- of virtual time: what did not come by then never will

-- Virtual time stops when somebody was woken; is one idle, all are asked.
function turns.sim(endpoint)
  local sim = endpoint.sim
  local underway, text = sim:turn(1)
  if not underway then return nil, nil, text end
  for _, e in pairs(sim.endpoints) do tell_one(e) end
  local idle = underway == 0 and sim:is_idle()
  return true, idle and "idle" or "more"
end

local function turn_of(endpoint)
  if endpoint.sim then
    local sim = endpoint.sim
    local limit = sim:now() + DAY
    return function(...)
      if sim:now() > limit then
        return nil, nil, "nothing came within a day of virtual time"
      end
      return turns.sim(...)
    end
  end
  return endpoint.shared and turns.shared or turns.own
end

---- Driving -------------------------------------------------------------------

-- Runs the loop of endpoint until done() is true, nothing is left to wait for,
-- the endpoint is closed or a signal comes. Returns "done", "idle", "closed",
-- or "signal", number. Other endpoints have their turns meanwhile; whether
-- these still wait for something does not matter once rested() is true.
function M.drive(endpoint, done, rested)
  if M.is_driving(endpoint) then
    error("copal: cannot wait inside a callback; start a task with spawn(), "
      .. "or give a function as the last argument", 3)
  end
  local turn = turn_of(endpoint)
  while true do
    if done() then return "done" end
    if endpoint.handle == nil then return "closed" end
    kicked = false
    local ok, more, text = turn(endpoint, rested)
    local signal = core.caught()
    if signal then return "signal", signal end
    if not ok then error("copal: " .. tostring(text), 3) end
    if more == "idle" and not done() and endpoint.handle ~= nil then
      local wake = endpoint.idle_wake
      if not wake then return "idle" end
      endpoint.idle_wake = nil
      wake()
    end
  end
end

-- Turns for whoever has something to do, until descriptor fd has input (true) or
-- a signal comes (nil, its number).
function M.wait_input(fd)
  while true do
    local list = {}
    for h, e in pairs(alive) do
      if not e.shared then list[#list + 1] = h end
    end
    driving = true
    local ok, readable = core.wait(-1, fd, unpack(list))
    driving = nil
    local signal = core.caught()
    if signal then return nil, signal end
    if not ok then error("copal: " .. tostring(readable), 0) end
    tell_idle(list)
    if readable then return true end
  end
end

-- Whether a loop is being driven: that of endpoint's kind.
function M.is_driving(endpoint)
  if endpoint and endpoint.sim then return endpoint.sim.running end
  return driving ~= nil
end

---- luv -----------------------------------------------------------------------

local shared -- luv, false: loops of our own; nil: not decided yet

-- luv, if new endpoints live on its loop: decided by the first endpoint of
-- this Lua state, since loops cannot be changed later.
function M.luv()
  if shared == nil then shared = package.loaded.luv or false end
  return shared or nil
end

-- "luv", or "own" for loops of our own although luv is loaded; before the first
-- endpoint.
function M.use(which)
  if which ~= "luv" and which ~= "own" then
    error("copal: use_loop: 'luv' or 'own' expected", 3)
  end
  local wanted = which == "luv" and require "luv"
  if shared ~= nil and shared ~= wanted then
    return nil, errors.new("ESTATE", "use_loop: there was an endpoint already; "
      .. "require luv and say which loop to use before the first one")
  end
  shared = wanted
  return true
end

return M
