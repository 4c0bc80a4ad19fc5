-- copal in a program that lives in a cqueues controller:
--
--   local attach = require "copal.cqueues"
--   local cq = cqueues.new()
--   cq:wrap(function()
--     local coap = copal.endpoint {}
--     print(coap:get "coap://localhost/time")     -- the others go on meanwhile
--   end)
--   assert(cq:loop())
--
-- An endpoint gets its turns from the controller whose coroutine waits on it.
-- For one that only serves, attach(coap, cq) says which that is.
local compat = require "copal.compat"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local loop = require "copal.loop"
local task = require "copal.task"

-- Turns for coap as long as it has something to do. It is what cqueues polls.
local function pump(coap)
  local fd = coap:pollfd()
  -- Nobody else tells the controller that the descriptor is gone.
  coap.before_free = function() cqueues.cancel(fd) end
  while coap.handle and not loop.is_idle(coap) do
    cqueues.poll(coap)
    if coap.handle then coap:step() end
  end
  if coap.handle then cqueues.cancel(fd) end
  coap.before_free, coap.controller = nil, nil
end

local function attach(coap, controller)
  if not coap.controller and coap.handle then
    coap.controller = controller
    controller:wrap(pump, coap)
  end
  return coap
end

local function pack(...)
  return { n = select("#", ...), ... }
end

-- How a coroutine of a controller waits on coap; nil for any other.
function task.elsewhere(coap)
  local controller, is_its = cqueues.running()
  if not is_its or coap.sim or coap.shared then return nil end
  return function(start)
    local woken, results = condition.new(), nil
    start(function(...)
      if results then return end
      results = pack(...)
      woken:signal()
    end)
    if not results then attach(coap, controller) end
    while not results do woken:wait() end
    return compat.unpack(results, 1, results.n)
  end
end

return attach
