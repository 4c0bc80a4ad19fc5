-- A state that goes from one thread to another, one after the other.
local copal = require "copal"
local check = require "support.check"
local test, equal = check.test, check.equal

package.cpath = os.getenv "COPAL_BUILD" .. "/tests/lua/?.so;" .. package.cpath
if _VERSION ~= "Lua 5.4" then
  print("skipped: made for Lua 5.4")
  os.exit(77)
end
local elsewhere = require "elsewhere"

local MANY, BODY = 200, ("x"):rep(40)

local function requests()
  local sim = copal.sim { seed = 5 }
  local server, client = sim:endpoint "server", sim:endpoint "client"
  local all = {}
  server:serve("/t", { put = function(req)
    all[#all + 1] = req
    return ""
  end })
  for _ = 1, MANY do
    client:put("coap://server/t", BODY, function() end)
    sim:run(100)
  end
  equal(#all, MANY)
  return all, sim
end

-- By how much less is in use when they were looked at here, and let go of by run.
local function saved_by(run)
  local all, sim = requests()
  local before = elsewhere.used()
  for _ = 1, MANY do
    local req = table.remove(all)
    equal(req.payload, BODY)
    run(function()
      req = nil
      collectgarbage()
      collectgarbage()
    end)
  end
  local saved = before - elsewhere.used()
  sim:close()
  return saved
end

test("a message that was looked at here goes when another thread lets go of it", function()
  local function here(fn) fn() end
  saved_by(here) -- what is made once is there
  local saved = saved_by(here)
  equal(saved_by(elsewhere.run) > saved - 100 * MANY, true)
end)

check.done()
