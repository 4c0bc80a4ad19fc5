-- The endpoint: client and server in one object.
local build = require "copal.build"
local core = require "copal_core"
local errors = require "copal.error"
local loop = require "copal.loop"
local task = require "copal.task"
local value = require "copal.value"

local Endpoint = {}
Endpoint.__index = Endpoint
local M = { Endpoint = Endpoint }

local function handle_of(self)
  local handle = self.handle
  if not handle then error("copal: the endpoint is closed", 3) end
  return handle
end

local function checked(ok, text, name)
  if ok then return ok end
  return nil, errors.new(name, text)
end

---- Birth and end -------------------------------------------------------------

local config = {}

local OSCORE = { secret = true, salt = true, sender_id = true, recipient_id = true,
  id_context = true, aead = true, hkdf = true, replay_window = true, rederives = true }
local CURVES = { ["P-256"] = 1, X25519 = 4, Ed25519 = 6 }
local EDHOC = { method = true, suite = true, private_key = true, credential = true,
  peer_credential = true, identifier = true, combined = true }

-- { [scope] = { identity, key } }; of "*" also { [identity] = key }. Or a
-- function that is asked for the key of an identity when it is needed.
function config.psk(h, v, self)
  if type(v) == "function" then return require "copal.server".look_up(self, "psk", v) end
  for scope, pair in pairs(v) do
    if scope == "*" and pair[1] == nil then
      for identity, key in pairs(pair) do
        local ok, text, name = core.use_psk(h, scope, identity, key)
        if not ok then return nil, text, name end
      end
    else
      local ok, text, name = core.use_psk(h, scope, pair[1], pair[2])
      if not ok then return nil, text, name end
    end
  end
  return true
end

-- A function that is asked whether a public key is to be trusted, by its name.
function config.rpk(_, fn, self)
  return require "copal.server".look_up(self, "rpk", fn)
end

function config.cert(h, v)
  for scope, pem in pairs(v) do
    local ok, text, name = core.use_cert(h, scope, pem.cert, pem.key, pem.trusted)
    if not ok then return nil, text, name end
  end
  return true
end

-- nil, or text and name of what is wrong with it.
local function use_oscore(h, scope, k)
  return core.use_oscore(h, scope, k.secret or "", k.salt or "", k.sender_id or "",
    k.recipient_id or "", k.id_context or "", k.id_context and 1 or 0, k.aead or 0, k.hkdf or 0,
    k.replay_window or 0, k.rederives and 1 or 0)
end

-- { [scope] = context }; of "*" also a list of contexts, one for each peer.
function config.oscore(h, v)
  for scope, k in pairs(v) do
    for _, one in ipairs(k[1] and k or { k }) do
      local ok, text, name = use_oscore(h, scope, one)
      if not ok then return nil, text, name end
    end
  end
  return true
end

local function use_edhoc(h, scope, k)
  return core.use_edhoc(h, scope, k.method or 0, k.suite or 0, k.private_key or "",
    k.credential or "", k.peer_credential or "", k.identifier or "", k.combined and 1 or 0)
end

-- { [scope] = keys }; of "*" also a list of keys.
function config.edhoc(h, v)
  for scope, k in pairs(v) do
    for _, one in ipairs(k[1] and k or { k }) do
      local ok, text, name = use_edhoc(h, scope, one)
      if not ok then return nil, text, name end
    end
  end
  return true
end

function config.via(h, v)
  for scope, proxy in pairs(v) do
    local ok, text, name = core.via(h, scope, proxy)
    if not ok then return nil, text, name end
  end
  return true
end

function config.store(h, v, self)
  if type(v) == "string" then return core.store(h, v, nil) end
  if type(v) ~= "table" then
    error("copal: store: a directory, or functions get, put and delete", 3)
  end
  return require "copal.server".store(self, v)
end

function config.credentials(h, v)
  return core.use_file(h, v)
end

local function configure(self, key, v)
  if key == "listen" then
    for _, uri in ipairs(type(v) == "table" and v or { v }) do
      local ok, err = self:listen(uri)
      if not ok then return nil, err.message, err.name end
    end
    return true
  end
  if config[key] then return config[key](self.handle, v, self) end
  local number, n = build.param(self.handle, key, v)
  if not number then
    if n then return nil, n.message, n.name end
    error("copal: no such parameter: " .. tostring(key), 4)
  end
  return core.tune(self.handle, nil, number, n)
