-- Serving: what a handler returns is the answer. C runs it and gives short
-- answers itself (lua_serve.h); all that is longer is here.
local build = require "copal.build"
local core = require "copal_core"
local errors = require "copal.error"
local message = require "copal.message"
local task = require "copal.task"
local value = require "copal.value"

local M = {}

local PULL, CHUNK, END = core.PULL, core.CHUNK, core.END
local NO_FORMAT = core.NO_FORMAT
local NOT_FOUND, CONTENT, CHANGED, DELETED = 132, 69, 68, 66

local function text_format(body)
  return core.is_utf8(body) and 0 or 42
end

---- Answering -----------------------------------------------------------------

local function is_read_problem(t)
  return getmetatable(t) ~= nil and require "copal.problem".is(t)
end

local function is_problem(body, format)
  return is_read_problem(body) or format ~= nil and value.format(format) == value.format(value.formats.PROBLEM)
end

-- What a response given as a table may have; its other keys are options.
local function is_response(t)
  if message.is(t) or is_read_problem(t) then return false end
  return t.code ~= nil or t.payload ~= nil or t.options ~= nil or t.problem ~= nil
end

local function answer_table(endpoint, x, default, t, streams, key)
  local code = t.code == nil and default or value.code(t.code)
  if code == nil then error("copal: unknown code " .. tostring(t.code), 0) end
  if t.problem ~= nil and t.code == nil then error("copal: a problem needs a code", 0) end
  local number = type(code) == "number" and code or code.number
  local body, opts = t.payload, {}
  for k, v in pairs(t) do
    if k ~= "code" and k ~= "payload" then opts[k] = v end
  end
  if type(body) == "string" and opts.format == nil and body ~= "" then
    opts.format = text_format(body)
  end
  if io.type(body) == "file" or type(body) == "function" then
    streams[key] = body
    opts.flags = (opts.flags or 0) + core.STREAM_OUT
    body = nil
  end
  local handle, err = build.build(endpoint, number, nil, body, opts)
  if not handle then error(err, 0) end
  return core.respond(x, handle)
end

local function answer_body(endpoint, x, code, body, format)
  if type(format) == "table" and not value.format(format) then
    error("copal: an answer with options is one table: return { code = "
      .. "copal.CONTENT, payload = ..., max_age = 30 }", 0)
  elseif body == nil then
    return core.reply(x, code, NO_FORMAT, "")
  elseif type(body) == "table" and is_problem(body, format) then
    return answer_table(endpoint, x, code, { code = code, payload = body,
      format = value.formats.PROBLEM })
  end
  local payload, number = build.encode(body, format)
  if not payload then error("copal: " .. number, 0) end
  if number == nil then
    number = payload == "" and NO_FORMAT or text_format(payload)
  end
  return core.reply(x, code, number, payload)
end

-- body | code | code, body | code, body, format | { code =, payload =, ... } |
-- a message; copal.Answer in types.lua
local function answer(endpoint, x, default, streams, key, first, second, third)
  if message.is(first) then return core.respond(x, first.handle) end
  if value.is_code(first) then
    if second == nil then return core.reply(x, first.number, NO_FORMAT, "") end
    if type(second) == "table" and third == nil and is_response(second) then
      local t = {}
      for k, v in pairs(second) do t[k] = v end
      t.code = t.code or first
      return answer_table(endpoint, x, default, t, streams, key)
    end
    return answer_body(endpoint, x, first.number, second, third)
  end
  if type(first) == "table" and is_response(first) then
    return answer_table(endpoint, x, default, first, streams, key)
  end
  if io.type(first) == "file" or type(first) == "function" then
    return answer_table(endpoint, x, default, { payload = first, format = second },
      streams, key)
  end
  return answer_body(endpoint, x, default, first, second)
end

---- Requests ------------------------------------------------------------------

-- Errors thrown to who takes chunks: that a peer left is no fault of a handler.
local broken_off = setmetatable({}, { __mode = "k" })

