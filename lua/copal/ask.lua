-- What an endpoint asks of others: requests, one way for all of them.
local build = require "copal.build"
local core = require "copal_core"
local errors = require "copal.error"
local message = require "copal.message"
local task = require "copal.task"
local value = require "copal.value"

local type, core_ask, ask_plainly = type, core.ask, core.ask_plainly

local Endpoint = {} -- the methods that this file adds to endpoints

local function handle_of(self)
  local handle = self.handle
  if not handle then error("copal: the endpoint is closed", 3) end
  return handle
end

local function write_piece(x, body, offset, want)
  local piece, last = require "copal.server".read_piece(body, offset, want)
  core.write(x, piece, last and 1 or 0)
end

-- What takes the events of a transfer before its end. tell_failure(error) is told
-- what a function of the user's threw.
local function transfer(opts, body, tell_failure)
  local sink, progress = opts and opts.sink, opts and opts.progress
  local response

  return function(kind, a, b, c, d)
    if kind == core.RESPONSE then
      response = response or a
    elseif kind == core.CHUNK then
      local ok, e = true, nil
      if sink then ok, e = pcall(sink, core.msg_payload(a), c, d, response) end
      if not ok then
        tell_failure(errors.new("ECANCEL", tostring(e)))
        core.cancel(b)
      end
    elseif kind == core.PULL then
      local ok, e = pcall(write_piece, a, body, b, c)
      if not ok then
        tell_failure(errors.new("ECANCEL", tostring(e)))
        core.cancel(a)
      end
    elseif kind == core.PROGRESS and progress then
      progress(a, b)
    end
  end
end

-- Sends a message, or a new one of a code to uri; finish(res, err) is called once,
-- at the end, with true for res if no_response = 26 wanted none. opts.sink(piece,
-- offset, last, response) takes the body of the answer piece by piece,
-- opts.progress(offset, total) is told how far a transfer is.
local function start(self, m, uri, opts, body, finish)
  local others
  if body or opts and (opts.sink or opts.progress) then
    local told, failure = finish, nil
    others = transfer(opts, body, function(e) failure = failure or e end)
    finish = function(res, err)
      if failure then return told(nil, failure) end
      return told(res, err)
    end
  end
  local request, text, name = core_ask(handle_of(self), m, uri, finish, others)
  if not request then return nil, errors.new(name, text) end
  return request
end

core.asking(errors.new, errors.new "ENOMEM")

local function is_stream(body)
  return type(body) == "function" or io.type(body) == "file"
end

local function wait_for(self, m, uri, opts, body)
  return task.await(self, function(wake)
    local request, failed = start(self, m, uri, opts, body, wake)
    if not request then return wake(nil, failed) end
    return function() request:cancel() end
  end)
end

-- The one way to ask: with fn, returns a request; without, waits.
local function ask(self, code, uri, body, opts, fn)
  if body == nil and opts == nil then
    if fn then return start(self, code, uri, nil, nil, fn) end
    return wait_for(self, code, uri)
  end
  local stream = is_stream(body) and body or nil
  if stream then
    local copy = {}
    for k, v in pairs(opts or {}) do copy[k] = v end
    copy.flags = (copy.flags or 0) + core.STREAM_OUT
    opts, body = copy, nil
  end
  local handle, err = build.build(handle_of(self), code, uri, body, opts)
  if not handle then
    if fn then self:after(0, function() fn(nil, err) end) end
    return nil, err
  end
  if fn then
    return start(self, handle, uri, opts, stream, fn)
  end
  return wait_for(self, handle, uri, opts, stream)
end

local function check_uri(uri)
  if type(uri) ~= "string" then
    error("copal: a URI expected, got " .. type(uri), 3)
  end
end

local function check_options(opts)
  if opts ~= nil and type(opts) ~= "table" then
    error("copal: a table of options expected, got " .. type(opts), 3)
  end
end

local function asker(code)
  return function(self, uri, opts, fn)
    -- What most ask is one call of C.
    local request, text, name = ask_plainly(self.handle, code, uri, opts, fn)
    if request then return request end
    if text then return nil, errors.new(name, text) end
    check_uri(uri)
    if type(opts) == "function" then opts, fn = nil, opts end
    check_options(opts)
    if fn ~= nil then value.check_function(fn, 2) end
    return ask(self, code, uri, nil, opts, fn)
  end