end

-- parameters: names of COPAL_PARAMS, times in seconds; also listen, psk, rpk,
-- cert, oscore, edhoc, via, store, credentials.
function M.new(parameters)
  local luv = loop.luv()
  local handle, text, name = core.endpoint(luv ~= nil)
  if not handle then return nil, errors.new(name, text) end
  local self = setmetatable({ handle = handle, timers = 0, shared = luv }, Endpoint)
  loop.add(self)
  return M.configured(self, parameters)
end

-- The endpoint with its parameters, or nil and an error.
function M.configured(self, parameters)
  local all = { "store" } -- before what is kept there
  for key in pairs(parameters or {}) do
    if key ~= "store" then all[#all + 1] = key end
  end
  for _, key in ipairs(all) do
    local v = parameters and parameters[key]
    local ok, why, kind = true
    if v ~= nil then ok, why, kind = configure(self, key, v) end
    if not ok then
      self:free()
      return nil, errors.new(kind, build.about(key, why))
    end
  end
  return self
end

local function wake_stopped(self)
  local waiters = self.stop_waiters
  self.stop_waiters = nil
  for _, wake in ipairs(waiters or {}) do wake() end
end

-- At once: what is pending ends with ECLOSED.
function Endpoint:free()
  local handle = self.handle
  if not handle then return end
  self.handle = nil
  self.listening = nil
  if self.before_free then self.before_free() end
  if self.sim then
    self.sim.endpoints[handle] = nil
  else
    loop.remove(handle)
  end
  core.free(handle)
  wake_stopped(self)
end
Endpoint.__close = Endpoint.free

function Endpoint:__tostring()
  return "copal endpoint" .. (self.handle and "" or " (closed)")
end

-- Waits in a task until nothing is owed any more, within seconds. Its own
-- timers say nothing of that, so it looks again and again.
local function rest_until_done(self, seconds)
  local deadline = core.now(self.handle) + value.ms(seconds)
  while self.handle and core.open_exchanges(self.handle) > 0
    and core.now(self.handle) < deadline do
    self:sleep(0.02)
  end
end

-- In an orderly way, within seconds (1): observations are given up, answers
-- owed are sent; what is still under way then ends with ECLOSED.
function Endpoint:close(seconds)
  if not self.handle or self.closing then return end
  seconds = seconds or 1
  self.closing = true
  core.close(self.handle, value.ms(seconds))
  self.listening = nil
  if self.shared then -- run by whoever runs that loop
    core.after(self.handle, value.ms(seconds), function() self:free() end)
  elseif not task.waits_inline(self) then
    rest_until_done(self, seconds)
    self:free()
  elseif not loop.is_driving(self) then
    if self.sim then
      self.sim:run(seconds)
    else
      core.run(self.handle)
    end
    self:free()
  end
end

---- Loop ----------------------------------------------------------------------

-- Runs until nothing is left to wait for or stop(). "idle", "stopped",
-- "closed"; or nil and an error ECANCEL when a signal came.
function Endpoint:run()
  handle_of(self)
  self.stopped = nil
  if not task.waits_inline(self) then
    return self:rest()
  end
  local why, signal = loop.drive(self, function() return self.stopped end,
    function() return true end)
  if self.closing then self:free() end
  if why == "signal" then
    return nil, errors.new("ECANCEL", "interrupted by signal " .. signal)
  end
  return why == "done" and "stopped" or why
end

function Endpoint:stop()
  self.stopped = true
  loop.kick(self)
  wake_stopped(self)
end

-- What run() is in a task, where somebody else drives the loop.
function Endpoint:rest()
  if not loop.is_idle(self) then
    task.await(self, function(wake)
      self.stop_waiters = self.stop_waiters or {}
      table.insert(self.stop_waiters, wake)
      self.idle_wake = wake
      loop.look()
    end)
    self.idle_wake = nil
  end
  if not self.handle then return "closed" end
  if self.closing then self:free() end
  return self.stopped and "stopped" or "idle"
end

-- Waits until stop().
function Endpoint:forever()
  return task.await(self, function(wake)
    self.stop_waiters = self.stop_waiters or {}
    table.insert(self.stop_waiters, wake)
  end)
end

---- Other loops ---------------------------------------------------------------

-- For a loop of somebody else's: what cqueues calls a pollable, and any loop
-- that watches a descriptor for input. After pollfd() became readable or
-- timeout() seconds (nil: no limit) went by, step().
function Endpoint:pollfd()
  local fd = core.fd(handle_of(self))
  if fd >= 0 then return fd end
  return nil, errors.new("ESTATE", "pollfd: the endpoint lives on luv's loop; run that")
end

function Endpoint.events()
  return "r"
end

function Endpoint:timeout()
  local ms = core.timeout(handle_of(self))
  return ms >= 0 and ms / 1000 or nil
end

function Endpoint:step()
  local ok, err = checked(core.step(handle_of(self)))
  if self.handle and self.idle_wake and loop.is_idle(self) then
    local wake = self.idle_wake
    self.idle_wake = nil
    wake()
  end
  return ok, err
end

function Endpoint:spawn(fn, ...)
  handle_of(self)
  return task.spawn_joinable(self, fn, ...)
end

local Timer = {}
Timer.__index = Timer

-- Counted, so that it is known whether an endpoint still has something to do.
local function forget_timer(self)
  self.timers = self.timers - 1
  if self.timers == 0 then loop.look() end
end

local function after(self, ms, fn)
  local id, text, name = core.after(handle_of(self), ms, function()
    forget_timer(self)
    fn()
  end)
  if not id then return nil, errors.new(name, text) end
  self.timers = self.timers + 1
  return id
end

local function cancel_timer(self, id)
  if self.handle and core.cancel_timer(self.handle, id) then
    forget_timer(self)
    return true
  end
  return false
end

function Timer:cancel()
  local id = self.id
  self.id, self.fn = nil, nil
  return id ~= nil and cancel_timer(self.endpoint, id)
end

local function started(timer, id, err)
  if not id then return nil, err end
  timer.id = id
  return timer
end

-- fn runs as a task, so it may wait.
function Endpoint:after(seconds, fn)
  value.check_function(fn, 2)
  local timer = setmetatable({ endpoint = self }, Timer)
  return started(timer, after(self, value.ms(seconds), function()
    timer.id = nil
    task.spawn(self, fn)
  end))
end

function Endpoint:every(seconds, fn)
  value.check_function(fn, 2)
  local timer = setmetatable({ endpoint = self, fn = fn }, Timer)
  local ms = value.ms(seconds)
  local function again()
    timer.id = nil
    if not timer.fn or not self.handle then return end
    timer.id = after(self, ms, again)
    task.spawn(self, fn)
  end
  return started(timer, after(self, ms, again))
end

function Endpoint:sleep(seconds)
  local ms = value.ms(seconds)
  handle_of(self)
  return task.await(self, function(wake)
    local id, err = after(self, ms, function() wake(true) end)
    if not id then return wake(nil, err) end
    return function() cancel_timer(self, id) end
  end)
end

-- Seconds of a clock that never goes back.
function Endpoint:now()
  return core.now(handle_of(self)) / 1000
end

---- Asking --------------------------------------------------------------------

for name, method in pairs(require "copal.ask") do
  Endpoint[name] = method
end

---- Groups --------------------------------------------------------------------

-- answers, find, interfaces: loaded when first called.
for _, name in ipairs { "answers", "find", "interfaces" } do
  Endpoint[name] = function(...)
    return require "copal.find"[name](...)
  end
end

---- Observing -----------------------------------------------------------------

local observer -- loaded with the first observation

-- for note in c:observe(uri): RFC 7641 as it is; the loop ends when the
-- observation does, and says why in obs.error.
function Endpoint:observe(...)
  observer = observer or require "copal.observe"
  return observer(false)(self, ...)
end

-- for note in c:watch(uri or list, { silence = 90 }): goes on by itself;
-- note.event is "value" (a message), "silent", "resumed" or "ended", note.reason
-- says why. silence: seconds within which something is heard, asked for in time
-- if need be; left out: by Max-Age. What was asked for is told if it is new.
function Endpoint:watch(...)
  observer = observer or require "copal.observe"
  return observer(true)(self, ...)
end

---- Serving -------------------------------------------------------------------

local server -- loaded with the first resource

function Endpoint:serve(path, spec)
  server = server or require "copal.server"
  handle_of(self)
  return server.serve(self, path, spec)
end

function Endpoint:value(path, initial, spec)
  server = server or require "copal.server"
  handle_of(self)
  return server.value(self, path, initial, spec)
end

function Endpoint:unserve(path)
  server = server or require "copal.server"
  handle_of(self)
  return server.unserve(self, path)
end

function Endpoint:describe(path, name, v)
  return checked(core.describe(handle_of(self), path, name, v))
end

-- How many observers will be told.
function Endpoint:notify(path)
  return checked(core.notify(handle_of(self), path))
end

-- What is listed in /.well-known/core; c:links { rt = "temperature" }: those
-- that fit. tostring() of the list is the link format.
function Endpoint:links(wanted)
  local list, text = require "copal.links".parse(core.links(handle_of(self)))
  if not list then return nil, errors.new("EFORMAT", text) end
  return wanted and list:filter(wanted) or list
end

function Endpoint:listen(uri, opts)
  local flags = 0
  if opts and opts.reuse_address then flags = flags + core.REUSE_ADDRESS end
  if opts and opts.reuse_port then flags = flags + core.REUSE_PORT end
  local ok, text, name = core.listen(handle_of(self), uri, flags)
  if not ok then return nil, errors.new(name, text) end
  self.listening = true
  return true
end

-- The URIs bound by listen(), with their real ports.
function Endpoint:addresses()
  local list = {}
  local uri = core.bound(handle_of(self), 0)
  while uri do
    list[#list + 1] = uri
    uri = core.bound(self.handle, #list)
  end
  return list
end

-- Pages of that origin, "https://example.org", may connect by WebSocket, besides
-- those of the server's own host; "*": of any. RFC 6455 10.2.
function Endpoint:allow_origin(origin)
  return checked(core.allow_origin(handle_of(self), origin))
end

-- Pages of this host may connect by that name, "device.example", besides by an
-- address, localhost and the names of its certificates; "*": by any.
function Endpoint:allow_host(name)
  return checked(core.allow_host(handle_of(self), name))
end

-- Accepts at a UDP socket that is bound already; its descriptor stays the
-- caller's.
function Endpoint:take_over(fd)
  local ok, err = checked(core.take_over(handle_of(self), fd))
  if ok then self.listening = true end
  return ok, err
end

-- Reads no more at the i-th of addresses(); a descriptor of its socket, the
-- caller's to close, for who goes on there.
function Endpoint:hand_over(i)
  return checked(core.hand_over(handle_of(self), i - 1))
end

function Endpoint:join(uri, interface)
  return checked(core.join(handle_of(self), uri, interface))
end

function Endpoint:leave(uri, interface)
  return checked(core.leave(handle_of(self), uri, interface))
end

-- for m in c:strays(): messages nobody asked for.
function Endpoint:strays()
  local queue = task.queue(self)
  local ok, text, name = core.strays(handle_of(self), function(kind, m)
    if kind == core.STRAY then queue:push(m) end
  end)
  if not ok then return nil, errors.new(name, text) end
  return function() return queue:pop() end
end

---- Tuning and looking inside -------------------------------------------------

-- c:tune("coap://sleepy", { ack_timeout = 12 }); scope nil: the endpoint
function Endpoint:tune(scope, parameters)
  for key, v in pairs(parameters) do
    local number, n = build.param(handle_of(self), key, v)
    if not number and n then return nil, n end
    if not number then error("copal: no such parameter: " .. tostring(key), 2) end
    local ok, text, name = core.tune(handle_of(self), scope, number, n)
    if not ok then return nil, errors.new(name, text) end
  end
  return true
end

-- c:profile("coaps://gateway", "tradfri"): what devices there want to be asked
-- like, as copal_profile() has it; scope nil: everywhere, name nil: no more.
function Endpoint:profile(scope, name)
  return checked(core.profile(handle_of(self), scope, name))
end

function Endpoint:disconnect(scope)
  return checked(core.disconnect(handle_of(self), scope))
end

function Endpoint:stats()
  return core.stats(handle_of(self))
end

-- The same and more as text that Prometheus reads, for a page of your own.
function Endpoint:metrics_text()
  return core.metrics_text(handle_of(self))
end

-- c:metrics "127.0.0.1:9100", or 9100: gives metrics_text() by HTTP to who asks
-- for /metrics; port 0: any free one. The port, or nil and an error; no place: no
-- more.
function Endpoint:metrics(where)
  if type(where) == "number" then where = string.format("%d", where) end
  return checked(core.metrics(handle_of(self), where))
end

local groups = { wire = core.TRACE_WIRE, state = core.TRACE_STATE,
  security = core.TRACE_SECURITY }

-- c:trace("wire", function(event) end): event is a table. No function: no more.
function Endpoint:trace(what, fn)
  local bits = 0
  for word in what:gmatch("%a+") do
    bits = bits + (groups[word] or error("copal: trace: wire, state or security", 2))
  end
  local json = require "copal.json"
  return checked(core.trace(handle_of(self), fn and bits or 0, fn and
    function(kind, text)
      if kind == core.TRACE then fn(json.decode(text) or { text = text }, text) end
    end))
end

-- Runs a recording again, without an endpoint: see copal_replay().
function M.replay(path, fn)
  local json = require "copal.json"
  return checked(core.replay(path, function(line)
    if fn then fn(json.decode(line) or { text = line }, line) end
  end))
end

local logs = { capture = core.LOG_CAPTURE, keys = core.LOG_KEYS,
  recording = core.LOG_RECORDING }

---- Credentials -----------------------------------------------------------------

-- scope: the beginning of a URI for whom we ask, "*" for who asks us.
function Endpoint:use_psk(scope, identity, key)
  return checked(core.use_psk(handle_of(self), scope, identity, key))
end

-- pem: { cert =, key =, trusted = }, texts, not names of files
function Endpoint:use_cert(scope, pem)
  return checked(core.use_cert(handle_of(self), scope, pem.cert, pem.key, pem.trusted))
end

-- context: { secret =, salt =, sender_id =, recipient_id =, id_context =, aead =,
-- hkdf =, replay_window =, rederives = }, bytes, numbers of COSE, a boolean; what
-- is left out is empty, or the default. Needs a store, unless rederives.
function Endpoint:use_oscore(scope, context)
  local h = handle_of(self)
  if type(context) ~= "table" then error("copal: use_oscore: a table of fields expected", 2) end
  for name in pairs(context) do
    if not OSCORE[name] then error("copal: use_oscore: no field " .. tostring(name), 2) end
  end
  return checked(use_oscore(h, scope, context))
end

-- keys: { method =, suite =, private_key =, credential =, peer_credential =,
-- identifier =, combined = }, numbers of RFC 9528 and bytes, or PEM, a boolean; see
-- copal.make_edhoc().
function Endpoint:use_edhoc(scope, keys)
  local h = handle_of(self)
  if type(keys) ~= "table" then error("copal: use_edhoc: a table of fields expected", 2) end
  for name in pairs(keys) do
    if not EDHOC[name] then error("copal: use_edhoc: no field " .. tostring(name), 2) end
  end
  return checked(use_edhoc(h, scope, keys))
end

-- A new key for EDHOC: its secret, and the credential that is shown of it. curve:
-- "P-256", "X25519" or "Ed25519".
function M.make_edhoc(curve, subject, kid)
  local made = core.make_edhoc(CURVES[curve] or 0, subject or "", kid or "")
  if made == "" then return nil, errors.new("EINVAL", "make_edhoc: no such curve, or no GnuTLS") end
  return made:sub(1, 32), made:sub(33)
end

function Endpoint:use_file(path)
  return checked(core.use_file(handle_of(self), path))
end

-- kind: "psk", fn(identity) gives the key, or "rpk", fn(name) whether that key
-- is to be trusted; nil, or false: no. It may wait.
function Endpoint:use_lookup(kind, fn)
  handle_of(self)
  return checked(require "copal.server".look_up(self, kind, fn))
end

-- Where state is kept that must survive a crash: a directory, or a table of get,
-- put and delete. get(path) gives what was put, or nil; put(path, bytes) and
-- delete(path) return once that is durable; each may wait, and throws, or gives
-- nil and why, if it fails.
function Endpoint:store(where)
  return checked(config.store(handle_of(self), where, self))
end

function Endpoint:forget(scope)
  return checked(core.forget(handle_of(self), scope))
end

-- c:log_to("capture", "file.pcapng"): messages, for Wireshark; "keys": those of
-- TLS; no path: no more.
-- c:log_to("recording", file): at once, what record_memory bytes of the flight
-- recorder hold, for copal.replay(), copal replay and copal trace.
-- True, or nil and an error.
function Endpoint:log_to(what, path)
  local number = logs[what] or error("copal: log_to: capture, keys or recording", 2)
  return checked(core.log_to(handle_of(self), number, path))
end

return M
