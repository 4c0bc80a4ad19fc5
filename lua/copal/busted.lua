-- Simulations for tests with busted:
--
--   describe("my program", function()
--     local net = require "copal.busted" { seed = 7, loss = 20 }
--
--     it("asks until it is answered", function()
--       net:endpoint "server":serve("/t", function() return "21.5" end)
--       assert.equal("21.5", net:endpoint "client":get("coap://server/t").text)
--     end)
--   end)
--
-- Every test gets a simulation of its own, made from the same options, so it
-- does not matter which of them run.
local copal = require "copal"

local Net = {}

function Net.__index(net, key)
  local sim = rawget(net, "sim")
  if not sim then
    error("copal.busted: there is a simulation only while a test runs", 2)
  end
  local v = sim[key]
  if type(v) ~= "function" then return v end
  return function(_, ...) return v(sim, ...) end
end

-- hooks: who has before_each and after_each, if it is not busted.
return function(options, hooks)
  hooks = hooks or require "busted"
  local net = setmetatable({}, Net)
  hooks.before_each(function()
    rawset(net, "sim", assert(copal.sim(options)))
  end)
  hooks.after_each(function()
    rawget(net, "sim"):close()
    rawset(net, "sim", nil)
  end)
  return net
end