local function failed(slot, request, e, traceback)
  local x = core.view_exchange(request)
  if value.is_code(e) then
    core.reply(x, e.number, NO_FORMAT, "")
    return
  end
  core.reply(x, 160, NO_FORMAT, "")
  if e ~= task.CANCELLED and not broken_off[e] then
    task.report(slot.endpoint, "handler", traceback or e)
  end
end

-- slot: what is known of one method of a resource.
local function give_answer(slot, request, default, ...)
  local x, key = core.view_exchange(request)
  local ok, text, name = answer(slot.endpoint.handle, x, default, slot.streams,
    key, ...)
  -- These two: the asker has left. Else a 5.00 has to say that nothing went out,
  -- as of what is too long for its connection: x is let go only when collected.
  if not ok and name ~= "ESTATE" and name ~= "ECLOSED" then
    error("copal: " .. text, 0)
  end
end

local function on_answer(slot, request, default, ...)
  local ok, e = pcall(give_answer, slot, request, default, ...)
  if not ok then failed(slot, request, e) end
end

local function on_failure(slot, request, co, e)
  failed(slot, request, e, type(e) == "string" and debug.traceback(co, e) or nil)
end

function task.handled(t, ok, ...)
  if ok then
    on_answer(t.slot, t.request, t.code, ...)
  else
    failed(t.slot, t.request, (...), t.traceback)
  end
end

core.handlers(on_answer, on_failure, task.left, value.Code, message.Message)

-- for piece, offset, last in req:chunks(): the body of a request to a resource
-- that is streamed. Throws an error if it breaks off, so that what came is not
-- taken for the whole.
local function chunks_of(self, x, incoming, key)
  local queue = task.queue(self)
  incoming[key] = queue
  return function()
    local c = queue:pop()
    if not c then
      if queue.failure then error(queue.failure, 0) end
      return nil
    end
    if queue.held and queue:length() == 0 then
      queue.held = nil
      core.resume(x)
    end
    return c[1], c[2], c[3]
  end
end

local HELD = 16 -- pieces not yet taken before the peer is held back

local function take_chunk(queue, x, m, offset, last)
  queue:push({ core.msg_payload(m), offset, last })
  if last then
    queue:close()
  elseif queue:length() >= HELD and not queue.held then
    queue.held = true
    core.pause(x)
  end
end

-- The handler of a resource that is streamed, around the user's.
local function with_chunks(slot, incoming)
  return function(req)
    local x, key = core.view_exchange(req)
    local next_chunk = chunks_of(slot.endpoint, x, incoming, key)
    req.chunks = function() return next_chunk end
    return slot.handler(req)
  end
end

local function set_handler(slot, handler)
  slot.handler = handler
  if not slot.incoming then slot[1] = handler end
end

-- Takes what comes besides requests, which go to slot[1] without a detour.
local function receiver(slot, is_streamed)
  local streams = {}  -- bodies on their way out, by exchange
  local incoming = {} -- bodies on their way in, by exchange
  slot.streams = streams
  if is_streamed then
    slot.incoming, slot[1] = incoming, with_chunks(slot, incoming)
  end

  local function on_pull(x, offset, want, key)
    local body = streams[key]
    if not body then return end
    local piece, last = M.read_piece(body, offset, want)
    if last then streams[key] = nil end
    core.write(x, piece, last and 1 or 0)
  end

  local function on_chunk(msg, x, offset, last, key)
    local queue = incoming[key]
    if not queue then return end
    if last then incoming[key] = nil end
    take_chunk(queue, x, msg, offset, last)
  end

  local function on_end(name, text, key)
    streams[key] = nil
    local queue = incoming[key]
    incoming[key] = nil
    if not queue then return end
    queue.failure = errors.new(name or "ECLOSED", text)
    broken_off[queue.failure] = true
    queue:close()
  end

  return function(kind, a, b, c, d, e)
    if kind == PULL then return on_pull(a, b, c, d) end
    if kind == CHUNK then return on_chunk(a, b, c, d, e) end
    if kind == END then return on_end(a, b, c) end
  end
end

