-- A network in a box: endpoints that talk through memory, in virtual time.
--
--   local sim = copal.sim { seed = 7, loss = 20 }
--   local server, client = sim:endpoint "server", sim:endpoint "client"
--   server:serve("/t", function() return "21.5" end)
--   print(client:get("coap://server/t"))    -- whatever is lost, at once
--
-- The same seed gives the same run. Waiting on a simulated endpoint moves the
-- clock, which nothing else does; times are seconds, chances are percent.
local core = require "copal_core"
local endpoint = require "copal.endpoint"
local errors = require "copal.error"
local loop = require "copal.loop"
local value = require "copal.value"

local Sim = {}

function Sim.__index(sim, key)
  if key == "transcript" then return core.sim_transcript(sim.handle) end
  return Sim[key]
end

function Sim:__tostring()
  return "copal simulation" .. (self.handle and "" or " (closed)")
end

local function checked(result, text, name)
  if result == nil then return nil, errors.new(name, text) end
  return true
end

local known = { delay = true, jitter = true, loss = true, duplication = true,
  reordering = true, from = true, to = true }

-- sim:set_path { from = "client", to = "server", loss = 50, delay = 0.1 }: one
-- way; from or to left out is any host, what else is left out is 0.
function Sim:set_path(path)
  for key in pairs(path) do
    if not known[key] then error("copal: sim: unknown key " .. tostring(key), 2) end
  end
  return checked(core.sim_set_path(self.handle, path.from, path.to,
    value.ms(path.delay or 0), value.ms(path.jitter or 0), path.loss or 0,
    path.duplication or 0, path.reordering or 0))
end

-- An endpoint that others reach as coap://HOST; parameters as for
-- copal.endpoint. To free it is a crash of that host, to make it anew its
-- reboot.
function Sim:endpoint(host, parameters)
  local handle, text, name = core.sim_endpoint(self.handle, host)
  if not handle then return nil, errors.new(name, host .. ": " .. text) end
  local e = setmetatable({ handle = handle, timers = 0, sim = self },
    endpoint.Endpoint)
  self.endpoints[handle] = e
  return endpoint.configured(e, parameters)
end

-- Loses the next count datagrams of host.
function Sim:lose(host, count)
  return checked(core.sim_lose(self.handle, host, count or 1))
end

-- Host's datagrams leave from a fresh address from now on, as behind a NAT
-- that forgot it.
function Sim:move(host)
  return checked(core.sim_move(self.handle, host))
end

-- While host is down, what comes to it is refused, as by a machine on which no
-- program has the port; refuses false: it vanishes.
function Sim:refuse(host, refuses)
  return checked(core.sim_refuse(self.handle, host, refuses ~= false))
end

-- A datagram on its way to host as if from made it.
function Sim:inject(from, host, datagram)
  return checked(core.sim_inject(self.handle, from, host, datagram))
end

-- Keeps only the newest bytes of transcript.
function Sim:keep(bytes)
  return checked(core.sim_keep(self.handle, bytes))
end

function Sim:now()
  return core.sim_now(self.handle) / 1000
end

-- Time stands still again, also when memory ran out on the way.
local function done(self, ok, underway, text, name)
  self.running = false
  if not ok then error(underway, 0) end
  if underway == nil then return nil, errors.new(name, text) end
  return underway
end

-- Lets seconds pass; how many datagrams are still on their way then.
function Sim:run(seconds)
  if self.running then
    error("copal: sim:run() inside the simulation; use sleep()", 2)
  end
  local ms = value.ms(seconds)
  self.running = true
  return done(self, pcall(core.sim_run, self.handle, ms, true))
end

-- Up to seconds, until somebody is woken.
function Sim:turn(seconds)
  local ms = value.ms(seconds)
  self.running = true
  local underway, err = done(self, pcall(core.sim_run, self.handle, ms))
  return underway, err and err.message
end

function Sim:is_idle()
  for _, e in pairs(self.endpoints) do
    if not loop.is_idle(e) then return false end
  end
  return true
end

-- Its endpoints with it.
function Sim:close()
  local handle = self.handle
  if not handle then return end
  local list = {}
  for _, e in pairs(self.endpoints) do list[#list + 1] = e end
  for _, e in ipairs(list) do e:free() end
  self.handle = nil
  core.sim_free(handle)
end
Sim.__close = Sim.close

-- options: seed (1), and what set_path() takes for all paths.
return function(options)
  local seed, path = 1, {}
  for key, v in pairs(options or {}) do
    if key == "seed" then seed = v else path[key] = v end
  end
  local handle, text, name = core.sim(seed)
  if not handle then return nil, errors.new(name, text) end
  local sim = setmetatable({ handle = handle, endpoints = {}, running = false }, Sim)
  local ok, err = sim:set_path(path)
  if not ok then return nil, err end
  return sim
end
