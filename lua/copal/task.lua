-- Tasks: coroutines that wait for the loop. One primitive, await(); what waits
-- is built on it. Outside a coroutine await() runs the loop itself.
local core = require "copal_core"
local errors = require "copal.error"

local M = {}
local create, resume = coroutine.create, coroutine.resume
local running, status, yield = coroutine.running, coroutine.status, coroutine.yield
local isyieldable = coroutine.isyieldable
local unpack = table.unpack or unpack

local function pack(...)
  return { n = select("#", ...), ... }
end

local tasks = setmetatable({}, { __mode = "k" }) -- coroutine -> task
local CANCEL = {}                                -- resumes a task to end it

M.CANCELLED = errors.new("ECANCEL", "the task was cancelled")

-- Errors nobody waits for end here; a program may put its own function.
function M.on_error(e)
  io.stderr:write("copal: ", tostring(e), "\n")
end

core.on_error(function(e)
  M.on_error(e)
end)

---- The loop ------------------------------------------------------------------

-- Endpoints alive in this Lua state, by their core handle. When there are
-- several they take turns, whichever of them is being waited on.
local alive = setmetatable({}, { __mode = "v" })
local driving   -- core handle inside core.run(), true inside core.wait()
local kicked    -- somebody asked for a look at the conditions

local function kick()
  kicked = true
  if driving and driving ~= true then
    core.stop(driving)
  end
end

function M.add_endpoint(endpoint)
  alive[endpoint.handle] = endpoint
  kick() -- whoever drives has one more to drive
end

function M.remove_endpoint(handle)
  alive[handle] = nil
  kick()
end