---- Keys on demand ------------------------------------------------------------

-- Asks fn for keys of that kind, "psk" or "rpk"; a string is a key, anything else
-- but nil and false is "yes".
function M.look_up(self, kind, fn)
  if (kind ~= "psk" and kind ~= "rpk") or type(fn) ~= "function" then
    error("copal: use_lookup: \"psk\" or \"rpk\", and a function", 3)
  end
  local known = self.lookups or {}
  self.lookups = known
  known[kind] = fn
  local function handler(req)
    local look_up = known[req.path[1]]
    local found = look_up and look_up(req.payload)
    if not found then return value.code(NOT_FOUND) end
    return value.code(CONTENT), type(found) == "string" and found or ""
  end
  local slot = { endpoint = self }
  local take = receiver(slot, false)
  set_handler(slot, handler)
  return core.lookup_handler(self.handle, "*", slot, take)
end

---- State --------------------------------------------------------------------

-- What failed is a 5.00: thrown, false, or nil and why.
local store_methods = {
  [1] = function(keeper, path)
    local value_of, err = keeper.get(path)
    if err then error(err, 0) end
    if not value_of then return value.code(NOT_FOUND) end
    return value.code(CONTENT), value_of
  end,
  [3] = function(keeper, path, bytes)
    local ok, err = keeper.put(path, bytes)
    if ok == false or err then error(err or "put gave false", 0) end
    return value.code(CHANGED)
  end,
  [4] = function(keeper, path)
    local ok, err = keeper.delete(path)
    if ok == false or err then error(err or "delete gave false", 0) end
    return value.code(DELETED)
  end,
}

-- Keeps state by keeper's functions get, put and delete, which may wait.
function M.store(self, keeper)
  for _, name in ipairs { "get", "put", "delete" } do
    if type(keeper[name]) ~= "function" then
      error("copal: store: a directory, or functions get, put and delete", 3)
    end
  end
  local function handler(req)
    return store_methods[req.code.number](keeper, table.concat(req.path, "/"), req.payload)
  end
  local slot = { endpoint = self }
  local take = receiver(slot, false)
  set_handler(slot, handler)
  return core.store_handler(self.handle, slot, take)
end

-- The next piece of a body given as a file or as a function of offset and
-- size: the bytes, and whether they are the last.
function M.read_piece(body, offset, want)
  if type(body) == "function" then
    local piece, last = body(offset, want)
    return piece or "", last or piece == nil
  end
  local size = body:seek("end")
  if not size then error("copal: a body cannot be a file without an end", 0) end
  body:seek("set", offset)
  local piece = body:read(want) or ""
  return piece, offset + #piece >= size
end

---- Resources -----------------------------------------------------------------

local flag_names = { observable = core.OBSERVABLE, streamed = core.STREAMED,
  unlisted = core.UNLISTED, secure = core.SECURE, group = core.GROUP,
  per_peer = core.PER_PEER }

local method_names = { any = 0, get = 1, post = 2, put = 3, delete = 4,
  fetch = 5, patch = 6, ipatch = 7 }

local function method_of(key)
  if type(key) == "string" then
    local number = method_names[key]
    if number then return number end
    if not key:match("^0%.%d%d$") then return nil end
  end
  local code = value.code(key)
  return code and code.cls == 0 and code.number or nil
end

