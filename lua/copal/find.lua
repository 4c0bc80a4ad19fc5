-- Groups from the asker's side: every answer to one request, and who is out
-- there.
local build = require "copal.build"
local compat = require "copal.compat"
local core = require "copal_core"
local errors = require "copal.error"
local task = require "copal.task"
local value = require "copal.value"

local M = {}

---- What comes until it is over -----------------------------------------------

-- The values of a generic for: a call gives the next one. error: why it ended
-- before its time.
local Coming = {}
Coming.__index = Coming

function Coming:__call()
  return self.queue:pop()
end

-- Gives up. Leaving a loop does it in Lua 5.4; collection does it too.
function Coming:cancel()
  if self.cancelled then return false end
  self.cancelled = true
  for _, x in ipairs(self.exchanges) do pcall(core.cancel, x) end
  self.queue:close()
  return true
end
Coming.__close = Coming.cancel
Coming.__gc = Coming.cancel

function Coming:__tostring()
  return "copal answers of " .. self.what
end

-- Sends one request. tell(message) with each answer, over(err) at the end.
local function ask(self, code, uri, opts, tell, over)
  local all = {}
  for k, v in pairs(opts) do all[k] = v end
  if all.non == nil and all.confirmable == nil then all.non = true end
  local handle, err = build.build(self.handle, code, uri, all.payload, all)
  if not handle then return nil, err end
  local x, text, name = core.request(self.handle, handle, function(kind, a, b)
    if kind == core.RESPONSE then tell(a)
    elseif kind == core.END then over(a and errors.new(a, b) or nil) end
  end)
  if not x then return nil, errors.new(name, text) end
  return x
end

-- Sends requests, a list of { uri, opts }, at once. made(message) gives what a
-- message is told as, nil: not at all. Without fn an iterator; with it
-- fn(what), and fn(nil, err) at the end.
local function collect(self, what, code, requests, made, fn)
  local queue = not fn and task.queue(self) or nil
  local coming = setmetatable({ exchanges = {}, what = what, queue = queue
    or { close = function() end } }, Coming)
  -- The callbacks must not hold coming, or it would never be collected.
  local exchanges = coming.exchanges
  local weak = setmetatable({ coming = coming }, { __mode = "v" })
  local open, failure, any = #requests, nil, false

  local function tell(m)
    local item = made(m)
    if not item then return end
    any = true
    if fn then fn(item) else queue:push(item) end
  end
  local function over(err)
    -- By one of several ways nobody answered: the others do not matter.
    if err and (not failure or err.name == "ETIMEOUT") then failure = err end
    open = open - 1
    if open > 0 then return end
    if any then failure = nil end
    if fn then return fn(nil, failure) end
    if weak.coming then weak.coming.error = failure end
    queue:close()
  end

  compat.on_collect(coming, coming.cancel)
  for _, request in ipairs(requests) do
    local x, err = ask(self, code, request[1], request[2], tell, over)
    if x then exchanges[#exchanges + 1] = x
    else self:after(0, function() over(err) end) end
  end
  return coming, nil, nil, coming
end

---- Answers -------------------------------------------------------------------

local function check(self, uri, opts, fn)
  if type(uri) ~= "string" then
    error("copal: a URI expected, got " .. type(uri), 3)
  end
  if opts ~= nil and type(opts) ~= "table" then
    error("copal: a table of options expected, got " .. type(opts), 3)
  end
  if fn ~= nil then value.check_function(fn, 3) end
  if not self.handle then error("copal: the endpoint is closed", 3) end
end

-- for res in c:answers("coap://224.0.1.187/t", { timeout = 3 }): each answer to
-- a request to a group as it comes; opts as for get(), code = "PUT" with
-- payload, interface = "eth0".
function M.answers(self, uri, opts, fn)
  if type(opts) == "function" then opts, fn = nil, opts end
  check(self, uri, opts, fn)
  opts = opts or {}
  local code = opts.code and value.code(opts.code).number or 1
  return collect(self, uri, code, { { uri, opts } },
    function(m) return m end, fn)
end

---- Interfaces ----------------------------------------------------------------

-- c:interfaces(): { { name = "eth0", index = 2 }, ... }, those that reach
-- groups; loopback is the last. A simulated host has none.
function M.interfaces(self)
  if not self.handle then error("copal: the endpoint is closed", 2) end
  return core.interfaces(self.handle)
end

---- Finding -------------------------------------------------------------------

-- The groups of all CoAP nodes. RFC 7252 12.8.
M.ALL_NODES = { "coap://224.0.1.187", "coap://[ff02::fd]", "coap://[ff05::fd]" }

local Device = {}
Device.__index = Device

function Device:__tostring()
  return self.remote.uri
end

-- What the device offers, dev:links { rt = "temperature" }; each has its whole
-- URI in link.uri. nil, err: it did not answer in link format.
function Device:links(wanted)
  return self.response:links(wanted)
end

local function as_list(x)
  return type(x) == "table" and x or { x }
end

-- Where to ask: one for each group and interface.
local function places(self, opts)
  local all = core.interfaces(self.handle)
  local list = {}
  if opts.interface ~= nil then
    for _, name in ipairs(as_list(opts.interface)) do
      local one, err = build.interface(self.handle, name)
      if not one then return nil, err end
      list[#list + 1] = one
    end
  elseif #all > 0 then
    for i = 1, math.max(#all - 1, 1) do list[i] = all[i] end
  else
    list[1] = {}
  end
  return list
end

local known = { group = true, interface = true, hops = true, wait = true,
  rt = true, query = true }

local function request_options(opts, place)
  local query = {}
  for k, v in pairs(opts.query or {}) do query[k] = v end
  if opts.rt then query.rt = opts.rt end
  return { query = query, interface = place.index, hops = opts.hops,
    timeout = opts.wait, accept = 40 }
end

-- for dev in c:find { rt = "temperature", wait = 3 }: who answers, once each:
-- dev.remote, dev:links { rt = "temperature" }, dev.response. group: instead of
-- all CoAP nodes; interface: a name or several, instead of all; hops; wait:
-- seconds, instead of the 5 that devices may take and 3 more.
function M.find(self, opts, fn)
  if type(opts) == "function" then opts, fn = nil, opts end
  opts = opts or {}
  check(self, "", opts, fn)
  for key in pairs(opts) do
    if not known[key] then error("copal: find: unknown key " .. tostring(key), 2) end
  end
  local where, err = places(self, opts)
  if not where then error("copal: find: " .. err.message, 2) end
  local requests, seen = {}, {}
  for _, place in ipairs(where) do
    for _, group in ipairs(as_list(opts.group or M.ALL_NODES)) do
      requests[#requests + 1] = { (group:gsub("/+$", "")) .. "/.well-known/core",
        request_options(opts, place) }
    end
  end
  return collect(self, "find", 1, requests, function(m)
    local remote = m.remote
    if seen[remote.uri] or m.code.cls ~= 2 then return nil end
    seen[remote.uri] = true
    return setmetatable({ remote = remote, response = m }, Device)
  end, fn)
end

return M
