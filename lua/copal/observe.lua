-- Observations and watches, by loop and by callback.
local build = require "copal.build"
local compat = require "copal.compat"
local core = require "copal_core"
local errors = require "copal.error"
local task = require "copal.task"
local value = require "copal.value"

local Observation = {}
Observation.__index = Observation

function Observation:__call()
  local note = self.queue:pop()
  if self.paused and self.queue:length() == 0 then
    self.paused = nil
    for _, x in ipairs(self.exchanges) do core.resume(x) end
  end
  return note
end

-- Deregisters. Leaving a loop does it in Lua 5.4; collection does it too.
function Observation:cancel()
  if self.cancelled then return false end
  self.cancelled = true
  -- One that is over may have been collected before us.
  for _, x in ipairs(self.exchanges) do pcall(core.cancel, x) end
  self.queue:close()
  return true
end
Observation.__close = Observation.cancel
Observation.__gc = Observation.cancel

function Observation:__tostring()
  return "copal observation of " .. table.concat(self.uris, ", ")
end

local HELD = 64 -- notifications not yet taken before the server is held back

local Note = {} -- what happened to a watch besides a value
Note.__index = Note

function Note:__tostring()
  return self.event .. (self.reason and ": " .. self.reason or "")
end

local function note(event, uri, failed, sentence)
  return setmetatable({ event = event, uri = uri, reason = sentence,
    error = failed and errors.new(failed, sentence) or nil }, Note)
end

-- What an event of an observation or watch tells; nil: nothing.
local function note_of(watch, uri, kind, a, b)
  if kind == core.RESPONSE then
    core.view_keep(a, "event", "value")
    return a
  elseif kind == core.SILENT then
    return watch and note("silent", uri, a, b)
  elseif kind == core.RESUMED then
    return watch and note("resumed", uri)
  elseif kind == core.END then
    return watch and note("ended", uri, a, b)
  end
end

-- obs holds what is to be held; the callback must not hold obs, or it would
-- never be collected.
local function subscribe(self, uri, opts, watch, tell, over)
  local all = {}
  for k, v in pairs(opts or {}) do all[k] = v end
  if watch then
    all.flags = (all.flags or 0) + core.WATCH
  else
    all.observe = 0
  end
  local handle, err = build.build(self.handle, all.code
    and value.code(all.code).number or 1, uri, all.payload, all)
  if not handle then return nil, err end
  local x, text, name = core.request(self.handle, handle, function(kind, a, b)
    local n = note_of(watch, uri, kind, a, b)
    if n then tell(n) end
    if kind == core.END then
      over(a and errors.new(a, b) or nil)
    end
  end)
  if not x then return nil, errors.new(name, text) end
  return x
end

-- What callback style gets.
local Subscription = {}
Subscription.__index = Subscription

function Subscription:cancel()
  local any = false
  for _, x in ipairs(self.exchanges) do any = core.cancel(x) or any end
  return any
end

function Subscription:__tostring()
  return "copal observation of " .. table.concat(self.uris, ", ")
end

local function observe_by_callback(self, uris, opts, watch, fn)
  local exchanges = {}
  for _, uri in ipairs(uris) do
    local x, err = subscribe(self, uri, opts, watch, function(n) fn(n) end,
      function(failed) if not watch then fn(nil, failed) end end)
    if not x then
      self:after(0, function() fn(nil, err) end)
      return nil, err
    end
    table.insert(exchanges, x)
  end
  return setmetatable({ exchanges = exchanges, uris = uris }, Subscription)
end

local function observe_by_loop(self, uris, opts, watch)
  local exchanges = {}
  local queue = task.queue(self)
  local obs = setmetatable({ exchanges = exchanges, uris = uris, queue = queue },
    Observation)
  local weak = setmetatable({ obs = obs }, { __mode = "v" })
  compat.on_collect(obs, obs.cancel)
  local open = #uris

  local function tell(n)
    queue:push(n)
    if queue:length() >= HELD and weak.obs and not weak.obs.paused then
      weak.obs.paused = true
      for _, x in ipairs(exchanges) do core.pause(x) end
    end
  end
  local function over(failed)
    if weak.obs then weak.obs.error = weak.obs.error or failed end
    open = open - 1
    if open == 0 then queue:close() end
  end

  for _, uri in ipairs(uris) do
    local x, err = subscribe(self, uri, opts, watch, tell, over)
    if not x then
      obs:cancel()
      obs.error = err
      break
    end
    table.insert(exchanges, x)
  end
  return obs, nil, nil, obs
end

-- The method observe (watch false) or watch.
local function observer(watch)
  return function(self, uri, opts, fn)
    local uris = type(uri) == "table" and uri or { uri }
    if uri == nil then error("copal: a URI expected, got nil", 2) end
    for _, u in ipairs(uris) do
      if type(u) ~= "string" then
        error("copal: a URI expected, got " .. type(u), 2)
      end
    end
    if not self.handle then error("copal: the endpoint is closed", 2) end
    if type(opts) == "function" then opts, fn = nil, opts end
    if fn then return observe_by_callback(self, uris, opts, watch, fn) end
    return observe_by_loop(self, uris, opts, watch)
  end
end

return observer
