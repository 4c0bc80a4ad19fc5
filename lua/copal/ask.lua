-- What an endpoint asks of others: requests, one way for all of them.
local build = require "copal.build"
local core = require "copal_core"
local errors = require "copal.error"
local message = require "copal.message"
local task = require "copal.task"
local value = require "copal.value"

local Endpoint = {} -- the methods that this file adds to endpoints

local function handle_of(self)
  local handle = self.handle
  if not handle then error("copal: the endpoint is closed", 3) end
  return handle
end

local Request = {}
Request.__index = Request

function Request:cancel()
  if not self.x then return false end
  return core.cancel(self.x) or false
end

function Request:__tostring()
  return "copal request " .. tostring(self.uri)
    .. (self.done and " (done)" or " (waiting)")
end

local function write_piece(x, body, offset, want)
  local piece, last = require "copal.server".read_piece(body, offset, want)
  core.write(x, piece, last and 1 or 0)
end

-- opts.sink(piece, offset, last, response) takes the body of the answer piece by
-- piece, opts.progress(offset, total) is told how far a transfer is. Sends
-- handle; finish(res, err) is called once, at END.
local function start(self, handle, uri, opts, body, finish)
  local request = setmetatable({ uri = uri }, Request)
  local response, failure
  local sink, progress = opts and opts.sink, opts and opts.progress

  local function on_event(kind, a, b, c, d)
    if kind == core.RESPONSE then
      response = response or message.received(a)
    elseif kind == core.END then
      request.done = true
      if failure then finish(nil, failure)
      elseif a then finish(nil, errors.new(a, b))
      else finish(response or true) end -- true: no_response = 26
    elseif kind == core.CHUNK then
      local ok, e = true, nil
      if sink then ok, e = pcall(sink, core.msg_payload(a), c, d, response) end
      if not ok then
        failure = errors.new("ECANCEL", tostring(e))
        core.cancel(b)
      end
    elseif kind == core.PULL then
      local ok, e = pcall(write_piece, a, body, b, c)
      if not ok then
        failure = errors.new("ECANCEL", tostring(e))
        core.cancel(a)
      end
    elseif kind == core.PROGRESS and progress then
      progress(a, b)
    end
  end

  local x, text, name = core.request(handle_of(self), handle, on_event)
  if not x then
    return nil, errors.new(name, text)
  end
  request.x = x
  return request
end

local function is_stream(body)
  return type(body) == "function" or io.type(body) == "file"
end

-- The one way to ask: with fn, returns a request; without, waits.
local function ask(self, code, uri, body, opts, fn)
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
  return task.await(self, function(wake)
    local request, failed = start(self, handle, uri, opts, stream, wake)
    if not request then return wake(nil, failed) end
    return function() request:cancel() end
  end)
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
    local function begin(finish)
      return start(self, m.handle, m.uri, nil, nil, finish)
    end
    if fn then return begin(fn) end
    return task.await(self, function(wake)
      local request, failed = begin(wake)
      if not request then return wake(nil, failed) end
      return function() request:cancel() end
    end)
  end
  if type(m) ~= "table" then
    error("copal: a message or a table expected, got " .. type(m), 2)
  end
  local c = value.code(m.code or "GET")
  if not c then error("copal: unknown code " .. tostring(m.code), 2) end
  return ask(self, c.number, m.uri, m.payload, m, fn)
end

-- true when the peer answered; with fn, fn(true) or fn(nil, err).
function Endpoint:ping(uri, fn)
  check_uri(uri)
  local handle = handle_of(self)
  local function begin(finish)
    local request = setmetatable({ uri = uri }, Request)
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