end

local function sender(code)
  return function(self, uri, body, opts, fn)
    check_uri(uri)
    if type(opts) == "function" then opts, fn = nil, opts
    elseif type(body) == "function" and opts == nil and fn == nil then
      body, fn = nil, body
    end
    check_options(opts)
    if fn ~= nil then value.check_function(fn, 2) end
    return ask(self, code, uri, body, opts, fn)
  end
end

Endpoint.get, Endpoint.delete = asker(1), asker(4)
Endpoint.post, Endpoint.put, Endpoint.fetch = sender(2), sender(3), sender(5)
Endpoint.patch, Endpoint.ipatch = sender(6), sender(7)

-- c:message("GET", uri, { payload =, format =, ... }): to look at, to change,
-- to send with request().
function Endpoint:message(code, uri, opts)
  local c = value.code(code)
  if not c then error("copal: unknown code " .. tostring(code), 2) end
  local handle, err = build.build(handle_of(self), c.number, uri,
    opts and opts.payload, opts)
  if not handle then return nil, err end
  return message.own(handle)
end

-- A message, or a table with code, uri, payload and options.
function Endpoint:request(m, fn)
  if message.is(m) then
    if fn then return start(self, m.handle, nil, nil, nil, fn) end
    return wait_for(self, m.handle)
  end
  if type(m) ~= "table" then
    error("copal: a message or a table expected, got " .. type(m), 2)
  end
  local c = value.code(m.code or "GET")
  if not c then error("copal: unknown code " .. tostring(m.code), 2) end
  return ask(self, c.number, m.uri, m.payload, m, fn)
end

local Ping = {}
Ping.__index = Ping

function Ping:cancel()
  if not self.x then return false end
  return core.cancel(self.x) or false
end

function Ping:__tostring()
  return "copal ping " .. tostring(self.uri)
    .. (self.done and " (done)" or " (waiting)")
end

-- true when the peer answered; with fn, fn(true) or fn(nil, err).
function Endpoint:ping(uri, fn)
  check_uri(uri)
  local handle = handle_of(self)
  local function begin(finish)
    local request = setmetatable({ uri = uri }, Ping)
    local x, text, name = core.ping(handle, uri, function(kind, failed, sentence)
      if kind ~= core.END then return end
      request.done = true
      if failed then finish(nil, errors.new(failed, sentence))
      else finish(true) end
    end)
    if not x then return nil, errors.new(name, text) end
    request.x = x
    return request
  end
  if fn then return begin(fn) end
  return task.await(self, function(wake)
    local request, err = begin(wake)
    if not request then return wake(nil, err) end
    return function() request:cancel() end
  end)
end

-- Raw use: one message of any code, no answer expected.
function Endpoint:send(m, to)
  return errors.check(core.send(handle_of(self), m.handle, to))
end

function Endpoint:understand(option)
  return errors.check(core.understand(handle_of(self), value.option(option)))
end

-- for uri, response, error in c:get_all(uris, { limit = 8, timeout = 5 }):
-- as they finish; other options are those of get().
function Endpoint:get_all(uris, opts)
  handle_of(self)
  local limit = opts and opts.limit or 8
  local queue = task.queue(self)
  local next_uri, left, pending, count = 1, #uris, {}, 0

  -- Asks on only as answers are taken: a loop that was left asks no more.
  local function fill()
    while count < limit and next_uri <= #uris do
      local i, uri = next_uri, uris[next_uri]
      next_uri, count = next_uri + 1, count + 1
      pending[i] = self:get(uri, opts, function(res, err)
        pending[i] = nil
        queue:push({ uri, res, err })
      end)
    end
  end

  local function take()
    if left == 0 then return nil end
    left = left - 1
    fill()
    local item = queue:pop()
    count = count - 1
    return item[1], item[2], item[3]
  end

  -- What is under way when the loop is left: Lua 5.4 tells of that.
  local leaving = setmetatable({}, { __close = function()
    left = 0
    for _, request in pairs(pending) do request:cancel() end
  end })
  fill()
  return take, nil, nil, leaving
end

return Endpoint
