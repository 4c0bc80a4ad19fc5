-- copal serve --reload FILE.lua: when the file changes it is loaded again in
-- place of itself. Resources that it still serves keep their observers, who are
-- told; its timers and tasks end. One that does not load changes nothing.
local host = require "copal.host"
local server = require "copal.server"
local task = require "copal.task"

local M = {}

local PERIOD = 0.3 -- seconds between looks at the file

local function say(text)
  io.stderr:write("copal: ", text, "\n")
end

-- What a version of the file starts on coap, so that it can be ended. Where it
-- listens it goes on listening.
local function keep_track(coap)
  local started = setmetatable({}, { __mode = "k" })
  for _, name in ipairs { "after", "every", "spawn" } do
    local method = coap[name]
    coap[name] = function(...)
      local handle, err = method(...)
      if handle then started[handle] = true end
      return handle, err
    end
  end
  local listen, listened = coap.listen, {}
  function coap.listen(self, uri, opts)
    if listened[uri] then return true end
    local ok, err = listen(self, uri, opts)
    listened[uri] = ok
    return ok, err
  end
  return function()
    local ending = {}
    for handle in pairs(started) do ending[#ending + 1] = handle end
    for _, handle in ipairs(ending) do
      started[handle] = nil
      handle:cancel()
    end
  end
end

-- load() gives the file's chunk, or nil and what is wrong with it; the chunk
-- gets coap and the arguments. True when it was loaded the first time.
function M.watch(coap, path, load, ...)
  local every = coap.every
  local forget = keep_track(coap)
  local arguments = table.pack(coap, ...)

  local function once()
    local chunk, why = load()
    if not chunk then return nil, why end
    forget()
    return server.reload(coap, function()
      local job = task.spawn_joined(coap, chunk, table.unpack(arguments, 1, arguments.n))
      job.joined = job.done
      return not job.done or job.ok, job.traceback or job.results and job.results[1]
    end)
  end

  local seen = host.modified(path)
  local ok, why = once()
  if not ok then return nil, why end
  every(coap, PERIOD, function()
    local modified = host.modified(path)
    if not modified or modified == seen then return end
    seen = modified
    ok, why = once()
    say(ok and path .. " changed: loaded again" or tostring(why))
  end)
  return true
end

return M
