-- One worker of copal serve --workers: what its endpoint does otherwise than one
-- that is alone, and how it ends. What is said on the channel to who looks after
-- it is in workers.lua.
local core = require "copal_core"
local copal = require "copal"
local errors = require "copal.error"
local exit = require "copal.cli.exit"
local loop = require "copal.loop"
local outlet = require "copal.cli.outlet"
local process = require "copal.process"
local task = require "copal.task"

local M = {}

local DRAIN = 2    -- seconds in which what is owed is answered, before others go on
local FAREWELL = 0.2 -- seconds to tell observers, when others read what they say
local RETRY = 0.01

local Worker = {}
Worker.__index = Worker

-- me: number; count, of all; bus, a descriptor; kept[uri], sockets of the one before, { uri =,
-- fd = } each; bound[uri], where the first of the workers listens for that;
-- is_heir: another is still at work in its place.
function M.new(me)
  me.out = outlet.new(me.bus)
  me.listened = {}
  return setmetatable(me, Worker)
end

---- What workers cannot share ---------------------------------------------------

local FIXED = "OSCORE with fixed keys and several workers: each would use the same numbers, "
  .. "which gives away what they protect, and act on what another has had; set rederives at "
  .. "both ends, use EDHOC, or serve without --workers"

local function is_fixed(entry)
  return type(entry) == "table" and type(entry.oscore) == "table" and not entry.oscore.rederives
end

-- The scope in a credentials file under which such a context stands; nil: none does,
-- or the file cannot be read, which is for others to say.
local function scope_of_fixed(path)
  local f = path and io.open(path, "rb")
  local text = f and f:read "*a" or ""
  if f then f:close() end
  if not text:find('"oscore"', 1, true) then return nil end
  local ok, all = pcall(require "copal.json".decode, text)
  for scope, entry in pairs(ok and type(all) == "table" and all or {}) do
    for _, one in ipairs(type(entry) == "table" and entry[1] and entry or { entry }) do
      if is_fixed(one) then return scope end
    end
  end
end

-- nil and an error: path has keys that workers must not have each.
function M.may_share(path)
  local scope = scope_of_fixed(path)
  if not scope then return true end
  return nil, errors.new("ESTATE", path .. ': "' .. scope .. '": ' .. FIXED)
end

local function refuse_fixed(coap)
  local use_oscore, use_file = coap.use_oscore, coap.use_file
  function coap.use_oscore(c, scope, context)
    if is_fixed { oscore = context } then return nil, errors.new("ESTATE", FIXED) end
    return use_oscore(c, scope, context)
  end
  function coap.use_file(c, path)
    local ok, err = M.may_share(path)
    if not ok then return nil, err end
    return use_file(c, path)
  end
end

---- The channel ---------------------------------------------------------------

-- Waits for room: who looks after us always reads.
local function tell(self, text, fds)
  while true do
    local ok, why = process.send(self.bus, text, fds)
    if ok then return end
    if why == "closed" then exit.fail(exit.INTERRUPTED) end
    process.poll(nil, {}, { self.bus })
  end
end

function Worker:say(line)
  tell(self, "S" .. line)
end

-- Until the one before us reads no more: what comes waits in the sockets.
local function wait_for_turn(self)
  if not self.is_heir then return end
  self.is_heir = false
  tell(self, "T")
  while true do
    process.poll(nil, { self.bus }, {})
    local text, why = process.receive(self.bus)
    if text == "G" then return end
    if text == "E" or why == "closed" then exit.fail(exit.INTERRUPTED) end
  end
end

---- Listening -----------------------------------------------------------------

-- Several programs may share a port, but not by accident.
local function check_free(uri)
  local scratch, ok, err
  scratch, err = copal.endpoint()
  if not scratch then return nil, err end
  ok, err = scratch:listen(uri)
  scratch:free()
  return ok, err
end