local function others(handle)
  local list = { handle }
  for h in pairs(alive) do
    if h ~= handle then
      list[#list + 1] = h
    end
  end
  return list
end

-- Whether nothing can happen on an endpoint by itself any more. The core's
-- own timers do not count: it keeps answers for repeats long after.
local function is_idle(endpoint)
  return endpoint.handle == nil or not endpoint.listening
    and endpoint.timers == 0 and core.stats(endpoint.handle).exchanges_open == 0
end
M.is_idle = is_idle

local function all_idle(list)
  for _, h in ipairs(list) do
    local endpoint = alive[h]
    if endpoint and not is_idle(endpoint) then return false end
  end
  return true
end

-- Tells those who wait for one of several endpoints to become idle.
local function tell_idle(list)
  for _, h in ipairs(list) do
    local endpoint = alive[h]
    local wake = endpoint and endpoint.idle_wake
    if wake and is_idle(endpoint) then
      endpoint.idle_wake = nil
      wake()
    end
  end
end

local function turn(endpoint, rested)
  local handle = endpoint.handle
  local list = others(handle)
  local ok, text, name

  if #list == 1 then
    driving = handle
    ok, text, name = core.run(handle)
    driving = nil
    return ok, kicked and "more" or "idle", text, name
  end
  driving = true
  ok, text, name = core.wait(-1, unpack(list))
  driving = nil
  if ok then tell_idle(list) end
  if ok and not kicked and (all_idle(list)
    or rested and is_idle(endpoint) and rested()) then
    return ok, "idle"
  end
  return ok, "more", text, name
end

-- Runs the loop of endpoint until done() is true, nothing is left to wait for,
-- the endpoint is closed or a signal comes. Returns "done", "idle", "closed",
-- or "signal", number. Other endpoints have their turns meanwhile; whether
-- these still wait for something does not matter once rested() is true.
function M.drive(endpoint, done, rested)
  if driving then
    error("copal: cannot wait inside a callback; start a task with spawn(), "
      .. "or give a function as the last argument", 3)
  end
  while true do
    if done() then return "done" end
    if endpoint.handle == nil then return "closed" end
    kicked = false
    local ok, more, text = turn(endpoint, rested)
    local signal = core.caught()
    if signal then return "signal", signal end
    if not ok then error("copal: " .. tostring(text), 3) end
    if more == "idle" and not done() and endpoint.handle ~= nil then
      local wake = endpoint.idle_wake
      if not wake then return "idle" end
      endpoint.idle_wake = nil
      wake()
    end
  end
end

M.kick = kick

function M.is_driving()
  return driving ~= nil
end

---- Waiting -------------------------------------------------------------------

-- An error is told unless somebody joins the task. Who has its handle may do
-- so until the next turn.
local function tell_failure(task)
  local e = task.results[1]
  if task.joined or e == M.CANCELLED then return end
  if not task.joinable or not task.endpoint.handle then
    return M.on_error(task.traceback or e)
  end
  core.after(task.endpoint.handle, 0, function()
    if not task.joined then M.on_error(task.traceback or e) end
  end)
end

local function finish(task, ok, ...)
  task.done, task.ok, task.results = true, ok, pack(...)
  tasks[task.co] = nil
  local waiters = task.waiters
  task.waiters = nil
  if waiters then
    for i = 1, #waiters do waiters[i]() end
  elseif not ok then
    tell_failure(task)
  end
end

local function after_resume(task, ok, ...)
  if status(task.co) == "dead" then
    if not ok and type((...)) == "string" then
      task.traceback = debug.traceback(task.co, (...))
    end
    return finish(task, ok, ...)
  end
  if not task.waiting then
    -- Nobody would ever wake it.
    finish(task, false, "copal: a task called coroutine.yield() itself; "
      .. "use copal's own ways to wait")
  end
end

local function step(task, ...)
  after_resume(task, resume(task.co, ...))
end

local function stranger_resumed(co, ok, e)
  if not ok then
    M.on_error(debug.traceback(co, tostring(e)))
  end
end

local function awoken(first, ...)
  if first == CANCEL then
    error(M.CANCELLED, 0)
  end
  return first, ...
end

-- start(wake) begins something and may return a function that gives it up.
-- wake(...) makes await() return those values; only its first call counts.
local function await_in_coroutine(co, start)
  local task = tasks[co]
  local armed, early, waiting = true, nil, false

  local function wake(...)
    if not armed then return end
    armed = false
    if not waiting then
      early = pack(...)
    elseif status(co) ~= "suspended" then
      return -- closed from outside
    elseif task then
      task.abort, task.waiting = nil, nil
      step(task, ...)
    else
      stranger_resumed(co, resume(co, ...))
    end
  end

  local abort = start(wake)
  if early then
    return unpack(early, 1, early.n)
  end
  waiting = true
  if task then
    task.waiting = true
    task.abort = function()
      armed = false
      if abort then abort() end
    end
  end
  return awoken(yield())
end

local function await_in_main(endpoint, start)
  local results
  local abort = start(function(...)
    if not results then
      results = pack(...)
      kick()
    end
  end)
  local why, signal = M.drive(endpoint, function() return results ~= nil end)
  if why == "done" then
    return unpack(results, 1, results.n)
  end
  if abort then abort() end
  if why == "signal" then
    error(errors.new("ECANCEL", "interrupted by signal " .. signal), 0)
  elseif why == "closed" then
    return nil, errors.new("ECLOSED", "the endpoint was closed")
  end
  error("copal: nothing is left to wait for", 3)
end

-- endpoint: whose loop to run when there is no coroutine to suspend.
function M.await(endpoint, start)
  if isyieldable() then
    return await_in_coroutine(running(), start)
  end
  return await_in_main(endpoint, start)
end

---- Tasks ---------------------------------------------------------------------

local Task = {}
Task.__index = Task

function Task.__tostring(t)
  return "copal task: " .. (t.done and (t.ok and "done" or "failed") or "waiting")
end

local function new_task(endpoint, fn, joinable)
  local task = setmetatable({ co = create(fn), endpoint = endpoint,
    joinable = joinable }, Task)
  tasks[task.co] = task
  return task
end

-- Runs fn until it waits for the first time.
function M.spawn(endpoint, fn, ...)
  local task = new_task(endpoint, fn, false)
  step(task, ...)
  return task
end

-- The same, for a task whose handle the user gets.
function M.spawn_joinable(endpoint, fn, ...)
  local task = new_task(endpoint, fn, true)
  step(task, ...)
  return task
end

-- The same, for a task whose failure the caller looks at.
function M.spawn_joined(endpoint, fn, ...)
  local task = new_task(endpoint, fn, true)
  task.joined = true
  step(task, ...)
  return task
end

-- The task sees an error where it waits. False: over, or it runs right now.
function Task:cancel()
  local abort = self.abort
  if self.done or not abort then
    return false
  end
  self.abort, self.waiting = nil, nil
  abort()
  step(self, CANCEL)
  return true
end

-- ok, and what the task returned or threw.
function Task:wait()
  self.joined = true
  if not self.done then
    M.await(self.endpoint, function(wake)
      self.waiters = self.waiters or {}
      table.insert(self.waiters, wake)
    end)
  end
  if not self.done then
    return false, M.CANCELLED
  end
  return self.ok, unpack(self.results, 1, self.results.n)
end

local function joined(ok, ...)
  if not ok then
    error((...), 0)
  end
  return ...
end

-- What the task returned; throws what it threw.
function Task:join()
  return joined(self:wait())
end

---- Queues --------------------------------------------------------------------

-- What callbacks push and a for loop takes; one taker at a time.
local Queue = {}
Queue.__index = Queue

function M.queue(endpoint, abort)
  return setmetatable({ endpoint = endpoint, abort = abort, first = 1, last = 0 },
    Queue)
end

function Queue:push(item)
  local wake = self.wake
  if wake then
    self.wake = nil
    return wake(item)
  end
  self.last = self.last + 1
  self[self.last] = item
end

function Queue:length()
  return self.last - self.first + 1
end

-- Nothing more comes: pop() returns nil after what is left.
function Queue:close()
  self.closed = true
  local wake = self.wake
  if wake then
    self.wake = nil
    wake(nil)
  end
end

function Queue:pop()
  if self.first <= self.last then
    local item = self[self.first]
    self[self.first] = nil
    self.first = self.first + 1
    return item
  end
  if self.closed then
    return nil
  end
  return M.await(self.endpoint, function(wake)
    self.wake = wake
    return function()
      self.wake = nil
      if self.abort then self.abort() end
    end
  end)
end

return M
