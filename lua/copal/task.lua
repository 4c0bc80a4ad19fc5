-- Tasks: coroutines that wait for the loop. One primitive, await(); what waits
-- is built on it. Outside a coroutine await() runs the loop itself.
local compat = require "copal.compat"
local core = require "copal_core"
local errors = require "copal.error"
local loop = require "copal.loop"

local M = {}
local create, resume = coroutine.create, coroutine.resume
local running, status, yield = coroutine.running, coroutine.status, coroutine.yield
local isyieldable, unpack = compat.isyieldable, compat.unpack

local function pack(...)
  return { n = select("#", ...), ... }
end

M.Task = {}
M.Task.__index = M.Task

local tasks = setmetatable({}, { __mode = "k" }) -- coroutine -> task
local CANCEL = {}                                -- resumes a task to end it

M.CANCELLED = errors.new("ECANCEL", "the task was cancelled")

-- Errors nobody waits for end here; a program may put its own function. left_out:
-- how many like it were not told, since the last.
function M.on_error(e, left_out)
  local more = left_out > 0 and " (" .. left_out .. " more like it were left out)" or ""
  io.stderr:write("copal: ", tostring(e), more, "\n")
end

-- Strangers make handlers throw as often as they like: of each kind not more is
-- told than log_burst and log_rate of the endpoint allow. endpoint may be nil.
function M.report(endpoint, kind, e)
  local handle = endpoint and endpoint.handle
  local left_out = handle and core.log_due(handle, kind) or 0
  if left_out >= 0 then M.on_error(e, left_out) end
end

core.on_error(function(e)
  M.report(loop.anyone(), "callback", e)
end)

---- Waiting -------------------------------------------------------------------

-- An error is told unless somebody joins the task. Who has its handle may do
-- so until the next turn.
local function tell_failure(task)
  local e = task.results[1]
  if task.joined or e == M.CANCELLED then return end
  if not task.joinable or not task.endpoint.handle then
    return M.report(task.endpoint, "task", task.traceback or e)
  end
  core.after(task.endpoint.handle, 0, function()
    if not task.joined then M.report(task.endpoint, "task", task.traceback or e) end
  end)
end

-- Where very many wait at once most are not used again, and when they are done
-- little is allocated that would make Lua look for what they leave. So it is made
-- to when nearly all are; not too often, for it looks through all there is.
local MANY, REST = 1024, 10 -- coroutines; seconds
local working, most = 0, 0  -- coroutines of handlers that are alive
local collected = 0         -- when

local function one_is_done()
  working = working - 1
  if most < MANY or working > most / 8 then return end
  local now = os.time()
  if now >= collected and now - collected < REST then return end
  most, collected = working, now
  collectgarbage()
end

local function finish(task, ok, ...)
  task.done, task.ok, task.results = true, ok, pack(...)
  tasks[task.co] = nil
  local waiters = task.waiters
  task.waiters = nil
  if task.slot then
    M.handled(task, ok, ...)
    one_is_done()
  elseif waiters then
    for i = 1, #waiters do waiters[i]() end
  elseif not ok then
    tell_failure(task)
  end
  if task.joined then loop.kick(task.endpoint) end
end

local function after_resume(task, ok, ...)
  if task.waiting then return end
  if status(task.co) == "dead" then
    if not ok and type((...)) == "string" then
      task.traceback = debug.traceback(task.co, (...))
    end
    return finish(task, ok, ...)
  end
  -- Nobody would ever wake it.
  finish(task, false, "copal: a task called coroutine.yield() itself; "
    .. "use copal's own ways to wait")
end

-- A handler runs in a coroutine of C's and becomes a task when it waits.
local function new_handler(co, slot, request, code)
  local task = setmetatable({ co = co, endpoint = slot.endpoint, slot = slot,
    request = request, code = code }, M.Task)
  working = working + 1
  if working > most then most = working end
  tasks[co] = task
  return task
end

-- nil: co, which runs now, is none of ours.
local function task_of(co)
  local task = tasks[co]
  if task then return task end
  local slot, request, code = core.handling()
  return slot and new_handler(co, slot, request, code)
end

-- What C tells of a handler that is a task, or yielded without being one.
function M.left(slot, request, code, co, ended, ok, ...)
  local task = tasks[co] or new_handler(co, slot, request, code)
  if not ended then return after_resume(task, true) end
  if not ok and type((...)) == "string" then
    task.traceback = debug.traceback(co, (...))
  end
  return finish(task, ok, ...)
end

local function step(task, ...)
  after_resume(task, resume(task.co, ...))
end

local function stranger_resumed(endpoint, co, ok, e)
  if not ok then
    M.report(endpoint, "task", debug.traceback(co, tostring(e)))
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
local function await_in_coroutine(endpoint, co, start)
  local task = task_of(co)
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
      stranger_resumed(endpoint, co, resume(co, ...))
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

-- What wakes is kept without a table: there may be no memory for one, and who
-- is not woken waits for ever.
local function await_in_main(endpoint, start)
  local n, first, second
  local abort = start(function(...)
    if not n then
      first, second = ...
      n = select("#", ...)
      loop.kick(endpoint)
    end
  end)
  local why, signal = loop.drive(endpoint, function() return n ~= nil end)
  if why == "done" then
    if n == 0 then return end
    if n == 1 then return first end
    return first, second
  end
  if abort then abort() end
  if why == "signal" then
    error(errors.new("ECANCEL", "interrupted by signal " .. signal), 0)
  elseif why == "closed" then
    return nil, errors.new("ECLOSED", "the endpoint was closed")
  end
  error("copal: nothing is left to wait for", 3)
end

-- Waiting on a simulated endpoint moves the clock, in a coroutine as well;
-- not for those who live in the simulation.
local function waits_inline(endpoint)
  if not isyieldable() then return true end
  local sim = endpoint.sim
  if not sim or sim.running then return false end
  local task = task_of(running())
  return not (task and task.endpoint.sim == sim)
end
M.waits_inline = waits_inline

-- Set by copal.cqueues: waits in coroutines that somebody else resumes, or
-- returns nil for those that are none of its own.
M.elsewhere = nil

-- endpoint: whose loop to run when there is no coroutine to suspend.
function M.await(endpoint, start)
  if waits_inline(endpoint) then
    return await_in_main(endpoint, start)
  end
  local co = running()
  if M.elsewhere and not task_of(co) then
    local wait = M.elsewhere(endpoint)
    if wait then return wait(start) end
  end
  if not compat.can_wait then
    error("copal: callback style only on Lua 5.1: a coroutine cannot wait; "
      .. "give a function as the last argument", 3)
  end
  return await_in_coroutine(endpoint, co, start)
end

---- Tasks ---------------------------------------------------------------------

local Task = M.Task

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

---- Joining -------------------------------------------------------------------

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
