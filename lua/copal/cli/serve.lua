-- copal serve FILE.lua, copal serve --test: offers resources until a signal.
local copal = require "copal"
local errors = require "copal.error"
local exit = require "copal.cli.exit"
local flags_table = require "copal.cli.flags"
local session = require "copal.cli.session"

local M = {}

local function listen(coap, flags)
  -- A script may have its own idea of where.
  local uris = flags.listen or coap.listening and {} or { "coap://*" }
  for _, uri in ipairs(uris) do
    local ok, err = coap:listen(uri)
    if not ok then exit.fail(exit.of_error(err), err.message) end
  end
end

-- The groups that a word of --join stands for. Where we listen at a port of our
-- own all CoAP nodes are heard there, too.
local function groups_of(coap, word)
  if word ~= "all" then return { word } end
  local uri = coap:addresses()[1]
  local port = uri and uri:match(":%d+$") or ""
  local list = {}
  for i, group in ipairs(require "copal.find".ALL_NODES) do
    list[i] = group .. port
  end
  return list
end

-- Of those that "all" stands for one is enough: IPv6 may be missing.
local function join(coap, flags)
  for _, word in ipairs(flags.join or {}) do
    local joined, failed = 0, nil
    for _, group in ipairs(groups_of(coap, word)) do
      local ok, err = coap:join(group)
      if ok or err.name == "EEXIST" then
        joined = joined + 1
        print("joined " .. group)
      else
        failed = err
      end
    end
    if joined == 0 then exit.fail(exit.of_error(failed), failed.message) end
  end
  io.stdout:flush()
end

local function show_metrics(coap, flags)
  if not flags.metrics then return end
  local port, err = coap:metrics(flags.metrics)
  if not port then exit.fail(exit.of_error(err), err.message) end
  local host = flags.metrics:match("^(.+):%d+$") or "127.0.0.1"
  print("metrics at http://" .. host .. ":" .. port .. "/metrics")
end

-- Who hears that we listen finds us in the groups as well.
local function open_sockets(coap, flags)
  listen(coap, flags)
  join(coap, flags)
  show_metrics(coap, flags)
  for _, uri in ipairs(coap:addresses()) do
    print("listening on " .. uri)
  end
  io.stdout:flush()
end

-- Resources first: who hears that we listen finds them there.
local function mount(coap, flags)
  if flags.test then
    require "copal.testsite".mount(coap)
    return
  end
  local path = flags[1]
  local chunk = require "copal.cli.run".load(path, flags)
  if flags.reload then
    local ok, why = require "copal.cli.reload".watch(coap, path,
      function() return loadfile(path) end, table.unpack(flags, 2))
    if not ok then exit.fail(exit.INTERNAL, tostring(why)) end
    return
  end
  local job = require "copal.task".spawn_joined(coap, chunk, coap,
    table.unpack(flags, 2))
  if job.done and not job.ok then
    exit.fail(exit.INTERNAL, tostring(job.traceback or job.results[1]))
  end
  job.joined = false -- what goes wrong in it later is told as it happens
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  if not flags.test and not flags[1] then
    exit.usage("copal serve wants a FILE.lua or --test")
  elseif flags.test and flags[1] then
    exit.usage("copal serve wants a FILE.lua or --test, not both")
  end
  local coap = session.open(flags)
  copal.set_default(coap)
  mount(coap, flags)
  open_sockets(coap, flags)
  local _, err = coap:run()
  coap:close(1)
  if err and not errors.is(err, "ECANCEL") then error(err, 0) end
  return exit.OK
end

return M