-- Sockets for uri, in places; coap listens there.
local function open(coap, listen, uri, places)
  local scratch, ok, err
  scratch, err = copal.endpoint()
  if not scratch then return nil, err end
  ok, err = scratch:listen(uri, { reuse_port = true })
  for i, address in ipairs(ok and scratch:addresses() or {}) do
    local fd, why = scratch:hand_over(i)
    if fd then
      ok, err = coap:take_over(fd)
    elseif why.name == "ENOTSUP" then -- connections
      ok, err = listen(coap, address, { reuse_port = true })
    else
      ok, err = nil, why
    end
    places[#places + 1] = { uri = address, fd = fd }
    if not ok then break end
  end
  scratch:free()
  return ok, err
end

-- Where the worker before us listened.
local function go_on(coap, listen, places)
  for _, place in ipairs(places) do
    local ok, err
    if place.fd then
      ok, err = coap:take_over(place.fd)
    else
      ok, err = listen(coap, place.uri, { reuse_port = true })
    end
    if not ok then return nil, err end
  end
  return true
end

local function listen_first(self, coap, listen, uri, places)
  local first = self.bound[uri]
  if not first then
    local ok, err = check_free(uri)
    if not ok then return nil, err end
  end
  for _, address in ipairs(first or { uri }) do
    local ok, err = open(coap, listen, address, places)
    if not ok then return nil, err end
  end
  return true
end

local function report(self, uri, places)
  local lines, fds = { "L" .. uri }, {}
  for _, place in ipairs(places) do
    lines[#lines + 1] = (place.fd and "+" or "-") .. place.uri
    fds[#fds + 1] = place.fd
  end
  tell(self, table.concat(lines, "\n"), fds)
end

local function listen_at(self, coap, listen, uri)
  if self.listened[uri] then
    return nil, errors.new("EINUSE", uri .. ": this worker listens there already")
  end
  wait_for_turn(self)
  local places, ok, err = self.kept[uri], nil, nil
  if places then
    ok, err = go_on(coap, listen, places)
  else
    places = {}
    ok, err = listen_first(self, coap, listen, uri, places)
    if ok then report(self, uri, places) end
  end
  for _, place in ipairs(places) do
    if place.fd then process.close(place.fd) end
  end
  self.kept[uri] = nil
  self.listened[uri] = ok
  return ok, err
end

---- Notifying -----------------------------------------------------------------

local function flush_later(self, coap)
  if self.flushing or not coap.handle then return end
  self.flushing = coap:after(RETRY, function()
    self.flushing = nil
    self.out:flush()
    if self.out:is_waiting() then flush_later(self, coap) end
  end)
end

local function notify_others(self, coap, path)
  if #path > 4096 then return end
  if not self.out:send("N" .. path) and not self.was_full then
    self.was_full = true
    task.report(coap, "worker", "worker " .. self.number .. ": too many notifications "
      .. "at once, some do not reach the observers of other workers")
  end
  if self.out:is_waiting() then flush_later(self, coap) else self.was_full = nil end
end

-- coap does what scripts know as one of several: listen() shares the port,
-- notify() reaches the observers of all, join() is done by the first, stop() ends
-- all.
function Worker:attach(coap)
  local listen, notify, join = coap.listen, coap.notify, coap.join
  coap.worker = self.number
  function coap.listen(c, uri) return listen_at(self, c, listen, uri) end
  function coap.notify(c, path)
    local told, err = notify(c, path)
    if told then notify_others(self, c, path) end
    return told, err
  end
  function coap.join(...)
    if self.number > 1 then return true end
    return join(...)
  end
  function coap.stop() tell(self, "Q") end
  if self.count > 1 then refuse_fixed(coap) end
  self.coap, self.notify = coap, notify
end

---- Running -------------------------------------------------------------------

-- What came on the channel; "E" or "X" if that is the end.
local function hear(self)
  while true do
    local text, why = process.receive(self.bus)
    if not text then return why == "closed" and "E" or nil end
    local kind = text:sub(1, 1)
    if kind == "N" and self.coap.handle then
      self.notify(self.coap, text:sub(2))
    elseif kind == "E" or kind == "X" then
      return kind
    end
  end
end

-- What is owed is answered while new requests still are, for none is to be
-- refused. What comes then waits for the next one, which has the sockets, too.
local function retire(coap)
  local deadline = coap:now() + DRAIN
  local look = coap:every(RETRY, function() loop.kick(coap) end)
  loop.drive(coap, function()
    return core.open_exchanges(coap.handle) == 0 or coap:now() > deadline
  end)
  look:cancel()
  coap:metrics(nil)
  for i = 1, #coap:addresses() do
    local fd = coap:hand_over(i)
    if fd then process.close(fd) end
  end
  coap:close(FAREWELL)
end

-- Until it is told to end. Signals are for who looks after us.
function Worker:run()
  local coap = self.coap
  tell(self, "R")
  while true do
    local how
    if loop.wait_input(self.bus) then how = hear(self) end
    if not coap.handle then
      exit.fail(exit.INTERNAL, "worker " .. self.number .. ": its script freed the endpoint")
    end
    if how == "E" then return coap:close(1) end
    if how == "X" then return retire(coap) end
  end
end

return M
