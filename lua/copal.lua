-- copal: CoAP for Lua 5.4, 5.3 and LuaJIT; for Lua 5.1 in callback style.
--
--   local copal = require "copal"
--   print(assert(copal.get "coap://localhost/time").payload)
--
-- Times are seconds. What can fail in the network gives nil, error; a 4.xx is
-- a response. Misuse throws.
local compat = require "copal.compat"
local core = require "copal_core"
local data = require "copal.data"
local endpoint = require "copal.endpoint"
local errors = require "copal.error"
local loop = require "copal.loop"
local message = require "copal.message"
local task = require "copal.task"
local value = require "copal.value"

local copal = {
  version = core.version(),
  endpoint = endpoint.new,
  code = value.code,
  format = value.format,
  use_loop = loop.use,
  is_error = errors.is,
  is_message = message.is,
  decode = message.decode,
  replay = require "copal.endpoint".replay,
  make_edhoc = endpoint.make_edhoc,
  null = data.null,
  undefined = data.undefined,
}

for name, dotted in pairs(value.codes) do
  copal[name] = value.code(dotted)
end
for name, number in pairs(value.formats) do
  copal[name] = value.format(number)
end

-- Loaded when touched.
local lazy = { json = "copal.json", cbor = "copal.cbor", senml = "copal.senml",
  linkformat = "copal.links", sim = "copal.sim" }

setmetatable(copal, { __index = function(t, key)
  local module = lazy[key]
  if not module then return nil end
  local loaded = require(module)
  rawset(t, key, loaded)
  return loaded
end })

---- The endpoint of the shortcuts ----------------------------------------------

local default

-- The endpoint that copal.get() and its like use: the one of the surrounding
-- run(), or one made at first use.
function copal.default()
  if not default or not default.handle then
    default = assert(endpoint.new())
  end
  return default
end

-- From now on the shortcuts use this one.
function copal.set_default(coap)
  default = coap
end

local shortcuts = { "get", "put", "post", "delete", "fetch", "patch", "ipatch",
  "request", "message", "observe", "watch", "ping", "get_all", "sleep", "spawn",
  "after", "every", "forever", "answers", "find", "interfaces" }

for _, name in ipairs(shortcuts) do
  local method = endpoint.Endpoint[name]
  copal[name] = function(...)
    return method(copal.default(), ...)
  end
end

-- Errors that no code waits for; print them by default.
function copal.on_error(fn)
  task.on_error = fn
end

---- run -------------------------------------------------------------------------

local unpack = compat.unpack

-- What remains to be done when the loop came to rest.
local function outcome(coap, job, why)
  if coap.closing then coap:free() end
  if not job.done then
    if why == "idle" then
      error("copal.run: the function waits for something that cannot come", 0)
    end
    return
  end
  if not job.ok then error(job.traceback or job.results[1], 0) end
  return unpack(job.results, 1, job.results.n)
end

-- In a task: whoever drives the loop drives ours, too.
local function run_inside(coap, fn, ...)
  local job = task.spawn_joined(coap, fn, coap, ...)
  if not (job.done and (not job.ok or loop.is_idle(coap))) and not coap.stopped then
    task.await(coap, function(wake)
      local function rest()
        if not job.ok or loop.is_idle(coap) then wake() end
        coap.idle_wake = wake
        loop.look()
      end
      coap.stop_waiters = { wake }
      if job.done then rest() else job.waiters = { rest } end
    end)
  end
  return outcome(coap, job)
end

local function run_outside(coap, fn, ...)
  local job = task.spawn_joined(coap, fn, coap, ...)
  local why, signal = loop.drive(coap, function()
    return coap.stopped or job.done and not job.ok
  end, function()
    return job.done
  end)
  if why == "signal" then
    error(errors.new("ECANCEL", "interrupted by signal " .. signal), 0)
  end
  return outcome(coap, job, why)
end

local function put_back(coap, previous, ok, ...)
  default = previous
  coap:free()
  if not ok then error((...), 0) end
  return ...
end

-- Runs fn(endpoint, ...) as a task, then the loop until nothing is left to
-- wait for: for ever, if it listens. Returns what fn returned; throws what it
-- threw.
function copal.run(fn, ...)
  local coap, previous = assert(endpoint.new()), default
  local way = compat.isyieldable() and run_inside or run_outside
  default = coap
  return put_back(coap, previous, pcall(way, coap, fn, ...))
end

return copal