-- Methods, flags and link attributes of a resource's table, apart.
local function sorted_out(spec)
  local methods, flags, attributes = {}, 0, {}
  for key, v in pairs(spec) do
    local method = method_of(key)
    if method and type(v) == "function" then
      methods[method] = v
    elseif method or type(v) == "function" then
      error("copal: serve: " .. tostring(key) .. (method and " is a function, got "
        .. type(v) or " is no method"), 3)
    elseif flag_names[key] then
      if v then flags = flags + flag_names[key] end
    elseif type(key) == "string" then
      attributes[#attributes + 1] = key
    else
      error("copal: serve: cannot use key " .. tostring(key), 3)
    end
  end
  table.sort(attributes)
  return methods, flags, attributes
end

local function not_served()
  return value.code(133) -- 4.05
end

-- A method of a resource; on the way to a new version of a program (see
-- reload) one that is there already gets the new handler and keeps all else.
local function serve_method(self, path, method, handler, flags, is_streamed)
  local resources = self.resources
  local resource = resources[path] or { flags = flags }
  local slot = resource[method]
  if slot and slot.generation ~= self.generation then
    set_handler(slot, handler)
    slot.generation = self.generation
    return true
  end
  slot = { endpoint = self, generation = self.generation }
  local take = receiver(slot, is_streamed)
  set_handler(slot, handler)
  local ok, text, name = core.serve_handler(self.handle, method, path, flags, slot,
    take)
  if not ok then return nil, errors.new(name, text) end
  resource[method] = slot
  resources[path] = resource
  return true
end

local function describe(self, path, spec, attributes)
  for _, key in ipairs(attributes) do
    local v = spec[key]
    if v ~= false then
      if v == true then v = nil else v = tostring(v) end
      if key == "ct" and v then
        local f = value.format(v)
        v = f and tostring(f.number) or v
      end
      local ok, text, name = core.describe(self.handle, path, key, v)
      if not ok then return nil, errors.new(name, text) end
    end
  end
  return true
end

function M.serve(self, path, spec)
  if type(spec) == "function" then spec = { get = spec } end
  if type(spec) ~= "table" then
    error("copal: serve: a function or a table expected, got " .. type(spec), 2)
  end
  local methods, flags, attributes = sorted_out(spec)
  self.resources = self.resources or {}
  local before = self.resources[path]
  if before and before.flags ~= flags and self.generation then
    M.unserve(self, path)
    before = nil
  end
  for method, handler in pairs(methods) do
    local ok, err = serve_method(self, path, method, handler, flags, spec.streamed)
    if not ok then return nil, err end
  end
  if before and self.generation then return true end
  return describe(self, path, spec, attributes)
end

function M.unserve(self, path)
  if self.resources then self.resources[path] = nil end
  return errors.check(core.unserve(self.handle, path))
end

---- Reloading -----------------------------------------------------------------

-- load() serves everything anew. Resources it serves again keep their
-- observers, who are told; what it no longer serves is gone. If load() fails,
-- what it did not get to stays as it was.
function M.reload(self, load)
  self.generation = (self.generation or 0) + 1
  local ok, e = load()
  if not ok then return nil, e end
  for path, resource in pairs(self.resources or {}) do
    local stale, kept = {}, false
    for method, slot in pairs(resource) do
      if method ~= "flags" then
        if slot.generation == self.generation then kept = true
        else stale[#stale + 1] = slot end
      end
    end
    if not kept then
      M.unserve(self, path)
    else
      for _, slot in ipairs(stale) do set_handler(slot, not_served) end
      if resource.flags % 2 == 1 then core.notify(self.handle, path) end
    end
  end
  return true
end

---- Values --------------------------------------------------------------------

local Value = {}

function Value.__index(v, key)
  if key == "value" then return rawget(v, "current") end
  return Value[key]
end

function Value.__newindex(v, key, new)
  if key ~= "value" then error("copal: only .value can be assigned", 2) end
  rawset(v, "current", new)
  local c = rawget(v, "endpoint")
  if c.handle then core.notify(c.handle, rawget(v, "path")) end
end

-- A resource that is one value: assigning .value tells every observer.
function M.value(self, path, initial, spec)
  local v = setmetatable({}, Value)
  rawset(v, "endpoint", self)
  rawset(v, "path", path)
  rawset(v, "current", initial)
  local full = { observable = true }
  for k, x in pairs(spec or {}) do full[k] = x end
  full.format = nil
  full.get = full.get or function()
    local current = rawget(v, "current")
    if type(current) == "table" then
      return { payload = current, format = spec and spec.format }
    end
    return tostring(current), spec and spec.format
  end
  local ok, err = M.serve(self, path, full)
  if not ok then return nil, err end
  return v
end

return M
