-- A watch lives through what servers do: it tells each once, and heals.
local copal = require "copal"
local check = require "support.check"
local test, equal = check.test, check.equal
check.needs_coroutines()

local URI = "coap://server/t"

-- A simulated world, and the story a watch of URI tells: "1 silent resumed 2".
-- steps[i](world) is called after the i-th thing told; the last one ends it.
local function story(opts, steps, sim_options)
  local world = { sim = assert(copal.sim(sim_options)), reasons = {} }
  local sim = world.sim
  local client = assert(sim:endpoint "client")
  function world.begin(value)
    world.server = assert(sim:endpoint "server")
    world.value = world.server:value("/t", value)
  end
  world.begin(1)
  local told = {}
  local watch = client:watch(URI, opts)
  for n in watch do
    told[#told + 1] = n.event == "value" and n.payload or n.event
    world.reasons[#told] = n.reason
    local step = steps[#told]
    if step then step(world) end
    if #told == #steps then break end
  end
  watch:cancel() -- which leaving the loop does in Lua 5.4
  sim:close()
  return table.concat(told, " "), world.reasons
end

local function nothing() end
local function die(world) world.server:free() end
local function begin_again(world) world.begin(2) end

test("a server that is killed and begun anew is told and heard again", function()
  local told, reasons = story({}, { die, begin_again, nothing, nothing })
  equal(told, "1 silent resumed 2")
  assert(reasons[2]:find(URI, 1, true))
end)

test("30 s of silence are told, and their end", function()
  local at
  local told, reasons = story({ silence = 30 }, {
    function(w) w.sim:set_path { loss = 100 } end,
    function(w)
      at = w.sim:now()
      w.sim:set_path {}
    end, nothing, nothing })
  equal(told, "1 silent resumed 1")
  assert(at >= 30 and at < 31, at)
  assert(reasons[2]:find("30 s", 1, true), reasons[2])
end)

test("a refused port is told by its name", function()
  local told, reasons = story({}, {
    function(w)
      w.sim:refuse "server"
      w.server:free()
    end, begin_again, nothing, nothing })
  equal(told, "1 silent resumed 2")
  assert(reasons[2]:find("nothing listens", 1, true), reasons[2])
end)

test("a server that forgot us is told again who listens", function()
  local told = story({}, {
    function(w)
      w.server:free()
      w.begin(2)
    end,
    function(w) w.value.value = 3 end, nothing })
  equal(told, "1 2 3")
end)

test("by callback it tells the same", function()
  local sim = assert(copal.sim())
  local client, server = assert(sim:endpoint "client"), assert(sim:endpoint "server")
  server:value("/t", 1)
  local told = {}
  local watch = client:watch(URI, { silence = 10 }, function(n)
    told[#told + 1] = n.event
  end)
  sim:run(1)
  server:free()
  sim:run(30)
  assert(sim:endpoint "server"):value("/t", 2)
  sim:run(60)
  watch:cancel()
  sim:run(1)
  equal(table.concat(told, " "), "value silent resumed value ended")
  sim:close()
end)

---- A server of its own, on a socket ---------------------------------------------

local bin, build = os.getenv "COPAL_BIN", os.getenv "COPAL_BUILD"
local has_program = bin and io.open(bin)
if has_program then has_program:close() end

-- A program that serves /t, and dies at POST /die; its address.
local function begin_program(site, listen, out)
  os.execute(("'%s' serve '%s' --listen %s >'%s' 2>&1 &"):format(bin, site, listen, out))
end

local function address_of(coap, out)
  for _ = 1, 500 do
    local f = io.open(out)
    local text = f and f:read "*a" or ""
    if f then f:close() end
    local address = text:match "listening on (%S+)\n"
    if address then return address end
    coap:sleep(0.02)
  end
  error "the server did not begin"
end

if has_program then
  test("a process that dies and comes back at its port is heard again", function()
    local site, out = os.tmpname(), os.tmpname()
    local f = assert(io.open(site, "w"))
    f:write [[
      local coap = ...
      coap:value("/t", "here")
      coap:serve("/die", { post = function() os.exit(0) end })
    ]]
    f:close()
    copal.run(function(coap)
      begin_program(site, "coap://127.0.0.1:0", out)
      local base = address_of(coap, out)
      local function kill()
        coap:post(base .. "/die", "", { non = true, timeout = 0.5 }, function() end)
      end
      local told = {}
      local limit = coap:after(30, function() error "it takes too long" end)
      local watch = coap:watch(base .. "/t", { silence = 2 })
      for n in watch do
        told[#told + 1] = n.event
        if n.event == "silent" then
          begin_program(site, base, out)
        elseif #told == 1 then
          kill()
        elseif n.event == "value" then
          break
        end
      end
      watch:cancel()
      limit:cancel()
      equal(table.concat(told, " "), "value silent resumed value")
      kill()
      coap:sleep(0.1)
    end)
    os.remove(site)
    os.remove(out)
  end)
end

check.done()
