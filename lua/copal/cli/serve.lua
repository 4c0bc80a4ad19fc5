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

local function allow_pages(coap, flags)
  local function each(list, allow)
    for _, text in ipairs(list or {}) do
      local ok, err = allow(coap, text)
      if not ok then exit.usage(err.message) end
    end
  end
  each(flags["allow-origin"], coap.allow_origin)
  each(flags["allow-host"], coap.allow_host)
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
local function join(coap, flags, worker, tell)
  for _, word in ipairs(flags.join or {}) do
    local joined, failed = 0, nil
    for _, group in ipairs(groups_of(coap, word)) do
      local ok, err = coap:join(group)
      if ok or err.name == "EEXIST" then
        joined = joined + 1
        if not worker or worker.number == 1 then tell("joined " .. group) end
      else
        failed = err
      end
    end
    if joined == 0 then exit.fail(exit.of_error(failed), failed.message) end
  end
end

-- Each worker has a page of its own: the second at the next port, and so on.
local function metrics_place(place, number)
  local host, port = place:match("^(.-)(%d+)$")
  if number == 1 or not port or tonumber(port) == 0 then return place end
  return host .. tonumber(port) + number - 1
end

local function show_metrics(coap, flags, worker, tell)
  if not flags.metrics then return end
  local port, err = coap:metrics(metrics_place(flags.metrics, worker and worker.number or 1))
  if not port then exit.fail(exit.of_error(err), err.message) end
  local host = flags.metrics:match("^(.+):%d+$") or "127.0.0.1"
  tell("metrics" .. (worker and " of worker " .. worker.number or "")
    .. " at http://" .. host .. ":" .. port .. "/metrics")
end

-- Who hears that we listen finds us in the groups as well. Where workers listen
-- is shown when all do.
local function open_sockets(coap, flags, worker)
  local function tell(line)
    if worker then worker:say(line) else print(line) end
  end
  allow_pages(coap, flags)
  listen(coap, flags)
  join(coap, flags, worker, tell)
  show_metrics(coap, flags, worker, tell)
  if worker then return end
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

local function begin(flags, worker)
  local coap = session.open(flags)
  copal.set_default(coap)
  if worker then worker:attach(coap) end
  mount(coap, flags)
  open_sockets(coap, flags, worker)
  return coap
end

local function check_shared(flags)
  local ok, err = require "copal.cli.worker".may_share(session.creds_of(flags))
  if not ok then exit.usage(err.message) end
end

-- What one worker does. Each writes files of its own.
local function work(flags, worker)
  if worker.count > 1 then check_shared(flags) end -- it may be another one by now
  for _, name in ipairs { "pcap", "trace", "store" } do
    if flags[name] and flags[name] ~= "-" then
      flags[name] = flags[name] .. "." .. worker.number
    end
  end
  begin(flags, worker)
  worker:run()
  return exit.OK
end

function M.main(command, argv)
  local flags = flags_table.parse(command, argv)
  if flags.help then return require "copal.cli.help".of(command) end
  if not flags.test and not flags[1] then
    exit.usage("copal serve wants a FILE.lua or --test")
  elseif flags.test and flags[1] then
    exit.usage("copal serve wants a FILE.lua or --test, not both")
  end
  if flags.workers then
    if flags.workers > 1 then check_shared(flags) end
    return require "copal.cli.workers".run(flags.workers, flags.quiet, function(worker)
      return work(flags, worker)
    end)
  end
  local coap = begin(flags)
  local _, err = coap:run()
  coap:close(1)
  if err and not errors.is(err, "ECANCEL") then error(err, 0) end
  return exit.OK
end

return M
